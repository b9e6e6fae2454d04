//! Edits while requests are under way.

use crate::harness::manifests::{PUBLIC, backend, base, class, file, gateway, http, http_route, prefix, rule, service};
use crate::harness::{Argosy, Load, alive};
use serde_json::{Value, json};

/// Edits of the long run.
const EDITS: usize = 200;
/// Requests a second of the long run.
const RATE: u32 = 500;
/// Rules that come, go, change and move in the long run.
const PATHS: [&str; 4] = ["/a", "/b", "/c", "/d"];

/// What stands in the file after `step` edits: 0 to 4 rules besides the one for everything, in an order and with backends
/// that change from step to step. Services `b0` to `b2` come and go with their rules. Each step differs from the one before
/// by a response header at least, so that one can see which is in force.
fn state(step: usize, ports: &[u16]) -> Vec<Value> {
    let mut rules = Vec::new();
    let mut objects = Vec::new();
    let mut used = std::collections::BTreeSet::new();
    for (index, path) in PATHS.iter().enumerate() {
        // Every rule has a rhythm of its own, so all combinations come by.
        if (step / (index + 1)).is_multiple_of(2) {
            continue;
        }
        let number = (step + index) % ports.len();
        used.insert(number);
        let kind = if step % 5 == index { "Exact" } else { "PathPrefix" };
        rules.push(rule(kind, path, &format!("b{number}")));
    }
    let mut all = prefix("/", if step.is_multiple_of(3) { "one" } else { "two" });
    all["filters"] = json!([{"type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": "x-step", "value": step.to_string()}]}}]);
    rules.push(all);
    let turn = step % rules.len();
    rules.rotate_left(turn);
    for number in used {
        objects.extend(service(&format!("b{number}"), ports[number]));
    }
    objects.push(http_route("edited", "g", &[], &rules));
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_route_edits_under_load_lose_no_request() {
    let mut argosy = Argosy::prepare();
    let (one, two) = (argosy.backends.echo("one").await, argosy.backends.echo("two").await);
    let mut ports = Vec::new();
    for number in 0..3 {
        ports.push(argosy.backends.echo(&format!("b{number}")).await);
    }
    let mut objects = base(one);
    objects.extend(service("two", two));
    argosy.write("base.yaml", file(&objects));
    argosy.write("routes.yaml", file(&state(0, &ports)));
    argosy.start().await;
    let proxy = argosy.proxy("default/g").await;
    let target = proxy.plain(8080);
    argosy.answers(&target, "h", "/", "200").await;
    let before = proxy.stats("downstream_rq_5xx$").await;

    let load = Load::start(&target, "h", &["/", "/a", "/b/x", "/c", "/d/y/z", "/other"], RATE);
    let mut session = target.session("h").await.unwrap();
    for step in 1..=EDITS {
        argosy.write("routes.yaml", file(&state(step, &ports)));
        let wanted = step.to_string();
        argosy
            .wait(&format!("edit {step} is in force"), async || {
                if !session.usable().await {
                    session = target.session("h").await.map_err(|error| error.to_string())?;
                }
                let answer = session.get("/other", &[]).await.map_err(|error| error.to_string())?;
                assert!(answer.status < 500, "status {} during edit {step}", answer.status);
                let shown = answer.headers.get("x-step").and_then(|step| step.to_str().ok()).unwrap_or_default();
                if shown == wanted { Ok(()) } else { Err(format!("step {shown:?} is in force")) }
            })
            .await;
    }
    load.more(u64::from(RATE)).await;
    let sent = load.finish().await;
    assert!(sent > 500, "only {sent} requests were sent");
    let after = argosy.proxy("default/g").await;
    assert_eq!((after.pid(), after.fleet.last_nack), (proxy.pid(), None));
    assert_eq!(proxy.stats("downstream_rq_5xx$").await, before, "answers 5xx since the load began");
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_that_move_under_load_lose_no_request() {
    let mut argosy = Argosy::prepare();
    let mut ports = Vec::new();
    for number in 0..2 {
        ports.push(argosy.backends.echo(&format!("p{number}")).await);
    }
    let mut objects = base(ports[0]);
    objects.retain(|object| object["kind"] != "Service" && object["kind"] != "EndpointSlice");
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy.write("one.yaml", file(&service("one", ports[0])));
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 p0").await;
    let load = Load::start(&target, "h", &["/"], 200);
    for turn in 1..=20 {
        let number = turn % 2;
        argosy.write("one.yaml", file(&service("one", ports[number])));
        argosy.answers(&target, "h", "/", &format!("200 p{number}")).await;
    }
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_keeps_what_was_there_and_says_where_it_is_wrong() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    argosy.write("base.yaml", file(&base(one)));
    let routes = file(&[http_route("r", "g", &[], &[prefix("/", "one")])]);
    argosy.write("routes.yaml", &routes);
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
    let load = Load::start(&target, "h", &["/"], 100);

    argosy.write("routes.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: [not closed\n");
    let finding = argosy.finding(&["routes.yaml"]).await;
    assert_eq!(finding["severity"], "error", "{finding}");
    let place = &finding["place"];
    assert!(place["line"].as_u64().is_some_and(|line| line > 0), "{finding}");
    assert!(place["column"].as_u64().is_some_and(|column| column > 0), "{finding}");
    load.more(100).await;

    argosy.write("routes.yaml", &routes);
    argosy
        .wait("the finding is gone", async || {
            let findings = argosy.findings().await;
            if findings.is_empty() { Ok(()) } else { Err(format!("{findings:#?}")) }
        })
        .await;
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_followed_when_they_come_go_and_are_swapped_by_a_link() {
    let mut argosy = Argosy::prepare();
    let (one, two) = (argosy.backends.echo("one").await, argosy.backends.echo("two").await);
    let mut objects = base(one);
    objects.extend(service("two", two));
    argosy.write("base.yaml", file(&objects));
    // As Kubernetes mounts a ConfigMap: files are links to `..data/<file>`, and `..data` is a link that is swapped.
    let folder = argosy.path("manifests");
    let version = |name: &str, backend: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        let routes = file(&[http_route("mounted", "g", &["mounted"], &[prefix("/", backend)])]);
        std::fs::write(folder.join(name).join("mounted.yaml"), routes).unwrap();
        std::os::unix::fs::symlink(name, folder.join("..data.new")).unwrap();
        std::fs::rename(folder.join("..data.new"), folder.join("..data")).unwrap();
    };
    version("..v1", "one");
    std::os::unix::fs::symlink("..data/mounted.yaml", folder.join("mounted.yaml")).unwrap();
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "mounted", "/", "200 one").await;
    version("..v2", "two");
    argosy.answers(&target, "mounted", "/", "200 two").await;

    argosy.write("new.yaml", file(&[http_route("new", "g", &["new"], &[prefix("/", "one")])]));
    argosy.answers(&target, "new", "/", "200 one").await;
    argosy.remove("new.yaml");
    argosy.answers(&target, "new", "/", "404").await;
    argosy.answers(&target, "mounted", "/", "200 two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_stands_twice_is_a_finding_that_names_both_places() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    argosy.write("base.yaml", file(&base(one)));
    let route = http_route("r", "g", &[], &[prefix("/", "one")]);
    argosy.write("first.yaml", file(std::slice::from_ref(&route)));
    argosy.write("second.yaml", file(&[route]));
    argosy.start().await;
    argosy.finding(&["first.yaml", "second.yaml", "HTTPRoute"]).await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_goes_takes_its_envoy_with_it_and_a_new_one_gets_its_own() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.push(http_route("on-g", "g", &[], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    let second = |name: &str| {
        file(&[
            gateway(name, "c", &[http("http", 8080)]),
            http_route(&format!("on-{name}"), name, &[], &[json!({"backendRefs": [backend("one")]})]),
        ])
    };
    argosy.write("second.yaml", second("old"));
    argosy.start().await;
    let (g, old) = (argosy.proxy("default/g").await, argosy.proxy("default/old").await);
    argosy.answers(&old.plain(8080), "h", "/", "200 one").await;
    let load = Load::start(&g.plain(8080), "h", &["/"], 100);

    argosy.write("second.yaml", second("new"));
    let new = argosy.proxy("default/new").await;
    argosy.answers(&new.plain(8080), "h", "/", "200 one").await;
    argosy
        .wait("the old Envoy is gone and is listed no more", async || {
            let list = argosy.api("/api/v1/proxies").await?.to_string();
            if alive(old.pid()) || list.contains("default/old") { Err(list) } else { Ok(()) }
        })
        .await;
    assert_eq!(argosy.proxy("default/g").await.pid(), g.pid(), "the neighbour was left alone");
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_is_edited_reaches_its_gateways() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.retain(|object| object["kind"] != "GatewayClass");
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    assert!(argosy.synced("default/g").await.is_err(), "without its class the Gateway is nobody's");
    argosy.write("class.yaml", file(&[class("c", PUBLIC)]));
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
}
