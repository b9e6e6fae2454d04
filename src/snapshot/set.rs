//! All resources of a fleet at one moment.

use super::{Resource, ResourceType};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use std::sync::Arc;

/// What differs between two snapshots.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// New and changed resources.
    pub upserts: Vec<Arc<Resource>>,
    /// Resources that are gone.
    pub removals: Vec<(ResourceType, Arc<str>)>,
}

impl Edit {
    /// Nothing differs.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }
}

/// An immutable set of resources. Clones and edits share what did not change, so both cost what they touch; so does the
/// difference between two that come from each other.
#[derive(Clone, Debug)]
pub struct Snapshot {
    sets: [OrdMap<Arc<str>, Arc<Resource>>; 5],
    /// The sum of the hashes of all resources: it does not depend on the order of edits and is kept up to date by each.
    sum: u128,
    revision: Arc<str>,
}

impl Snapshot {
    /// No resources.
    pub fn empty() -> Self {
        Self { sets: Default::default(), sum: 0, revision: revision(0) }
    }

    /// This snapshot after an edit.
    #[must_use]
    pub fn apply(&self, edit: &Edit) -> Self {
        let mut new = self.clone();
        for (kind, name) in &edit.removals {
            if let Some(old) = new.sets[*kind as usize].remove(&**name) {
                new.sum = new.sum.wrapping_sub(old.hash());
            }
        }
        for resource in &edit.upserts {
            let set = &mut new.sets[resource.kind() as usize];
            let old = set.insert(Arc::clone(resource.name()), Arc::clone(resource));
            new.sum = new.sum.wrapping_add(resource.hash()).wrapping_sub(old.map_or(0, |old| old.hash()));
        }
        if new.sum != self.sum {
            new.revision = revision(new.sum);
        }
        new
    }

    /// The content of everything: 16 hexadecimal digits, equal for equal content.
    pub fn revision(&self) -> &Arc<str> {
        &self.revision
    }

    /// One resource.
    pub fn get(&self, kind: ResourceType, name: &str) -> Option<&Arc<Resource>> {
        self.sets[kind as usize].get(name)
    }

    /// All resources of a type, by name.
    pub fn iter(&self, kind: ResourceType) -> impl Iterator<Item = &Arc<Resource>> {
        self.sets[kind as usize].values()
    }

    /// How many resources of a type there are.
    pub fn len(&self, kind: ResourceType) -> usize {
        self.sets[kind as usize].len()
    }

    /// Whether there is no resource at all.
    pub fn is_empty(&self) -> bool {
        self.sets.iter().all(OrdMap::is_empty)
    }

    /// What has to be done to this snapshot to get the newer one.
    pub fn diff(&self, newer: &Self) -> Edit {
        let mut edit = Edit::default();
        for kind in ResourceType::ALL {
            self.diff_of(newer, kind, &mut edit);
        }
        edit
    }

    /// The differences of one type.
    pub fn diff_of(&self, newer: &Self, kind: ResourceType, edit: &mut Edit) {
        for item in self.sets[kind as usize].diff(&newer.sets[kind as usize]) {
            match item {
                DiffItem::Add(_, new) => edit.upserts.push(Arc::clone(new)),
                DiffItem::Update { old: (_, old), new: (_, new) } => {
                    if old.version() != new.version() {
                        edit.upserts.push(Arc::clone(new));
                    }
                }
                DiffItem::Remove(name, _) => edit.removals.push((kind, Arc::clone(name))),
            }
        }
    }
}

fn revision(sum: u128) -> Arc<str> {
    Arc::from(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&sum.to_le_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn resource(kind: usize, name: u8, content: u8) -> Arc<Resource> {
        Resource::new(ResourceType::ALL[kind % 5], &format!("r{name}"), vec![Bytes::from(vec![content])])
    }

    fn snapshots() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
        prop::collection::vec((0..5usize, 0..20u8, 0..4u8), 0..40)
    }

    fn build(resources: &[(usize, u8, u8)]) -> Snapshot {
        let upserts = resources.iter().map(|(kind, name, content)| resource(*kind, *name, *content)).collect();
        Snapshot::empty().apply(&Edit { upserts, removals: Vec::new() })
    }

    fn content(snapshot: &Snapshot) -> Vec<(ResourceType, String, String)> {
        ResourceType::ALL
            .into_iter()
            .flat_map(|kind| snapshot.iter(kind).map(move |r| (kind, r.name().to_string(), r.version().to_string())))
            .collect()
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_newer_one(old in snapshots(), new in snapshots()) {
            let (old, new) = (build(&old), build(&new));
            let reached = old.apply(&old.diff(&new));
            prop_assert_eq!(content(&reached), content(&new));
            prop_assert_eq!(reached.revision(), new.revision());
            prop_assert!(reached.diff(&new).is_empty());
        }

        #[test]
        fn the_revision_is_the_content_and_nothing_else(resources in snapshots(), detour in snapshots()) {
            let straight = build(&resources);
            let around = build(&detour);
            let around = around.apply(&around.diff(&straight));
            prop_assert_eq!(straight.revision(), around.revision());
            let other = straight.apply(&Edit { upserts: vec![resource(0, 99, 9)], removals: Vec::new() });
            prop_assert_ne!(straight.revision(), other.revision());
        }
    }
}
