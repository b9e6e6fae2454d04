//! The manifests of `config/samples`, all of them at once.

use crate::harness::Argosy;
use argosy::cli::demo::client::Answer;
use argosy::cli::demo::{BackendPorts, DemoIdentity, TokenSigner, manifests};
use serde_json::json;

const API: &str = "api.mydomain.tld";
const USER: &str = "/user/0f8fad5b-d9cb-469f-a165-70867728950e/send";
const MYAPI: &str = "myapi.myproject.svc.cluster.local";

fn from(answer: &Answer) -> (u16, String) {
    (answer.status, answer.backend().unwrap_or_default())
}

/// Writes the samples, the internal gateway on an address of this test's subnet.
async fn prepare(identity: &DemoIdentity, signer: &TokenSigner) -> Argosy {
    let mut argosy = Argosy::prepare();
    let ports = BackendPorts {
        backend: argosy.backends.echo("backend").await,
        user_send: argosy.backends.echo("user-send").await,
        grpc_api: argosy.backends.echo("grpc-api").await,
        authorizer: argosy.backends.authorizer().await,
    };
    let internal = argosy.address(30);
    for (name, content) in manifests(ports, identity, signer) {
        argosy.write(name, content.replace("127.43.146.30", &internal));
    }
    argosy
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_serve_a_public_and_an_internal_gateway_from_one_process() {
    let identity = DemoIdentity::generate(&["*.mydomain.tld"]).unwrap();
    let signer = TokenSigner::generate().unwrap();
    let mut argosy = prepare(&identity, &signer).await;
    argosy.start().await;
    let public = argosy.proxy("envoy-gateway-system/eg").await.secure(443, &identity.ca);
    let internal = argosy.proxy("envoy-gateway-system/eg-internal").await;
    assert_eq!(internal.fleet.address.to_string(), argosy.address(30));
    let internal = internal.plain(80);
    argosy.answers(&public, API, "/any/path", "200 backend").await;
    argosy.answers(&internal, MYAPI, "/", "200 backend").await;
    argosy.answers(&internal, API, "/", "404").await;

    let claims = json!({"iss": "https://id.mydomain.com/", "aud": "https://myorg.us.auth0.com/userinfo", "azp": "me"});
    let bearer = format!("Bearer {}", signer.token(claims).unwrap());
    let with_token = public.get(API, USER, &[("authorization", &bearer)]).await.unwrap();
    assert_eq!(from(&with_token), (200, "user-send".to_owned()));
    assert_eq!(with_token.received("client_id").as_deref(), Some("me"));
    assert_eq!(public.get(API, USER, &[]).await.unwrap().status, 401);
    assert_eq!(from(&public.get(API, "/user/no-uuid/send", &[]).await.unwrap()), (200, "backend".to_owned()));
    assert_eq!(public.get("unknown.mydomain.tld", "/", &[]).await.unwrap().status, 404);

    let message = b"\x0a\x02hi";
    let call = public.grpc("grpc-api.mydomain.tld", "/argosy.demo.Echo/Say", message).await.unwrap();
    assert_eq!((call.grpc_status, &call.body[..]), (Some(0), &message[..]));
    let other = public.grpc("grpc-api.mydomain.tld", "/other.Service/Call", message).await.unwrap();
    assert_eq!(other.grpc_status, Some(12));

    assert_eq!(public.get("admin.mydomain.tld", "/", &[]).await.unwrap().status, 403);
    let admin = public.get("admin.mydomain.tld", "/", &[("x-user", "ada")]).await.unwrap();
    assert_eq!(admin.received("x-authorized-as").as_deref(), Some("ada"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_has_the_observed_generation_and_a_time() {
    let identity = DemoIdentity::generate(&["*.mydomain.tld"]).unwrap();
    let signer = TokenSigner::generate().unwrap();
    let mut argosy = prepare(&identity, &signer).await;
    argosy.start().await;
    argosy.proxy("envoy-gateway-system/eg").await;
    argosy.condition(["HTTPRoute", "myproject", "api-routes"], "Accepted=True/Accepted").await;
    let list = argosy.api("/api/v1/status").await.unwrap();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("List"), &json!("v1")));
    let mut count = 0;
    for item in list["items"].as_array().unwrap() {
        let generation = item["metadata"]["generation"].as_u64();
        for condition in crate::harness::conditions(item) {
            count += 1;
            assert_eq!(condition["observedGeneration"].as_u64(), generation, "{item:#}");
            let time = condition["lastTransitionTime"].as_str().unwrap_or_default();
            assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time:?}: {item:#}");
        }
    }
    assert!(count > 10, "{list:#}");
}
