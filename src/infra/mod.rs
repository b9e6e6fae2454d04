//! In: the fleets there should be.
//! Out: running Envoy processes.
//! Never: xDS, translation.

mod settings;

pub use settings::{HostSettings, InfraKind, Settings};
