//! `HTTPRoute`.

use super::{BackendRef, Filter, HeaderMatch, ParentReference, RouteRetry, SessionPersistence};
use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `HTTPRoute`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRoute {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    #[serde(default)]
    pub spec: HttpRouteSpec,
}

/// `HTTPRouteSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// The Gateways it wants to attach to.
    pub parent_refs: Vec<ParentReference>,
    /// Hostnames; empty means those of the listeners.
    pub hostnames: Vec<String>,
    /// The rules; an empty list is one rule that matches everything.
    pub rules: Vec<HttpRouteRule>,
    /// Experimental channel: kept, so that it can be refused by name.
    pub use_default_gateways: Option<Value>,
}

/// `HTTPRouteRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRule {
    /// The name, unique within the route.
    pub name: Option<String>,
    /// Alternatives; empty means everything.
    pub matches: Vec<HttpRouteMatch>,
    /// Filters, applied to all backends.
    pub filters: Vec<Filter>,
    /// Backends.
    pub backend_refs: Vec<HttpBackendRef>,
    /// Timeouts.
    pub timeouts: Option<HttpRouteTimeouts>,
    /// Retries.
    pub retry: Option<RouteRetry>,
    /// Session persistence.
    pub session_persistence: Option<SessionPersistence>,
}

/// `HTTPRouteMatch`: all parts have to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteMatch {
    /// The path; `None` means prefix `/`.
    pub path: Option<HttpPathMatch>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query_params: Vec<HeaderMatch>,
    /// The method.
    pub method: Option<String>,
}

/// `HTTPPathMatch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPathMatch {
    /// Exact, PathPrefix or RegularExpression; `None` means PathPrefix.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The path; `None` means `/`.
    pub value: Option<String>,
}

/// `HTTPBackendRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpBackendRef {
    /// The reference and weight.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Filters for this backend only.
    #[serde(default)]
    pub filters: Vec<Filter>,
}

/// `HTTPRouteTimeouts`: Gateway API durations, `0s` means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteTimeouts {
    /// The whole request.
    pub request: Option<String>,
    /// One try at a backend.
    pub backend_request: Option<String>,
}
