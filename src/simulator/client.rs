//! Simulated proxies: delta ADS clients that subscribe and acknowledge as Envoy does.

use super::grpc::{self, GrpcStream};
use crate::runtime::tasks::Tasks;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, http_connection_manager::RouteSpecifier,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

pub(super) const PATH: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const CDS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const EDS: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const LDS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const RDS: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
const SDS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// What a proxy needs to prove who it is, PEM.
#[derive(Clone)]
pub struct Credentials {
    /// The certificate authority of the server.
    pub ca: String,
    /// The client certificate; empty for none.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Credentials {
    pub(super) fn tls(&self) -> anyhow::Result<Arc<rustls::ClientConfig>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        if self.certificate.is_empty() {
            let mut config = builder.with_no_client_auth();
            config.alpn_protocols = vec![b"h2".to_vec()];
            return Ok(Arc::new(config));
        }
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let mut config = builder.with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

/// What all proxies together have seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Streams that are open.
    pub open: AtomicUsize,
    /// Streams that ended with an error.
    pub failed: AtomicUsize,
    /// Resources received.
    pub resources: AtomicU64,
    /// Removals received.
    pub removals: AtomicU64,
    /// Responses received and acknowledged.
    pub responses: AtomicU64,
    /// Clusters received, counted one by one.
    pub clusters: AtomicU64,
    changed: Notify,
}

/// A number of simulated proxies of one fleet.
pub struct Proxies {
    /// What they have seen.
    pub seen: Arc<Seen>,
}

impl Proxies {
    /// Starts `count` proxies, each with a connection of its own; they run until the tasks end.
    pub fn start(address: SocketAddr, credentials: &Credentials, count: usize, tasks: &Tasks) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let tls = credentials.tls()?;
        for index in 0..count {
            let (seen, tls) = (Arc::clone(&seen), Arc::clone(&tls));
            tasks.spawn_detached("simulated proxy", async move {
                if let Err(error) = run(address, tls, index, &seen).await {
                    tracing::debug!(index, %error, "simulated proxy ended");
                    seen.failed.fetch_add(1, Ordering::Relaxed);
                }
                seen.changed.notify_waiters();
            });
        }
        Ok(Self { seen })
    }

    /// Waits until a condition over what was seen holds.
    pub async fn wait(&self, condition: impl Fn(&Seen) -> bool) {
        loop {
            let changed = self.seen.changed.notified();
            if condition(&self.seen) {
                return;
            }
            changed.await;
        }
    }
}

async fn run(address: SocketAddr, tls: Arc<rustls::ClientConfig>, index: usize, seen: &Seen) -> anyhow::Result<()> {
    let (stream, connection) = grpc::open(address, tls, PATH).await?;
    seen.open.fetch_add(1, Ordering::Relaxed);
    seen.changed.notify_waiters();
    let result = tokio::select! {
        result = converse(stream, index, seen) => result,
        () = connection => Ok(()),
    };
    seen.open.fetch_sub(1, Ordering::Relaxed);
    result
}

async fn converse(mut stream: GrpcStream, index: usize, seen: &Seen) -> anyhow::Result<()> {
    let node = Node { id: format!("simulated-{index}"), cluster: "simulated".to_owned(), ..Node::default() };
    let first =
        DeltaDiscoveryRequest { node: Some(node), type_url: CDS.to_owned(), ..DeltaDiscoveryRequest::default() };
    stream.requests.send(grpc::frame(&first)).await?;
    stream.requests.send(grpc::frame(&subscribe(LDS, Vec::new()))).await?;
    while let Some(response) = stream.next::<DeltaDiscoveryResponse>().await? {
        let follow_up = follow_up(&response)?;
        seen.resources.fetch_add(response.resources.len() as u64, Ordering::Relaxed);
        seen.removals.fetch_add(response.removed_resources.len() as u64, Ordering::Relaxed);
        if response.type_url == CDS {
            seen.clusters.fetch_add(response.resources.len() as u64, Ordering::Relaxed);
        }
        for (type_url, names) in follow_up {
            stream.requests.send(grpc::frame(&subscribe(type_url, names))).await?;
        }
        let ack = DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        };
        stream.requests.send(grpc::frame(&ack)).await?;
        seen.responses.fetch_add(1, Ordering::Relaxed);
        seen.changed.notify_waiters();
    }
    Ok(())
}

fn subscribe(type_url: &str, names: Vec<String>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names_subscribe: names,
        ..DeltaDiscoveryRequest::default()
    }
}

/// What a proxy asks for after it got clusters or listeners.
fn follow_up(response: &DeltaDiscoveryResponse) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let mut asked = Vec::new();
    if response.type_url == CDS {
        let names: Vec<String> =
            response.resources.iter().map(|r| r.name.clone()).filter(|name| name.starts_with("service/")).collect();
        if !names.is_empty() {
            asked.push((EDS, names));
        }
    }
    if response.type_url == LDS {
        let (mut tables, mut secrets) = (BTreeSet::new(), BTreeSet::new());
        for resource in response.resources.iter().filter_map(|resource| resource.resource.as_ref()) {
            let listener = Listener::decode(&*resource.value)?;
            for chain in listener.filter_chains.iter().chain(&listener.default_filter_chain) {
                tables.extend(chain.filters.iter().filter_map(route_table));
                secrets.extend(chain.transport_socket.iter().flat_map(secret_names));
            }
        }
        // A request without names would ask for everything.
        if !tables.is_empty() {
            asked.push((RDS, tables.into_iter().collect()));
        }
        if !secrets.is_empty() {
            asked.push((SDS, secrets.into_iter().collect()));
        }
    }
    Ok(asked)
}

fn route_table(filter: &envoy_types::pb::envoy::config::listener::v3::Filter) -> Option<String> {
    use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else { return None };
    let manager = HttpConnectionManager::decode(&*any.value).ok()?;
    match manager.route_specifier? {
        RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
        _ => None,
    }
}

fn secret_names(socket: &envoy_types::pb::envoy::config::core::v3::TransportSocket) -> Vec<String> {
    use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
    let Some(ConfigType::TypedConfig(any)) = &socket.config_type else { return Vec::new() };
    let Ok(context) = DownstreamTlsContext::decode(&*any.value) else { return Vec::new() };
    let secrets = context.common_tls_context.into_iter().flat_map(|common| common.tls_certificate_sds_secret_configs);
    secrets.map(|secret| secret.name).collect()
}
