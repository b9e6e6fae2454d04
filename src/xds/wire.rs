//! gRPC messages of the delta ADS method: requests decoded, responses as frames of shared bytes.

use super::stream::Request;
use crate::snapshot::{Resource, ResourceType};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use prost::Message;
use std::sync::Arc;

/// Frames below this size are joined with their neighbours: a thousand small clusters become a few writes.
const CHUNK: usize = 16 * 1024;

/// Reads gRPC messages from pieces of a body.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
}

/// Why a body cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the request has {0} bytes, more than the {1} that xds.maxRequestBytes allows")]
    TooLarge(usize, usize),
    #[error("compressed requests are not served")]
    Compressed,
    #[error("the request is no DeltaDiscoveryRequest: {0}")]
    Malformed(#[from] prost::DecodeError),
}

impl Decoder {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete request, with the node's id if it was given.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<(Request, Option<String>)>, DecodeError> {
        let Some(header) = self.buffer.get(..5) else { return Ok(None) };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if header[0] != 0 {
            return Err(DecodeError::Compressed);
        }
        if length > limit {
            return Err(DecodeError::TooLarge(length, limit));
        }
        if self.buffer.len() < 5 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let message = DeltaDiscoveryRequest::decode(self.buffer.split_to(length).freeze())?;
        if self.buffer.is_empty() {
            // A large first request would otherwise stay allocated for the life of the stream.
            self.buffer = BytesMut::new();
        }
        Ok(Some(request(message)))
    }
}

fn request(message: DeltaDiscoveryRequest) -> (Request, Option<String>) {
    let node = message.node.map(|node| node.id);
    let request = Request {
        type_url: message.type_url,
        nonce: message.response_nonce,
        error: message.error_detail.map(|status| status.message),
        subscribe: message.resource_names_subscribe,
        unsubscribe: message.resource_names_unsubscribe,
        initial_versions: message.initial_resource_versions.into_iter().collect(),
    };
    (request, node)
}

/// A `DeltaDiscoveryResponse` as frames: a header of its own, then the resources as they were encoded once for all. Small
/// ones are copied together, but not before their turn: a client that does not read costs no copy of all of them.
pub(super) fn response<'a>(
    kind: ResourceType,
    nonce: u64,
    revision: &str,
    resources: &'a [Arc<Resource>],
    removed: &[Arc<str>],
) -> Frames<impl Iterator<Item = &'a Bytes> + use<'a>> {
    let mut head = Vec::new();
    put_string(1, revision, &mut head);
    put_string(4, kind.type_url(), &mut head);
    put_string(5, &nonce.to_string(), &mut head);
    removed.iter().for_each(|name| put_string(6, name, &mut head));
    let length = head.len() + resources.iter().map(|resource| resource.wire_len()).sum::<usize>();
    let mut current = BytesMut::with_capacity(CHUNK.min(length + 5));
    current.put_u8(0);
    current.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    current.put_slice(&head);
    let pieces = resources.iter().flat_map(|resource| resource.frames());
    Frames { length: length + 5, current, pieces: pieces.peekable() }
}

/// The frames of one response.
pub(super) struct Frames<P: Iterator> {
    length: usize,
    current: BytesMut,
    pieces: std::iter::Peekable<P>,
}

impl<P: Iterator> Frames<P> {
    /// The length of all frames, in bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }
}

impl<'a, P: Iterator<Item = &'a Bytes>> Iterator for Frames<P> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.current.len() < CHUNK {
            match self.pieces.peek() {
                Some(piece) if piece.len() < CHUNK => self.current.extend_from_slice(piece),
                Some(_) if self.current.is_empty() => return self.pieces.next().cloned(),
                _ => break,
            }
            self.pieces.next();
        }
        let full = std::mem::take(&mut self.current);
        (!full.is_empty()).then(|| full.freeze())
    }
}

fn put_string(field: u8, value: &str, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    prost::encoding::encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;

    #[test]
    fn a_response_is_what_any_client_decodes() {
        let resources: Vec<_> = [10, 20_000, 100_000]
            .iter()
            .map(|size| Resource::new(ResourceType::Cluster, &format!("c{size}"), vec![Bytes::from(vec![7; *size])]))
            .collect();
        let gone = [Arc::from("gone")];
        let frames = response(ResourceType::Cluster, 42, "rev", &resources, &gone);
        let length = frames.len();
        let bytes = frames.collect::<Vec<_>>().concat();
        assert_eq!(length, bytes.len());
        assert_eq!(u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize, bytes.len() - 5);
        let decoded = DeltaDiscoveryResponse::decode(&bytes[5..]).unwrap();
        assert_eq!((&*decoded.nonce, &*decoded.system_version_info), ("42", "rev"));
        assert_eq!(decoded.removed_resources, ["gone"]);
        let sizes: Vec<usize> = decoded.resources.iter().map(|r| r.resource.as_ref().unwrap().value.len()).collect();
        assert_eq!(sizes, [10, 20_000, 100_000]);
    }

    #[test]
    fn requests_come_in_any_pieces_and_large_ones_are_refused() {
        let message = DeltaDiscoveryRequest { type_url: "t".to_owned(), ..DeltaDiscoveryRequest::default() };
        let body = message.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&body);
        let mut decoder = Decoder::default();
        for byte in &bytes[..bytes.len() - 1] {
            decoder.push(&[*byte]);
            assert!(decoder.next(100).unwrap().is_none());
        }
        decoder.push(&bytes[bytes.len() - 1..]);
        assert_eq!(decoder.next(100).unwrap().unwrap().0.type_url, "t");
        decoder.push(&[0, 1, 0, 0, 0]);
        assert!(matches!(decoder.next(100), Err(DecodeError::TooLarge(..))));
    }
}
