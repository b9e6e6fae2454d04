//! Generated objects for benches and load tests.

use serde_json::{Value, json};

/// A class, a Gateway `bench/gateway` with one HTTP listener that takes all routes, and `routes` routes of one rule
/// each, every route with a hostname, a Service and an EndpointSlice of its own.
pub fn gateway_with_routes(controller_name: &str, routes: usize) -> Vec<Value> {
    let mut objects = vec![
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "bench"},
            "spec": {"controllerName": controller_name}}),
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": "gateway", "namespace": "bench"},
            "spec": {"gatewayClassName": "bench", "listeners": [{"name": "http", "port": 8080, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "All"}}}]}}),
    ];
    for index in 0..routes {
        objects.extend([route(index, "/"), service(index), slice(index, 1)]);
    }
    objects
}

/// Route `index` with one prefix match.
pub fn route(index: usize, prefix: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": format!("route-{index}"), "namespace": "bench"},
        "spec": {"parentRefs": [{"name": "gateway"}], "hostnames": [format!("host-{index}.example.com")],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
                "backendRefs": [{"name": format!("service-{index}"), "port": 80}]}]}})
}

/// Service `index`.
pub fn service(index: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": format!("service-{index}"), "namespace": "bench"},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
}

/// The EndpointSlice of Service `index` with `endpoints` addresses.
pub fn slice(index: usize, endpoints: usize) -> Value {
    let endpoints: Vec<Value> =
        (0..endpoints).map(|n| json!({"addresses": [format!("127.1.{}.{}", n / 250, n % 250 + 1)]})).collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("service-{index}-1"), "namespace": "bench",
            "labels": {"kubernetes.io/service-name": format!("service-{index}")}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 8080}]})
}
