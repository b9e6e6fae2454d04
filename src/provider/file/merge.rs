//! All files together: which of several places of an object counts, and what changed.

use super::codes::TWICE;
use super::parse::Parsed;
use super::read::with_generation;
use crate::model::{Finding, ObjectKey, Place, Severity};
use crate::store::{Change, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// One place where an object stands.
#[derive(Clone, Debug)]
struct Entry {
    object: Object,
    spec: u64,
    place: Place,
    /// Whether its document cannot be read any more: any other place goes before it.
    kept: bool,
}

/// What was handed over last for one object.
#[derive(Clone, Debug)]
struct Published {
    object: Object,
    /// The object as it came from its file, without the generation.
    source: Object,
    spec: u64,
    place: Place,
}

/// The objects of all files.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// The objects of each file, each with its places in the order of the file.
    files: BTreeMap<String, BTreeMap<ObjectKey, Vec<Entry>>>,
    /// The files in which an object stands.
    owners: BTreeMap<ObjectKey, BTreeSet<String>>,
    published: BTreeMap<ObjectKey, Published>,
    /// For objects that stand in several places.
    twice: BTreeMap<ObjectKey, Vec<Finding>>,
    /// The objects that have to be looked at.
    touched: BTreeSet<ObjectKey>,
}

impl Merge {
    /// Whether nothing is known from a file.
    pub(super) fn is_empty(&self, file: &str) -> bool {
        self.files.get(file).is_none_or(BTreeMap::is_empty)
    }

    /// Takes in what a file holds now; what could not be read stays as it was.
    pub(super) fn put(&mut self, file: &str, parsed: &Parsed) {
        let mut entries: BTreeMap<ObjectKey, Vec<Entry>> = BTreeMap::new();
        for ((object, place), spec) in parsed.objects.iter().zip(&parsed.specs) {
            let entry = Entry { object: object.clone(), spec: *spec, place: place.clone(), kept: false };
            entries.entry(object.key()).or_default().push(entry);
        }
        let before = self.files.remove(file).unwrap_or_default();
        for (key, old) in before {
            self.touched.insert(key.clone());
            if entries.contains_key(&key) {
                continue;
            }
            if parsed.lost.others || parsed.lost.keys.contains(&key) {
                let first = old.into_iter().next().map(|entry| Entry { kept: true, ..entry });
                entries.insert(key, first.into_iter().collect());
            } else {
                self.disown(&key, file);
            }
        }
        for key in entries.keys() {
            self.touched.insert(key.clone());
            self.owners.entry(key.clone()).or_default().insert(file.to_owned());
        }
        self.files.insert(file.to_owned(), entries);
    }

    /// A file is not there: it may be about to come back, or have got another name, whose objects count more.
    pub(super) fn demote(&mut self, file: &str) {
        for (key, entries) in self.files.get_mut(file).into_iter().flatten() {
            self.touched.insert(key.clone());
            entries.iter_mut().for_each(|entry| entry.kept = true);
        }
    }

    /// A file is gone.
    pub(super) fn remove(&mut self, file: &str) {
        for key in self.files.remove(file).unwrap_or_default().into_keys() {
            self.disown(&key, file);
            self.touched.insert(key);
        }
    }

    fn disown(&mut self, key: &ObjectKey, file: &str) {
        if let Some(owners) = self.owners.get_mut(key) {
            owners.remove(file);
            if owners.is_empty() {
                self.owners.remove(key);
            }
        }
    }

    /// What changed since the last call.
    pub(super) fn changes(&mut self, at: Instant) -> Vec<Change> {
        std::mem::take(&mut self.touched).into_iter().filter_map(|key| self.change(key, at)).collect()
    }

    /// Findings about objects that stand in several places.
    pub(super) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.twice.values().flatten()
    }

    fn change(&mut self, key: ObjectKey, at: Instant) -> Option<Change> {
        let files = &self.files;
        let owners = self.owners.get(&key).into_iter().flatten();
        let entries: Vec<&Entry> = owners.filter_map(|file| files.get(file)?.get(&key)).flatten().collect();
        let fresh: Vec<&Entry> = entries.iter().copied().filter(|entry| !entry.kept).collect();
        let twice: Vec<Finding> = match fresh.split_first() {
            Some((first, others)) => others.iter().map(|other| same(&key, &first.place, &other.place)).collect(),
            None => Vec::new(),
        };
        let winner = fresh.first().or_else(|| entries.first()).map(|entry| (*entry).clone());
        if twice.is_empty() {
            self.twice.remove(&key);
        } else {
            self.twice.insert(key.clone(), twice);
        }
        let Some(winner) = winner else {
            self.published.remove(&key)?;
            return Some(Change { key, object: None, place: None, at });
        };
        let object = match self.published.get(&key) {
            None => with_generation(winner.object.clone(), 1),
            Some(before) if before.spec != winner.spec => {
                with_generation(winner.object.clone(), before.object.meta().generation + 1)
            }
            Some(before) if before.source != winner.object => {
                with_generation(winner.object.clone(), before.object.meta().generation)
            }
            Some(before) if before.place == winner.place => return None,
            // The same allocation: whoever compares need not look inside.
            Some(before) => before.object.clone(),
        };
        let published =
            Published { object: object.clone(), source: winner.object, spec: winner.spec, place: winner.place.clone() };
        self.published.insert(key.clone(), published);
        Some(Change { key, object: Some(object), place: Some(winner.place), at })
    }
}

fn same(key: &ObjectKey, first: &Place, other: &Place) -> Finding {
    Finding {
        code: TWICE,
        severity: Severity::Error,
        object: Some(key.clone()),
        place: Some(other.clone()),
        message: format!("this object stands at {first} too; that one counts, this one at {other} does not"),
        fix: "remove one of the two, or give it another name".to_owned(),
    }
}
