//! Who has what: connected proxies, their revisions, and how long rollouts take.

use super::metrics::{Metrics, Quorum, Stage, State, Tenant, TenantType};
use super::stream::Refusal;
use crate::model::FleetKey;
use crate::runtime::clock::Clock;
use crate::snapshot::{Published, ResourceType};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a proxy refused.
#[derive(Clone, Debug)]
pub struct Nack {
    /// The fleet.
    pub fleet: FleetKey,
    /// The proxy's `node.id`, as it says.
    pub node: String,
    /// The type of the resources.
    pub kind: ResourceType,
    /// The resources in question.
    pub resources: Vec<String>,
    /// What the proxy said.
    pub message: String,
    /// The revision that was on its way.
    pub revision: String,
}

/// Is told of what happens to rollouts.
pub trait Observer: Send + Sync {
    /// All connected proxies of a fleet have a revision.
    fn rolled_out(&self, fleet: &FleetKey, revision: &str, took: Duration, proxies: usize, slowest: &str);
    /// A proxy refused something.
    fn nacked(&self, nack: &Nack);
}

/// One connected proxy.
#[derive(Clone, Debug)]
pub struct ProxyState {
    /// The fleet, from its certificate.
    pub fleet: FleetKey,
    /// Its `node.id`, as it says.
    pub node: String,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it should have.
    pub wanted: Option<Arc<str>>,
    /// What it last had completely.
    pub acked: Option<Arc<str>>,
    /// The publication of `acked`: an earlier content may be published again.
    acked_at: Option<Mark>,
    /// What it refused of what it should have.
    pub last_nack: Option<Nack>,
    opened: Instant,
}

impl ProxyState {
    /// warming, pending, synced or nacked.
    pub fn state(&self) -> &'static str {
        match (&self.acked, &self.last_nack) {
            (_, Some(_)) => "nacked",
            (None, None) => "warming",
            (Some(acked), None) if Some(acked) == self.wanted.as_ref() => "synced",
            (Some(_), None) => "pending",
        }
    }
}

#[derive(Default)]
struct Tables {
    next: u64,
    proxies: BTreeMap<u64, ProxyState>,
    fleets: BTreeMap<FleetKey, FleetProgress>,
}

/// Identifies a publication and orders those of a fleet, also across the removal of a fleet and its return, after which
/// generations begin again. The snapshot itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    published: Instant,
    generation: u64,
    event: Instant,
}

impl Mark {
    fn of(published: &Published) -> Self {
        Self { published: published.published(), generation: published.generation, event: published.stamps.event }
    }
}

#[derive(Default)]
struct FleetProgress {
    streams: usize,
    newest: Option<Mark>,
    acked: usize,
    /// half, p99, all: already measured for the newest revision.
    measured: [bool; 3],
}

/// All proxies of this process.
pub struct Progress {
    tables: Mutex<Tables>,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    observer: Arc<dyn Observer>,
}

impl Progress {
    /// Nobody is connected.
    pub fn new(metrics: Metrics, clock: Clock, observer: Arc<dyn Observer>) -> Arc<Self> {
        Arc::new(Self { tables: Mutex::default(), metrics, clock, observer })
    }

    /// All connected proxies.
    pub fn proxies(&self) -> Vec<ProxyState> {
        self.tables.lock().proxies.values().cloned().collect()
    }

    pub(super) fn connected(&self, fleet: &FleetKey, peer: SocketAddr) -> u64 {
        let mut tables = self.tables.lock();
        let id = tables.next;
        tables.next += 1;
        tables.fleets.entry(fleet.clone()).or_default().streams += 1;
        let state = ProxyState {
            fleet: fleet.clone(),
            node: String::new(),
            peer,
            wanted: None,
            acked: None,
            acked_at: None,
            last_nack: None,
            opened: self.clock.now(),
        };
        tables.proxies.insert(id, state);
        id
    }

    pub(super) fn node(&self, id: u64, node: String) {
        if let Some(proxy) = self.tables.lock().proxies.get_mut(&id) {
            proxy.node = node;
        }
    }

    pub(super) fn disconnected(&self, id: u64) {
        let mut tables = self.tables.lock();
        let Some(proxy) = tables.proxies.remove(&id) else { return };
        if let Some(fleet) = tables.fleets.get_mut(&proxy.fleet) {
            fleet.streams = fleet.streams.saturating_sub(1);
            if proxy.acked_at.is_some() && proxy.acked_at == fleet.newest {
                fleet.acked = fleet.acked.saturating_sub(1);
            }
        }
    }

    /// A proxy is about to be brought to a publication, with something in it that it has refused already or without.
    pub(super) fn wanted(&self, id: u64, published: &Published, refused: bool) {
        let mut tables = self.tables.lock();
        let Some(proxy) = tables.proxies.get_mut(&id) else { return };
        proxy.wanted = Some(Arc::clone(published.snapshot.revision()));
        if !refused {
            proxy.last_nack = None;
        }
        let (fleet, opened) = (proxy.fleet.clone(), proxy.opened);
        let mark = Mark::of(published);
        let progress = tables.fleets.entry(fleet.clone()).or_default();
        if progress.newest.is_none_or(|newest| newest < mark) {
            progress.newest = Some(mark);
            progress.acked = 0;
            progress.measured = [false; 3];
            drop(tables);
            if opened <= mark.published {
                self.measure_stages(&fleet, published);
            }
        }
    }

    /// A proxy has everything of a publication, whose last response was sent at `sent`, if it needed any.
    pub(super) fn synced(&self, id: u64, published: &Arc<Published>, sent: Option<Instant>) {
        let now = self.clock.now();
        let mut tables = self.tables.lock();
        let Some(proxy) = tables.proxies.get_mut(&id) else { return };
        let revision = Arc::clone(published.snapshot.revision());
        let mark = Mark::of(published);
        let (first, again) = (proxy.acked.is_none(), proxy.acked_at == Some(mark));
        proxy.acked_at = Some(mark);
        proxy.acked = Some(Arc::clone(&revision));
        proxy.last_nack = None;
        let (fleet, node, opened) = (proxy.fleet.clone(), proxy.node.clone(), proxy.opened);
        let Some(progress) = tables.fleets.get_mut(&fleet) else { return };
        let newest = progress.newest == Some(mark);
        let mut done = None;
        let mut reached = Vec::new();
        if newest && !again {
            progress.acked += 1;
            let (acked, streams) = (progress.acked, progress.streams);
            for (index, enough) in
                [acked * 2 >= streams, acked * 100 >= streams * 99, acked >= streams].iter().enumerate()
            {
                if *enough && !std::mem::replace(&mut progress.measured[index], true) {
                    reached.push(index);
                    done = (index == 2).then_some(streams).or(done);
                }
            }
        }
        drop(tables);
        if first {
            self.metrics
                .warmup
                .get_or_create_owned(&super::metrics::Class { class: fleet.class.clone() })
                .observe((now - opened).as_secs_f64());
        }
        // A proxy that connects after a change was published did not wait for that change.
        let began = if opened > published.published() { opened } else { published.stamps.event };
        let took = now.saturating_duration_since(began);
        self.measure_synced(&fleet, took, &reached);
        if let Some(sent) = sent {
            self.stage(&fleet, "send", sent.saturating_duration_since(published.published().max(opened)));
            self.stage(&fleet, "ack", now.saturating_duration_since(sent));
        }
        if let Some(proxies) = done {
            self.observer.rolled_out(&fleet, &revision, took, proxies, &node);
        }
    }

    pub(super) fn refused(&self, id: u64, refusal: &Refusal) {
        let mut tables = self.tables.lock();
        let Some(proxy) = tables.proxies.get_mut(&id) else { return };
        let nack = Nack {
            fleet: proxy.fleet.clone(),
            node: proxy.node.clone(),
            kind: refusal.kind,
            resources: refusal.resources.iter().map(ToString::to_string).collect(),
            message: refusal.message.clone(),
            revision: refusal.revision.to_string(),
        };
        proxy.last_nack = Some(nack.clone());
        drop(tables);
        let labels = TenantType {
            class: nack.fleet.class.clone(),
            tenant: nack.fleet.namespace.clone(),
            r#type: nack.kind.label().to_owned(),
        };
        self.metrics.nacks.get_or_create_owned(&labels).inc();
        tracing::warn!(fleet = %nack.fleet, node = nack.node, r#type = nack.kind.label(), resources = ?nack.resources,
            message = nack.message, "a proxy refused a response");
        self.observer.nacked(&nack);
    }

    /// Brings the gauges that depend on the time up to date; called before they are read.
    pub fn refresh_gauges(&self) {
        let now = self.clock.now();
        let tables = self.tables.lock();
        let mut states: BTreeMap<(String, String, &'static str), i64> = BTreeMap::new();
        let mut ages: BTreeMap<(String, String), Duration> = BTreeMap::new();
        for proxy in tables.proxies.values() {
            let (class, tenant) = (proxy.fleet.class.clone(), proxy.fleet.namespace.clone());
            for state in ["warming", "pending", "synced", "nacked"] {
                *states.entry((class.clone(), tenant.clone(), state)).or_default() += i64::from(proxy.state() == state);
            }
            let newest = tables.fleets.get(&proxy.fleet).and_then(|fleet| fleet.newest);
            let age = match newest {
                Some(newest) if proxy.acked_at != Some(newest) => {
                    now.saturating_duration_since(newest.event.max(proxy.opened))
                }
                _ => Duration::ZERO,
            };
            let oldest = ages.entry((class, tenant)).or_default();
            *oldest = age.max(*oldest);
        }
        drop(tables);
        self.metrics.proxies.clear();
        for ((class, tenant, state), count) in states {
            self.metrics.proxies.get_or_create_owned(&State { class, tenant, state: state.to_owned() }).set(count);
        }
        self.metrics.unacked_age.clear();
        for ((class, tenant), age) in ages {
            self.metrics.unacked_age.get_or_create_owned(&Tenant { class, tenant }).set(age.as_secs_f64());
        }
    }

    fn measure_stages(&self, fleet: &FleetKey, published: &Published) {
        let stamps = &published.stamps;
        for (stage, from, to) in [
            ("queue", stamps.event, stamps.dequeued),
            ("translate", stamps.dequeued, stamps.translated),
            ("publish", stamps.translated, published.published()),
        ] {
            self.stage(fleet, stage, to.saturating_duration_since(from));
        }
    }

    /// Measures one stage of the way of a change.
    fn stage(&self, fleet: &FleetKey, stage: &str, took: Duration) {
        let labels = Stage { class: fleet.class.clone(), stage: stage.to_owned() };
        self.metrics.stage.get_or_create_owned(&labels).observe(took.as_secs_f64());
    }

    fn measure_synced(&self, fleet: &FleetKey, took: Duration, reached: &[usize]) {
        let (class, tenant) = (fleet.class.clone(), fleet.namespace.clone());
        let labels = Tenant { class: class.clone(), tenant: tenant.clone() };
        self.metrics.propagation.get_or_create_owned(&labels).observe(took.as_secs_f64());
        for index in reached {
            let quorum = ["half", "p99", "all"][*index].to_owned();
            let quorum = Quorum { class: class.clone(), tenant: tenant.clone(), quorum };
            self.metrics.rollout.get_or_create_owned(&quorum).observe(took.as_secs_f64());
            if *index == 2 {
                self.metrics.rollout_last.get_or_create_owned(&labels).set(took.as_secs_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Edit, Registry, Resource, Stamps};
    use bytes::Bytes;

    struct Nobody;

    impl Observer for Nobody {
        fn rolled_out(&self, _fleet: &FleetKey, _revision: &str, _took: Duration, _proxies: usize, _slowest: &str) {}
        fn nacked(&self, _nack: &Nack) {}
    }

    #[test]
    fn the_stages_follow_one_another_and_add_up() {
        let (clock, mut registry) = (Clock::manual(), prometheus_client::registry::Registry::default());
        let progress = Progress::new(Metrics::register(&mut registry), clock.clone(), Arc::new(Nobody));
        let key = FleetKey::new("public", "infra", "edge");
        let id = progress.connected(&key, SocketAddr::from(([127, 0, 0, 1], 1)));
        let after = |seconds| {
            clock.advance(Duration::from_secs(seconds));
            clock.now()
        };
        let stamps = Stamps { event: clock.now(), dequeued: after(1), translated: after(2) };
        let resource = Resource::new(ResourceType::Cluster, "c", vec![Bytes::from_static(b"1")]);
        let edit = Edit { upserts: vec![resource], removals: Vec::new() };
        let published = Registry::default().fleet(&key).publish(&edit, stamps, after(4)).unwrap();
        progress.wanted(id, &published, false);
        let sent = after(8);
        after(16);
        progress.synced(id, &published, Some(sent));

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for (stage, seconds) in [("queue", 1), ("translate", 2), ("publish", 4), ("send", 8), ("ack", 16)] {
            let line = format!("config_stage_seconds_sum{{class=\"public\",stage=\"{stage}\"}} {seconds}.0");
            assert!(text.contains(&line), "{line} is missing:\n{text}");
        }
        let whole = "config_propagation_seconds_sum{class=\"public\",tenant=\"infra\"} 31.0";
        assert!(text.contains(whole), "{whole} is missing:\n{text}");
    }
}
