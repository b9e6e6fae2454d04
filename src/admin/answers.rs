//! The forms of answers.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// Plain text.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    typed(status, "text/plain; charset=utf-8", text)
}

/// Text of a given type, never kept by anybody on the way.
pub(super) fn typed(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, text).into_response()
}

/// JSON made by work that may take long, on a thread that may be blocked; `None` is 404 with the text `missing`.
pub(super) async fn json_of<T: Serialize>(
    work: impl FnOnce() -> Option<T> + Send + 'static,
    missing: &'static str,
) -> Response {
    let made = tokio::task::spawn_blocking(move || work().map(|value| serde_json::to_string(&value))).await;
    match made {
        Ok(Some(Ok(text))) => typed(StatusCode::OK, "application/json", text),
        Ok(None) => error(StatusCode::NOT_FOUND, missing),
        Ok(Some(Err(problem))) => error(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
        Err(problem) => {
            tracing::error!(%problem, "an answer of the admin API could not be made");
            error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made, the log says why")
        }
    }
}

/// An error, as JSON.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    typed(status, "application/json", json!({"error": message}).to_string())
}
