//! One object of any kind that is read.

use crate::api::ObjectMeta;
use crate::api::core::{ConfigMap, EndpointSlice, Namespace, Secret, Service};
use crate::api::gateway_api::{Gateway, GatewayClass, GrpcRoute, HttpRoute, ReferenceGrant};
use crate::api::v1alpha1::{EnvoyPatchPolicy, EnvoyProxy, SecurityPolicy};
use crate::model::{Kind, ObjectKey, Place};
use std::sync::Arc;
use std::time::Instant;

/// One object; clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the Kubernetes kinds of the same name")]
pub enum Object {
    GatewayClass(Arc<GatewayClass>),
    Gateway(Arc<Gateway>),
    HTTPRoute(Arc<HttpRoute>),
    GRPCRoute(Arc<GrpcRoute>),
    ReferenceGrant(Arc<ReferenceGrant>),
    Service(Arc<Service>),
    EndpointSlice(Arc<EndpointSlice>),
    Secret(Arc<Secret>),
    ConfigMap(Arc<ConfigMap>),
    Namespace(Arc<Namespace>),
    EnvoyProxy(Arc<EnvoyProxy>),
    SecurityPolicy(Arc<SecurityPolicy>),
    EnvoyPatchPolicy(Arc<EnvoyPatchPolicy>),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::GatewayClass(_) => Kind::GatewayClass,
            Self::Gateway(_) => Kind::Gateway,
            Self::HTTPRoute(_) => Kind::HTTPRoute,
            Self::GRPCRoute(_) => Kind::GRPCRoute,
            Self::ReferenceGrant(_) => Kind::ReferenceGrant,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Namespace(_) => Kind::Namespace,
            Self::EnvoyProxy(_) => Kind::EnvoyProxy,
            Self::SecurityPolicy(_) => Kind::SecurityPolicy,
            Self::EnvoyPatchPolicy(_) => Kind::EnvoyPatchPolicy,
        }
    }

    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::GatewayClass(object) => &object.metadata,
            Self::Gateway(object) => &object.metadata,
            Self::HTTPRoute(object) => &object.metadata,
            Self::GRPCRoute(object) => &object.metadata,
            Self::ReferenceGrant(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
            Self::ConfigMap(object) => &object.metadata,
            Self::Namespace(object) => &object.metadata,
            Self::EnvoyProxy(object) => &object.metadata,
            Self::SecurityPolicy(object) => &object.metadata,
            Self::EnvoyPatchPolicy(object) => &object.metadata,
        }
    }

    /// Its key; cluster-scoped kinds have no namespace.
    pub fn key(&self) -> ObjectKey {
        let (kind, meta) = (self.kind(), self.meta());
        let namespace = if kind.cluster_scoped() { "" } else { &*meta.namespace };
        ObjectKey::new(kind, namespace, &*meta.name)
    }

    /// Whether nothing that is read differs: not the specification, and of the metadata not what has a meaning for the kind.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.meta(), other.meta());
        if mine.creation_timestamp != theirs.creation_timestamp {
            return false;
        }
        // Status names the generation, and belongs to the object with that id.
        if self.kind().has_status() && (mine.generation, &mine.uid) != (theirs.generation, &theirs.uid) {
            return false;
        }
        match (self, other) {
            (Self::GatewayClass(a), Self::GatewayClass(b)) => a.spec == b.spec,
            (Self::Gateway(a), Self::Gateway(b)) => a.spec == b.spec,
            (Self::HTTPRoute(a), Self::HTTPRoute(b)) => a.spec == b.spec,
            (Self::GRPCRoute(a), Self::GRPCRoute(b)) => a.spec == b.spec,
            (Self::ReferenceGrant(a), Self::ReferenceGrant(b)) => a.spec == b.spec,
            (Self::Service(a), Self::Service(b)) => a.spec == b.spec,
            (Self::EndpointSlice(a), Self::EndpointSlice(b)) => {
                (&a.address_type, &a.endpoints, &a.ports) == (&b.address_type, &b.endpoints, &b.ports)
                    && a.metadata.labels == b.metadata.labels
            }
            (Self::Secret(a), Self::Secret(b)) => {
                (&a.data, &a.string_data, &a.kind) == (&b.data, &b.string_data, &b.kind)
            }
            (Self::ConfigMap(a), Self::ConfigMap(b)) => (&a.data, &a.binary_data) == (&b.data, &b.binary_data),
            (Self::Namespace(_), Self::Namespace(_)) => mine.labels == theirs.labels,
            (Self::EnvoyProxy(a), Self::EnvoyProxy(b)) => a.spec == b.spec,
            (Self::SecurityPolicy(a), Self::SecurityPolicy(b)) => a.spec == b.spec,
            (Self::EnvoyPatchPolicy(a), Self::EnvoyPatchPolicy(b)) => a.spec == b.spec,
            _ => false,
        }
    }
}

/// One object that is new, different or gone.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// What it is now; `None` when it is gone.
    pub object: Option<Object>,
    /// Where it stands, when it comes from a file.
    pub place: Option<Place>,
    /// When the change was seen (T1).
    pub at: Instant,
}
