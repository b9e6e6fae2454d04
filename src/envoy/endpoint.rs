//! Endpoints (`envoy.config.endpoint.v3.ClusterLoadAssignment`).

use super::cluster::lb_endpoint;
use super::wire::number;
use crate::model::{BackendKey, Endpoints};
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Locality;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
use prost::Message;
use std::collections::BTreeMap;

/// The endpoints of a cluster, grouped by zone.
pub fn endpoints(key: &BackendKey, endpoints: &Endpoints) -> Bytes {
    let mut zones: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for endpoint in &endpoints.endpoints {
        zones.entry(&endpoint.zone).or_default().push(lb_endpoint(&endpoint.address, endpoint.port));
    }
    let group = |(zone, lb_endpoints): (&str, Vec<_>)| LocalityLbEndpoints {
        locality: (!zone.is_empty()).then(|| Locality { zone: zone.to_owned(), ..Locality::default() }),
        // Without weights a zone with one endpoint would get as much as one with a hundred.
        load_balancing_weight: number(u32::try_from(lb_endpoints.len()).unwrap_or(u32::MAX)),
        lb_endpoints,
        ..LocalityLbEndpoints::default()
    };
    let message = ClusterLoadAssignment {
        cluster_name: key.cluster_name(),
        endpoints: zones.into_iter().map(group).collect(),
        ..ClusterLoadAssignment::default()
    };
    Bytes::from(message.encode_to_vec())
}
