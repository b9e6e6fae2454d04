//! `EnvoyPatchPolicy`: changes to generated xDS resources.

use super::PolicyTargetReference;
use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `EnvoyPatchPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvoyPatchPolicy {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    pub spec: EnvoyPatchPolicySpec,
}

/// `EnvoyPatchPolicySpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyPatchPolicySpec {
    /// JSONPatch.
    #[serde(rename = "type")]
    pub kind: String,
    /// The patches.
    #[serde(default)]
    pub json_patches: Vec<JsonPatchConfig>,
    /// The Gateway (or, with merged Gateways, the GatewayClass).
    pub target_ref: PolicyTargetReference,
    /// Smaller goes first.
    #[serde(default)]
    pub priority: i32,
}

/// `EnvoyJSONPatchConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonPatchConfig {
    /// The type URL of the resource.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the resource.
    pub name: String,
    /// The change.
    pub operation: JsonPatchOperation,
}

/// `JSONPatchOperation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsonPatchOperation {
    /// add, remove, replace, move, copy or test.
    pub op: String,
    /// A JSON pointer; relative to each place that `jsonPath` finds, when there is one.
    #[serde(default)]
    pub path: Option<String>,
    /// A JSONPath that selects places.
    #[serde(default)]
    pub json_path: Option<String>,
    /// The source pointer of move and copy.
    #[serde(default)]
    pub from: Option<String>,
    /// The value of add, replace and test.
    #[serde(default)]
    pub value: Option<Value>,
}
