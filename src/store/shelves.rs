//! Where the objects stand: by kind, namespace and name, so that nothing has to be searched for.

use super::Object;
use crate::model::{Kind, ObjectKey, Place};
use std::collections::BTreeMap;

/// One object with what is known of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    pub(super) object: Object,
    pub(super) place: Option<Place>,
}

/// All objects. Lookups take names as they are, without making a key first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelves {
    kinds: BTreeMap<Kind, BTreeMap<String, BTreeMap<String, Entry>>>,
}

impl Shelves {
    /// One object; cluster-scoped kinds have the empty namespace.
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Entry> {
        self.kinds.get(&kind)?.get(namespace)?.get(name)
    }

    /// One object by its key.
    pub(super) fn entry(&self, key: &ObjectKey) -> Option<&Entry> {
        self.get(key.kind, &key.namespace, &key.name)
    }

    /// Whether there is such an object.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.entry(key).is_some()
    }

    /// Puts an object in its place, over the one that stands there.
    pub(super) fn put(&mut self, entry: Entry) {
        let kind = self.kinds.entry(entry.key.kind).or_default();
        kind.entry(entry.key.namespace.clone()).or_default().insert(entry.key.name.clone(), entry);
    }

    /// Takes an object away, and the shelf that gets empty by that.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Entry> {
        let kind = self.kinds.get_mut(&key.kind)?;
        let namespace = kind.get_mut(&key.namespace)?;
        let entry = namespace.remove(&key.name);
        if namespace.is_empty() {
            kind.remove(&key.namespace);
        }
        if kind.is_empty() {
            self.kinds.remove(&key.kind);
        }
        entry
    }

    /// The objects of a kind in one namespace, by name.
    pub(super) fn in_namespace(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &Entry> {
        self.kinds.get(&kind).and_then(|kind| kind.get(namespace)).into_iter().flat_map(BTreeMap::values)
    }

    /// All objects of a kind, by namespace and name.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.kinds.get(&kind).into_iter().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    /// All objects, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.kinds.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }
}
