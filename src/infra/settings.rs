//! Settings of the infrastructure that runs Envoys.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who runs the Envoys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InfraKind {
    /// This process starts one Envoy a fleet on this machine.
    #[default]
    Host,
    /// Somebody else runs them.
    None,
}

/// `infra:` in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Who runs the Envoys.
    #[serde(rename = "type")]
    pub kind: InfraKind,
    /// Settings of kind `host`.
    pub host: HostSettings,
}

/// `infra.host:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostSettings {
    /// The pool of addresses for Gateways that name none; the first two and the last of a network are never used.
    pub addresses: ipnet::IpNet,
    /// The Envoy binary; found by `PATH` and the project's own cache folder when it is not given.
    pub envoy: Option<PathBuf>,
    /// Leaves Envoys running when this process ends; the next one adopts them.
    pub keep_proxies: bool,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            addresses: ipnet::IpNet::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8)),
            envoy: None,
            keep_proxies: false,
        }
    }
}
