//! Rules of HTTPRoutes and GRPCRoutes in one form.

use crate::api::ObjectMeta;
use crate::api::gateway_api::{
    BackendRef, Filter, GrpcRoute, HttpRoute, HttpRouteRule, ParentReference, RouteRetry, SessionPersistence,
};
use crate::model::{Retry, Session};
use crate::translate::matches::{self, Ranked};
use crate::translate::{durations, texts};

/// A route of either kind.
pub(super) struct Source<'a> {
    pub(super) meta: &'a ObjectMeta,
    pub(super) parent_refs: &'a [ParentReference],
    pub(super) hostnames: &'a [String],
    pub(super) grpc: bool,
    pub(super) rules: Vec<Rule<'a>>,
    /// A field of the route that is not built.
    pub(super) unbuilt: Option<&'static str>,
}

/// A rule of either kind.
pub(super) struct Rule<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) matches: Vec<Result<Ranked, String>>,
    pub(super) filters: &'a [Filter],
    pub(super) backends: Vec<(&'a BackendRef, &'a [Filter])>,
    pub(super) timeouts: Result<(Option<u64>, Option<u64>), String>,
    pub(super) retry: Result<Option<Retry>, String>,
    pub(super) session: Option<&'a SessionPersistence>,
}

/// Everything, to no backend.
static DEFAULT: [HttpRouteRule; 1] = [HttpRouteRule {
    name: None,
    matches: Vec::new(),
    filters: Vec::new(),
    backend_refs: Vec::new(),
    timeouts: None,
    retry: None,
    session_persistence: None,
}];

/// Reads an HTTPRoute.
pub(super) fn http(route: &HttpRoute) -> Source<'_> {
    // The API server would add this rule to a route without one.
    let all = if route.spec.rules.is_empty() { &DEFAULT[..] } else { &*route.spec.rules };
    let rules = all.iter().map(|rule| Rule {
        name: rule.name.as_deref(),
        matches: if rule.matches.is_empty() {
            vec![matches::http(&Default::default())]
        } else {
            rule.matches.iter().map(matches::http).collect()
        },
        filters: &rule.filters,
        backends: rule.backend_refs.iter().map(|b| (&b.backend, &*b.filters)).collect(),
        timeouts: timeouts(rule.timeouts.as_ref()),
        retry: rule.retry.as_ref().map(retry).transpose(),
        session: rule.session_persistence.as_ref(),
    });
    Source {
        meta: &route.metadata,
        parent_refs: &route.spec.parent_refs,
        hostnames: &route.spec.hostnames,
        grpc: false,
        rules: rules.collect(),
        unbuilt: route.spec.use_default_gateways.as_ref().map(|_| "spec.useDefaultGateways"),
    }
}

/// Reads a GRPCRoute.
pub(super) fn grpc(route: &GrpcRoute) -> Source<'_> {
    let rules = route.spec.rules.iter().map(|rule| Rule {
        name: rule.name.as_deref(),
        matches: if rule.matches.is_empty() {
            vec![matches::grpc(&Default::default())]
        } else {
            rule.matches.iter().map(matches::grpc).collect()
        },
        filters: &rule.filters,
        backends: rule.backend_refs.iter().map(|b| (&b.backend, &*b.filters)).collect(),
        timeouts: Ok((None, None)),
        retry: Ok(None),
        session: rule.session_persistence.as_ref(),
    });
    Source {
        meta: &route.metadata,
        parent_refs: &route.spec.parent_refs,
        hostnames: &route.spec.hostnames,
        grpc: true,
        rules: rules.collect(),
        unbuilt: route.spec.use_default_gateways.as_ref().map(|_| "spec.useDefaultGateways"),
    }
}

fn timeouts(spec: Option<&crate::api::gateway_api::HttpRouteTimeouts>) -> Result<(Option<u64>, Option<u64>), String> {
    let Some(spec) = spec else { return Ok((None, None)) };
    let read = |name: &str, text: &Option<String>| {
        text.as_deref().map(durations::gateway_api).transpose().map_err(|e| format!("timeouts.{name}: {e}"))
    };
    let (request, backend) = (read("request", &spec.request)?, read("backendRequest", &spec.backend_request)?);
    match (request, backend) {
        (Some(request), Some(backend)) if request > 0 && backend > request => {
            Err("timeouts.backendRequest is longer than timeouts.request".to_owned())
        }
        both => Ok(both),
    }
}

fn retry(spec: &RouteRetry) -> Result<Retry, String> {
    if let Some(code) = spec.codes.iter().find(|code| !(400..=599).contains(*code)) {
        return Err(format!("retry.codes has {code}, which is no error"));
    }
    let backoff_ms =
        spec.backoff.as_deref().map(durations::gateway_api).transpose().map_err(|e| format!("retry.backoff: {e}"))?;
    let codes = spec.codes.iter().map(|code| u32::from(*code)).collect();
    Ok(Retry { codes, attempts: spec.attempts.unwrap_or(1), backoff_ms })
}

/// Session persistence of a rule. Without a word from the user a cookie belongs to the path that is matched.
pub(super) fn session(spec: &SessionPersistence, rule: &str, path: &str) -> Result<Session, String> {
    if spec.idle_timeout.is_some() {
        return Err("sessionPersistence.idleTimeout is not built".to_owned());
    }
    if spec.cookie.is_some() && spec.cookie_config.is_some() {
        return Err("sessionPersistence has both cookie and the older cookieConfig".to_owned());
    }
    let absolute = spec.absolute_timeout.as_deref().map(durations::gateway_api).transpose();
    let absolute = absolute.map_err(|e| format!("sessionPersistence.absoluteTimeout: {e}"))?;
    let cookie = spec.cookie.as_ref().or(spec.cookie_config.as_ref());
    let own = cookie.and_then(|c| c.name.as_ref()).or_else(|| spec.header.as_ref()?.name.as_ref());
    let name = own.or(spec.session_name.as_ref()).cloned().unwrap_or_else(|| format!("argosy-{rule}"));
    texts::name(&name).map_err(|_| format!("sessionPersistence: {name:?} is no name of a cookie or header"))?;
    match spec.kind.as_deref().unwrap_or("Cookie") {
        "Header" if cookie.is_some() => Err("sessionPersistence of type Header has settings of a cookie".to_owned()),
        "Header" if absolute.is_some() => Err("sessionPersistence.absoluteTimeout is not built for headers".to_owned()),
        "Header" => Ok(Session::Header { name }),
        "Cookie" if spec.header.is_some() => {
            Err("sessionPersistence of type Cookie has settings of a header".to_owned())
        }
        "Cookie" => {
            // The default is that of `cookie`; the older field and none at all have that of GEP-1619.
            let default = if spec.cookie.is_some() { "/" } else { path };
            let path = cookie.and_then(|cookie| cookie.path.as_deref()).unwrap_or(default);
            if !path.starts_with('/') || path.contains(';') || texts::path(path).is_err() {
                return Err(format!("sessionPersistence: {path:?} is no path of a cookie"));
            }
            let lifetime = cookie.and_then(|cookie| cookie.lifetime_type.as_deref()).unwrap_or("Session");
            Ok(Session::Cookie { name, ttl_seconds: ttl(lifetime, absolute)?, path: path.to_owned() })
        }
        kind => Err(format!("sessionPersistence.type {kind:?} is neither Cookie nor Header")),
    }
}

/// Seconds that a cookie lives; 0 until the browser ends.
fn ttl(lifetime: &str, absolute_ms: Option<u64>) -> Result<u64, String> {
    match (lifetime, absolute_ms) {
        ("Session", None) => Ok(0),
        ("Session", Some(_)) => {
            Err("sessionPersistence.absoluteTimeout is built for cookies of lifetimeType Permanent only".to_owned())
        }
        ("Permanent", Some(ms)) if ms > 0 => Ok(ms.div_ceil(1000)),
        ("Permanent", _) => Err("sessionPersistence with a permanent cookie needs absoluteTimeout".to_owned()),
        (other, _) => Err(format!("sessionPersistence: lifetimeType {other:?} is neither Session nor Permanent")),
    }
}
