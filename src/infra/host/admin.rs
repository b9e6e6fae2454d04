//! Envoy's admin interface, asked.

use crate::envoy::bootstrap::Admin;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The largest answer that is read: a dump of a large configuration.
const LARGEST: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the interface is, for people: `unix:<path>` or `http://<address>`.
pub(super) fn show(admin: &Admin) -> String {
    match admin {
        Admin::Pipe(path) => format!("unix:{}", path.display()),
        Admin::Tcp(address) => format!("http://{address}"),
    }
}

/// `GET`; the status and the text. The error says why there is no answer.
pub(super) async fn get(admin: &Admin, path: &str) -> Result<(u16, String), String> {
    request(admin, http::Method::GET, path).await
}

/// `POST` without a body; the status and the text. The error says why there is no answer.
pub(super) async fn post(admin: &Admin, path: &str) -> Result<(u16, String), String> {
    request(admin, http::Method::POST, path).await
}

async fn request(admin: &Admin, method: http::Method, path: &str) -> Result<(u16, String), String> {
    let exchange = async {
        match admin {
            Admin::Pipe(socket) => exchange(UnixStream::connect(socket).await, method, path).await,
            Admin::Tcp(address) => exchange(TcpStream::connect(address).await, method, path).await,
        }
    };
    match Box::pin(tokio::time::timeout(PATIENCE, exchange)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
    .map_err(|error| format!("the admin interface of Envoy at {}: {error}", show(admin)))
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: std::io::Result<S>,
    method: http::Method,
    path: &str,
) -> Result<(u16, String), String> {
    let stream = stream.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "envoy")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| error.to_string())?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    let (mut answer, mut connection) = (std::pin::pin!(answer), std::pin::pin!(connection));
    // Nothing moves unless the connection is driven; when it ends first, the answer is there or never comes.
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

/// The sum of all gauges in a text of `name: value` lines whose names `counts` accepts.
pub(super) fn sum(stats: &str, counts: impl Fn(&str) -> bool) -> u64 {
    stats
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .filter(|(name, _)| counts(name))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_summed_by_name() {
        let stats =
            "http.admin.downstream_rq_active: 1\nhttp.a.downstream_rq_active: 2\nhttp.b.downstream_rq_active: 3\nx\n";
        assert_eq!(sum(stats, |name| !name.starts_with("http.admin.")), 5);
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = get(&Admin::Pipe(folder.path().join("admin")), "/ready").await.unwrap_err();
        assert!(error.contains("unix:") && error.contains("admin"), "{error}");
    }
}
