//! Certificates and the filters that guard routes.

use super::BackendKey;
use std::fmt;

/// A TLS certificate by its Secret; the SDS name is `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretKey {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
}

impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A checked certificate chain and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsCertificate {
    /// The chain, leaf first.
    pub certificate: Vec<u8>,
    /// The key.
    pub private_key: Vec<u8>,
}

impl fmt::Debug for TlsCertificate {
    /// Never shows the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsCertificate([redacted])")
    }
}

/// Names a security filter by the policy it comes from: `securitypolicy/<namespace>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterKey(pub String);

/// A filter that the listener of a route has to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerFilter {
    /// `envoy.filters.http.jwt_authn`: one filter for all policies, one named requirement a policy.
    Jwt(JwtRequirement),
    /// `envoy.filters.http.ext_authz`: one filter a policy, off by default and switched on by its routes.
    ExtAuth(ExtAuth),
}

/// One policy's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRequirement {
    /// The policy.
    pub key: FilterKey,
    /// Requests without a token pass.
    pub optional: bool,
    /// Any of them.
    pub providers: Vec<JwtProvider>,
}

/// Who issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtProvider {
    /// The name in the policy.
    pub name: String,
    /// The issuer; `None` for any.
    pub issuer: Option<String>,
    /// Audiences; empty for any.
    pub audiences: Vec<String>,
    /// The keys.
    pub jwks: Jwks,
    /// (claim, header).
    pub claim_to_headers: Vec<(String, String)>,
    /// (header, prefix of the value).
    pub from_headers: Vec<(String, String)>,
    /// Cookies.
    pub from_cookies: Vec<String>,
    /// Query parameters.
    pub from_params: Vec<String>,
    /// Chooses the route again.
    pub recompute_route: bool,
}

/// The keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// JSON.
    Inline(String),
    /// Fetched by Envoy.
    Remote {
        /// The URI.
        uri: String,
        /// Where it is.
        backend: BackendKey,
        /// In milliseconds.
        cache_ms: u64,
    },
}

/// One policy's external authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtAuth {
    /// The policy.
    pub key: FilterKey,
    /// The service.
    pub service: ExtAuthService,
    /// Request headers the service sees; empty means: gRPC all, HTTP only the standard ones.
    pub headers: Vec<String>,
    /// The most bytes of the body that are sent; `None` sends none.
    pub body_bytes: Option<u32>,
    /// Requests pass while the service does not answer.
    pub fail_open: bool,
    /// In milliseconds.
    pub timeout_ms: u64,
    /// Chooses the route again.
    pub recompute_route: bool,
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtAuthService {
    /// `envoy.service.auth.v3.Authorization`.
    Grpc {
        /// The service.
        backend: BackendKey,
        /// `host:port`, sent as `:authority`.
        authority: String,
    },
    /// Plain HTTP.
    Http {
        /// The service.
        backend: BackendKey,
        /// `host:port` of its URI.
        authority: String,
        /// Put before the request's path.
        path: String,
        /// Headers of its answer that the backend sees.
        headers_to_backend: Vec<String>,
    },
}
