//! Filters of rules and backends.

use super::texts;
use crate::api::gateway_api::{
    CorsFilter, Filter, HeaderModifier, MirrorFilter, PathModifier, RedirectFilter, UrlRewriteFilter,
};
use crate::model::{Cors, HeaderChanges, PathRewrite, Redirect};

/// A list of filters, each of which occurs at most once (mirrors as often as wanted).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) request_headers: HeaderChanges,
    pub(super) response_headers: HeaderChanges,
    pub(super) mirrors: Vec<MirrorFilter>,
    pub(super) redirect: Option<RedirectFilter>,
    pub(super) rewrite: Option<UrlRewriteFilter>,
    pub(super) cors: Option<Cors>,
}

impl Filters {
    /// Needs more than the header changes that a share of a weighted route can have.
    pub(super) fn shapes_action(&self) -> bool {
        !self.mirrors.is_empty() || self.redirect.is_some() || self.rewrite.is_some() || self.cors.is_some()
    }
}

/// Reads filters; the error is (reason, message).
pub(super) fn read(filters: &[Filter], grpc: bool) -> Result<Filters, (&'static str, String)> {
    let mut found = Filters::default();
    let unsupported = |message: String| ("UnsupportedValue", message);
    for (index, filter) in filters.iter().enumerate() {
        let at = |what: &str| unsupported(format!("filters[{index}]: {what}"));
        if grpc && !["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror"].contains(&filter.kind.as_str())
        {
            return Err(at(&format!("{} is no filter of GRPCRoutes that is served", filter.kind)));
        }
        let twice = filters[..index].iter().any(|other| other.kind == filter.kind) && filter.kind != "RequestMirror";
        if twice {
            return Err(at(&format!("{} occurs twice", filter.kind)));
        }
        let missing = || at(&format!("{} without its settings", filter.kind));
        match filter.kind.as_str() {
            "RequestHeaderModifier" => {
                found.request_headers =
                    headers(filter.request_header_modifier.as_ref().ok_or_else(missing)?, true).map_err(|e| at(&e))?;
            }
            "ResponseHeaderModifier" => {
                found.response_headers = headers(filter.response_header_modifier.as_ref().ok_or_else(missing)?, false)
                    .map_err(|e| at(&e))?;
            }
            "RequestMirror" => found.mirrors.push(filter.request_mirror.clone().ok_or_else(missing)?),
            "RequestRedirect" => found.redirect = Some(filter.request_redirect.clone().ok_or_else(missing)?),
            "URLRewrite" => found.rewrite = Some(filter.url_rewrite.clone().ok_or_else(missing)?),
            "CORS" => found.cors = Some(cors(filter.cors.as_ref().ok_or_else(missing)?).map_err(|e| at(&e))?),
            other => return Err(at(&format!("type {other} is not served"))),
        }
    }
    if found.redirect.is_some() && found.rewrite.is_some() {
        return Err(("IncompatibleFilters", "RequestRedirect and URLRewrite cannot stand in one rule".to_owned()));
    }
    Ok(found)
}

/// A request's Host can be set, which is a rewrite; that is all that Envoy does with it.
fn headers(modifier: &HeaderModifier, of_request: bool) -> Result<HeaderChanges, String> {
    let is_host = |name: &str| name.eq_ignore_ascii_case("host");
    let mut others = modifier.add.iter().map(|header| &header.name).chain(&modifier.remove);
    if others.any(|name| is_host(name)) || (!of_request && modifier.set.iter().any(|header| is_host(&header.name))) {
        return Err("Host can only be set, and only in requests".to_owned());
    }
    let pairs = |headers: &[crate::api::gateway_api::Header]| -> Result<Vec<(String, String)>, String> {
        let mut found: Vec<(String, String)> = Vec::new();
        for header in headers {
            texts::name(&header.name)?;
            texts::value(&header.value)?;
            let name = header.name.to_ascii_lowercase();
            // Of several entries with one name only the first counts.
            if found.iter().all(|(other, _)| *other != name) {
                found.push((name, header.value.clone()));
            }
        }
        Ok(found)
    };
    modifier.remove.iter().try_for_each(|name| texts::name(name))?;
    let remove = modifier.remove.iter().map(|name| name.to_ascii_lowercase()).collect();
    Ok(HeaderChanges { set: pairs(&modifier.set)?, add: pairs(&modifier.add)?, remove })
}

fn cors(spec: &CorsFilter) -> Result<Cors, String> {
    let token = |name: &String| texts::name(name).map_err(|_| format!("cors: {name:?} is no name"));
    [&spec.allow_methods, &spec.allow_headers, &spec.expose_headers].into_iter().flatten().try_for_each(token)?;
    if let Some(origin) = spec.allow_origins.iter().find(|origin| !is_origin(origin)) {
        return Err(format!("cors.allowOrigins: {origin:?} is neither * nor scheme://host[:port]"));
    }
    for (field, list) in [
        ("allowOrigins", &spec.allow_origins),
        ("allowMethods", &spec.allow_methods),
        ("allowHeaders", &spec.allow_headers),
    ] {
        if list.len() > 1 && list.iter().any(|one| one == "*") {
            return Err(format!("cors.{field} has * beside others"));
        }
    }
    Ok(Cors {
        allow_origins: spec.allow_origins.clone(),
        allow_credentials: spec.allow_credentials.unwrap_or(false),
        allow_methods: spec.allow_methods.clone(),
        allow_headers: spec.allow_headers.clone(),
        expose_headers: spec.expose_headers.clone(),
        max_age: spec.max_age.unwrap_or(5),
    })
}

/// `*`, or a scheme and a host, perhaps with a wildcard, perhaps with a port.
fn is_origin(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return origin == "*" };
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "80"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.*_".contains(&b);
    ["http", "https"].contains(&scheme)
        && !host.is_empty()
        && host.bytes().all(plain)
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A mirror's share in parts of a million; `None` for all.
pub(super) fn mirror_share(mirror: &MirrorFilter) -> Result<Option<u32>, String> {
    match (&mirror.percent, &mirror.fraction) {
        (Some(_), Some(_)) => Err("requestMirror has both percent and fraction".to_owned()),
        (Some(percent), None) if *percent <= 100 => Ok((*percent < 100).then_some(percent * 10_000)),
        (None, Some(fraction)) => {
            let (part, whole) = (fraction.numerator, fraction.denominator.unwrap_or(100));
            if whole == 0 || part > whole {
                return Err(format!("requestMirror.fraction {part}/{whole} is no share"));
            }
            let share = u64::from(part) * 1_000_000 / u64::from(whole);
            Ok((part < whole).then(|| u32::try_from(share).unwrap_or(1_000_000)))
        }
        (None, None) => Ok(None),
        (Some(percent), None) => Err(format!("requestMirror.percent {percent} is more than 100")),
    }
}

/// A change of the path; `matched` is the prefix that the rule matches, if it is one.
pub(super) fn path(modifier: &PathModifier, matched: Option<&str>) -> Result<PathRewrite, String> {
    let texts = [&modifier.replace_full_path, &modifier.replace_prefix_match];
    for text in texts.into_iter().flatten() {
        texts::path(text)?;
        let nothing = text.is_empty() && modifier.kind == "ReplacePrefixMatch";
        if !nothing && !text.starts_with('/') {
            return Err(format!("path {text:?} has to begin with a slash"));
        }
    }
    match (modifier.kind.as_str(), &modifier.replace_full_path, &modifier.replace_prefix_match) {
        ("ReplaceFullPath", Some(path), None) => Ok(PathRewrite::Full(path.clone())),
        ("ReplacePrefixMatch", None, Some(replacement)) => match matched {
            Some(matched) => Ok(PathRewrite::Prefix {
                matched: matched.to_owned(),
                replacement: replacement.trim_end_matches('/').to_owned(),
            }),
            None => Err("ReplacePrefixMatch needs a match of type PathPrefix".to_owned()),
        },
        (kind, ..) => Err(format!("path of type {kind:?} without the field of that type alone")),
    }
}

/// A redirect, on a listener with the given protocol and port.
pub(super) fn redirect(
    spec: &RedirectFilter,
    matched: Option<&str>,
    https: bool,
    port: u16,
) -> Result<Redirect, String> {
    let status = spec.status_code.unwrap_or(302);
    if ![301, 302, 303, 307, 308].contains(&status) {
        return Err(format!("requestRedirect.statusCode {status} is none of 301, 302, 303, 307, 308"));
    }
    if let Some(scheme) = spec.scheme.as_deref().filter(|scheme| !["http", "https"].contains(scheme)) {
        return Err(format!("requestRedirect.scheme {scheme:?} is neither http nor https"));
    }
    spec.hostname.as_deref().map_or(Ok(()), texts::host).map_err(|e| format!("requestRedirect: {e}"))?;
    if spec.port == Some(0) {
        return Err("requestRedirect.port 0 is no port".to_owned());
    }
    // "If no port is specified: the scheme's well-known port if there is a scheme, else the listener's port"; a
    // well-known port need not be written.
    let https = spec.scheme.as_deref().map_or(https, |scheme| scheme == "https");
    let well_known = if https { 443 } else { 80 };
    let port = spec.port.or_else(|| spec.scheme.is_none().then_some(port)).filter(|port| *port != well_known);
    Ok(Redirect {
        scheme: spec.scheme.clone(),
        hostname: spec.hostname.clone(),
        // Beside the request's own host Envoy keeps that one's port unless another is written, be it the well-known one.
        port: port.or_else(|| spec.hostname.is_none().then_some(well_known)),
        path: spec.path.as_ref().map(|path| self::path(path, matched)).transpose()?,
        status,
    })
}
