//! SecurityPolicies: JWT and external authorization.

use super::backends;
use super::durations;
use super::grants::End;
use super::texts;
use crate::api::v1alpha1::{ExtAuth as ExtAuthSpec, Jwt, JwtProvider as ProviderSpec, SecurityPolicy};
use crate::model::{BackendKey, ExtAuth, ExtAuthService, FilterKey, Jwks, JwtProvider, JwtRequirement, NamespacedName};
use crate::store::View;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a policy asks of the routes it applies to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Guard {
    pub(super) jwt: Option<JwtRequirement>,
    pub(super) ext_auth: Option<ExtAuth>,
    pub(super) backends: BTreeSet<BackendKey>,
}

/// Reads a policy; the error names the field. A policy that cannot be read as a whole protects nothing, so its routes are
/// closed.
pub(super) fn read(view: &dyn View, policy: &SecurityPolicy) -> Result<Guard, String> {
    let spec = &policy.spec;
    for (field, value) in [
        ("targetSelectors", &spec.target_selectors),
        ("mergeType", &spec.merge_type),
        ("cors", &spec.cors),
        ("csrf", &spec.csrf),
        ("basicAuth", &spec.basic_auth),
        ("apiKeyAuth", &spec.api_key_auth),
        ("oidc", &spec.oidc),
        ("authorization", &spec.authorization),
    ] {
        if value.is_some() {
            return Err(format!("spec.{field} is not built yet"));
        }
    }
    none_of(&spec.rest, "spec")?;
    let key = FilterKey(format!("securitypolicy/{}/{}", policy.metadata.namespace, policy.metadata.name));
    let mut guard = Guard::default();
    if let Some(jwt) = &spec.jwt {
        guard.jwt = Some(self::jwt(view, policy, key.clone(), jwt, &mut guard.backends)?);
    }
    if let Some(ext_auth) = &spec.ext_auth {
        guard.ext_auth = Some(self::ext_auth(view, policy, key, ext_auth, &mut guard.backends)?);
    }
    Ok(guard)
}

fn none_of(rest: &std::collections::BTreeMap<String, Value>, path: &str) -> Result<(), String> {
    rest.keys().next().map_or(Ok(()), |field| Err(format!("{path}.{field} is unknown or not built yet")))
}

fn jwt(
    view: &dyn View,
    policy: &SecurityPolicy,
    key: FilterKey,
    spec: &Jwt,
    backends: &mut BTreeSet<BackendKey>,
) -> Result<JwtRequirement, String> {
    none_of(&spec.rest, "spec.jwt")?;
    if spec.providers.is_empty() {
        return Err("spec.jwt.providers is empty".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut providers = Vec::new();
    for (index, provider) in spec.providers.iter().enumerate() {
        let path = format!("spec.jwt.providers[{index}]");
        if provider.name.is_empty() || !names.insert(&provider.name) {
            return Err(format!("{path}.name {:?} is empty or occurs twice", provider.name));
        }
        providers.push(self::provider(view, policy, provider, &path, backends)?);
    }
    Ok(JwtRequirement { key, optional: spec.optional.unwrap_or(false), providers })
}

fn provider(
    view: &dyn View,
    policy: &SecurityPolicy,
    spec: &ProviderSpec,
    path: &str,
    backends: &mut BTreeSet<BackendKey>,
) -> Result<JwtProvider, String> {
    none_of(&spec.rest, path)?;
    let jwks = match (&spec.remote_jwks, &spec.local_jwks) {
        (Some(remote), None) => {
            let path = format!("{path}.remoteJWKS");
            none_of(&remote.rest, &path)?;
            let backend = uri_backend(&remote.uri).map_err(|problem| format!("{path}.uri: {problem}"))?;
            backends.insert(backend.clone());
            let cache = remote.cache_duration.as_deref().unwrap_or("300s");
            let cache_ms = bounded(cache, 1).map_err(|problem| format!("{path}.cacheDuration: {problem}"))?;
            Jwks::Remote { uri: remote.uri.clone(), backend, cache_ms }
        }
        (None, Some(local)) => Jwks::Inline(self::local(view, policy, local, &format!("{path}.localJWKS"))?),
        _ => return Err(format!("{path} needs either remoteJWKS or localJWKS")),
    };
    let extract = spec.extract_from.clone().unwrap_or_default();
    for (index, extractor) in extract.headers.iter().enumerate() {
        let checked =
            texts::name(&extractor.name).and_then(|()| extractor.value_prefix.as_deref().map_or(Ok(()), texts::value));
        checked.map_err(|problem| format!("{path}.extractFrom.headers[{index}]: {problem}"))?;
    }
    if extract.cookies.iter().chain(&extract.params).any(String::is_empty) {
        return Err(format!("{path}.extractFrom has a cookie or parameter without a name"));
    }
    for (index, claim) in spec.claim_to_headers.iter().enumerate() {
        let path = format!("{path}.claimToHeaders[{index}]");
        texts::name(&claim.header).map_err(|problem| format!("{path}.header: {problem}"))?;
        if claim.claim.is_empty() {
            return Err(format!("{path}.claim is empty"));
        }
    }
    let prefix = |prefix: &Option<String>| prefix.clone().unwrap_or_default();
    Ok(JwtProvider {
        name: spec.name.clone(),
        issuer: spec.issuer.clone().filter(|issuer| !issuer.is_empty()),
        audiences: spec.audiences.clone(),
        jwks,
        claim_to_headers: spec.claim_to_headers.iter().map(|c| (c.claim.clone(), c.header.clone())).collect(),
        from_headers: extract.headers.iter().map(|h| (h.name.clone(), prefix(&h.value_prefix))).collect(),
        from_cookies: extract.cookies,
        from_params: extract.params,
        recompute_route: spec.recompute_route.unwrap_or(false),
    })
}

fn local(
    view: &dyn View,
    policy: &SecurityPolicy,
    spec: &crate::api::v1alpha1::LocalJwks,
    path: &str,
) -> Result<String, String> {
    let text = match (spec.kind.as_deref().unwrap_or("Inline"), &spec.inline, &spec.value_ref) {
        ("Inline", Some(inline), None) => inline.clone(),
        ("ValueRef", None, Some(reference)) => {
            if reference.kind != "ConfigMap" || !reference.group.is_empty() {
                return Err(format!("{path}.valueRef has to name a core ConfigMap"));
            }
            let name = NamespacedName::new(&*policy.metadata.namespace, &*reference.name);
            let map =
                view.config_map(&name).ok_or_else(|| format!("{path}.valueRef: ConfigMap {name} does not exist"))?;
            let only = (map.data.len() == 1).then(|| map.data.values().next()).flatten();
            map.data
                .get("jwks")
                .or(only)
                .cloned()
                .ok_or_else(|| format!("{path}.valueRef: ConfigMap {name} has no key jwks"))?
        }
        (kind, ..) => return Err(format!("{path} of type {kind} needs the field of that type, and it alone")),
    };
    let keys: Value = serde_json::from_str(&text).map_err(|error| format!("{path} is no JSON: {error}"))?;
    match keys.get("keys").and_then(Value::as_array) {
        // Envoy leaves out keys of kinds that it does not know, and refuses a set of which nothing is left.
        Some(keys) if keys.iter().any(is_key) => Ok(text),
        _ => Err(format!("{path} is no key set: it has no list `keys` with a key of kind RSA, EC, oct or OKP")),
    }
}

fn is_key(key: &Value) -> bool {
    let has = |field: &str| key.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => has("n") && has("e"),
        Some("EC") => has("x") && has("y"),
        Some("oct") => has("k"),
        Some("OKP") => has("x"),
        _ => false,
    }
}

/// A duration of at least some milliseconds and at most a day, in milliseconds.
fn bounded(text: &str, least: u64) -> Result<u64, String> {
    let found = durations::go(text)?;
    if (least..=86_400_000).contains(&found) { Ok(found) } else { Err(format!("{text:?} is not between 1ms and 24h")) }
}

/// Where a URI leads: host, port and whether it is TLS.
fn uri_backend(uri: &str) -> Result<BackendKey, String> {
    let problem = || format!("{uri:?} is no http or https URI with a host");
    let (tls, rest) = match (uri.strip_prefix("https://"), uri.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(problem()),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, port.parse().map_err(|_| problem())?),
        _ => (authority, if tls { 443 } else { 80 }),
    };
    if host.is_empty() || host.contains('@') || port == 0 || texts::path(uri).is_err() {
        return Err(problem());
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    texts::host(host)?;
    Ok(BackendKey::Host { host: host.to_ascii_lowercase(), port, tls, http2: false })
}

fn ext_auth(
    view: &dyn View,
    policy: &SecurityPolicy,
    key: FilterKey,
    spec: &ExtAuthSpec,
    backends: &mut BTreeSet<BackendKey>,
) -> Result<ExtAuth, String> {
    none_of(&spec.rest, "spec.extAuth")?;
    let (references, one, rest, path, grpc) = match (&spec.grpc, &spec.http) {
        (Some(s), None) => (&s.backend_refs, &s.backend_ref, &s.rest, "spec.extAuth.grpc", true),
        (None, Some(s)) => (&s.backend_refs, &s.backend_ref, &s.rest, "spec.extAuth.http", false),
        _ => return Err("spec.extAuth needs either grpc or http".to_owned()),
    };
    none_of(rest, path)?;
    let references: Vec<_> = one.iter().chain(references).collect();
    let [reference] = references[..] else { return Err(format!("{path} needs exactly one backendRef")) };
    let from = End { group: "gateway.envoyproxy.io", kind: "SecurityPolicy", namespace: &policy.metadata.namespace };
    let backend = backends::resolve(view, from, reference, grpc)
        .map_err(|problem| format!("{path}: {} ({})", problem.message, problem.reason))?;
    backends.insert(backend.clone());
    let namespace = reference.namespace.as_deref().unwrap_or(&policy.metadata.namespace);
    let authority = format!("{}.{namespace}:{}", reference.name, reference.port.unwrap_or(80));
    let service = match &spec.http {
        None => ExtAuthService::Grpc { backend, authority },
        Some(http) => ExtAuthService::Http {
            backend,
            authority,
            path: http.path.clone().unwrap_or_default(),
            headers_to_backend: http.headers_to_backend.clone(),
        },
    };
    ext_auth_texts(spec)?;
    let timeout = spec.timeout.as_deref().unwrap_or("10s");
    Ok(ExtAuth {
        key,
        service,
        headers: spec.headers_to_ext_auth.clone(),
        body_bytes: spec.body_to_ext_auth.as_ref().map(|body| body.max_request_bytes),
        fail_open: spec.fail_open.unwrap_or(false),
        timeout_ms: bounded(timeout, 1).map_err(|problem| format!("spec.extAuth.timeout: {problem}"))?,
        recompute_route: spec.recompute_route.unwrap_or(false),
    })
}

/// What Envoy would refuse, and with it the whole listener.
fn ext_auth_texts(spec: &ExtAuthSpec) -> Result<(), String> {
    let names = |field: &str, names: &[String]| {
        names
            .iter()
            .try_for_each(|name| texts::name(name))
            .map_err(|problem| format!("spec.extAuth.{field}: {problem}"))
    };
    names("headersToExtAuth", &spec.headers_to_ext_auth)?;
    if spec.body_to_ext_auth.as_ref().is_some_and(|body| body.max_request_bytes == 0) {
        return Err("spec.extAuth.bodyToExtAuth.maxRequestBytes has to be at least 1".to_owned());
    }
    let Some(http) = &spec.http else { return Ok(()) };
    names("http.headersToBackend", &http.headers_to_backend)?;
    match http.path.as_deref() {
        Some(path)
            if !path.is_empty() && (!path.starts_with('/') || texts::path(path).is_err() || path.contains('?')) =>
        {
            Err(format!("spec.extAuth.http.path {path:?} is no path that begins with a slash"))
        }
        _ => Ok(()),
    }
}
