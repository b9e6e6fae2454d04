//! A delta ADS client that says whatever it likes of itself and notes every resource it gets.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

const PATH: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Type URLs.
pub(crate) struct Types;

impl Types {
    pub(crate) const CDS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    pub(crate) const EDS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    pub(crate) const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    pub(crate) const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    pub(crate) const SDS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
}

/// One stream.
pub(crate) struct Ads {
    requests: mpsc::Sender<Bytes>,
    body: Incoming,
    buffer: BytesMut,
    /// Names of all resources that came, by type URL.
    pub(crate) seen: BTreeSet<(String, String)>,
    _tasks: JoinSet<()>,
}

impl Ads {
    /// Opens a stream. `ca` is whom the client trusts, `pair` its certificate and key (PEM), `node` what it says it is. The
    /// first request, a subscription to all clusters, goes out at once, so that a refusal shows.
    pub(crate) async fn open(
        address: SocketAddr,
        ca: &str,
        pair: Option<(&str, &str)>,
        node: &str,
    ) -> Result<Self, String> {
        match timeout(PATIENCE, open(address, ca, pair, node)).await {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err("no stream in time".to_owned()),
        }
    }

    /// Subscribes to names, or to all with no names.
    pub(crate) async fn subscribe(&mut self, type_url: &str, names: &[&str]) -> Result<(), String> {
        let request = DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DeltaDiscoveryRequest::default()
        };
        self.send(&request).await
    }

    /// Reads and acknowledges responses until a resource of a type has come; an error when the stream ends before.
    pub(crate) async fn until(&mut self, type_url: &str, name: &str) -> Result<(), String> {
        let wanted = (type_url.to_owned(), name.to_owned());
        while !self.seen.contains(&wanted) {
            let next = timeout(PATIENCE, self.next()).await;
            let response = next.map_err(|_| format!("{name} did not come; there is {:?}", self.seen))??;
            self.note(&response);
            let ack = DeltaDiscoveryRequest {
                type_url: response.type_url,
                response_nonce: response.nonce,
                ..DeltaDiscoveryRequest::default()
            };
            self.send(&ack).await?;
        }
        Ok(())
    }

    /// Names that came for a type, sorted.
    pub(crate) fn names(&self, type_url: &str) -> Vec<&str> {
        self.seen.iter().filter(|(kind, _)| kind == type_url).map(|(_, name)| name.as_str()).collect()
    }

    fn note(&mut self, response: &DeltaDiscoveryResponse) {
        for resource in response.resources.iter().filter(|resource| resource.resource.is_some()) {
            self.seen.insert((response.type_url.clone(), resource.name.clone()));
        }
    }

    async fn send(&self, request: &DeltaDiscoveryRequest) -> Result<(), String> {
        self.requests.send(frame(request)).await.map_err(|_| "the stream has ended".to_owned())
    }

    async fn next(&mut self) -> Result<DeltaDiscoveryResponse, String> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            let frame = self.body.frame().await.ok_or("the stream ended")?.map_err(|error| error.to_string())?;
            match frame.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(trailers) => return Err(format!("the stream ended: {:?}", trailers.into_trailers())),
            }
        }
    }

    fn take(&mut self) -> Result<Option<DeltaDiscoveryResponse>, String> {
        let Some(header) = self.buffer.get(..5) else { return Ok(None) };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let body = self.buffer.split_to(length);
        DeltaDiscoveryResponse::decode(body).map(Some).map_err(|error| error.to_string())
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

async fn open(address: SocketAddr, ca: &str, pair: Option<(&str, &str)>, node: &str) -> Result<Ads, Problem> {
    let tcp = TcpStream::connect(address).await?;
    let tls = TlsConnector::from(client(ca, pair)?).connect(ServerName::try_from("argosy")?, tcp).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // An ending connection shows itself to the reader of the stream.
        let _ = connection.await;
    });
    let (requests, receiver) = mpsc::channel::<Bytes>(16);
    let node = Node { id: node.to_owned(), cluster: node.to_owned(), ..Node::default() };
    let first =
        DeltaDiscoveryRequest { node: Some(node), type_url: Types::CDS.to_owned(), ..DeltaDiscoveryRequest::default() };
    requests.send(frame(&first)).await?;
    let frames = ReceiverStream::new(receiver).map(|bytes| Ok::<_, std::convert::Infallible>(Frame::data(bytes)));
    let request = http::Request::post(format!("https://argosy{PATH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(frames))?;
    let response = sender.send_request(request).await?;
    if let Some(status) = response.headers().get("grpc-status").filter(|status| *status != "0") {
        let message = response.headers().get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default();
        return Err(format!("grpc-status {status:?}: {message}").into());
    }
    // Dropping the sender would end the connection.
    tasks.spawn(async move {
        let _sender = sender;
        std::future::pending().await
    });
    let body = response.into_body();
    Ok(Ads { requests, body, buffer: BytesMut::new(), seen: BTreeSet::new(), _tasks: tasks })
}

fn client(ca: &str, pair: Option<(&str, &str)>) -> Result<Arc<rustls::ClientConfig>, Problem> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match pair {
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// A message with its gRPC header: compression flag, length.
fn frame(message: &impl Message) -> Bytes {
    let body = message.encode_to_vec();
    let mut out = BytesMut::with_capacity(5 + body.len());
    out.put_u8(0);
    out.put_u32(u32::try_from(body.len()).expect("requests are small"));
    out.put_slice(&body);
    out.freeze()
}
