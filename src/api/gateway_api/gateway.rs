//! `Gateway`.

use super::{LocalObjectReference, NamespacedReference};
use crate::api::{LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `Gateway`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// The specification.
    pub spec: GatewaySpec,
}

/// `GatewaySpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// The GatewayClass.
    pub gateway_class_name: String,
    /// The listeners.
    pub listeners: Vec<Listener>,
    /// Requested addresses.
    #[serde(default)]
    pub addresses: Vec<GatewayAddress>,
    /// Labels, annotations and parameters of what is made for the Gateway.
    #[serde(default)]
    pub infrastructure: Option<GatewayInfrastructure>,
    /// Which ListenerSets may join: kept, so that it can be refused by name.
    #[serde(default)]
    pub allowed_listeners: Option<Value>,
    /// Client certificates in front and behind: kept, so that it can be refused by name.
    #[serde(default)]
    pub tls: Option<Value>,
    /// Experimental channel: kept, so that it can be refused by name.
    #[serde(default)]
    pub default_scope: Option<Value>,
}

/// `GatewaySpecAddress`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAddress {
    /// IPAddress, Hostname or a domain-prefixed type; `None` means IPAddress.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The address; empty means that one is to be chosen.
    #[serde(default)]
    pub value: Option<String>,
}

/// `GatewayInfrastructure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayInfrastructure {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Parameters, in the Gateway's namespace.
    pub parameters_ref: Option<LocalObjectReference>,
}

/// `Listener`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// The name, unique within the Gateway.
    pub name: String,
    /// The hostname, perhaps with a leading `*.`; `None` or empty means all.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The port.
    pub port: u16,
    /// HTTP, HTTPS, TLS, TCP, UDP or a domain-prefixed one.
    pub protocol: String,
    /// TLS.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// Which routes may attach.
    #[serde(default)]
    pub allowed_routes: Option<AllowedRoutes>,
}

/// `ListenerTLSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// Terminate or Passthrough; `None` means Terminate.
    pub mode: Option<String>,
    /// Certificates.
    pub certificate_refs: Vec<NamespacedReference>,
    /// Extensions of implementations.
    pub options: BTreeMap<String, String>,
    /// Older versions had client validation here: kept, so that it can be refused by name.
    pub frontend_validation: Option<Value>,
}

/// `AllowedRoutes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AllowedRoutes {
    /// From which namespaces; `None` means Same.
    pub namespaces: Option<RouteNamespaces>,
    /// Which kinds; empty means those of the protocol.
    pub kinds: Vec<RouteGroupKind>,
}

/// `RouteNamespaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteNamespaces {
    /// All, Selector, Same or None; `None` means Same.
    pub from: Option<String>,
    /// For Selector.
    pub selector: Option<LabelSelector>,
}

/// `RouteGroupKind`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteGroupKind {
    /// The API group; `None` means `gateway.networking.k8s.io`.
    #[serde(default)]
    pub group: Option<String>,
    /// The kind.
    pub kind: String,
}
