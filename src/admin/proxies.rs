//! Proxies: what the processes on this machine say, and what their xDS streams say, as one list.

use crate::model::FleetKey;
use crate::xds::ProxyState;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One Envoy process that is run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRow {
    /// The fleet.
    pub fleet: FleetKey,
    /// Its `node.id`; empty before the first start.
    pub node: String,
    /// The process, while there is one.
    pub pid: Option<u32>,
    /// The address that its listeners bind.
    pub address: Option<IpAddr>,
    /// Listener port → bound port.
    pub ports: BTreeMap<u16, u16>,
    /// Envoy's admin page: `unix:<path>` or `http://<address>`.
    pub admin: Option<String>,
    /// For example `starting`, `running`, `failed`.
    pub state: &'static str,
    /// What is wrong with the process, in a sentence.
    pub problem: Option<String>,
}

/// What the list shows of one proxy; what does not apply is null.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    gateway: String,
    class: String,
    node: Option<String>,
    pid: Option<u32>,
    address: Option<IpAddr>,
    ports: Option<BTreeMap<u16, u16>>,
    admin: Option<String>,
    state: &'static str,
    wanted: Option<String>,
    acked: Option<String>,
    last_nack: Option<String>,
    problem: Option<String>,
}

/// What an xDS stream says.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    fleet: FleetKey,
    node: String,
    state: &'static str,
    wanted: Option<String>,
    acked: Option<String>,
    last_nack: Option<String>,
}

impl From<ProxyState> for Stream {
    fn from(proxy: ProxyState) -> Self {
        let nack = |nack: &crate::xds::Nack| {
            let resources = nack.resources.join(", ");
            format!("{} {resources} of {}: {}", nack.kind.label(), nack.revision, nack.message)
        };
        Self {
            state: proxy.state(),
            wanted: proxy.wanted.as_deref().map(str::to_owned),
            acked: proxy.acked.as_deref().map(str::to_owned),
            last_nack: proxy.last_nack.as_ref().map(nack),
            fleet: proxy.fleet,
            node: proxy.node,
        }
    }
}

/// One row a process, and one a stream of a proxy that somebody else runs, by fleet and node. With a stream the state is
/// that of the stream (warming, pending, synced, nacked), without one that of the process.
pub(super) fn merge(processes: Vec<ProxyRow>, streams: Vec<Stream>) -> Vec<Shown> {
    let mut rows: Vec<((FleetKey, String), Shown)> = Vec::new();
    let mut streams: Vec<Option<Stream>> = streams.into_iter().map(Some).collect();
    for process in processes {
        let key = (process.fleet.clone(), process.node.clone());
        let mut row = of_process(process);
        // Streams come in the order in which they were opened: while a proxy connects anew, the last one counts.
        for place in &mut streams {
            let own = place.take_if(|stream| !key.1.is_empty() && stream.fleet == key.0 && stream.node == key.1);
            if let Some(stream) = own {
                add_stream(&mut row, stream);
            }
        }
        rows.push((key, row));
    }
    for stream in streams.into_iter().flatten() {
        rows.push(((stream.fleet.clone(), stream.node.clone()), of_stream(stream)));
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn empty(fleet: &FleetKey, node: String, state: &'static str) -> Shown {
    Shown {
        gateway: fleet.gateway().to_string(),
        class: fleet.class.clone(),
        node: (!node.is_empty()).then_some(node),
        pid: None,
        address: None,
        ports: None,
        admin: None,
        state,
        wanted: None,
        acked: None,
        last_nack: None,
        problem: None,
    }
}

fn of_process(process: ProxyRow) -> Shown {
    Shown {
        pid: process.pid,
        // Ports mean nothing without the address that they are bound on.
        ports: process.address.is_some().then_some(process.ports),
        address: process.address,
        admin: process.admin,
        problem: process.problem,
        ..empty(&process.fleet, process.node, process.state)
    }
}

fn of_stream(stream: Stream) -> Shown {
    let mut row = empty(&stream.fleet, stream.node.clone(), stream.state);
    add_stream(&mut row, stream);
    row
}

fn add_stream(row: &mut Shown, stream: Stream) {
    row.state = stream.state;
    row.wanted = stream.wanted;
    row.acked = stream.acked;
    row.last_nack = stream.last_nack;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn process(gateway: &str, node: &str, state: &'static str) -> ProxyRow {
        ProxyRow {
            fleet: FleetKey::new("public", "infra", gateway),
            node: node.to_owned(),
            pid: Some(7),
            address: Some(IpAddr::from([127, 0, 0, 2])),
            ports: BTreeMap::from([(443, 10443)]),
            admin: Some("http://127.0.0.1:9901".to_owned()),
            state,
            problem: None,
        }
    }

    fn stream(gateway: &str, node: &str, state: &'static str) -> Stream {
        Stream {
            fleet: FleetKey::new("public", "infra", gateway),
            node: node.to_owned(),
            state,
            wanted: Some("r2".to_owned()),
            acked: Some("r1".to_owned()),
            last_nack: None,
        }
    }

    fn shown(processes: Vec<ProxyRow>, streams: Vec<Stream>) -> Value {
        serde_json::to_value(merge(processes, streams)).unwrap()
    }

    #[test]
    fn a_process_with_a_stream_is_one_row() {
        let list = shown(vec![process("edge", "edge-1", "running")], vec![stream("edge", "edge-1", "pending")]);
        let expected = json!([{"gateway": "infra/edge", "class": "public", "node": "edge-1", "pid": 7,
            "address": "127.0.0.2", "ports": {"443": 10443}, "admin": "http://127.0.0.1:9901", "state": "pending",
            "wanted": "r2", "acked": "r1", "lastNack": null, "problem": null}]);
        assert_eq!(list, expected);
    }

    #[test]
    fn a_process_without_a_stream_shows_its_own_state_and_what_is_wrong() {
        let mut failed = process("edge", "", "failed");
        (failed.pid, failed.address, failed.admin) = (None, None, None);
        failed.problem = Some("no Envoy".to_owned());
        let list = shown(vec![failed], vec![stream("edge", "", "warming")]);
        let expected = json!({"gateway": "infra/edge", "class": "public", "node": null, "pid": null, "address": null,
            "ports": null, "admin": null, "state": "failed", "wanted": null, "acked": null, "lastNack": null,
            "problem": "no Envoy"});
        assert_eq!(list[0], expected, "a nameless stream is not known to be that process");
        assert_eq!(list.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_proxy_of_somebody_else_is_a_row_without_process() {
        let list = shown(vec![process("edge", "edge-1", "running")], vec![stream("edge", "own", "synced")]);
        assert_eq!(list[0]["state"], "running");
        assert_eq!((&list[1]["node"], &list[1]["pid"], &list[1]["ports"]), (&json!("own"), &Value::Null, &Value::Null));
        assert_eq!(list[1]["state"], "synced");
    }

    #[test]
    fn while_a_proxy_connects_anew_its_last_stream_counts() {
        let streams = vec![stream("edge", "edge-1", "synced"), stream("edge", "edge-1", "warming")];
        let list = shown(vec![process("edge", "edge-1", "running")], streams);
        assert_eq!(list.as_array().map(Vec::len), Some(1));
        assert_eq!(list[0]["state"], "warming");
    }

    #[test]
    fn rows_are_sorted_by_fleet_and_node() {
        let list = shown(
            vec![process("b", "b-1", "running"), process("a", "a-2", "running")],
            vec![stream("a", "a-1", "synced")],
        );
        let nodes: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["node"].as_str().unwrap()).collect();
        assert_eq!(nodes, ["a-1", "a-2", "b-1"]);
    }
}
