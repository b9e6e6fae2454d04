//! `GatewayClass`.

use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};

/// `GatewayClass`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayClass {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    pub spec: GatewayClassSpec,
}

/// `GatewayClassSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// Who answers for the class.
    pub controller_name: String,
    /// Parameters, an EnvoyProxy.
    #[serde(default)]
    pub parameters_ref: Option<ParametersReference>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// `ParametersReference`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParametersReference {
    /// The API group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The namespace of a namespaced kind.
    #[serde(default)]
    pub namespace: Option<String>,
}
