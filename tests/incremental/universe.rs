//! A small world: for every slot one object with up to six variants, whose references point at each other in all ways
//! that translation follows.

use argosy::cli::demo::DemoIdentity;
use argosy::model::ObjectKey;
use argosy::provider::file::parse;
use argosy::store::Object;
use serde_json::{Value, json};

const GATEWAYS: usize = 3;
const ROUTES: usize = 6;
const SERVICES: usize = 4;

/// The slot of the EnvoyProxy.
pub(crate) const PROXY: usize = 2 + GATEWAYS + ROUTES + SERVICES * 2 + 2 + 2 + 2;

/// How many objects there are.
pub(crate) const SLOTS: usize = 2 + GATEWAYS + ROUTES + SERVICES * 2 + 2 + 2 + 2 + 1 + 2 + 2 + 1;

pub(crate) struct Universe {
    certificates: Vec<(String, String)>,
}

impl Universe {
    pub(crate) fn new() -> Self {
        let make = |name: &str| {
            let identity = DemoIdentity::generate(&[name]).unwrap_or_else(|_| panic!("a certificate"));
            (identity.certificate, identity.key)
        };
        Self { certificates: vec![make("a.example.com"), make("b.example.com")] }
    }

    pub(crate) fn key(&self, slot: usize) -> ObjectKey {
        self.object(slot, 0, 1).key()
    }

    /// The object of a slot in one of its variants.
    pub(crate) fn object(&self, slot: usize, variant: usize, generation: i64) -> Object {
        let mut value = self.value(slot, variant);
        value["metadata"]["generation"] = json!(generation);
        let text = serde_json::to_vec(&value).unwrap();
        let parsed = parse("universe.json", &text);
        let found = parsed.objects.into_iter().next();
        let (mut object, _) = found.unwrap_or_else(|| panic!("{value} is no object: {:?}", parsed.findings));
        set_generation(&mut object, generation);
        object
    }

    fn value(&self, slot: usize, v: usize) -> Value {
        let mut slot = slot;
        let mut take = |count: usize| {
            let here = slot < count;
            let index = slot;
            slot = slot.wrapping_sub(if here { 0 } else { count });
            here.then_some(index)
        };
        if let Some(i) = take(2) {
            return class(i, v);
        }
        if let Some(i) = take(GATEWAYS) {
            return gateway(i, v);
        }
        if let Some(i) = take(ROUTES) {
            return route(i, v);
        }
        if let Some(i) = take(SERVICES) {
            return service(i, v);
        }
        if let Some(i) = take(SERVICES) {
            return slice(i, v);
        }
        if let Some(i) = take(2) {
            return self.secret(i, v);
        }
        if let Some(i) = take(2) {
            return grant(i, v);
        }
        if let Some(i) = take(2) {
            return namespace(i, v);
        }
        if take(1).is_some() {
            return proxy(v);
        }
        if let Some(i) = take(2) {
            return security(i, v);
        }
        if let Some(i) = take(2) {
            return patch(i, v);
        }
        config_map(v)
    }

    fn secret(&self, i: usize, v: usize) -> Value {
        let (certificate, key) = &self.certificates[v % 2];
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("cert{i}"), "namespace": ns(i)},
            "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key}})
    }
}

fn set_generation(object: &mut Object, generation: i64) {
    macro_rules! set { ($($variant:ident),*) => { match object { $(Object::$variant(object) => {
        std::sync::Arc::make_mut(object).metadata.generation = generation;
    })* } } }
    set!(
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
    );
}

fn ns(i: usize) -> &'static str {
    if i.is_multiple_of(2) { "left" } else { "right" }
}

fn gateway_api(kind: &str, name: &str, namespace: Option<&str>, spec: Value) -> Value {
    object("gateway.networking.k8s.io/v1", kind, name, namespace, spec)
}

fn object(version: &str, kind: &str, name: &str, namespace: Option<&str>, spec: Value) -> Value {
    let mut value = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    if let Some(namespace) = namespace {
        value["metadata"]["namespace"] = json!(namespace);
    }
    value
}

fn class(i: usize, v: usize) -> Value {
    let controllers = ["example.com/public", "example.com/internal", "example.org/foreign"];
    let mut spec = json!({"controllerName": controllers[(i + v / 2) % 3]});
    if v.is_multiple_of(2) {
        spec["parametersRef"] =
            json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy", "namespace": "left"});
    }
    gateway_api("GatewayClass", &format!("class{i}"), None, spec)
}

fn gateway(i: usize, v: usize) -> Value {
    let from = ["All", "Same", "Selector", "All", "All", "None"][v];
    let mut namespaces = json!({"from": from});
    if from == "Selector" {
        namespaces["selector"] = json!({"matchLabels": {"team": "blue"}});
    }
    let allowed = json!({"namespaces": namespaces});
    let mut listeners = vec![json!({"name": "web", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed})];
    if v % 3 == 1 {
        listeners.push(json!({"name": "narrow", "port": 80, "protocol": "HTTP", "hostname": "a.example.com",
            "allowedRoutes": {"namespaces": {"from": "All"}}}));
    }
    if v != 2 {
        let secret = json!({"name": format!("cert{}", (i + v) % 2), "namespace": ns(i + v)});
        listeners.push(json!({"name": "tls", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com",
            "tls": {"certificateRefs": [secret]}, "allowedRoutes": {"namespaces": {"from": "All"}}}));
    }
    if v == 4 {
        listeners.push(json!({"name": "clash", "port": 443, "protocol": "HTTP"}));
    }
    let mut spec = json!({"gatewayClassName": format!("class{}", (i + v) % 2), "listeners": listeners});
    // An EnvoyProxy that is missing would keep what was served before, which a start from scratch cannot know.
    if v == 3 && ns(i) == "left" {
        spec["infrastructure"] =
            json!({"parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy"}});
    }
    gateway_api("Gateway", &format!("gateway{i}"), Some(ns(i)), spec)
}

fn route(i: usize, v: usize) -> Value {
    let grpc = i == ROUTES - 1;
    let parents = match v {
        0 => vec![json!({"name": "gateway0", "namespace": "left"})],
        1 => vec![
            json!({"name": "gateway0", "namespace": "left", "sectionName": "web"}),
            json!({"name": "gateway1", "namespace": "right"}),
        ],
        2 => vec![json!({"name": "gateway1", "namespace": "right", "port": 443})],
        3 => vec![json!({"name": "gateway2", "namespace": "left"}), json!({"name": "absent", "namespace": "left"})],
        4 => vec![json!({"name": format!("gateway{}", i % GATEWAYS), "namespace": ns(i % GATEWAYS)})],
        _ => vec![json!({"name": "gateway0", "namespace": "left", "sectionName": "nowhere"})],
    };
    let hostnames = match (i + v) % 4 {
        0 => json!([]),
        1 => json!(["a.example.com"]),
        2 => json!(["*.example.com", "a.example.com"]),
        _ => json!(["b.example.org"]),
    };
    let backend = |n: usize, weight: u32| {
        json!({"name": format!("service{}", n % SERVICES), "namespace": ns(n % SERVICES),
        "port": 8080 + (n % 2), "weight": weight})
    };
    let matches = match (grpc, v % 3) {
        (true, 0) => json!([{"method": {"service": "a.B", "method": "C"}}]),
        (true, _) => json!([{"method": {"service": format!("a.S{v}")}}]),
        (false, 0) => json!([{"path": {"type": "PathPrefix", "value": format!("/p{i}")}}]),
        (false, 1) => json!([{"path": {"type": "Exact", "value": "/same"}, "headers": [{"name": "x", "value": "1"}]},
            {"method": "GET"}]),
        (false, _) => json!([{"path": {"type": "RegularExpression", "value": if v == 5 { "/[a" } else { "/r.*" }}}]),
    };
    let mut rule = json!({"matches": matches, "backendRefs": [backend(i + v, 3), backend(i, 1)]});
    match v {
        1 => rule["name"] = json!("first"),
        2 => {
            rule["filters"] = json!([{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X", "value": "y"}]}}])
        }
        3 => rule["filters"] = json!([{"type": "RequestMirror", "requestMirror": {"backendRef": backend(i + 1, 1)}}]),
        _ => {}
    }
    let rules = json!([rule, {"backendRefs": [backend(v, 1)]}]);
    let kind = if grpc { "GRPCRoute" } else { "HTTPRoute" };
    gateway_api(
        kind,
        &format!("route{i}"),
        Some(ns(i + v / 5)),
        json!({"parentRefs": parents, "hostnames": hostnames, "rules": rules}),
    )
    .into_named(i)
}

trait IntoNamed {
    fn into_named(self, i: usize) -> Value;
}

impl IntoNamed for Value {
    /// A slot is one object: its namespace must not depend on the variant.
    fn into_named(mut self, i: usize) -> Value {
        self["metadata"]["namespace"] = json!(ns(i));
        self
    }
}

fn service(i: usize, v: usize) -> Value {
    let mut port = json!({"name": "http", "port": 8080 + (i % 2), "targetPort": 3000});
    if v == 1 {
        port["appProtocol"] = json!("kubernetes.io/h2c");
    }
    let mut spec = json!({"ports": [port]});
    if v == 2 {
        spec["ports"] = json!([{"name": "http", "port": 9999}]);
    }
    if v == 3 {
        spec = json!({"type": "ExternalName", "externalName": "elsewhere.example.net", "ports": [{"port": 8080}]});
    }
    object("v1", "Service", &format!("service{i}"), Some(ns(i)), spec)
}

fn slice(i: usize, v: usize) -> Value {
    let endpoints: Vec<Value> =
        (0..v).map(|n| json!({"addresses": [format!("10.0.{i}.{n}")], "conditions": {"ready": n != 3}})).collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("slice{i}"), "namespace": ns(i),
            "labels": {"kubernetes.io/service-name": format!("service{}", if v == 5 { (i + 2) % SERVICES } else { i })}},
        "endpoints": endpoints, "ports": [{"name": "http", "port": 3000}]})
}

fn grant(i: usize, v: usize) -> Value {
    let kinds = if v.is_multiple_of(2) {
        ["HTTPRoute", "GRPCRoute", "Gateway"]
    } else {
        ["HTTPRoute", "SecurityPolicy", "Gateway"]
    };
    let from: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let group = if *kind == "SecurityPolicy" { "gateway.envoyproxy.io" } else { "gateway.networking.k8s.io" };
            json!({"group": group, "kind": kind, "namespace": ns(i + 1)})
        })
        .collect();
    let to = match v {
        0 | 1 => json!([{"group": "", "kind": "Service"}]),
        2 | 3 => json!([{"group": "", "kind": "Secret"}]),
        _ => json!([{"group": "", "kind": "Service", "name": "service1"}, {"group": "", "kind": "Secret"}]),
    };
    gateway_api("ReferenceGrant", "grant", Some(ns(i)), json!({"from": from, "to": to}))
}

fn namespace(i: usize, v: usize) -> Value {
    let team = if v.is_multiple_of(2) { "blue" } else { "red" };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns(i), "labels": {"team": team}}})
}

fn proxy(v: usize) -> Value {
    let spec = match v {
        0 | 1 => json!({"concurrency": v + 1}),
        2 => json!({"logging": {"level": {"default": "debug"}}}),
        3 => json!({"bootstrap": {"type": "Merge", "value": "admin: {access_log_path: /dev/null}"}}),
        _ => json!({}),
    };
    object("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", "proxy", Some("left"), spec)
}

fn security(i: usize, v: usize) -> Value {
    let target = match v {
        0 | 1 => json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": format!("route{i}")}),
        2 => {
            json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": format!("route{i}"), "sectionName": "first"})
        }
        3 => json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "route3"}),
        _ => json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": format!("gateway{i}")}),
    };
    let mut spec = json!({"targetRefs": [target]});
    match v % 3 {
        0 => {
            spec["extAuth"] =
                json!({"http": {"backendRefs": [{"name": "service1", "namespace": "right", "port": 8081}]}})
        }
        1 => {
            spec["jwt"] = json!({"providers": [{"name": "p", "localJWKS": {"type": "ValueRef",
                "valueRef": {"group": "", "kind": "ConfigMap", "name": "keys"}}}]})
        }
        _ => spec["basicAuth"] = json!({"users": {"name": "x"}}),
    }
    object("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", &format!("policy{i}"), Some(ns(i)), spec)
}

fn patch(i: usize, v: usize) -> Value {
    let name = if v.is_multiple_of(2) { format!("{}/gateway{i}/web", ns(i)) } else { "nothing".to_owned() };
    let operation = match v {
        0 | 1 => json!({"op": "add", "path": "/per_connection_buffer_limit_bytes", "value": 1000 + v}),
        2 => json!({"op": "replace", "path": "/no/such/place", "value": 1}),
        _ => json!({"op": "add", "path": "/continue_on_listener_filters_timeout", "value": true}),
    };
    let spec = json!({"type": "JSONPatch", "priority": v,
        "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": format!("gateway{}", if v == 5 { 7 } else { i })},
        "jsonPatches": [{"type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": name, "operation": operation}]});
    object("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy", &format!("patch{i}"), Some(ns(i)), spec)
}

fn config_map(v: usize) -> Value {
    let keys = if v == 3 {
        "no JSON".to_owned()
    } else {
        format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"QUFB\",\"kid\":\"{v}\"}}]}}")
    };
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keys", "namespace": "left"}, "data": {"jwks": keys}})
}
