//! `SecurityPolicy`: who may call.

use super::PolicyTargetReference;
use crate::api::ObjectMeta;
use crate::api::gateway_api::{BackendRef, LocalObjectReference};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `SecurityPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityPolicy {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    #[serde(default)]
    pub spec: SecurityPolicySpec,
}

/// `SecurityPolicySpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityPolicySpec {
    /// One target, the older field.
    pub target_ref: Option<PolicyTargetReference>,
    /// Targets.
    pub target_refs: Vec<PolicyTargetReference>,
    /// Not built: targets by label.
    pub target_selectors: Option<Value>,
    /// JSON Web Tokens.
    pub jwt: Option<Jwt>,
    /// External authorization.
    pub ext_auth: Option<ExtAuth>,
    /// Not built.
    pub merge_type: Option<Value>,
    /// Not built.
    pub cors: Option<Value>,
    /// Not built.
    pub csrf: Option<Value>,
    /// Not built.
    pub basic_auth: Option<Value>,
    /// Not built.
    #[serde(rename = "apiKeyAuth")]
    pub api_key_auth: Option<Value>,
    /// Not built.
    pub oidc: Option<Value>,
    /// Not built.
    pub authorization: Option<Value>,
    /// Unknown fields: a policy with one of them is refused too, since nobody knows what it was to protect.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `JWT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Jwt {
    /// Requests without a token pass.
    pub optional: Option<bool>,
    /// Who may issue tokens; one of them has to match.
    pub providers: Vec<JwtProvider>,
    /// Unknown and unbuilt fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `JWTProvider`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JwtProvider {
    /// The name.
    pub name: String,
    /// The issuer; `None` means any.
    pub issuer: Option<String>,
    /// Audiences, of which one has to match; empty means any.
    pub audiences: Vec<String>,
    /// Keys from a URI.
    #[serde(rename = "remoteJWKS")]
    pub remote_jwks: Option<RemoteJwks>,
    /// Keys from the policy or a ConfigMap.
    #[serde(rename = "localJWKS")]
    pub local_jwks: Option<LocalJwks>,
    /// Claims passed on as headers.
    pub claim_to_headers: Vec<ClaimToHeader>,
    /// Chooses the route again after the claims became headers.
    pub recompute_route: Option<bool>,
    /// Where tokens stand in the request; `None` means `Authorization: Bearer` and `access_token`.
    pub extract_from: Option<JwtExtractor>,
    /// Unknown and unbuilt fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `RemoteJWKS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteJwks {
    /// http or https.
    pub uri: String,
    /// Go duration; `None` means 300 s.
    pub cache_duration: Option<String>,
    /// Unknown and unbuilt fields (`backendRefs`, `backendSettings`, …).
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `LocalJWKS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalJwks {
    /// Inline or ValueRef; `None` means Inline.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The key set as JSON.
    pub inline: Option<String>,
    /// A ConfigMap with key `jwks`, or with one key only.
    pub value_ref: Option<LocalObjectReference>,
}

/// `ClaimToHeader`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimToHeader {
    /// The header that the backend sees.
    pub header: String,
    /// The claim; nested ones are joined by a dot.
    pub claim: String,
}

/// `JWTExtractor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JwtExtractor {
    /// Headers.
    pub headers: Vec<JwtHeaderExtractor>,
    /// Cookies.
    pub cookies: Vec<String>,
    /// Query parameters.
    pub params: Vec<String>,
}

/// `JWTHeaderExtractor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtHeaderExtractor {
    /// The header.
    pub name: String,
    /// What stands before the token.
    #[serde(default)]
    pub value_prefix: Option<String>,
}

/// `ExtAuth`: either `grpc` or `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtAuth {
    /// A gRPC service.
    pub grpc: Option<GrpcExtAuth>,
    /// An HTTP service.
    pub http: Option<HttpExtAuth>,
    /// Request headers that the service sees; for HTTP in addition to method, path, host and authorization.
    pub headers_to_ext_auth: Vec<String>,
    /// Sends the body too.
    pub body_to_ext_auth: Option<BodyToExtAuth>,
    /// Requests pass while the service does not answer.
    pub fail_open: Option<bool>,
    /// Go duration; `None` means 10 s.
    pub timeout: Option<String>,
    /// Chooses the route again after the service changed headers.
    pub recompute_route: Option<bool>,
    /// Unknown and unbuilt fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `GRPCExtAuthService`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcExtAuth {
    /// The older field.
    pub backend_ref: Option<BackendRef>,
    /// The service; one entry.
    pub backend_refs: Vec<BackendRef>,
    /// Unknown and unbuilt fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `HTTPExtAuthService`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpExtAuth {
    /// The older field.
    pub backend_ref: Option<BackendRef>,
    /// The service; one entry.
    pub backend_refs: Vec<BackendRef>,
    /// Put before the request's path.
    pub path: Option<String>,
    /// Headers of its answer that the backend sees.
    pub headers_to_backend: Vec<String>,
    /// Unknown and unbuilt fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `BodyToExtAuth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyToExtAuth {
    /// The most bytes that are sent.
    pub max_request_bytes: u32,
}
