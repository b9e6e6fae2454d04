//! `Secret`, `ConfigMap` and `Namespace`.

use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// `Secret`: `data` is base64, `stringData` is plain and wins.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Base64.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Plain text.
    #[serde(default)]
    pub string_data: BTreeMap<String, String>,
    /// For example `kubernetes.io/tls`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// May not be changed any more.
    #[serde(default)]
    pub immutable: Option<bool>,
}

impl fmt::Debug for Secret {
    /// Shows keys, never values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("metadata", &self.metadata)
            .field("data", &self.data.keys())
            .field("string_data", &self.string_data.keys())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Plain text.
    #[serde(default)]
    pub data: BTreeMap<String, String>,
    /// Base64.
    #[serde(default)]
    pub binary_data: BTreeMap<String, String>,
    /// May not be changed any more.
    #[serde(default)]
    pub immutable: Option<bool>,
}

/// `Namespace`: only its labels matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Nothing in it matters.
    #[serde(default, skip_serializing)]
    pub spec: serde_json::Value,
}
