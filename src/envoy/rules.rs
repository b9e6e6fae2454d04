//! Envoy's own constraints (`validate.rules`, protoc-gen-validate) on messages that users had a hand in, so that a bad one
//! is refused here, by name, and not by Envoy.

use super::descriptors;
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};
use std::collections::BTreeMap;

/// The first field that breaks a constraint, with its path.
pub(super) fn check(message: &DynamicMessage) -> Result<(), String> {
    walk(message, "")
}

fn walk(message: &DynamicMessage, path: &str) -> Result<(), String> {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        return walk_any(message, path);
    }
    for oneof in message.descriptor().oneofs() {
        let required = descriptors::pool().all_extensions().find(|e| e.full_name() == "validate.required");
        let required = required.is_some_and(|e| oneof.options().get_extension(&e).as_bool() == Some(true));
        if required && !oneof.fields().any(|field| message.has_field(&field)) {
            let names: Vec<String> = oneof.fields().map(|field| field.name().to_owned()).collect();
            return Err(format!("{path}: one of {} is required", names.join(", ")));
        }
    }
    for field in message.descriptor().fields() {
        let at = if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
        let value = message.has_field(&field).then(|| message.get_field(&field));
        rules(&field, value.as_deref(), &at)?;
        match value.as_deref() {
            Some(Value::Message(inner)) => walk(inner, &at)?,
            Some(Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if let Value::Message(inner) = item {
                        walk(inner, &format!("{at}[{index}]"))?;
                    }
                }
            }
            Some(Value::Map(entries)) => {
                // Sorted, so that of several problems always the same one is said.
                let sorted: BTreeMap<_, _> = entries.iter().collect();
                for (key, item) in sorted {
                    if let Value::Message(inner) = item {
                        walk(inner, &format!("{at}[{key:?}]"))?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn walk_any(message: &DynamicMessage, path: &str) -> Result<(), String> {
    let type_url =
        message.get_field_by_name("type_url").and_then(|f| f.as_str().map(str::to_owned)).unwrap_or_default();
    let bytes = message.get_field_by_name("value").and_then(|f| f.as_bytes().cloned()).unwrap_or_default();
    let Some(descriptor) = descriptors::message(&type_url) else { return Ok(()) };
    match DynamicMessage::decode(descriptor, bytes) {
        Ok(inner) => walk(&inner, path),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// The constraints of one field.
fn rules(field: &FieldDescriptor, value: Option<&Value>, path: &str) -> Result<(), String> {
    let Some(extension) = descriptors::pool().all_extensions().find(|e| e.full_name() == "validate.rules") else {
        return Ok(());
    };
    let options = field.options();
    if !options.has_extension(&extension) {
        return Ok(());
    }
    let rules = options.get_extension(&extension);
    let Some(rules) = rules.as_message() else { return Ok(()) };
    let rule = |kind: &str, name: &str| -> Option<Value> {
        let inner = rules.has_field_by_name(kind).then(|| rules.get_field_by_name(kind)).flatten()?;
        let inner = inner.as_message()?.clone();
        inner.has_field_by_name(name).then(|| inner.get_field_by_name(name).map(|value| value.into_owned())).flatten()
    };
    let required = ["message", "duration", "any", "timestamp"]
        .iter()
        .any(|kind| rule(kind, "required").and_then(|value| value.as_bool()) == Some(true));
    // A member of a oneof is required only where it is the one that is chosen, and then it is there.
    let chosen = field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic());
    if required && chosen && value.is_none() {
        return Err(format!("{path} is required"));
    }
    let length = match value {
        None if field.containing_oneof().is_some() => return Ok(()),
        None => 0,
        Some(Value::String(text)) => text.len() as u64,
        Some(Value::List(items)) => items.len() as u64,
        Some(Value::Map(entries)) => entries.len() as u64,
        Some(value) => return number(value, &rule, path),
    };
    for (kind, name) in
        [("string", "min_len"), ("string", "min_bytes"), ("repeated", "min_items"), ("map", "min_pairs")]
    {
        if let Some(least) = rule(kind, name).and_then(|value| value.as_u64())
            && length < least
        {
            return Err(format!("{path} needs at least {least} (it has {length})"));
        }
    }
    Ok(())
}

fn number(value: &Value, rule: &dyn Fn(&str, &str) -> Option<Value>, path: &str) -> Result<(), String> {
    let (kind, number) = match value {
        Value::U32(number) => ("uint32", u64::from(*number)),
        Value::U64(number) => ("uint64", *number),
        _ => return Ok(()),
    };
    let limit = |name: &str| match rule(kind, name) {
        Some(Value::U32(limit)) => Some(u64::from(limit)),
        Some(Value::U64(limit)) => Some(limit),
        _ => None,
    };
    for (name, holds) in [
        ("lte", limit("lte").is_none_or(|limit| number <= limit)),
        ("lt", limit("lt").is_none_or(|limit| number < limit)),
        ("gte", limit("gte").is_none_or(|limit| number >= limit)),
        ("gt", limit("gt").is_none_or(|limit| number > limit)),
    ] {
        if !holds {
            return Err(format!("{path} is {number}, but has to be {name} {}", limit(name).unwrap_or_default()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::envoy::patch::checked;
    use serde_json::json;

    #[test]
    fn a_member_of_a_oneof_is_not_required_beside_another() {
        let route = "type.googleapis.com/envoy.config.route.v3.Route";
        let with = |matching| json!({"match": matching, "direct_response": {"status": 200}});
        assert!(checked(route, &with(json!({"prefix": "/"}))).is_ok());
        let none = checked(route, &with(json!({}))).unwrap_err();
        assert!(none.contains("one of") && none.contains("prefix"), "{none}");
    }
}
