//! In: reports of all units.
//! Out: one status an object, written where the user reads it.
//! Never: entries of other controllers.

mod book;
mod settings;

pub use book::{GatewayState, StatusBook};
pub use settings::StatusSettings;
