//! All routes of a Gateway, and what they add up to: tables, backends, filters, counts.

use super::table::Table;
use crate::envoy;
use crate::model::{BackendKey, ListenerFilter, NamespacedName, ObjectKey, Order, RouteEntry};
use crate::snapshot::Resource;
use crate::translate::RouteUnit;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The routes of one Gateway. Every sum is kept up to date route by route, so an edit costs what the route holds.
#[derive(Debug, Default)]
pub(super) struct RouteState {
    units: BTreeMap<ObjectKey, Kept>,
    tables: BTreeMap<String, Table>,
    /// How many routes use a backend.
    backends: BTreeMap<BackendKey, usize>,
    by_service: BTreeMap<NamespacedName, BTreeSet<BackendKey>>,
    /// (table, key) → the filter and how many routes ask for it.
    filters: BTreeMap<(String, String), (ListenerFilter, usize)>,
    attached: BTreeMap<String, usize>,
}

/// What has to be undone when a route changes.
#[derive(Debug)]
struct Kept {
    entries: Vec<RouteEntry>,
    filters: Vec<(String, ListenerFilter)>,
    backends: BTreeSet<BackendKey>,
    attached: Vec<String>,
}

impl RouteState {
    /// Puts a new result in the place of a route's old one; `None` takes the route away. Backends whose use may have
    /// begun or ended are added to `touched`. Returns whether the filters of listeners changed.
    pub(super) fn replace(
        &mut self,
        key: ObjectKey,
        unit: Option<RouteUnit>,
        touched: &mut BTreeSet<BackendKey>,
    ) -> bool {
        let new = unit.map(|unit| Kept {
            entries: unit.entries,
            filters: unit.filters,
            backends: unit.backends,
            attached: unit.report.attached,
        });
        let old = self.units.remove(&key);
        self.replace_entries(
            old.as_ref().map_or(&[], |kept| &kept.entries),
            new.as_ref().map_or(&[], |kept| &kept.entries),
        );
        let old_filters = old.as_ref().map_or(&[][..], |kept| &kept.filters);
        let new_filters = new.as_ref().map_or(&[][..], |kept| &kept.filters);
        let filters_changed = old_filters != new_filters;
        new_filters.iter().for_each(|filter| self.add_filter(filter));
        old_filters.iter().for_each(|filter| self.drop_filter(filter));
        for backend in new.iter().flat_map(|kept| &kept.backends) {
            self.add_backend(backend);
            touched.insert(backend.clone());
        }
        for backend in old.iter().flat_map(|kept| &kept.backends) {
            self.drop_backend(backend);
            touched.insert(backend.clone());
        }
        for listener in new.iter().flat_map(|kept| &kept.attached) {
            *self.attached.entry(listener.clone()).or_default() += 1;
        }
        for listener in old.iter().flat_map(|kept| &kept.attached) {
            if let Some(count) = self.attached.get_mut(listener) {
                *count = count.saturating_sub(1);
            }
        }
        if let Some(kept) = new {
            self.units.insert(key, kept);
        }
        filters_changed
    }

    /// Only entries that differ touch their virtual host.
    fn replace_entries(&mut self, old: &[RouteEntry], new: &[RouteEntry]) {
        type Place<'a> = (&'a str, &'a str, &'a Order);
        fn place(entry: &RouteEntry) -> Place<'_> {
            (&entry.table, &entry.hostname, &entry.order)
        }
        let before: BTreeMap<Place<'_>, &RouteEntry> = old.iter().map(|entry| (place(entry), entry)).collect();
        let after: BTreeMap<Place<'_>, &RouteEntry> = new.iter().map(|entry| (place(entry), entry)).collect();
        for ((table, hostname, order), entry) in &after {
            if before.get(&(*table, *hostname, *order)) != Some(entry) {
                let table = self.tables.entry((*table).to_owned()).or_default();
                table.insert(hostname, (*order).clone(), envoy::route(entry));
            }
        }
        for (table, hostname, order) in before.keys().filter(|place| !after.contains_key(*place)) {
            if let Some(table) = self.tables.get_mut(*table) {
                table.remove(hostname, order);
            }
        }
    }

    fn add_backend(&mut self, backend: &BackendKey) {
        *self.backends.entry(backend.clone()).or_default() += 1;
        if let BackendKey::Service { service, .. } = backend {
            self.by_service.entry(service.clone()).or_default().insert(backend.clone());
        }
    }

    fn drop_backend(&mut self, backend: &BackendKey) {
        let Some(count) = self.backends.get_mut(backend) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.backends.remove(backend);
        if let BackendKey::Service { service, .. } = backend
            && let Some(keys) = self.by_service.get_mut(service)
        {
            keys.remove(backend);
            if keys.is_empty() {
                self.by_service.remove(service);
            }
        }
    }

    fn add_filter(&mut self, (table, filter): &(String, ListenerFilter)) {
        let slot = self.filters.entry((table.clone(), filter_key(filter))).or_insert_with(|| (filter.clone(), 0));
        // All routes of a policy say the same; during an edit of the policy the newest word counts.
        slot.0 = filter.clone();
        slot.1 += 1;
    }

    fn drop_filter(&mut self, (table, filter): &(String, ListenerFilter)) {
        let key = (table.clone(), filter_key(filter));
        if let Some(slot) = self.filters.get_mut(&key) {
            slot.1 -= 1;
            if slot.1 == 0 {
                self.filters.remove(&key);
            }
        }
    }

    /// The filters that routes of the given tables ask for, one a key, sorted.
    pub(super) fn filters<'a>(&self, tables: impl Iterator<Item = &'a str>) -> Vec<ListenerFilter> {
        let tables: BTreeSet<&str> = tables.collect();
        let mut found = BTreeMap::new();
        for ((table, key), (filter, _)) in &self.filters {
            if tables.contains(table.as_str()) {
                found.insert(key.as_str(), filter);
            }
        }
        found.into_values().cloned().collect()
    }

    /// Whether the Gateway's count of attached routes changes.
    pub(super) fn attached_would_change(&self, key: &ObjectKey, unit: Option<&RouteUnit>) -> bool {
        let old = self.units.get(key).map_or(&[][..], |kept| &kept.attached);
        old != unit.map_or(&[][..], |unit| &unit.report.attached)
    }

    /// Accepted routes by listener.
    pub(super) fn attached(&self) -> &BTreeMap<String, usize> {
        &self.attached
    }

    /// All routes.
    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.units.keys().cloned().collect()
    }

    /// Routes with an entry in a table. Costs what there is: for messages only.
    pub(super) fn in_table(&self, table: &str) -> Vec<ObjectKey> {
        let has = |kept: &Kept| kept.entries.iter().any(|entry| entry.table == table);
        self.units.iter().filter(|(_, kept)| has(kept)).map(|(key, _)| key.clone()).collect()
    }

    /// Whether any route uses a backend.
    pub(super) fn uses(&self, backend: &BackendKey) -> bool {
        self.backends.contains_key(backend)
    }

    /// The backends made from a Service.
    pub(super) fn backends_of(&self, service: &NamespacedName) -> Vec<BackendKey> {
        self.by_service.get(service).into_iter().flatten().cloned().collect()
    }

    /// Sets which tables there are, with the hostnames of their listeners; returns the names of those that are gone.
    pub(super) fn set_tables<'a>(
        &mut self,
        tables: impl Iterator<Item = (&'a String, &'a Vec<Option<String>>)>,
    ) -> Vec<String> {
        let mut wanted = BTreeSet::new();
        for (name, hostnames) in tables {
            let hostnames = hostnames.iter().map(|h| h.clone().unwrap_or_else(|| "*".to_owned())).collect();
            self.tables.entry(name.clone()).or_default().set_listener_hostnames(&hostnames);
            wanted.insert(name.clone());
        }
        let gone: Vec<String> = self.tables.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in &gone {
            self.tables.remove(name);
        }
        gone
    }

    /// Encodes the tables that were touched.
    pub(super) fn encode_tables(&mut self) -> Vec<Arc<Resource>> {
        let touched = self.tables.iter_mut().filter(|(_, table)| table.is_dirty());
        touched.map(|(name, table)| table.encode(name)).collect()
    }
}

fn filter_key(filter: &ListenerFilter) -> String {
    match filter {
        ListenerFilter::Jwt(jwt) => format!("jwt/{}", jwt.key.0),
        ListenerFilter::ExtAuth(ext_auth) => format!("ext_auth/{}", ext_auth.key.0),
    }
}
