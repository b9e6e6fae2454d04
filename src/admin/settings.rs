//! Settings of the HTTP servers for people and monitoring.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `admin:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdminSettings {
    /// Where the admin API listens.
    pub address: SocketAddr,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 19000)) }
    }
}

/// `metrics:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Where `/metrics` is served.
    pub address: SocketAddr,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 19001)) }
    }
}

/// `health:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Where `/healthz` and `/readyz` are served.
    pub address: SocketAddr,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8081)) }
    }
}
