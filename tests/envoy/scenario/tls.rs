//! Certificates: served, renewed, broken.

use crate::harness::manifests::{base, file, gateway, http, http_route, https, prefix, secret};
use crate::harness::{Argosy, condition};
use argosy::cli::demo::DemoIdentity;
use serde_json::Value;

fn identity() -> DemoIdentity {
    DemoIdentity::generate(&["*.example.com"]).unwrap()
}

/// A folder with a Gateway `default/s` with two HTTPS listeners on one port and an HTTP listener, and a route for all.
async fn prepare() -> Argosy {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    let listeners = [
        https("good", 8443, "good.example.com", "good"),
        https("bad", 8443, "bad.example.com", "bad"),
        http("plain", 8081),
    ];
    objects.push(gateway("s", "c", &listeners));
    objects.push(http_route("all", "s", &[], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy
}

fn listener<'a>(gateway: &'a Value, name: &str) -> Option<&'a Value> {
    gateway["status"]["listeners"].as_array()?.iter().find(|listener| listener["name"] == name)
}

const GATEWAY: [&str; 3] = ["Gateway", "default", "s"];

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_and_no_connection_is_dropped() {
    let mut argosy = prepare().await;
    let (old, new) = (identity(), identity());
    argosy.write("good.yaml", secret("good", &old));
    argosy.write("bad.yaml", secret("bad", &old));
    argosy.start().await;
    let proxy = argosy.proxy("default/s").await;
    let before = proxy.secure(8443, &old.ca);
    argosy.answers(&before, "good.example.com", "/", "200 one").await;
    let mut kept = before.session("good.example.com").await.unwrap();
    assert_eq!(kept.get("/", &[]).await.unwrap().status, 200);

    argosy.write("good.yaml", secret("good", &new));
    let after = proxy.secure(8443, &new.ca);
    argosy
        .wait("the new certificate is served", async || {
            assert!(kept.usable().await, "the connection from before stays open");
            assert_eq!(kept.get("/", &[]).await.unwrap().status, 200, "and goes on");
            let answer = after.get("good.example.com", "/", &[]).await.map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status)) }
        })
        .await;
    assert!(kept.usable().await, "a renewal closes nothing");
    assert_eq!(kept.get("/", &[]).await.unwrap().status, 200);
    assert!(before.get("good.example.com", "/", &[]).await.is_err(), "new connections get the new certificate only");
    argosy.answers(&before, "bad.example.com", "/", "200 one").await;
    assert_eq!(argosy.proxy("default/s").await.pid(), proxy.pid(), "no Envoy was started anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_or_broken_costs_no_other_listener_anything() {
    let mut argosy = prepare().await;
    let (own, other) = (identity(), identity());
    argosy.write("good.yaml", secret("good", &own));
    argosy.start().await;
    let proxy = argosy.proxy("default/s").await;
    let tls = proxy.secure(8443, &own.ca);
    argosy.answers(&tls, "good.example.com", "/", "200 one").await;
    argosy.answers(&proxy.plain(8081), "any.example.com", "/", "200 one").await;

    let mismatch = DemoIdentity { ca: own.ca.clone(), certificate: own.certificate.clone(), key: other.key };
    let no_pem = DemoIdentity { certificate: "no PEM".to_owned(), ..identity() };
    for (content, says) in [
        (None, "does not exist"),
        (Some(secret("bad", &mismatch)), "belong"),
        (Some(secret("bad", &no_pem)), "tls.crt"),
    ] {
        if let Some(content) = content {
            argosy.write("bad.yaml", content);
        }
        let message = argosy
            .object(GATEWAY, &format!("the listener says {says:?}"), |gateway| {
                let (shown, message) = condition(listener(gateway, "bad")?, "ResolvedRefs")?;
                (shown == "ResolvedRefs=False/InvalidCertificateRef" && message.contains(says)).then_some(message)
            })
            .await;
        assert!(message.contains("default/bad"), "the message names the Secret: {message}");
        let programmed = |name: &'static str| {
            move |gateway: &Value| condition(listener(gateway, name)?, "Programmed").map(|(shown, _)| shown)
        };
        assert_eq!(argosy.object(GATEWAY, "judged", programmed("bad")).await, "Programmed=False/Invalid");
        assert_eq!(argosy.object(GATEWAY, "judged", programmed("good")).await, "Programmed=True/Programmed");
        argosy.condition(GATEWAY, "Accepted=True/Accepted").await;
        assert_eq!(tls.get("good.example.com", "/", &[]).await.unwrap().status, 200);
        assert_eq!(proxy.plain(8081).get("x.example.com", "/", &[]).await.unwrap().status, 200);
    }

    argosy.write("bad.yaml", secret("bad", &own));
    argosy.answers(&tls, "bad.example.com", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_server_name_gets_no_certificate_of_somebody_else() {
    let mut argosy = prepare().await;
    let own = identity();
    argosy.write("good.yaml", secret("good", &own));
    argosy.write("bad.yaml", secret("bad", &own));
    argosy.start().await;
    let tls = argosy.proxy("default/s").await.secure(8443, &own.ca);
    argosy.answers(&tls, "good.example.com", "/", "200 one").await;
    assert!(tls.get("nobody.example.com", "/", &[]).await.is_err());
}
