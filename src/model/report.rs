//! What becomes status: conditions without times, which `status` adds.

use super::{Finding, ObjectKey};

/// A condition as the translator decides it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// For example `Accepted`.
    pub kind: &'static str,
    /// True or False (nothing here is ever Unknown).
    pub status: bool,
    /// CamelCase.
    pub reason: String,
    /// For people: what is wrong and how to mend it.
    pub message: String,
}

impl Condition {
    /// A condition that holds.
    pub fn yes(kind: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, status: true, reason: reason.into(), message: message.into() }
    }

    /// A condition that does not.
    pub fn no(kind: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, status: false, reason: reason.into(), message: message.into() }
    }
}

/// The status of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassReport {
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Names of features, sorted.
    pub supported_features: Vec<String>,
    /// Findings.
    pub findings: Vec<Finding>,
}

/// The status of a Gateway; attached routes are counted by the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayReport {
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Listeners in the order of the specification.
    pub listeners: Vec<ListenerReport>,
    /// Policies and parameters that were read for the Gateway (EnvoyProxy, EnvoyPatchPolicy …).
    pub policies: Vec<PolicyReport>,
    /// Findings.
    pub findings: Vec<Finding>,
}

/// The status of a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerReport {
    /// The section name.
    pub name: String,
    /// (group, kind).
    pub supported_kinds: Vec<(String, String)>,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// What one Gateway says of a route: one entry for each of the route's parentRefs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteReport {
    /// Entries, in the order of the route's parentRefs.
    pub parents: Vec<ParentReport>,
    /// Listeners the route is attached to (accepted), by name, sorted.
    pub attached: Vec<String>,
    /// Policies that were read for the route.
    pub policies: Vec<PolicyReport>,
    /// Findings.
    pub findings: Vec<Finding>,
}

/// One entry of `status.parents`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentReport {
    /// The index in the route's `parentRefs`.
    pub index: usize,
    /// Who says it.
    pub controller_name: String,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// One entry of a policy's `status.ancestors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyReport {
    /// The policy.
    pub policy: ObjectKey,
    /// The Gateway it was judged for; the target itself when the policy reaches no Gateway.
    pub ancestor: ObjectKey,
    /// The section of the Gateway, when the policy names one.
    pub section: Option<String>,
    /// Who says it.
    pub controller_name: String,
    /// Conditions.
    pub conditions: Vec<Condition>,
}
