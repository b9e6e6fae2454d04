//! Sets of names that many streams of one fleet have in common.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use xxhash_rust::xxh3::xxh3_128;

/// Sets that nobody holds any more are cleared away when there are more than this.
const KEPT: usize = 64;

/// A set of names, shared by all streams of the fleet that hold an equal one. Proxies of one fleet ask for the same names,
/// and a private set of 1,000 names costs a stream more than its connection.
#[derive(Clone, Debug, Default)]
pub struct NameSet {
    names: Arc<BTreeSet<Arc<str>>>,
    /// The sum of the hashes of all names: it finds an equal set before one has to be made.
    sum: u128,
}

impl NameSet {
    /// All names, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Whether a name is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// The sets of one fleet. It is never used by two fleets, so no fleet's names can get into another's sets.
#[derive(Debug, Default)]
pub struct SharedNames(Mutex<BTreeMap<u128, Weak<BTreeSet<Arc<str>>>>>);

impl SharedNames {
    /// A set after names were taken out and others put in.
    pub fn edit(&self, set: &NameSet, take: &[String], put: &[Arc<str>]) -> NameSet {
        let take: BTreeSet<&str> = take.iter().map(String::as_str).filter(|name| set.contains(name)).collect();
        let put: BTreeSet<&Arc<str>> =
            put.iter().filter(|name| take.contains(&***name) || !set.contains(name)).collect();
        let minus = take.iter().fold(set.sum, |sum, name| sum.wrapping_sub(xxh3_128(name.as_bytes())));
        let sum = put.iter().fold(minus, |sum, name| sum.wrapping_add(xxh3_128(name.as_bytes())));
        if sum == set.sum {
            return set.clone();
        }
        let mut sets = self.0.lock();
        if let Some(names) = sets.get(&sum).and_then(Weak::upgrade) {
            return NameSet { names, sum };
        }
        let mut names: BTreeSet<Arc<str>> = set.names.iter().filter(|name| !take.contains(&***name)).cloned().collect();
        names.extend(put.into_iter().cloned());
        let names = Arc::new(names);
        if sets.len() > KEPT {
            sets.retain(|_, set| set.strong_count() > 0);
        }
        sets.insert(sum, Arc::downgrade(&names));
        NameSet { names, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|name| Arc::from(*name)).collect()
    }

    #[test]
    fn equal_sets_are_one_however_they_came_about() {
        let shared = SharedNames::default();
        let straight = shared.edit(&NameSet::default(), &[], &names(&["a", "b"]));
        let one = shared.edit(&NameSet::default(), &[], &names(&["b", "c", "b"]));
        let around = shared.edit(&one, &["c".to_owned(), "never".to_owned()], &names(&["a"]));
        assert!(Arc::ptr_eq(&straight.names, &around.names));
        let same = shared.edit(&straight, &["a".to_owned()], &names(&["a", "b"]));
        assert!(Arc::ptr_eq(&straight.names, &same.names), "taken out and put in again");
        let none = shared.edit(&straight, &["a".to_owned(), "b".to_owned()], &[]);
        assert_eq!(none.iter().count(), 0);
        assert!(straight.contains("a"), "a set never changes under those who hold it");
    }
}
