//! In: `model` values.
//! Out: Envoy messages, canonical bytes, bootstraps, patched resources.
//! Never: Kubernetes types, I/O, clocks.

mod wire;
mod route;
mod action;
mod route_filters;
mod table;
mod cluster;
mod endpoint;
mod secret;
mod listener;
mod http_filters;
mod descriptors;
mod canon;
mod rules;
pub mod json;
pub mod patch;
pub mod bootstrap;
mod static_config;

pub use canon::canonical;
pub use cluster::cluster;
pub use endpoint::endpoints;
pub use listener::listener;
pub use route::route;
pub use secret::secret;
pub use static_config::{Resources, static_bootstrap};
pub use table::{route_table_head, virtual_host};
