//! Route tables (RouteConfigurations) as concatenations of encoded virtual hosts.

use crate::envoy;
use crate::model::Order;
use crate::snapshot::{Group, Resource, ResourceType};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// One route table. Its virtual hosts are spread over groups of segments by the hash of their hostname. How many groups and
/// segments there are follows from how many virtual hosts there are and from nothing else, so equal content is always cut
/// alike: about as many groups as segments in a group and virtual hosts in a segment. An edit joins one segment anew, lists
/// the segments of its group, and lists the groups: with 10,000 virtual hosts of 200 B that is 39 of them, 8 KB, 16
/// segments and 16 groups, instead of 2 MB.
#[derive(Debug, Default)]
pub(super) struct Table {
    hosts: BTreeMap<String, Host>,
    parts: Vec<Part>,
    dirty: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Host {
    routes: BTreeMap<Order, Bytes>,
    /// A listener has this hostname: the virtual host stays even without routes.
    listener: bool,
    encoded: Bytes,
}

/// Some of the segments, and the group they make.
#[derive(Clone, Debug)]
struct Part {
    segments: Vec<Segment>,
    group: Arc<Group>,
}

impl Part {
    fn new(count: usize) -> Self {
        Self { segments: vec![Segment::default(); count], group: Group::new(Vec::new()) }
    }

    fn join(&mut self) {
        let segments = self.segments.iter().filter(|segment| !segment.members.is_empty());
        self.group = Group::new(segments.map(|segment| (segment.joined.clone(), segment.hash)).collect());
    }
}

/// How a table is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    /// How many groups there are, a power of two.
    groups: usize,
    /// How many segments each of them has, a power of two.
    segments: usize,
}

impl Shape {
    /// The shape of a table of so many virtual hosts.
    fn of(hosts: usize) -> Self {
        let bits = hosts.max(1).ilog2();
        Self { groups: 1 << (bits / 3), segments: 1 << ((bits + 1) / 3) }
    }

    /// The group of a hostname, and the segment in that group.
    fn place(self, hostname: &str) -> (usize, usize) {
        let hash = xxh3_64(hostname.as_bytes());
        let index = |bits: u64, count: usize| usize::try_from(bits % count as u64).unwrap_or(0);
        (index(hash >> 32, self.groups), index(hash, self.segments))
    }
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
        !self.dirty.is_empty() || self.parts.is_empty()
    }

    /// Encodes what was touched and joins the rest.
    pub(super) fn encode(&mut self, name: &str) -> Arc<Resource> {
        let dirty = std::mem::take(&mut self.dirty);
        let changed: Vec<String> = dirty.into_iter().filter(|hostname| self.encode_host(hostname)).collect();
        let shape = Shape::of(self.hosts.len());
        if self.shape() == Some(shape) {
            self.update(changed, shape);
        } else {
            self.cut(shape);
        }
        let head = envoy::route_table_head(name);
        let hash = xxh3_128(&head);
        let groups = self.parts.iter().map(|part| &part.group).filter(|group| !group.is_empty());
        let groups = std::iter::once(Group::new(vec![(head, hash)])).chain(groups.cloned());
        Resource::from_groups(ResourceType::Route, name, groups.collect())
    }

    /// How the table is cut now, if it was ever encoded.
    fn shape(&self) -> Option<Shape> {
        self.parts.first().map(|part| Shape { groups: self.parts.len(), segments: part.segments.len() })
    }

    /// Joins the segments of some virtual hosts again, and their groups.
    fn update(&mut self, changed: Vec<String>, shape: Shape) {
        let mut touched = BTreeSet::new();
        for hostname in changed {
            let place = shape.place(&hostname);
            let members = &mut self.parts[place.0].segments[place.1].members;
            match self.hosts.get(&hostname) {
                Some(host) => members.insert(hostname, host.encoded.clone()),
                None => members.remove(&hostname),
            };
            touched.insert(place);
        }
        touched.iter().for_each(|&(group, segment)| self.parts[group].segments[segment].join());
        let groups: BTreeSet<usize> = touched.into_iter().map(|(group, _)| group).collect();
        groups.into_iter().for_each(|group| self.parts[group].join());
    }

    /// Spreads all virtual hosts over other groups and segments.
    fn cut(&mut self, shape: Shape) {
        self.parts = vec![Part::new(shape.segments); shape.groups];
        for (hostname, host) in &self.hosts {
            let (group, segment) = shape.place(hostname);
            self.parts[group].segments[segment].members.insert(hostname.clone(), host.encoded.clone());
        }
        for part in &mut self.parts {
            part.segments.iter_mut().for_each(Segment::join);
            part.join();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table(hosts: std::ops::Range<usize>) -> Table {
        let mut table = Table::default();
        table.set_listener_hostnames(&names(hosts));
        table
    }

    fn names(hosts: std::ops::Range<usize>) -> BTreeSet<String> {
        hosts.map(|index| format!("host-{index}.example.com")).collect()
    }

    #[test]
    fn the_way_to_a_content_does_not_show() {
        let mut edited = table(0..0);
        // Up and down over several shapes, with and without a change of shape between two steps.
        for range in [0..0, 0..1, 0..7, 0..8, 5..900, 0..1025, 3..1030, 0..5000, 0..4999, 2000..2900, 0..30, 0..0] {
            edited.set_listener_hostnames(&names(range.clone()));
            let (edited, fresh) = (edited.encode("t"), table(range.clone()).encode("t"));
            assert_eq!((&edited, edited.version()), (&fresh, fresh.version()), "{range:?}");
            assert_eq!(edited.body(), fresh.body(), "{range:?}");
        }
    }

    #[test]
    fn an_edit_shares_all_segments_but_one() {
        let mut table = table(0..9000);
        let before = table.encode("t");
        table.set_listener_hostnames(&names(1..9000));
        let after = table.encode("t");
        assert_ne!(before, after);
        let kept: BTreeSet<_> = before.frames().map(|frame| frame.as_ptr()).collect();
        // The header, the head of the table and one segment are new.
        assert_eq!(after.frames().filter(|frame| !kept.contains(&frame.as_ptr())).count(), 3);
        assert_eq!(after.frames().count(), 2 + 16 * 16);
    }

    #[test]
    fn groups_segments_and_hosts_grow_together() {
        for hosts in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
            let Shape { groups, segments } = Shape::of(hosts);
            let members = hosts / groups / segments;
            assert!(
                groups <= segments && segments <= 2 * groups && groups <= members && members < 4 * groups,
                "{hosts}"
            );
        }
    }
}
