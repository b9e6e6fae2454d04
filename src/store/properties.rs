//! What holds after any sequence of changes: the indexes are those of a store made from scratch, views come in one order,
//! and nothing that a unit is made from changes without the unit being affected. For the last, what a unit is made from
//! is found here by looking at every object.

use super::samples::{self, gone, lines, put};
use super::{Affected, Change, Object, Store, Unit, View, targets};
use crate::model::{Kind, NamespacedName, ObjectKey};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const NAMESPACES: [&str; 2] = ["a", "b"];
const NAMES: [&str; 3] = ["x", "y", "far-away"];
const ROUTES: [Kind; 2] = [Kind::HTTPRoute, Kind::GRPCRoute];
const POLICIES: [Kind; 2] = [Kind::SecurityPolicy, Kind::EnvoyPatchPolicy];

/// One step: an object of a small world is put with contents that follow from the number, or deleted.
#[derive(Clone, Debug)]
struct Step {
    kind: Kind,
    namespace: &'static str,
    name: &'static str,
    content: Option<u32>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..Kind::ALL.len(), 0..NAMESPACES.len(), 0..NAMES.len(), prop::option::weighted(0.8, any::<u32>()));
    let step = step.prop_map(|(kind, namespace, name, content)| Step {
        kind: Kind::ALL[kind],
        namespace: NAMESPACES[namespace],
        name: NAMES[name],
        content,
    });
    prop::collection::vec(step, 1..160)
}

fn change(step: &Step) -> Change {
    let key = match step.kind {
        Kind::Namespace => ObjectKey::new(step.kind, "", step.namespace),
        Kind::GatewayClass => ObjectKey::new(step.kind, "", step.name),
        kind => ObjectKey::new(kind, step.namespace, step.name),
    };
    match step.content {
        Some(content) => put(content_of(step, content)),
        None => gone(key),
    }
}

/// Takes choices out of a number.
struct Dice(u32);

impl Dice {
    fn below(&mut self, sides: u32) -> u32 {
        let face = self.0 % sides;
        self.0 /= sides;
        face
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(3) as usize]
    }

    fn reference(&mut self) -> String {
        format!("{}/{}", NAMESPACES[self.below(2) as usize], self.name())
    }
}

fn content_of(step: &Step, content: u32) -> Object {
    let (mut dice, namespace, name) = (Dice(content), step.namespace, step.name);
    match step.kind {
        Kind::GatewayClass => samples::class(name, ["example.com/one", "example.com/two"][dice.below(2) as usize]),
        Kind::Gateway => match dice.below(4) {
            0 => samples::choosy_gateway(namespace, name, dice.name()),
            1 => samples::gateway(namespace, name, dice.name()),
            2 => {
                let parameters = json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": dice.name()});
                let infrastructure = json!({"parametersRef": parameters});
                let spec = json!({"gatewayClassName": dice.name(), "listeners": [], "infrastructure": infrastructure});
                samples::object(Kind::Gateway, namespace, name, json!({"spec": spec}))
            }
            _ => samples::tls_gateway(namespace, name, dice.name(), &[&dice.reference(), &dice.reference()]),
        },
        Kind::HTTPRoute | Kind::GRPCRoute => {
            let (parents, backends) = ([dice.reference(), dice.reference()], [dice.reference(), dice.reference()]);
            samples::route(
                step.kind,
                namespace,
                name,
                &parents.each_ref().map(|p| &**p),
                &backends.each_ref().map(|b| &**b),
            )
        }
        Kind::ReferenceGrant => {
            let kinds = [Kind::HTTPRoute, Kind::GRPCRoute, Kind::Gateway, Kind::SecurityPolicy];
            let from = (kinds[dice.below(4) as usize], NAMESPACES[dice.below(2) as usize]);
            let to = ([Kind::Service, Kind::Secret][dice.below(2) as usize], [None, Some("x")][dice.below(2) as usize]);
            samples::grant(namespace, name, from, to)
        }
        Kind::Service => samples::service(namespace, name, 80 + u16::from(dice.below(2) == 1)),
        Kind::EndpointSlice => {
            samples::slice(namespace, name, dice.name(), ["10.0.0.1", "10.0.0.2"][dice.below(2) as usize])
        }
        Kind::Secret => {
            samples::object(step.kind, namespace, name, json!({"data": {format!("key{}", dice.below(2)): ""}}))
        }
        Kind::ConfigMap => {
            samples::object(step.kind, namespace, name, json!({"data": {"jwks": dice.below(2).to_string()}}))
        }
        Kind::Namespace => {
            let team = ["blue", "red"][dice.below(2) as usize];
            let metadata = json!({"labels": {"team": team}});
            samples::object(step.kind, "", namespace, json!({"metadata": metadata}))
        }
        Kind::EnvoyProxy => {
            samples::object(step.kind, namespace, name, json!({"spec": {"concurrency": dice.below(2)}}))
        }
        Kind::SecurityPolicy => {
            let kinds = ["Gateway", "HTTPRoute", "GRPCRoute"];
            let mut target = || (kinds[dice.below(3) as usize], dice.name());
            let targets = [target(), target()];
            let (authorizer, keys) = (dice.reference(), dice.name());
            samples::security_policy(namespace, name, &targets, Some(&authorizer), Some(keys))
        }
        Kind::EnvoyPatchPolicy => {
            let kinds = ["Gateway", "HTTPRoute", "GatewayClass", "Service"];
            samples::patch_policy(namespace, name, (kinds[dice.below(4) as usize], dice.name()))
        }
    }
}

/// What everything is made from, in words.
#[derive(Default)]
struct Inputs {
    units: BTreeMap<(NamespacedName, Unit), String>,
    gateways: BTreeMap<NamespacedName, String>,
    classes: BTreeMap<String, String>,
    policies: BTreeMap<ObjectKey, String>,
}

/// Every object, without any index.
struct Everything<'a>(BTreeMap<&'a ObjectKey, &'a Object>);

impl<'a> Everything<'a> {
    fn of_kind(&self, kind: Kind) -> Vec<(&'a ObjectKey, &'a Object)> {
        self.0.iter().filter(|(key, _)| key.kind == kind).map(|(key, object)| (*key, *object)).collect()
    }

    fn refers(&self, from: &ObjectKey, to: &ObjectKey) -> bool {
        self.0.get(from).is_some_and(|object| targets::of(object).contains(to))
    }

    /// What an object says, what those say that it reads, and which of its references are allowed.
    fn with_what_it_reads(&self, key: &ObjectKey) -> String {
        let object = self.0[key];
        let mut words = format!("{object:?}");
        for target in targets::of(object) {
            let read = matches!(target.kind, Kind::Service | Kind::ConfigMap | Kind::EnvoyProxy | Kind::Secret);
            if read {
                let allowed = target.namespace == key.namespace || self.allowed(key, &target);
                write!(words, " {:?} {allowed}", self.0.get(&target)).unwrap();
            }
        }
        words
    }

    fn allowed(&self, from: &ObjectKey, to: &ObjectKey) -> bool {
        let grants = self.of_kind(Kind::ReferenceGrant).into_iter().filter(|(key, _)| key.namespace == to.namespace);
        grants
            .filter_map(|(_, object)| if let Object::ReferenceGrant(grant) = object { Some(grant) } else { None })
            .any(|grant| {
                let from_fits =
                    grant.spec.from.iter().any(|f| f.kind == from.kind.as_str() && f.namespace == from.namespace);
                let name_fits = |name: &Option<String>| name.as_ref().is_none_or(|name| *name == to.name);
                from_fits && grant.spec.to.iter().any(|t| t.kind == to.kind.as_str() && name_fits(&t.name))
            })
    }

    fn policies_on(&self, kind: Kind, target: &ObjectKey) -> Vec<&'a ObjectKey> {
        let policies = self.of_kind(kind).into_iter().map(|(key, _)| key);
        policies.filter(|policy| self.refers(policy, target)).collect()
    }

    fn policies_in_words(&self, kind: Kind, target: &ObjectKey) -> String {
        self.policies_on(kind, target).into_iter().map(|policy| self.with_what_it_reads(policy)).collect()
    }

    fn routes_at(&self, gateway: &ObjectKey) -> Vec<&'a ObjectKey> {
        let routes = ROUTES.into_iter().flat_map(|kind| self.of_kind(kind)).map(|(key, _)| key);
        routes.filter(|route| self.refers(route, gateway)).collect()
    }

    /// Services used at a Gateway: by routes, by policies on these and on itself.
    fn services_at(&self, gateway: &ObjectKey) -> BTreeSet<ObjectKey> {
        let routes = self.routes_at(gateway);
        let guarded = routes.iter().copied().chain([gateway]);
        let policies = guarded.flat_map(|target| self.policies_on(Kind::SecurityPolicy, target)).collect::<Vec<_>>();
        let users = routes.iter().copied().chain(policies);
        users.flat_map(|user| targets::of(self.0[user])).filter(|target| target.kind == Kind::Service).collect()
    }
}

fn inputs(store: &Store) -> Inputs {
    let all = Everything(store.iter().collect());
    let mut inputs = Inputs::default();
    for (key, object) in all.of_kind(Kind::Gateway) {
        let name = key.named();
        inputs.gateways.insert(name.clone(), format!("{object:?}"));
        let mut unit = |unit, words| inputs.units.insert((name.clone(), unit), words);
        let classes = all.of_kind(Kind::GatewayClass).into_iter().filter(|(class, _)| all.refers(key, class));
        let class: String = classes.map(|(class, _)| all.with_what_it_reads(class)).collect();
        let policies = all.policies_in_words(Kind::SecurityPolicy, key);
        unit(Unit::Gateway, format!("{} {class} {policies}", all.with_what_it_reads(key)));
        unit(Unit::Patches, all.policies_in_words(Kind::EnvoyPatchPolicy, key));
        for secret in targets::of(object).into_iter().filter(|target| target.kind == Kind::Secret) {
            unit(Unit::Secret(secret.named()), format!("{:?}", all.0.get(&secret)));
        }
        for service in all.services_at(key) {
            let slices = all.of_kind(Kind::EndpointSlice).into_iter().filter(|(slice, _)| all.refers(slice, &service));
            unit(Unit::Endpoints(service.named()), format!("{:?}", slices.collect::<Vec<_>>()));
            unit(Unit::Service(service.named()), format!("{:?}", all.0.get(&service)));
        }
        for route in all.routes_at(key) {
            let own = all.policies_in_words(Kind::SecurityPolicy, route);
            let by_label = format!("{object:?}").contains("Selector");
            let labels = by_label.then(|| all.0.get(&ObjectKey::new(Kind::Namespace, "", &*route.namespace)));
            unit(Unit::Route(route.clone()), format!("{} {own} {policies} {labels:?}", all.with_what_it_reads(route)));
        }
    }
    for (key, _) in all.of_kind(Kind::GatewayClass) {
        inputs.classes.insert(key.name.clone(), all.with_what_it_reads(key));
    }
    for (key, object) in POLICIES.into_iter().flat_map(|kind| all.of_kind(kind)) {
        inputs.policies.insert(key.clone(), hints(&all, key, object));
    }
    inputs
}

/// What a policy is told of its missing targets.
fn hints(all: &Everything<'_>, policy: &ObjectKey, object: &Object) -> String {
    let mut words = format!("{object:?}");
    let references = targets::policy_references(object);
    // Somebody has to speak of what leads nowhere.
    let classes = || format!("{:?}", all.of_kind(Kind::GatewayClass));
    if references.is_empty() {
        words.push_str(&classes());
    }
    for reference in references {
        let target = targets::policy_target(reference, &policy.namespace);
        let attachable = |target: &ObjectKey| {
            let kind = [Kind::Gateway, Kind::HTTPRoute, Kind::GRPCRoute].contains(&target.kind);
            kind && reference.group == target.kind.group()
        };
        let Some(target) = target.filter(attachable) else {
            words.push_str(&classes());
            continue;
        };
        let own = reference.namespace.as_ref().is_none_or(|namespace| *namespace == policy.namespace);
        if own && all.0.contains_key(&target) {
            continue;
        }
        let others = all.of_kind(target.kind).into_iter().map(|(key, _)| key);
        let hint = others.filter(|other| {
            let near = strsim::damerau_levenshtein(&other.name, &target.name) <= 2;
            other.name == target.name || (other.namespace == target.namespace && near)
        });
        write!(words, " missing {target} {:?} {:?}", hint.collect::<Vec<_>>(), all.of_kind(Kind::GatewayClass))
            .unwrap();
    }
    words
}

fn differs<K: Ord, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>, key: &K) -> bool {
    before.get(key) != after.get(key)
}

/// What changed without being affected.
fn missed(before: &Inputs, after: &Inputs, affected: &Affected) -> Vec<String> {
    let mut missed = Vec::new();
    let has = |gateway: &NamespacedName, unit: &Unit| affected.gateways.get(gateway).is_some_and(|u| u.contains(unit));
    for gateway in before.gateways.keys().chain(after.gateways.keys()) {
        if differs(&before.gateways, &after.gateways, gateway) && !has(gateway, &Unit::Gateway) {
            missed.push(format!("{gateway}: gateway"));
        }
    }
    for (gateway, unit) in before.units.keys().chain(after.units.keys()) {
        let key = (gateway.clone(), unit.clone());
        // A Gateway that is new or gone is made as a whole; the endpoints and secrets of references that are new as well.
        let whole = !before.gateways.contains_key(gateway) || !after.gateways.contains_key(gateway);
        let by_reference = matches!(unit, Unit::Endpoints(_) | Unit::Service(_) | Unit::Secret(_));
        let new = by_reference && (!before.units.contains_key(&key) || !after.units.contains_key(&key));
        // Listeners that differ make all routes again.
        let with_gateway = matches!(unit, Unit::Route(_)) && differs(&before.gateways, &after.gateways, gateway);
        if differs(&before.units, &after.units, &key) && !whole && !new && !with_gateway && !has(gateway, unit) {
            missed.push(format!("{gateway}: {unit:?}"));
        }
    }
    let classes = after.classes.keys().filter(|class| differs(&before.classes, &after.classes, class));
    missed.extend(classes.filter(|class| !affected.classes.contains(*class)).map(|class| format!("class {class}")));
    let policies = after.policies.keys().filter(|policy| differs(&before.policies, &after.policies, policy));
    missed.extend(policies.filter(|policy| !affected.policies.contains(policy)).map(ToString::to_string));
    missed
}

/// Everything that a view gives as a list.
fn lists(store: &Store) -> String {
    let mut words = String::new();
    for kind in Kind::ALL {
        write!(words, "{kind} {:?}", store.names(kind)).unwrap();
    }
    for namespace in NAMESPACES {
        write!(words, "{:?} {:?}", store.grants(namespace), store.namespace_labels(namespace)).unwrap();
        for name in NAMES {
            let key = NamespacedName::new(namespace, name);
            write!(words, "{:?} {:?}", store.endpoint_slices(&key), store.routes_of(&key)).unwrap();
            for kind in [Kind::Gateway, Kind::HTTPRoute, Kind::GRPCRoute] {
                let target = ObjectKey::new(kind, namespace, name);
                write!(words, "{:?}", store.security_policies_of(&target)).unwrap();
                write!(words, "{:?}", store.patch_policies_of(&target)).unwrap();
            }
        }
    }
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_sequence_ends_where_a_fresh_start_does(steps in steps(), batch in 1usize..9) {
        let mut store = Store::default();
        for steps in steps.chunks(batch) {
            store.apply(steps.iter().map(change).collect());
        }
        let mut objects: Vec<Object> = store.iter().map(|(_, object)| object.clone()).collect();
        objects.reverse();
        let mut fresh = Store::default();
        fresh.apply(objects.into_iter().map(put).collect());
        prop_assert!(store == fresh, "indexes differ:\n{store:#?}\n{fresh:#?}");
        prop_assert_eq!(lists(&store), lists(&fresh));
    }

    #[test]
    fn nothing_changes_without_being_affected(steps in steps(), batch in 1usize..4) {
        let mut store = Store::default();
        let mut before = inputs(&store);
        for steps in steps.chunks(batch) {
            let affected = store.apply(steps.iter().map(change).collect());
            let after = inputs(&store);
            let missed = missed(&before, &after, &affected);
            prop_assert!(missed.is_empty(), "{steps:?} missed {missed:?}, affected {:?}", lines(&affected));
            before = after;
        }
    }
}
