//! The HTTP filters of a listener, in Envoy Gateway's order: cors, ext_authz, jwt_authn, stateful_session, router.
//!
//! Filters that single routes configure completely (cors, stateful_session) are always there: their first use is then an
//! edit of a route, not of the listener, whose connections would have to drain.

use crate::model::{ExtAuth, ExtAuthService, Jwks, JwtProvider, JwtRequirement, ListenerFilter};
use serde_json::{Map, Value, json};

pub(super) const CORS: &str = "envoy.filters.http.cors";
pub(super) const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";
pub(super) const JWT: &str = "envoy.filters.http.jwt_authn";
pub(super) const SESSION: &str = "envoy.filters.http.stateful_session";
const ROUTER: &str = "envoy.filters.http.router";

/// `http_filters` of the connection manager, as protobuf JSON.
pub(super) fn http_filters(filters: &[ListenerFilter]) -> Vec<Value> {
    let mut all = vec![filter(CORS, "envoy.extensions.filters.http.cors.v3.Cors", Map::new())];
    let mut requirements = Vec::new();
    for filter in filters {
        match filter {
            ListenerFilter::ExtAuth(ext_auth) => all.push(self::ext_auth(ext_auth)),
            ListenerFilter::Jwt(requirement) => requirements.push(requirement),
        }
    }
    if !requirements.is_empty() {
        all.push(jwt(&requirements));
    }
    all.push(filter(SESSION, "envoy.extensions.filters.http.stateful_session.v3.StatefulSession", Map::new()));
    all.push(filter(ROUTER, "envoy.extensions.filters.http.router.v3.Router", Map::new()));
    all
}

fn filter(name: &str, kind: &str, mut config: Map<String, Value>) -> Value {
    config.insert("@type".to_owned(), json!(format!("type.googleapis.com/{kind}")));
    json!({"name": name, "typed_config": config})
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn ext_auth(ext_auth: &ExtAuth) -> Value {
    let timeout = seconds(ext_auth.timeout_ms);
    let exact = |names: &[String]| -> Value {
        json!({"patterns": names.iter().map(|name| json!({"exact": name, "ignore_case": true})).collect::<Vec<_>>()})
    };
    let mut config = object(json!({
        "transport_api_version": "V3",
        "failure_mode_allow": ext_auth.fail_open,
        "clear_route_cache": ext_auth.recompute_route,
    }));
    match &ext_auth.service {
        ExtAuthService::Grpc { backend, authority } => {
            config.insert(
                "grpc_service".to_owned(),
                // Without it Envoy sends the name of the cluster, which is no valid authority.
                json!({"envoy_grpc": {"cluster_name": backend.cluster_name(), "authority": authority}, "timeout": timeout}),
            );
        }
        ExtAuthService::Http { backend, authority, path, headers_to_backend } => {
            let mut service = object(json!({
                "server_uri": {"uri": format!("http://{authority}{path}"), "cluster": backend.cluster_name(), "timeout": timeout},
                "path_prefix": path,
            }));
            if !headers_to_backend.is_empty() {
                service.insert(
                    "authorization_response".to_owned(),
                    json!({"allowed_upstream_headers": exact(headers_to_backend)}),
                );
            }
            config.insert("http_service".to_owned(), Value::Object(service));
        }
    }
    if !ext_auth.headers.is_empty() {
        config.insert("allowed_headers".to_owned(), exact(&ext_auth.headers));
    }
    if let Some(bytes) = ext_auth.body_bytes {
        config.insert(
            "with_request_body".to_owned(),
            json!({"max_request_bytes": bytes, "allow_partial_message": false}),
        );
    }
    let name = format!("{EXT_AUTHZ}/{}", ext_auth.key.0);
    let mut value = filter(&name, "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", config);
    value["disabled"] = json!(true);
    value
}

fn jwt(requirements: &[&JwtRequirement]) -> Value {
    let (mut providers, mut map) = (Map::new(), Map::new());
    for requirement in requirements {
        let name = |provider: &JwtProvider| format!("{}/{}", requirement.key.0, provider.name);
        for provider in &requirement.providers {
            providers.insert(name(provider), jwt_provider(provider));
        }
        let mut any: Vec<Value> =
            requirement.providers.iter().map(|provider| json!({"provider_name": name(provider)})).collect();
        if requirement.optional {
            any.push(json!({"allow_missing": {}}));
        }
        let one = if any.len() == 1 { any.remove(0) } else { json!({"requires_any": {"requirements": any}}) };
        map.insert(requirement.key.0.clone(), one);
    }
    let config = object(json!({"providers": providers, "requirement_map": map}));
    filter(JWT, "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", config)
}

fn jwt_provider(provider: &JwtProvider) -> Value {
    let headers: Vec<Value> =
        provider.from_headers.iter().map(|(name, prefix)| json!({"name": name, "value_prefix": prefix})).collect();
    let claims: Vec<Value> = provider
        .claim_to_headers
        .iter()
        .map(|(claim, header)| json!({"claim_name": claim, "header_name": header}))
        .collect();
    let mut value = object(json!({
        "audiences": provider.audiences,
        "from_headers": headers,
        "from_cookies": provider.from_cookies,
        "from_params": provider.from_params,
        "claim_to_headers": claims,
        "clear_route_cache": provider.recompute_route,
        "payload_in_metadata": provider.name,
        "forward": true,
    }));
    if let Some(issuer) = &provider.issuer {
        value.insert("issuer".to_owned(), json!(issuer));
    }
    match &provider.jwks {
        Jwks::Inline(keys) => {
            value.insert("local_jwks".to_owned(), json!({"inline_string": keys}));
        }
        Jwks::Remote { uri, backend, cache_ms } => {
            let http_uri = json!({"uri": uri, "cluster": backend.cluster_name(), "timeout": "5s"});
            // Fetched when the listener is loaded, without holding it up: an issuer that is down keeps nobody else waiting.
            let remote = json!({"http_uri": http_uri, "cache_duration": seconds(*cache_ms),
                "async_fetch": {"fast_listener": true}});
            value.insert("remote_jwks".to_owned(), remote);
        }
    }
    Value::Object(value)
}
