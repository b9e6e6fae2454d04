//! HTTPRoutes: hostnames, prefixes, weights, regular expressions, ExternalName.

use crate::harness::Argosy;
use crate::harness::manifests::{backend, base, file, http_route, prefix, rule, service};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
/// As people write it, slashes escaped.
const USER: &str = r"\/user\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\/send";

/// A running gateway `default/g` with the Services `one` and `two`.
async fn start(routes: &[Value]) -> (Argosy, argosy::cli::demo::client::Target) {
    let mut argosy = Argosy::prepare();
    let (one, two) = (argosy.backends.echo("one").await, argosy.backends.echo("two").await);
    let mut objects = base(one);
    objects.extend(service("two", two));
    argosy.write("base.yaml", file(&objects));
    argosy.write("routes.yaml", file(routes));
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    (argosy, target)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_and_a_prefix_lead_to_a_backend_and_nothing_else_does() {
    let route = http_route("r", "g", &["api.mydomain.tld"], &[prefix("/v2", "one")]);
    let (argosy, target) = start(&[route]).await;
    for path in ["/v2", "/v2/", "/v2/x/y", "/v2?a=b"] {
        argosy.answers(&target, "api.mydomain.tld", path, "200 one").await;
    }
    for (host, path) in [("api.mydomain.tld", "/v2x"), ("api.mydomain.tld", "/"), ("other.mydomain.tld", "/v2")] {
        assert_eq!(target.get(host, path, &[]).await.unwrap().status, 404, "{host}{path}");
    }
    // The port of the Host header means nothing for matching and still reaches the backend.
    let answer = target.get("api.mydomain.tld:1234", "/v2", &[]).await.unwrap();
    assert_eq!((answer.status, &answer.json()["host"]), (200, &json!("api.mydomain.tld:1234")));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_shares_and_a_backend_that_cannot_be_resolved_answers_500_for_its_own() {
    let weighted = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    let shares = |path: &str, backends: Vec<Value>| json!({"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": backends});
    let route = http_route(
        "r",
        "g",
        &[],
        &[
            shares("/split", vec![weighted("one", 3), weighted("two", 1)]),
            shares("/broken", vec![weighted("one", 1), weighted("missing", 1)]),
            shares("/none", vec![weighted("one", 1), weighted("two", 0)]),
        ],
    );
    let (argosy, target) = start(&[route]).await;
    argosy.answers(&target, "h", "/none", "200").await;
    let mut session = target.session("h").await.unwrap();
    let mut count = async |path: &str| {
        let mut found: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..400 {
            assert!(session.usable().await, "the connection stays open");
            let answer = session.get(path, &[]).await.unwrap();
            *found.entry(answer.backend().unwrap_or_else(|| answer.status.to_string())).or_default() += 1;
        }
        found
    };
    // 400 draws at 3/4 have a standard deviation of 8.7: these bounds are 7 of them away.
    let split = count("/split").await;
    assert!((240..=360).contains(&split["one"]) && split["one"] + split["two"] == 400, "{split:?}");
    let broken = count("/broken").await;
    assert!((130..=270).contains(&broken["500"]) && broken["one"] + broken["500"] == 400, "{broken:?}");
    assert_eq!(count("/none").await, BTreeMap::from([("one".to_owned(), 400)]));
    let message = argosy.condition(["HTTPRoute", "default", "r"], "ResolvedRefs=False/BackendNotFound").await;
    assert!(message.contains("default/missing"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regular_expression_has_to_match_the_whole_path() {
    let route = http_route("r", "g", &[], &[rule("RegularExpression", USER, "two"), prefix("/", "one")]);
    let (argosy, target) = start(&[route]).await;
    argosy.answers(&target, "h", &format!("/user/{UUID}/send"), "200 two").await;
    argosy.answers(&target, "h", &format!("/user/{UUID}/send?now=1"), "200 two").await;
    for path in [format!("/user/{UUID}/send/more"), format!("/x/user/{UUID}/send"), "/user/no-uuid/send".to_owned()] {
        let answer = target.get("h", &path, &[]).await.unwrap();
        assert_eq!(answer.backend().as_deref(), Some("one"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_expression_is_a_condition_on_its_rule_and_never_a_nack() {
    let bad = r"\/report\/([0-9a-f";
    let route = |rules: &[Value]| http_route("r", "g", &[], rules);
    let (argosy, target) = start(&[route(&[prefix("/", "one")])]).await;
    argosy.answers(&target, "h", "/", "200 one").await;

    argosy.write("routes.yaml", file(&[route(&[prefix("/", "one"), rule("RegularExpression", bad, "two")])]));
    let message = argosy
        .object(["HTTPRoute", "default", "r"], "some condition shows the expression", |route| {
            let conditions = route["status"]["parents"][0]["conditions"].as_array()?;
            let shown = conditions.iter().filter_map(|condition| condition["message"].as_str());
            shown.into_iter().find(|message| message.contains("report")).map(str::to_owned)
        })
        .await;
    assert!(message.contains("rule"), "the message says which rule: {message}");
    argosy.condition(["HTTPRoute", "default", "r"], "Accepted=True/Accepted").await;
    argosy.answers(&target, "h", "/x", "200 one").await;

    argosy.write("routes.yaml", file(&[route(&[rule("RegularExpression", bad, "two")])]));
    argosy.condition(["HTTPRoute", "default", "r"], "Accepted=False/UnsupportedValue").await;

    argosy.write("routes.yaml", file(&[route(&[prefix("/", "two")])]));
    argosy.answers(&target, "h", "/", "200 two").await;
    let proxy = argosy.proxy("default/g").await;
    assert_eq!(proxy.fleet.last_nack, None);
    assert_eq!(proxy.stats("update_rejected$").await, 0, "Envoy was never asked to refuse anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_type_external_name_is_a_name_for_the_gateway_and_may_be_a_backend() {
    let external = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "myapi"},
        "spec": {"type": "ExternalName", "externalName": "10.43.146.30", "ports": [{"port": 80, "protocol": "TCP"}]}});
    let mut outside = external.clone();
    outside["metadata"]["name"] = json!("outside");
    outside["spec"]["externalName"] = json!("localhost");
    let host = "myapi.default.svc.cluster.local";
    let routes = |port: u16| {
        let mut reference = backend("outside");
        reference["port"] = json!(port);
        let outside = json!({"matches": [{"path": {"value": "/outside"}}], "backendRefs": [reference]});
        http_route("r", "g", &[host], &[prefix("/", "one"), outside])
    };
    let (mut argosy, target) = start(&[external, outside.clone(), routes(1)]).await;
    argosy.answers(&target, host, "/", "200 one").await;
    assert_eq!(target.get("myapi", "/", &[]).await.unwrap().status, 404);
    let port = argosy.backends.echo("outside").await;
    argosy.write("routes.yaml", file(&[outside, routes(port)]));
    argosy.answers(&target, host, "/outside", "200 outside").await;
}
