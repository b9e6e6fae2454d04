//! One delta ADS stream as a state machine: requests and snapshots in, responses out.
//!
//! There is at most one response in flight for each type. What changes meanwhile is not queued: when the type's turn
//! comes, the difference between what the client has and the newest snapshot is computed, which costs what changed.
//!
//! Make before break, for every target: clusters that are new or changed first, then their endpoints, since Envoy keeps
//! a cluster warming until it has them; after the ACK of both listeners and routes; after the ACK of those the clusters
//! that are gone.

use super::subscription::Subscription;
use crate::snapshot::{Edit, Published, Resource, ResourceType, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ResourceType::{Cluster, Endpoints, Listener, Route, Secret};

/// A request, decoded.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The type.
    pub type_url: String,
    /// The nonce of the response that this answers; empty for a new subscription.
    pub nonce: String,
    /// Why the response is refused.
    pub error: Option<String>,
    /// Names to subscribe.
    pub subscribe: Vec<String>,
    /// Names to give up.
    pub unsubscribe: Vec<String>,
    /// What the client has from an earlier stream: name → version.
    pub initial_versions: BTreeMap<String, String>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Send a response.
    Send {
        /// The type.
        kind: ResourceType,
        /// Answers the client's ACK.
        nonce: u64,
        /// The revision that the fleet should have.
        revision: Arc<str>,
        /// Resources.
        resources: Vec<Arc<Resource>>,
        /// Names that are gone, or never were.
        removed: Vec<Arc<str>>,
    },
    /// A response was acknowledged.
    Acked(ResourceType),
    /// A response was refused.
    Refused(Refusal),
    /// The client has everything of this publication.
    Synced(Arc<Published>),
}

/// A refused response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The type.
    pub kind: ResourceType,
    /// The resources in question: those that the message names, else all of the response.
    pub resources: Vec<Arc<str>>,
    /// What the client said.
    pub message: String,
    /// The revision that was on its way.
    pub revision: Arc<str>,
}

/// What is known of one type.
struct TypeState {
    subscription: Subscription,
    /// What the client has once everything in flight is acknowledged.
    has: Snapshot,
    /// Names the client has from an earlier stream, other than `has`.
    foreign: BTreeSet<Arc<str>>,
    /// Versions from an earlier stream, while there is no snapshot to compare them with.
    resuming: BTreeMap<String, String>,
    /// Names that have to be answered although nothing may have changed.
    owed: BTreeSet<Arc<str>>,
    /// A response has to be sent even if it is empty: only a message resets Envoy's back-off.
    owes_response: bool,
    in_flight: Option<InFlight>,
    /// Refused versions by name: not sent again until the content changes.
    refused: BTreeMap<Arc<str>, Arc<str>>,
}

struct InFlight {
    nonce: u64,
    resources: Vec<Arc<Resource>>,
    revision: Arc<str>,
}

/// The state of one stream.
pub struct Stream {
    types: [TypeState; 5],
    target: Option<Arc<Published>>,
    /// Clusters that were sent and whose endpoints are not acknowledged: Envoy does not use them yet.
    warming: BTreeSet<Arc<str>>,
    synced: u64,
    nonce: u64,
}

impl Default for Stream {
    fn default() -> Self {
        let state = || TypeState {
            subscription: Subscription::default(),
            has: Snapshot::empty(),
            foreign: BTreeSet::new(),
            resuming: BTreeMap::new(),
            owed: BTreeSet::new(),
            owes_response: false,
            in_flight: None,
            refused: BTreeMap::new(),
        };
        Self { types: std::array::from_fn(|_| state()), target: None, warming: BTreeSet::new(), synced: 0, nonce: 0 }
    }
}

impl Stream {
    /// The fleet has a new snapshot.
    pub fn published(&mut self, published: Arc<Published>) -> Vec<Action> {
        for kind in ResourceType::ALL {
            // Content that changed since it was refused may be tried again.
            let state = &mut self.types[kind as usize];
            state.refused.retain(|name, version| {
                published.snapshot.get(kind, name).is_some_and(|resource| resource.version() == version)
            });
        }
        self.warming.retain(|name| {
            published.snapshot.get(Cluster, name).is_some() && published.snapshot.get(Endpoints, name).is_some()
        });
        let first = self.target.replace(published).is_none();
        if first {
            ResourceType::ALL.into_iter().for_each(|kind| self.resume(kind));
        }
        let mut actions = Vec::new();
        self.pump(&mut actions);
        actions
    }

    /// A request arrived. Types that are not served are answered by silence, as the protocol wants.
    pub fn request(&mut self, request: &Request) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(kind) = ResourceType::from_type_url(&request.type_url) else { return actions };
        self.acknowledge(kind, request, &mut actions);
        self.subscribe(kind, request);
        self.pump(&mut actions);
        actions
    }

    /// Whether the newest publication was refused in part.
    pub fn has_refusals(&self) -> bool {
        self.types.iter().any(|state| !state.refused.is_empty())
    }

    fn acknowledge(&mut self, kind: ResourceType, request: &Request, actions: &mut Vec<Action>) {
        if request.nonce.is_empty() {
            return;
        }
        let state = &mut self.types[kind as usize];
        // An answer to anything but the response in flight is old news.
        let Some(in_flight) = state.in_flight.take_if(|in_flight| in_flight.nonce.to_string() == request.nonce) else {
            return;
        };
        let Some(message) = &request.error else {
            for resource in &in_flight.resources {
                state.refused.remove(resource.name());
                if kind == Endpoints {
                    self.warming.remove(resource.name());
                }
            }
            actions.push(Action::Acked(kind));
            return;
        };
        let named: Vec<_> = in_flight.resources.iter().filter(|r| message.contains(&**r.name())).collect();
        let culprits = if named.is_empty() { in_flight.resources.iter().collect() } else { named };
        for resource in &culprits {
            // What was refused will not get warm: nothing else waits for it.
            if [Cluster, Endpoints].contains(&kind) {
                self.warming.remove(resource.name());
            }
            state.refused.insert(Arc::clone(resource.name()), Arc::clone(resource.version()));
        }
        actions.push(Action::Refused(Refusal {
            kind,
            resources: culprits.iter().map(|resource| Arc::clone(resource.name())).collect(),
            message: message.clone(),
            revision: in_flight.revision,
        }));
    }

    fn subscribe(&mut self, kind: ResourceType, request: &Request) {
        let state = &mut self.types[kind as usize];
        let first = !state.subscription.started;
        if !first && request.subscribe.is_empty() && request.unsubscribe.is_empty() {
            return;
        }
        let new = state.subscription.update(&request.subscribe, &request.unsubscribe);
        for name in &new {
            // A name that is asked for again has to be answered whatever the client is thought to have.
            state.refused.remove(name);
        }
        state.owed.extend(new);
        state.owes_response |= first && state.subscription.wildcard;
        if first {
            state.resuming = request.initial_versions.clone();
            self.resume(kind);
        }
    }

    /// Takes over what the client has from an earlier stream: equal versions are known, the others are to be replaced.
    /// Endpoints and secrets are small and always answered in full: a cluster that was warming when the old stream ended
    /// waits for them. A route table that is known need not be sent.
    fn resume(&mut self, kind: ResourceType) {
        let state = &mut self.types[kind as usize];
        let Some(target) = &self.target else { return };
        let versions = std::mem::take(&mut state.resuming);
        if versions.is_empty() {
            return;
        }
        let mut known = Edit::default();
        for (name, version) in versions {
            match target.snapshot.get(kind, &name) {
                Some(resource) if **resource.version() == *version => known.upserts.push(Arc::clone(resource)),
                _ => {
                    state.foreign.insert(Arc::from(name));
                }
            }
        }
        if kind == Route {
            known.upserts.iter().for_each(|resource| {
                state.owed.remove(resource.name());
            });
        }
        state.has = if known.upserts.len() == target.snapshot.len(kind) {
            target.snapshot.clone()
        } else {
            Snapshot::empty().apply(&known)
        };
    }

    /// Sends whatever may be sent now.
    fn pump(&mut self, actions: &mut Vec<Action>) {
        let Some(target) = self.target.clone() else { return };
        self.clusters(&target, actions);
        self.plain(Endpoints, &target, actions);
        self.plain(Secret, &target, actions);
        if self.is_made(Cluster, &target) && self.is_warm() {
            self.listeners(&target, actions);
            self.plain(Route, &target, actions);
        }
        if self.is_synced(&target) && self.synced != target.generation {
            self.synced = target.generation;
            actions.push(Action::Synced(target));
        }
    }

    /// Nothing of a type is missing at the client: everything new was sent and acknowledged.
    fn is_made(&self, kind: ResourceType, target: &Published) -> bool {
        let state = &self.types[kind as usize];
        if !state.subscription.started {
            return true;
        }
        let mut edit = Edit::default();
        state.has.diff_of(&target.snapshot, kind, &mut edit);
        state.in_flight.is_none() && !edit.upserts.iter().any(|resource| state.is_due(resource))
    }

    /// No cluster waits for its endpoints. A client without listeners serves nothing that could break: it need not wait,
    /// which matters to clients that ask for no endpoints at all.
    fn is_warm(&self) -> bool {
        self.warming.is_empty() || self.types[Listener as usize].has.len(Listener) == 0
    }

    fn is_clean(&self, kind: ResourceType, target: &Published) -> bool {
        let state = &self.types[kind as usize];
        self.is_made(kind, target) && state.refused.is_empty() && state.owed.is_empty() && state.foreign.is_empty()
    }

    fn is_synced(&self, target: &Published) -> bool {
        let clusters = &self.types[Cluster as usize];
        let mut edit = Edit::default();
        if clusters.subscription.started {
            clusters.has.diff_of(&target.snapshot, Cluster, &mut edit);
        }
        let any = self.types.iter().any(|state| state.subscription.started);
        let warm = self.warming.is_empty() || !self.started(Endpoints);
        any && warm && edit.removals.is_empty() && ResourceType::ALL.into_iter().all(|kind| self.is_clean(kind, target))
    }

    fn started(&self, kind: ResourceType) -> bool {
        self.types[kind as usize].subscription.started
    }

    fn clusters(&mut self, target: &Published, actions: &mut Vec<Action>) {
        // Old clusters may go when no route and no listener that the client has can need them.
        let may_remove =
            self.is_clean(Listener, target) && self.is_clean(Route, target) && self.is_made(Cluster, target);
        let state = &mut self.types[Cluster as usize];
        if !state.may_send() {
            return;
        }
        let mut edit = Edit::default();
        state.has.diff_of(&target.snapshot, Cluster, &mut edit);
        edit.upserts.retain(|resource| state.is_due(resource));
        if !may_remove {
            edit.removals.clear();
        }
        let mut removed: Vec<Arc<str>> = edit.removals.iter().map(|(_, name)| Arc::clone(name)).collect();
        if may_remove || !self.started(Listener) {
            let state = &mut self.types[Cluster as usize];
            let foreign = std::mem::take(&mut state.foreign);
            removed.extend(foreign.into_iter().filter(|name| target.snapshot.get(Cluster, name).is_none()));
        } else {
            // What will be replaced is not foreign any more.
            self.types[Cluster as usize].foreign.retain(|name| target.snapshot.get(Cluster, name).is_none());
        }
        let state = &mut self.types[Cluster as usize];
        if edit.upserts.is_empty() && removed.is_empty() && !state.owes_response {
            return;
        }
        state.has = state.has.apply(&edit);
        let sent: Vec<Arc<str>> = edit.upserts.iter().map(|resource| Arc::clone(resource.name())).collect();
        self.warming.extend(sent.iter().filter(|name| target.snapshot.get(Endpoints, name).is_some()).cloned());
        removed.iter().for_each(|name| {
            self.warming.remove(name);
        });
        self.send(Cluster, target, edit.upserts, removed, actions);
        // A cluster that is sent again warms again and needs its endpoints again, though Envoy does not ask for them.
        let endpoints = &mut self.types[Endpoints as usize];
        endpoints.owed.extend(sent.into_iter().filter(|name| endpoints.subscription.wants(name)));
    }

    fn listeners(&mut self, target: &Published, actions: &mut Vec<Action>) {
        let before = actions.len();
        self.plain(Listener, target, actions);
        let sent = matches!(actions.get(before), Some(Action::Send { resources, .. }) if !resources.is_empty());
        if sent {
            for kind in [Route, Secret] {
                let state = &mut self.types[kind as usize];
                state.owed.extend(state.subscription.names.iter().cloned());
            }
            self.plain(Secret, target, actions);
        }
    }

    /// A type whose changes and removals go together.
    fn plain(&mut self, kind: ResourceType, target: &Published, actions: &mut Vec<Action>) {
        let state = &mut self.types[kind as usize];
        if !state.may_send() {
            return;
        }
        let mut edit = Edit::default();
        state.has.diff_of(&target.snapshot, kind, &mut edit);
        let owed = std::mem::take(&mut state.owed);
        edit.upserts.retain(|resource| state.is_due(resource) && !owed.contains(resource.name()));
        let mut removed: Vec<Arc<str>> = Vec::new();
        // Endpoints, routes and secrets end with the cluster or listener that refers to them.
        if kind == Listener {
            removed
                .extend(edit.removals.iter().map(|(_, name)| Arc::clone(name)).filter(|n| state.subscription.wants(n)));
        }
        let foreign = std::mem::take(&mut state.foreign);
        removed.extend(foreign.into_iter().filter(|name| target.snapshot.get(kind, name).is_none()));
        for name in owed.iter().filter(|name| state.subscription.wants(name)) {
            match target.snapshot.get(kind, name) {
                Some(resource) if state.refused.get(name) == Some(resource.version()) => {}
                Some(resource) => edit.upserts.push(Arc::clone(resource)),
                None => removed.push(Arc::clone(name)),
            }
        }
        state.has = target.snapshot.clone();
        if !edit.upserts.is_empty() || !removed.is_empty() || state.owes_response {
            removed.sort();
            removed.dedup();
            self.send(kind, target, edit.upserts, removed, actions);
        }
    }

    fn send(
        &mut self,
        kind: ResourceType,
        target: &Published,
        resources: Vec<Arc<Resource>>,
        removed: Vec<Arc<str>>,
        actions: &mut Vec<Action>,
    ) {
        self.nonce += 1;
        let state = &mut self.types[kind as usize];
        state.owes_response = false;
        let revision = Arc::clone(target.snapshot.revision());
        state.in_flight =
            Some(InFlight { nonce: self.nonce, resources: resources.clone(), revision: Arc::clone(&revision) });
        actions.push(Action::Send { kind, nonce: self.nonce, revision, resources, removed });
    }
}

impl TypeState {
    fn may_send(&self) -> bool {
        self.subscription.started && self.in_flight.is_none()
    }

    /// Wanted by the client, and not refused with this very content.
    fn is_due(&self, resource: &Resource) -> bool {
        self.subscription.wants(resource.name()) && self.refused.get(resource.name()) != Some(resource.version())
    }
}
