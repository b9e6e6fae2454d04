//! Readiness: ready when every part has dropped its guard.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Knows which parts are not ready yet; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ready(Arc<Mutex<BTreeMap<u64, &'static str>>>);

/// Held by a part until it is ready.
#[derive(Debug)]
pub struct Guard {
    ready: Ready,
    id: u64,
}

impl Ready {
    /// Adds a part that has to become ready.
    pub fn register(&self, name: &'static str) -> Guard {
        let mut parts = self.0.lock();
        let id = parts.keys().next_back().map_or(0, |last| last + 1);
        parts.insert(id, name);
        Guard { ready: self.clone(), id }
    }

    /// The parts that are not ready.
    pub fn pending(&self) -> Vec<&'static str> {
        self.0.lock().values().copied().collect()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ready.0.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_all_guards_are_dropped() {
        let ready = Ready::default();
        let (first, second) = (ready.register("files"), ready.register("xds"));
        assert_eq!(ready.pending(), ["files", "xds"]);
        drop(first);
        assert_eq!(ready.pending(), ["xds"]);
        drop(second);
        assert!(ready.pending().is_empty());
    }
}
