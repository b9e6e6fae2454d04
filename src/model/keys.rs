//! Names of objects and fleets.

use std::fmt;

/// A name inside a namespace, shown as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespacedName {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl NamespacedName {
    /// Joins a namespace and a name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// The kinds of objects that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the variants are the Kubernetes kinds of the same name")]
pub enum Kind {
    GatewayClass,
    Gateway,
    HTTPRoute,
    GRPCRoute,
    ReferenceGrant,
    Service,
    EndpointSlice,
    Secret,
    ConfigMap,
    Namespace,
    EnvoyProxy,
    SecurityPolicy,
    EnvoyPatchPolicy,
}

impl Kind {
    /// Every kind, in the order in which they are listed to users.
    pub const ALL: [Self; 13] = [
        Self::GatewayClass,
        Self::Gateway,
        Self::HTTPRoute,
        Self::GRPCRoute,
        Self::ReferenceGrant,
        Self::Service,
        Self::EndpointSlice,
        Self::Secret,
        Self::ConfigMap,
        Self::Namespace,
        Self::EnvoyProxy,
        Self::SecurityPolicy,
        Self::EnvoyPatchPolicy,
    ];

    /// The kind as written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatewayClass => "GatewayClass",
            Self::Gateway => "Gateway",
            Self::HTTPRoute => "HTTPRoute",
            Self::GRPCRoute => "GRPCRoute",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Namespace => "Namespace",
            Self::EnvoyProxy => "EnvoyProxy",
            Self::SecurityPolicy => "SecurityPolicy",
            Self::EnvoyPatchPolicy => "EnvoyPatchPolicy",
        }
    }

    /// The API group; empty for core.
    pub fn group(self) -> &'static str {
        match self {
            Self::GatewayClass | Self::Gateway | Self::HTTPRoute | Self::GRPCRoute | Self::ReferenceGrant => {
                "gateway.networking.k8s.io"
            }
            Self::EnvoyProxy | Self::SecurityPolicy | Self::EnvoyPatchPolicy => "gateway.envoyproxy.io",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::Service | Self::Secret | Self::ConfigMap | Self::Namespace => "",
        }
    }

    /// Whether objects of the kind live outside namespaces.
    pub fn cluster_scoped(self) -> bool {
        matches!(self, Self::GatewayClass | Self::Namespace)
    }

    /// Whether a status is computed for objects of the kind.
    pub fn has_status(self) -> bool {
        matches!(
            self,
            Self::GatewayClass
                | Self::Gateway
                | Self::HTTPRoute
                | Self::GRPCRoute
                | Self::EnvoyProxy
                | Self::SecurityPolicy
                | Self::EnvoyPatchPolicy
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object, shown as `Kind namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// Names one object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    /// The name without the kind.
    pub fn named(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.clone(), self.name.clone())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// All Envoys of one Gateway, shown as `class/namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetKey {
    /// The entry of `classes:` in the settings.
    pub class: String,
    /// The Gateway's namespace.
    pub namespace: String,
    /// The Gateway's name.
    pub name: String,
}

impl FleetKey {
    /// Names one fleet.
    pub fn new(class: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { class: class.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The Gateway that the fleet serves.
    pub fn gateway(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.clone(), self.name.clone())
    }
}

impl fmt::Display for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.class, self.namespace, self.name)
    }
}
