//! Changes by the user to finished resources.

use super::{JsonPatchOperation, ObjectKey};

/// One EnvoyPatchPolicy, in the order in which it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchSet {
    /// The policy.
    pub policy: ObjectKey,
    /// Its patches.
    pub patches: Vec<ResourcePatch>,
}

/// One change of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePatch {
    /// The type URL, for example `type.googleapis.com/envoy.config.listener.v3.Listener`.
    pub type_url: String,
    /// The name of the resource.
    pub name: String,
    /// The change; `add` with an empty path adds a whole resource.
    pub operation: JsonPatchOperation,
}
