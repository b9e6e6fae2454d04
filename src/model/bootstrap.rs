//! A user's change to the bootstrap of a fleet.

use serde_json::Value;

/// `EnvoyProxy.spec.bootstrap`, read but not yet applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapPatch {
    /// The whole bootstrap.
    Replace(Value),
    /// Merged into the default bootstrap as protobuf JSON: objects by key, lists are appended.
    Merge(Value),
    /// RFC 6902 operations on the default bootstrap.
    JsonPatch(Vec<JsonPatchOperation>),
}

/// One operation of an RFC 6902 patch, or one that selects its places by JSONPath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPatchOperation {
    /// add, remove, replace, move, copy or test.
    pub op: String,
    /// The JSON pointer; with `json_path` it is relative to every place found.
    pub path: Option<String>,
    /// A JSONPath (RFC 9535) that selects the places.
    pub json_path: Option<String>,
    /// The source pointer of `move` and `copy`.
    pub from: Option<String>,
    /// The value of `add`, `replace` and `test`.
    pub value: Option<Value>,
}
