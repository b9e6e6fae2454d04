//! What a running process says of itself to machines.

use crate::harness::Argosy;
use crate::harness::manifests::{base, file, http_route, prefix};
use argosy::cli::demo::client::{Answer, Target};
use std::net::SocketAddr;

/// The stages of a push; what comes before and after is not this process's alone.
const STAGES: [&str; 5] = ["queue", "translate", "publish", "send", "ack"];

async fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    Target::plain(address).get("localhost", path, &[("accept", accept)]).await.unwrap()
}

async fn start() -> Argosy {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    argosy.write("base.yaml", file(&base(one)));
    argosy.start().await;
    argosy.proxy("default/g").await;
    argosy.write("routes.yaml", file(&[http_route("r", "g", &[], &[prefix("/", "one")])]));
    let target = argosy.proxy("default/g").await.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
    argosy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_measured_from_the_event_to_the_last_ack_in_both_formats() {
    let argosy = start().await;
    let metrics = argosy.running().metrics;
    argosy
        .wait("a rollout was measured", async || {
            let answer = get(metrics, "/metrics", "text/plain").await;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if text.contains("argosy_config_rollout_seconds_count") { Ok(()) } else { Err(text) }
        })
        .await;
    for (accept, kind) in [
        ("text/plain;version=0.0.4", "text/plain"),
        ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text"),
    ] {
        let answer = get(metrics, "/metrics", accept).await;
        assert_eq!(answer.status, 200);
        let content_type = answer.headers["content-type"].to_str().unwrap();
        assert!(content_type.starts_with(kind), "{accept}: {content_type}");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let open = kind != "text/plain";
        assert_eq!(text.trim_end().ends_with("# EOF"), open, "only OpenMetrics ends with EOF: {accept}");
        for name in [
            "argosy_config_propagation_seconds_count",
            "argosy_config_rollout_seconds_count",
            "argosy_config_rollout_last_seconds",
            "argosy_config_stage_seconds_count",
            "argosy_xds_pushes_total",
            "argosy_xds_streams",
            "argosy_watch_events_total",
            "argosy_reconciles_total",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in {kind}:\n{text}");
        }
        let seen =
            |line: &str, label: &str| line.starts_with("argosy_config_stage_seconds_count") && line.contains(label);
        for stage in STAGES {
            let label = format!("stage=\"{stage}\"");
            let line = text.lines().find(|line| seen(line, &label));
            let line = line.unwrap_or_else(|| panic!("stage {stage} is missing in {kind}"));
            assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() >= 1.0, "{line}");
        }
        for label in ["class=\"public\"", "tenant=\"default\"", "quorum=\"all\"", "result=\"ack\""] {
            assert!(text.contains(label), "{label} is missing in {kind}");
        }
        let gateways: Vec<&str> =
            text.lines().filter(|line| line.contains("gateway=") || line.contains("node=")).collect();
        assert!(gateways.is_empty(), "labels without bound: {gateways:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_answered() {
    let argosy = start().await;
    let health = argosy.running().health;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(health, path, "*/*").await.status, 200, "{path}");
    }
    assert_eq!(get(health, "/nothing", "*/*").await.status, 404);
}
