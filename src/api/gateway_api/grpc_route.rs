//! `GRPCRoute`.

use super::{BackendRef, Filter, HeaderMatch, ParentReference, SessionPersistence};
use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GRPCRoute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrpcRoute {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    #[serde(default)]
    pub spec: GrpcRouteSpec,
}

/// `GRPCRouteSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteSpec {
    /// The Gateways it wants to attach to.
    pub parent_refs: Vec<ParentReference>,
    /// Hostnames; empty means those of the listeners.
    pub hostnames: Vec<String>,
    /// The rules; an empty list is one rule that matches everything.
    pub rules: Vec<GrpcRouteRule>,
    /// Experimental channel: kept, so that it can be refused by name.
    pub use_default_gateways: Option<Value>,
}

/// `GRPCRouteRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteRule {
    /// The name, unique within the route.
    pub name: Option<String>,
    /// Alternatives; empty means everything.
    pub matches: Vec<GrpcRouteMatch>,
    /// Filters, applied to all backends.
    pub filters: Vec<Filter>,
    /// Backends.
    pub backend_refs: Vec<GrpcBackendRef>,
    /// Session persistence.
    pub session_persistence: Option<SessionPersistence>,
}

/// `GRPCRouteMatch`: all parts have to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteMatch {
    /// Service and method.
    pub method: Option<GrpcMethodMatch>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
}

/// `GRPCMethodMatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcMethodMatch {
    /// Exact or RegularExpression; `None` means Exact.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The service with its package.
    pub service: Option<String>,
    /// The method.
    pub method: Option<String>,
}

/// `GRPCBackendRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcBackendRef {
    /// The reference and weight.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Filters for this backend only.
    #[serde(default)]
    pub filters: Vec<Filter>,
}
