//! What is known about every object's status.

use crate::model::{ClassReport, Finding, GatewayReport, NamespacedName, ObjectKey, PolicyReport, RouteReport};
use crate::runtime::clock::Clock;
use crate::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a Gateway's status is made from, beside its report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayState {
    /// Conditions and listeners.
    pub report: GatewayReport,
    /// Accepted routes by listener.
    pub attached: BTreeMap<String, usize>,
    /// (type, value) of each address.
    pub addresses: Vec<(String, String)>,
    /// Who says it.
    pub controller_name: String,
}

/// The newest report of everybody about everything.
#[derive(Debug)]
pub struct StatusBook {
    #[allow(dead_code, reason = "used by what follows")]
    clock: Clock,
}

impl StatusBook {
    /// An empty book; the clock gives `lastTransitionTime`.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// What is said of a GatewayClass.
    pub fn class(&mut self, _store: &Store, _name: &str, _report: ClassReport) {}

    /// What is said of a Gateway, and of the policies that were read for it.
    pub fn gateway(&mut self, _store: &Store, _name: &NamespacedName, _state: GatewayState) {}

    /// What a Gateway says of a route, and of the policies that were read for it.
    pub fn route(&mut self, _store: &Store, _route: &ObjectKey, _gateway: &NamespacedName, _report: RouteReport) {}

    /// All that is said of the EnvoyPatchPolicies of a Gateway.
    pub fn patches(&mut self, _store: &Store, _gateway: &NamespacedName, _reports: Vec<PolicyReport>) {}

    /// What is said of a policy as far as its targets are missing.
    pub fn orphan_policy(&mut self, _store: &Store, _policy: &ObjectKey, _reports: Vec<PolicyReport>) {}

    /// A Gateway says nothing of a route any more.
    pub fn forget_route(&mut self, _route: &ObjectKey, _gateway: &NamespacedName) {}

    /// A Gateway says nothing any more, of itself or of others.
    pub fn forget_gateway(&mut self, _gateway: &NamespacedName) {}

    /// An object is gone, or not ours any more.
    pub fn forget(&mut self, _object: &ObjectKey) {}

    /// All objects that carry status, with it filled in: a Kubernetes `kind: List`.
    pub fn list(&self, _store: &Store) -> Value {
        Value::Null
    }

    /// Findings about objects, with their places.
    pub fn findings(&self, _store: &Store) -> Vec<Finding> {
        Vec::new()
    }
}
