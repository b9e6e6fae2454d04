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
        let named = |r: &&PolicyTargetReference| r.kind == target.kind.as_str() && r.name == target.name;
        for reference in references(policy).filter(named) {
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
    let own = &policy.metadata.namespace;
    policy.spec.target_ref.iter().chain(&policy.spec.target_refs).filter(|reference| names(reference, own))
}

/// Whether a reference can be to an object of Gateway API in the policy's own namespace.
pub(super) fn names(reference: &PolicyTargetReference, own: &str) -> bool {
    reference.group == GROUP && reference.namespace.as_ref().is_none_or(|namespace| namespace == own)
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

/// The references of a policy that lead to nothing: one report each, with what would mend it.
pub fn orphan_policy(
    view: &dyn View,
    controllers: &dyn Fn(&str) -> Option<String>,
    policy: &ObjectKey,
) -> Vec<PolicyReport> {
    let name = policy.named();
    let (targets, selectors): (Vec<(String, PolicyTargetReference)>, bool) = match policy.kind {
        Kind::SecurityPolicy => {
            let Some(found) = view.security_policy(&name) else { return Vec::new() };
            let one = found.spec.target_ref.iter().map(|target| ("spec.targetRef".to_owned(), target.clone()));
            let many = found.spec.target_refs.iter().enumerate();
            let many = many.map(|(index, target)| (format!("spec.targetRefs[{index}]"), target.clone()));
            (one.chain(many).collect(), found.spec.target_selectors.is_some())
        }
        Kind::EnvoyPatchPolicy => {
            let Some(found) = view.envoy_patch_policy(&name) else { return Vec::new() };
            (vec![("spec.targetRef".to_owned(), found.spec.target_ref.clone())], false)
        }
        _ => return Vec::new(),
    };
    let Some(controller_name) = a_controller(view, controllers) else { return Vec::new() };
    let report = |ancestor: ObjectKey, section: Option<String>, condition| PolicyReport {
        policy: policy.clone(),
        ancestor,
        section,
        controller_name: controller_name.clone(),
        conditions: vec![condition],
    };
    if targets.is_empty() {
        let problem =
            if selectors { "spec.targetSelectors is not built yet, and" } else { "spec.targetRefs is empty:" };
        let message = format!("{problem} the policy applies to nothing; name its targets in spec.targetRefs");
        return vec![report(policy.clone(), None, Condition::no("Accepted", "Invalid", message))];
    }
    let judge = |(path, target): &(String, PolicyTargetReference)| {
        let (key, condition) = lost(view, policy, path, target)?;
        // What is no object here cannot be an ancestor either.
        Some(report(key.unwrap_or_else(|| policy.clone()), target.section_name.clone(), condition))
    };
    targets.iter().filter_map(judge).collect()
}

/// Why a reference leads to nothing; `None` when it leads to an object.
fn lost(
    view: &dyn View,
    policy: &ObjectKey,
    path: &str,
    target: &PolicyTargetReference,
) -> Option<(Option<ObjectKey>, Condition)> {
    let kinds: &[Kind] = match policy.kind {
        Kind::EnvoyPatchPolicy => &[Kind::Gateway],
        _ => &[Kind::Gateway, Kind::HTTPRoute, Kind::GRPCRoute],
    };
    let Some(kind) = kinds.iter().copied().find(|kind| target.group == GROUP && kind.as_str() == target.kind) else {
        let there: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let message = format!(
            "{path}: {} {:?} cannot carry a policy of kind {}; of group {GROUP} {} can",
            if target.group.is_empty() { "core" } else { &target.group },
            target.kind,
            policy.kind,
            there.join(", ")
        );
        return Some((None, Condition::no("Accepted", "Invalid", message)));
    };
    let key = ObjectKey::new(kind, &*policy.namespace, &*target.name);
    let message = match target.namespace.as_ref().filter(|namespace| **namespace != policy.namespace) {
        Some(namespace) => foreign(view, &ObjectKey::new(kind, namespace.as_str(), &*target.name)),
        None if exists(view, &key) => return None,
        None => missing(view, &key),
    };
    Some((Some(key), Condition::no("Accepted", "TargetNotFound", message)))
}

/// A target in another namespace.
fn foreign(view: &dyn View, target: &ObjectKey) -> String {
    let there = if exists(view, target) { "exists" } else { "does not exist" };
    format!(
        "{target} {there}, but a policy has to be in the namespace of its target: move the policy to namespace {}, or take \
         targetRef.namespace out to mean the policy's own",
        target.namespace
    )
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
