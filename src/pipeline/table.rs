//! Route tables (RouteConfigurations) as concatenations of encoded virtual hosts.

use crate::envoy;
use crate::model::Order;
use crate::snapshot::{Resource, ResourceType};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// One route table. Its virtual hosts are spread over segments by the hash of their hostname. How many segments there are
/// follows from how many virtual hosts there are and from nothing else, so equal content is always cut alike: about the
/// square root of their number. An edit joins one segment anew and lists all segments: with 10,000 virtual hosts of 200 B
/// that is 78 of them, 16 KB, and 128 segments, instead of 2 MB.
#[derive(Debug, Default)]
pub(super) struct Table {
    hosts: BTreeMap<String, Host>,
    segments: Vec<Segment>,
    dirty: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Host {
    routes: BTreeMap<Order, Bytes>,
    /// A listener has this hostname: the virtual host stays even without routes.
    listener: bool,
    encoded: Bytes,
}

/// Some of the virtual hosts, joined.
#[derive(Clone, Debug)]
struct Segment {
    /// Encoded virtual hosts by hostname.
    members: BTreeMap<String, Bytes>,
    joined: Bytes,
    hash: u128,
}

impl Default for Segment {
    fn default() -> Self {
        Self { members: BTreeMap::new(), joined: Bytes::new(), hash: xxh3_128(b"") }
    }
}

impl Segment {
    fn join(&mut self) {
        let mut joined = BytesMut::with_capacity(self.members.values().map(Bytes::len).sum());
        self.members.values().for_each(|encoded| joined.extend_from_slice(encoded));
        self.joined = joined.freeze();
        self.hash = xxh3_128(&self.joined);
    }
}

impl Table {
    /// Sets which hostnames belong to listeners; `*` stands for all.
    pub(super) fn set_listener_hostnames(&mut self, hostnames: &BTreeSet<String>) {
        let gone: Vec<String> = self
            .hosts
            .iter()
            .filter(|(name, host)| host.listener && !hostnames.contains(*name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(host) = self.hosts.get_mut(&name) {
                host.listener = false;
            }
            self.dirty.insert(name);
        }
        for name in hostnames {
            let host = self.hosts.entry(name.clone()).or_default();
            if !host.listener {
                host.listener = true;
                self.dirty.insert(name.clone());
            }
        }
    }

    /// Puts one encoded route at its place.
    pub(super) fn insert(&mut self, hostname: &str, order: Order, route: Bytes) {
        self.hosts.entry(hostname.to_owned()).or_default().routes.insert(order, route);
        self.dirty.insert(hostname.to_owned());
    }

    /// Takes one route away.
    pub(super) fn remove(&mut self, hostname: &str, order: &Order) {
        if let Some(host) = self.hosts.get_mut(hostname) {
            host.routes.remove(order);
            self.dirty.insert(hostname.to_owned());
        }
    }

    /// Whether anything was touched since the last `encode`.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || self.segments.is_empty()
    }

    /// Encodes what was touched and joins the rest.
    pub(super) fn encode(&mut self, name: &str) -> Arc<Resource> {
        let dirty = std::mem::take(&mut self.dirty);
        let changed: Vec<String> = dirty.into_iter().filter(|hostname| self.encode_host(hostname)).collect();
        let count = self.hosts.len().isqrt().next_power_of_two();
        if self.segments.len() == count {
            self.update(changed);
        } else {
            self.cut(count);
        }
        let head = envoy::route_table_head(name);
        let hash = xxh3_128(&head);
        let segments = self.segments.iter().filter(|segment| !segment.members.is_empty());
        let segments = segments.map(|segment| (segment.joined.clone(), segment.hash));
        Resource::from_hashed(ResourceType::Route, name, std::iter::once((head, hash)).chain(segments).collect())
    }

    /// Joins the segments of some virtual hosts again.
    fn update(&mut self, changed: Vec<String>) {
        let mut touched = BTreeSet::new();
        for hostname in changed {
            let index = place(&hostname, self.segments.len());
            let members = &mut self.segments[index].members;
            match self.hosts.get(&hostname) {
                Some(host) => members.insert(hostname, host.encoded.clone()),
                None => members.remove(&hostname),
            };
            touched.insert(index);
        }
        touched.into_iter().for_each(|index| self.segments[index].join());
    }

    /// Spreads all virtual hosts over another number of segments.
    fn cut(&mut self, count: usize) {
        self.segments = vec![Segment::default(); count];
        for (hostname, host) in &self.hosts {
            self.segments[place(hostname, count)].members.insert(hostname.clone(), host.encoded.clone());
        }
        self.segments.iter_mut().for_each(Segment::join);
    }

    /// Encodes one virtual host; whether it came out otherwise than before.
    fn encode_host(&mut self, hostname: &str) -> bool {
        let Some(host) = self.hosts.get_mut(hostname) else { return false };
        if host.routes.is_empty() && !host.listener {
            self.hosts.remove(hostname);
            return true;
        }
        let routes: Vec<Bytes> = host.routes.values().cloned().collect();
        let encoded = envoy::virtual_host(hostname, &routes);
        if encoded == host.encoded {
            return false;
        }
        host.encoded = encoded;
        true
    }
}

/// The segment of a hostname.
fn place(hostname: &str, count: usize) -> usize {
    usize::try_from(xxh3_64(hostname.as_bytes()) % count as u64).unwrap_or(0)
}
