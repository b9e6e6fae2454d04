//! The settings file: YAML, and the line of each of its keys.

use super::error::Problem;
use figment::value::{Dict, Empty, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

/// The largest settings file that is read, in bytes.
const MOST: u64 = 1 << 20;

/// A settings file that was read.
#[derive(Debug)]
pub(super) struct File {
    /// The path as it was given.
    pub(super) name: String,
    text: String,
}

impl File {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let problem = |message: String| Problem { source: name.clone(), key: String::new(), message };
        let size = std::fs::metadata(path).map_err(|error| problem(format!("cannot be read: {error}")))?.len();
        if size > MOST {
            return Err(problem(format!("{size} bytes are more than a settings file may have, which is {MOST}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
        Ok(Self { name, text })
    }

    /// The content. What is `null` counts as not said, since that is what a key has whose lines are all comments.
    pub(super) fn values(&self) -> Result<Dict, Problem> {
        let parsed: yaml_serde::Value = yaml_serde::from_str(&self.text).map_err(|error| self.syntax(&error))?;
        match value(parsed) {
            Ok(Value::Dict(_, dict)) => Ok(dict),
            Ok(Value::Empty(..)) => Ok(Dict::new()),
            Ok(_) => Err(self.problem(1, "the file is no map of keys".to_owned())),
            Err(message) => Err(self.problem(1, message)),
        }
    }

    fn syntax(&self, error: &yaml_serde::Error) -> Problem {
        let text = error.to_string();
        match error.location() {
            Some(place) => {
                let shown = text.split(" at line ").next().unwrap_or(&text);
                let mut problem = self.problem(place.line(), format!("not readable as YAML: {shown}"));
                problem.source = format!("{}:{}", problem.source, place.column());
                problem
            }
            None => self.problem(1, format!("not readable as YAML: {text}")),
        }
    }

    fn problem(&self, line: usize, message: String) -> Problem {
        Problem { source: format!("{}:{line}", self.name), key: String::new(), message }
    }

    /// `name:line` of a key, or the name alone when the file does not have it.
    pub(super) fn place(&self, path: &[String]) -> String {
        match line(&self.text, path) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A YAML value as one of figment.
pub(super) fn value(parsed: yaml_serde::Value) -> Result<Value, String> {
    use yaml_serde::Value as Yaml;
    Ok(match parsed {
        Yaml::Null => Value::from(Empty::None),
        Yaml::Bool(value) => Value::from(value),
        Yaml::String(value) => Value::from(value),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), _, _) => Value::from(value),
            (_, Some(value), _) => Value::from(value),
            (_, _, value) => Value::from(value.unwrap_or(f64::NAN)),
        },
        Yaml::Sequence(items) => Value::from(items.into_iter().map(value).collect::<Result<Vec<_>, _>>()?),
        Yaml::Mapping(entries) => {
            let entry = |(name, below): (Yaml, Yaml)| Ok::<_, String>((key(name)?, value(below)?));
            Value::from(entries.into_iter().map(entry).collect::<Result<Dict, _>>()?)
        }
        Yaml::Tagged(tagged) => return Err(format!("the tag {} is not understood; remove it", tagged.tag)),
    })
}

fn key(name: yaml_serde::Value) -> Result<String, String> {
    match name {
        yaml_serde::Value::String(name) => Ok(name),
        yaml_serde::Value::Number(number) => Ok(number.to_string()),
        yaml_serde::Value::Bool(value) => Ok(value.to_string()),
        _ => Err("a key is a list, a map or nothing; keys are words".to_owned()),
    }
}

/// The line of a key, counted from 1. The parser is asked for it, by ending with an error at that key: whatever the
/// style of the file, the place is the one that the values came from.
fn line(text: &str, path: &[String]) -> Option<usize> {
    let found = Seek { path }.deserialize(yaml_serde::Deserializer::from_str(text));
    Some(found.err()?.location()?.line())
}

/// Goes down a path and ends with an error at its last part.
struct Seek<'p> {
    path: &'p [String],
}

/// Is this the key, and is it the last one?
struct Name<'p> {
    wanted: &'p str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<bool, E> {
        match (name == self.wanted, self.last) {
            (true, true) => Err(E::custom("here")),
            (same, _) => Ok(same),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // The parser knows its place only inside of this call. A scalar is no value for this visitor: an error, here.
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (wanted, below) = self.path.split_first().ok_or_else(|| A::Error::custom("here"))?;
        while let Some(same) = map.next_key_seed(Name { wanted, last: below.is_empty() })? {
            if same {
                map.next_value_seed(Seek { path: below })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (wanted, below) = self.path.split_first().ok_or_else(|| A::Error::custom("here"))?;
        let Ok(wanted) = wanted.parse::<usize>() else { return Ok(()) };
        for _ in 0..wanted {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Seek { path: below })?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &str) -> Option<usize> {
        line(text, &path.split('.').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_line_of_a_key_is_found_in_every_style() {
        let text = "# a comment: with a colon\n\nxds:\n  # maxStreams: 1\n  \"address\": a\n  maxStreams: 2\n\
                    infra: {type: host,\n  host: {envoy: x}}\nfiles:\n  folders:\n  - a\n  - b\nadmin: &a\n  address: b\nhealth: *a\n";
        assert_eq!(at(text, "xds"), Some(3));
        assert_eq!(at(text, "xds.address"), Some(5));
        assert_eq!(at(text, "xds.maxStreams"), Some(6));
        assert_eq!(at(text, "infra.type"), Some(7));
        assert_eq!(at(text, "infra.host.envoy"), Some(8));
        assert_eq!(at(text, "files.folders.1"), Some(12));
        assert_eq!(at(text, "xds.address.further"), Some(5), "as far as the file goes");
        assert_eq!(at(text, "health.address"), Some(14), "where an alias leads");
        assert_eq!(at(text, "shutdown"), None);
    }
}
