//! Objects for tests, made the way users make them.

use super::{Affected, Change, Object, Unit};
use crate::model::{Kind, ObjectKey};
use crate::runtime::clock::Clock;
use serde_json::{Value, json};
use std::sync::Arc;

/// An object of a kind; `body` has everything but `metadata`, of which it may have parts.
pub(super) fn object(kind: Kind, namespace: &str, name: &str, mut body: Value) -> Object {
    let mut metadata = json!({"name": name, "namespace": namespace, "generation": 1});
    if let Some(more) = body.get("metadata").and_then(Value::as_object) {
        metadata.as_object_mut().unwrap().extend(more.clone());
    }
    body["metadata"] = metadata;
    macro_rules! read {
        ($($kind:ident),*) => {
            match kind { $(Kind::$kind => Object::$kind(Arc::new(serde_json::from_value(body).unwrap())),)* }
        };
    }
    read!(
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
        EnvoyPatchPolicy
    )
}

/// The object is there now.
pub(super) fn put(object: Object) -> Change {
    Change { key: object.key(), object: Some(object), place: None, at: Clock::real().now() }
}

/// The object is gone.
pub(super) fn gone(key: ObjectKey) -> Change {
    Change { key, object: None, place: None, at: Clock::real().now() }
}

/// What is affected, one line each.
pub(super) fn lines(affected: &Affected) -> Vec<String> {
    let mut lines = Vec::new();
    for (gateway, units) in &affected.gateways {
        lines.extend(units.iter().map(|unit| match unit {
            Unit::Gateway => format!("{gateway}: gateway"),
            Unit::Patches => format!("{gateway}: patches"),
            Unit::Route(route) => format!("{gateway}: {route}"),
            Unit::Service(service) => format!("{gateway}: service {service}"),
            Unit::Endpoints(service) => format!("{gateway}: endpoints {service}"),
            Unit::Secret(secret) => format!("{gateway}: secret {secret}"),
        }));
    }
    lines.extend(affected.classes.iter().map(|class| format!("class {class}")));
    lines.extend(affected.policies.iter().map(|policy| format!("policy {policy}")));
    lines.extend(affected.deleted.iter().map(|object| format!("deleted {object}")));
    lines
}

pub(super) fn class(name: &str, controller: &str) -> Object {
    let proxy = json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "namespace": "system", "name": name});
    let spec = json!({"controllerName": controller, "parametersRef": proxy});
    object(Kind::GatewayClass, "", name, json!({"spec": spec}))
}

/// A Gateway with one listener for all namespaces.
pub(super) fn gateway(namespace: &str, name: &str, class: &str) -> Object {
    let listener =
        json!({"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}});
    object(Kind::Gateway, namespace, name, json!({"spec": {"gatewayClassName": class, "listeners": [listener]}}))
}

/// A Gateway that chooses namespaces by label.
pub(super) fn choosy_gateway(namespace: &str, name: &str, class: &str) -> Object {
    let namespaces = json!({"from": "Selector", "selector": {"matchLabels": {"team": "blue"}}});
    let listener = json!({"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": namespaces}});
    object(Kind::Gateway, namespace, name, json!({"spec": {"gatewayClassName": class, "listeners": [listener]}}))
}

/// A Gateway with certificates, each `namespace/name`.
pub(super) fn tls_gateway(namespace: &str, name: &str, class: &str, certificates: &[&str]) -> Object {
    let references: Vec<Value> = certificates.iter().map(|reference| parts(reference)).collect();
    let listener = json!({"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": references}});
    object(Kind::Gateway, namespace, name, json!({"spec": {"gatewayClassName": class, "listeners": [listener]}}))
}

/// A route of either kind with parents and backends, each `namespace/name`.
pub(super) fn route(kind: Kind, namespace: &str, name: &str, parents: &[&str], backends: &[&str]) -> Object {
    let parents: Vec<Value> = parents.iter().map(|reference| parts(reference)).collect();
    let backends: Vec<Value> = backends.iter().map(|reference| port(parts(reference))).collect();
    object(kind, namespace, name, json!({"spec": {"parentRefs": parents, "rules": [{"backendRefs": backends}]}}))
}

/// A Service with one port.
pub(super) fn service(namespace: &str, name: &str, number: u16) -> Object {
    object(Kind::Service, namespace, name, json!({"spec": {"ports": [{"port": number}]}}))
}

/// A slice of a Service with one address.
pub(super) fn slice(namespace: &str, name: &str, service: &str, address: &str) -> Object {
    let metadata = json!({"labels": {"kubernetes.io/service-name": service}});
    let endpoints = json!([{"addresses": [address]}]);
    let body = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}]});
    object(Kind::EndpointSlice, namespace, name, body)
}

/// A SecurityPolicy on targets, each (kind, name), with its authorizer `namespace/name` and the ConfigMap of its keys.
pub(super) fn security_policy(
    namespace: &str,
    name: &str,
    targets: &[(&str, &str)],
    authorizer: Option<&str>,
    keys: Option<&str>,
) -> Object {
    let target =
        |(kind, name): &(&str, &str)| json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": name});
    let mut spec = json!({"targetRefs": targets.iter().map(target).collect::<Vec<_>>()});
    if let Some(authorizer) = authorizer {
        spec["extAuth"] = json!({"grpc": {"backendRefs": [port(parts(authorizer))]}});
    }
    if let Some(keys) = keys {
        let local = json!({"type": "ValueRef", "valueRef": {"group": "", "kind": "ConfigMap", "name": keys}});
        spec["jwt"] = json!({"providers": [{"name": "one", "localJWKS": local}]});
    }
    object(Kind::SecurityPolicy, namespace, name, json!({"spec": spec}))
}

/// An EnvoyPatchPolicy on a target (kind, name).
pub(super) fn patch_policy(namespace: &str, name: &str, target: (&str, &str)) -> Object {
    let target = json!({"group": "gateway.networking.k8s.io", "kind": target.0, "name": target.1});
    let spec = json!({"type": "JSONPatch", "targetRef": target, "jsonPatches": []});
    object(Kind::EnvoyPatchPolicy, namespace, name, json!({"spec": spec}))
}

/// A grant from a kind of one namespace to a kind of its own.
pub(super) fn grant(namespace: &str, name: &str, from: (Kind, &str), to: (Kind, Option<&str>)) -> Object {
    let from = json!([{"group": from.0.group(), "kind": from.0.as_str(), "namespace": from.1}]);
    let to = json!([{"group": to.0.group(), "kind": to.0.as_str(), "name": to.1}]);
    object(Kind::ReferenceGrant, namespace, name, json!({"spec": {"from": from, "to": to}}))
}

fn parts(reference: &str) -> Value {
    let (namespace, name) = reference.split_once('/').unwrap();
    json!({"namespace": namespace, "name": name})
}

fn port(mut reference: Value) -> Value {
    reference["port"] = json!(80);
    reference
}
