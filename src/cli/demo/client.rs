//! A small client that shows everything: HTTP/1.1 and gRPC, in the clear and over TLS.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long one exchange may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No TCP connection.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// The address that was tried.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The TLS handshake failed, for example because the certificate is not trusted.
    #[error("no TLS session for {name}: {source}")]
    Tls {
        /// The name that was asked for.
        name: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The request cannot be written.
    #[error("not a valid request: {0}")]
    Request(#[from] http::Error),
    /// HTTP broke.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    /// The trusted certificate cannot be read.
    #[error("the certificate to trust cannot be read: {0}")]
    Trust(String),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The response headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// `grpc-status`, from the trailers or, in a response without messages, from the headers.
    pub grpc_status: Option<u32>,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The backend that answered, when it was an echo backend.
    pub fn backend(&self) -> Option<String> {
        self.json()["backend"].as_str().map(str::to_owned)
    }

    /// A header as the echo backend received it.
    pub fn received(&self, header: &str) -> Option<String> {
        self.json()["headers"][header][0].as_str().map(str::to_owned)
    }
}

/// Where requests go and whom they trust. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    trust: Option<Arc<ClientConfig>>,
}

impl Target {
    /// Plain HTTP.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, trust: None }
    }

    /// HTTPS; only certificates that `ca` (PEM) signed are trusted.
    pub fn secure(address: SocketAddr, ca: &str) -> Result<Self, ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Trust(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(certificate.map_err(|error| broken(&error))?).map_err(|error| broken(&error))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { address, trust: Some(Arc::new(config)) })
    }

    /// The address requests go to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.trust.is_some() { "https" } else { "http" }
    }

    /// One GET on a connection of its own.
    pub async fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Answer, ClientError> {
        self.session(host).await?.get(path, headers).await
    }

    /// A connection that is kept for several requests to one host. `host` is also the name in the TLS handshake.
    pub async fn session(&self, host: &str) -> Result<Session, ClientError> {
        let mut driver = JoinSet::new();
        let tcp = self.connect().await?;
        let sender = match self.handshake(host, b"http/1.1").await? {
            Some(tls) => {
                let (sender, connection) = http1::handshake(TokioIo::new(tls.open(tcp).await?)).await?;
                driver.spawn(connection);
                sender
            }
            None => {
                let (sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
                driver.spawn(connection);
                sender
            }
        };
        Ok(Session { sender, host: host.to_owned(), _driver: driver })
    }

    /// One unary gRPC call; `message` is the encoded request message, the answer's body the encoded response message.
    pub async fn grpc(&self, host: &str, method: &str, message: &[u8]) -> Result<Answer, ClientError> {
        let mut driver = JoinSet::new();
        let tcp = self.connect().await?;
        let executor = TokioExecutor::new();
        let mut sender = match self.handshake(host, b"h2").await? {
            Some(tls) => {
                let (sender, connection) = http2::handshake(executor, TokioIo::new(tls.open(tcp).await?)).await?;
                driver.spawn(connection);
                sender
            }
            None => {
                let (sender, connection) = http2::handshake(executor, TokioIo::new(tcp)).await?;
                driver.spawn(connection);
                sender
            }
        };
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}://{host}{method}", self.scheme()))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(frame(message)))?;
        let mut answer = timeout(PATIENCE, async { read(sender.send_request(request).await?).await })
            .await
            .map_err(|_| ClientError::Timeout)??;
        // The five bytes of the frame header: compression flag and length.
        answer.body = if answer.body.len() >= 5 { answer.body.slice(5..) } else { Bytes::new() };
        Ok(answer)
    }

    async fn connect(&self) -> Result<TcpStream, ClientError> {
        let failed = |source| ClientError::Connect { address: self.address, source };
        let stream = timeout(PATIENCE, TcpStream::connect(self.address))
            .await
            .map_err(|_| ClientError::Timeout)?
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    async fn handshake(&self, host: &str, protocol: &[u8]) -> Result<Option<Handshake>, ClientError> {
        let Some(trust) = &self.trust else { return Ok(None) };
        let mut config = ClientConfig::clone(trust);
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| ClientError::Tls { name: host.to_owned(), source: std::io::Error::other(error) })?;
        Ok(Some(Handshake { connector: TlsConnector::from(Arc::new(config)), name, host: host.to_owned() }))
    }
}

struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
    host: String,
}

impl Handshake {
    async fn open(self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, ClientError> {
        timeout(PATIENCE, self.connector.connect(self.name, tcp))
            .await
            .map_err(|_| ClientError::Timeout)?
            .map_err(|source| ClientError::Tls { name: self.host, source })
    }
}

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub struct Session {
    sender: http1::SendRequest<Full<Bytes>>,
    host: String,
    // Dropping it ends the connection.
    _driver: JoinSet<Result<(), hyper::Error>>,
}

impl Session {
    /// One GET.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(Method::GET).uri(path).header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(
                HeaderName::try_from(*name).map_err(http::Error::from)?,
                HeaderValue::try_from(*value).map_err(http::Error::from)?,
            );
        }
        let request = request.body(Full::new(Bytes::new()))?;
        timeout(PATIENCE, async { read(self.sender.send_request(request).await?).await })
            .await
            .map_err(|_| ClientError::Timeout)?
    }

    /// Whether the connection can take another request; `false` once the other side has closed it.
    pub async fn usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, ClientError> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?;
    let number = |headers: &HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    let grpc_status = body.trailers().and_then(number).or_else(|| number(&parts.headers));
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes(), grpc_status })
}

/// One gRPC message without compression.
fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::echo::{self, Role};
    use super::*;
    use tokio::net::TcpListener;

    async fn backend(role: Role) -> (Target, JoinSet<std::io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::plain(listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(echo::serve(listener, "one", role));
        (target, tasks)
    }

    #[tokio::test]
    async fn the_echo_backend_says_what_it_was_asked() {
        let (target, _tasks) = backend(Role::Echo).await;
        let mut session = target.session("some.host").await.unwrap();
        for _ in 0..2 {
            let answer = session.get("/a?b=c", &[("client_id", "me")]).await.unwrap();
            let json = answer.json();
            assert_eq!((answer.status, answer.backend().as_deref()), (200, Some("one")));
            assert_eq!(
                (&json["host"], &json["path"], &json["method"]),
                (&"some.host".into(), &"/a?b=c".into(), &"GET".into())
            );
            assert_eq!(answer.received("client_id").as_deref(), Some("me"));
            assert!(session.usable().await);
        }
    }

    #[tokio::test]
    async fn a_grpc_call_gets_its_message_back() {
        let (target, _tasks) = backend(Role::Echo).await;
        let answer = target.grpc("some.host", "/a.B/C", b"\x0a\x02hi").await.unwrap();
        assert_eq!((answer.status, answer.grpc_status), (200, Some(0)));
        assert_eq!(&answer.body[..], b"\x0a\x02hi");
    }

    #[tokio::test]
    async fn the_authorizer_wants_a_user() {
        let (target, _tasks) = backend(Role::Authorizer).await;
        assert_eq!(target.get("h", "/", &[]).await.unwrap().status, 403);
        let answer = target.get("h", "/", &[("x-user", "ada")]).await.unwrap();
        assert_eq!((answer.status, &answer.headers["x-authorized-as"]), (200, &HeaderValue::from_static("ada")));
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_that_names_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = Target::plain(address).get("h", "/", &[]).await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
