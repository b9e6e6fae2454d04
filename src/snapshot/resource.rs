//! One xDS resource, encoded once for the whole world.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// Resources below this size are kept as one piece: more pieces only pay when there is much to copy.
const JOIN_BELOW: usize = 64 * 1024;

/// The types of resources that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    /// `envoy.config.cluster.v3.Cluster`.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    Endpoints,
    /// `envoy.config.listener.v3.Listener`.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`.
    Route,
    /// `envoy.extensions.transport_sockets.tls.v3.Secret`.
    Secret,
}

impl ResourceType {
    /// All types.
    pub const ALL: [Self; 5] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Route, Self::Secret];

    /// The type URL of the xDS protocol.
    pub fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        }
    }

    /// The type of a type URL.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// The short name, for labels and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Cluster => "cds",
            Self::Endpoints => "eds",
            Self::Listener => "lds",
            Self::Route => "rds",
            Self::Secret => "sds",
        }
    }
}

/// One encoded resource. Its version is a hash of its content, so it is the same on every replica and after every
/// restart.
pub struct Resource {
    kind: ResourceType,
    name: Arc<str>,
    version: Arc<str>,
    hash: u128,
    /// The field `resources` (2) of `DeltaDiscoveryResponse`: of a small resource all of it, else what stands before the
    /// message.
    head: Bytes,
    /// The message of a large resource.
    groups: Vec<Arc<Group>>,
    wire_len: usize,
}

/// Pieces of a message that follow each other. A large resource of which little changed shares the groups of its
/// predecessor, so it counts one reference a group instead of one a piece.
pub struct Group {
    frames: Vec<Bytes>,
    len: usize,
    hash: u128,
}

impl Group {
    /// A group from pieces and the XXH3-128 of each, so that what is kept need not be read again.
    pub fn new(pieces: Vec<(Bytes, u128)>) -> Arc<Self> {
        let hash = hash_of(pieces.iter().map(|(_, hash)| *hash));
        let len = pieces.iter().map(|(piece, _)| piece.len()).sum();
        Arc::new(Self { frames: pieces.into_iter().map(|(piece, _)| piece).collect(), len, hash })
    }

    /// Whether there is not one byte in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for Group {
    /// Never shows content, as the resource does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes@{:032x}", self.len, self.hash)
    }
}

/// The hash of some hashes, in their order.
fn hash_of(hashes: impl Iterator<Item = u128>) -> u128 {
    xxh3_128(&hashes.flat_map(u128::to_le_bytes).collect::<Vec<u8>>())
}

impl PartialEq for Resource {
    /// By content, of which the hash is the identity.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Resource {}

impl fmt::Debug for Resource {
    /// Never shows content: it may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}@{}", self.kind.label(), self.name, self.version)
    }
}

impl Resource {
    /// A resource from the pieces of its canonical encoding.
    pub fn new(kind: ResourceType, name: &str, segments: Vec<Bytes>) -> Arc<Self> {
        let hashed = |segment: Bytes| {
            let hash = xxh3_128(&segment);
            (segment, hash)
        };
        let group = Group::new(segments.into_iter().map(hashed).collect());
        Self::build(kind, name, group.hash, vec![group])
    }

    /// A resource from groups of pieces, so that a large one shares what it has in common with its predecessor. The
    /// caller promises that equal content is always cut and grouped in the same way.
    pub fn from_groups(kind: ResourceType, name: &str, groups: Vec<Arc<Group>>) -> Arc<Self> {
        Self::build(kind, name, hash_of(groups.iter().map(|group| group.hash)), groups)
    }

    fn build(kind: ResourceType, name: &str, content: u128, groups: Vec<Arc<Group>>) -> Arc<Self> {
        let version: Arc<str> = Arc::from(format!("{content:032x}"));
        let length: usize = groups.iter().map(|group| group.len).sum();
        let header = header(kind, name, &version, length);
        let wire_len = header.len() + length;
        let (head, groups) = if wire_len < JOIN_BELOW {
            let mut joined = BytesMut::with_capacity(wire_len);
            joined.extend_from_slice(&header);
            groups.iter().flat_map(|group| &group.frames).for_each(|frame| joined.extend_from_slice(frame));
            (joined.freeze(), Vec::new())
        } else {
            (header, groups)
        };
        let mut identity = Vec::with_capacity(name.len() + 17);
        identity.push(kind as u8);
        identity.extend_from_slice(&content.to_le_bytes());
        identity.extend_from_slice(name.as_bytes());
        Arc::new(Self { kind, name: Arc::from(name), version, hash: xxh3_128(&identity), head, groups, wire_len })
    }

    /// The type.
    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    /// The name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The version: 32 hexadecimal digits.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The resource as a field of a `DeltaDiscoveryResponse`, in pieces that follow each other.
    pub fn frames(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.head).chain(self.message())
    }

    /// The pieces of the message of a large resource.
    fn message(&self) -> impl Iterator<Item = &Bytes> {
        self.groups.iter().flat_map(|group| &group.frames)
    }

    /// The length of all frames, in bytes.
    pub fn wire_len(&self) -> usize {
        self.wire_len
    }

    /// The encoded message, joined: for dumps and patches.
    pub fn body(&self) -> Bytes {
        if self.groups.is_empty() {
            return self.head.slice(header_len(&self.head)..);
        }
        let mut joined = BytesMut::with_capacity(self.wire_len);
        self.message().for_each(|frame| joined.extend_from_slice(frame));
        joined.freeze()
    }

    /// The hash of type, name and content.
    pub(super) fn hash(&self) -> u128 {
        self.hash
    }
}

/// Everything of the field before the message itself. Protobuf fields may come in any order: name (3) and version (1)
/// stand before the `Any` (2), whose type URL (1) stands before its value (2).
fn header(kind: ResourceType, name: &str, version: &str, length: usize) -> Bytes {
    let mut any = Vec::new();
    put_string(1, kind.type_url(), &mut any);
    put_key_and_length(2, length, &mut any);
    let mut resource = Vec::new();
    put_string(3, name, &mut resource);
    put_string(1, version, &mut resource);
    put_key_and_length(2, any.len() + length, &mut resource);
    resource.extend_from_slice(&any);
    let mut field = BytesMut::with_capacity(resource.len() + 8);
    let mut key = Vec::new();
    put_key_and_length(2, resource.len() + length, &mut key);
    field.put_slice(&key);
    field.put_slice(&resource);
    field.freeze()
}

/// How long the header at the start of a frame is, found by reading it.
fn header_len(frame: &[u8]) -> usize {
    let mut at = 0;
    let (_, _) = (read_varint(frame, &mut at), read_varint(frame, &mut at));
    for _ in 0..2 {
        read_varint(frame, &mut at);
        at += read_varint(frame, &mut at);
    }
    let (_, _) = (read_varint(frame, &mut at), read_varint(frame, &mut at));
    read_varint(frame, &mut at);
    at += read_varint(frame, &mut at);
    let (_, _) = (read_varint(frame, &mut at), read_varint(frame, &mut at));
    at
}

fn put_string(field: u8, value: &str, out: &mut Vec<u8>) {
    put_key_and_length(field, value.len(), out);
    out.extend_from_slice(value.as_bytes());
}

fn put_key_and_length(field: u8, length: usize, out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    prost::encoding::encode_varint(length as u64, out);
}

fn read_varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0usize, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
    use prost::Message;

    fn wire(resource: &Resource) -> Vec<u8> {
        resource.frames().flatten().copied().collect()
    }

    fn decode(resource: &Resource) -> DeltaDiscoveryResponse {
        DeltaDiscoveryResponse::decode(wire(resource).as_slice()).unwrap()
    }

    #[test]
    fn frames_are_a_field_of_a_response() {
        for size in [0, 10, 200, 100_000] {
            let segments = vec![Bytes::from(vec![1; size]), Bytes::from_static(b"end")];
            let resource = Resource::new(ResourceType::Route, "a/b/c", segments.clone());
            let response = decode(&resource);
            let [decoded] = &*response.resources else { unreachable!("one resource") };
            assert_eq!((&*decoded.name, &*decoded.version), ("a/b/c", &**resource.version()));
            let any = decoded.resource.as_ref().unwrap();
            assert_eq!(any.type_url, ResourceType::Route.type_url());
            assert_eq!(any.value, segments.concat());
            assert_eq!(resource.body(), segments.concat());
            assert_eq!(resource.wire_len(), wire(&resource).len());
        }
    }

    #[test]
    fn groups_are_shared_and_joined_in_order() {
        let piece = |byte: u8, size: usize| {
            let piece = Bytes::from(vec![byte; size]);
            let hash = xxh3_128(&piece);
            (piece, hash)
        };
        for size in [10, 100_000] {
            let groups = vec![Group::new(vec![piece(1, size), piece(2, size)]), Group::new(vec![piece(3, size)])];
            let resource = Resource::from_groups(ResourceType::Route, "x", groups.clone());
            let content = [vec![1; size], vec![2; size], vec![3; size]].concat();
            assert_eq!(resource.body(), content);
            assert_eq!(decode(&resource).resources[0].resource.as_ref().unwrap().value, content);
            assert_eq!(resource.wire_len(), wire(&resource).len());
            let shared = resource.frames().skip(1).map(|frame| frame.as_ptr());
            let given = groups.iter().flat_map(|group| &group.frames).map(|frame| frame.as_ptr());
            assert!(if size == 10 { shared.count() == 0 } else { shared.eq(given) });
            let other = vec![groups[0].clone(), Group::new(vec![piece(4, size)])];
            assert_ne!(resource, Resource::from_groups(ResourceType::Route, "x", other));
            assert_eq!(resource, Resource::from_groups(ResourceType::Route, "x", groups));
        }
    }

    #[test]
    fn the_version_is_the_content() {
        let version = |content: &'static str| {
            Resource::new(ResourceType::Cluster, "x", vec![Bytes::from_static(content.as_bytes())]).version().clone()
        };
        assert_eq!(version("a"), version("a"));
        assert_ne!(version("a"), version("b"));
    }
}
