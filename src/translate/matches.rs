//! Matches of rules, and the parts of them that decide precedence.

use super::{expressions, texts};
use crate::api::gateway_api::{GrpcRouteMatch, HeaderMatch, HttpRouteMatch};
use crate::model::{PathMatch, RouteMatch, ValueMatch};
use std::collections::BTreeSet;

/// A match with what precedence needs to know of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranked {
    pub(super) matches: RouteMatch,
    /// 0 exact, 1 regular expression, 2 prefix.
    pub(super) path_kind: u8,
    pub(super) path_length: usize,
    /// What a gRPC match says of service and method, longer first: (service, method).
    pub(super) grpc: Option<(usize, usize)>,
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// A match of an HTTPRoute.
pub(super) fn http(spec: &HttpRouteMatch) -> Result<Ranked, String> {
    let HttpRouteMatch { path, headers, query_params, method } = spec;
    let kind = path.as_ref().and_then(|path| path.kind.as_deref()).unwrap_or("PathPrefix");
    let value = path.as_ref().and_then(|path| path.value.as_deref()).unwrap_or("/");
    let (path, path_kind) = match kind {
        "Exact" => {
            texts::path_to_match(value)?;
            (PathMatch::Exact(value.to_owned()), 0)
        }
        "PathPrefix" => {
            texts::path_to_match(value)?;
            (PathMatch::Prefix(prefix(value)), 2)
        }
        "RegularExpression" => (PathMatch::Regex(expressions::check(value)?), 1),
        other => return Err(format!("path.type {other:?} is none of Exact, PathPrefix, RegularExpression")),
    };
    if let Some(method) = method
        && !METHODS.contains(&method.as_str())
    {
        return Err(format!("method {method:?} is none of {}", METHODS.join(", ")));
    }
    // A trailing slash of a prefix does not make it longer.
    let path_length = if let PathMatch::Prefix(prefix) = &path { prefix.len() } else { value.len() };
    let matches = RouteMatch {
        path,
        method: method.clone(),
        headers: values(headers, true)?,
        query_params: values(query_params, false)?,
        share: None,
    };
    Ok(Ranked { matches, path_kind, path_length, grpc: None })
}

/// A match of a GRPCRoute: service and method are segments of the path.
pub(super) fn grpc(spec: &GrpcRouteMatch) -> Result<Ranked, String> {
    let GrpcRouteMatch { method, headers } = spec;
    let kind = method.as_ref().and_then(|method| method.kind.as_deref()).unwrap_or("Exact");
    let part = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
    let service = part(method.as_ref().and_then(|method| method.service.as_ref()));
    let name = part(method.as_ref().and_then(|method| method.method.as_ref()));
    if method.is_some() && service.is_none() && name.is_none() {
        return Err("method needs a service or a method".to_owned());
    }
    let (path, path_kind) = match (kind, &service, &name) {
        (_, None, None) => (PathMatch::Prefix("/".to_owned()), 2),
        ("Exact", Some(service), Some(name)) => {
            (PathMatch::Exact(format!("/{}/{}", grpc_name(service)?, grpc_name(name)?)), 0)
        }
        ("Exact", Some(service), None) => (PathMatch::Prefix(format!("/{}", grpc_name(service)?)), 2),
        ("Exact", None, Some(name)) => (PathMatch::Regex(format!("/[^/]+/{}", regex::escape(grpc_name(name)?))), 1),
        ("RegularExpression", service, name) => {
            let any = "[^/]+".to_owned();
            let part =
                |text: &Option<String>| text.as_ref().map_or_else(|| Ok(any.clone()), |text| expressions::check(text));
            (PathMatch::Regex(format!("/(?:{})/(?:{})", part(service)?, part(name)?)), 1)
        }
        (other, ..) => return Err(format!("method.type {other:?} is neither Exact nor RegularExpression")),
    };
    let length = |part: &Option<String>| part.as_ref().map_or(0, String::len);
    let matches =
        RouteMatch { path, method: None, headers: values(headers, true)?, query_params: Vec::new(), share: None };
    let grpc = Some((length(&service), length(&name)));
    Ok(Ranked { matches, path_kind, path_length: length(&service) + length(&name), grpc })
}

fn grpc_name(name: &str) -> Result<&str, String> {
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_');
    if good { Ok(name) } else { Err(format!("{name:?} is no name of a gRPC service or method")) }
}

/// Prefixes are compared by segments, so a trailing slash says nothing.
fn prefix(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

/// Headers or query parameters; of several with one name only the first counts. Header names have no case.
fn values(specs: &[HeaderMatch], header: bool) -> Result<Vec<ValueMatch>, String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for spec in specs {
        let name = if header { spec.name.to_ascii_lowercase() } else { spec.name.clone() };
        let regex = match spec.kind.as_deref().unwrap_or("Exact") {
            "Exact" => false,
            "RegularExpression" => true,
            other => return Err(format!("match of {name:?}: type {other:?} is neither Exact nor RegularExpression")),
        };
        if header {
            texts::name(&name)?;
        } else if name.is_empty() || name.len() > 256 {
            return Err(format!("query parameter {name:?} has no characters, or more than 256"));
        }
        let value = if regex { expressions::check(&spec.value)? } else { spec.value.clone() };
        if seen.insert(name.clone()) {
            found.push(ValueMatch { name, value, regex });
        }
    }
    Ok(found)
}
