//! EnvoyPatchPolicies: carried out, refused with the names there are, taken back.

use crate::harness::Argosy;
use crate::harness::manifests::{base, file, gateway, http, http_route, https, patch, patch_policy, prefix, secret};
use argosy::cli::demo::DemoIdentity;
use argosy::cli::demo::client::Target;
use serde_json::{Value, json};

const LISTENER: &str = "default/g/http";
const FILTERS: &str = "/default_filter_chain/filters/0/typed_config/http_filters";
const POLICY: [&str; 3] = ["EnvoyPatchPolicy", "default", "p"];

/// A running gateway with one route, before any patch.
async fn start() -> (Argosy, Target) {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.push(http_route("r", "g", &["h"], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
    (argosy, target)
}

fn ext_authz(cluster: &str) -> Value {
    json!({"op": "add", "path": format!("{FILTERS}/0"), "value": {"name": "envoy.filters.http.ext_authz", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": cluster}}}}})
}

fn grpc_cluster(name: &str, port: u16) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({"op": "add", "path": "", "value": {"name": name, "type": "STATIC", "connect_timeout": "1s",
        "typed_extension_protocol_options": {options: {"@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}}}},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address":
            {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}]}]}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn external_authorization_by_patch_works_under_the_names_that_people_know() {
    let (mut argosy, target) = start().await;
    let port = argosy.backends.grpc_authorizer().await;
    let patches = [
        patch("listener", LISTENER, &ext_authz("envoy_ext_jwt_auth")),
        patch("cluster", "envoy_ext_jwt_auth", &grpc_cluster("envoy_ext_jwt_auth", port)),
    ];
    argosy.write("patch.yaml", file(&[patch_policy("p", "g", &patches)]));
    argosy.condition(POLICY, "Programmed=True/Programmed").await;
    argosy.answers(&target, "h", "/", "403").await;
    argosy.answers_to(&target, "h", "/", &[("x-user", "ada")], "200 one").await;
    argosy.remove("patch.yaml");
    argosy.answers(&target, "h", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_of_a_listener_that_is_not_there_names_those_that_are() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let identity = DemoIdentity::generate(&["*.example.com"]).unwrap();
    let mut objects = base(one);
    objects.push(gateway("eg", "c", &[https("https", 8443, "a.example.com", "tls")]));
    objects.push(http_route("r", "eg", &[], &[prefix("/", "one")]));
    // As printed: the patch says `http`, the Gateway has `https`.
    objects.push(patch_policy("p", "eg", &[patch("listener", "default/eg/http", &ext_authz("nowhere"))]));
    argosy.write("base.yaml", file(&objects));
    argosy.write("tls.yaml", secret("tls", &identity));
    argosy.start().await;
    let message = argosy.condition(POLICY, "Programmed=False/ResourceNotFound").await;
    for part in ["\"default/eg/http\"", "default/eg/https"] {
        assert!(message.contains(part), "{part} is missing: {message}");
    }
    argosy.condition(POLICY, "Accepted=True/Accepted").await;
    let target = argosy.proxy("default/eg").await.secure(8443, &identity.ca);
    argosy.answers(&target, "a.example.com", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_breaks_envoys_rules_does_not_reach_envoy() {
    let (argosy, target) = start().await;
    let unknown = json!({"op": "add", "path": "/no_such_field", "value": 1});
    let invalid = json!({"op": "add", "path": format!("{FILTERS}/0"), "value": {"name": ""}});
    for (operation, says) in [(unknown, "no_such_field"), (invalid, "name")] {
        argosy.write("patch.yaml", file(&[patch_policy("p", "g", &[patch("listener", LISTENER, &operation)])]));
        let message = argosy
            .object(POLICY, &format!("its condition shows {says:?}"), |policy| {
                let conditions = policy["status"]["ancestors"][0]["conditions"].as_array()?;
                let refused = conditions.iter().find(|condition| condition["status"] == "False")?;
                refused["message"].as_str().filter(|message| message.contains(says)).map(str::to_owned)
            })
            .await;
        assert!(message.contains("spec.jsonPatches[0]"), "which of the patches: {message}");
    }
    assert_eq!(target.get("h", "/", &[]).await.unwrap().status, 200);
    let proxy = argosy.proxy("default/g").await;
    assert_eq!(proxy.fleet.last_nack, None);
    assert_eq!(proxy.stats("update_rejected$").await, 0);
}

/// A filter after the router fulfils every constraint of the messages; only Envoy itself knows that it cannot stand there.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_envoy_refuses_is_taken_back_and_what_was_there_goes_on() {
    let (argosy, target) = start().await;
    let after_router = json!({"op": "add", "path": format!("{FILTERS}/-"), "value": {"name": "late",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}});
    let policy = patch_policy("p", "g", &[patch("listener", LISTENER, &after_router)]);
    argosy.write("patch.yaml", file(&[policy]));
    let message = argosy.condition(POLICY, "Programmed=False/Invalid").await;
    assert!(message.contains("Envoy refused") && message.contains("terminal"), "what Envoy said: {message}");
    let before = argosy.proxy("default/g").await;
    assert_eq!(target.get("h", "/", &[]).await.unwrap().status, 200);

    // It is not offered again and again, and edits of others go through.
    let refused = before.stats("listener_manager.lds.update_rejected$").await;
    argosy.write("more.yaml", file(&[http_route("more", "g", &["more"], &[prefix("/", "one")])]));
    argosy.answers(&target, "more", "/", "200 one").await;
    argosy.write("neighbour.yaml", file(&[gateway("neighbour", "c", &[http("http", 8080)])]));
    argosy.proxy("default/neighbour").await;
    assert_eq!(before.stats("listener_manager.lds.update_rejected$").await, refused);

    // Mended, it works.
    let early = json!({"op": "add", "path": format!("{FILTERS}/0"), "value": {"name": "early",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"}}});
    argosy.write("patch.yaml", file(&[patch_policy("p", "g", &[patch("listener", LISTENER, &early)])]));
    argosy.condition(POLICY, "Programmed=True/Programmed").await;
    argosy.answers(&target, "h", "/", "200 one").await;
}
