//! GatewayClasses, addresses, old versions, and who may attach.

use crate::harness::Argosy;
use crate::harness::manifests::{INTERNAL, PUBLIC, base, class, file, gateway, http, http_route, prefix, service};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn classes_with_one_controller_name_are_all_accepted_and_serve() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.extend([
        class("d", PUBLIC),
        gateway("h", "d", &[http("http", 8080)]),
        http_route("on-g", "g", &[], &[prefix("/", "one")]),
        http_route("on-h", "h", &[], &[prefix("/", "one")]),
    ]);
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    for name in ["c", "d"] {
        argosy.condition(["GatewayClass", "", name], "Accepted=True/Accepted").await;
    }
    let (g, h) = (argosy.proxy("default/g").await, argosy.proxy("default/h").await);
    assert_ne!(g.fleet.address, h.fleet.address, "each fleet has an address of its own");
    assert_ne!(g.pid(), h.pid());
    argosy.answers(&g.plain(8080), "h", "/", "200 one").await;
    argosy.answers(&h.plain(8080), "h", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controller_names_are_served_at_once_and_a_third_is_left_alone() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.extend([
        class("i", INTERNAL),
        gateway("h", "i", &[http("http", 8080)]),
        class("foreign", "example.com/somebody-else"),
        gateway("f", "foreign", &[http("http", 8080)]),
        http_route("on-g", "g", &[], &[prefix("/", "one")]),
        http_route("on-h", "h", &[], &[prefix("/", "one")]),
    ]);
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    for name in ["g", "h"] {
        let proxy = argosy.proxy(&format!("default/{name}")).await;
        argosy.answers(&proxy.plain(8080), "h", "/", "200 one").await;
    }
    let proxies = argosy.api("/api/v1/proxies").await.unwrap();
    let mut classes: Vec<&str> =
        proxies.as_array().unwrap().iter().filter_map(|proxy| proxy["class"].as_str()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["internal", "public"]);
    let status = argosy.api("/api/v1/status").await.unwrap();
    let foreign = status["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "f").unwrap();
    assert!(foreign["status"]["conditions"].as_array().is_none_or(Vec::is_empty), "not ours: {foreign:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_of_another_namespace_is_told_which_listener_keeps_it_out_and_how_to_open_it() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let closed = |from: Option<&str>| {
        let mut listener = http("web", 8080);
        listener["allowedRoutes"] = from.map_or(Value::Null, |from| json!({"namespaces": {"from": from}}));
        if from.is_none() {
            listener.as_object_mut().unwrap().remove("allowedRoutes");
        }
        file(&[gateway("s", "c", &[listener])])
    };
    let mut route = http_route("guest", "s", &[], &[prefix("/", "one")]);
    route["metadata"]["namespace"] = json!("myproject");
    route["spec"]["parentRefs"][0]["namespace"] = json!("default");
    let mut objects = base(one);
    objects.extend(crate::harness::manifests::service_in("myproject", "one", one));
    objects.push(route);
    argosy.write("base.yaml", file(&objects));
    argosy.write("gateway.yaml", closed(None));
    argosy.start().await;
    let message = argosy.condition(["HTTPRoute", "myproject", "guest"], "Accepted=False/NotAllowedByListeners").await;
    for part in ["\"web\"", "Same", "allowedRoutes.namespaces.from", "All", "myproject"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    let target = argosy.proxy("default/s").await.plain(8080);
    argosy.answers(&target, "h", "/", "404").await;
    argosy.write("gateway.yaml", closed(Some("All")));
    argosy.condition(["HTTPRoute", "myproject", "guest"], "Accepted=True/Accepted").await;
    argosy.answers(&target, "h", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_are_read_with_a_warning_that_names_the_current_one() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let old = r"
apiVersion: gateway.networking.k8s.io/v1beta1
kind: GatewayClass
metadata: {name: old}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: old, namespace: default}
---
apiVersion: config.gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: old}
spec: {concurrency: 1}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: GRPCRoute
metadata: {name: old}
spec:
  parentRefs: [{name: s}]
  rules: [{backendRefs: [{name: one, port: 80}]}]
";
    argosy.write("old.yaml", old);
    let mut objects = vec![gateway("s", "old", &[http("http", 8080)])];
    objects.extend(service("one", one));
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    for (kind, current) in [
        ("GatewayClass", "gateway.networking.k8s.io/v1"),
        ("EnvoyProxy", "gateway.envoyproxy.io/v1alpha1"),
        ("GRPCRoute", "gateway.networking.k8s.io/v1"),
    ] {
        let finding = argosy.finding(&["old.yaml", kind, current, "warning"]).await;
        assert!(finding["code"].as_str().is_some_and(|code| code.starts_with("ARG")), "{finding}");
    }
    let proxy = argosy.proxy("default/s").await;
    assert_eq!(proxy.stat("server.concurrency").await, 1, "the EnvoyProxy of the old group is in force");
    let call = proxy.plain(8080).grpc("h", "/a.B/C", b"\x0a\x02hi").await.unwrap();
    assert_eq!(call.grpc_status, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_gateway_names_is_bound_and_stands_in_its_status() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let wanted = argosy.address(77);
    let mut internal = gateway("s", "c", &[http("http", 8080)]);
    internal["spec"]["addresses"] = json!([{"type": "IPAddress", "value": wanted}]);
    let mut objects = base(one);
    objects.extend([internal, http_route("all", "s", &[], &[prefix("/", "one")])]);
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    let proxy = argosy.proxy("default/s").await;
    assert_eq!(proxy.fleet.address.to_string(), wanted);
    argosy.answers(&proxy.plain(8080), "h", "/", "200 one").await;
    argosy.condition(["Gateway", "default", "s"], "Programmed=True/Programmed").await;
    for name in ["s", "g"] {
        let own = argosy.proxy(&format!("default/{name}")).await.fleet.address.to_string();
        argosy
            .object(["Gateway", "default", name], "its address stands in its status", |gateway| {
                (gateway["status"]["addresses"][0]["value"] == own.as_str()).then_some(())
            })
            .await;
    }
}
