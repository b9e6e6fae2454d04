//! Objects as manifests: what a user would write to get them.

use super::Object;
use crate::model::Kind;
use serde::Serialize;
use serde_json::{Map, Value, json};

impl Object {
    /// The object as a manifest: `apiVersion` in the version that is served now, `kind`, `metadata` and the rest.
    /// Fields that are not set are left out. The values of Secrets are never shown.
    pub fn manifest(&self) -> Value {
        let kind = self.kind();
        let body = match self {
            Self::GatewayClass(object) => body(&**object),
            Self::Gateway(object) => body(&**object),
            Self::HTTPRoute(object) => body(&**object),
            Self::GRPCRoute(object) => body(&**object),
            Self::ReferenceGrant(object) => body(&**object),
            Self::Service(object) => body(&**object),
            Self::EndpointSlice(object) => body(&**object),
            Self::Secret(object) => redacted(body(&**object)),
            Self::ConfigMap(object) => body(&**object),
            Self::Namespace(object) => body(&**object),
            Self::EnvoyProxy(object) => body(&**object),
            Self::SecurityPolicy(object) => body(&**object),
            Self::EnvoyPatchPolicy(object) => body(&**object),
        };
        let mut manifest = Map::new();
        manifest.insert("apiVersion".to_owned(), json!(api_version(kind)));
        manifest.insert("kind".to_owned(), json!(kind.as_str()));
        for (key, mut value) in body {
            if key == "spec" {
                prune(kind, &mut Vec::new(), &mut value);
            }
            let unset = value.is_null() || is_empty(&value) && key != "spec" || value == "";
            if !unset {
                manifest.insert(key, value);
            }
        }
        if kind.cluster_scoped()
            && let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("namespace");
        }
        Value::Object(manifest)
    }
}

/// Group and version in which manifests of a kind are written today.
fn api_version(kind: Kind) -> &'static str {
    match kind {
        Kind::GatewayClass | Kind::Gateway | Kind::HTTPRoute | Kind::GRPCRoute | Kind::ReferenceGrant => {
            "gateway.networking.k8s.io/v1"
        }
        Kind::EnvoyProxy | Kind::SecurityPolicy | Kind::EnvoyPatchPolicy => "gateway.envoyproxy.io/v1alpha1",
        Kind::EndpointSlice => "discovery.k8s.io/v1",
        Kind::Service | Kind::Secret | Kind::ConfigMap | Kind::Namespace => "v1",
    }
}

fn body(object: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(object) {
        Ok(Value::Object(map)) => map,
        // Keys are strings and numbers are finite in all these types, so this is never taken.
        _ => Map::new(),
    }
}

fn redacted(mut secret: Map<String, Value>) -> Map<String, Value> {
    for field in ["data", "stringData"] {
        if let Some(Value::Object(entries)) = secret.get_mut(field) {
            entries.values_mut().for_each(|value| *value = json!("[redacted]"));
        }
    }
    secret
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Takes away what a typed field says when it was not written: null, and an empty list or map. What only becomes empty
/// by this was written as such, for example a label selector that matches everything, and stays.
fn prune<'a>(kind: Kind, path: &mut Vec<&'a str>, value: &'a mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| prune(kind, path, item)),
        Value::Object(fields) => {
            let verbatim = |path: &[&str], key: &str| is_raw(kind, path, key);
            fields.retain(|key, value| !value.is_null() && (verbatim(path, key) || !is_empty(value)));
            for (key, value) in fields.iter_mut() {
                if !is_raw(kind, path, key) {
                    path.push(key);
                    prune(kind, path, value);
                    path.pop();
                }
            }
        }
        _ => {}
    }
}

/// Whether a field holds JSON of the user's own, where even an empty value was written. `path` leads from `spec` to the
/// object that has the field.
fn is_raw(kind: Kind, path: &[&str], key: &str) -> bool {
    match kind {
        Kind::Gateway => match path {
            [] => ["tls", "allowedListeners", "defaultScope"].contains(&key),
            _ => key == "frontendValidation",
        },
        Kind::HTTPRoute | Kind::GRPCRoute => ["useDefaultGateways", "externalAuth"].contains(&key),
        Kind::EnvoyPatchPolicy => key == "value",
        Kind::EnvoyProxy => match path {
            [] => !["provider", "logging", "bootstrap", "extraArgs"].contains(&key),
            ["provider"] => key != "type",
            // The operations of JSON patches.
            _ => path.contains(&"jsonPatches") && key == "value",
        },
        Kind::SecurityPolicy => !SECURITY_CONTAINERS.contains(&key),
        Kind::Service => path.is_empty() && !["ports", "selector"].contains(&key),
        _ => false,
    }
}

/// The typed fields of a SecurityPolicy that hold lists or objects; everything else is a plain value or raw.
const SECURITY_CONTAINERS: &[&str] = &[
    "targetRef",
    "targetRefs",
    "jwt",
    "extAuth",
    "providers",
    "audiences",
    "remoteJWKS",
    "localJWKS",
    "valueRef",
    "claimToHeaders",
    "extractFrom",
    "headers",
    "cookies",
    "params",
    "grpc",
    "http",
    "headersToExtAuth",
    "bodyToExtAuth",
    "backendRef",
    "backendRefs",
    "headersToBackend",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn spec_of(object: &Object) -> Value {
        object.manifest()["spec"].clone()
    }

    #[test]
    fn a_manifest_is_what_was_written() {
        let written = json!({
            "metadata": {"name": "web", "namespace": "apps", "generation": 3, "labels": {"team": "a"}},
            "spec": {
                "parentRefs": [{"name": "edge", "sectionName": "http"}],
                "rules": [{
                    "matches": [{"path": {"type": "Exact", "value": "/a"}}],
                    "filters": [{"type": "ExternalAuth", "externalAuth": {"protocol": "GRPC", "grpc": {}}}],
                    "backendRefs": [{"name": "a", "port": 80}],
                }],
            },
        });
        let object = Object::HTTPRoute(Arc::new(serde_json::from_value(written.clone()).unwrap()));
        let mut expected = written;
        expected["apiVersion"] = json!("gateway.networking.k8s.io/v1");
        expected["kind"] = json!("HTTPRoute");
        assert_eq!(object.manifest(), expected);
    }

    #[test]
    fn an_empty_selector_stays_since_it_matches_everything() {
        let gateway = json!({"metadata": {"name": "g", "namespace": "n"}, "spec": {"gatewayClassName": "c", "tls": {},
            "listeners": [{"name": "l", "port": 80, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {}}}}]}});
        let spec = spec_of(&Object::Gateway(Arc::new(serde_json::from_value(gateway.clone()).unwrap())));
        assert_eq!(spec, gateway["spec"]);
    }

    #[test]
    fn the_values_of_patches_are_kept_as_they_are() {
        let policy = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"type": "JSONPatch", "priority": 1,
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"},
            "jsonPatches": [{"type": "t", "name": "l", "operation": {"op": "add", "path": "/a", "value": {"b": [], "c": null}}}]}});
        let spec = spec_of(&Object::EnvoyPatchPolicy(Arc::new(serde_json::from_value(policy.clone()).unwrap())));
        assert_eq!(spec, policy["spec"]);
    }

    #[test]
    fn fields_that_are_not_built_are_kept_as_they_are() {
        let proxy = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"telemetry": {"metrics": {}},
            "provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": {}}}, "concurrency": 2}});
        let spec = spec_of(&Object::EnvoyProxy(Arc::new(serde_json::from_value(proxy.clone()).unwrap())));
        assert_eq!(spec, proxy["spec"]);
        let policy = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"cors": {"allowOrigins": []},
            "targetRefs": [{"group": "g", "kind": "Gateway", "name": "g"}],
            "jwt": {"providers": [{"name": "a", "remoteJWKS": {"uri": "https://a", "backendSettings": {"retry": {}}}}]}}});
        let spec = spec_of(&Object::SecurityPolicy(Arc::new(serde_json::from_value(policy.clone()).unwrap())));
        assert_eq!(spec, policy["spec"]);
    }

    #[test]
    fn a_secret_shows_its_keys_only() {
        let secret = json!({"metadata": {"name": "s", "namespace": "n"}, "type": "kubernetes.io/tls",
            "data": {"tls.key": "cHJpdmF0ZQ=="}, "stringData": {"tls.crt": "public"}});
        let manifest = Object::Secret(Arc::new(serde_json::from_value(secret).unwrap())).manifest();
        assert_eq!(manifest["data"], json!({"tls.key": "[redacted]"}));
        assert_eq!(manifest["stringData"], json!({"tls.crt": "[redacted]"}));
        assert_eq!(manifest["apiVersion"], "v1");
    }

    #[test]
    fn a_cluster_scoped_object_has_no_namespace() {
        let class = json!({"metadata": {"name": "c", "namespace": "stray"}, "spec": {"controllerName": "a/b"}});
        let manifest = Object::GatewayClass(Arc::new(serde_json::from_value(class).unwrap())).manifest();
        assert_eq!(manifest["metadata"], json!({"name": "c", "generation": 0}));
        assert_eq!(manifest["spec"], json!({"controllerName": "a/b"}));
    }
}
