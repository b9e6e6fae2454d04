//! `EnvoyProxy`: how the Envoys of a Gateway or GatewayClass are run.

use super::JsonPatchOperation;
use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `EnvoyProxy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvoyProxy {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    #[serde(default)]
    pub spec: EnvoyProxySpec,
}

/// `EnvoyProxySpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvoyProxySpec {
    /// Where the Envoys run.
    pub provider: Option<ProxyProvider>,
    /// Envoy's own log.
    pub logging: Option<ProxyLogging>,
    /// Changes to the bootstrap.
    pub bootstrap: Option<ProxyBootstrap>,
    /// Worker threads.
    pub concurrency: Option<u32>,
    /// Further command line arguments.
    pub extra_args: Vec<String>,
    /// Replace, StrategicMerge or JSONMerge.
    pub merge_type: Option<String>,
    /// Draining.
    pub shutdown: Option<Value>,
    /// One fleet for all Gateways of a class.
    pub merge_gateways: Option<bool>,
    /// Everything else of the current API (`telemetry`, `routingType`, `filterOrder`, …), by field name.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `EnvoyProxyProvider`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyProvider {
    /// Kubernetes or Host.
    #[serde(rename = "type")]
    pub kind: String,
    /// Fields that only a cluster can carry out: taken in and kept.
    #[serde(default)]
    pub kubernetes: Option<Value>,
    /// Fields for processes on this machine.
    #[serde(default)]
    pub host: Option<Value>,
}

/// `ProxyLogging`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyLogging {
    /// Component (`default`, `upstream`, `http`, …) → trace, debug, info, warn, error.
    pub level: BTreeMap<String, String>,
}

/// `ProxyBootstrap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyBootstrap {
    /// Replace, Merge or JSONPatch; `None` means Replace.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// YAML of a bootstrap, or of a part of one.
    pub value: Option<String>,
    /// For JSONPatch.
    pub json_patches: Vec<JsonPatchOperation>,
}
