//! Routes after translation: entries of virtual hosts.

use super::{BackendKey, FilterKey};
use std::cmp::Reverse;

/// One entry of a virtual host: one match of one rule of one route (or a share of it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The route table (`RouteConfiguration`) it belongs to.
    pub table: String,
    /// The virtual host it belongs to: an intersection of listener and route hostname, `*` for all.
    pub hostname: String,
    /// Its place among the entries of the virtual host.
    pub order: Order,
    /// The name of the Envoy route, for logs and patches: `httproute/<ns>/<name>/rule/<i>/match/<j>/<host>`.
    pub name: String,
    /// What it matches.
    pub matches: RouteMatch,
    /// What happens then.
    pub action: RouteAction,
    /// Changes to request headers.
    pub request_headers: HeaderChanges,
    /// Changes to response headers.
    pub response_headers: HeaderChanges,
    /// Policies that apply to the entry.
    pub security: RouteSecurity,
    /// Cross-origin resource sharing.
    pub cors: Option<Cors>,
    /// Session persistence.
    pub session: Option<Session>,
}

/// The precedence of Gateway API: entries are tried in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// Characters of the route's own hostname, exact before wildcard: (not wildcard, length), larger first.
    pub hostname: Reverse<(bool, usize)>,
    /// 0 exact, 1 regular expression, 2 prefix; for GRPCRoute what its method match amounts to.
    pub path_kind: u8,
    /// Characters of the path, larger first.
    pub path_length: Reverse<usize>,
    /// Has a method match, larger first.
    pub method: Reverse<bool>,
    /// Number of header matches, larger first.
    pub headers: Reverse<usize>,
    /// Number of query parameter matches, larger first.
    pub query_params: Reverse<usize>,
    /// Creation time, RFC 3339, older first; empty is the oldest.
    pub created: String,
    /// `namespace/name`, then the kind, since an HTTPRoute and a GRPCRoute may have one name.
    pub route: (String, String),
    /// Index of the rule.
    pub rule: usize,
    /// Index of the match in the rule.
    pub index: usize,
    /// Index of the share, when one match is split over several entries.
    pub share: usize,
}

/// What a request has to look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteMatch {
    /// The path.
    pub path: PathMatch,
    /// The method, exact.
    pub method: Option<String>,
    /// Headers, all of them.
    pub headers: Vec<ValueMatch>,
    /// Query parameters, all of them.
    pub query_params: Vec<ValueMatch>,
    /// Matches this share of requests, in parts of a million, *cumulative*: Envoy draws one number a request, so
    /// entries of one match carry rising limits (`RouteMatch.runtime_fraction`). `None` matches all.
    pub share: Option<u32>,
}

/// How the path is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// Whole segments, without a trailing slash; `/` is everything.
    Prefix(String),
    /// The whole path, RE2 syntax.
    Regex(String),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// A header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueMatch {
    /// The name.
    pub name: String,
    /// The value or expression.
    pub value: String,
    /// RE2 expression instead of exact.
    pub regex: bool,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAction {
    /// Goes to backends.
    Forward(Box<Forward>),
    /// Is answered with a redirect.
    Redirect(Redirect),
    /// Is answered by Envoy.
    Respond {
        /// The status code.
        status: u16,
        /// The body.
        body: String,
    },
}

/// Forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Backends with positive weights; never empty.
    pub backends: Vec<WeightedBackend>,
    /// The whole request, in milliseconds; `None` and 0 mean no limit.
    pub timeout_ms: Option<u64>,
    /// One try, in milliseconds; `None` and 0 mean no limit.
    pub try_timeout_ms: Option<u64>,
    /// Retries.
    pub retry: Option<Retry>,
    /// Copies.
    pub mirrors: Vec<Mirror>,
    /// The Host that backends see.
    pub host_rewrite: Option<String>,
    /// The path that backends see.
    pub path_rewrite: Option<PathRewrite>,
}

/// A backend with its share and own filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedBackend {
    /// The backend.
    pub backend: BackendKey,
    /// Its share.
    pub weight: u32,
    /// Changes to request headers.
    pub request_headers: HeaderChanges,
    /// Changes to response headers.
    pub response_headers: HeaderChanges,
}

/// Retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Response codes that are tried again.
    pub codes: Vec<u32>,
    /// Tries after the first.
    pub attempts: u32,
    /// The least pause, in milliseconds.
    pub backoff_ms: Option<u64>,
}

/// Copies of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Where they go.
    pub backend: BackendKey,
    /// Share in parts of a million; `None` means all.
    pub share: Option<u32>,
}

/// How the path is changed, for backends and redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// The whole path.
    Full(String),
    /// The matched prefix (given for the special cases of `/`), and what stands in its place.
    Prefix {
        /// What was matched, without a trailing slash; `/` is the root.
        matched: String,
        /// What stands in its place, without a trailing slash; empty for nothing.
        replacement: String,
    },
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// http or https; `None` keeps the request's.
    pub scheme: Option<String>,
    /// `None` keeps the request's.
    pub hostname: Option<String>,
    /// The port to write; `None` writes none.
    pub port: Option<u16>,
    /// `None` keeps the request's.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Header changes, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Overwrites.
    pub set: Vec<(String, String)>,
    /// Appends.
    pub add: Vec<(String, String)>,
    /// Removes.
    pub remove: Vec<String>,
}

/// CORS (`envoy.extensions.filters.http.cors.v3.CorsPolicy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins: exact ones, or with `*` inside, or `*`.
    pub allow_origins: Vec<String>,
    /// Whether credentials are allowed.
    pub allow_credentials: bool,
    /// Methods; `["*"]` for all.
    pub allow_methods: Vec<String>,
    /// Request headers; `["*"]` for all.
    pub allow_headers: Vec<String>,
    /// Response headers.
    pub expose_headers: Vec<String>,
    /// Seconds.
    pub max_age: u32,
}

/// Session persistence (`envoy.extensions.filters.http.stateful_session.v3`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    /// By a cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Its life in seconds; 0 for a session cookie.
        ttl_seconds: u64,
        /// Its path.
        path: String,
    },
    /// By a header.
    Header {
        /// Its name.
        name: String,
    },
}

/// Which of the listener's security filters apply to an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSecurity {
    /// The requirement of the JWT filter.
    pub jwt: Option<FilterKey>,
    /// The external authorization filter.
    pub ext_auth: Option<FilterKey>,
}
