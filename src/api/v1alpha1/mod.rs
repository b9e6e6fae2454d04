//! In: `gateway.envoyproxy.io/v1alpha1` objects as written for Envoy Gateway.
//! Out: typed fields where they are built, raw JSON where they are not yet, so that they can be refused by name.
//! Never: a field that is read and ignored.

mod envoy_patch_policy;
mod envoy_proxy;
mod policy;
mod security_policy;

pub use envoy_patch_policy::{EnvoyPatchPolicy, EnvoyPatchPolicySpec, JsonPatchConfig, JsonPatchOperation};
pub use envoy_proxy::{EnvoyProxy, EnvoyProxySpec, ProxyBootstrap, ProxyLogging, ProxyProvider};
pub use policy::PolicyTargetReference;
pub use security_policy::{
    BodyToExtAuth, ClaimToHeader, ExtAuth, GrpcExtAuth, HttpExtAuth, Jwt, JwtExtractor, JwtHeaderExtractor,
    JwtProvider, LocalJwks, RemoteJwks, SecurityPolicy, SecurityPolicySpec,
};
