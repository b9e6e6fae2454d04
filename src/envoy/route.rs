//! One entry of a virtual host (`envoy.config.route.v3.Route`).

use super::wire::{header_options, put_field, put_map_entry, share, string_matcher};
use super::{action, route_filters, wire};
use crate::model::{HeaderChanges, PathMatch, RouteEntry, RouteMatch as Matches, ValueMatch};
use bytes::Bytes;
use envoy_types::pb::envoy::config::route::v3::{
    HeaderMatcher, QueryParameterMatcher, Route, RouteMatch, header_matcher::HeaderMatchSpecifier,
    query_parameter_matcher::QueryParameterMatchSpecifier, route_match::PathSpecifier,
};
use prost::Message;

/// Field `routes` of `VirtualHost`.
const ROUTES: u32 = 3;
/// Field `typed_per_filter_config` of `Route`.
const FILTER_CONFIG: u32 = 13;

/// One record `routes` of a VirtualHost, key and length included.
pub fn route(entry: &RouteEntry) -> Bytes {
    let (set, host) = without_host(&entry.request_headers);
    let message = Route {
        name: entry.name.clone(),
        r#match: Some(matches(&entry.matches)),
        action: Some(action::action(&entry.action, host)),
        request_headers_to_add: header_options(&set, &entry.request_headers.add),
        request_headers_to_remove: entry.request_headers.remove.clone(),
        response_headers_to_add: header_options(&entry.response_headers.set, &entry.response_headers.add),
        response_headers_to_remove: entry.response_headers.remove.clone(),
        ..Route::default()
    };
    let mut encoded = message.encode_to_vec();
    for (filter, config) in route_filters::configs(entry) {
        put_map_entry(FILTER_CONFIG, &filter, &config, &mut encoded);
    }
    let mut record = Vec::with_capacity(encoded.len() + 8);
    put_field(ROUTES, &encoded, &mut record);
    Bytes::from(record)
}

/// Envoy does not let header options touch Host: that is a rewrite of the route action.
fn without_host(headers: &HeaderChanges) -> (Vec<(String, String)>, Option<&str>) {
    let host = headers.set.iter().find(|(name, _)| name == "host").map(|(_, value)| value.as_str());
    (headers.set.iter().filter(|(name, _)| name != "host").cloned().collect(), host)
}

fn matches(matches: &Matches) -> RouteMatch {
    let path = match &matches.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        PathMatch::Prefix(path) if path == "/" => PathSpecifier::Prefix("/".to_owned()),
        PathMatch::Prefix(path) => PathSpecifier::PathSeparatedPrefix(path.clone()),
        PathMatch::Regex(expression) => PathSpecifier::SafeRegex(wire::regex(expression)),
    };
    let method = matches.method.iter().map(|method| header(":method", method, false));
    let headers = matches.headers.iter().map(|ValueMatch { name, value, regex }| header(name, value, *regex));
    RouteMatch {
        path_specifier: Some(path),
        headers: method.chain(headers).collect(),
        query_parameters: matches.query_params.iter().map(query_parameter).collect(),
        runtime_fraction: matches.share.map(share),
        ..RouteMatch::default()
    }
}

fn header(name: &str, value: &str, regex: bool) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(string_matcher(value, regex))),
        ..HeaderMatcher::default()
    }
}

fn query_parameter(ValueMatch { name, value, regex }: &ValueMatch) -> QueryParameterMatcher {
    QueryParameterMatcher {
        name: name.clone(),
        query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(string_matcher(value, *regex))),
    }
}
