//! What is wrong with settings, said so that it can be mended.

use figment::error::{Actual, Error, Kind};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was said: `argosy.yaml:7`, `environment variable ARGOSY_XDS__ADDRESS`, `flag --xds-addr`.
    pub source: String,
    /// The key, with dots; empty when it is about the whole source.
    pub key: String,
    /// What is wrong with it, and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.source, self.message)
        } else {
            write!(f, "{}: {}: {}", self.source, self.key, self.message)
        }
    }
}

/// Settings that cannot be used: all problems, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct SettingsError {
    /// The problems: the file's first, then those of the environment and of flags.
    pub problems: Vec<Problem>,
}

/// The nearest of some names, when one is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    let scored =
        known.into_iter().map(|candidate| (strsim::jaro_winkler(&folded, &candidate.to_lowercase()), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.84).then_some(best.1)
}

/// What an error of deserialization says to the one who wrote the value. `default` is the value that would be there
/// without, as an example of a good one.
pub(super) fn explain(error: &Error, value: Option<&str>, default: Option<&str>) -> String {
    let example = default.map(|default| format!("; the default is {default}")).unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(name, known) => match nearest(name, known.iter().copied()) {
            Some(meant) => format!("unknown key; did you mean {meant}?"),
            None => format!("unknown key; there are {}", known.join(", ")),
        },
        Kind::UnknownVariant(name, known) => {
            let meant = nearest(name, known.iter().copied()).map(|meant| format!("; did you mean {meant}?"));
            format!("{name:?} is none of {}{}", known.join(", "), meant.unwrap_or(example))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("expected {}, found {}{example}", wanted(expected), shown(found))
        }
        Kind::Message(message) => match value {
            Some(value) => format!("{value} cannot be used: {message}{example}"),
            None => format!("{message}{example}"),
        },
        other => format!("{other}{example}"),
    }
}

fn wanted(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => format!("a whole number from 0 to {}", largest(expected)),
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "path string" => "a path".to_owned(),
        "a map" => "a map of keys".to_owned(),
        _ if expected.starts_with("struct ") => "a map of keys".to_owned(),
        _ if expected.contains("enum") || expected.contains("variant") => "one of its names".to_owned(),
        other => other.to_owned(),
    }
}

fn largest(integer: &str) -> u64 {
    match integer {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        _ => u64::MAX,
    }
}

fn shown(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => format!("{value}"),
        Actual::Unsigned(value) => format!("the number {value}"),
        Actual::Signed(value) => format!("the number {value}"),
        Actual::Float(value) => format!("the number {value}"),
        Actual::Str(value) => format!("the text {value:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a map of keys".to_owned(),
        Actual::Unit | Actual::Option => "nothing".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = ["address", "maxStreams", "newStreamsPerSecond", "trustDomain"];
        assert_eq!(nearest("maxStream", known), Some("maxStreams"));
        assert_eq!(nearest("MAXSTREAMS", known), Some("maxStreams"));
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("colour", known), None);
    }
}
