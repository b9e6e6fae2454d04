//! `Service` and `EndpointSlice`.

use crate::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `Service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    #[serde(default)]
    pub spec: ServiceSpec,
}

/// The part of `ServiceSpec` that matters; everything else is taken in and means nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// ClusterIP, NodePort, LoadBalancer or ExternalName; empty means ClusterIP.
    #[serde(rename = "type")]
    pub kind: String,
    /// `None` for headless ones.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// The DNS name of an ExternalName Service.
    pub external_name: Option<String>,
    /// The ports.
    pub ports: Vec<ServicePort>,
    /// The Pods behind it.
    pub selector: BTreeMap<String, String>,
    /// The rest.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// `ServicePort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The name; EndpointSlices refer to it.
    #[serde(default)]
    pub name: String,
    /// The port of the Service.
    pub port: u16,
    /// A number or the name of a container port.
    #[serde(default)]
    pub target_port: Value,
    /// TCP, UDP or SCTP; empty means TCP.
    #[serde(default)]
    pub protocol: String,
    /// For example `kubernetes.io/h2c`.
    #[serde(default)]
    pub app_protocol: Option<String>,
    /// Means nothing here.
    #[serde(default)]
    pub node_port: Option<u16>,
}

/// `EndpointSlice` of `discovery.k8s.io/v1`; belongs to the Service named by label `kubernetes.io/service-name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// IPv4, IPv6 or FQDN.
    pub address_type: String,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The ports, the same for all endpoints.
    #[serde(default)]
    pub ports: Vec<EndpointPort>,
}

/// `Endpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses, of which the first counts.
    pub addresses: Vec<String>,
    /// Readiness.
    pub conditions: EndpointConditions,
    /// Means nothing here.
    pub hostname: Option<String>,
    /// Means nothing here.
    pub node_name: Option<String>,
    /// The zone.
    pub zone: Option<String>,
    /// Means nothing here.
    pub target_ref: Option<Value>,
    /// Means nothing here.
    pub hints: Option<Value>,
}

/// `EndpointConditions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConditions {
    /// `None` means ready.
    pub ready: Option<bool>,
    /// Ready, or terminating and still serving.
    pub serving: Option<bool>,
    /// About to end.
    pub terminating: Option<bool>,
}

/// `EndpointPort`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// The name of the Service's port.
    pub name: Option<String>,
    /// The number.
    pub port: Option<u16>,
    /// TCP, UDP or SCTP.
    pub protocol: Option<String>,
    /// The Service's value counts.
    pub app_protocol: Option<String>,
}
