//! One Gateway's configuration, made again unit by unit.

use super::patches::PatchState;
use super::routes::RouteState;
use crate::envoy;
use crate::model::{
    Binding, Condition, FleetKey, FleetPlan, Gateway, GatewayReport, Kind, ListenerFilter, NamespacedName, ObjectKey,
    PolicyReport, Port, RouteReport, SecretKey,
};
use crate::snapshot::{Edit, Resource, ResourceType, Snapshot};
use crate::store::{Unit, View};
use crate::translate::{self, GatewayUnit};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Who decides where listeners are really bound.
pub trait Binder: Send + Sync {
    /// Address and ports of a fleet; the error says which address or port cannot be used and why.
    fn bind(&self, fleet: &FleetKey, requested: &[IpAddr], ports: &[u16]) -> Result<Binding, String>;
    /// The addresses to show in the Gateway's status.
    fn addresses(&self, binding: &Binding, requested: &[IpAddr]) -> Vec<IpAddr>;
    /// Forgets a fleet.
    fn release(&self, fleet: &FleetKey);
}

/// What one run changed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The fleet, when the Gateway has one.
    pub fleet: Option<FleetKey>,
    /// A fleet that was served before and is no more.
    pub gone: Option<FleetKey>,
    /// What changes in what is published.
    pub edit: Edit,
    /// All that is to be published.
    pub snapshot: Option<Snapshot>,
    /// The plan of the fleet's processes.
    pub plan: Option<FleetPlan>,
    /// The Gateway's report with attached routes by listener, its addresses and controller, when it is ours.
    pub gateway: Option<GatewayStatus>,
    /// Reports of routes that were made again; `None` for routes that are not there any more.
    pub routes: Vec<(ObjectKey, Option<RouteReport>)>,
    /// Reports of EnvoyPatchPolicies; the whole list for the Gateway.
    pub patches: Vec<PolicyReport>,
    /// How many routes were translated.
    pub translated_routes: usize,
}

/// The status of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Conditions and listeners.
    pub report: GatewayReport,
    /// Accepted routes by listener.
    pub attached: BTreeMap<String, usize>,
    /// Addresses where it can be reached.
    pub addresses: Vec<IpAddr>,
    /// Who says it.
    pub controller_name: String,
}

/// The state of one Gateway between runs: every unit with its last result.
pub struct Compiler {
    name: NamespacedName,
    unit: Option<GatewayUnit>,
    /// The gateway model that is being served: the last accepted one.
    serving: Option<Arc<Gateway>>,
    binding: Option<Binding>,
    bind_problem: Option<String>,
    bootstrap_problem: Option<String>,
    controller_name: String,
    pub(super) routes: RouteState,
    patches: PatchState,
    /// All resources before the user's patches.
    base: Snapshot,
    /// All resources as they are published.
    published: Snapshot,
    /// Nothing was patched in `published`.
    unpatched: bool,
}

impl Compiler {
    /// A Gateway of which nothing is known yet.
    pub fn new(name: NamespacedName) -> Self {
        Self {
            name,
            unit: None,
            serving: None,
            binding: None,
            bind_problem: None,
            bootstrap_problem: None,
            controller_name: String::new(),
            routes: RouteState::default(),
            patches: PatchState::default(),
            base: Snapshot::empty(),
            published: Snapshot::empty(),
            unpatched: true,
        }
    }

    /// Everything that is published for the Gateway.
    pub fn published(&self) -> &Snapshot {
        &self.published
    }

    /// Its address or ports cannot be had.
    pub fn is_blocked(&self) -> bool {
        self.bind_problem.is_some()
    }

    /// Nothing is served and nothing is known.
    pub fn is_idle(&self) -> bool {
        self.serving.is_none() && self.unit.is_none()
    }

    /// The fleet that is being served.
    pub fn fleet(&self) -> Option<&FleetKey> {
        self.serving.as_ref().map(|gateway| &gateway.fleet)
    }

    /// The model that is being served.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.serving.as_deref()
    }

    /// The binding that is being served.
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// Withdraws the patches of a policy, since Envoy refused their result.
    pub fn refuse_patches(&mut self, policy: &ObjectKey, message: &str) -> bool {
        self.patches.refuse(policy, message)
    }

    /// Policies whose patches touch a resource.
    pub fn patched_by(&self, kind: ResourceType, name: &str) -> Vec<ObjectKey> {
        self.patches.touching(kind, name)
    }

    /// Routes with an entry in a route table.
    pub fn routes_in(&self, table: &str) -> Vec<ObjectKey> {
        self.routes.in_table(table)
    }

    /// Makes the given units again. `controllers` gives the class of a controller name.
    pub fn run(
        &mut self,
        view: &dyn View,
        controllers: &dyn Fn(&str) -> Option<String>,
        binder: &dyn Binder,
        units: &BTreeSet<Unit>,
    ) -> Outcome {
        let mut run = Run::default();
        let first = self.unit.is_none();
        if first || units.contains(&Unit::Gateway) {
            self.gateway_unit(view, controllers, binder, &mut run);
        }
        let Some(gateway) = self.serving.clone() else {
            return self.without_fleet(run);
        };
        self.route_units(view, &gateway, units, &mut run);
        self.endpoint_units(view, units, &mut run);
        self.secret_units(view, units, &mut run);
        self.tables_and_listeners(&gateway, &mut run);
        // A Gateway that gets a fleet, or another one, has patches that were not read when they changed.
        let patches_changed = first || units.contains(&Unit::Patches) || units.contains(&Unit::Gateway);
        self.finish(view, &gateway, patches_changed, run)
    }

    fn gateway_unit(
        &mut self,
        view: &dyn View,
        controllers: &dyn Fn(&str) -> Option<String>,
        binder: &dyn Binder,
        run: &mut Run,
    ) {
        let kept = |key: &SecretKey| self.base.get(ResourceType::Secret, &key.to_string()).is_some();
        let Some(unit) = translate::gateway(view, controllers, &kept, &self.name) else {
            run.gone = self.drop_fleet(binder);
            self.unit = None;
            return;
        };
        run.report = true;
        if let Some(gateway) = &unit.gateway {
            if self.fleet().is_some_and(|fleet| *fleet != gateway.fleet) {
                run.gone = self.drop_fleet(binder);
            }
            self.take_gateway(Arc::new(gateway.clone()), binder, run);
        }
        self.controller_name = view
            .gateway(&self.name)
            .and_then(|gateway| view.gateway_class(&gateway.spec.gateway_class_name))
            .map(|class| class.spec.controller_name.clone())
            .unwrap_or_default();
        self.unit = Some(unit);
    }

    /// Takes over an accepted model, unless its bootstrap or its addresses cannot be used: then what was served stays.
    fn take_gateway(&mut self, gateway: Arc<Gateway>, binder: &dyn Binder, run: &mut Run) {
        self.bootstrap_problem = gateway
            .plan
            .bootstrap
            .as_ref()
            .and_then(|patch| envoy::bootstrap::check(patch).err())
            .map(|p| p.to_string());
        if self.bootstrap_problem.is_some() {
            return;
        }
        match binder.bind(&gateway.fleet, &gateway.plan.addresses, &gateway.plan.ports) {
            Ok(binding) => {
                self.bind_problem = None;
                run.listeners |= self.binding.as_ref() != Some(&binding);
                self.binding = Some(binding);
            }
            Err(problem) => {
                self.bind_problem = Some(problem);
                return;
            }
        }
        let before = self.serving.replace(Arc::clone(&gateway));
        let before = before.as_deref();
        run.listeners |= before.is_none_or(|b| b.ports != gateway.ports);
        run.all_routes |= before.is_none_or(|b| {
            b.listeners != gateway.listeners || b.ports != gateway.ports || b.controller_name != gateway.controller_name
        });
        run.plan |= before.is_none_or(|b| b.plan != gateway.plan);
    }

    fn drop_fleet(&mut self, binder: &dyn Binder) -> Option<FleetKey> {
        let fleet = self.serving.take()?.fleet.clone();
        binder.release(&fleet);
        *self = Self::new(self.name.clone());
        Some(fleet)
    }

    fn route_units(&mut self, view: &dyn View, gateway: &Gateway, units: &BTreeSet<Unit>, run: &mut Run) {
        let mut dirty: BTreeSet<ObjectKey> = BTreeSet::new();
        if run.all_routes {
            dirty.extend(view.routes_of(&self.name));
            dirty.extend(self.routes.keys());
        }
        dirty
            .extend(units.iter().filter_map(|unit| if let Unit::Route(key) = unit { Some(key.clone()) } else { None }));
        for key in dirty {
            let unit = translate::route(view, gateway, &key);
            run.translated += 1;
            run.report |= self.routes.attached_would_change(&key, unit.as_ref());
            run.routes.push((key.clone(), unit.as_ref().map(|unit| unit.report.clone())));
            run.listeners |= self.routes.replace(key, unit, &mut run.backends);
        }
    }

    /// Clusters follow the references of routes; endpoints follow clusters and EndpointSlices.
    fn endpoint_units(&mut self, view: &dyn View, units: &BTreeSet<Unit>, run: &mut Run) {
        let mut endpoints = BTreeSet::new();
        for key in std::mem::take(&mut run.backends) {
            let name = key.cluster_name();
            if self.routes.uses(&key) {
                if self.base.get(ResourceType::Cluster, &name).is_none() {
                    run.edit.upserts.push(Resource::new(ResourceType::Cluster, &name, vec![envoy::cluster(&key)]));
                    endpoints.insert(key);
                }
            } else if self.base.get(ResourceType::Cluster, &name).is_some() {
                run.edit.removals.push((ResourceType::Cluster, Arc::from(name.as_str())));
                if self.base.get(ResourceType::Endpoints, &name).is_some() {
                    run.edit.removals.push((ResourceType::Endpoints, Arc::from(name.as_str())));
                }
            }
        }
        for unit in units {
            if let Unit::Endpoints(service) | Unit::Service(service) = unit {
                endpoints.extend(self.routes.backends_of(service));
            }
        }
        for key in endpoints {
            if matches!(key, crate::model::BackendKey::Service { .. }) {
                let encoded = envoy::endpoints(&key, &translate::endpoints(view, &key));
                run.upsert(&self.base, Resource::new(ResourceType::Endpoints, &key.cluster_name(), vec![encoded]));
            }
        }
    }

    fn secret_units(&self, view: &dyn View, units: &BTreeSet<Unit>, run: &mut Run) {
        let wanted: BTreeSet<&SecretKey> = self.unit.iter().flat_map(|unit| &unit.secrets).collect();
        let touched = |key: &SecretKey| units.contains(&Unit::Secret(NamespacedName::new(&*key.namespace, &*key.name)));
        for key in &wanted {
            let name = key.to_string();
            if !run.report && !touched(key) && self.base.get(ResourceType::Secret, &name).is_some() {
                continue;
            }
            // A certificate that broke is a condition of its listener; Envoy keeps the last good one.
            if let Ok(certificate) = translate::certificate(view, key) {
                run.upsert(
                    &self.base,
                    Resource::new(ResourceType::Secret, &name, vec![envoy::secret(key, &certificate)]),
                );
            }
        }
        let names: BTreeSet<String> = wanted.iter().map(|key| key.to_string()).collect();
        for secret in self.base.iter(ResourceType::Secret) {
            if run.report && !names.contains(&**secret.name()) {
                run.edit.removals.push((ResourceType::Secret, Arc::clone(secret.name())));
            }
        }
    }

    fn tables_and_listeners(&mut self, gateway: &Gateway, run: &mut Run) {
        if run.listeners {
            let tables =
                gateway.ports.iter().flat_map(|port| &port.chains).map(|chain| (&chain.table, &chain.hostnames));
            let gone = self.routes.set_tables(tables);
            run.edit.removals.extend(gone.iter().map(|table| (ResourceType::Route, Arc::from(table.as_str()))));
        }
        for table in self.routes.encode_tables() {
            run.upsert(&self.base, table);
        }
        if run.listeners {
            self.listeners(gateway, run);
        }
    }

    fn listeners(&self, gateway: &Gateway, run: &mut Run) {
        let binding = self.binding.clone().unwrap_or_else(|| Binding::unprivileged(gateway.plan.ports.iter().copied()));
        let mut names = BTreeSet::new();
        for port in &gateway.ports {
            names.insert(port.name.as_str());
            let filters = self.port_filters(port);
            let encoded = envoy::listener(port, &filters, &binding);
            run.upsert(&self.base, Resource::new(ResourceType::Listener, &port.name, vec![encoded]));
        }
        for listener in self.base.iter(ResourceType::Listener) {
            if !names.contains(&**listener.name()) {
                run.edit.removals.push((ResourceType::Listener, Arc::clone(listener.name())));
            }
        }
    }

    fn port_filters(&self, port: &Port) -> Vec<ListenerFilter> {
        self.routes.filters(port.chains.iter().map(|chain| chain.table.as_str()))
    }

    fn finish(&mut self, view: &dyn View, gateway: &Gateway, patches_changed: bool, run: Run) -> Outcome {
        self.base = self.base.apply(&run.edit);
        if patches_changed {
            self.patches.read(view, &self.name, &self.controller_name);
        }
        let complete = self.patches.overlay(&self.base);
        // Without patches what is published differs by what was made, and nothing has to be compared.
        let edit = if self.patches.is_idle() && self.unpatched { run.edit } else { self.published.diff(&complete) };
        self.unpatched = self.patches.is_idle();
        self.published = complete;
        Outcome {
            fleet: Some(gateway.fleet.clone()),
            gone: run.gone,
            edit,
            snapshot: Some(self.published.clone()),
            plan: run.plan.then(|| gateway.plan.clone()),
            gateway: run.report.then(|| self.status()),
            routes: run.routes,
            patches: self.patches.reports(&self.name, &self.controller_name),
            translated_routes: run.translated,
        }
    }

    /// The Gateway is not ours, or was never accepted: routes to it get no word from us, or the Gateway's own.
    fn without_fleet(&self, run: Run) -> Outcome {
        // Also when only one of its routes changed: nothing said means that there is nothing to say any more.
        let gateway = self.unit.is_some().then(|| self.status());
        Outcome { gone: run.gone, gateway, ..Outcome::default() }
    }

    fn status(&self) -> GatewayStatus {
        let mut report = self.unit.as_ref().map(|unit| unit.report.clone()).unwrap_or_default();
        if let Some(moved) = self.binding.as_ref().and_then(Binding::moved) {
            let programmed = report.conditions.iter_mut().find(|c| c.kind == "Programmed" && c.status);
            programmed.into_iter().for_each(|condition| condition.message = format!("{} {moved}", condition.message));
        }
        if let Some(problem) = &self.bind_problem {
            set(&mut report.conditions, Condition::no("Programmed", "AddressNotUsable", problem.clone()));
        }
        if let Some(problem) = &self.bootstrap_problem {
            set(&mut report.conditions, Condition::no("Accepted", "InvalidParameters", problem.clone()));
            set(&mut report.conditions, Condition::no("Programmed", "Invalid", problem.clone()));
            for policy in report.policies.iter_mut().filter(|report| report.policy.kind == Kind::EnvoyProxy) {
                set(&mut policy.conditions, Condition::no("Accepted", "Invalid", problem.clone()));
            }
        }
        let addresses = match (&self.binding, &self.serving) {
            (Some(binding), Some(gateway)) => vec![binding.address]
                .into_iter()
                .filter(|address| !address.is_unspecified())
                .chain(gateway.plan.addresses.iter().copied().filter(|_| binding.address.is_unspecified()))
                .collect(),
            _ => Vec::new(),
        };
        GatewayStatus {
            report,
            attached: self.routes.attached().clone(),
            addresses,
            controller_name: self.controller_name.clone(),
        }
    }
}

/// Puts a condition in the place of the one of its type.
pub(super) fn set(conditions: &mut Vec<Condition>, condition: Condition) {
    match conditions.iter_mut().find(|old| old.kind == condition.kind) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

/// What one run has found out so far.
#[derive(Default)]
struct Run {
    edit: Edit,
    gone: Option<FleetKey>,
    /// The Gateway's own status has to be written.
    report: bool,
    listeners: bool,
    all_routes: bool,
    plan: bool,
    translated: usize,
    routes: Vec<(ObjectKey, Option<RouteReport>)>,
    /// Backends whose use may have begun or ended.
    backends: BTreeSet<crate::model::BackendKey>,
}

impl Run {
    /// Adds a resource, unless it is there with the same content.
    fn upsert(&mut self, base: &Snapshot, resource: Arc<Resource>) {
        if base.get(resource.kind(), resource.name()).is_none_or(|old| old.version() != resource.version()) {
            self.edit.upserts.push(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Clock;
    use crate::store::{Change, Object, Store};
    use serde_json::{Value, json};

    struct Anywhere;

    impl Binder for Anywhere {
        fn bind(&self, _: &FleetKey, _: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
            Ok(Binding::unprivileged(ports.iter().copied()))
        }
        fn addresses(&self, _: &Binding, _: &[IpAddr]) -> Vec<IpAddr> {
            Vec::new()
        }
        fn release(&self, _: &FleetKey) {}
    }

    fn read<T: serde::de::DeserializeOwned>(namespace: &str, name: &str, spec: Value) -> Arc<T> {
        let metadata = json!({"name": name, "namespace": namespace});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn class(controller: &str) -> Object {
        let proxy = json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "namespace": "a", "name": "p"});
        Object::GatewayClass(read("", "c", json!({"controllerName": controller, "parametersRef": proxy})))
    }

    fn apply(store: &mut Store, compiler: &mut Compiler, objects: Vec<Object>) -> Outcome {
        let at = Clock::real().now();
        let put = |object: Object| Change { key: object.key(), object: Some(object), place: None, at };
        let affected = store.apply(objects.into_iter().map(put).collect());
        let units = affected.gateways.get(&compiler.name).cloned().unwrap_or_default();
        compiler.run(store, &|controller| Some(controller.to_owned()), &Anywhere, &units)
    }

    #[test]
    fn patches_are_not_forgotten_by_a_gateway_that_gets_a_fleet_later_or_another_one() {
        let (mut store, mut compiler) = (Store::default(), Compiler::new(NamespacedName::new("a", "g")));
        let listener = json!({"name": "http", "port": 80, "protocol": "HTTP"});
        let target = json!({"group": Kind::Gateway.group(), "kind": "Gateway", "name": "g"});
        let without_parameters = vec![
            class("example.com/one"),
            Object::Gateway(read("a", "g", json!({"gatewayClassName": "c", "listeners": [listener]}))),
            Object::EnvoyPatchPolicy(read(
                "a",
                "patch",
                json!({"type": "JSONPatch", "targetRef": target, "jsonPatches": []}),
            )),
        ];
        assert!(apply(&mut store, &mut compiler, without_parameters).fleet.is_none());
        let parameters = vec![Object::EnvoyProxy(read("a", "p", json!({})))];
        let accepted = apply(&mut store, &mut compiler, parameters);
        assert_eq!((accepted.fleet.is_some(), accepted.patches.len()), (true, 1));
        let moved = apply(&mut store, &mut compiler, vec![class("example.com/two")]);
        assert_eq!((moved.gone.is_some(), moved.fleet.is_some(), moved.patches.len()), (true, true, 1));
    }
}
