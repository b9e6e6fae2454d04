//! External authorization by SecurityPolicy: no patch needed.

use crate::harness::Argosy;
use crate::harness::manifests::{base, file, http_route, prefix, security_policy, service};
use argosy::cli::demo::client::Target;
use serde_json::{Value, json};

const CLOSED: &str = "closed.mydomain.tld";
const OPEN: &str = "open.mydomain.tld";

async fn start(argosy: &mut Argosy, authorizer: u16, policy: &Value) -> Target {
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.extend(service("authorizer", authorizer));
    objects.extend([
        http_route("closed", "g", &[CLOSED], &[prefix("/", "one")]),
        http_route("open", "g", &[OPEN], &[prefix("/", "one")]),
    ]);
    argosy.write("base.yaml", file(&objects));
    argosy.write("policy.yaml", file(&[security_policy("p", "closed", policy)]));
    argosy.start().await;
    argosy.condition(["SecurityPolicy", "default", "p"], "Accepted=True/Accepted").await;
    argosy.proxy("default/g").await.plain(8080)
}

async fn users_may_pass(argosy: &Argosy, target: &Target) {
    argosy.answers_to(target, CLOSED, "/", &[("x-user", "ada")], "200 one").await;
    let answer = target.get(CLOSED, "/", &[("x-user", "ada")]).await.unwrap();
    assert_eq!(answer.received("x-authorized-as").as_deref(), Some("ada"), "the authorizer's word reaches the backend");
    assert_eq!(target.get(CLOSED, "/", &[]).await.unwrap().status, 403);
    assert_eq!(target.get(OPEN, "/", &[]).await.unwrap().status, 200, "the other route is not shown to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_authorizer_decides() {
    let mut argosy = Argosy::prepare();
    let port = argosy.backends.authorizer().await;
    let policy = json!({"extAuth": {"headersToExtAuth": ["x-user"], "http": {
        "backendRefs": [{"name": "authorizer", "port": 80}], "headersToBackend": ["x-authorized-as"]}}});
    let target = start(&mut argosy, port, &policy).await;
    users_may_pass(&argosy, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_authorizer_decides() {
    let mut argosy = Argosy::prepare();
    let port = argosy.backends.grpc_authorizer().await;
    let policy = json!({"extAuth": {"headersToExtAuth": ["x-user"],
        "grpc": {"backendRefs": [{"name": "authorizer", "port": 80}]}}});
    let target = start(&mut argosy, port, &policy).await;
    users_may_pass(&argosy, &target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorizer_that_is_down_closes_the_route_unless_it_may_fail_open() {
    let mut argosy = Argosy::prepare();
    // Free a moment ago; nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let policy = |open: bool| json!({"extAuth": {"failOpen": open, "timeout": "1s", "http": {"backendRefs": [{"name": "authorizer", "port": 80}]}}});
    let target = start(&mut argosy, port, &policy(false)).await;
    argosy.answers(&target, OPEN, "/", "200 one").await;
    argosy.answers_to(&target, CLOSED, "/", &[("x-user", "ada")], "403").await;
    argosy.write("policy.yaml", file(&[security_policy("p", "closed", &policy(true))]));
    argosy.answers(&target, CLOSED, "/", "200 one").await;
}
