//! GRPCRoutes.

use crate::harness::Argosy;
use crate::harness::manifests::{backend, base, file, grpc_route, http_route, prefix, service};
use argosy::cli::demo::client::Target;
use serde_json::{Value, json};

/// `grpc-status` UNIMPLEMENTED.
const UNIMPLEMENTED: u32 = 12;
const MESSAGE: &[u8] = b"\x0a\x05hello";

fn rule(matches: Value, service: &str) -> Value {
    json!({"matches": [matches], "backendRefs": [backend(service)]})
}

async fn start(rules: &[Value]) -> (Argosy, Target) {
    let mut argosy = Argosy::prepare();
    let (one, two) = (argosy.backends.echo("one").await, argosy.backends.echo("two").await);
    let mut objects = base(one);
    objects.extend(service("two", two));
    objects.push(grpc_route("r", "g", &["grpc.mydomain.tld"], rules));
    // An HTTPRoute for everything else of another host: calls must not fall through to it.
    objects.push(http_route("web", "g", &["web.mydomain.tld"], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    (argosy, target)
}

/// The backend that answers a call, or the status.
async fn call(target: &Target, method: &str) -> Result<String, u32> {
    let answer = target.grpc("grpc.mydomain.tld", method, MESSAGE).await.unwrap();
    assert_eq!(answer.status, 200, "{method}: gRPC says everything in its own status");
    match answer.grpc_status {
        Some(0) => {
            assert_eq!(&answer.body[..], MESSAGE);
            Ok(answer.headers["x-backend"].to_str().unwrap().to_owned())
        }
        status => Err(status.unwrap_or_else(|| panic!("{method}: no grpc-status: {answer:?}"))),
    }
}

async fn settled(argosy: &Argosy, target: &Target, method: &str, wanted: &str) {
    argosy
        .wait(&format!("{method} goes to {wanted}"), async || match call(target, method).await {
            Ok(backend) if backend == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_by_service_and_method_and_what_no_rule_matches_is_unimplemented() {
    let rules = [
        rule(json!({"method": {"service": "shop.Cart", "method": "Add"}}), "two"),
        rule(json!({"method": {"service": "shop.Cart"}}), "one"),
        rule(
            json!({"method": {"service": "grpc.reflection.v1alpha.ServerReflection", "method": "ServerReflectionInfo"}}),
            "two",
        ),
    ];
    let (argosy, target) = start(&rules).await;
    settled(&argosy, &target, "/shop.Cart/Add", "two").await;
    settled(&argosy, &target, "/shop.Cart/Remove", "one").await;
    settled(&argosy, &target, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "two").await;
    for method in ["/shop.Other/Add", "/shop.CartX/Add", "/grpc.reflection.v1alpha.ServerReflection/Other"] {
        assert_eq!(call(&target, method).await, Err(UNIMPLEMENTED), "{method}");
    }
    argosy.answers(&target, "web.mydomain.tld", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_match_whole_services_and_methods() {
    let rules = [
        rule(
            json!({"method": {"type": "RegularExpression", "service": r"shop\.[A-Z][a-z]+", "method": "Get.*"}}),
            "one",
        ),
        rule(json!({"method": {"type": "RegularExpression", "method": "Ping|Pong"}}), "two"),
    ];
    let (argosy, target) = start(&rules).await;
    settled(&argosy, &target, "/shop.Cart/GetAll", "one").await;
    settled(&argosy, &target, "/any.Service/Pong", "two").await;
    for method in ["/shop.cart/GetAll", "/my.shop.Cart/GetAll", "/shop.Cart/ForGet", "/any.Service/PingPong"] {
        assert_eq!(call(&target, method).await, Err(UNIMPLEMENTED), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_decides_between_rules_of_one_method() {
    let with_header = json!({"method": {"service": "a.B", "method": "C"},
        "headers": [{"name": "Content-Type", "value": "application/grpc"}]});
    let rules = [rule(json!({"method": {"service": "a.B", "method": "C"}}), "one"), rule(with_header, "two")];
    let (argosy, target) = start(&rules).await;
    settled(&argosy, &target, "/a.B/C", "two").await;
}
