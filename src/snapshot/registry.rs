//! The newest snapshot of every fleet.

use super::{Edit, SharedNames, Snapshot};
use crate::model::FleetKey;
use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// When a change passed the stages before publication.
#[derive(Clone, Copy, Debug)]
pub struct Stamps {
    /// The event arrived (T1).
    pub event: Instant,
    /// A worker took it (T2).
    pub dequeued: Instant,
    /// It was translated and encoded (T3).
    pub translated: Instant,
}

/// A snapshot that proxies should have.
#[derive(Debug)]
pub struct Published {
    /// Counts publications of the fleet, from 1.
    pub generation: u64,
    /// The resources.
    pub snapshot: Snapshot,
    /// The way of the change that led to it.
    pub stamps: Stamps,
    published: Instant,
}

impl Published {
    /// When it was handed to the streams (T4).
    pub fn published(&self) -> Instant {
        self.published
    }
}

/// One fleet's snapshots. Streams hold it and nothing else, so they can reach no other fleet's.
#[derive(Debug)]
pub struct Fleet {
    key: FleetKey,
    current: ArcSwapOption<Published>,
    writing: Mutex<()>,
    generation: watch::Sender<u64>,
    removed: tokio_util::sync::CancellationToken,
    names: Arc<SharedNames>,
}

impl Fleet {
    fn new(key: FleetKey) -> Arc<Self> {
        Arc::new(Self {
            key,
            current: ArcSwapOption::empty(),
            writing: Mutex::new(()),
            generation: watch::Sender::new(0),
            removed: tokio_util::sync::CancellationToken::new(),
            names: Arc::default(),
        })
    }

    /// The fleet's name.
    pub fn key(&self) -> &FleetKey {
        &self.key
    }

    /// The newest snapshot; `None` before the first complete translation.
    pub fn current(&self) -> Option<Arc<Published>> {
        self.current.load_full()
    }

    /// Publishes an edit of the newest snapshot at the time `now`. `None`: nothing changed and nothing was published.
    pub fn publish(&self, edit: &Edit, stamps: Stamps, now: Instant) -> Option<Arc<Published>> {
        let snapshot = self.current().map_or_else(Snapshot::empty, |before| before.snapshot.clone());
        self.replace(snapshot.apply(edit), stamps, now)
    }

    /// Publishes a whole snapshot at the time `now`. `None`: it is the one there was, and nothing was published.
    pub fn replace(&self, snapshot: Snapshot, stamps: Stamps, now: Instant) -> Option<Arc<Published>> {
        let _writing = self.writing.lock();
        let before = self.current();
        if before.as_ref().is_some_and(|before| before.snapshot.revision() == snapshot.revision()) {
            return None;
        }
        let generation = before.map_or(0, |before| before.generation) + 1;
        let published = Arc::new(Published { generation, snapshot, stamps, published: now });
        self.current.store(Some(Arc::clone(&published)));
        self.generation.send_replace(published.generation);
        Some(published)
    }

    /// Changes with every publication.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Sets of names that its streams have in common.
    pub fn names(&self) -> &Arc<SharedNames> {
        &self.names
    }

    /// Cancelled when the fleet is gone.
    pub fn removed(&self) -> &tokio_util::sync::CancellationToken {
        &self.removed
    }
}

/// All fleets.
#[derive(Debug, Default)]
pub struct Registry {
    fleets: DashMap<FleetKey, Arc<Fleet>>,
}

impl Registry {
    /// A fleet; it is made when it is not there.
    pub fn fleet(&self, key: &FleetKey) -> Arc<Fleet> {
        Arc::clone(&self.fleets.entry(key.clone()).or_insert_with(|| Fleet::new(key.clone())))
    }

    /// A fleet that is there.
    pub fn get(&self, key: &FleetKey) -> Option<Arc<Fleet>> {
        self.fleets.get(key).map(|fleet| Arc::clone(&fleet))
    }

    /// Forgets a fleet; its streams end.
    pub fn remove(&self, key: &FleetKey) {
        if let Some((_, fleet)) = self.fleets.remove(key) {
            fleet.removed.cancel();
        }
    }

    /// All fleets, by name.
    pub fn all(&self) -> Vec<Arc<Fleet>> {
        let mut all: Vec<_> = self.fleets.iter().map(|entry| Arc::clone(&entry)).collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}
