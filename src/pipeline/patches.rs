//! The EnvoyPatchPolicies of a Gateway, laid over its finished resources.

use super::compiler::set;
use crate::envoy::patch::{self, Outcome};
use crate::model::{Condition, Kind, NamespacedName, ObjectKey, PatchSet, PolicyReport, ResourcePatch};
use crate::snapshot::{Edit, Resource, ResourceType, Snapshot};
use crate::store::View;
use crate::translate;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Patches and what became of them.
#[derive(Debug, Default)]
pub(super) struct PatchState {
    sets: Vec<PatchSet>,
    refused_early: Vec<PolicyReport>,
    outcomes: Vec<Outcome>,
    /// Policies whose result Envoy refused, with what it said: out of force until they change.
    rejected: BTreeMap<ObjectKey, (PatchSet, String)>,
    /// What the patches in force last came to.
    last: Option<Laid>,
}

/// The result of patches, and what it was made from.
#[derive(Debug)]
struct Laid {
    /// The versions of the resources that are named, in the order of their names.
    versions: Vec<Option<Arc<str>>>,
    edit: Edit,
}

impl PatchState {
    /// Reads the policies anew.
    pub(super) fn read(&mut self, view: &dyn View, gateway: &NamespacedName, controller_name: &str) {
        let (sets, refused) = translate::patches(view, gateway, controller_name);
        self.rejected.retain(|policy, (set, _)| sets.iter().any(|new| new.policy == *policy && new == set));
        if self.sets != sets {
            self.last = None;
        }
        self.sets = sets;
        self.refused_early = refused;
    }

    /// No patch is in force.
    pub(super) fn is_idle(&self) -> bool {
        self.sets.iter().all(|set| self.rejected.contains_key(&set.policy))
    }

    /// All resources with the patches in force laid over them. Patches are carried out again only when a resource that they
    /// name has changed.
    pub(super) fn overlay(&mut self, base: &Snapshot) -> Snapshot {
        if self.is_idle() {
            self.outcomes.clear();
            self.last = None;
            return base.clone();
        }
        let in_force: Vec<PatchSet> =
            self.sets.iter().filter(|set| !self.rejected.contains_key(&set.policy)).cloned().collect();
        let named: BTreeSet<(ResourceType, &str)> =
            in_force.iter().flat_map(|set| &set.patches).filter_map(named).collect();
        let versions =
            named.iter().map(|(kind, name)| base.get(*kind, name).map(|r| Arc::clone(r.version()))).collect();
        if let Some(last) = self.last.as_ref().filter(|last| last.versions == versions) {
            return base.apply(&last.edit);
        }
        let body = |(kind, name): &(ResourceType, &str)| {
            base.get(*kind, name).map(|resource| ((kind.type_url().to_owned(), (*name).to_owned()), resource.body()))
        };
        let mut resources: BTreeMap<(String, String), Bytes> = named.iter().filter_map(body).collect();
        let names = |type_url: &str| {
            let kind = ResourceType::from_type_url(type_url);
            kind.into_iter().flat_map(|kind| base.iter(kind)).map(|resource| resource.name().to_string()).collect()
        };
        self.outcomes = patch::apply(&mut resources, &names, &in_force);
        let edit = difference(base, &named, resources);
        let complete = base.apply(&edit);
        // A message about a missing resource shows the names there are, which may change without the resource.
        let missing =
            self.outcomes.iter().flat_map(|outcome| &outcome.problems).any(|p| p.reason == "ResourceNotFound");
        self.last = (!missing).then_some(Laid { versions, edit });
        complete
    }

    /// Puts a policy out of force; false when it was already, or is unknown.
    pub(super) fn refuse(&mut self, policy: &ObjectKey, message: &str) -> bool {
        let Some(set) = self.sets.iter().find(|set| set.policy == *policy) else { return false };
        self.last = None;
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

/// The resource that a patch names.
fn named(patch: &ResourcePatch) -> Option<(ResourceType, &str)> {
    ResourceType::from_type_url(&patch.type_url).map(|kind| (kind, patch.name.as_str()))
}

/// What patching changed among the resources that patches name.
fn difference(
    base: &Snapshot,
    named: &BTreeSet<(ResourceType, &str)>,
    patched: BTreeMap<(String, String), Bytes>,
) -> Edit {
    let mut edit = Edit::default();
    for (kind, name) in named {
        let gone = !patched.contains_key(&(kind.type_url().to_owned(), (*name).to_owned()));
        if let Some(resource) = base.get(*kind, name).filter(|_| gone) {
            edit.removals.push((*kind, resource.name().clone()));
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
