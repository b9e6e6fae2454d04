//! The status of GatewayClasses and Gateways, of which one speaker says everything.

use super::book::GatewayState;
use super::conditions::{Stamped, render, stamp};
use crate::model::{ClassReport, Finding};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The most features, addresses and kinds of a listener that the API takes.
const MOST_FEATURES: usize = 64;
const MOST_ADDRESSES: usize = 16;
const MOST_KINDS: usize = 8;

/// A GatewayClass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClassStatus {
    conditions: Vec<Stamped>,
    features: Vec<String>,
    pub(super) findings: Vec<Finding>,
}

impl ClassStatus {
    /// What is said now, after what was said before.
    pub(super) fn new(before: Option<&Self>, report: ClassReport, generation: i64, now: Timestamp) -> Self {
        let old = before.map_or(&[][..], |before| &before.conditions);
        let mut features = report.supported_features;
        features.sort();
        features.dedup();
        features.truncate(MOST_FEATURES);
        Self { conditions: stamp(old, report.conditions, generation, now), features, findings: report.findings }
    }

    pub(super) fn render(&self) -> Value {
        let features: Vec<Value> = self.features.iter().map(|name| json!({"name": name})).collect();
        json!({"conditions": render(&self.conditions), "supportedFeatures": features})
    }
}

/// A Gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GatewayStatus {
    conditions: Vec<Stamped>,
    listeners: Vec<ListenerStatus>,
    addresses: Vec<(String, String)>,
    pub(super) findings: Vec<Finding>,
}

#[derive(Debug, PartialEq, Eq)]
struct ListenerStatus {
    name: String,
    kinds: Vec<(String, String)>,
    attached: usize,
    conditions: Vec<Stamped>,
}

impl GatewayStatus {
    /// What is said now, after what was said before.
    pub(super) fn new(before: Option<&Self>, state: GatewayState, generation: i64, now: Timestamp) -> Self {
        let old_listener = |name: &str| {
            let found = before.and_then(|before| before.listeners.iter().find(|listener| listener.name == name));
            found.map_or(&[][..], |listener| &listener.conditions)
        };
        let GatewayState { report, attached, mut addresses, .. } = state;
        let listener = |report: crate::model::ListenerReport| ListenerStatus {
            attached: attached.get(&report.name).copied().unwrap_or_default(),
            conditions: stamp(old_listener(&report.name), report.conditions, generation, now),
            kinds: report.supported_kinds,
            name: report.name,
        };
        addresses.truncate(MOST_ADDRESSES);
        Self {
            conditions: stamp(before.map_or(&[], |before| &before.conditions), report.conditions, generation, now),
            listeners: report.listeners.into_iter().map(listener).collect(),
            addresses,
            findings: report.findings,
        }
    }

    pub(super) fn render(&self) -> Value {
        let mut status = Map::new();
        if !self.addresses.is_empty() {
            let address = |(kind, value): &(String, String)| json!({"type": kind, "value": value});
            status.insert("addresses".to_owned(), self.addresses.iter().map(address).collect());
        }
        status.insert("conditions".to_owned(), render(&self.conditions));
        if !self.listeners.is_empty() {
            status.insert("listeners".to_owned(), self.listeners.iter().map(ListenerStatus::render).collect());
        }
        Value::Object(status)
    }
}

impl ListenerStatus {
    fn render(&self) -> Value {
        let kind = |(group, kind): &(String, String)| json!({"group": group, "kind": kind});
        // An empty list is said too: it means that nothing may attach.
        let kinds: Vec<Value> = self.kinds.iter().take(MOST_KINDS).map(kind).collect();
        json!({
            "name": self.name,
            "supportedKinds": kinds,
            "attachedRoutes": self.attached,
            "conditions": render(&self.conditions),
        })
    }
}
