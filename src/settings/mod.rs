//! In: defaults, file, environment, flags.
//! Out: one checked settings value.
//! Never: being imported by a room below.

mod check;
mod environment;
mod error;
mod file;
mod layers;
mod load;
mod values;

pub use error::{Problem, SettingsError};
pub use load::load;
pub use values::Settings;
