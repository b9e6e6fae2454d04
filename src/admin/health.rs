//! Is it alive, and is it ready?

use super::answers::plain;
use crate::runtime::ready::Ready;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

/// `/healthz`: 200 while the process answers at all. `/readyz`: 200 when every part is ready, else 503 with the parts that
/// are not, one a line.
pub fn health(ready: Ready) -> Router {
    let readyz = async move || {
        let pending = ready.pending();
        if pending.is_empty() {
            return plain(StatusCode::OK, "ok\n".to_owned());
        }
        let lines: String = pending.iter().map(|part| format!("not ready: {part}\n")).collect();
        plain(StatusCode::SERVICE_UNAVAILABLE, lines)
    };
    Router::new()
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n".to_owned())))
        .route("/readyz", get(readyz))
}
