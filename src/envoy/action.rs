//! What happens to a request (`RouteAction`, `RedirectAction`, `DirectResponseAction`).

use super::wire::{header_options, milliseconds, number, regex, share};
use crate::model::{Forward, Mirror, PathRewrite, Redirect, Retry, RouteAction as Action, WeightedBackend};
use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::config::route::v3::{
    DirectResponseAction, RedirectAction, RetryPolicy, RouteAction, WeightedCluster,
    redirect_action::{PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier},
    retry_policy::RetryBackOff,
    route,
    route_action::{ClusterSpecifier, HostRewriteSpecifier, RequestMirrorPolicy},
    weighted_cluster::{self, ClusterWeight},
};
use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

/// A backend that was not reached, or that refused the request before it did anything with it.
const RETRY_ON: &str = "connect-failure,refused-stream,unavailable,reset-before-request,retriable-status-codes";
/// The same, and tries that were given up because of `timeouts.backendRequest`: to Envoy those are resets, and they cannot
/// be told from resets by the backend.
const RETRY_ON_SLOW: &str = "connect-failure,refused-stream,unavailable,reset,retriable-status-codes";

/// The action; `host` is a Host header set by a header modifier.
pub(super) fn action(action: &Action, host: Option<&str>) -> route::Action {
    match action {
        Action::Forward(forward) => route::Action::Route(self::forward(forward, host)),
        Action::Redirect(redirect) => route::Action::Redirect(self::redirect(redirect)),
        Action::Respond { status, body } => route::Action::DirectResponse(DirectResponseAction {
            status: u32::from(*status),
            body: (!body.is_empty()).then(|| DataSource {
                specifier: Some(Specifier::InlineString(body.clone())),
                ..DataSource::default()
            }),
            ..DirectResponseAction::default()
        }),
    }
}

fn forward(forward: &Forward, host: Option<&str>) -> RouteAction {
    let (prefix_rewrite, regex_rewrite) = match &forward.path_rewrite {
        None => (String::new(), None),
        Some(PathRewrite::Full(path)) => (String::new(), Some(substitute("^/.*$", path))),
        Some(PathRewrite::Prefix { matched, replacement }) => prefix(matched, replacement),
    };
    let host = forward.host_rewrite.as_deref().or(host);
    // Without a word from the user there is no limit: Envoy's own default would be 15 s.
    let limit = forward.timeout_ms.filter(|limit| *limit > 0);
    let tries = forward.try_timeout_ms.filter(|limit| *limit > 0);
    let timeout = match (&forward.retry, limit, tries) {
        (None, limit, Some(tries)) => Some(limit.map_or(tries, |limit| limit.min(tries))),
        (_, limit, _) => limit,
    };
    RouteAction {
        cluster_specifier: Some(clusters(&forward.backends)),
        prefix_rewrite,
        regex_rewrite,
        host_rewrite_specifier: host.map(|host| HostRewriteSpecifier::HostRewriteLiteral(host.to_owned())),
        timeout: milliseconds(timeout.unwrap_or(0)),
        retry_policy: forward.retry.as_ref().map(|retry| self::retry(retry, tries)),
        request_mirror_policies: forward.mirrors.iter().map(mirror).collect(),
        ..RouteAction::default()
    }
}

fn clusters(backends: &[WeightedBackend]) -> ClusterSpecifier {
    if let [backend] = backends
        && backend.request_headers == Default::default()
        && backend.response_headers == Default::default()
    {
        return ClusterSpecifier::Cluster(backend.backend.cluster_name());
    }
    let weight = |backend: &WeightedBackend| {
        let (request, response) = (&backend.request_headers, &backend.response_headers);
        let host = request.set.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone());
        let set: Vec<_> = request.set.iter().filter(|(name, _)| name != "host").cloned().collect();
        ClusterWeight {
            name: backend.backend.cluster_name(),
            weight: number(backend.weight),
            request_headers_to_add: header_options(&set, &request.add),
            request_headers_to_remove: request.remove.clone(),
            response_headers_to_add: header_options(&response.set, &response.add),
            response_headers_to_remove: response.remove.clone(),
            host_rewrite_specifier: host
                .map(weighted_cluster::cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
            ..ClusterWeight::default()
        }
    };
    ClusterSpecifier::WeightedClusters(WeightedCluster {
        clusters: backends.iter().map(weight).collect(),
        ..WeightedCluster::default()
    })
}

fn retry(retry: &Retry, try_timeout_ms: Option<u64>) -> RetryPolicy {
    RetryPolicy {
        retry_on: if try_timeout_ms.is_some() { RETRY_ON_SLOW } else { RETRY_ON }.to_owned(),
        num_retries: number(retry.attempts),
        per_try_timeout: try_timeout_ms.and_then(milliseconds),
        retriable_status_codes: retry.codes.clone(),
        retry_back_off: retry
            .backoff_ms
            .map(|pause| RetryBackOff { base_interval: milliseconds(pause.max(1)), ..RetryBackOff::default() }),
        ..RetryPolicy::default()
    }
}

fn mirror(mirror: &Mirror) -> RequestMirrorPolicy {
    RequestMirrorPolicy {
        cluster: mirror.backend.cluster_name(),
        runtime_fraction: mirror.share.map(share),
        // Envoy would append "-shadow" to the Host of the copy.
        disable_shadow_host_suffix_append: true,
        ..RequestMirrorPolicy::default()
    }
}

fn redirect(redirect: &Redirect) -> RedirectAction {
    let code = match redirect.status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    };
    let path = redirect.path.as_ref().map(|path| match path {
        PathRewrite::Full(path) => PathRewriteSpecifier::PathRedirect(path.clone()),
        PathRewrite::Prefix { matched, replacement } => match prefix(matched, replacement) {
            (_, Some(regex)) => PathRewriteSpecifier::RegexRewrite(regex),
            (prefix, None) => PathRewriteSpecifier::PrefixRewrite(prefix),
        },
    });
    RedirectAction {
        scheme_rewrite_specifier: redirect.scheme.clone().map(SchemeRewriteSpecifier::SchemeRedirect),
        host_redirect: redirect.hostname.clone().unwrap_or_default(),
        port_redirect: u32::from(redirect.port.unwrap_or(0)),
        path_rewrite_specifier: path,
        response_code: code.into(),
        ..RedirectAction::default()
    }
}

/// Envoy replaces the characters of the prefix and nothing else, so the slashes need care: `/` → `/x` has to turn
/// `/y` into `/x/y`, and `/x` → nothing has to turn `/x/y` into `/y` and `/x` into `/`.
fn prefix(matched: &str, replacement: &str) -> (String, Option<RegexMatchAndSubstitute>) {
    match (matched, replacement.trim_end_matches('/')) {
        ("/", "") => ("/".to_owned(), None),
        ("/", replacement) => (format!("{replacement}/"), None),
        (matched, "") => (String::new(), Some(substitute(&format!("^{}/*", ::regex::escape(matched)), "/"))),
        (_, replacement) => (replacement.to_owned(), None),
    }
}

fn substitute(pattern: &str, substitution: &str) -> RegexMatchAndSubstitute {
    // A backslash would begin a reference to a group.
    RegexMatchAndSubstitute { pattern: Some(regex(pattern)), substitution: substitution.replace('\\', "\\\\") }
}
