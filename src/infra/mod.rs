//! In: the fleets there should be.
//! Out: running Envoy processes.
//! Never: xDS, translation.

mod settings;
mod host;

pub use host::{EnvoyMissing, Host, HostError, Process, find_envoy};
pub use settings::{HostSettings, InfraKind, Settings};
