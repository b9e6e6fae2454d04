//! Settings of the xDS server.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `xds:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where Envoys connect.
    pub address: SocketAddr,
    /// The most streams served at once; further ones are refused with RESOURCE_EXHAUSTED.
    pub max_streams: usize,
    /// New streams admitted a second; further ones wait up to a second and are then refused.
    pub new_streams_per_second: u32,
    /// The largest request accepted, in bytes.
    pub max_request_bytes: usize,
    /// The trust domain in the SPIFFE identities of fleets.
    pub trust_domain: String,
    /// How long a fleet certificate is valid, in hours; it is renewed at two thirds of that.
    pub certificate_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 18000)),
            max_streams: 10_000,
            new_streams_per_second: 500,
            max_request_bytes: 32 << 20,
            trust_domain: "argosy.local".to_owned(),
            certificate_hours: 24,
        }
    }
}
