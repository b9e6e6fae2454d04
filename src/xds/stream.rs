//! One delta ADS stream as a state machine: requests and snapshots in, responses out.
//!
//! There is at most one response in flight for each type. What changes meanwhile is not queued: when the type's turn
//! comes, the difference between what the client has and the newest snapshot is computed, which costs what changed.
//!
//! Make before break, for every target: clusters that are new or changed first, then their endpoints, since Envoy keeps
//! a cluster warming until it has them; after the ACK of both listeners and routes; after the ACK of those, and of the
//! secrets that a listener may wait for, the clusters that are gone.
//!
//! A refused response says little about what became of its parts: Envoy may have applied some of them or none. So the
//! part that is to blame is pinned to the last good version, and the rest is sent again.

use super::subscription::Subscription;
use crate::snapshot::{Edit, Published, Resource, ResourceType, SharedNames, Snapshot};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// A response of several resources was refused for no resource that the client names: it is sent again in parts, until
    /// what is to blame stands alone.
    Divided(ResourceType),
    /// The client has everything of this publication.
    Synced(Arc<Published>),
}

/// A refused response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The type.
    pub kind: ResourceType,
    /// The resources in question: those that the message names, or the one that the response had.
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
    /// Names the client has or may have beside `has`: from an earlier stream, or from a refused response.
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
    /// Names from refused responses, each group to be sent in a response of its own before anything else.
    again: VecDeque<Vec<Arc<str>>>,
    /// The client has answered a response on this stream.
    answered: bool,
}

struct InFlight {
    nonce: u64,
    resources: Vec<Arc<Resource>>,
    removed: Vec<Arc<str>>,
    revision: Arc<str>,
}

/// The state of one stream.
pub struct Stream {
    types: [TypeState; 5],
    target: Option<Arc<Published>>,
    /// Clusters that were sent, by the nonce they went with, and whose endpoints are not acknowledged since: Envoy does not
    /// use them yet.
    warming: BTreeMap<Arc<str>, u64>,
    /// The nonce of the last listeners that were answered, until a later response is. A client asks for the routes of a new
    /// listener right after its answer: once it has answered something later, these requests have arrived as well.
    unsettled: Option<u64>,
    synced: u64,
    nonce: u64,
    /// Sets of names that the fleet's streams have in common.
    names: Arc<SharedNames>,
}

impl Stream {
    /// A stream of which nothing is known; `names` are those of its fleet.
    pub fn new(names: Arc<SharedNames>) -> Self {
        let state = || TypeState {
            subscription: Subscription::default(),
            has: Snapshot::empty(),
            foreign: BTreeSet::new(),
            resuming: BTreeMap::new(),
            owed: BTreeSet::new(),
            owes_response: false,
            in_flight: None,
            refused: BTreeMap::new(),
            again: VecDeque::new(),
            answered: false,
        };
        Self {
            types: std::array::from_fn(|_| state()),
            target: None,
            warming: BTreeMap::new(),
            unsettled: None,
            synced: 0,
            nonce: 0,
            names,
        }
    }

    /// The fleet has a new snapshot.
    pub fn published(&mut self, published: Arc<Published>) -> Vec<Action> {
        for kind in ResourceType::ALL {
            // Content that changed since it was refused may be tried again.
            let state = &mut self.types[kind as usize];
            let same = |name: &str, version: &Arc<str>| {
                published.snapshot.get(kind, name).is_some_and(|resource| resource.version() == version)
            };
            let changed: Vec<_> = state.refused.extract_if(.., |name, version| !same(name, version)).collect();
            state.forget(kind, changed.into_iter().map(|(name, _)| name).collect());
        }
        self.warming.retain(|name, _| {
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
        state.answered = true;
        if self.unsettled.is_some_and(|listeners| listeners < in_flight.nonce) {
            self.unsettled = None;
        }
        if kind == Listener && !in_flight.resources.is_empty() {
            self.unsettled = Some(in_flight.nonce);
        }
        match &request.error {
            None => self.accepted(kind, &in_flight, actions),
            Some(message) => self.refused(kind, in_flight, message, actions),
        }
    }

    fn accepted(&mut self, kind: ResourceType, in_flight: &InFlight, actions: &mut Vec<Action>) {
        for resource in &in_flight.resources {
            self.types[kind as usize].refused.remove(resource.name());
            // Endpoints that came before the cluster did not warm it.
            if kind == Endpoints && self.warming.get(resource.name()).is_some_and(|sent| *sent < in_flight.nonce) {
                self.warming.remove(resource.name());
            }
        }
        actions.push(Action::Acked(kind));
    }

    /// Every refusal pins a resource or makes the groups smaller, so it comes to an end.
    fn refused(&mut self, kind: ResourceType, in_flight: InFlight, message: &str, actions: &mut Vec<Action>) {
        let state = &mut self.types[kind as usize];
        let InFlight { resources, removed, revision, .. } = in_flight;
        let all = resources.len();
        if all > 0 {
            // Whether the removals were carried out is not known either.
            state.foreign.extend(removed);
        }
        let (mut culprits, mut rest): (Vec<_>, Vec<_>) =
            resources.into_iter().partition(|resource| all == 1 || mentions(message, resource.name()));
        // What was refused will not get warm: nothing else waits for it.
        if kind == Cluster {
            culprits.iter().chain(&rest).for_each(|resource| {
                self.warming.remove(resource.name());
            });
        } else if kind == Endpoints {
            culprits.iter().for_each(|resource| {
                self.warming.remove(resource.name());
            });
        }
        if culprits.is_empty() && all > 0 {
            culprits = rest.split_off(all.div_ceil(2));
            state.send_again(kind, &culprits);
            state.send_again(kind, &rest);
            actions.push(Action::Divided(kind));
            return;
        }
        if !rest.is_empty() {
            state.send_again(kind, &rest);
        }
        for resource in &culprits {
            state.refused.insert(Arc::clone(resource.name()), Arc::clone(resource.version()));
        }
        let resources = culprits.iter().map(|resource| Arc::clone(resource.name())).collect();
        actions.push(Action::Refused(Refusal { kind, resources, message: message.to_owned(), revision }));
    }

    fn subscribe(&mut self, kind: ResourceType, request: &Request) {
        let state = &mut self.types[kind as usize];
        let first = !state.subscription.started;
        if !first && request.subscribe.is_empty() && request.unsubscribe.is_empty() {
            return;
        }
        // The fleet's own names are shared by all its streams.
        let target = self.target.as_ref();
        let known = |name: &str| target.and_then(|t| t.snapshot.get(kind, name)).map(|r| Arc::clone(r.name()));
        let shared = |name: &str| known(name).unwrap_or_else(|| Arc::from(name));
        let new = state.subscription.update(&request.subscribe, &request.unsubscribe, shared, &self.names);
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
        !state.subscription.started
            || (state.in_flight.is_none()
                && state.again.is_empty()
                && !self.missing(kind, target).upserts.iter().any(|resource| state.is_due(resource)))
    }

    /// What the client has, against the target.
    fn missing(&self, kind: ResourceType, target: &Published) -> Edit {
        let mut edit = Edit::default();
        self.types[kind as usize].has.diff_of(&target.snapshot, kind, &mut edit);
        edit
    }

    /// No cluster waits for its endpoints. Who asks for no endpoints at all does not wait: Envoy holds the ACK of clusters
    /// back until they are warm, so it has asked by then. Who has no listeners has nothing that could break.
    fn is_warm(&self) -> bool {
        if self.started(Endpoints) && !self.started(Cluster) {
            // A client that came back while clusters were warming asks for clusters once they are warm.
            return false;
        }
        let listeners = &self.types[Listener as usize];
        self.warming.is_empty()
            || !self.started(Endpoints)
            || (listeners.has.len(Listener) == 0 && listeners.foreign.is_empty())
    }

    /// Old clusters may go when no route and no listener that the client has can need them: those it has are the newest,
    /// with the secrets that a listener waits for while its predecessor serves. A client that comes back asks for clusters
    /// first, and for what points to them in the same breath: its first answer says that all requests have arrived.
    fn may_remove(&self, target: &Published) -> bool {
        self.types[Cluster as usize].answered
            && self.is_made(Cluster, target)
            && [Listener, Route, Secret].into_iter().all(|kind| self.is_clean(kind, target))
    }

    /// Nothing is missing, and nothing that is gone from the target is left at the client.
    fn is_clean(&self, kind: ResourceType, target: &Published) -> bool {
        let state = &self.types[kind as usize];
        // Other types have no removals of their own.
        let removes = [Cluster, Listener].contains(&kind) && state.subscription.started;
        self.is_made(kind, target)
            && state.refused.is_empty()
            && state.owed.is_empty()
            && state.foreign.is_empty()
            && (!removes || self.missing(kind, target).removals.is_empty())
    }

    fn is_synced(&self, target: &Published) -> bool {
        let any = self.types.iter().any(|state| state.subscription.started);
        let warm = self.warming.is_empty() || !self.started(Endpoints);
        any && warm && ResourceType::ALL.into_iter().all(|kind| self.is_clean(kind, target))
    }

    fn started(&self, kind: ResourceType) -> bool {
        self.types[kind as usize].subscription.started
    }

    fn clusters(&mut self, target: &Published, actions: &mut Vec<Action>) {
        let may_remove = self.may_remove(target);
        let state = &mut self.types[Cluster as usize];
        if !state.may_send() {
            return;
        }
        if let Some(resources) = state.next_again(Cluster, target) {
            return self.send_clusters(target, Edit { upserts: resources, removals: Vec::new() }, Vec::new(), actions);
        }
        let mut edit = Edit::default();
        state.has.diff_of(&target.snapshot, Cluster, &mut edit);
        // What will be replaced is not foreign any more.
        state.foreign.retain(|name| target.snapshot.get(Cluster, name).is_none());
        let mut removed = state.add_owed(Cluster, target, &mut edit);
        removed.retain(|name| state.has.get(Cluster, name).is_none() && !state.foreign.contains(name));
        let anything_gone = !edit.removals.is_empty() || !state.foreign.is_empty();
        let probe = may_remove && anything_gone && self.unsettled.is_some();
        if may_remove && !probe {
            removed.extend(edit.removals.iter().map(|(_, name)| Arc::clone(name)));
            removed.extend(std::mem::take(&mut state.foreign));
        } else {
            edit.removals.clear();
        }
        if !edit.upserts.is_empty() || !removed.is_empty() || state.owes_response || probe {
            self.send_clusters(target, edit, removed, actions);
        }
    }

    fn send_clusters(&mut self, target: &Published, edit: Edit, mut removed: Vec<Arc<str>>, actions: &mut Vec<Action>) {
        let state = &mut self.types[Cluster as usize];
        state.has = state.has.apply(&edit);
        if self.missing(Cluster, target).is_empty() {
            // Equal to the fleet's own: shared with it, and compared with the next one at no cost.
            self.types[Cluster as usize].has = target.snapshot.clone();
        }
        removed.sort();
        removed.dedup();
        removed.iter().for_each(|name| {
            self.warming.remove(name);
        });
        let sent: Vec<Arc<str>> = edit.upserts.iter().map(|resource| Arc::clone(resource.name())).collect();
        self.send(Cluster, target, edit.upserts, removed, actions);
        let endpoints = &mut self.types[Endpoints as usize];
        for name in sent {
            let Some(resource) = target.snapshot.get(Endpoints, &name) else { continue };
            // Refused endpoints will not come, and nothing waits for them.
            if endpoints.refused.get(&name) != Some(resource.version()) {
                self.warming.insert(Arc::clone(&name), self.nonce);
            }
            // A cluster that is sent again warms again and needs its endpoints again, though Envoy does not ask for them.
            if endpoints.subscription.wants(&name) {
                endpoints.owed.insert(name);
            }
        }
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
        if let Some(upserts) = state.next_again(kind, target) {
            state.has = state.has.apply(&Edit { upserts: upserts.clone(), removals: Vec::new() });
            return self.send(kind, target, upserts, Vec::new(), actions);
        }
        let mut edit = Edit::default();
        state.has.diff_of(&target.snapshot, kind, &mut edit);
        let mut removed = state.add_owed(kind, target, &mut edit);
        // Endpoints, routes and secrets end with the cluster or listener that refers to them.
        if kind == Listener {
            removed
                .extend(edit.removals.iter().map(|(_, name)| Arc::clone(name)).filter(|n| state.subscription.wants(n)));
        }
        let foreign = std::mem::take(&mut state.foreign);
        removed.extend(foreign.into_iter().filter(|name| target.snapshot.get(kind, name).is_none()));
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
        state.in_flight = Some(InFlight {
            nonce: self.nonce,
            resources: resources.clone(),
            removed: removed.clone(),
            revision: Arc::clone(&revision),
        });
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

    /// Leaves what is due of an edit and adds what is owed; returns the owed names that do not exist.
    fn add_owed(&mut self, kind: ResourceType, target: &Published, edit: &mut Edit) -> Vec<Arc<str>> {
        let owed = std::mem::take(&mut self.owed);
        edit.upserts.retain(|resource| self.is_due(resource) && !owed.contains(resource.name()));
        let mut absent = Vec::new();
        for name in owed.into_iter().filter(|name| self.subscription.wants(name)) {
            match target.snapshot.get(kind, &name) {
                Some(resource) if self.is_due(resource) => edit.upserts.push(Arc::clone(resource)),
                Some(_) => {}
                None => absent.push(name),
            }
        }
        absent
    }

    /// Whether the client has these, and in which version, is not known any more.
    fn forget(&mut self, kind: ResourceType, names: Vec<Arc<str>>) {
        if !names.is_empty() {
            let removals = names.iter().map(|name| (kind, Arc::clone(name))).collect();
            self.has = self.has.apply(&Edit { upserts: Vec::new(), removals });
            self.foreign.extend(names);
        }
    }

    fn send_again(&mut self, kind: ResourceType, resources: &[Arc<Resource>]) {
        let names: Vec<_> = resources.iter().map(|resource| Arc::clone(resource.name())).collect();
        self.forget(kind, names.clone());
        self.again.push_front(names);
    }

    /// The next group that has to be sent in a response of its own, in its newest content.
    fn next_again(&mut self, kind: ResourceType, target: &Published) -> Option<Vec<Arc<Resource>>> {
        while let Some(group) = self.again.pop_front() {
            let resources: Vec<_> = group
                .iter()
                .filter_map(|name| target.snapshot.get(kind, name))
                .filter(|resource| self.is_due(resource))
                .cloned()
                .collect();
            if !resources.is_empty() {
                return Some(resources);
            }
        }
        None
    }
}

/// Whether a message has a name in it, as a whole: `service/a/b/80` is not in `service/a/b/8080: bad`.
pub(super) fn mentions(message: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
    message.match_indices(name).any(|(at, _)| {
        let before = message[..at].chars().next_back();
        let mut after = message[at + name.len()..].chars();
        let ends = match after.next() {
            Some('.' | ':') => !after.next().is_some_and(part),
            next => !next.is_some_and(part),
        };
        ends && !before.is_some_and(|c| part(c) || c == '.')
    })
}
