//! The EnvoyPatchPolicies of a Gateway, laid over its finished resources.

use super::compiler::set;
use crate::envoy::patch::{self, Outcome};
use crate::model::{Condition, Kind, NamespacedName, ObjectKey, PatchSet, PolicyReport};
use crate::snapshot::{Edit, Resource, ResourceType, Snapshot};
use crate::store::View;
use crate::translate;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Patches and what became of them.
#[derive(Debug, Default)]
pub(super) struct PatchState {
    sets: Vec<PatchSet>,
    refused_early: Vec<PolicyReport>,
    outcomes: Vec<Outcome>,
    /// Policies whose result Envoy refused, with what it said: out of force until they change.
    rejected: BTreeMap<ObjectKey, (PatchSet, String)>,
}

impl PatchState {
    /// Reads the policies anew.
    pub(super) fn read(&mut self, view: &dyn View, gateway: &NamespacedName, controller_name: &str) {
        let (sets, refused) = translate::patches(view, gateway, controller_name);
        self.rejected.retain(|policy, (set, _)| sets.iter().any(|new| new.policy == *policy && new == set));
        self.sets = sets;
        self.refused_early = refused;
    }

    /// All resources with the patches in force laid over them.
    pub(super) fn overlay(&mut self, base: &Snapshot) -> Snapshot {
        let in_force: Vec<PatchSet> =
            self.sets.iter().filter(|set| !self.rejected.contains_key(&set.policy)).cloned().collect();
        if in_force.is_empty() {
            self.outcomes.clear();
            return base.clone();
        }
        let mut resources: BTreeMap<(String, String), Bytes> = BTreeMap::new();
        for kind in ResourceType::ALL {
            for resource in base.iter(kind) {
                resources.insert((kind.type_url().to_owned(), resource.name().to_string()), resource.body());
            }
        }
        self.outcomes = patch::apply(&mut resources, &in_force);
        base.apply(&difference(base, resources))
    }

    /// Puts a policy out of force; false when it was already, or is unknown.
    pub(super) fn refuse(&mut self, policy: &ObjectKey, message: &str) -> bool {
        let Some(set) = self.sets.iter().find(|set| set.policy == *policy) else { return false };
        self.rejected.insert(policy.clone(), (set.clone(), message.to_owned())).is_none()
    }

    /// Policies in force that patch a resource.
    pub(super) fn touching(&self, kind: ResourceType, name: &str) -> Vec<ObjectKey> {
        let touches = |set: &&PatchSet| set.patches.iter().any(|p| p.type_url == kind.type_url() && p.name == name);
        let in_force = self.sets.iter().filter(|set| !self.rejected.contains_key(&set.policy));
        in_force.filter(touches).map(|set| set.policy.clone()).collect()
    }

    /// The status of every policy.
    pub(super) fn reports(&self, gateway: &NamespacedName, controller_name: &str) -> Vec<PolicyReport> {
        let ancestor = ObjectKey::new(Kind::Gateway, &*gateway.namespace, &*gateway.name);
        let mut reports = self.refused_early.clone();
        for set in &self.sets {
            reports.push(PolicyReport {
                policy: set.policy.clone(),
                ancestor: ancestor.clone(),
                section: None,
                controller_name: controller_name.to_owned(),
                conditions: self.conditions(&set.policy),
            });
        }
        reports
    }

    fn conditions(&self, policy: &ObjectKey) -> Vec<Condition> {
        let mut conditions = vec![
            Condition::yes("Accepted", "Accepted", "Policy has been accepted."),
            Condition::yes("Programmed", "Programmed", "Patches have been applied."),
        ];
        if let Some((_, message)) = self.rejected.get(policy) {
            let message = format!("Envoy refused the result, so the patches were taken back: {message}");
            set(&mut conditions, Condition::no("Programmed", "Invalid", message));
        }
        if let Some(outcome) = self.outcomes.iter().find(|outcome| outcome.policy == *policy)
            && let Some(first) = outcome.problems.first()
        {
            let all: Vec<String> =
                outcome.problems.iter().map(|p| format!("spec.jsonPatches[{}]: {}", p.index, p.message)).collect();
            set(&mut conditions, Condition::no("Programmed", first.reason, all.join("; ")));
        }
        conditions
    }
}

/// What patching changed.
fn difference(base: &Snapshot, patched: BTreeMap<(String, String), Bytes>) -> Edit {
    let mut edit = Edit::default();
    for kind in ResourceType::ALL {
        for resource in base.iter(kind) {
            if !patched.contains_key(&(kind.type_url().to_owned(), resource.name().to_string())) {
                edit.removals.push((kind, resource.name().clone()));
            }
        }
    }
    for ((type_url, name), body) in patched {
        let Some(kind) = ResourceType::from_type_url(&type_url) else { continue };
        if base.get(kind, &name).is_none_or(|resource| resource.body() != body) {
            edit.upserts.push(Resource::new(kind, &name, vec![body]));
        }
    }
    edit
}
