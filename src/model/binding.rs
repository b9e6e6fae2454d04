//! Where a fleet's listeners are really bound.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The address and ports that the Envoys of a fleet bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The address every listener binds.
    pub address: IpAddr,
    /// Listener port of the Gateway → bound port. A port that is missing here is bound as it is.
    pub ports: BTreeMap<u16, u16>,
}

impl Binding {
    /// All addresses; ports below 1024 are moved up by 10000, so that no privilege is needed.
    pub fn unprivileged(ports: impl IntoIterator<Item = u16>) -> Self {
        let moved = |port: u16| if port < 1024 { port + 10000 } else { port };
        Self { address: IpAddr::from([0, 0, 0, 0]), ports: ports.into_iter().map(|port| (port, moved(port))).collect() }
    }

    /// The port that is really bound for a listener port.
    pub fn bound(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }
}
