//! In: core Kubernetes objects.
//! Out: the few fields of them that a gateway needs.
//! Never: anything of Pods.

mod objects;
mod service;

pub use objects::{ConfigMap, Namespace, Secret};
pub use service::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Service, ServicePort, ServiceSpec};
