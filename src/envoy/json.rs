//! Envoy messages as protobuf JSON with `snake_case` names.

use super::{canon, descriptors};
use base64::Engine;
use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, ReflectMessage, SerializeOptions, Value as Field};
use serde_json::{Value, json};

const REDACTED: &str = "[redacted]";

/// A message as JSON. Fields that Envoy marks as sensitive (`udpa.annotations.sensitive`) are redacted unless
/// `show_secrets`. A message of an unknown type, or with one inside, comes as base64.
pub fn to_json(type_url: &str, bytes: &[u8], show_secrets: bool) -> Value {
    let opaque = || json!({"@type": type_url, "value": base64::engine::general_purpose::STANDARD.encode(bytes)});
    let Some(descriptor) = descriptors::message(type_url) else { return opaque() };
    let Ok(mut message) = DynamicMessage::decode(descriptor, bytes) else { return opaque() };
    if !show_secrets {
        redact(&mut message);
    }
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap_or_else(|_| if show_secrets { opaque() } else { json!({"@type": type_url, "value": REDACTED}) })
}

/// A message from JSON; unknown fields are errors. `snake_case` and `camelCase` are both read.
pub fn from_json(type_url: &str, value: &Value) -> Result<Bytes, String> {
    let descriptor = descriptors::message(type_url).ok_or_else(|| format!("there is no message {type_url}"))?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor, value, &options).map_err(|e| e.to_string())?;
    Ok(canon::canonical(type_url, &message.encode_to_vec()))
}

fn redact(message: &mut DynamicMessage) {
    let extension = descriptors::pool().all_extensions().find(|e| e.full_name() == "udpa.annotations.sensitive");
    let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in fields {
        let sensitive = extension.as_ref().is_some_and(|e| field.options().get_extension(e).as_bool() == Some(true));
        match message.get_field_mut(&field) {
            Field::Message(inner) if sensitive => blank(inner),
            Field::String(text) if sensitive => REDACTED.clone_into(text),
            Field::Bytes(bytes) if sensitive => *bytes = Bytes::from_static(REDACTED.as_bytes()),
            Field::Message(inner) => redact_inner(inner),
            Field::List(list) => list.iter_mut().for_each(|item| {
                if let Field::Message(inner) = item {
                    if sensitive { blank(inner) } else { redact_inner(inner) }
                }
            }),
            Field::Map(map) => map.values_mut().for_each(|item| {
                if let Field::Message(inner) = item {
                    redact_inner(inner);
                }
            }),
            _ => {}
        }
    }
}

/// Goes on through an `Any`, where secrets may stand too.
fn redact_inner(message: &mut DynamicMessage) {
    if message.descriptor().full_name() != "google.protobuf.Any" {
        return redact(message);
    }
    let type_url =
        message.get_field_by_name("type_url").and_then(|f| f.as_str().map(str::to_owned)).unwrap_or_default();
    let bytes = message.get_field_by_name("value").and_then(|f| f.as_bytes().cloned()).unwrap_or_default();
    let Some(descriptor) = descriptors::message(&type_url) else { return };
    if let Ok(mut inner) = DynamicMessage::decode(descriptor, bytes) {
        redact(&mut inner);
        message.set_field_by_name("value", Field::Bytes(inner.encode_to_vec().into()));
    }
}

/// Replaces every value of a sensitive message: a key may stand in any of them.
fn blank(message: &mut DynamicMessage) {
    let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
    for field in fields {
        match message.get_field_mut(&field) {
            Field::String(text) => REDACTED.clone_into(text),
            Field::Bytes(bytes) => *bytes = Bytes::from_static(REDACTED.as_bytes()),
            Field::Message(inner) => blank(inner),
            _ => {}
        }
    }
}
