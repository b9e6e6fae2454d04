//! What an object refers to, whether or not that exists.

use super::Object;
use crate::api::ObjectMeta;
use crate::api::core::EndpointSlice;
use crate::api::gateway_api::{BackendRef, Filter, Gateway, GatewayClass, ParentReference};
use crate::api::v1alpha1::{PolicyTargetReference, SecurityPolicy};
use crate::model::{Kind, ObjectKey};
use std::collections::BTreeSet;

/// The label by which an EndpointSlice says whose it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Part of a route: a backend and filters at its side, or the filters of a rule.
type Part<'a> = (Option<&'a BackendRef>, &'a [Filter]);

/// Everything that translation reads by a name that stands in the object. A reference of a kind that is not read has
/// no target: translation refuses it without looking.
pub(super) fn of(object: &Object) -> BTreeSet<ObjectKey> {
    match object {
        Object::GatewayClass(class) => of_class(class),
        Object::Gateway(gateway) => of_gateway(gateway),
        Object::HTTPRoute(route) => {
            let rules = route.spec.rules.iter();
            let own = rules.clone().map(|rule| (None, &*rule.filters));
            let backends = rules.flat_map(|rule| &rule.backend_refs).map(|b| (Some(&b.backend), &*b.filters));
            of_route(&route.metadata, &route.spec.parent_refs, own.chain(backends))
        }
        Object::GRPCRoute(route) => {
            let rules = route.spec.rules.iter();
            let own = rules.clone().map(|rule| (None, &*rule.filters));
            let backends = rules.flat_map(|rule| &rule.backend_refs).map(|b| (Some(&b.backend), &*b.filters));
            of_route(&route.metadata, &route.spec.parent_refs, own.chain(backends))
        }
        Object::EndpointSlice(slice) => of_slice(slice),
        Object::SecurityPolicy(policy) => of_security_policy(policy),
        Object::EnvoyPatchPolicy(policy) => {
            policy_target(&policy.spec.target_ref, &policy.metadata.namespace).into_iter().collect()
        }
        Object::ReferenceGrant(_)
        | Object::Service(_)
        | Object::Secret(_)
        | Object::ConfigMap(_)
        | Object::Namespace(_)
        | Object::EnvoyProxy(_) => BTreeSet::new(),
    }
}

/// The target of a policy: always in the policy's own namespace, whatever the reference says. `None` for kinds that
/// are not read.
pub(super) fn policy_target(reference: &PolicyTargetReference, namespace: &str) -> Option<ObjectKey> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == reference.kind)?;
    Some(ObjectKey::new(kind, namespace, &*reference.name))
}

/// The references of a policy to its targets.
pub(super) fn policy_references(object: &Object) -> Vec<&PolicyTargetReference> {
    match object {
        Object::SecurityPolicy(policy) => policy.spec.target_ref.iter().chain(&policy.spec.target_refs).collect(),
        Object::EnvoyPatchPolicy(policy) => vec![&policy.spec.target_ref],
        _ => Vec::new(),
    }
}

fn of_class(class: &GatewayClass) -> BTreeSet<ObjectKey> {
    let parameters = class.spec.parameters_ref.iter().filter(|reference| reference.kind == "EnvoyProxy");
    let proxy = parameters.map(|reference| {
        // As translation reads it: a reference without a namespace is one to `default`.
        let namespace = reference.namespace.as_deref().unwrap_or("default");
        ObjectKey::new(Kind::EnvoyProxy, namespace, &*reference.name)
    });
    proxy.collect()
}

fn of_gateway(gateway: &Gateway) -> BTreeSet<ObjectKey> {
    let own = &*gateway.metadata.namespace;
    let mut found = BTreeSet::from([ObjectKey::new(Kind::GatewayClass, "", &*gateway.spec.gateway_class_name)]);
    let parameters =
        gateway.spec.infrastructure.iter().filter_map(|infrastructure| infrastructure.parameters_ref.as_ref());
    for reference in parameters.filter(|reference| reference.kind == "EnvoyProxy") {
        found.insert(ObjectKey::new(Kind::EnvoyProxy, own, &*reference.name));
    }
    let certificates = gateway.spec.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    for reference in certificates.flat_map(|tls| &tls.certificate_refs) {
        let group = reference.group.as_deref().unwrap_or("");
        if group.is_empty() && reference.kind.as_deref().unwrap_or("Secret") == "Secret" {
            let namespace = reference.namespace.as_deref().unwrap_or(own);
            found.insert(ObjectKey::new(Kind::Secret, namespace, &*reference.name));
        }
    }
    found
}

fn of_route<'a>(
    meta: &ObjectMeta,
    parents: &[ParentReference],
    parts: impl Iterator<Item = Part<'a>>,
) -> BTreeSet<ObjectKey> {
    let own = &*meta.namespace;
    let mut found: BTreeSet<ObjectKey> = parents.iter().filter_map(|reference| parent(reference, own)).collect();
    for (backend, filters) in parts {
        let mirrors = filters.iter().filter_map(|filter| filter.request_mirror.as_ref()).map(|m| &m.backend_ref);
        found.extend(backend.into_iter().chain(mirrors).filter_map(|reference| service(reference, own)));
    }
    found
}

fn parent(reference: &ParentReference, own: &str) -> Option<ObjectKey> {
    let group = reference.group.as_deref().is_none_or(|group| group == Kind::Gateway.group());
    let ours = group && reference.kind.as_deref().is_none_or(|kind| kind == Kind::Gateway.as_str());
    ours.then(|| ObjectKey::new(Kind::Gateway, reference.namespace.as_deref().unwrap_or(own), &*reference.name))
}

fn service(reference: &BackendRef, own: &str) -> Option<ObjectKey> {
    let group = reference.group.as_deref().unwrap_or("");
    let core = group.is_empty() && reference.kind.as_deref().unwrap_or("Service") == "Service";
    core.then(|| ObjectKey::new(Kind::Service, reference.namespace.as_deref().unwrap_or(own), &*reference.name))
}

fn of_slice(slice: &EndpointSlice) -> BTreeSet<ObjectKey> {
    let service = slice.metadata.labels.get(SERVICE_NAME);
    service.map(|name| ObjectKey::new(Kind::Service, &*slice.metadata.namespace, &**name)).into_iter().collect()
}

fn of_security_policy(policy: &SecurityPolicy) -> BTreeSet<ObjectKey> {
    let (spec, own) = (&policy.spec, &*policy.metadata.namespace);
    let targets = spec.target_ref.iter().chain(&spec.target_refs);
    let mut found: BTreeSet<ObjectKey> = targets.filter_map(|reference| policy_target(reference, own)).collect();
    if let Some(ext_auth) = &spec.ext_auth {
        let grpc = ext_auth.grpc.iter().flat_map(|grpc| grpc.backend_ref.iter().chain(&grpc.backend_refs));
        let http = ext_auth.http.iter().flat_map(|http| http.backend_ref.iter().chain(&http.backend_refs));
        found.extend(grpc.chain(http).filter_map(|reference| service(reference, own)));
    }
    let local = spec.jwt.iter().flat_map(|jwt| &jwt.providers).filter_map(|provider| provider.local_jwks.as_ref());
    for reference in local.filter_map(|local| local.value_ref.as_ref()) {
        // Only ConfigMaps are read: translation refuses anything else by its kind.
        if reference.kind == Kind::ConfigMap.as_str() && reference.group.is_empty() {
            found.insert(ObjectKey::new(Kind::ConfigMap, own, &*reference.name));
        }
    }
    found
}
