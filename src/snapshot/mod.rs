//! In: encoded resources.
//! Out: one immutable snapshot a fleet, and the differences between two.
//! Never: protocol, clocks.

mod resource;
mod set;
mod registry;
mod names;

pub use names::{NameSet, SharedNames};
pub use registry::{Fleet, Published, Registry, Stamps};
pub use resource::{Group, Resource, ResourceType};
pub use set::{Edit, Snapshot};
