//! One Envoy process a fleet on this machine: where it listens, how it is started, watched, replaced, adopted and ended.

mod find;
mod folder;
mod addresses;
mod bindings;
mod store;
mod proc;
mod record;
mod launch;
mod process;
mod retire;
mod admin;
mod logs;
mod adopt;
mod supervise;
mod runner;

pub use find::{EnvoyMissing, find_envoy};
pub use runner::{Host, HostError, Process};
