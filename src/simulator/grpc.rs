//! One bidirectional gRPC stream over HTTP/2 and TLS, with as little around it as possible.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Requests that may wait to be written.
const REQUESTS: usize = 16;

/// An open stream: requests go into `requests`, answers come from `next`.
pub(super) struct GrpcStream {
    pub(super) requests: mpsc::Sender<Bytes>,
    body: Incoming,
    buffer: BytesMut,
}

/// Opens a stream; the returned future drives the connection and has to be polled.
pub(super) async fn open(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
) -> anyhow::Result<(GrpcStream, impl Future<Output = ()> + Send + use<>)> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let stream = TlsConnector::from(tls).connect(ServerName::try_from("argosy")?, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(256 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    let drive = async move {
        // An ending connection shows itself to the reader of the stream.
        let _ = connection.await;
    };
    let (requests, receiver) = mpsc::channel::<Bytes>(REQUESTS);
    let frames = ReceiverStream::new(receiver).map(|bytes| Ok::<_, std::convert::Infallible>(Frame::data(bytes)));
    let request = http::Request::post(format!("https://argosy{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(frames))?;
    // The connection has to make progress while the answer's head is awaited.
    let mut drive = Box::pin(drive);
    let response = tokio::select! {
        response = sender.send_request(request) => response?,
        () = &mut drive => anyhow::bail!("the connection ended before an answer came"),
    };
    anyhow::ensure!(response.status().is_success(), "HTTP status {}", response.status());
    if let Some(status) = response.headers().get("grpc-status")
        && status != "0"
    {
        let message = response.headers().get("grpc-message").and_then(|m| m.to_str().ok()).unwrap_or_default();
        anyhow::bail!("gRPC status {status:?}: {message}");
    }
    Ok((GrpcStream { requests, body: response.into_body(), buffer: BytesMut::new() }, async move {
        drive.await;
        drop(sender);
    }))
}

/// Encodes a message with its gRPC header (compression flag, length).
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut out = BytesMut::with_capacity(5 + length);
    out.put_u8(0);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode(&mut out).expect("a BytesMut grows");
    out.freeze()
}

impl GrpcStream {
    /// The next message; `None` when the stream ended with status 0.
    pub(super) async fn next<M: Message + Default>(&mut self) -> anyhow::Result<Option<M>> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else { anyhow::bail!("the stream ended without a status") };
            let frame = frame?;
            if let Some(trailers) = frame.trailers_ref()
                && let Some(status) = trailers.get("grpc-status")
            {
                if status == "0" {
                    return Ok(None);
                }
                let message = trailers.get("grpc-message").and_then(|m| m.to_str().ok()).unwrap_or_default();
                anyhow::bail!("gRPC status {status:?}: {message}");
            }
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }

    fn take<M: Message + Default>(&mut self) -> anyhow::Result<Option<M>> {
        let Some(header) = self.buffer.get(..5) else { return Ok(None) };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let body = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            // Gives the memory of a large message back.
            self.buffer = BytesMut::new();
        }
        Ok(Some(M::decode(body)?))
    }
}
