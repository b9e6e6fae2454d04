//! Clusters (`envoy.config.cluster.v3.Cluster`).

use super::wire::{any, milliseconds};
use crate::model::BackendKey;
use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy,
};
use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, DataSource, Http2ProtocolOptions, SocketAddress,
    TransportSocket, address, config_source::ConfigSourceSpecifier, data_source::Specifier,
    socket_address::PortSpecifier, transport_socket,
};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, UpstreamTlsContext,
    common_tls_context::ValidationContextType, subject_alt_name_matcher::SanType,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::{
    HttpProtocolOptions,
    http_protocol_options::{ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig},
};
use prost::Message;
use std::net::IpAddr;

const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Where Debian, Alpine and the distroless images keep the system's trust.
const SYSTEM_TRUST: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A cluster by what its backend is. Endpoints of Services come by EDS, so that they change without the cluster.
pub fn cluster(key: &BackendKey) -> Bytes {
    let base = Cluster {
        name: key.cluster_name(),
        connect_timeout: milliseconds(10_000),
        lb_policy: LbPolicy::LeastRequest.into(),
        ..Cluster::default()
    };
    let message = match key {
        BackendKey::Service { http2, .. } => service(protocol(base, *http2)),
        BackendKey::Host { host, port, tls, http2 } => self::host(protocol(base, *http2), host, *port, *tls),
    };
    Bytes::from(message.encode_to_vec())
}

/// HTTP/2 where it is asked for; else HTTP/1.1.
fn protocol(base: Cluster, http2: bool) -> Cluster {
    Cluster {
        // One entry: a map with more would be encoded in random order.
        typed_extension_protocol_options: http2
            .then(|| (PROTOCOL_OPTIONS.to_owned(), any(&http2_options())))
            .into_iter()
            .collect(),
        ..base
    }
}

fn service(base: Cluster) -> Cluster {
    let ads = ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource::default())),
        resource_api_version: ApiVersion::V3.into(),
        ..ConfigSource::default()
    };
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: Some(ads), ..EdsClusterConfig::default() }),
        ..base
    }
}

fn http2_options() -> HttpProtocolOptions {
    let http2 = ProtocolConfig::Http2ProtocolOptions(Http2ProtocolOptions::default());
    let explicit = ExplicitHttpConfig { protocol_config: Some(http2) };
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
        ..HttpProtocolOptions::default()
    }
}

fn host(base: Cluster, host: &str, port: u16, tls: bool) -> Cluster {
    let is_ip = host.parse::<IpAddr>().is_ok();
    let discovery = if is_ip { DiscoveryType::Static } else { DiscoveryType::StrictDns };
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: base.name.clone(),
            endpoints: vec![LocalityLbEndpoints {
                lb_endpoints: vec![lb_endpoint(host, port)],
                ..LocalityLbEndpoints::default()
            }],
            ..ClusterLoadAssignment::default()
        }),
        transport_socket: tls.then(|| tls_socket(host)),
        ..base
    }
}

/// One endpoint by IP address or DNS name.
pub(super) fn lb_endpoint(host: &str, port: u16) -> LbEndpoint {
    let socket = SocketAddress {
        address: host.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(u32::from(port))),
        ..SocketAddress::default()
    };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let endpoint = Endpoint { address: Some(address), ..Endpoint::default() };
    LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..LbEndpoint::default() }
}

fn tls_socket(host: &str) -> TransportSocket {
    let san = SubjectAltNameMatcher {
        san_type: SanType::Dns.into(),
        matcher: Some(super::wire::string_matcher(host, false)),
        ..SubjectAltNameMatcher::default()
    };
    let validation = CertificateValidationContext {
        trusted_ca: Some(DataSource {
            specifier: Some(Specifier::Filename(SYSTEM_TRUST.to_owned())),
            ..DataSource::default()
        }),
        match_typed_subject_alt_names: vec![san],
        ..CertificateValidationContext::default()
    };
    let context = UpstreamTlsContext {
        sni: host.to_owned(),
        common_tls_context: Some(CommonTlsContext {
            validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
            ..CommonTlsContext::default()
        }),
        ..UpstreamTlsContext::default()
    };
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(any(&context))),
    }
}
