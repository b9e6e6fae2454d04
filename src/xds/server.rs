//! The xDS server: mTLS, HTTP/2, one method, limits.

use super::connection::{Connection, FRAMES};
use super::metrics::OpenResult;
use super::progress::Progress;
use super::settings::Settings;
use crate::certificates::Authority;
use crate::model::FleetKey;
use crate::runtime::tasks::Tasks;
use crate::snapshot::Registry;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

const METHOD: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// Handshakes at the same time; they cost CPU, and a reconnecting fleet brings thousands at once.
const HANDSHAKES: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections beside those that have a stream.
const SPARE: usize = 1024;
/// How long a connection may take to carry the ends of its streams away.
const DRAIN: Duration = Duration::from_secs(3);
/// How long a new stream may wait for its turn before it is refused.
const ADMISSION: Duration = Duration::from_secs(1);

type Response = http::Response<BoxBody<Bytes, Infallible>>;

/// A server that is bound and can be started.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<Settings>,
    authority: Arc<Authority>,
    registry: Arc<Registry>,
    progress: Arc<Progress>,
    tasks: Tasks,
    streams: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    admission: Mutex<Instant>,
}

impl Server {
    /// Binds the address of the settings.
    pub async fn bind(
        settings: Settings,
        authority: Arc<Authority>,
        registry: Arc<Registry>,
        progress: Arc<Progress>,
        tasks: Tasks,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(settings.address).await?;
        let shared = Shared {
            streams: Arc::new(Semaphore::new(settings.max_streams.min(Semaphore::MAX_PERMITS))),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            // Each stream may have a connection of its own, and each one that is refused has to be told so.
            connections: Arc::new(Semaphore::new(
                settings.max_streams.saturating_add(SPARE).min(Semaphore::MAX_PERMITS),
            )),
            admission: Mutex::new(Instant::now()),
            settings: Arc::new(settings),
            authority,
            registry,
            progress,
            tasks,
        };
        Ok(Self { listener, shared: Arc::new(shared) })
    }

    /// Where it is bound.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until shutdown.
    pub async fn serve(self) -> std::io::Result<()> {
        let shutdown = self.shared.tasks.shutdown_token();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            let Ok((tcp, peer)) = accepted else {
                // Out of file descriptors: waiting is all there is to do, the open streams go on.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&self.shared.connections).try_acquire_owned() else {
                tracing::debug!(%peer, "too many xDS connections");
                continue;
            };
            let shared = Arc::clone(&self.shared);
            self.shared.tasks.spawn_detached("xds connection", async move {
                shared.connection(tcp, peer).await;
                drop(permit);
            });
        }
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.handshakes).acquire_owned().await else { return };
        // A delay of small writes would cost 40 ms a push.
        let _ = tcp.set_nodelay(true);
        let acceptor = tokio_rustls::TlsAcceptor::from(self.authority.server_config());
        let tls = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                tracing::info!(%peer, %error, "refused an xDS connection: its certificate or its TLS is not good");
                self.count_open("", "auth");
                return;
            }
            Err(_) => return tracing::debug!(%peer, "a TLS handshake took too long"),
        };
        drop(permit);
        let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
        let certificate = certificate.map(|der| der.into_owned());
        let service = hyper::service::service_fn({
            let shared = Arc::clone(&self);
            move |request| {
                let shared = Arc::clone(&shared);
                // The certificate was good at the handshake, but connections live long.
                let identity = certificate
                    .as_deref()
                    .ok_or_else(|| "no client certificate".to_owned())
                    .and_then(|der| shared.authority.identify(der).map_err(|error| error.to_string()));
                async move { Ok::<_, Infallible>(shared.request(request, identity, peer).await) }
            }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(64 * 1024)
            .max_concurrent_streams(4)
            .max_send_buf_size(16 * 1024)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(tls), service);
        let mut connection = std::pin::pin!(connection);
        let shutdown = self.tasks.shutdown_token();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                // A client that does not read never takes the end of its stream.
                match tokio::time::timeout(DRAIN, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return tracing::debug!(%peer, "an xDS connection did not drain in time"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "an xDS connection ended");
        }
    }

    async fn request(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        identity: Result<FleetKey, String>,
        peer: SocketAddr,
    ) -> Response {
        if request.uri().path() != METHOD {
            return refusal("12", &format!("only {METHOD} is served"));
        }
        let key = match identity {
            Ok(key) => key,
            Err(error) => {
                self.count_open("", "auth");
                return refusal("16", &error);
            }
        };
        if !self.admit().await {
            self.count_open(&key.class, "rate");
            return refusal("8", "too many new streams a second (xds.newStreamsPerSecond): try again");
        }
        let Ok(permit) = Arc::clone(&self.streams).try_acquire_owned() else {
            self.count_open(&key.class, "full");
            return refusal("8", "too many streams (xds.maxStreams): try again");
        };
        self.count_open(&key.class, "ok");
        // A fleet that is not there yet is one whose Gateway has not been translated: the stream waits for it.
        let connection = Connection {
            fleet: self.registry.fleet(&key),
            peer,
            settings: Arc::clone(&self.settings),
            progress: Arc::clone(&self.progress),
            shutdown: self.tasks.shutdown_token(),
            _permit: permit,
        };
        let (out, frames) = mpsc::channel::<Frame<Bytes>>(FRAMES);
        self.tasks.spawn_detached("xds stream", connection.serve(request.into_body(), out));
        let body = StreamBody::new(ReceiverStream::new(frames).map(Ok::<_, Infallible>));
        let mut response = http::Response::new(BodyExt::boxed(body));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        response
    }

    /// Waits for a place in the stream of new streams, a second at most.
    async fn admit(&self) -> bool {
        let step = Duration::from_secs(1) / self.settings.new_streams_per_second.max(1);
        let now = Instant::now();
        let turn = {
            let mut next = self.admission.lock().await;
            // Up to a tenth of a second's worth may come at once.
            let turn = (*next).max(now.checked_sub(Duration::from_millis(100)).unwrap_or(now));
            if turn > now + ADMISSION {
                return false;
            }
            *next = turn + step;
            turn
        };
        tokio::time::sleep_until(turn).await;
        true
    }

    fn count_open(&self, class: &str, result: &str) {
        let labels = OpenResult { class: class.to_owned(), result: result.to_owned() };
        self.progress.metrics.opens.get_or_create_owned(&labels).inc();
    }
}

/// A gRPC answer without a message: status and text.
fn refusal(status: &'static str, message: &str) -> Response {
    let mut response = http::Response::new(BodyExt::boxed(Empty::new()));
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", http::HeaderValue::from_static(status));
    if let Ok(message) = http::HeaderValue::from_str(message) {
        headers.insert("grpc-message", message);
    }
    response
}
