//! What a fleet's processes need to know, beside their xDS configuration.

use super::FleetKey;
use std::net::IpAddr;

/// One fleet that should be running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetPlan {
    /// Whose fleet.
    pub fleet: FleetKey,
    /// `spec.addresses` of the Gateway, of type IPAddress, in order.
    pub addresses: Vec<IpAddr>,
    /// The ports of all accepted listeners, sorted.
    pub ports: Vec<u16>,
    /// Worker threads of an Envoy; `None` lets the installation decide.
    pub concurrency: Option<u32>,
    /// Envoy's default log level: trace, debug, info, warning, error, critical, off.
    pub log_level: String,
    /// Levels of single components, `component:level,…`; empty for none.
    pub component_log_level: String,
    /// Further arguments for Envoy's command line.
    pub extra_args: Vec<String>,
    /// The user's change to the bootstrap, already checked for syntax: the finished bootstrap is made by
    /// `envoy::bootstrap` from it and the installation's own values.
    pub bootstrap: Option<super::BootstrapPatch>,
    /// How long connections may drain when the fleet is removed, in seconds.
    pub drain_seconds: u64,
}
