//! References and matches that several kinds share.

use serde::{Deserialize, Serialize};

/// `ParentReference`: the Gateway (or section of it) that a route wants to attach to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentReference {
    /// The API group; `None` means `gateway.networking.k8s.io`, empty means core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The kind; `None` means `Gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The namespace; `None` means that of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// One listener by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Listeners on one port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A reference to an object of any kind, perhaps in another namespace (`SecretObjectReference` and its like).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedReference {
    /// The API group; what `None` means depends on the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The kind; what `None` means depends on the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name.
    pub name: String,
    /// The namespace; `None` means that of the referring object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A reference to an object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// The API group.
    #[serde(default)]
    pub group: String,
    /// The kind.
    #[serde(default)]
    pub kind: String,
    /// The name.
    pub name: String,
}

/// `BackendObjectReference`, with the weight of a `BackendRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// The API group; `None` means core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The kind; `None` means `Service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name.
    pub name: String,
    /// The namespace; `None` means that of the referring object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The Service's port (not the target port).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The share of requests; `None` means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
}

/// `HTTPHeaderMatch`, `GRPCHeaderMatch` and `HTTPQueryParamMatch` have one shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// Exact or RegularExpression; `None` means Exact.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The name of the header or query parameter.
    pub name: String,
    /// The value or expression.
    pub value: String,
}

/// `HTTPRouteRetry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRetry {
    /// Response codes that are tried again.
    #[serde(default)]
    pub codes: Vec<u16>,
    /// How often after the first try; `None` means 1.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// The pause between tries, a Gateway API duration.
    #[serde(default)]
    pub backoff: Option<String>,
}

/// `SessionPersistence`, as it is since 1.7 (`cookie`, `header`) and as it was before (`sessionName`, `cookieConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    /// Before 1.7: the name of the cookie or header.
    pub session_name: Option<String>,
    /// A Gateway API duration.
    pub absolute_timeout: Option<String>,
    /// Before 1.6: a Gateway API duration.
    pub idle_timeout: Option<String>,
    /// Cookie or Header; `None` means Cookie.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Before 1.7: only for cookies.
    pub cookie_config: Option<CookieConfig>,
    /// Only for cookies.
    pub cookie: Option<CookieConfig>,
    /// Only for headers.
    pub header: Option<HeaderConfig>,
}

/// `CookieConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieConfig {
    /// The name; `None` means one of our choice.
    pub name: Option<String>,
    /// The path; `None` means `/` in `cookie`, and the matched path in `cookieConfig`.
    pub path: Option<String>,
    /// Session or Permanent; `None` means Session.
    pub lifetime_type: Option<String>,
}

/// `HeaderConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderConfig {
    /// The name; `None` means one of our choice.
    pub name: Option<String>,
}
