//! One source of settings: what it says, and where.

use super::environment::{self, ANY, Variable};
use super::error::{Problem, explain};
use super::file::File;
use super::values::Settings;
use figment::error::{Error, Kind};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value as Json;

/// Keys that have a flag of their own.
const FLAGS: [(&str, &str); 10] = [
    ("files.folders", "--files"),
    ("infra.type", "--infra"),
    ("infra.host.envoy", "--envoy"),
    ("infra.host.keepProxies", "--keep-proxies"),
    ("stateDir", "--state-dir"),
    ("status.dir", "--status-dir"),
    ("xds.address", "--xds-addr"),
    ("admin.address", "--admin-addr"),
    ("metrics.address", "--metrics-addr"),
    ("health.address", "--health-addr"),
];

/// What one source says.
#[derive(Debug)]
pub(super) struct Layer {
    source: Source,
    values: Dict,
}

#[derive(Debug)]
enum Source {
    File(File),
    Variable(String),
    Flags,
}

impl Layer {
    /// The settings file.
    pub(super) fn file(file: File) -> Result<Self, Problem> {
        let values = said(file.values()?);
        Ok(Self { source: Source::File(file), values })
    }

    /// One environment variable.
    pub(super) fn variable(variable: Variable) -> Self {
        Self { source: Source::Variable(variable.name), values: said(variable.values) }
    }

    /// The flags of a command line, as nested keys.
    pub(super) fn flags(flags: &Json) -> Result<Self, Problem> {
        let values = Value::serialize(flags).ok().and_then(|value| match value {
            Value::Dict(_, values) => Some(values),
            Value::Empty(..) => Some(Dict::new()),
            _ => None,
        });
        let wrong = || Problem {
            source: "flags".to_owned(),
            key: String::new(),
            message: "they are no map of keys".to_owned(),
        };
        Ok(Self { source: Source::Flags, values: said(values.ok_or_else(wrong)?) })
    }

    /// Everything that is wrong in this source by itself. What is wrong is taken out, so that the rest can be read too.
    pub(super) fn problems(&mut self, defaults: &Json) -> Vec<Problem> {
        let mut errors = Vec::new();
        misshapen(&self.values, defaults, &[], &mut errors);
        let mut problems: Vec<Problem> = errors.iter().map(|error| self.take_out(error, defaults).0).collect();
        while let Err(error) = Figment::from(&*self).extract::<Settings>() {
            let (problem, taken) = self.take_out(&error, defaults);
            problems.push(problem);
            if !taken {
                break;
            }
        }
        problems
    }

    /// The problem that an error is, and whether its cause could be taken out.
    fn take_out(&mut self, error: &Error, defaults: &Json) -> (Problem, bool) {
        let path = &error.path;
        let removed = remove(&mut self.values, path);
        let written = removed.as_ref().and_then(|value| serde_json::to_string(value).ok());
        let default = path.iter().try_fold(defaults, |at, key| at.get(key));
        let default = default.filter(|default| !default.is_null() && !default.is_object());
        let default = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let message = explain(error, written.as_deref(), default.as_deref());
        (Problem { source: self.place(path), key: path.join("."), message }, removed.is_some())
    }

    fn place(&self, path: &[String]) -> String {
        match &self.source {
            Source::File(file) => file.place(path),
            Source::Variable(name) => environment::source(name),
            Source::Flags => {
                let key = path.join(".");
                let flag = FLAGS.iter().find(|(flagged, _)| key == *flagged || key.starts_with(&format!("{flagged}.")));
                flag.map_or_else(|| "flags".to_owned(), |(_, flag)| format!("flag {flag}"))
            }
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place(&[]))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Without the keys that are `null`: nothing was said about them. But a class is there as soon as it is named.
fn said(values: Dict) -> Dict {
    let mut kept = Dict::new();
    for (key, value) in values {
        match value {
            Value::Dict(_, classes) if key == "classes" => {
                let named = classes.into_iter().map(|(class, value)| match value {
                    Value::Empty(..) => (class, Value::from(Dict::new())),
                    other => (class, without_nulls(other)),
                });
                kept.insert(key, Value::from(named.collect::<Dict>()));
            }
            Value::Empty(..) => {}
            other => {
                kept.insert(key, without_nulls(other));
            }
        }
    }
    kept
}

fn without_nulls(value: Value) -> Value {
    let Value::Dict(tag, values) = value else { return value };
    let said = values.into_iter().filter(|(_, value)| !matches!(value, Value::Empty(..)));
    Value::Dict(tag, said.map(|(key, value)| (key, without_nulls(value))).collect())
}

/// Values of a wrong type that deserialization would take: a list as the fields of a map, a number as a name.
fn misshapen(values: &Dict, defaults: &Json, above: &[String], errors: &mut Vec<Error>) {
    for (key, value) in values {
        let Some(default) = defaults.get(key).or_else(|| defaults.get(ANY)) else { continue };
        let path = [above, std::slice::from_ref(key)].concat();
        let expected = match (default, value) {
            (Json::Object(_), Value::Dict(_, below)) => {
                misshapen(below, default, &path, errors);
                continue;
            }
            (Json::Object(_), _) => "a map",
            (Json::String(_), other) if other.as_str().is_none() => "a string",
            _ => continue,
        };
        let mut error = Error::from(Kind::InvalidType(value.to_actual(), expected.to_owned()));
        error.path = path;
        errors.push(error);
    }
}

/// Takes out what stands at a path, or the list on the way to it.
fn remove(values: &mut Dict, path: &[String]) -> Option<Value> {
    let (first, below) = path.split_first()?;
    match values.get_mut(first)? {
        Value::Dict(_, inner) if !below.is_empty() => remove(inner, below),
        _ => values.remove(first),
    }
}
