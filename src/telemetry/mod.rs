//! In: measurements of all rooms.
//! Out: the metric registry and logging set-up.
//! Never: a dependency on another room.

pub mod exposition;
pub mod logs;
pub mod metrics;
mod process;
mod settings;

pub use settings::{LogFormat, LogSettings};
