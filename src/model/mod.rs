//! In: what `translate` found out about user objects.
//! Out: plain data that `envoy`, `status` and `infra` turn into messages, conditions and processes.
//! Never: I/O, Kubernetes types, Envoy messages.

mod keys;
mod finding;
mod binding;
mod fleet;
mod bootstrap;
mod gateway;
mod route;
mod backend;
mod security;
mod patch;
mod report;

pub use backend::{BackendKey, Endpoint, Endpoints};
pub use binding::Binding;
pub use bootstrap::{BootstrapPatch, JsonPatchOperation};
pub use finding::{Finding, Place, Severity};
pub use fleet::FleetPlan;
pub use gateway::{AllowedNamespaces, Chain, Gateway, Listener, Port};
pub use keys::{FleetKey, Kind, NamespacedName, ObjectKey};
pub use patch::{PatchSet, ResourcePatch};
pub use report::{ClassReport, Condition, GatewayReport, ListenerReport, ParentReport, PolicyReport, RouteReport};
pub use route::{
    Cors, Forward, HeaderChanges, Mirror, Order, PathMatch, PathRewrite, Redirect, Retry, RouteAction, RouteEntry,
    RouteMatch, RouteSecurity, Session, ValueMatch, WeightedBackend,
};
pub use security::{
    ExtAuth, ExtAuthService, FilterKey, Jwks, JwtProvider, JwtRequirement, ListenerFilter, SecretKey, TlsCertificate,
};
