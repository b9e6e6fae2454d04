//! One object: from a JSON value to its type.

use super::codes::{IGNORED, MAX_UNKNOWN_FIELDS, NOT_AN_OBJECT, OLD_VERSION, UNKNOWN_FIELD};
use super::kinds::{self, Meaning};
use super::locate::{Step, show};
use crate::model::{Kind, ObjectKey, Severity};
use crate::store::Object;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What one value became.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The object, with the hash of its specification.
    pub(super) object: Option<(Object, u64)>,
    /// The object's key, when at least that could be read.
    pub(super) key: Option<ObjectKey>,
    /// Whether there is an object of a kind that is read, which cannot be read.
    pub(super) lost: bool,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
}

/// What is wrong with a value, and at which path in it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) path: Vec<Step>,
    pub(super) message: String,
    pub(super) fix: String,
}

fn error(path: &[&str], message: impl Into<String>, fix: impl Into<String>) -> Problem {
    let path = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
    Problem { code: NOT_AN_OBJECT, severity: Severity::Error, path, message: message.into(), fix: fix.into() }
}

impl Outcome {
    fn lost(key: Option<ObjectKey>, problem: Problem) -> Self {
        Self { object: None, key, lost: true, problems: vec![problem] }
    }
}

/// Fields of `metadata` that are valid and mean nothing here.
const UNUSED_METADATA: [&str; 9] = [
    "resourceVersion",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "generateName",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// Reads one object.
pub(super) fn read(value: Value) -> Outcome {
    let Value::Object(mut fields) = value else {
        return Outcome::lost(None, error(&[], "this is not an object", "write `apiVersion`, `kind` and `metadata`"));
    };
    let api_version = match text(&fields, "apiVersion") {
        Ok(text) => text,
        Err(problem) => return Outcome::lost(None, problem),
    };
    let kind_text = match text(&fields, "kind") {
        Ok(text) => text,
        Err(problem) => return Outcome::lost(None, problem),
    };
    let (kind, older) = match kinds::meaning(&api_version, &kind_text) {
        Meaning::Current(kind) => (kind, false),
        Meaning::Older(kind) => (kind, true),
        Meaning::OtherVersion(kind) => return other_version(kind, &fields, &api_version),
        Meaning::Other => return ignored(&api_version, &kind_text, &fields),
    };
    prune(&mut fields);
    let key = match complete(kind, &mut fields) {
        Ok(key) => key,
        Err(problem) => return Outcome::lost(None, problem),
    };
    for name in ["apiVersion", "kind", "status"] {
        fields.remove(name);
    }
    let mut outcome = typed(kind, key, fields);
    if older {
        outcome.problems.insert(0, old_version(kind, &api_version));
    }
    outcome
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<String, Problem> {
    match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        None | Some(Value::Null) => {
            Err(error(&[], format!("`{name}` is missing"), format!("add `{name}`, or remove the document")))
        }
        Some(_) => Err(error(&[name], format!("`{name}` is not a text"), format!("write the {name} as a text"))),
    }
}

fn old_version(kind: Kind, api_version: &str) -> Problem {
    let current = kinds::api_version(kind);
    Problem {
        code: OLD_VERSION,
        severity: Severity::Warning,
        path: vec![Step::Key("apiVersion".to_owned())],
        message: format!("`{api_version}` is an older version of {kind}; it is read like `{current}`"),
        fix: format!("write `apiVersion: {current}`"),
    }
}

fn other_version(kind: Kind, fields: &Map<String, Value>, api_version: &str) -> Outcome {
    let current = kinds::api_version(kind);
    let message = format!("`{api_version}` is not a version of {kind} that is read");
    let mut problem = error(&["apiVersion"], message, format!("write `apiVersion: {current}`"));
    problem.code = IGNORED;
    Outcome::lost(complete(kind, &mut fields.clone()).ok(), problem)
}

fn ignored(api_version: &str, kind: &str, fields: &Map<String, Value>) -> Outcome {
    let metadata = |name: &str| fields.get("metadata").and_then(|metadata| metadata.get(name)).and_then(Value::as_str);
    let name = match (metadata("namespace"), metadata("name")) {
        (Some(namespace), Some(name)) => format!(" {namespace}/{name}"),
        (None, Some(name)) => format!(" {name}"),
        _ => String::new(),
    };
    let lower = kind.to_lowercase();
    let near =
        Kind::ALL.into_iter().find(|known| strsim::damerau_levenshtein(&known.as_str().to_lowercase(), &lower) <= 1);
    let fix = near.map_or_else(String::new, |near| {
        format!("if you meant {near}, write `apiVersion: {}` and `kind: {near}`", kinds::api_version(near))
    });
    let problem = Problem {
        code: IGNORED,
        severity: Severity::Warning,
        path: Vec::new(),
        message: format!("{kind}{name} of `{api_version}` is ignored: this kind is not read"),
        fix,
    };
    Outcome { problems: vec![problem], ..Outcome::default() }
}

/// Removes fields that are null, which in Kubernetes is the same as absent; below `value` (patches, JSON) null has a
/// meaning.
fn prune(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| name == "value" || !value.is_null());
    for (_, value) in fields.iter_mut().filter(|(name, _)| *name != "value") {
        prune_value(value);
    }
}

fn prune_value(value: &mut Value) {
    match value {
        Value::Object(fields) => prune(fields),
        Value::Array(values) => values.iter_mut().for_each(prune_value),
        _ => {}
    }
}

/// Checks name and namespace, and fills in the namespace.
fn complete(kind: Kind, fields: &mut Map<String, Value>) -> Result<ObjectKey, Problem> {
    let metadata = match fields.get_mut("metadata") {
        Some(Value::Object(metadata)) => metadata,
        None | Some(Value::Null) => return Err(error(&[], "`metadata` is missing", "add `metadata` with a `name`")),
        Some(_) => return Err(error(&["metadata"], "`metadata` is not a map", "write `metadata` with a `name`")),
    };
    let name = match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        None | Some(Value::Null) => {
            return Err(error(&["metadata"], "`metadata.name` is missing", "add `metadata.name`"));
        }
        Some(_) => return Err(error(&["metadata", "name"], "`metadata.name` is not a text", "put it in quotes")),
    };
    if let Some(why) = kinds::wrong_name(kind, &name) {
        return Err(wrong("name", kind, &name, &why));
    }
    let namespace = match metadata.get("namespace") {
        _ if kind.cluster_scoped() => String::new(),
        None | Some(Value::Null) => "default".to_owned(),
        Some(Value::String(namespace)) if namespace.is_empty() => "default".to_owned(),
        Some(Value::String(namespace)) => namespace.clone(),
        Some(_) => {
            let path = ["metadata", "namespace"];
            return Err(error(&path, "`metadata.namespace` is not a text", "put it in quotes"));
        }
    };
    if let Some(why) = kinds::wrong_label(&namespace).filter(|_| !kind.cluster_scoped()) {
        return Err(wrong("namespace", kind, &namespace, &why));
    }
    for name in UNUSED_METADATA {
        metadata.remove(name);
    }
    metadata.remove("namespace");
    if !namespace.is_empty() {
        metadata.insert("namespace".to_owned(), namespace.clone().into());
    }
    Ok(ObjectKey::new(kind, namespace, name))
}

fn wrong(what: &str, kind: Kind, name: &str, why: &str) -> Problem {
    let short: String = name.chars().take(80).collect();
    let dots = if short.len() < name.len() { "…" } else { "" };
    let message = format!("{kind} `{short}{dots}` has an invalid {what}: {why}");
    error(&["metadata", what], message, format!("choose another {what}"))
}

fn typed(kind: Kind, key: ObjectKey, fields: Map<String, Value>) -> Outcome {
    let spec = spec_hash(&fields);
    let mut unknown = Vec::new();
    let value = Value::Object(fields);
    let result = match kind {
        Kind::GatewayClass => parse(value, &mut unknown).map(|object| Object::GatewayClass(Arc::new(object))),
        Kind::Gateway => parse(value, &mut unknown).map(|object| Object::Gateway(Arc::new(object))),
        Kind::HTTPRoute => parse(value, &mut unknown).map(|object| Object::HTTPRoute(Arc::new(object))),
        Kind::GRPCRoute => parse(value, &mut unknown).map(|object| Object::GRPCRoute(Arc::new(object))),
        Kind::ReferenceGrant => parse(value, &mut unknown).map(|object| Object::ReferenceGrant(Arc::new(object))),
        Kind::Service => parse(value, &mut unknown).map(|object| Object::Service(Arc::new(object))),
        Kind::EndpointSlice => parse(value, &mut unknown).map(|object| Object::EndpointSlice(Arc::new(object))),
        Kind::Secret => parse(value, &mut unknown).map(|object| Object::Secret(Arc::new(object))),
        Kind::ConfigMap => parse(value, &mut unknown).map(|object| Object::ConfigMap(Arc::new(object))),
        Kind::Namespace => parse(value, &mut unknown).map(|object| Object::Namespace(Arc::new(object))),
        Kind::EnvoyProxy => parse(value, &mut unknown).map(|object| Object::EnvoyProxy(Arc::new(object))),
        Kind::SecurityPolicy => parse(value, &mut unknown).map(|object| Object::SecurityPolicy(Arc::new(object))),
        Kind::EnvoyPatchPolicy => parse(value, &mut unknown).map(|object| Object::EnvoyPatchPolicy(Arc::new(object))),
    };
    match result {
        Ok(object) => {
            let problems = unknown_fields(unknown);
            Outcome { object: Some((with_generation(object, 1), spec)), key: Some(key), lost: false, problems }
        }
        Err((path, message)) => Outcome::lost(Some(key), unreadable(kind, path, &message)),
    }
}

fn unreadable(kind: Kind, path: Vec<Step>, message: &str) -> Problem {
    // The parser's message shows the value.
    let secret = kind == Kind::Secret && path.first().is_some_and(|step| *step != Step::Key("metadata".to_owned()));
    let message = if secret { "the value has the wrong type" } else { message };
    let (place, fix) = match show(&path) {
        place if place.is_empty() => (String::new(), "mend the object".to_owned()),
        place => (format!("`{place}`: "), format!("mend `{place}`")),
    };
    let message = format!("{place}{message}; the last good version stays, if there is one");
    Problem { code: NOT_AN_OBJECT, severity: Severity::Error, path, message, fix }
}

fn unknown_fields(mut paths: Vec<Vec<Step>>) -> Vec<Problem> {
    let more = paths.len().saturating_sub(MAX_UNKNOWN_FIELDS);
    paths.truncate(MAX_UNKNOWN_FIELDS);
    let last = paths.len();
    let named = |(number, path): (usize, Vec<Step>)| {
        let place = show(&path);
        let rest = if more > 0 && number + 1 == last { format!(", and {more} more like it") } else { String::new() };
        Problem {
            code: UNKNOWN_FIELD,
            severity: Severity::Warning,
            message: format!("the field `{place}` is not known and means nothing{rest}"),
            fix: format!("correct or remove `{place}`"),
            path,
        }
    };
    paths.into_iter().enumerate().map(named).collect()
}

/// Reads a type; unknown fields are collected, an error comes with its path.
fn parse<T: DeserializeOwned>(value: Value, unknown: &mut Vec<Vec<Step>>) -> Result<T, (Vec<Step>, String)> {
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(deserializer, |path| unknown.push(ignored_path(&path)));
    result.map_err(|error: serde_json::Error| (error_path(&track.path()), error.to_string()))
}

fn error_path(path: &serde_path_to_error::Path) -> Vec<Step> {
    let step = |segment: &serde_path_to_error::Segment| match segment {
        serde_path_to_error::Segment::Seq { index } => Some(Step::Index(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Step::Key(key.clone())),
        _ => None,
    };
    path.iter().filter_map(step).collect()
}

fn ignored_path(path: &serde_ignored::Path<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut next = Some(path);
    while let Some(path) = next {
        next = match path {
            serde_ignored::Path::Root => None,
            serde_ignored::Path::Seq { parent, index } => {
                steps.push(Step::Index(*index));
                Some(parent)
            }
            serde_ignored::Path::Map { parent, key } => {
                steps.push(Step::Key(key.clone()));
                Some(parent)
            }
            serde_ignored::Path::Some { parent }
            | serde_ignored::Path::NewtypeStruct { parent }
            | serde_ignored::Path::NewtypeVariant { parent } => Some(parent),
        };
    }
    steps.reverse();
    steps
}

/// The hash of everything but metadata; `apiVersion`, `kind` and `status` are gone already.
fn spec_hash(fields: &Map<String, Value>) -> u64 {
    let spec: std::collections::BTreeMap<&String, &Value> =
        fields.iter().filter(|(name, _)| *name != "metadata").collect();
    xxh3_64(&serde_json::to_vec(&spec).expect("JSON values can be written"))
}

/// The object with a generation.
pub(super) fn with_generation(mut object: Object, generation: i64) -> Object {
    macro_rules! set {
        ($($kind:ident),*) => {
            match &mut object {
                $(Object::$kind(inner) => {
                    if inner.metadata.generation != generation {
                        Arc::make_mut(inner).metadata.generation = generation;
                    }
                })*
            }
        };
    }
    set!(
        GatewayClass,
        Gateway,
        HTTPRoute,
        GRPCRoute,
        ReferenceGrant,
        Service,
        EndpointSlice,
        Secret,
        ConfigMap,
        Namespace,
        EnvoyProxy,
        SecurityPolicy,
        EnvoyPatchPolicy
    );
    object
}
