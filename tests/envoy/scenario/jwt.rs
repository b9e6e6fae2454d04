//! Tokens.

use crate::harness::Argosy;
use crate::harness::manifests::{base, file, http_route, prefix, security_policy};
use argosy::cli::demo::TokenSigner;
use argosy::cli::demo::client::Target;
use serde_json::{Value, json};

const ISSUER: &str = "https://id.mydomain.com/";
const AUDIENCE: &str = "https://myorg.us.auth0.com/userinfo";
/// What is protected.
const CLOSED: &str = "closed.mydomain.tld";
/// What is not.
const OPEN: &str = "open.mydomain.tld";

fn provider(jwks: (&str, Value)) -> Value {
    let mut provider = json!({"name": "auth0", "issuer": ISSUER, "audiences": [AUDIENCE],
        "claimToHeaders": [{"claim": "azp", "header": "client_id"}]});
    provider[jwks.0] = jwks.1;
    provider
}

fn inline(signer: &TokenSigner) -> (&'static str, Value) {
    ("localJWKS", json!({"type": "Inline", "inline": signer.jwks().to_string()}))
}

fn remote(port: u16) -> (&'static str, Value) {
    ("remoteJWKS", json!({"uri": format!("http://127.0.0.1:{port}/jwks"), "cacheDuration": "10s"}))
}

fn bearer(signer: &TokenSigner, issuer: &str, audience: &str) -> String {
    let claims = json!({"iss": issuer, "aud": audience, "sub": "ada", "azp": "demo-client"});
    format!("Bearer {}", signer.token(claims).unwrap())
}

/// Routes for both hosts, and a policy on the closed one.
async fn start(policy: &Value) -> (Argosy, Target) {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.extend([
        http_route("closed", "g", &[CLOSED], &[prefix("/", "one")]),
        http_route("open", "g", &[OPEN], &[prefix("/", "one")]),
    ]);
    argosy.write("base.yaml", file(&objects));
    argosy.write("policy.yaml", file(&[security_policy("p", "closed", policy)]));
    argosy.start().await;
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, OPEN, "/", "200 one").await;
    (argosy, target)
}

async fn status(target: &Target, authorization: Option<&str>) -> u16 {
    let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
    target.get(CLOSED, "/", &headers).await.unwrap().status
}

async fn tokens_decide(argosy: &Argosy, target: &Target, signer: &TokenSigner) {
    let good = bearer(signer, ISSUER, AUDIENCE);
    argosy.answers_to(target, CLOSED, "/", &[("authorization", &good)], "200 one").await;
    let answer = target.get(CLOSED, "/", &[("authorization", &good)]).await.unwrap();
    assert_eq!(answer.received("client_id").as_deref(), Some("demo-client"), "claimToHeaders");
    assert_eq!(status(target, None).await, 401);
    assert_eq!(status(target, Some("Bearer no.token.atall")).await, 401);
    assert_eq!(status(target, Some(&bearer(signer, ISSUER, "https://somebody.else/"))).await, 403);
    assert_eq!(status(target, Some(&bearer(signer, "https://other.issuer/", AUDIENCE))).await, 401);
    let foreign = TokenSigner::generate().unwrap();
    assert_eq!(status(target, Some(&bearer(&foreign, ISSUER, AUDIENCE))).await, 401);
    assert_eq!(target.get(OPEN, "/", &[]).await.unwrap().status, 200, "the other route needs no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_keys_in_its_policy_opens_to_good_tokens_only() {
    let signer = TokenSigner::generate().unwrap();
    let (argosy, target) = start(&json!({"jwt": {"providers": [provider(inline(&signer))]}})).await;
    argosy.condition(["SecurityPolicy", "default", "p"], "Accepted=True/Accepted").await;
    tokens_decide(&argosy, &target, &signer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_from_a_server() {
    let signer = TokenSigner::generate().unwrap();
    let mut backends = crate::harness::Backends::default();
    let port = backends.jwks(0, signer.jwks()).await;
    let (argosy, target) = start(&json!({"jwt": {"providers": [provider(remote(port))]}})).await;
    tokens_decide(&argosy, &target, &signer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_server_that_is_down_at_the_start_closes_its_route_and_nothing_else() {
    let signer = TokenSigner::generate().unwrap();
    let good = bearer(&signer, ISSUER, AUDIENCE);
    // A port where nobody listens: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (mut argosy, target) = start(&json!({"jwt": {"providers": [provider(remote(port))]}})).await;
    argosy.condition(["SecurityPolicy", "default", "p"], "Accepted=True/Accepted").await;
    assert_ne!(status(&target, Some(&good)).await, 200, "without keys no token is good");
    assert_eq!(target.get(OPEN, "/", &[]).await.unwrap().status, 200);
    argosy.backends.jwks(port, signer.jwks()).await;
    tokens_decide(&argosy, &target, &signer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_be_optional_and_may_stand_elsewhere() {
    let signer = TokenSigner::generate().unwrap();
    let mut provider = provider(inline(&signer));
    provider["extractFrom"] = json!({"headers": [{"name": "x-token", "valuePrefix": "Token "}], "params": ["t"]});
    let (argosy, target) = start(&json!({"jwt": {"optional": true, "providers": [provider]}})).await;
    let good = bearer(&signer, ISSUER, AUDIENCE);
    let token = good.strip_prefix("Bearer ").unwrap();
    argosy.answers(&target, CLOSED, "/", "200 one").await;
    let with_header = target.get(CLOSED, "/", &[("x-token", &format!("Token {token}"))]).await.unwrap();
    assert_eq!(with_header.received("client_id").as_deref(), Some("demo-client"));
    let with_param = target.get(CLOSED, &format!("/?t={token}"), &[]).await.unwrap();
    assert_eq!(with_param.received("client_id").as_deref(), Some("demo-client"));
    assert_eq!(target.get(CLOSED, "/", &[("x-token", "Token no.good.token")]).await.unwrap().status, 401);
    // Optional is the token, not that it is good.
    let foreign = TokenSigner::generate().unwrap();
    for bad in [bearer(&signer, "https://other.issuer/", AUDIENCE), bearer(&foreign, ISSUER, AUDIENCE)] {
        let bad = bad.replace("Bearer", "Token");
        assert_eq!(target.get(CLOSED, "/", &[("x-token", &bad)]).await.unwrap().status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_in_another_namespace_is_told_where_its_target_is() {
    let signer = TokenSigner::generate().unwrap();
    let (argosy, target) = start(&json!({"jwt": {"providers": [provider(inline(&signer))]}})).await;
    argosy.answers(&target, CLOSED, "/", "401").await;
    let mut policy = security_policy("p", "closed", &json!({"jwt": {"providers": [provider(inline(&signer))]}}));
    policy["metadata"]["namespace"] = json!("envoy-gateway-system");
    argosy.write("policy.yaml", file(&[policy]));
    let message =
        argosy.condition(["SecurityPolicy", "envoy-gateway-system", "p"], "Accepted=False/TargetNotFound").await;
    assert!(message.contains("default/closed"), "where the target is: {message}");
    assert!(message.contains("move"), "what to do: {message}");
    argosy.answers(&target, CLOSED, "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_carried_out_closes_its_route_and_no_other() {
    let (argosy, target) = start(&json!({"basicAuth": {"users": {"name": "users"}}})).await;
    let message = argosy.condition(["SecurityPolicy", "default", "p"], "Accepted=False/Invalid").await;
    assert!(message.contains("spec.basicAuth"), "{message}");
    argosy.answers(&target, CLOSED, "/", "500").await;
    argosy.answers(&target, OPEN, "/", "200 one").await;
}
