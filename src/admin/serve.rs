//! One HTTP server with limits: connections, time for a request to arrive, size of bodies, time to drain.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The most connections at once; further ones wait in the backlog until one ends.
const CONNECTIONS: usize = 256;
/// How long a request may take to arrive, and how long a connection may be idle.
const HEADERS: Duration = Duration::from_secs(10);
/// How long an HTTP/2 connection may be silent before it is asked whether it lives, and how long it may take to answer.
const SILENCE: Duration = Duration::from_secs(30);
/// The most requests at once of one HTTP/2 connection.
const STREAMS: u32 = 32;
/// The largest body; nothing here needs one.
const BODY: usize = 64 << 10;
/// How long answers under way may take after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// What an HTTP/2 client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a router over HTTP/1.1 and HTTP/2 on a bound listener until the token is cancelled; then answers under way have
/// 5 seconds. The error is one of the listener itself; what a client does ends its own connection only.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let router = router.layer(DefaultBodyLimit::max(BODY));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if connections.len() >= CONNECTIONS => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), shutdown.clone()));
            }
            Err(error) if one_connection_only(&error) => {}
            // Out of file descriptors: others may soon be given back.
            Err(error) if error.raw_os_error().is_some() => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error),
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(DRAIN, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "HTTP connections are cut off, they did not end in time");
    }
    Ok(())
}

/// Whether an error of `accept` concerns the connection that was to be accepted, not the listener.
fn one_connection_only(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    // Answers are small: without this they would wait for the other side's delayed ACK.
    let _ = stream.set_nodelay(true);
    // The first bytes tell the versions apart. Looking here, and not in the builder, puts a limit on silent clients.
    let mut first = [0; PREFACE.len()];
    let peeked = tokio::select! {
        peeked = timeout(HEADERS, stream.peek(&mut first)) => peeked,
        () = shutdown.cancelled() => return,
    };
    let Ok(Ok(length)) = peeked else { return };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE)
        .max_concurrent_streams(STREAMS);
    let builder = if first[..length] == *PREFACE { builder.http2_only() } else { builder.http1_only() };
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // A client that breaks the protocol or goes away ends its own connection, nothing else.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    async fn bound() -> (TcpListener, std::net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished_at_shutdown() {
        let (listener, address) = bound().await;
        let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = Router::new().route(
            "/",
            get({
                let (arrived, go_on) = (Arc::clone(&arrived), Arc::clone(&go_on));
                async move || {
                    arrived.notify_one();
                    go_on.notified().await;
                    "done"
                }
            }),
        );
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        arrived.notified().await;
        shutdown.cancel();
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
        tasks.join_next().await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
    }

    #[tokio::test]
    async fn a_silent_connection_does_not_hold_shutdown_up() {
        let (listener, address) = bound().await;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Router::new(), shutdown.clone()));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        shutdown.cancel();
        tasks.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed");
    }

    #[tokio::test]
    async fn http2_is_served_too() {
        let (listener, address) = bound().await;
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Router::new().route("/", get(async || "two")), shutdown.clone()));
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let mut clients = JoinSet::new();
        clients.spawn(connection);
        let request = http::Request::get(format!("http://{address}/")).body(String::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
        drop(sender);
        shutdown.cancel();
        tasks.join_next().await.unwrap().unwrap().unwrap();
    }
}
