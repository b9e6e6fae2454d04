//! Who refers to whom, in both directions. Targets need not exist: that is how an object that appears finds those who
//! have waited for it.

use crate::model::{Kind, NamespacedName, ObjectKey};
use std::collections::{BTreeMap, BTreeSet};

/// The index. It is a function of the objects alone, whatever the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct References {
    out: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    into: BTreeMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// Namespace → objects of other namespaces that need a ReferenceGrant in it.
    across: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// Service → Gateways where it is used, with the number of routes and policies by which it is. Kept as a sum, since an
    /// endpoint change must not cost what there are routes.
    used_at: BTreeMap<NamespacedName, BTreeMap<NamespacedName, usize>>,
}

impl References {
    /// Sets what an object refers to; nothing when it is gone.
    pub(super) fn replace(&mut self, from: &ObjectKey, targets: BTreeSet<ObjectKey>) {
        let users = self.users(from);
        let before: Vec<_> = users.iter().flat_map(|user| self.uses(user)).collect();
        for (service, gateway) in before {
            self.drop_use(&service, &gateway);
        }
        self.unlink(from);
        self.link(from, targets);
        let after: Vec<_> = users.iter().flat_map(|user| self.uses(user)).collect();
        for (service, gateway) in after {
            *self.used_at.entry(service).or_default().entry(gateway).or_default() += 1;
        }
    }

    fn link(&mut self, from: &ObjectKey, targets: BTreeSet<ObjectKey>) {
        for target in &targets {
            self.into.entry(target.clone()).or_default().insert(from.clone());
            if needs_grant(from, target) {
                self.across.entry(target.namespace.clone()).or_default().insert(from.clone());
            }
        }
        if !targets.is_empty() {
            self.out.insert(from.clone(), targets);
        }
    }

    fn unlink(&mut self, from: &ObjectKey) {
        for target in self.out.remove(from).unwrap_or_default() {
            take_away(&mut self.into, &target, from);
            if needs_grant(from, &target) {
                take_away(&mut self.across, &target.namespace, from);
            }
        }
    }

    /// The objects whose use of Services follows the references of an object: a route, and the policies on it.
    fn users(&self, from: &ObjectKey) -> Vec<ObjectKey> {
        match from.kind {
            Kind::HTTPRoute | Kind::GRPCRoute => {
                let policies = self.referrers(from, Kind::SecurityPolicy).cloned();
                std::iter::once(from.clone()).chain(policies).collect()
            }
            Kind::SecurityPolicy => vec![from.clone()],
            _ => Vec::new(),
        }
    }

    /// Each Service that a route or policy uses, with each Gateway where it does.
    fn uses(&self, user: &ObjectKey) -> Vec<(NamespacedName, NamespacedName)> {
        let mut services = self.targets(user, Kind::Service).peekable();
        if services.peek().is_none() {
            return Vec::new();
        }
        let gateways = self.gateways(user);
        services.flat_map(|service| gateways.iter().map(move |gateway| (service.named(), gateway.clone()))).collect()
    }

    fn drop_use(&mut self, service: &NamespacedName, gateway: &NamespacedName) {
        let Some(gateways) = self.used_at.get_mut(service) else { return };
        if let Some(count) = gateways.get_mut(gateway) {
            *count -= 1;
            if *count == 0 {
                gateways.remove(gateway);
            }
        }
        if gateways.is_empty() {
            self.used_at.remove(service);
        }
    }

    /// The Gateways that a route, or a policy by its targets, reaches.
    pub(super) fn gateways(&self, user: &ObjectKey) -> BTreeSet<NamespacedName> {
        let own = self.targets(user, Kind::Gateway).map(ObjectKey::named);
        if user.kind != Kind::SecurityPolicy {
            return own.collect();
        }
        let routes = self.targets(user, Kind::HTTPRoute).chain(self.targets(user, Kind::GRPCRoute));
        let theirs = routes.flat_map(|route| self.targets(route, Kind::Gateway)).map(ObjectKey::named);
        own.chain(theirs).collect()
    }

    /// The Gateways where some route or policy uses a Service.
    pub(super) fn used_at(&self, service: &NamespacedName) -> impl Iterator<Item = &NamespacedName> {
        self.used_at.get(service).into_iter().flat_map(BTreeMap::keys)
    }

    /// The objects of one kind that an object refers to.
    pub(super) fn targets(&self, from: &ObjectKey, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.out.get(from).into_iter().flat_map(move |targets| of_kind(targets, kind))
    }

    /// The objects of one kind that refer to an object.
    pub(super) fn referrers(&self, target: &ObjectKey, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.into.get(target).into_iter().flat_map(move |referrers| of_kind(referrers, kind))
    }

    /// The policies of any kind whose target is an object. Others may refer to it for other reasons (an authorizer, keys).
    pub(super) fn policies_on(&self, target: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        let attachable = matches!(target.kind, Kind::Gateway | Kind::HTTPRoute | Kind::GRPCRoute);
        let kinds = [Kind::SecurityPolicy, Kind::EnvoyPatchPolicy].into_iter().filter(move |_| attachable);
        kinds.flat_map(|kind| self.referrers(target, kind))
    }

    /// The objects of one kind in `from` that need a grant in `to`.
    pub(super) fn across(&self, kind: Kind, from: &str, to: &str) -> impl Iterator<Item = &ObjectKey> {
        let first = ObjectKey::new(kind, from, "");
        let all = self.across.get(to).into_iter().flat_map(move |referrers| referrers.range(first.clone()..));
        all.take_while(move |key| key.kind == kind && key.namespace == from)
    }
}

fn needs_grant(from: &ObjectKey, to: &ObjectKey) -> bool {
    // EndpointSlices and classes refer to such kinds too, but by rules of their own.
    let asks = matches!(from.kind, Kind::Gateway | Kind::HTTPRoute | Kind::GRPCRoute | Kind::SecurityPolicy);
    asks && matches!(to.kind, Kind::Secret | Kind::Service) && from.namespace != to.namespace
}

/// A set of keys is sorted by kind first, so those of one kind stand together.
fn of_kind(set: &BTreeSet<ObjectKey>, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
    set.range(ObjectKey::new(kind, "", "")..).take_while(move |key| key.kind == kind)
}

fn take_away<K: Ord>(map: &mut BTreeMap<K, BTreeSet<ObjectKey>>, key: &K, value: &ObjectKey) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
