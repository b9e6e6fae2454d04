//! Where fields stand in a document.
//!
//! The parser tells positions only in errors. So the document is read once more, and every key on the way to a wanted
//! field is refused on purpose: the error is caught on the spot and has the position. This costs one more pass, and
//! only documents with findings, or with several objects, pay it.

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// One step on the way to a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Into the field of a map.
    Key(String),
    /// Into the entry of a list.
    Index(usize),
}

/// A path as users write it: `spec.rules[0].name`.
pub(super) fn show(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// Line and column of each path, both from 1: of the path itself, or of the last part of it that stands in the
/// document; `None` when no part does.
pub(super) fn locate(text: &str, paths: &[Vec<Step>]) -> Vec<Option<(usize, usize)>> {
    let mut wanted = Wanted::default();
    for (id, path) in paths.iter().enumerate() {
        wanted.add(id, path);
    }
    let found = RefCell::new(vec![None; paths.len()]);
    // A broken document is located as far as it can be read.
    let _ = Walk { wanted: &wanted, found: &found, entry: false }.deserialize(yaml_serde::Deserializer::from_str(text));
    found.into_inner()
}

/// The paths that lead through one node.
#[derive(Default)]
struct Wanted {
    ids: Vec<usize>,
    below: BTreeMap<Step, Self>,
}

impl Wanted {
    fn add(&mut self, id: usize, path: &[Step]) {
        if let Some((first, rest)) = path.split_first() {
            let below = self.below.entry(first.clone()).or_default();
            below.ids.push(id);
            below.add(id, rest);
        }
    }
}

type Found = RefCell<Vec<Option<(usize, usize)>>>;

#[derive(Clone, Copy)]
struct Walk<'a> {
    wanted: &'a Wanted,
    found: &'a Found,
    /// Whether this is the entry of a list, which stands where its first field or text does; the field of a map
    /// stands where its key does.
    entry: bool,
}

impl Walk<'_> {
    fn record(&self, position: Option<(usize, usize)>) {
        let mut found = self.found.borrow_mut();
        if position.is_some() {
            self.wanted.ids.iter().for_each(|id| found[*id] = position);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let refused = RefCell::new(None);
        match deserializer.deserialize_any(Inside { walk: self, refused: &refused }) {
            Err(error) if refused.borrow().is_some() => {
                if self.entry {
                    self.record(position(&error.to_string()));
                }
                Ok(())
            }
            result => result,
        }
    }
}

/// The text of a scalar that was refused.
type Refused = RefCell<Option<String>>;

fn refuse<T, E: de::Error>(refused: &Refused, text: &str) -> Result<T, E> {
    *refused.borrow_mut() = Some(text.to_owned());
    Err(E::custom("here"))
}

/// The position at the end of an error's message; the parser leaves out the very first one.
fn position(message: &str) -> Option<(usize, usize)> {
    let Some((_, position)) = message.rsplit_once(" at line ") else { return Some((1, 1)) };
    let (line, column) = position.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

struct Inside<'a> {
    walk: Walk<'a>,
    refused: &'a Refused,
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        refuse(self.refused, "")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            let more = match self.walk.wanted.below.get(&Step::Index(index)) {
                Some(wanted) => list.next_element_seed(Walk { wanted, found: self.walk.found, entry: true })?.is_some(),
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut first = self.walk.entry;
        while let Some((key, position)) = map.next_key_seed(Key)? {
            if std::mem::take(&mut first) {
                self.walk.record(position);
            }
            let Some(wanted) = self.walk.wanted.below.get(&Step::Key(key)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let walk = Walk { wanted, found: self.walk.found, entry: false };
            walk.record(position);
            map.next_value_seed(walk)?;
        }
        Ok(())
    }
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (String, Option<(usize, usize)>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let refused = RefCell::new(None);
        match deserializer.deserialize_str(KeyText { refused: &refused }) {
            Ok(()) => Ok((String::new(), None)),
            Err(error) => match refused.into_inner() {
                Some(key) => Ok((key, position(&error.to_string()))),
                None => Err(error),
            },
        }
    }
}

struct KeyText<'a> {
    refused: &'a Refused,
}

impl Visitor<'_> for KeyText<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        refuse(self.refused, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<Step> {
        text.split('.').map(|step| step.parse().map_or_else(|_| Step::Key(step.to_owned()), Step::Index)).collect()
    }

    #[test]
    fn fields_and_entries_are_found() {
        let text = "a:\n  b:\n  - name: x\n    port: y\n  - [1,\n     2]\n  -\n    z: 1\n";
        let paths = ["a", "a.b.0.port", "a.b.0", "a.b.1.1", "a.b.2", "a.b.0.absent", "q"].map(path);
        let expected = [(1, 1), (4, 5), (3, 5), (6, 6), (8, 5), (3, 5)].map(Some);
        let found = locate(text, &paths);
        assert_eq!(found[..6], expected);
        assert_eq!(found[6], None);
    }

    #[test]
    fn json_and_first_position_too() {
        assert_eq!(locate("{\"a\": {\"b\": 1}}", &[path("a.b")]), [Some((1, 8))]);
        assert_eq!(locate("a: 1", &[path("a")]), [Some((1, 1))]);
    }

    #[test]
    fn paths_read_like_paths() {
        assert_eq!(show(&path("spec.rules.0.name")), "spec.rules[0].name");
    }
}
