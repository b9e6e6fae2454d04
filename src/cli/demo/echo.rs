//! The echo backend: answers what it was asked, over HTTP/1.1, HTTP/2 and gRPC.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The largest request body that is echoed, in bytes.
const BODY_LIMIT: usize = 4 << 20;

/// The most connections served at once; further ones wait in the listener's queue.
const CONNECTIONS: usize = 1024;

type Body = BoxBody<Bytes, Infallible>;

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// JSON with `backend`, `method`, `host`, `path`, `headers` and `body`; to gRPC calls the request's messages.
    Echo,
    /// For external authorization: 200 and `x-authorized-as` when the request has `x-user`, else 403.
    Authorizer,
}

/// Serves one listener until the future is dropped; then its connections end, too.
/// `name` is what the answers call the backend. Fails when the listener does.
pub async fn serve(listener: TcpListener, name: impl Into<Arc<str>>, role: Role) -> io::Result<()> {
    let name = name.into();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&name), role));
            }
            Err(error) if one_connection_only(&error) => {}
            // Out of file descriptors: others may soon be given back.
            Err(error) if error.raw_os_error().is_some() => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error),
        }
    }
}

/// Whether an error of `accept` concerns the connection that was to be accepted, not the listener.
fn one_connection_only(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

async fn connection(stream: TcpStream, name: Arc<str>, role: Role) {
    // Answers are small: without this they would wait for the other side's delayed ACK.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let name = Arc::clone(&name);
        async move { Ok::<_, Infallible>(answer(request, &name, role).await) }
    });
    // A client that breaks the protocol or goes away ends its own connection, nothing else.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, name: &str, role: Role) -> Response<Body> {
    if role == Role::Authorizer {
        return authorize(&request);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await.map(|body| body.to_bytes()) else {
        return respond(StatusCode::PAYLOAD_TOO_LARGE, json!({"backend": name, "error": "the body is too large"}));
    };
    let kind = parts.headers.get(header::CONTENT_TYPE).cloned();
    match kind {
        Some(kind) if kind.as_bytes().starts_with(b"application/grpc") => grpc(body, kind, name),
        _ => respond(StatusCode::OK, describe(&parts, &body, name)),
    }
}

fn describe(parts: &http::request::Parts, body: &Bytes, name: &str) -> Value {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in &parts.headers {
        headers.entry(key.as_str()).or_default().push(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let host =
        parts.uri.authority().map(|authority| authority.as_str().to_owned()).or_else(|| {
            parts.headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
        });
    json!({
        "backend": name,
        "method": parts.method.as_str(),
        "host": host,
        "path": parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        "protocol": format!("{:?}", parts.version),
        "headers": headers,
        "body": String::from_utf8_lossy(body),
    })
}

fn authorize(request: &Request<Incoming>) -> Response<Body> {
    match request.headers().get("x-user") {
        Some(user) => {
            let mut response = respond(StatusCode::OK, json!({"allowed": true}));
            response.headers_mut().insert("x-authorized-as", user.clone());
            response
        }
        None => respond(StatusCode::FORBIDDEN, json!({"allowed": false, "why": "the header x-user is missing"})),
    }
}

fn respond(status: StatusCode, body: Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The messages come back as they are, framing included: what was a valid request body is a valid response body.
fn grpc(body: Bytes, kind: HeaderValue, name: &str) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(body).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if let Ok(name) = HeaderValue::from_str(name) {
        response.headers_mut().insert("x-backend", name);
    }
    response
}
