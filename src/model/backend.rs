//! Backends: clusters and endpoints.

use super::NamespacedName;
use std::fmt;

/// What a cluster *is*; its name says nothing else, so it stays the same however routes are edited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackendKey {
    /// One port of a Service, reached over its EndpointSlices.
    Service {
        /// The Service.
        service: NamespacedName,
        /// The Service's port.
        port: u16,
        /// HTTP/2 towards the backend: `appProtocol: kubernetes.io/h2c`, and every backend of a GRPCRoute.
        http2: bool,
    },
    /// A host outside, reached by DNS: a JWKS server, an ExternalName Service.
    Host {
        /// DNS name or IP address.
        host: String,
        /// The port.
        port: u16,
        /// TLS with the system's trust, server name and identity being the host.
        tls: bool,
        /// HTTP/2 towards the host, as for Services.
        http2: bool,
    },
}

impl BackendKey {
    /// The name of the Envoy cluster: `service/<ns>/<name>/<port>[/h2]` or `host/<host>/<port>[/tls][/h2]`.
    pub fn cluster_name(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, port, http2 } => {
                write!(f, "service/{}/{}/{port}{}", service.namespace, service.name, if *http2 { "/h2" } else { "" })
            }
            Self::Host { host, port, tls, http2 } => {
                let (tls, http2) = (if *tls { "/tls" } else { "" }, if *http2 { "/h2" } else { "" });
                write!(f, "host/{host}/{port}{tls}{http2}")
            }
        }
    }
}

/// The endpoints of one backend of kind Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Ready endpoints, sorted and without repetition.
    pub endpoints: Vec<Endpoint>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// The IP address.
    pub address: String,
    /// The port it listens on.
    pub port: u16,
    /// The zone; empty when unknown.
    pub zone: String,
}
