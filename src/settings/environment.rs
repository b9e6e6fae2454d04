//! Environment variables: `ARGOSY_` and the key, nested keys with `__`, words with `_`.

use super::error::{Problem, nearest};
use super::file;
use figment::value::{Dict, Value};
use serde_json::Value as Json;

const PREFIX: &str = "ARGOSY_";
/// What is logged, in short.
const LOG: &str = "ARGOSY_LOG";

/// One variable that names a key.
#[derive(Debug)]
pub(super) struct Variable {
    /// The variable's name.
    pub(super) name: String,
    /// The key and its value, from the root.
    pub(super) values: Dict,
}

/// The variables of ours among some, by name; `defaults` says which keys there are, and of what type. An empty value
/// counts as not set.
pub(super) fn read(
    variables: impl Iterator<Item = (String, String)>,
    defaults: &Json,
) -> (Vec<Variable>, Vec<Problem>) {
    let ours = variables.filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty() && !service_link(name));
    let mut ours: Vec<(String, String)> = ours.collect();
    // `ARGOSY_LOG` comes before `ARGOSY_LOG__LEVEL`, so that the longer name counts.
    ours.sort();
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (name, text) in ours {
        match variable(&name, &text, defaults) {
            Ok(values) => found.push(Variable { name, values }),
            Err(message) => problems.push(Problem { source: source(&name), key: String::new(), message }),
        }
    }
    (found, problems)
}

/// How a variable is called in messages.
pub(super) fn source(name: &str) -> String {
    format!("environment variable {name}")
}

fn variable(name: &str, text: &str, defaults: &Json) -> Result<Dict, String> {
    let path = if name == LOG { Some(vec!["log".to_owned(), "level".to_owned()]) } else { resolve(name, defaults) };
    let path = path.ok_or_else(|| {
        let known = names(defaults);
        match nearest(name, known.iter().map(String::as_str)) {
            Some(meant) => format!("names no setting; did you mean {meant}?"),
            None => "names no setting; `argosy config print` shows them all, and xds.maxStreams is \
                     ARGOSY_XDS__MAX_STREAMS here"
                .to_owned(),
        }
    })?;
    let sample = path.iter().try_fold(defaults, |at, key| child(at, key).map(|(_, below)| below));
    let value = typed(text, sample.unwrap_or(&Json::Null))?;
    let (last, above) = path.split_last().ok_or("names no setting")?;
    let nested = |below: Dict, key: &String| Dict::from([(key.clone(), Value::from(below))]);
    Ok(above.iter().rev().fold(Dict::from([(last.clone(), value)]), nested))
}

/// The key that a variable names.
fn resolve(name: &str, defaults: &Json) -> Option<Vec<String>> {
    let mut at = defaults;
    let mut path = Vec::new();
    for part in name.strip_prefix(PREFIX)?.split("__") {
        let (key, below) = child(at, part)?;
        path.push(key);
        at = below;
    }
    Some(path)
}

/// The key below a node that a part of a variable's name means, and what is there by default.
fn child<'a>(at: &'a Json, part: &str) -> Option<(String, &'a Json)> {
    let map = at.as_object()?;
    if let Some(any) = map.get(ANY) {
        // Class names have no underscores, but may have dashes, which variables cannot.
        return Some((part.to_lowercase().replace('_', "-"), any));
    }
    let folded = |name: &str| name.replace('_', "").to_lowercase();
    map.iter().find(|(key, _)| folded(key) == folded(part)).map(|(key, below)| (key.clone(), below))
}

/// In the defaults: stands for every key of a map whose keys are the user's.
pub(super) const ANY: &str = "*";

/// A variable's text as a value of the type that the default has.
fn typed(text: &str, sample: &Json) -> Result<Value, String> {
    let parse = || {
        let parsed = yaml_serde::from_str(text).map_err(|error| format!("{text:?} is not readable: {error}"))?;
        file::value(parsed)
    };
    match sample {
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => parse(),
        Json::Array(_) if text.trim_start().starts_with('[') => parse(),
        Json::Array(_) => Ok(Value::from(text.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>())),
        Json::String(_) | Json::Null => Ok(Value::from(text)),
    }
}

/// The names of all variables there could be.
fn names(defaults: &Json) -> Vec<String> {
    fn collect(at: &Json, name: &str, found: &mut Vec<String>) {
        let Some(map) = at.as_object() else {
            found.push(name.to_owned());
            return;
        };
        let separator = if name == PREFIX { "" } else { "__" };
        for (key, below) in map {
            let part = if key == ANY { "CLASS".to_owned() } else { upper(key) };
            collect(below, &format!("{name}{separator}{part}"), found);
        }
    }
    let mut found = vec![LOG.to_owned()];
    collect(defaults, PREFIX, &mut found);
    found
}

/// `maxStreams` as `MAX_STREAMS`.
fn upper(key: &str) -> String {
    let spaced = key.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain(c.to_uppercase()));
    spaced.collect()
}

/// Kubernetes gives every container variables for the Services of its namespace. Those of one whose name begins with
/// `argosy` look like ours and are none.
fn service_link(name: &str) -> bool {
    let Some((_, after)) = name.split_once("_PORT") else { return name.ends_with("_SERVICE_HOST") };
    let port = after.strip_prefix('_').and_then(|after| after.split('_').next()).unwrap_or_default();
    !name.contains("__")
        && (after.is_empty()
            || name.contains("_SERVICE_PORT")
            || !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_services_are_not_ours() {
        for link in [
            "ARGOSY_SERVICE_HOST",
            "ARGOSY_SERVICE_PORT",
            "ARGOSY_SERVICE_PORT_XDS",
            "ARGOSY_PORT",
            "ARGOSY_PORT_18000_TCP",
            "ARGOSY_XDS_PORT_18000_TCP_ADDR",
        ] {
            assert!(service_link(link), "{link}");
        }
        for ours in ["ARGOSY_STATE_DIR", "ARGOSY_XDS__ADDRESS", "ARGOSY_PORTS", "ARGOSY_PORT_RANGE", "ARGOSY_XDS__PORT"]
        {
            assert!(!service_link(ours), "{ours}");
        }
    }

    #[test]
    fn keys_are_found_with_and_without_underscores() {
        let defaults = json!({"stateDir": "", "xds": {"maxStreams": 1}, "classes": {ANY: {"controllerName": null}}});
        let path = |name| resolve(name, &defaults).map(|path| path.join("."));
        assert_eq!(path("ARGOSY_STATE_DIR").as_deref(), Some("stateDir"));
        assert_eq!(path("ARGOSY_XDS__MAX_STREAMS").as_deref(), Some("xds.maxStreams"));
        assert_eq!(path("ARGOSY_XDS__MAXSTREAMS").as_deref(), Some("xds.maxStreams"));
        assert_eq!(path("ARGOSY_CLASSES__TEAM_A__CONTROLLER_NAME").as_deref(), Some("classes.team-a.controllerName"));
        assert_eq!(path("ARGOSY_XDS_MAX_STREAMS"), None);
        assert_eq!(
            names(&defaults),
            ["ARGOSY_LOG", "ARGOSY_CLASSES__CLASS__CONTROLLER_NAME", "ARGOSY_STATE_DIR", "ARGOSY_XDS__MAX_STREAMS"]
        );
    }
}
