//! Changes in; snapshots, status and plans out: the one place where the pure parts meet.

use super::compiler::{Binder, Compiler, GatewayStatus, Outcome, set};
use super::journal::{Journal, Rollout, milliseconds};
use super::metrics::{ClassLabels, EventLabels, Metrics, TenantLabels};
use super::queue::{Pending, Queue};
use crate::model::{Condition, Finding, FleetKey, FleetPlan, Kind, NamespacedName, ObjectKey, Severity};
use crate::runtime::clock::Clock;
use crate::snapshot::{Registry, ResourceType, Snapshot, Stamps};
use crate::status::{GatewayState, StatusBook};
use crate::store::{Affected, Change, Store, Unit};
use crate::translate;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, watch};

/// Gives the class of a controller name.
pub type Controllers = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What an engine is made of.
pub struct EngineParts {
    /// Which controller names are ours.
    pub controllers: Controllers,
    /// Where snapshots go.
    pub registry: Arc<Registry>,
    /// Who decides where listeners are bound.
    pub binder: Arc<dyn Binder>,
    /// The time.
    pub clock: Clock,
    /// Measurements.
    pub metrics: Metrics,
}

/// What a proxy refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The fleet.
    pub fleet: FleetKey,
    /// The proxy.
    pub node: String,
    /// The type of the resources.
    pub kind: ResourceType,
    /// The resources in question.
    pub resources: Vec<String>,
    /// What the proxy said.
    pub message: String,
    /// The revision that was being rolled out.
    pub revision: String,
}

/// The state between the provider and everything that serves.
pub struct Engine {
    parts: EngineParts,
    store: RwLock<Store>,
    compilers: Mutex<BTreeMap<NamespacedName, Arc<Mutex<Compiler>>>>,
    queue: Mutex<Queue>,
    work: Notify,
    /// Signals the end of each piece of work.
    worked: Notify,
    loaded: watch::Sender<bool>,
    /// Gateways whose address or ports could not be had.
    blocked: Mutex<BTreeSet<NamespacedName>>,
    book: Mutex<StatusBook>,
    file_findings: Mutex<Vec<Finding>>,
    gateways: Mutex<BTreeMap<NamespacedName, Shown>>,
    plans: watch::Sender<Arc<BTreeMap<FleetKey, FleetPlan>>>,
    journal: Mutex<Journal>,
}

/// What a Gateway's status was last made from.
#[derive(Clone, Default)]
struct Shown {
    status: Option<GatewayStatus>,
    converged: Option<Condition>,
    rejected: Option<Finding>,
}

impl Engine {
    /// An engine without objects.
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let book = Mutex::new(StatusBook::new(parts.clock.clone()));
        Arc::new(Self {
            parts,
            store: RwLock::default(),
            compilers: Mutex::default(),
            queue: Mutex::default(),
            work: Notify::new(),
            worked: Notify::new(),
            loaded: watch::Sender::new(false),
            blocked: Mutex::default(),
            book,
            file_findings: Mutex::default(),
            gateways: Mutex::default(),
            plans: watch::Sender::default(),
            journal: Mutex::default(),
        })
    }

    /// Takes in changes and queues what they affect.
    pub fn apply(&self, changes: Vec<Change>) {
        let at = changes.iter().map(|change| change.at).min().unwrap_or_else(|| self.parts.clock.now());
        for change in &changes {
            let event = if change.object.is_some() { "applied" } else { "deleted" };
            self.parts.metrics.events.get_or_create_owned(&EventLabels { kind: change.key.kind.as_str(), event }).inc();
        }
        let affected = self.store.write().apply(changes);
        self.status_without_gateway(&affected);
        let mut queue = self.queue.lock();
        for (gateway, units) in affected.gateways {
            queue.push(&gateway, units, at);
        }
        self.parts.metrics.depth.set(i64::try_from(queue.depth()).unwrap_or(i64::MAX));
        drop(queue);
        self.work.notify_waiters();
        self.work.notify_one();
    }

    /// Replaces the findings about files.
    pub fn set_file_findings(&self, findings: Vec<Finding>) {
        *self.file_findings.lock() = findings;
    }

    /// Does one piece of work; false when there was none.
    pub fn work_once(&self) -> bool {
        let Some(pending) = self.queue.lock().pop() else { return false };
        self.compile(&pending);
        let mut queue = self.queue.lock();
        queue.done(&pending.gateway);
        let more = queue.depth() > 0;
        self.parts.metrics.depth.set(i64::try_from(queue.depth()).unwrap_or(i64::MAX));
        drop(queue);
        if more {
            self.work.notify_one();
        }
        self.worked.notify_waiters();
        true
    }

    /// Waits until there may be work.
    pub async fn has_work(&self) {
        let notified = self.work.notified();
        if self.queue.lock().depth() == 0 {
            notified.await;
        }
    }

    /// All objects that there are at the start have been handed over.
    pub fn loaded(&self) {
        self.loaded.send_replace(true);
    }

    /// Waits until the objects of the start were all worked off.
    pub async fn first_settled(&self) {
        let mut loaded = self.loaded.subscribe();
        // The sender lives as long as `self`.
        let _ = loaded.wait_for(|loaded| *loaded).await;
        loop {
            // Made before the look, so that what happens in between is not missed.
            let worked = self.worked.notified();
            if self.is_settled() {
                return;
            }
            worked.await;
        }
    }

    /// The objects whose status differs from what was last taken here, as manifests; `None` for those that are gone.
    pub fn changed_status(&self) -> Vec<(ObjectKey, Option<serde_json::Value>)> {
        let store = self.store.read();
        let mut book = self.book.lock();
        let changed = book.take_changed();
        changed.into_iter().map(|key| (key.clone(), book.status_of(&store, &key))).collect()
    }

    /// The objects that carry status.
    pub fn objects_with_status(&self) -> Vec<ObjectKey> {
        self.store.read().iter().map(|(key, _)| key.clone()).filter(|key| key.kind.has_status()).collect()
    }

    /// Tries Gateways again whose address or ports could not be had: what had them may be gone.
    pub fn retry_blocked(&self) {
        let blocked = self.blocked.lock().clone();
        let mut queue = self.queue.lock();
        for gateway in &blocked {
            queue.push(gateway, BTreeSet::from([Unit::Gateway]), self.parts.clock.now());
        }
        drop(queue);
        if !blocked.is_empty() {
            self.work.notify_one();
        }
    }

    /// Brings gauges that are costly to keep up to date; called before they are read.
    pub fn refresh_gauges(&self) {
        self.findings();
    }

    /// Where an object stands, when it comes from a file.
    pub fn place(&self, object: &ObjectKey) -> Option<crate::model::Place> {
        crate::store::View::place(&*self.store.read(), object)
    }

    /// Whether everything that arrived was worked off.
    pub fn is_settled(&self) -> bool {
        self.queue.lock().is_idle()
    }

    /// Works off everything, for offline use.
    pub fn settle(&self) {
        while self.work_once() {}
    }

    /// The plans of all fleets, and when they change.
    pub fn plans(&self) -> watch::Receiver<Arc<BTreeMap<FleetKey, FleetPlan>>> {
        self.plans.subscribe()
    }

    /// All objects that carry status, with it filled in, as a Kubernetes list.
    pub fn status(&self) -> serde_json::Value {
        // The store first, as everywhere: the other way round could wait for a worker that waits for the book.
        let store = self.store.read();
        self.book.lock().list(&store)
    }

    /// Every open finding.
    pub fn findings(&self) -> Vec<Finding> {
        let store = self.store.read();
        let mut all = self.file_findings.lock().clone();
        all.extend(self.book.lock().findings(&store));
        all.extend(self.gateways.lock().values().filter_map(|shown| shown.rejected.clone()));
        all.sort_by(|a, b| (&a.object, a.code, &a.message).cmp(&(&b.object, b.code, &b.message)));
        all.dedup();
        self.parts.metrics.findings.set(i64::try_from(all.len()).unwrap_or(i64::MAX));
        all
    }

    /// The last rollouts, oldest first.
    pub fn rollouts(&self) -> Vec<Rollout> {
        self.journal.lock().all()
    }

    /// Gateways that have a fleet, with what is published for them.
    pub fn fleets(&self) -> Vec<(FleetKey, Snapshot)> {
        let compilers: Vec<_> = self.compilers.lock().values().cloned().collect();
        let published = |compiler: &Arc<Mutex<Compiler>>| {
            let compiler = compiler.lock();
            compiler.fleet().map(|fleet| (fleet.clone(), compiler.published().clone()))
        };
        compilers.iter().filter_map(published).collect()
    }

    /// Every proxy of a fleet has a revision.
    pub fn rolled_out(
        &self,
        fleet: &FleetKey,
        revision: &str,
        took: std::time::Duration,
        proxies: usize,
        slowest: &str,
    ) {
        self.journal.lock().complete(fleet, revision, took, proxies, slowest);
        let message = format!("{proxies}/{proxies} at {revision}");
        self.show(&self.store.read(), &fleet.gateway(), |shown| {
            shown.converged = Some(Condition::yes("argosy.dev/Converged", "AllProxies", message));
            shown.rejected = None;
        });
    }

    /// A proxy refused something: the patches that touched it are taken back, and the Gateway says what happened.
    pub fn nacked(&self, nack: &Refusal) {
        let gateway = nack.fleet.gateway();
        self.journal.lock().reject(&nack.fleet, &nack.revision, &nack.message);
        let Some(compiler) = self.compilers.lock().get(&gateway).cloned() else { return };
        let mut compiler = compiler.lock();
        let mut withdrawn = false;
        let mut causes = BTreeSet::new();
        for name in &nack.resources {
            for policy in compiler.patched_by(nack.kind, name) {
                withdrawn |= compiler.refuse_patches(&policy, &nack.message);
                causes.insert(policy.to_string());
            }
            if causes.is_empty() {
                causes.extend(compiler.routes_in(name).iter().take(3).map(ToString::to_string));
            }
        }
        drop(compiler);
        if withdrawn {
            self.queue.lock().push(&gateway, BTreeSet::from([Unit::Patches]), self.parts.clock.now());
            self.work.notify_one();
        }
        let causes: Vec<String> = causes.into_iter().collect();
        self.show_rejection(&gateway, nack, &causes);
    }

    fn show_rejection(&self, gateway: &NamespacedName, nack: &Refusal, causes: &[String]) {
        let from = if causes.is_empty() { String::new() } else { format!(", made from {}", causes.join(", ")) };
        let message = format!(
            "proxy {} refused {} {}{from}: {}; it keeps the last good version",
            nack.node,
            nack.kind.label(),
            nack.resources.join(", "),
            nack.message
        );
        self.show(&self.store.read(), gateway, |shown| {
            shown.converged = Some(Condition::no("argosy.dev/Converged", "Rejected", message.clone()));
            shown.rejected = Some(Finding {
                code: "ARG0601",
                severity: Severity::Error,
                object: Some(ObjectKey::new(Kind::Gateway, &*gateway.namespace, &*gateway.name)),
                place: None,
                message,
                fix: "change the object that is named, or report the message with the object".to_owned(),
            });
        });
    }

    /// Classes and policies that reach no Gateway have a status too.
    fn status_without_gateway(&self, affected: &Affected) {
        let store = self.store.read();
        let controllers = |name: &str| (self.parts.controllers)(name);
        let mut book = self.book.lock();
        for class in &affected.classes {
            match translate::class(&*store, &controllers, class) {
                Some(report) => book.class(&store, class, report),
                None => book.forget(&ObjectKey::new(Kind::GatewayClass, "", class.as_str())),
            }
        }
        for policy in &affected.policies {
            book.orphan_policy(&store, policy, translate::orphan_policy(&*store, &controllers, policy));
        }
        for object in &affected.deleted {
            book.forget(object);
        }
    }

    fn compile(&self, pending: &Pending) {
        let dequeued = self.parts.clock.now();
        let name = &pending.gateway;
        let compiler = Arc::clone(
            self.compilers
                .lock()
                .entry(name.clone())
                .or_insert_with(|| Arc::new(Mutex::new(Compiler::new(name.clone())))),
        );
        let mut compiler = compiler.lock();
        let controllers = |controller: &str| (self.parts.controllers)(controller);
        // Held until the status is noted, so that what is noted is of the generations that were read.
        let store = self.store.read();
        let outcome = compiler.run(&*store, &controllers, &*self.parts.binder, &pending.units);
        let translated = self.parts.clock.now();
        self.publish(&outcome, pending, Stamps { event: pending.since, dequeued, translated });
        if compiler.is_blocked() {
            self.blocked.lock().insert(name.clone());
        } else {
            self.blocked.lock().remove(name);
        }
        if compiler.is_idle() && crate::store::View::gateway(&*store, name).is_none() {
            // Nothing is known of it any more; when it comes back, it starts anew.
            self.compilers.lock().remove(name);
        }
        drop(compiler);
        self.measure(&outcome, name, dequeued);
        self.report(&store, name, outcome);
    }

    fn publish(&self, outcome: &Outcome, pending: &Pending, stamps: Stamps) {
        if let Some(gone) = &outcome.gone {
            self.parts.registry.remove(gone);
            self.plans.send_modify(|plans| {
                Arc::make_mut(plans).remove(gone);
            });
        }
        let Some(fleet) = &outcome.fleet else { return };
        if let Some(plan) = &outcome.plan {
            self.plans.send_modify(|plans| {
                Arc::make_mut(plans).insert(fleet.clone(), plan.clone());
            });
        }
        let queue_ms = milliseconds(stamps.dequeued.saturating_duration_since(stamps.event));
        let translate_ms = milliseconds(stamps.translated.saturating_duration_since(stamps.dequeued));
        let now = self.parts.clock.now();
        let Some(snapshot) = outcome.snapshot.clone() else { return };
        let Some(published) = self.parts.registry.fleet(fleet).replace(snapshot, stamps, now) else { return };
        let mut upserts = BTreeMap::new();
        for resource in &outcome.edit.upserts {
            *upserts.entry(resource.kind().label()).or_insert(0) += 1;
        }
        self.journal.lock().begin(Rollout {
            revision: published.snapshot.revision().to_string(),
            gateway: fleet.gateway().to_string(),
            class: fleet.class.clone(),
            changes: pending.changes,
            upserts,
            removals: outcome.edit.removals.len(),
            queue_ms,
            translate_ms,
            total_ms: None,
            proxies: 0,
            slowest: None,
            rejected: None,
        });
    }

    fn measure(&self, outcome: &Outcome, gateway: &NamespacedName, since: Instant) {
        let class = outcome.fleet.as_ref().map_or_else(String::new, |fleet| fleet.class.clone());
        let labels = ClassLabels { class: class.clone() };
        let metrics = &self.parts.metrics;
        metrics.reconciles.get_or_create_owned(&labels).inc();
        metrics.translations.get_or_create_owned(&labels).inc_by(outcome.translated_routes as u64);
        let took = self.parts.clock.now().saturating_duration_since(since).as_secs_f64();
        let tenant = TenantLabels { class, tenant: gateway.namespace.clone() };
        metrics.work.get_or_create_owned(&tenant).inc_by(took);
    }

    fn report(&self, store: &Store, gateway: &NamespacedName, outcome: Outcome) {
        {
            let mut book = self.book.lock();
            match (&outcome.fleet, &outcome.gateway) {
                (None, None) => book.forget_gateway(gateway),
                // Never accepted: it speaks of itself, not of routes.
                (None, Some(_)) => book.forget_routes(gateway),
                _ => {}
            }
            for (route, report) in outcome.routes {
                match report {
                    Some(report) => book.route(store, &route, gateway, report),
                    None => book.forget_route(&route, gateway),
                }
            }
            book.patches(store, gateway, outcome.patches);
        }
        match outcome.gateway {
            Some(status) => self.show(store, gateway, |shown| shown.status = Some(status)),
            None if outcome.fleet.is_none() => {
                self.gateways.lock().remove(gateway);
            }
            None => {}
        }
    }

    /// Changes what a Gateway's status is made from, and makes it.
    fn show(&self, store: &Store, gateway: &NamespacedName, change: impl FnOnce(&mut Shown)) {
        let mut gateways = self.gateways.lock();
        let shown = gateways.entry(gateway.clone()).or_default();
        change(shown);
        let shown = shown.clone();
        drop(gateways);
        let Some(mut status) = shown.status else { return };
        if let Some(converged) = shown.converged {
            set(&mut status.report.conditions, converged);
        }
        let state = GatewayState {
            report: status.report,
            attached: status.attached,
            addresses: status.addresses.iter().map(|ip| ("IPAddress".to_owned(), ip.to_string())).collect(),
            controller_name: status.controller_name,
        };
        self.book.lock().gateway(store, gateway, state);
    }
}
