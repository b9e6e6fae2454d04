//! `HTTPRouteFilter` and `GRPCRouteFilter`: one struct, since the second is a part of the first.

use super::{BackendRef, LocalObjectReference};
use serde::{Deserialize, Serialize};

/// One filter of a rule or of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, RequestRedirect, URLRewrite, CORS, ExtensionRef, ExternalAuth.
    #[serde(rename = "type")]
    pub kind: String,
    /// Changes request headers.
    #[serde(default)]
    pub request_header_modifier: Option<HeaderModifier>,
    /// Changes response headers.
    #[serde(default)]
    pub response_header_modifier: Option<HeaderModifier>,
    /// Copies requests to a further backend.
    #[serde(default)]
    pub request_mirror: Option<MirrorFilter>,
    /// Answers with a redirect.
    #[serde(default)]
    pub request_redirect: Option<RedirectFilter>,
    /// Changes host or path.
    #[serde(default)]
    pub url_rewrite: Option<UrlRewriteFilter>,
    /// Cross-origin resource sharing.
    #[serde(default)]
    pub cors: Option<CorsFilter>,
    /// A filter of another API.
    #[serde(default)]
    pub extension_ref: Option<LocalObjectReference>,
    /// Experimental channel: kept as it is, so that it can be refused by name.
    #[serde(default)]
    pub external_auth: Option<serde_json::Value>,
}

/// `HTTPHeaderFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderModifier {
    /// Overwrites.
    pub set: Vec<Header>,
    /// Appends after existing values.
    pub add: Vec<Header>,
    /// Removes by name.
    pub remove: Vec<String>,
}

/// One header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name; case does not matter.
    pub name: String,
    /// The value.
    pub value: String,
}

/// `HTTPRequestMirrorFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MirrorFilter {
    /// Where the copies go.
    pub backend_ref: MirrorTarget,
    /// Share in percent, 0 to 100.
    #[serde(default)]
    pub percent: Option<u32>,
    /// Share as a fraction.
    #[serde(default)]
    pub fraction: Option<Fraction>,
}

/// The backend of a mirror: a reference without a weight.
pub type MirrorTarget = BackendRef;

/// `Fraction`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fraction {
    /// From 0.
    pub numerator: u32,
    /// From 1; `None` means 100.
    #[serde(default)]
    pub denominator: Option<u32>,
}

/// `HTTPRequestRedirectFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RedirectFilter {
    /// http or https.
    pub scheme: Option<String>,
    /// The host in the Location header.
    pub hostname: Option<String>,
    /// The path in the Location header.
    pub path: Option<PathModifier>,
    /// The port in the Location header.
    pub port: Option<u16>,
    /// 301, 302, 303, 307 or 308; `None` means 302.
    pub status_code: Option<u16>,
}

/// `HTTPURLRewriteFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlRewriteFilter {
    /// The Host header that the backend sees.
    pub hostname: Option<String>,
    /// The path that the backend sees.
    pub path: Option<PathModifier>,
}

/// `HTTPPathModifier`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathModifier {
    /// ReplaceFullPath or ReplacePrefixMatch.
    #[serde(rename = "type")]
    pub kind: String,
    /// For ReplaceFullPath.
    #[serde(default)]
    pub replace_full_path: Option<String>,
    /// For ReplacePrefixMatch.
    #[serde(default)]
    pub replace_prefix_match: Option<String>,
}

/// `HTTPCORSFilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsFilter {
    /// Origins, with wildcards.
    pub allow_origins: Vec<String>,
    /// Whether credentials are allowed.
    pub allow_credentials: Option<bool>,
    /// Methods, `*` for all.
    pub allow_methods: Vec<String>,
    /// Request headers, `*` for all.
    pub allow_headers: Vec<String>,
    /// Response headers shown to scripts.
    pub expose_headers: Vec<String>,
    /// Seconds; `None` means 5.
    pub max_age: Option<u32>,
}
