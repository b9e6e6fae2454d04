//! Work that waits: at most one entry a Gateway, tenants in turn.

use crate::model::NamespacedName;
use crate::store::Unit;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// Everything that waits for one Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The Gateway.
    pub gateway: NamespacedName,
    /// What has to be made again.
    pub units: BTreeSet<Unit>,
    /// The oldest event among the reasons (T1).
    pub since: Instant,
    /// How many changes were joined.
    pub changes: u64,
}

/// A queue with one place a Gateway. The first change of an idle Gateway can be taken at once; what arrives while the
/// Gateway is being worked on is merged and waits until that is done. Tenants (namespaces) take turns, so a tenant with
/// many changes delays another by one unit of work at most.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: BTreeMap<NamespacedName, Pending>,
    running: BTreeSet<NamespacedName>,
    /// Gateways that wait and are not running, by tenant, in order of arrival.
    ready: BTreeMap<String, VecDeque<NamespacedName>>,
    /// Tenants with ready Gateways, in the order of their turns.
    turns: VecDeque<String>,
}

impl Queue {
    /// Adds reasons to a Gateway's entry.
    pub fn push(&mut self, gateway: &NamespacedName, units: BTreeSet<Unit>, at: Instant) {
        if let Some(pending) = self.waiting.get_mut(gateway) {
            pending.units.extend(units);
            pending.since = pending.since.min(at);
            pending.changes += 1;
            return;
        }
        let pending = Pending { gateway: gateway.clone(), units, since: at, changes: 1 };
        self.waiting.insert(gateway.clone(), pending);
        if !self.running.contains(gateway) {
            self.make_ready(gateway.clone());
        }
    }

    /// Takes the next entry; `done` has to be called for it.
    pub fn pop(&mut self) -> Option<Pending> {
        let tenant = self.turns.pop_front()?;
        let gateways = self.ready.get_mut(&tenant)?;
        let gateway = gateways.pop_front()?;
        if gateways.is_empty() {
            self.ready.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        let pending = self.waiting.remove(&gateway)?;
        self.running.insert(gateway);
        Some(pending)
    }

    /// Ends the work on a Gateway; what arrived meanwhile becomes ready.
    pub fn done(&mut self, gateway: &NamespacedName) {
        self.running.remove(gateway);
        if self.waiting.contains_key(gateway) {
            self.make_ready(gateway.clone());
        }
    }

    /// Nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// How many Gateways wait.
    pub fn depth(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest event that waits.
    pub fn oldest(&self) -> Option<Instant> {
        self.waiting.values().map(|pending| pending.since).min()
    }

    fn make_ready(&mut self, gateway: NamespacedName) {
        let tenant = gateway.namespace.clone();
        let gateways = self.ready.entry(tenant.clone()).or_default();
        if gateways.is_empty() {
            self.turns.push_back(tenant);
        }
        gateways.push_back(gateway);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Clock;

    fn gateway(tenant: &str, name: &str) -> NamespacedName {
        NamespacedName::new(tenant, name)
    }

    fn units(unit: Unit) -> BTreeSet<Unit> {
        BTreeSet::from([unit])
    }

    #[test]
    fn reasons_for_one_gateway_are_merged() {
        let (mut queue, now) = (Queue::default(), Clock::real().now());
        queue.push(&gateway("a", "g"), units(Unit::Gateway), now);
        queue.push(&gateway("a", "g"), units(Unit::Patches), now);
        let pending = queue.pop().unwrap();
        assert_eq!((pending.units.len(), pending.changes), (2, 2));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn work_that_arrives_while_running_waits_for_its_end() {
        let (mut queue, now) = (Queue::default(), Clock::real().now());
        queue.push(&gateway("a", "g"), units(Unit::Gateway), now);
        let running = queue.pop().unwrap();
        queue.push(&gateway("a", "g"), units(Unit::Patches), now);
        assert!(queue.pop().is_none(), "one Gateway is never worked on twice at once");
        queue.done(&running.gateway);
        assert_eq!(queue.pop().unwrap().units, units(Unit::Patches));
        queue.done(&running.gateway);
        assert!(queue.is_idle());
    }

    #[test]
    fn a_busy_tenant_does_not_starve_another() {
        let (mut queue, now) = (Queue::default(), Clock::real().now());
        for index in 0..100 {
            queue.push(&gateway("busy", &format!("g{index}")), units(Unit::Gateway), now);
        }
        queue.push(&gateway("quiet", "g"), units(Unit::Gateway), now);
        let first_two: Vec<_> = (0..2).filter_map(|_| queue.pop()).map(|p| p.gateway.namespace).collect();
        assert_eq!(first_two, ["busy", "quiet"]);
    }
}
