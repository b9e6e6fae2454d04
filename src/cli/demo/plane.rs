//! What the demo needs of a running control plane.

use serde_json::Value;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How the demo wants the control plane started.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The folder with the manifests, to be followed live.
    pub files: PathBuf,
    /// Where certificates and process records live.
    pub state_dir: PathBuf,
    /// The Envoy binary; `None` lets the control plane look for one.
    pub envoy: Option<PathBuf>,
    /// `classes:` of the settings: name and controllerName.
    pub classes: Vec<(&'static str, &'static str)>,
    /// Where Envoys connect; port 0 when the usual one is taken.
    pub xds: SocketAddr,
    /// The admin API; port 0 when the usual one is taken.
    pub admin: SocketAddr,
    /// Metrics; port 0 when the usual one is taken.
    pub metrics: SocketAddr,
    /// Health; port 0 when the usual one is taken.
    pub health: SocketAddr,
}

/// How far one change has come, from the journal of rollouts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// What the proxies should have.
    pub revision: String,
    /// From the file event to the last ACK; `None` while proxies are missing.
    pub last_ack: Option<Duration>,
}

/// A control plane in this process.
pub trait Plane {
    /// The admin API.
    fn admin(&self) -> SocketAddr;
    /// Metrics.
    fn metrics(&self) -> SocketAddr;
    /// The `kind: List` of all objects with their status, as `argosy status -o json` prints it.
    fn status(&self) -> Value;
    /// The list that `argosy proxies -o json` prints.
    fn proxies(&self) -> Value;
    /// The findings, an array of objects with at least `code` and `message`.
    fn findings(&self) -> Value;
    /// The newest rollout of one gateway (`namespace/name`), when there is a journal entry for it.
    fn last_rollout(&self, gateway: &str) -> Option<Rollout>;
    /// Ends everything and waits for it.
    fn shutdown(self) -> impl Future<Output = ()> + Send;
}

/// One Envoy, read from the list of proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// `namespace/name` of the Gateway.
    pub gateway: String,
    /// Where its listeners are bound.
    pub address: IpAddr,
    /// Listener port and bound port.
    pub ports: Vec<(u16, u16)>,
    /// The process.
    pub pid: Option<u64>,
    /// Envoy's admin page, when it has one.
    pub admin: Option<String>,
    /// The revision it should have.
    pub wanted: Option<String>,
    /// The revision it has acknowledged.
    pub acked: Option<String>,
    /// What it last refused.
    pub last_nack: Option<String>,
}

impl Fleet {
    /// All Envoys that are bound somewhere.
    pub fn list(proxies: &Value) -> Vec<Self> {
        proxies.as_array().into_iter().flatten().filter_map(Self::read).collect()
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| match value.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
        Some(Self {
            gateway: text("gateway")?,
            address: text("address")?.parse().ok()?,
            ports: value
                .get("ports")
                .and_then(Value::as_object)?
                .iter()
                .filter_map(|(from, to)| Some((from.parse().ok()?, port(to)?)))
                .collect(),
            pid: value.get("pid").and_then(Value::as_u64),
            admin: text("admin"),
            wanted: text("wanted"),
            acked: text("acked"),
            last_nack: text("lastNack"),
        })
    }

    /// Whether the last thing it should have is acknowledged.
    pub fn synced(&self) -> bool {
        self.wanted.is_some() && self.wanted == self.acked
    }

    /// Where a listener port is really bound.
    pub fn socket(&self, port: u16) -> Option<SocketAddr> {
        let (_, bound) = self.ports.iter().find(|(from, _)| *from == port)?;
        Some(SocketAddr::new(self.address, *bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_list_of_proxies_is_read_and_nulls_are_what_is_missing() {
        let list = json!([
            {"gateway": "a/b", "class": "public", "node": "n", "pid": 7, "address": "127.0.0.2", "ports": {"443": 10443},
             "admin": null, "state": "ready", "wanted": "r1", "acked": "r1", "lastNack": null},
            {"gateway": "a/c", "class": "public", "node": null, "pid": null, "address": null, "ports": null,
             "admin": null, "state": "starting", "wanted": "r1", "acked": null, "lastNack": null},
        ]);
        let fleets = Fleet::list(&list);
        assert_eq!(fleets.len(), 1, "one that is bound nowhere cannot be asked anything");
        assert!(fleets[0].synced());
        assert_eq!(fleets[0].socket(443), Some("127.0.0.2:10443".parse().unwrap()));
        assert_eq!(fleets[0].socket(80), None);
        assert_eq!(fleets[0].last_nack, None);
    }
}
