//! Manifests as values, so that a test shows only what it is about.

use argosy::cli::demo::DemoIdentity;
use serde_json::{Value, json};

/// The first controllerName of the settings that `Argosy` writes.
pub(crate) const PUBLIC: &str = "gateway.envoyproxy.io/gatewayclass-controller";
/// The second.
pub(crate) const INTERNAL: &str = "gateway.envoyproxy.io/internal-gatewayclass-controller";

const GROUP: &str = "gateway.networking.k8s.io";

/// Several objects as one file. JSON is YAML.
pub(crate) fn file(objects: &[Value]) -> String {
    objects.iter().map(|object| format!("---\n{object:#}\n")).collect()
}

/// An object of Gateway API, version v1.
fn object(kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

/// A GatewayClass.
pub(crate) fn class(name: &str, controller: &str) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": "GatewayClass", "metadata": {"name": name},
        "spec": {"controllerName": controller}})
}

/// A GatewayClass with parameters, and the EnvoyProxy `default/<name>` that they are.
pub(crate) fn class_with_proxy(name: &str, controller: &str, spec: &Value) -> [Value; 2] {
    let mut class = class(name, controller);
    class["spec"]["parametersRef"] =
        json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "namespace": "default", "name": name});
    [class, envoy_proxy(name, spec)]
}

/// An EnvoyProxy in namespace `default`.
pub(crate) fn envoy_proxy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
        "metadata": {"namespace": "default", "name": name}, "spec": spec})
}

/// An EnvoyProxy that lets Envoys end soon, for tests that end them in order.
pub(crate) fn hasty() -> Value {
    json!({"shutdown": {"drainTimeout": "1s"}})
}

/// A Gateway in namespace `default`.
pub(crate) fn gateway(name: &str, class: &str, listeners: &[Value]) -> Value {
    object("Gateway", "default", name, &json!({"gatewayClassName": class, "listeners": listeners}))
}

/// A listener for HTTP that takes routes of all namespaces.
pub(crate) fn http(name: &str, port: u16) -> Value {
    json!({"name": name, "port": port, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}})
}

/// A listener for HTTPS and one hostname, with a Secret of the Gateway's namespace.
pub(crate) fn https(name: &str, port: u16, hostname: &str, secret: &str) -> Value {
    json!({"name": name, "port": port, "protocol": "HTTPS", "hostname": hostname,
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": secret}]},
        "allowedRoutes": {"namespaces": {"from": "All"}}})
}

/// An HTTPRoute in namespace `default`, on a Gateway there.
pub(crate) fn http_route(name: &str, gateway: &str, hostnames: &[&str], rules: &[Value]) -> Value {
    let spec = json!({"parentRefs": [{"name": gateway}], "hostnames": hostnames, "rules": rules});
    object("HTTPRoute", "default", name, &spec)
}

/// A GRPCRoute in namespace `default`, on a Gateway there.
pub(crate) fn grpc_route(name: &str, gateway: &str, hostnames: &[&str], rules: &[Value]) -> Value {
    let spec = json!({"parentRefs": [{"name": gateway}], "hostnames": hostnames, "rules": rules});
    object("GRPCRoute", "default", name, &spec)
}

/// A rule: a path prefix leads to a Service.
pub(crate) fn prefix(path: &str, service: &str) -> Value {
    rule("PathPrefix", path, service)
}

/// A rule: a path of some type leads to a Service.
pub(crate) fn rule(kind: &str, path: &str, service: &str) -> Value {
    json!({"matches": [{"path": {"type": kind, "value": path}}], "backendRefs": [backend(service)]})
}

/// A reference to a Service made by `service`.
pub(crate) fn backend(service: &str) -> Value {
    json!({"name": service, "port": 80})
}

/// A Service in namespace `default`, port 80, and its one endpoint on 127.0.0.1.
pub(crate) fn service(name: &str, port: u16) -> [Value; 2] {
    service_in("default", name, port)
}

/// The same in another namespace.
pub(crate) fn service_in(namespace: &str, name: &str, port: u16) -> [Value; 2] {
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": port}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": namespace, "name": format!("{name}-1"),
                "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}),
    ]
}

/// A TLS Secret in namespace `default`.
pub(crate) fn secret(name: &str, identity: &DemoIdentity) -> String {
    format!("---\n{}", identity.secret("default", name))
}

/// A SecurityPolicy in namespace `default` for one HTTPRoute.
pub(crate) fn security_policy(name: &str, route: &str, spec: &Value) -> Value {
    let mut policy = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"namespace": "default", "name": name}, "spec": spec});
    policy["spec"]["targetRefs"] = json!([{"group": GROUP, "kind": "HTTPRoute", "name": route}]);
    policy
}

/// An EnvoyPatchPolicy in namespace `default` for a Gateway there.
pub(crate) fn patch_policy(name: &str, gateway: &str, patches: &[Value]) -> Value {
    json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "JSONPatch", "targetRef": {"group": GROUP, "kind": "Gateway", "name": gateway},
            "jsonPatches": patches}})
}

/// A patch of one resource; `kind` is `listener`, `cluster` or `route`.
pub(crate) fn patch(kind: &str, name: &str, operation: &Value) -> Value {
    let message = match kind {
        "listener" => "listener.v3.Listener",
        "cluster" => "cluster.v3.Cluster",
        _ => "route.v3.RouteConfiguration",
    };
    json!({"type": format!("type.googleapis.com/envoy.config.{message}"), "name": name, "operation": operation})
}

/// What most tests begin with: class `c`, Gateway `default/g` with an HTTP listener on port 8080, Service `one`.
pub(crate) fn base(one: u16) -> Vec<Value> {
    let [class, proxy] = class_with_proxy("c", PUBLIC, &hasty());
    let mut objects = vec![class, proxy, gateway("g", "c", &[http("http", 8080)])];
    objects.extend(service("one", one));
    objects
}
