//! Policies with a target that is missing. What they are told depends on objects that they do not name: one of the same
//! name in another namespace, one with nearly the same name in their own.

use super::Object;
use super::shelves::Shelves;
use super::targets::{policy_references, policy_target};
use crate::model::{Kind, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// How many letters may differ for a name to be a suggestion; translation draws the same line.
const NEAR: usize = 2;

/// The index. It is a function of the objects alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Orphans {
    /// Policy → its missing targets.
    missing: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// (target, policy); of one kind and namespace stand together.
    by_target: BTreeSet<(ObjectKey, ObjectKey)>,
    /// (kind, name of the target, policy).
    by_name: BTreeSet<(Kind, String, ObjectKey)>,
}

impl Orphans {
    /// Judges a policy anew; `None` when it is gone.
    pub(super) fn judge(&mut self, shelves: &Shelves, policy: &ObjectKey, object: Option<&Object>) {
        for target in self.missing.remove(policy).unwrap_or_default() {
            self.by_name.remove(&(target.kind, target.name.clone(), policy.clone()));
            self.by_target.remove(&(target, policy.clone()));
        }
        let missing = object.map(|object| missing(shelves, policy, object)).unwrap_or_default();
        for target in &missing {
            self.by_name.insert((target.kind, target.name.clone(), policy.clone()));
            self.by_target.insert((target.clone(), policy.clone()));
        }
        if !missing.is_empty() {
            self.missing.insert(policy.clone(), missing);
        }
    }

    /// All policies with a missing target.
    pub(super) fn all(&self) -> impl Iterator<Item = &ObjectKey> {
        self.missing.keys()
    }

    /// The policies that may be told another thing when an object appears or disappears.
    pub(super) fn told_of(&self, object: &ObjectKey) -> BTreeSet<ObjectKey> {
        let first = (object.kind, object.name.clone(), ObjectKey::new(Kind::GatewayClass, "", ""));
        let same =
            self.by_name.range(first..).take_while(|(kind, name, _)| (*kind, name) == (object.kind, &object.name));
        let first = ObjectKey::new(object.kind, &*object.namespace, "");
        let first = (first, ObjectKey::new(Kind::GatewayClass, "", ""));
        let here = |(target, _): &&(ObjectKey, ObjectKey)| {
            (target.kind, &target.namespace) == (object.kind, &object.namespace)
        };
        let near = self.by_target.range(first..).take_while(here);
        let near = near.filter(|(target, _)| strsim::damerau_levenshtein(&target.name, &object.name) <= NEAR);
        same.map(|(.., policy)| policy).chain(near.map(|(_, policy)| policy)).cloned().collect()
    }
}

/// Targets that do not exist, or that the reference says to be elsewhere. Policies can be on Gateways and routes only.
fn missing(shelves: &Shelves, policy: &ObjectKey, object: &Object) -> BTreeSet<ObjectKey> {
    let mut found = BTreeSet::new();
    let references = policy_references(object);
    if references.is_empty() {
        found.insert(policy.clone());
    }
    for reference in references {
        let target =
            policy_target(reference, &policy.namespace).filter(|target| reference.group == target.kind.group());
        // What is no object stands in the list by the policy itself.
        let Some(target) = target else {
            found.insert(policy.clone());
            continue;
        };
        let foreign = reference.namespace.as_ref().is_some_and(|namespace| *namespace != policy.namespace);
        let attachable = matches!(target.kind, Kind::Gateway | Kind::HTTPRoute | Kind::GRPCRoute);
        if foreign || !attachable || !shelves.has(&target) {
            found.insert(target);
        }
    }
    found
}
