//! Metrics in the format that the reader asks for.

use super::answers::typed;
use crate::telemetry::exposition;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use std::sync::Arc;

/// Gives all metrics as they are now, as OpenMetrics 1.0 text.
pub type Encode = Arc<dyn Fn() -> String + Send + Sync>;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics`: OpenMetrics when `Accept` asks for it, else the older text format 0.0.4.
pub fn metrics(encode: Encode) -> Router {
    let answer = async move |headers: HeaderMap| {
        let openmetrics = encode();
        if wants_openmetrics(&headers) {
            typed(StatusCode::OK, OPENMETRICS, openmetrics)
        } else {
            typed(StatusCode::OK, TEXT, exposition::text(&openmetrics))
        }
    };
    Router::new().route("/metrics", get(answer))
}

/// Whether OpenMetrics is named, and not with a lower weight than plain text (RFC 9110, section 12.5.1).
fn wants_openmetrics(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f64)> = accept.flat_map(|value| value.split(',')).map(weighted).collect();
    let weight = |name: &str| {
        let named = ranges.iter().filter(|(range, _)| range.eq_ignore_ascii_case(name));
        named.map(|(_, weight)| *weight).fold(0.0, f64::max)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}

fn weighted(range: &str) -> (&str, f64) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok());
    (name, weight.unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn openmetrics_when_asked_for() {
        let wants = |accept: &'static str| {
            wants_openmetrics(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert!(!wants_openmetrics(&HeaderMap::new()));
        assert!(!wants("*/*"));
        assert!(!wants("text/plain"));
        assert!(!wants("application/openmetrics-text;q=0"));
        assert!(!wants("application/openmetrics-text;q=0.2, text/plain;q=0.9"));
        assert!(wants("application/openmetrics-text"));
        assert!(wants("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"));
    }
}
