//! In: objects through a store view.
//! Out: `model` values and reports.
//! Never: async, clocks, randomness, I/O, Envoy messages.

mod findings;
mod hostnames;
mod namespaces;
mod grants;
mod durations;
mod texts;
mod expressions;
mod certificates;
mod class;
mod proxy;
mod listeners;
mod gateway;
mod backends;
mod filters;
mod matches;
mod security;
mod policies;
mod routes;
mod patches;

pub use backends::endpoints;
pub use certificates::{CertificateProblem, certificate};
pub use class::class;
pub use gateway::{GatewayUnit, gateway};
pub use patches::patches;
pub use policies::orphan_policy;
pub use routes::{RouteUnit, route};
