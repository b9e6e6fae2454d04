//! JSON patches (RFC 6902) on Envoy messages, with places selected by JSONPath (RFC 9535).

use super::{canon, descriptors, json, rules};
use crate::model::{JsonPatchOperation, ObjectKey, PatchSet, ResourcePatch};
use bytes::Bytes;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The resources that can be patched, with the field that names each.
const RESOURCES: [(&str, &str); 5] = [
    ("type.googleapis.com/envoy.config.listener.v3.Listener", "name"),
    ("type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name"),
    ("type.googleapis.com/envoy.config.cluster.v3.Cluster", "name"),
    ("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name"),
    ("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name"),
];

/// Resources by type URL and name.
pub type ByName = BTreeMap<(String, String), Bytes>;

/// What became of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The policy.
    pub policy: ObjectKey,
    /// What is wrong; when there is anything, nothing of the policy was applied.
    pub problems: Vec<PatchProblem>,
}

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchProblem {
    /// Which of the policy's patches.
    pub index: usize,
    /// `Invalid` or `ResourceNotFound`, as Envoy Gateway has it.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// Applies policies in their order. A policy is applied as a whole or not at all, and its result is checked against
/// Envoy's own constraints before anything is taken over. `resources` are those that patches name; `names` gives all names
/// of a type, for messages.
pub fn apply(resources: &mut ByName, names: &dyn Fn(&str) -> Vec<String>, sets: &[PatchSet]) -> Vec<Outcome> {
    sets.iter()
        .map(|set| {
            let mut changed = resources.clone();
            let mut problems = Vec::new();
            for (index, patch) in set.patches.iter().enumerate() {
                if let Err((reason, message)) = apply_one(&mut changed, names, patch) {
                    problems.push(PatchProblem { index, reason, message });
                }
            }
            if problems.is_empty() {
                *resources = changed;
            }
            Outcome { policy: set.policy.clone(), problems }
        })
        .collect()
}

fn apply_one(
    resources: &mut ByName,
    names: &dyn Fn(&str) -> Vec<String>,
    patch: &ResourcePatch,
) -> Result<(), (&'static str, String)> {
    let invalid = |message: String| ("Invalid", message);
    let Some((_, name_field)) = RESOURCES.iter().find(|(kind, _)| patch.type_url == *kind) else {
        let known: Vec<&str> = RESOURCES.iter().map(|(kind, _)| *kind).collect();
        return Err(invalid(format!("type {:?} is none of {}", patch.type_url, known.join(", "))));
    };
    let named = |value: &Value| match value.get(*name_field).and_then(Value::as_str) {
        Some(name) if name == patch.name => Ok(()),
        name => {
            let name = name.unwrap_or_default();
            Err(invalid(format!(
                "{name_field} would be {name:?}; it has to stay the name of the resource, {:?}",
                patch.name
            )))
        }
    };
    let key = (patch.type_url.clone(), patch.name.clone());
    let operation = &patch.operation;
    if operation.op == "add" && operation.path.as_deref().is_none_or(str::is_empty) && operation.json_path.is_none() {
        let value = operation.value.clone().ok_or_else(|| invalid("op add needs a value".to_owned()))?;
        sparing(operation).map_err(invalid)?;
        let bytes = checked(&patch.type_url, &value).map_err(invalid)?;
        // The same spelling whatever the user wrote.
        named(&json::to_json(&patch.type_url, &bytes, true))?;
        resources.insert(key, bytes);
        return Ok(());
    }
    let Some(bytes) = resources.get(&key) else {
        let names = names(&patch.type_url);
        let kind = patch.type_url.rsplit('.').next().unwrap_or_default();
        let there =
            if names.is_empty() { "there is none".to_owned() } else { format!("there is {}", names.join(", ")) };
        return Err(("ResourceNotFound", format!("no {kind} is named {:?}; {there}", patch.name)));
    };
    if operation.op == "remove" && operation.path.as_deref().is_none_or(str::is_empty) && operation.json_path.is_none()
    {
        sparing(operation).map_err(invalid)?;
        resources.remove(&key);
        return Ok(());
    }
    let mut value = json::to_json(&patch.type_url, bytes, true);
    operate(&mut value, operation).map_err(invalid)?;
    named(&value)?;
    resources.insert(key, checked(&patch.type_url, &value).map_err(invalid)?);
    Ok(())
}

/// A field that the operation does not have would be ignored, so it is refused.
fn sparing(operation: &JsonPatchOperation) -> Result<(), String> {
    let op = operation.op.as_str();
    if operation.from.is_some() && !["move", "copy"].contains(&op) {
        return Err(format!("op {op} takes no from"));
    }
    if operation.value.is_some() && !["add", "replace", "test"].contains(&op) {
        return Err(format!("op {op} takes no value"));
    }
    Ok(())
}

/// Carries one operation out on a document.
pub(super) fn operate(document: &mut Value, operation: &JsonPatchOperation) -> Result<(), String> {
    sparing(operation)?;
    let pointers = match &operation.json_path {
        None => vec![operation.path.clone().unwrap_or_default()],
        Some(expression) => {
            let path = serde_json_path::JsonPath::parse(expression).map_err(|e| format!("jsonPath: {e}"))?;
            let found = path.query_located(document);
            let suffix = operation.path.as_deref().unwrap_or_default();
            let places: Vec<String> =
                found.locations().map(|place| format!("{}{suffix}", place.to_json_pointer())).collect();
            if places.is_empty() {
                return Err(format!("jsonPath {expression:?} selects nothing"));
            }
            places
        }
    };
    for pointer in pointers.iter().rev() {
        let patch = rfc6902(operation, pointer)?;
        json_patch::patch(document, &patch).map_err(|error| {
            let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let hint = if operation.op == "add" && document.pointer(parent).is_none() {
                format!("; {parent:?} is not there, so an add of it has to come first")
            } else {
                String::new()
            };
            format!("op {} at {pointer:?}: {}{hint}", operation.op, error.kind)
        })?;
    }
    Ok(())
}

fn rfc6902(operation: &JsonPatchOperation, pointer: &str) -> Result<json_patch::Patch, String> {
    let mut value = json!({"op": operation.op, "path": pointer});
    if let Some(from) = &operation.from {
        value["from"] = json!(from);
    }
    if let Some(content) = &operation.value {
        value["value"] = content.clone();
    }
    serde_json::from_value(json!([value])).map_err(|error| format!("op {:?}: {error}", operation.op))
}

/// Encodes a document strictly and checks it against Envoy's constraints.
pub(super) fn checked(type_url: &str, value: &Value) -> Result<Bytes, String> {
    let bytes = json::from_json(type_url, value)?;
    let descriptor = descriptors::message(type_url).ok_or_else(|| format!("there is no message {type_url}"))?;
    let message = DynamicMessage::decode(descriptor, &*bytes).map_err(|error| error.to_string())?;
    rules::check(&message)?;
    Ok(canon::canonical(type_url, &bytes))
}
