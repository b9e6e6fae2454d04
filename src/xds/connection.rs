//! One stream: carries bytes between the client and the state machine, nothing else.

use super::metrics::{Class, CloseReason, Type, TypeResult};
use super::progress::Progress;
use super::settings::Settings;
use super::stream::{Action, Stream};
use super::wire::{self, Decoder};
use crate::model::FleetKey;
use crate::snapshot::{Fleet, Published};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

/// Frames of a response that wait for the connection. A slow client holds these and the list of what one response has:
/// frames are made when their turn comes.
pub(super) const FRAMES: usize = 4;

/// What a stream runs with.
pub(super) struct Connection {
    pub(super) fleet: Arc<Fleet>,
    pub(super) peer: SocketAddr,
    pub(super) settings: Arc<Settings>,
    pub(super) progress: Arc<Progress>,
    pub(super) shutdown: CancellationToken,
    /// Gives the place among `max_streams` back when the stream ends.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// How long the end of a stream may wait for a client that reads slowly.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a stream ended.
enum End {
    Client,
    Drain,
    Removed,
    Error(String),
}

impl Connection {
    /// Serves the stream until the client, the fleet or the process ends.
    pub(super) async fn serve(self, body: Incoming, out: mpsc::Sender<Frame<Bytes>>) {
        let id = self.progress.connected(self.fleet.key(), self.peer);
        let streams = self.progress.metrics.streams.get_or_create_owned(&Class { class: self.key().class.clone() });
        streams.inc();
        let end = self.converse(id, body, &out).await;
        streams.dec();
        self.progress.disconnected(id);
        let (reason, status, message) = match &end {
            End::Client => ("client", "0", String::new()),
            End::Drain => ("drain", "0", String::new()),
            End::Removed => ("removed", "5", format!("fleet {} is gone", self.key())),
            End::Error(error) => ("error", "3", error.clone()),
        };
        tracing::debug!(fleet = %self.key(), peer = %self.peer, reason, message, "xDS stream ended");
        let labels = CloseReason { class: self.key().class.clone(), reason: reason.to_owned() };
        self.progress.metrics.closes.get_or_create_owned(&labels).inc();
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static(status));
        if let Ok(message) = http::HeaderValue::from_str(&message) {
            trailers.insert("grpc-message", message);
        }
        // The client may be gone already, or never read: the stream ends in any case.
        let _ = tokio::time::timeout(FAREWELL, out.send(Frame::trailers(trailers))).await;
    }

    fn key(&self) -> &FleetKey {
        self.fleet.key()
    }

    async fn converse(&self, id: u64, mut body: Incoming, out: &mpsc::Sender<Frame<Bytes>>) -> End {
        let mut stream = Stream::new(Arc::clone(self.fleet.names()));
        let mut decoder = Decoder::default();
        let mut generation = self.fleet.subscribe();
        let mut sent_at: [Option<Instant>; 5] = [None; 5];
        if let Err(end) = self.publish(id, &mut stream, &mut sent_at, out).await {
            return end;
        }
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return End::Drain,
                () = self.fleet.removed().cancelled() => return End::Removed,
                frame = body.frame() => match frame {
                    None => return End::Client,
                    Some(Err(error)) => {
                        tracing::debug!(%error, "reading from a proxy");
                        return End::Client;
                    }
                    Some(Ok(frame)) => {
                        if let Ok(piece) = frame.into_data() {
                            decoder.push(&piece);
                        }
                    }
                },
                changed = generation.changed() => {
                    if changed.is_err() {
                        return End::Removed;
                    }
                    if let Err(end) = self.publish(id, &mut stream, &mut sent_at, out).await {
                        return end;
                    }
                }
            }
            loop {
                let (request, node) = match decoder.next(self.settings.max_request_bytes) {
                    Ok(Some(request)) => request,
                    Ok(None) => break,
                    Err(error) => return End::Error(error.to_string()),
                };
                if let Some(node) = node {
                    self.progress.node(id, node);
                }
                let actions = stream.request(&request);
                if let Err(end) = self.act(id, actions, &mut sent_at, out).await {
                    return end;
                }
            }
        }
    }

    async fn publish(
        &self,
        id: u64,
        stream: &mut Stream,
        sent_at: &mut [Option<Instant>; 5],
        out: &mpsc::Sender<Frame<Bytes>>,
    ) -> Result<(), End> {
        // Before the first complete translation nothing is answered: an empty answer would take everything away from a
        // proxy that has a configuration.
        let Some(published) = self.fleet.current() else { return Ok(()) };
        let actions = stream.published(Arc::clone(&published));
        self.progress.wanted(id, &published, stream.has_refusals());
        self.act(id, actions, sent_at, out).await
    }

    /// Carries actions out.
    async fn act(
        &self,
        id: u64,
        actions: Vec<Action>,
        sent_at: &mut [Option<Instant>; 5],
        out: &mpsc::Sender<Frame<Bytes>>,
    ) -> Result<(), End> {
        for action in actions {
            match action {
                Action::Send { kind, nonce, revision, resources, removed } => {
                    let frames = wire::response(kind, nonce, &revision, &resources, &removed);
                    self.measure_push(kind.label(), frames.len(), resources.len());
                    for frame in frames {
                        self.write(frame, out).await?;
                    }
                    sent_at[kind as usize] = Some(self.progress.clock.now());
                }
                Action::Acked(kind) => self.result(kind.label(), "ack"),
                Action::Divided(kind) => self.result(kind.label(), "nack"),
                Action::Refused(refusal) => {
                    self.result(refusal.kind.label(), "nack");
                    self.progress.refused(id, &refusal);
                }
                Action::Synced(published) => self.synced(id, &published, sent_at),
            }
        }
        Ok(())
    }

    /// Hands a frame over. A client that does not read holds the stream here, and must not hold its end.
    async fn write(&self, frame: Bytes, out: &mpsc::Sender<Frame<Bytes>>) -> Result<(), End> {
        tokio::select! {
            biased;
            sent = out.send(Frame::data(frame)) => sent.map_err(|_| End::Client),
            () = self.shutdown.cancelled() => Err(End::Drain),
            () = self.fleet.removed().cancelled() => Err(End::Removed),
        }
    }

    fn synced(&self, id: u64, published: &Arc<Published>, sent_at: &[Option<Instant>; 5]) {
        // What was sent for an earlier publication says nothing about this one, which may have needed no response.
        let sent = sent_at.iter().flatten().max().filter(|sent| **sent >= published.published());
        self.progress.synced(id, published, sent.copied());
    }

    fn measure_push(&self, kind: &str, bytes: usize, resources: usize) {
        let labels = Type { class: self.key().class.clone(), r#type: kind.to_owned() };
        let metrics = &self.progress.metrics;
        #[allow(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
        metrics.push_size.get_or_create_owned(&labels).observe(bytes as f64);
        #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        metrics.push_resources.get_or_create_owned(&labels).observe(resources as f64);
    }

    fn result(&self, kind: &str, result: &str) {
        let class = self.key().class.clone();
        let labels = TypeResult { class, r#type: kind.to_owned(), result: result.to_owned() };
        self.progress.metrics.pushes.get_or_create_owned(&labels).inc();
    }
}
