//! Which SecurityPolicy applies where, and what policies are told.

use super::findings;
use super::listeners::GROUP;
use super::security::{self, Guard};
use crate::api::gateway_api::Gateway;
use crate::api::v1alpha1::{PolicyTargetReference, SecurityPolicy};
use crate::model::{Condition, Finding, Kind, NamespacedName, ObjectKey, PolicyReport};
use crate::store::View;

/// A policy that was read, for one target.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) policy: ObjectKey,
    /// One listener or rule of the target.
    pub(super) section: Option<String>,
    /// What it asks for; the error closes the routes.
    pub(super) guard: Result<Guard, String>,
    conflict: Option<String>,
}

impl Applied {
    /// What its status says.
    pub(super) fn report(&self, ancestor: &ObjectKey, controller_name: &str) -> PolicyReport {
        let condition = match (&self.conflict, &self.guard) {
            (Some(winner), _) => {
                Condition::no("Accepted", "Conflicted", format!("{winner} is older and has the same target"))
            }
            (None, Err(problem)) => {
                let message = format!("{problem}; requests to the target are answered with 500 until this is mended");
                Condition::no("Accepted", "Invalid", message)
            }
            (None, Ok(_)) => Condition::yes("Accepted", "Accepted", "Policy has been accepted."),
        };
        PolicyReport {
            policy: self.policy.clone(),
            ancestor: ancestor.clone(),
            section: self.section.clone(),
            controller_name: controller_name.to_owned(),
            conditions: vec![condition],
        }
    }

    /// Its finding, when it is not in force.
    pub(super) fn finding(&self) -> Option<Finding> {
        let problem = self.conflict.as_ref().map(|winner| format!("{winner} is older and has the same target"));
        let problem = problem.or_else(|| self.guard.as_ref().err().cloned())?;
        Some(findings::error(findings::POLICY, &self.policy, problem, ""))
    }
}

/// The policies of a target, oldest first; of several for one section the oldest is in force.
pub(super) fn of_target(view: &dyn View, target: &ObjectKey) -> Vec<Applied> {
    let mut found: Vec<Applied> = Vec::new();
    for policy in view.security_policies_of(target) {
        let key = ObjectKey::new(Kind::SecurityPolicy, &*policy.metadata.namespace, &*policy.metadata.name);
        for reference in references(policy).filter(|r| r.kind == target.kind.as_str() && r.name == target.name) {
            let section = reference.section_name.clone();
            let winner = found.iter().find(|other| other.section == section && other.conflict.is_none());
            let conflict = winner.filter(|winner| winner.policy != key).map(|winner| winner.policy.to_string());
            found.push(Applied { policy: key.clone(), section, guard: security::read(view, policy), conflict });
        }
    }
    found
}

/// The policy in force for a section: that of the section, else that of the whole target.
pub(super) fn pick<'a>(applied: &'a [Applied], section: Option<&str>) -> Option<&'a Applied> {
    let in_force = |wanted: Option<&str>| {
        applied.iter().find(|policy| policy.conflict.is_none() && policy.section.as_deref() == wanted)
    };
    section.and_then(|section| in_force(Some(section))).or_else(|| in_force(None))
}

fn references(policy: &SecurityPolicy) -> impl Iterator<Item = &PolicyTargetReference> {
    policy.spec.target_ref.iter().chain(&policy.spec.target_refs).filter(|reference| reference.group == GROUP)
}

/// Reports of the policies that target a Gateway.
pub(super) fn of_gateway(view: &dyn View, key: &ObjectKey, spec: &Gateway, controller_name: &str) -> Vec<PolicyReport> {
    let mut reports = Vec::new();
    for applied in of_target(view, key) {
        let mut report = applied.report(key, controller_name);
        if let Some(section) = &applied.section
            && !spec.spec.listeners.iter().any(|listener| listener.name == *section)
        {
            let names: Vec<&str> = spec.spec.listeners.iter().map(|listener| listener.name.as_str()).collect();
            let message = format!("{key} has no listener {section:?}; it has {}", names.join(", "));
            report.conditions = vec![Condition::no("Accepted", "TargetNotFound", message)];
        }
        reports.push(report);
    }
    reports
}

/// A policy whose targets do not all exist: one report a missing target, with the place where such an object is.
pub fn orphan_policy(
    view: &dyn View,
    controllers: &dyn Fn(&str) -> Option<String>,
    policy: &ObjectKey,
) -> Vec<PolicyReport> {
    let name = policy.named();
    let targets: Vec<PolicyTargetReference> = match policy.kind {
        Kind::SecurityPolicy => {
            view.security_policy(&name).map(|p| p.spec.target_ref.iter().chain(&p.spec.target_refs).cloned().collect())
        }
        Kind::EnvoyPatchPolicy => view.envoy_patch_policy(&name).map(|p| vec![p.spec.target_ref.clone()]),
        _ => None,
    }
    .unwrap_or_default();
    let controller_name = a_controller(view, controllers);
    let report = |target: &PolicyTargetReference| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == target.kind)?;
        let key = ObjectKey::new(kind, &*policy.namespace, &*target.name);
        let foreign = target.namespace.as_ref().is_some_and(|namespace| *namespace != policy.namespace);
        if exists(view, &key) && !foreign {
            return None;
        }
        Some(PolicyReport {
            policy: policy.clone(),
            ancestor: key.clone(),
            section: target.section_name.clone(),
            controller_name: controller_name.clone()?,
            conditions: vec![Condition::no("Accepted", "TargetNotFound", missing(view, &key))],
        })
    };
    targets.iter().filter_map(report).collect()
}

/// A policy that reaches no Gateway belongs to no controller in particular: the first of ours speaks.
fn a_controller(view: &dyn View, controllers: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let classes = view.names(Kind::GatewayClass);
    let names = classes.iter().filter_map(|class| view.gateway_class(&class.name));
    names.map(|class| class.spec.controller_name.clone()).filter(|name| controllers(name).is_some()).min()
}

fn exists(view: &dyn View, key: &ObjectKey) -> bool {
    let name = key.named();
    match key.kind {
        Kind::Gateway => view.gateway(&name).is_some(),
        Kind::HTTPRoute => view.http_route(&name).is_some(),
        Kind::GRPCRoute => view.grpc_route(&name).is_some(),
        _ => false,
    }
}

fn missing(view: &dyn View, key: &ObjectKey) -> String {
    let names = view.names(key.kind);
    if let Some(elsewhere) = names.iter().find(|name| name.name == key.name && name.namespace != key.namespace) {
        return format!(
            "{key} does not exist. {} {elsewhere} does, and a policy has to be in the namespace of its target: move the policy \
             to namespace {}",
            key.kind, elsewhere.namespace
        );
    }
    let near = |name: &&NamespacedName| {
        name.namespace == key.namespace && strsim::damerau_levenshtein(&name.name, &key.name) <= 2
    };
    match names.iter().find(near) {
        Some(near) => format!("{key} does not exist; did you mean {:?}?", near.name),
        None => format!("{key} does not exist"),
    }
}
