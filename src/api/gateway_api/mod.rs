//! In: `gateway.networking.k8s.io` objects, standard channel of Gateway API 1.7.0 and its older versions.
//! Out: lean structs, one for each concept, shared by all kinds.
//! Never: defaults that depend on other objects.

mod common;
mod filters;
mod gateway;
mod gateway_class;
mod grpc_route;
mod http_route;
mod reference_grant;

pub use common::{
    BackendRef, CookieConfig, HeaderMatch, LocalObjectReference, NamespacedReference, ParentReference, RouteRetry,
    SessionPersistence,
};
pub use filters::{
    CorsFilter, Filter, Fraction, Header, HeaderModifier, MirrorFilter, MirrorTarget, PathModifier, RedirectFilter,
    UrlRewriteFilter,
};
pub use gateway::{
    AllowedRoutes, Gateway, GatewayAddress, GatewayInfrastructure, GatewaySpec, Listener, ListenerTls, RouteGroupKind,
    RouteNamespaces,
};
pub use gateway_class::{GatewayClass, GatewayClassSpec, ParametersReference};
pub use grpc_route::{GrpcBackendRef, GrpcMethodMatch, GrpcRoute, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec};
pub use http_route::{
    HttpBackendRef, HttpPathMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, HttpRouteTimeouts,
};
pub use reference_grant::{ReferenceGrant, ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};
