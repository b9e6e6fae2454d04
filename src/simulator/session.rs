//! One delta ADS stream that is driven by hand.

use super::client::{Credentials, PATH};
use super::grpc::{self, GrpcStream};
use crate::runtime::tasks::Tasks;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use std::net::SocketAddr;

/// An open stream on a connection of its own. Nothing is read unless `next` is called.
pub struct Session(GrpcStream);

impl Session {
    /// Opens a stream; an error when the server or its TLS refuses it at once.
    pub async fn open(address: SocketAddr, credentials: &Credentials, tasks: &Tasks) -> anyhow::Result<Self> {
        let (stream, connection) = grpc::open(address, credentials.tls()?, PATH).await?;
        tasks.spawn_detached("simulated session", connection);
        Ok(Self(stream))
    }

    /// Sends a request; an error when the stream is closed.
    pub async fn send(&self, request: &DeltaDiscoveryRequest) -> anyhow::Result<()> {
        Ok(self.0.requests.send(grpc::frame(request)).await?)
    }

    /// The next response; `None` when the stream ended with status 0, an error for every other end.
    pub async fn next(&mut self) -> anyhow::Result<Option<DeltaDiscoveryResponse>> {
        self.0.next().await
    }
}
