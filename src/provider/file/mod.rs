//! In: folders and files of YAML and JSON, and what the system says about their changes.
//! Out: objects with their place, changes, and findings about what could not be read.
//! Never: the meaning of an object's fields.

pub mod codes;
mod settings;
mod split;
mod value;
mod locate;
mod kinds;
mod read;
mod parse;
mod listing;
mod merge;
mod files;
mod events;
mod watch;

pub use files::{Files, Scan};
pub use parse::{Parsed, parse};
pub use settings::Settings;
pub use watch::{Error, watch};
