//! In: settings.
//! Out: a running process, or the same parts run once for offline commands.
//! Never: decisions of its own; this is where the rooms are put together.

mod adapters;
mod offline;
mod plane;
mod run_file;

pub use offline::{Offline, resources};
pub use plane::{Addresses, Plane, StartError, start};
