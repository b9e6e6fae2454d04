//! What the fleet is given: clusters with endpoints, a listener and its route table, as the translator would make them.

use anyhow::Context;
use argosy::envoy;
use argosy::model::{BackendKey, Binding, Chain, Endpoint, Endpoints, NamespacedName, Port};
use argosy::snapshot::{Edit, Resource, ResourceType, Snapshot};
use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::google::protobuf::Duration;
use prost::Message;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

const TABLE: &str = "bench/gateway/http";

fn backend(index: usize) -> BackendKey {
    BackendKey::Service { service: NamespacedName::new("bench", format!("service-{index}")), port: 80, http2: false }
}

/// Everything that the fleet has at first.
pub(crate) fn initial(clusters: usize) -> Edit {
    let endpoint = Endpoint { address: "127.1.0.1".to_owned(), port: 8080, zone: String::new() };
    let endpoints = Endpoints { endpoints: vec![endpoint] };
    let of_backend = |index| {
        let key = backend(index);
        let name = key.cluster_name();
        [
            Resource::new(ResourceType::Cluster, &name, vec![envoy::cluster(&key)]),
            Resource::new(ResourceType::Endpoints, &name, vec![envoy::endpoints(&key, &endpoints)]),
        ]
    };
    let mut upserts: Vec<Arc<Resource>> = (0..clusters).flat_map(of_backend).collect();
    upserts.extend([listener(), route_table(clusters)]);
    Edit { upserts, removals: Vec::new() }
}

fn listener() -> Arc<Resource> {
    let chain = Chain { table: TABLE.to_owned(), hostname: None, certificates: Vec::new(), hostnames: vec![None] };
    let port = Port { name: TABLE.to_owned(), port: 8080, tls: false, chains: vec![chain] };
    let binding = Binding { address: IpAddr::from([127, 0, 0, 2]), ports: BTreeMap::new() };
    Resource::new(ResourceType::Listener, &port.name, vec![envoy::listener(&port, &[], &binding)])
}

fn route_table(hosts: usize) -> Arc<Resource> {
    let host = |index| envoy::virtual_host(&format!("host-{index}.example.com"), &[]);
    let segments: Vec<Bytes> = std::iter::once(envoy::route_table_head(TABLE)).chain((0..hosts).map(host)).collect();
    Resource::new(ResourceType::Route, TABLE, segments)
}

/// A change of one cluster that its name does not depend on.
pub(crate) fn changed(snapshot: &Snapshot, round: usize) -> anyhow::Result<Edit> {
    let clusters = snapshot.len(ResourceType::Cluster).max(1);
    let name = backend(round * 7919 % clusters).cluster_name();
    let before = snapshot.get(ResourceType::Cluster, &name).context("the cluster to change is gone")?;
    let mut cluster = Cluster::decode(before.body())?;
    let seconds = i64::try_from(20 + round)?;
    cluster.connect_timeout = Some(Duration { seconds, nanos: 0 });
    let after = Resource::new(ResourceType::Cluster, &name, vec![Bytes::from(cluster.encode_to_vec())]);
    Ok(Edit { upserts: vec![after], removals: Vec::new() })
}
