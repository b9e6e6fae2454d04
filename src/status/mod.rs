//! In: reports of all units.
//! Out: one status an object, written where the user reads it.
//! Never: entries of other controllers.

mod conditions;
mod ancestors;
mod own;
mod routes;
mod findings;
mod book;
mod files;
mod settings;

pub use book::{GatewayState, StatusBook};
pub use files::StatusFiles;
pub use settings::StatusSettings;
