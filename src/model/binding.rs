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

    /// A sentence for each port that is bound as another one, for the Gateway's status; `None` when there is none, and
    /// when somebody else decides where the Gateway is reached.
    pub fn moved(&self) -> Option<String> {
        let moved = self.ports.iter().filter(|(port, bound)| port != bound);
        let told: Vec<String> = moved.map(|(port, bound)| format!("Port {port} is bound as {bound}.")).collect();
        (!self.address.is_unspecified() && !told.is_empty()).then(|| told.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_moved_ports_of_this_machine_are_told() {
        let mut binding = Binding::unprivileged([80, 443, 8080]);
        assert_eq!(binding.moved(), None, "somebody else's");
        binding.address = IpAddr::from([127, 0, 0, 2]);
        assert_eq!(binding.moved().unwrap(), "Port 80 is bound as 10080. Port 443 is bound as 10443.");
        binding.ports.retain(|port, _| *port == 8080);
        assert_eq!(binding.moved(), None);
    }
}
