//! In: settings.
//! Out: a running process, or the same parts run once for offline commands.
//! Never: decisions of its own; this is where the rooms are put together.

mod adapters;
mod file_findings;
mod offline;
mod plane;
mod run_file;
mod state_dir;

pub use offline::{Offline, resources};
pub use plane::{Addresses, Plane, StartError, start};
