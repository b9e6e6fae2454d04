//! Bootstraps of users: merged, patched, replaced, refused.

use crate::harness::manifests::{
    PUBLIC, class_with_proxy, envoy_proxy, file, gateway, http, http_route, prefix, service,
};
use crate::harness::{Argosy, Proxy};
use serde_json::{Value, json};

/// A running gateway whose EnvoyProxy stands in a file of its own, `proxy.yaml`.
async fn start(proxy: &Value) -> (Argosy, Proxy) {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let [class, _] = class_with_proxy("c", PUBLIC, &json!({}));
    let mut objects = vec![class, gateway("g", "c", &[http("http", 8080)])];
    objects.extend(service("one", one));
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    write(&argosy, proxy);
    argosy.start().await;
    let proxy = argosy.proxy("default/g").await;
    argosy.answers(&proxy.plain(8080), "h", "/", "200 one").await;
    (argosy, proxy)
}

fn write(argosy: &Argosy, bootstrap: &Value) {
    let spec = json!({"shutdown": {"drainTimeout": "1s"}, "bootstrap": bootstrap});
    argosy.write("proxy.yaml", file(&[envoy_proxy("c", &spec)]));
}

/// Waits until the fleet runs with a bootstrap whose node stands in a region, and serves.
async fn runs_in(argosy: &Argosy, region: &str) {
    let proxy = argosy
        .wait(&format!("an Envoy with region {region}"), async || {
            let proxy = argosy.synced("default/g").await?;
            let node = proxy.node().await?;
            if node["locality"]["region"] == region { Ok(proxy) } else { Err(node["locality"].to_string()) }
        })
        .await;
    argosy.answers(&proxy.plain(8080), "h", "/", "200 one").await;
}

fn merge(region: &str) -> Value {
    json!({"type": "Merge", "value": json!({"node": {"locality": {"region": region}}}).to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_is_merged_and_follows_its_edits() {
    let (argosy, _) = start(&merge("moon")).await;
    runs_in(&argosy, "moon").await;
    write(&argosy, &merge("mars"));
    runs_in(&argosy, "mars").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_is_patched() {
    let operation = json!({"op": "add", "path": "/node/locality", "value": {"region": "venus"}});
    let (argosy, _) = start(&json!({"type": "JSONPatch", "jsonPatches": [operation]})).await;
    runs_in(&argosy, "venus").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_is_replaced_by_a_whole_one_that_keeps_the_connection() {
    let (argosy, proxy) = start(&merge("moon")).await;
    let dump: Value = serde_json::from_str(&proxy.admin("/config_dump").await.unwrap()).unwrap();
    let sections = dump["configs"].as_array().unwrap();
    let mut bootstrap = sections.iter().find_map(|section| section.get("bootstrap")).unwrap().clone();
    let node = bootstrap["node"].as_object_mut().unwrap();
    // What Envoy says of itself.
    for own in ["extensions", "user_agent_name", "user_agent_build_version"] {
        node.remove(own);
    }
    node.insert("locality".to_owned(), json!({"region": "pluto"}));
    write(&argosy, &json!({"type": "Replace", "value": bootstrap.to_string()}));
    runs_in(&argosy, "pluto").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_is_no_good_is_refused_with_its_place_and_the_fleet_goes_on() {
    let (argosy, proxy) = start(&merge("moon")).await;
    let with_tab = "admin:\n  accessLog:\n\t- x\n";
    let unknown = json!({"no_such_field": 1}).to_string();
    let elsewhere =
        json!({"static_resources": {"clusters": []}, "dynamic_resources": {"ads_config": {"api_type": "GRPC"}}});
    for (bootstrap, says) in [
        (json!({"type": "Replace", "value": with_tab}), vec!["line 3", "column", "tab"]),
        (json!({"type": "Merge", "value": unknown}), vec!["no_such_field"]),
        (json!({"type": "Merge", "value": elsewhere.to_string()}), vec!["dynamic_resources"]),
        (json!({"type": "Replace", "value": "just text"}), vec!["mapping"]),
    ] {
        write(&argosy, &bootstrap);
        // Whoever refuses it: the class that names it, or the EnvoyProxy itself.
        argosy
            .wait(&format!("a condition says {says:?}"), async || {
                let list = argosy.api("/api/v1/status").await?;
                let kinds = ["GatewayClass", "EnvoyProxy", "Gateway"];
                let items = list["items"].as_array().into_iter().flatten();
                let text: String = items
                    .filter(|item| kinds.iter().any(|kind| item["kind"] == *kind))
                    .map(|item| item["status"].to_string())
                    .collect();
                if says.iter().all(|part| text.contains(part)) { Ok(()) } else { Err(text) }
            })
            .await;
        assert_eq!(proxy.plain(8080).get("h", "/", &[]).await.unwrap().status, 200);
        assert_eq!(proxy.node().await.unwrap()["locality"]["region"], "moon");
    }
    write(&argosy, &merge("mars"));
    runs_in(&argosy, "mars").await;
}
