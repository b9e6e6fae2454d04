//! What is known about every object's status.

use super::ancestors::{Ancestors, Source};
use super::findings;
use super::own::{ClassStatus, GatewayStatus};
use super::routes::{RouteStatus, render_route};
use crate::model::{
    ClassReport, Finding, GatewayReport, Kind, NamespacedName, ObjectKey, Place, PolicyReport, RouteReport,
};
use crate::runtime::clock::Clock;
use crate::store::{Object, Store, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

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
///
/// Reports are judged when they arrive: each carries the generation of its object of then, and one report costs what it
/// says, not what else is known.
#[derive(Debug)]
pub struct StatusBook {
    clock: Clock,
    classes: BTreeMap<String, ClassStatus>,
    gateways: BTreeMap<NamespacedName, GatewayStatus>,
    routes: BTreeMap<ObjectKey, BTreeMap<NamespacedName, RouteStatus>>,
    /// Gateway → routes of which it says something.
    spoken_of: BTreeMap<NamespacedName, BTreeSet<ObjectKey>>,
    policies: Ancestors,
    changed: BTreeSet<ObjectKey>,
}

/// Gives objects; what the book needs of a store.
type Lookup<'a> = &'a dyn Fn(&ObjectKey) -> Option<Object>;

fn lookup(store: &Store) -> impl Fn(&ObjectKey) -> Option<Object> {
    |key| store.get(key).cloned()
}

fn class_key(name: &str) -> ObjectKey {
    ObjectKey::new(Kind::GatewayClass, "", name)
}

fn gateway_key(name: &NamespacedName) -> ObjectKey {
    ObjectKey::new(Kind::Gateway, &*name.namespace, &*name.name)
}

impl StatusBook {
    /// An empty book; the clock gives `lastTransitionTime`.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            classes: BTreeMap::new(),
            gateways: BTreeMap::new(),
            routes: BTreeMap::new(),
            spoken_of: BTreeMap::new(),
            policies: Ancestors::default(),
            changed: BTreeSet::new(),
        }
    }

    /// What is said of a GatewayClass.
    pub fn class(&mut self, store: &Store, name: &str, report: ClassReport) {
        self.note_class(&lookup(store), name, report);
    }

    /// What is said of a Gateway, and of the policies that were read for it.
    pub fn gateway(&mut self, store: &Store, name: &NamespacedName, state: GatewayState) {
        self.note_gateway(&lookup(store), name, state);
    }

    /// What a Gateway says of a route, and of the policies that were read for it.
    pub fn route(&mut self, store: &Store, route: &ObjectKey, gateway: &NamespacedName, report: RouteReport) {
        self.note_route(&lookup(store), route, gateway, report);
    }

    /// All that is said of the EnvoyPatchPolicies of a Gateway.
    pub fn patches(&mut self, store: &Store, gateway: &NamespacedName, reports: Vec<PolicyReport>) {
        self.note_policies(&lookup(store), Source::Patches(gateway.clone()), reports);
    }

    /// What is said of a policy as far as its targets are missing.
    pub fn orphan_policy(&mut self, store: &Store, policy: &ObjectKey, reports: Vec<PolicyReport>) {
        self.note_policies(&lookup(store), Source::Orphan(policy.clone()), reports);
    }

    /// A Gateway says nothing of a route any more.
    pub fn forget_route(&mut self, route: &ObjectKey, gateway: &NamespacedName) {
        if let Some(said) = self.routes.get_mut(route) {
            if said.remove(gateway).is_some() {
                self.changed.insert(route.clone());
            }
            if said.is_empty() {
                self.routes.remove(route);
            }
        }
        if let Some(routes) = self.spoken_of.get_mut(gateway) {
            routes.remove(route);
            if routes.is_empty() {
                self.spoken_of.remove(gateway);
            }
        }
        self.silence(Source::Route(route.clone(), gateway.clone()));
    }

    /// A Gateway says nothing of routes any more, nor of patches; what it says of itself stays.
    pub fn forget_routes(&mut self, gateway: &NamespacedName) {
        for route in self.spoken_of.get(gateway).cloned().unwrap_or_default() {
            self.forget_route(&route, gateway);
        }
        self.silence(Source::Patches(gateway.clone()));
    }

    /// A Gateway says nothing any more, of itself or of others.
    pub fn forget_gateway(&mut self, gateway: &NamespacedName) {
        if self.gateways.remove(gateway).is_some() {
            self.changed.insert(gateway_key(gateway));
        }
        self.silence(Source::Gateway(gateway.clone()));
        self.forget_routes(gateway);
    }

    /// An object is gone, or not ours any more. What a Gateway said of others is withdrawn by `forget_gateway`.
    pub fn forget(&mut self, object: &ObjectKey) {
        let known = match object.kind {
            Kind::GatewayClass => self.classes.remove(&object.name).is_some(),
            Kind::Gateway => self.gateways.remove(&object.named()).is_some(),
            Kind::HTTPRoute | Kind::GRPCRoute => {
                let gateways: Vec<NamespacedName> =
                    self.routes.get(object).into_iter().flatten().map(|(gateway, _)| gateway.clone()).collect();
                gateways.iter().for_each(|gateway| self.forget_route(object, gateway));
                !gateways.is_empty()
            }
            _ => {
                let known = self.policies.status(object).is_some();
                self.policies.forget(object);
                known
            }
        };
        if known {
            self.changed.insert(object.clone());
        }
    }

    /// All objects that carry status, with it filled in: a Kubernetes `kind: List`. Objects of which nothing was said
    /// have none.
    pub fn list(&self, store: &Store) -> Value {
        self.list_of(store.iter())
    }

    /// One object as a manifest with its status filled in; `None` when it is not there or has no status.
    pub fn status_of(&self, store: &Store, key: &ObjectKey) -> Option<Value> {
        self.with_status(key, store.get(key)?)
    }

    /// The objects whose status changed, appeared or went since this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.changed)
    }

    /// Findings about objects, with their places.
    pub fn findings(&self, store: &Store) -> Vec<Finding> {
        self.findings_at(&|key| store.place(key))
    }

    fn note_class(&mut self, objects: Lookup<'_>, name: &str, report: ClassReport) {
        let key = class_key(name);
        let Some(object) = objects(&key) else { return };
        let before = self.classes.get(name);
        let status = ClassStatus::new(before, report, object.meta().generation, self.clock.wall());
        if before != Some(&status) {
            self.classes.insert(name.to_owned(), status);
            self.changed.insert(key);
        }
    }

    fn note_gateway(&mut self, objects: Lookup<'_>, name: &NamespacedName, mut state: GatewayState) {
        let policies = std::mem::take(&mut state.report.policies);
        self.note_policies(objects, Source::Gateway(name.clone()), policies);
        let key = gateway_key(name);
        let Some(object) = objects(&key) else { return };
        let before = self.gateways.get(name);
        let status = GatewayStatus::new(before, state, object.meta().generation, self.clock.wall());
        if before != Some(&status) {
            self.gateways.insert(name.clone(), status);
            self.changed.insert(key);
        }
    }

    fn note_route(
        &mut self,
        objects: Lookup<'_>,
        route: &ObjectKey,
        gateway: &NamespacedName,
        mut report: RouteReport,
    ) {
        let policies = std::mem::take(&mut report.policies);
        self.note_policies(objects, Source::Route(route.clone(), gateway.clone()), policies);
        let Some(object) = objects(route) else { return };
        let before = self.routes.get(route).and_then(|said| said.get(gateway));
        let status = RouteStatus::new(before, &object, report, self.clock.wall());
        if before != Some(&status) {
            self.routes.entry(route.clone()).or_default().insert(gateway.clone(), status);
            self.changed.insert(route.clone());
        }
        self.spoken_of.entry(gateway.clone()).or_default().insert(route.clone());
    }

    fn note_policies(&mut self, objects: Lookup<'_>, source: Source, reports: Vec<PolicyReport>) {
        let generation = |policy: &ObjectKey| objects(policy).map(|object| object.meta().generation);
        let changed = self.policies.say(source, reports, &generation, self.clock.wall());
        self.changed.extend(changed);
    }

    fn silence(&mut self, source: Source) {
        let changed = self.policies.silence(source, self.clock.wall());
        self.changed.extend(changed);
    }

    fn status(&self, key: &ObjectKey) -> Option<Value> {
        match key.kind {
            Kind::GatewayClass => self.classes.get(&key.name).map(ClassStatus::render),
            Kind::Gateway => self.gateways.get(&key.named()).map(GatewayStatus::render),
            Kind::HTTPRoute | Kind::GRPCRoute => self.routes.get(key).and_then(render_route),
            _ => self.policies.status(key),
        }
    }

    fn with_status(&self, key: &ObjectKey, object: &Object) -> Option<Value> {
        let status = self.status(key)?;
        let mut manifest = object.manifest();
        manifest["status"] = status;
        Some(manifest)
    }

    fn list_of<'a>(&self, objects: impl Iterator<Item = (&'a ObjectKey, &'a Object)>) -> Value {
        let mut shown: Vec<(&ObjectKey, &Object)> = objects.filter(|(key, _)| key.kind.has_status()).collect();
        // Keys sort by kind in the order of `Kind::ALL`, then by namespace and name.
        shown.sort_by_key(|(key, _)| *key);
        let item =
            |(key, object): (&ObjectKey, &Object)| self.with_status(key, object).unwrap_or_else(|| object.manifest());
        let items: Vec<Value> = shown.into_iter().map(item).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
    }

    fn findings_at(&self, place: &dyn Fn(&ObjectKey) -> Option<Place>) -> Vec<Finding> {
        let classes = self.classes.values().flat_map(|status| &status.findings);
        let gateways = self.gateways.values().flat_map(|status| &status.findings);
        let routes = self.routes.values().flat_map(BTreeMap::values).flat_map(|status| &status.findings);
        let crowded: Vec<Finding> = self.policies.crowded().map(findings::crowded).collect();
        findings::collect(classes.chain(gateways).chain(routes).chain(&crowded), self.policies.problems(), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, ListenerReport, ParentReport, Severity};
    use std::sync::Arc;
    use std::time::Duration;

    const OURS: &str = "argosy.dev/public";

    /// Objects in the place of a store, and a clock that stands still.
    struct World {
        clock: Clock,
        book: StatusBook,
        objects: BTreeMap<ObjectKey, Object>,
    }

    fn typed(kind: Kind, value: Value) -> Object {
        let read = "the manifest is complete";
        match kind {
            Kind::GatewayClass => Object::GatewayClass(Arc::new(serde_json::from_value(value).expect(read))),
            Kind::Gateway => Object::Gateway(Arc::new(serde_json::from_value(value).expect(read))),
            Kind::HTTPRoute => Object::HTTPRoute(Arc::new(serde_json::from_value(value).expect(read))),
            Kind::GRPCRoute => Object::GRPCRoute(Arc::new(serde_json::from_value(value).expect(read))),
            Kind::SecurityPolicy => Object::SecurityPolicy(Arc::new(serde_json::from_value(value).expect(read))),
            Kind::Service => Object::Service(Arc::new(serde_json::from_value(value).expect(read))),
            _ => Object::EnvoyPatchPolicy(Arc::new(serde_json::from_value(value).expect(read))),
        }
    }

    impl World {
        fn new() -> Self {
            let clock = Clock::manual();
            let mut world = Self { book: StatusBook::new(clock.clone()), clock, objects: BTreeMap::new() };
            world.put(Kind::GatewayClass, "", "public", 1, json!({"controllerName": OURS}));
            let listener = json!({"name": "http", "port": 80, "protocol": "HTTP"});
            for name in ["edge", "inner"] {
                world.put(
                    Kind::Gateway,
                    "infra",
                    name,
                    2,
                    json!({"gatewayClassName": "public", "listeners": [listener]}),
                );
            }
            let parents = json!([{"name": "inner", "namespace": "infra"}, {"name": "mesh", "kind": "Service", "group": ""},
                {"name": "edge", "namespace": "infra", "sectionName": "http"}, {"name": "edge", "namespace": "infra", "port": 81}]);
            world.put(Kind::HTTPRoute, "apps", "web", 5, json!({"parentRefs": parents}));
            let target = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"});
            world.put(Kind::SecurityPolicy, "infra", "jwt", 7, json!({"targetRefs": [target]}));
            world.put(Kind::EnvoyPatchPolicy, "infra", "patch", 8, json!({"type": "JSONPatch", "targetRef": target}));
            world.put(Kind::Service, "apps", "web", 1, json!({}));
            world
        }

        fn put(&mut self, kind: Kind, namespace: &str, name: &str, generation: i64, spec: Value) {
            let metadata = json!({"namespace": namespace, "name": name, "generation": generation});
            let object = typed(kind, json!({"metadata": metadata, "spec": spec}));
            self.objects.insert(object.key(), object);
        }

        fn route(&mut self, gateway: &str, report: RouteReport) {
            let objects = self.objects.clone();
            self.book.note_route(
                &|key| objects.get(key).cloned(),
                &route(),
                &NamespacedName::new("infra", gateway),
                report,
            );
        }

        fn gateway(&mut self, gateway: &str, state: GatewayState) {
            let objects = self.objects.clone();
            self.book.note_gateway(&|key| objects.get(key).cloned(), &NamespacedName::new("infra", gateway), state);
        }

        fn policies(&mut self, source: Source, reports: Vec<PolicyReport>) {
            let objects = self.objects.clone();
            self.book.note_policies(&|key| objects.get(key).cloned(), source, reports);
        }

        fn list(&self) -> Value {
            self.book.list_of(self.objects.iter())
        }

        fn status(&self, key: &ObjectKey) -> Value {
            let object = self.objects.get(key).expect("the object is there");
            self.book.with_status(key, object).map_or(Value::Null, |manifest| manifest["status"].clone())
        }
    }

    fn route() -> ObjectKey {
        ObjectKey::new(Kind::HTTPRoute, "apps", "web")
    }

    fn edge() -> ObjectKey {
        ObjectKey::new(Kind::Gateway, "infra", "edge")
    }

    fn jwt() -> ObjectKey {
        ObjectKey::new(Kind::SecurityPolicy, "infra", "jwt")
    }

    fn yes() -> Condition {
        Condition::yes("Accepted", "Accepted", "fine")
    }

    fn parents(of: &[usize]) -> RouteReport {
        let parent =
            |index: &usize| ParentReport { index: *index, controller_name: OURS.to_owned(), conditions: vec![yes()] };
        RouteReport { parents: of.iter().map(parent).collect(), ..RouteReport::default() }
    }

    fn said_of(policy: &ObjectKey, condition: Condition) -> PolicyReport {
        PolicyReport {
            policy: policy.clone(),
            ancestor: edge(),
            section: None,
            controller_name: OURS.to_owned(),
            conditions: vec![condition],
        }
    }

    fn accepted(reason: &str, generation: i64, second: u8) -> Value {
        json!({"type": "Accepted", "status": "True", "reason": reason, "message": "fine",
            "observedGeneration": generation, "lastTransitionTime": format!("1970-01-01T00:00:{second:02}Z")})
    }

    #[test]
    fn a_route_has_an_entry_for_each_parent_that_is_ours_in_the_order_of_the_specification() {
        let mut world = World::new();
        world.route("edge", parents(&[2, 3]));
        world.route("inner", parents(&[0]));
        let entry = |reference: Value| json!({"parentRef": reference, "controllerName": OURS, "conditions": [accepted("Accepted", 5, 0)]});
        let gateway = |mut rest: Value| {
            rest["group"] = json!("gateway.networking.k8s.io");
            rest["kind"] = json!("Gateway");
            rest["namespace"] = json!("infra");
            entry(rest)
        };
        let expected = json!({"parents": [
            gateway(json!({"name": "inner"})),
            gateway(json!({"name": "edge", "sectionName": "http"})),
            gateway(json!({"name": "edge", "port": 81})),
        ]});
        assert_eq!(world.status(&route()), expected);
    }

    #[test]
    fn a_gateway_that_says_nothing_of_a_route_leaves_the_other_entries() {
        let mut world = World::new();
        world.route("edge", parents(&[2]));
        world.route("inner", parents(&[0]));
        world.book.forget_route(&route(), &NamespacedName::new("infra", "edge"));
        assert_eq!(world.status(&route())["parents"].as_array().map(Vec::len), Some(1));
        world.book.forget_gateway(&NamespacedName::new("infra", "inner"));
        assert_eq!(world.status(&route()), Value::Null);
        assert!(world.book.routes.is_empty() && world.book.spoken_of.is_empty());
    }

    #[test]
    fn a_route_whose_parents_are_not_ours_has_no_status() {
        let mut world = World::new();
        world.route("edge", parents(&[]));
        assert_eq!(world.status(&route()), Value::Null);
    }

    #[test]
    fn an_entry_follows_its_parent_ref_when_the_list_is_reordered() {
        let mut world = World::new();
        world.route("edge", parents(&[2]));
        world.clock.advance(Duration::from_secs(9));
        let parent = json!({"name": "edge", "namespace": "infra", "sectionName": "http"});
        world.put(Kind::HTTPRoute, "apps", "web", 6, json!({"parentRefs": [parent]}));
        world.route("edge", parents(&[0]));
        assert_eq!(world.status(&route())["parents"][0]["conditions"][0], accepted("Accepted", 6, 0));
    }

    #[test]
    fn a_parent_ref_that_is_said_twice_is_shown_once_with_the_newer_word() {
        let mut world = World::new();
        world.route("edge", parents(&[0]));
        world.put(Kind::HTTPRoute, "apps", "web", 6, json!({"parentRefs": [{"name": "inner", "namespace": "infra"}]}));
        world.route("inner", parents(&[0]));
        let shown = world.status(&route())["parents"].clone();
        assert_eq!(shown.as_array().map(Vec::len), Some(1));
        assert_eq!(shown[0]["conditions"][0]["observedGeneration"], 6);
    }

    fn state(condition: Condition) -> GatewayState {
        let listener = ListenerReport {
            name: "http".to_owned(),
            supported_kinds: vec![("gateway.networking.k8s.io".to_owned(), "HTTPRoute".to_owned())],
            conditions: vec![yes()],
        };
        let broken = ListenerReport { name: "odd".to_owned(), ..ListenerReport::default() };
        GatewayState {
            report: GatewayReport {
                conditions: vec![condition],
                listeners: vec![listener, broken],
                policies: vec![said_of(&jwt(), yes())],
                findings: Vec::new(),
            },
            attached: BTreeMap::from([("http".to_owned(), 3)]),
            addresses: vec![("IPAddress".to_owned(), "127.0.0.2".to_owned())],
            controller_name: OURS.to_owned(),
        }
    }

    #[test]
    fn a_gateway_shows_addresses_conditions_and_every_listener() {
        let mut world = World::new();
        world.gateway("edge", state(yes()));
        let kinds = json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]);
        let expected = json!({
            "addresses": [{"type": "IPAddress", "value": "127.0.0.2"}],
            "conditions": [accepted("Accepted", 2, 0)],
            "listeners": [
                {"name": "http", "supportedKinds": kinds, "attachedRoutes": 3, "conditions": [accepted("Accepted", 2, 0)]},
                {"name": "odd", "supportedKinds": [], "attachedRoutes": 0, "conditions": []},
            ],
        });
        assert_eq!(world.status(&edge()), expected);
    }

    #[test]
    fn the_time_of_a_condition_moves_with_its_status_only() {
        let mut world = World::new();
        world.gateway("edge", state(yes()));
        world.clock.advance(Duration::from_secs(5));
        world.gateway("edge", state(Condition::yes("Accepted", "ListenersNotValid", "fine")));
        assert_eq!(world.status(&edge())["conditions"][0], accepted("ListenersNotValid", 2, 0));
        world.gateway("edge", state(Condition::no("Accepted", "Invalid", "no")));
        let conditions = &world.status(&edge())["conditions"][0];
        assert_eq!(conditions["lastTransitionTime"], "1970-01-01T00:00:05Z");
        let mut silent = state(yes());
        silent.report.conditions.clear();
        world.gateway("edge", silent);
        assert_eq!(world.status(&edge())["conditions"], json!([]));
    }

    #[test]
    fn a_class_shows_its_features_sorted() {
        let mut world = World::new();
        let features = ["HTTPRoute", "Gateway"].map(str::to_owned).to_vec();
        let report = ClassReport { conditions: vec![yes()], supported_features: features, findings: Vec::new() };
        let objects = world.objects.clone();
        world.book.note_class(&|key| objects.get(key).cloned(), "public", report);
        let key = class_key("public");
        let features = json!([{"name": "Gateway"}, {"name": "HTTPRoute"}]);
        let expected = json!({"conditions": [accepted("Accepted", 1, 0)], "supportedFeatures": features});
        assert_eq!(world.status(&key), expected);
        world.book.forget(&key);
        assert_eq!(world.status(&key), Value::Null);
    }

    #[test]
    fn the_list_has_all_objects_that_carry_status_in_order() {
        let mut world = World::new();
        world.route("edge", parents(&[2]));
        let list = world.list();
        assert_eq!((&list["apiVersion"], &list["kind"], &list["metadata"]), (&json!("v1"), &json!("List"), &json!({})));
        let shown: Vec<(&str, &str, bool)> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                let name = item["metadata"]["name"].as_str().unwrap();
                (item["kind"].as_str().unwrap(), name, item.get("status").is_some())
            })
            .collect();
        let expected = [
            ("GatewayClass", "public", false),
            ("Gateway", "edge", false),
            ("Gateway", "inner", false),
            ("HTTPRoute", "web", true),
            ("SecurityPolicy", "jwt", false),
            ("EnvoyPatchPolicy", "patch", false),
        ];
        assert_eq!(shown, expected);
        assert_eq!(list["items"][3]["apiVersion"], "gateway.networking.k8s.io/v1");
        assert_eq!(list["items"][3]["spec"]["parentRefs"][0], json!({"name": "inner", "namespace": "infra"}));
    }

    #[test]
    fn an_orphan_without_reports_loses_only_what_was_said_of_missing_targets() {
        let mut world = World::new();
        world.gateway("edge", state(yes()));
        let missing = Condition::no("Accepted", "TargetNotFound", "Gateway infra/gone does not exist");
        let orphan =
            PolicyReport { ancestor: ObjectKey::new(Kind::Gateway, "infra", "gone"), ..said_of(&jwt(), missing) };
        world.policies(Source::Orphan(jwt()), vec![orphan]);
        assert_eq!(world.status(&jwt())["ancestors"].as_array().map(Vec::len), Some(2));
        assert_eq!(world.book.findings_at(&|_| None).len(), 1);
        world.policies(Source::Orphan(jwt()), Vec::new());
        let left = world.status(&jwt());
        assert_eq!(left["ancestors"][0]["ancestorRef"]["name"], "edge");
        assert_eq!(left["ancestors"][0]["conditions"], json!([accepted("Accepted", 7, 0)]));
        assert_eq!(left["ancestors"].as_array().map(Vec::len), Some(1));
        assert!(world.book.findings_at(&|_| None).is_empty());
    }

    #[test]
    fn a_gateway_that_is_not_accepted_says_nothing_of_routes_and_keeps_its_own_times() {
        let mut world = World::new();
        world.gateway("edge", state(yes()));
        let mut report = parents(&[2]);
        report.policies.push(said_of(&jwt(), Condition::no("Accepted", "Invalid", "no")));
        world.route("edge", report);
        let patch = ObjectKey::new(Kind::EnvoyPatchPolicy, "infra", "patch");
        world.policies(Source::Patches(NamespacedName::new("infra", "edge")), vec![said_of(&patch, yes())]);
        assert_eq!(world.status(&jwt())["ancestors"][0]["conditions"][0]["status"], "False");
        world.clock.advance(Duration::from_secs(3));
        world.book.forget_routes(&NamespacedName::new("infra", "edge"));
        world.gateway("edge", state(yes()));
        assert_eq!(world.status(&edge())["conditions"][0], accepted("Accepted", 2, 0));
        assert_eq!(world.status(&jwt())["ancestors"][0]["conditions"][0]["status"], "True");
        assert_eq!((world.status(&route()), world.status(&patch)), (Value::Null, Value::Null));
        world.book.forget_gateway(&NamespacedName::new("infra", "edge"));
        assert_eq!((world.status(&edge()), world.status(&jwt())), (Value::Null, Value::Null));
    }

    #[test]
    fn only_what_changed_is_handed_out_and_once() {
        let mut world = World::new();
        let mut report = parents(&[2]);
        report.policies.push(said_of(&jwt(), yes()));
        world.route("edge", report.clone());
        assert_eq!(world.book.take_changed(), BTreeSet::from([route(), jwt()]));
        world.clock.advance(Duration::from_secs(3));
        world.route("edge", report);
        assert!(world.book.take_changed().is_empty());
        world.book.forget(&route());
        assert_eq!(world.book.take_changed(), BTreeSet::from([route(), jwt()]));
        world.book.forget(&route());
        assert!(world.book.take_changed().is_empty());
    }

    #[test]
    fn findings_of_all_reports_come_with_their_places() {
        let mut world = World::new();
        let finding = |object: ObjectKey| Finding {
            code: "ARG0104",
            severity: Severity::Error,
            object: Some(object),
            place: None,
            message: "may not attach".to_owned(),
            fix: String::new(),
        };
        let mut report = parents(&[2]);
        report.findings.push(finding(route()));
        report.policies.push(said_of(&jwt(), Condition::no("Accepted", "Invalid", "spec.oidc is not built")));
        world.route("edge", report.clone());
        world.route("inner", report);
        let mut state = state(yes());
        state.report.findings.push(finding(edge()));
        world.gateway("edge", state);
        let place = |key: &ObjectKey| Some(Place { file: format!("{}.yaml", key.name), line: 1, column: 0 });
        let shown: Vec<String> = world.book.findings_at(&place).iter().map(ToString::to_string).collect();
        let expected = [
            "ARG0104 error Gateway infra/edge (edge.yaml:1): may not attach",
            "ARG0104 error HTTPRoute apps/web (web.yaml:1): may not attach",
            "ARG0302 error SecurityPolicy infra/jwt (jwt.yaml:1): spec.oidc is not built",
        ];
        assert_eq!(shown, expected);
    }
}
