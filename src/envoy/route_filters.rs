//! Configuration of HTTP filters for single routes (`typed_per_filter_config`).

use super::http_filters::{CORS, EXT_AUTHZ, JWT, SESSION};
use super::wire::{any, boolean, string_matcher};
use crate::model::{Cors, RouteEntry, Session};
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    CheckSettings, ExtAuthzPerRoute, ext_authz_per_route,
};
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    PerRouteConfig, per_route_config::RequirementSpecifier,
};
use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3::{
    StatefulSession, StatefulSessionPerRoute, stateful_session_per_route,
};
use envoy_types::pb::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use envoy_types::pb::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use envoy_types::pb::envoy::r#type::http::v3::Cookie;
use envoy_types::pb::google::protobuf::{Any, Duration};
use std::collections::BTreeMap;

/// Filter name → configuration, in the order of the names.
pub(super) fn configs(entry: &RouteEntry) -> BTreeMap<String, Any> {
    let mut configs = BTreeMap::new();
    if let Some(cors) = &entry.cors {
        configs.insert(CORS.to_owned(), any(&self::cors(cors)));
    }
    if let Some(session) = &entry.session {
        configs.insert(SESSION.to_owned(), any(&self::session(session)));
    }
    if let Some(key) = &entry.security.jwt {
        let requirement = RequirementSpecifier::RequirementName(key.0.clone());
        configs.insert(JWT.to_owned(), any(&PerRouteConfig { requirement_specifier: Some(requirement) }));
    }
    if let Some(key) = &entry.security.ext_auth {
        // Any configuration switches the filter on, which is off by default.
        let check = ext_authz_per_route::Override::CheckSettings(CheckSettings::default());
        let on = any(&ExtAuthzPerRoute { r#override: Some(check) });
        let config = FilterConfig { config: Some(on), ..FilterConfig::default() };
        configs.insert(format!("{EXT_AUTHZ}/{}", key.0), any(&config));
    }
    configs
}

fn cors(cors: &Cors) -> CorsPolicy {
    let origin = |origin: &String| match origin.as_str() {
        "*" => string_matcher(".*", true),
        wildcard if wildcard.contains('*') => string_matcher(&::regex::escape(wildcard).replace("\\*", ".*"), true),
        exact => string_matcher(exact, false),
    };
    CorsPolicy {
        allow_origin_string_match: cors.allow_origins.iter().map(origin).collect(),
        allow_methods: cors.allow_methods.join(","),
        allow_headers: cors.allow_headers.join(","),
        expose_headers: cors.expose_headers.join(","),
        max_age: cors.max_age.to_string(),
        allow_credentials: boolean(cors.allow_credentials),
        // The gateway answers every preflight itself.
        forward_not_matching_preflights: boolean(false),
        ..CorsPolicy::default()
    }
}

fn session(session: &Session) -> StatefulSessionPerRoute {
    let (name, typed_config) = match session {
        Session::Cookie { name, ttl_seconds, path } => {
            let ttl = Duration { seconds: i64::try_from(*ttl_seconds).unwrap_or(i64::MAX), nanos: 0 };
            let cookie = Cookie { name: name.clone(), path: path.clone(), ttl: Some(ttl), ..Cookie::default() };
            ("envoy.http.stateful_session.cookie", any(&CookieBasedSessionState { cookie: Some(cookie) }))
        }
        Session::Header { name } => {
            ("envoy.http.stateful_session.header", any(&HeaderBasedSessionState { name: name.clone() }))
        }
    };
    let state = TypedExtensionConfig { name: name.to_owned(), typed_config: Some(typed_config) };
    let session = StatefulSession { session_state: Some(state), ..StatefulSession::default() };
    StatefulSessionPerRoute { r#override: Some(stateful_session_per_route::Override::StatefulSession(session)) }
}
