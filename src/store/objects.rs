//! All objects, and what they answer.

use super::orphans::Orphans;
use super::references::References;
use super::shelves::{Entry, Shelves};
use super::wave::Wave;
use super::{Affected, Change, Object, View, targets};
use crate::api::ObjectMeta;
use crate::api::core::{ConfigMap, EndpointSlice, Secret, Service};
use crate::api::gateway_api::{Gateway, GatewayClass, GrpcRoute, HttpRoute, ReferenceGrant};
use crate::api::v1alpha1::{EnvoyPatchPolicy, EnvoyProxy, SecurityPolicy};
use crate::model::{Kind, NamespacedName, ObjectKey, Place};
use std::collections::BTreeMap;

/// The label that every namespace has (Kubernetes sets it; a namespace without an object is taken to have it).
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// All objects that are known, with the index of who refers to whom.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Store {
    shelves: Shelves,
    references: References,
    orphans: Orphans,
}

impl Store {
    /// Takes in changes, in their order, and says what they affect. The cost follows what refers to the objects, and what
    /// they refer to. An object that says what it said before affects nothing; its place is noted.
    pub fn apply(&mut self, changes: Vec<Change>) -> Affected {
        let mut affected = Affected::default();
        // Who hears of an object's presence is known when all of the changes are in: most targets come with their policies.
        let mut presence = Vec::new();
        for change in changes {
            let key = change.object.as_ref().map_or(change.key, Object::key);
            if self.apply_one(&key, change.object, change.place, &mut affected) {
                presence.push(key);
            }
        }
        for key in &presence {
            self.wave(&mut affected).presence(key);
        }
        // What went and came again is not gone, and what is gone is not judged.
        affected.deleted.retain(|key| !self.shelves.has(key));
        affected.policies.retain(|key| self.shelves.has(key));
        affected
    }

    /// Returns whether the object came or went.
    fn apply_one(
        &mut self,
        key: &ObjectKey,
        after: Option<Object>,
        place: Option<Place>,
        affected: &mut Affected,
    ) -> bool {
        let before = self.shelves.entry(key).map(|entry| entry.object.clone());
        let entry = after.clone().map(|object| Entry { key: key.clone(), object, place });
        let same = match (&before, &after) {
            (Some(before), Some(after)) => before.says_the_same(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if same {
            entry.into_iter().for_each(|entry| self.shelves.put(entry));
            return false;
        }
        self.wave(affected).by_own_references(key);
        match entry {
            Some(entry) => self.shelves.put(entry),
            None => {
                self.shelves.remove(key);
                affected.deleted.insert(key.clone());
            }
        }
        self.references.replace(key, after.as_ref().map(targets::of).unwrap_or_default());
        let came_or_went = before.is_some() != after.is_some();
        self.judge_policies(key, after.as_ref(), came_or_went);
        let mut wave = self.wave(affected);
        wave.by_own_references(key);
        wave.by_others(key, before.as_ref(), after.as_ref());
        came_or_went
    }

    fn wave<'a>(&'a self, affected: &'a mut Affected) -> Wave<'a> {
        Wave { shelves: &self.shelves, references: &self.references, orphans: &self.orphans, affected }
    }

    /// Keeps the list of policies with missing targets right.
    fn judge_policies(&mut self, key: &ObjectKey, after: Option<&Object>, came_or_went: bool) {
        if matches!(key.kind, Kind::SecurityPolicy | Kind::EnvoyPatchPolicy) {
            self.orphans.judge(&self.shelves, key, after);
        }
        if came_or_went {
            for policy in self.references.policies_on(key) {
                let object = self.shelves.entry(policy).map(|entry| &entry.object);
                self.orphans.judge(&self.shelves, policy, object);
            }
        }
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.shelves.entry(key).map(|entry| &entry.object)
    }

    /// All objects, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        self.shelves.iter().map(|entry| (&entry.key, &entry.object))
    }

    fn named(&self, kind: Kind, name: &NamespacedName) -> Option<&Object> {
        self.shelves.get(kind, &name.namespace, &name.name).map(|entry| &entry.object)
    }

    /// Those of one kind that refer to an object, in the order of a view.
    fn referrers(&self, target: &ObjectKey, kind: Kind) -> Vec<&Object> {
        let entries = self.references.referrers(target, kind).filter_map(|key| self.shelves.entry(key));
        in_order(entries.collect()).into_iter().map(|entry| &entry.object).collect()
    }
}

/// By creation time, then namespace, then name. Sorting is stable, so of one name those of the first kind come first.
fn in_order(mut entries: Vec<&Entry>) -> Vec<&Entry> {
    fn rank(meta: &ObjectMeta) -> (&Option<String>, &str, &str) {
        (&meta.creation_timestamp, &meta.namespace, &meta.name)
    }
    entries.sort_by(|a, b| rank(a.object.meta()).cmp(&rank(b.object.meta())));
    entries
}

/// The content of an object of a known kind.
macro_rules! content {
    ($object:expr, $kind:ident) => {
        match $object? {
            Object::$kind(content) => Some(content),
            _ => None,
        }
    };
}

impl View for Store {
    fn gateway_class(&self, name: &str) -> Option<&GatewayClass> {
        content!(self.shelves.get(Kind::GatewayClass, "", name).map(|entry| &entry.object), GatewayClass)
    }

    fn gateway(&self, name: &NamespacedName) -> Option<&Gateway> {
        content!(self.named(Kind::Gateway, name), Gateway)
    }

    fn http_route(&self, name: &NamespacedName) -> Option<&HttpRoute> {
        content!(self.named(Kind::HTTPRoute, name), HTTPRoute)
    }

    fn grpc_route(&self, name: &NamespacedName) -> Option<&GrpcRoute> {
        content!(self.named(Kind::GRPCRoute, name), GRPCRoute)
    }

    fn service(&self, name: &NamespacedName) -> Option<&Service> {
        content!(self.named(Kind::Service, name), Service)
    }

    fn secret(&self, name: &NamespacedName) -> Option<&Secret> {
        content!(self.named(Kind::Secret, name), Secret)
    }

    fn config_map(&self, name: &NamespacedName) -> Option<&ConfigMap> {
        content!(self.named(Kind::ConfigMap, name), ConfigMap)
    }

    fn envoy_proxy(&self, name: &NamespacedName) -> Option<&EnvoyProxy> {
        content!(self.named(Kind::EnvoyProxy, name), EnvoyProxy)
    }

    fn security_policy(&self, name: &NamespacedName) -> Option<&SecurityPolicy> {
        content!(self.named(Kind::SecurityPolicy, name), SecurityPolicy)
    }

    fn envoy_patch_policy(&self, name: &NamespacedName) -> Option<&EnvoyPatchPolicy> {
        content!(self.named(Kind::EnvoyPatchPolicy, name), EnvoyPatchPolicy)
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let object = self.shelves.get(Kind::Namespace, "", namespace).map(|entry| &entry.object);
        let mut labels = object.map(|object| object.meta().labels.clone()).unwrap_or_default();
        labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        labels
    }

    fn endpoint_slices(&self, service: &NamespacedName) -> Vec<&EndpointSlice> {
        let key = ObjectKey::new(Kind::Service, &*service.namespace, &*service.name);
        let slices = self.referrers(&key, Kind::EndpointSlice).into_iter();
        slices.filter_map(|object| content!(Some(object), EndpointSlice).map(AsRef::as_ref)).collect()
    }

    fn grants(&self, namespace: &str) -> Vec<&ReferenceGrant> {
        let grants = in_order(self.shelves.in_namespace(Kind::ReferenceGrant, namespace).collect()).into_iter();
        grants.filter_map(|entry| content!(Some(&entry.object), ReferenceGrant).map(AsRef::as_ref)).collect()
    }

    fn routes_of(&self, gateway: &NamespacedName) -> Vec<ObjectKey> {
        let key = ObjectKey::new(Kind::Gateway, &*gateway.namespace, &*gateway.name);
        let kinds = [Kind::HTTPRoute, Kind::GRPCRoute].into_iter();
        let routes = kinds.flat_map(|kind| self.references.referrers(&key, kind));
        let entries = routes.filter_map(|route| self.shelves.entry(route)).collect();
        in_order(entries).into_iter().map(|entry| entry.key.clone()).collect()
    }

    fn security_policies_of(&self, target: &ObjectKey) -> Vec<&SecurityPolicy> {
        let policies = self.referrers(target, Kind::SecurityPolicy).into_iter();
        policies.filter_map(|object| content!(Some(object), SecurityPolicy).map(AsRef::as_ref)).collect()
    }

    fn patch_policies_of(&self, target: &ObjectKey) -> Vec<&EnvoyPatchPolicy> {
        let policies = self.referrers(target, Kind::EnvoyPatchPolicy).into_iter();
        policies.filter_map(|object| content!(Some(object), EnvoyPatchPolicy).map(AsRef::as_ref)).collect()
    }

    fn names(&self, kind: Kind) -> Vec<NamespacedName> {
        in_order(self.shelves.of_kind(kind).collect()).into_iter().map(|entry| entry.key.named()).collect()
    }

    fn place(&self, object: &ObjectKey) -> Option<Place> {
        self.shelves.entry(object)?.place.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Unit;
    use crate::store::samples::{self, gone, lines, put};
    use serde_json::json;

    #[test]
    fn an_object_that_says_the_same_affects_nothing_but_its_place() {
        let mut store = Store::default();
        store.apply(vec![put(samples::gateway("a", "front", "outer"))]);
        let key = ObjectKey::new(Kind::Gateway, "a", "front");
        assert_eq!(store.place(&key), None);
        let place = Place { file: "front.yaml".to_owned(), line: 7, column: 0 };
        let moved = Change { place: Some(place.clone()), ..put(samples::gateway("a", "front", "outer")) };
        assert_eq!(store.apply(vec![moved]), Affected::default());
        assert_eq!(store.place(&key), Some(place));
    }

    #[test]
    fn a_generation_matters_to_those_who_have_a_status() {
        let mut store = Store::default();
        let class = |generation: i64| {
            let body = json!({"metadata": {"generation": generation}, "spec": {"controllerName": "example.com/c"}});
            samples::object(Kind::GatewayClass, "", "c", body)
        };
        let service = |generation: i64| {
            samples::object(Kind::Service, "a", "s", json!({"metadata": {"generation": generation}, "spec": {}}))
        };
        store.apply(vec![put(class(1)), put(service(1))]);
        assert_eq!(lines(&store.apply(vec![put(class(2)), put(service(2))])), ["class c"]);
    }

    #[test]
    fn what_is_not_there_cannot_be_deleted() {
        let mut store = Store::default();
        assert_eq!(store.apply(vec![gone(ObjectKey::new(Kind::Service, "a", "s"))]), Affected::default());
    }

    #[test]
    fn what_goes_and_comes_back_at_once_is_not_gone() {
        let mut store = Store::default();
        let web = samples::route(Kind::HTTPRoute, "a", "web", &["a/old"], &[]);
        let new = samples::route(Kind::HTTPRoute, "a", "web", &["a/new"], &[]);
        store.apply(vec![put(web.clone())]);
        let affected = store.apply(vec![gone(web.key()), put(new)]);
        assert_eq!(lines(&affected), ["a/new: HTTPRoute a/web", "a/old: HTTPRoute a/web"]);
    }

    #[test]
    fn lists_come_by_age_then_namespace_then_name() {
        let route = |kind, namespace: &str, name: &str, created: Option<&str>| {
            let spec = json!({"parentRefs": [{"namespace": "a", "name": "front"}]});
            let metadata = created.map_or_else(|| json!({}), |created| json!({"creationTimestamp": created}));
            put(samples::object(kind, namespace, name, json!({"metadata": metadata, "spec": spec})))
        };
        let (early, late) = (Some("2024-01-01T00:00:00Z"), Some("2025-01-01T00:00:00Z"));
        let mut store = Store::default();
        store.apply(vec![
            route(Kind::HTTPRoute, "b", "one", late),
            route(Kind::GRPCRoute, "a", "two", late),
            route(Kind::HTTPRoute, "a", "two", late),
            route(Kind::HTTPRoute, "c", "old", early),
            route(Kind::GRPCRoute, "z", "ageless", None),
        ]);
        let found: Vec<String> =
            store.routes_of(&NamespacedName::new("a", "front")).iter().map(ToString::to_string).collect();
        let expected =
            ["GRPCRoute z/ageless", "HTTPRoute c/old", "HTTPRoute a/two", "GRPCRoute a/two", "HTTPRoute b/one"];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_namespace_has_its_name_as_a_label() {
        let mut store = Store::default();
        let name = ("kubernetes.io/metadata.name".to_owned(), "a".to_owned());
        assert_eq!(store.namespace_labels("a"), BTreeMap::from([name.clone()]));
        let labels = json!({"metadata": {"labels": {"team": "blue", "kubernetes.io/metadata.name": "other"}}});
        store.apply(vec![put(samples::object(Kind::Namespace, "", "a", labels))]);
        assert_eq!(store.namespace_labels("a"), BTreeMap::from([name, ("team".to_owned(), "blue".to_owned())]));
    }

    #[test]
    fn an_endpoint_change_costs_no_routes() {
        let mut store = Store::default();
        let name = |index: usize| format!("route-{index}");
        let routes = (0..2000).map(|i| put(samples::route(Kind::HTTPRoute, "a", &name(i), &["a/front"], &["a/web"])));
        store.apply(routes.collect());
        let affected = store.apply(vec![put(samples::slice("a", "web-1", "web", "10.0.0.1"))]);
        let web = NamespacedName::new("a", "web");
        let front = NamespacedName::new("a", "front");
        assert_eq!(affected.gateways, BTreeMap::from([(front, [Unit::Endpoints(web.clone())].into())]));
        assert_eq!(store.references.used_at(&web).count(), 1, "one step a Gateway, not one a route");
    }
}
