//! All objects.

use super::{Affected, Change, Object, View};
use crate::api::core::{ConfigMap, EndpointSlice, Secret, Service};
use crate::api::gateway_api::{Gateway, GatewayClass, GrpcRoute, HttpRoute, ReferenceGrant};
use crate::api::v1alpha1::{EnvoyPatchPolicy, EnvoyProxy, SecurityPolicy};
use crate::model::{Kind, NamespacedName, ObjectKey, Place};
use std::collections::BTreeMap;

/// All objects that are known, with the index of who refers to whom.
#[derive(Debug, Default)]
pub struct Store {}

impl Store {
    /// Takes in changes and says what they affect.
    pub fn apply(&mut self, _changes: Vec<Change>) -> Affected {
        Affected::default()
    }

    /// One object.
    pub fn get(&self, _key: &ObjectKey) -> Option<&Object> {
        None
    }

    /// All objects, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        std::iter::empty()
    }
}

impl View for Store {
    fn gateway_class(&self, _name: &str) -> Option<&GatewayClass> {
        None
    }
    fn gateway(&self, _name: &NamespacedName) -> Option<&Gateway> {
        None
    }
    fn http_route(&self, _name: &NamespacedName) -> Option<&HttpRoute> {
        None
    }
    fn grpc_route(&self, _name: &NamespacedName) -> Option<&GrpcRoute> {
        None
    }
    fn service(&self, _name: &NamespacedName) -> Option<&Service> {
        None
    }
    fn secret(&self, _name: &NamespacedName) -> Option<&Secret> {
        None
    }
    fn config_map(&self, _name: &NamespacedName) -> Option<&ConfigMap> {
        None
    }
    fn envoy_proxy(&self, _name: &NamespacedName) -> Option<&EnvoyProxy> {
        None
    }
    fn security_policy(&self, _name: &NamespacedName) -> Option<&SecurityPolicy> {
        None
    }
    fn envoy_patch_policy(&self, _name: &NamespacedName) -> Option<&EnvoyPatchPolicy> {
        None
    }
    fn namespace_labels(&self, _namespace: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
    fn endpoint_slices(&self, _service: &NamespacedName) -> Vec<&EndpointSlice> {
        Vec::new()
    }
    fn grants(&self, _namespace: &str) -> Vec<&ReferenceGrant> {
        Vec::new()
    }
    fn routes_of(&self, _gateway: &NamespacedName) -> Vec<ObjectKey> {
        Vec::new()
    }
    fn security_policies_of(&self, _target: &ObjectKey) -> Vec<&SecurityPolicy> {
        Vec::new()
    }
    fn patch_policies_of(&self, _target: &ObjectKey) -> Vec<&EnvoyPatchPolicy> {
        Vec::new()
    }
    fn names(&self, _kind: Kind) -> Vec<NamespacedName> {
        Vec::new()
    }
    fn place(&self, _object: &ObjectKey) -> Option<Place> {
        None
    }
}
