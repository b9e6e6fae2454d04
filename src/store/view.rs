//! What translation may read.

use crate::api::core::{ConfigMap, EndpointSlice, Secret, Service};
use crate::api::gateway_api::{Gateway, GatewayClass, GrpcRoute, HttpRoute, ReferenceGrant};
use crate::api::v1alpha1::{EnvoyPatchPolicy, EnvoyProxy, SecurityPolicy};
use crate::model::{Kind, NamespacedName, ObjectKey, Place};
use std::collections::BTreeMap;

/// Read access to all objects. Everything that comes as a list comes in an order that does not depend on the order of
/// arrival: by creation time (none first), then namespace, then name.
pub trait View {
    /// One GatewayClass.
    fn gateway_class(&self, name: &str) -> Option<&GatewayClass>;
    /// One Gateway.
    fn gateway(&self, name: &NamespacedName) -> Option<&Gateway>;
    /// One HTTPRoute.
    fn http_route(&self, name: &NamespacedName) -> Option<&HttpRoute>;
    /// One GRPCRoute.
    fn grpc_route(&self, name: &NamespacedName) -> Option<&GrpcRoute>;
    /// One Service.
    fn service(&self, name: &NamespacedName) -> Option<&Service>;
    /// One Secret.
    fn secret(&self, name: &NamespacedName) -> Option<&Secret>;
    /// One ConfigMap.
    fn config_map(&self, name: &NamespacedName) -> Option<&ConfigMap>;
    /// One EnvoyProxy.
    fn envoy_proxy(&self, name: &NamespacedName) -> Option<&EnvoyProxy>;
    /// One SecurityPolicy.
    fn security_policy(&self, name: &NamespacedName) -> Option<&SecurityPolicy>;
    /// One EnvoyPatchPolicy.
    fn envoy_patch_policy(&self, name: &NamespacedName) -> Option<&EnvoyPatchPolicy>;
    /// The labels of a namespace, with `kubernetes.io/metadata.name`; a namespace without an object has just that one.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
    /// The slices of a Service (label `kubernetes.io/service-name`).
    fn endpoint_slices(&self, service: &NamespacedName) -> Vec<&EndpointSlice>;
    /// The ReferenceGrants of a namespace.
    fn grants(&self, namespace: &str) -> Vec<&ReferenceGrant>;
    /// The routes with a parentRef to the Gateway, by their key.
    fn routes_of(&self, gateway: &NamespacedName) -> Vec<ObjectKey>;
    /// SecurityPolicies in the target's namespace whose `targetRef` or `targetRefs` name it.
    fn security_policies_of(&self, target: &ObjectKey) -> Vec<&SecurityPolicy>;
    /// EnvoyPatchPolicies in the target's namespace that name it.
    fn patch_policies_of(&self, target: &ObjectKey) -> Vec<&EnvoyPatchPolicy>;
    /// All names of a kind, for "did you mean". Costs what there is: only for messages.
    fn names(&self, kind: Kind) -> Vec<NamespacedName>;
    /// Where an object stands, when it comes from a file.
    fn place(&self, object: &ObjectKey) -> Option<Place>;
}
