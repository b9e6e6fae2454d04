//! In: YAML or JSON of the outside world.
//! Out: typed outside objects: Gateway API, core Kubernetes, `gateway.envoyproxy.io/v1alpha1`.
//! Never: types of our own rooms, behaviour.

mod meta;
pub mod core;
pub mod gateway_api;
pub mod v1alpha1;

pub use meta::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
