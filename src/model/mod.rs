//! In: what `translate` found out about user objects.
//! Out: plain data that `envoy`, `status` and `infra` turn into messages, conditions and processes.
//! Never: I/O, Kubernetes types, Envoy messages.

mod keys;
mod finding;
mod binding;
mod fleet;
mod bootstrap;

pub use binding::Binding;
pub use bootstrap::{BootstrapPatch, JsonPatchOperation};
pub use finding::{Finding, Place, Severity};
pub use fleet::FleetPlan;
pub use keys::{FleetKey, Kind, NamespacedName, ObjectKey};
