//! Processes that are killed, ended, restarted.

use crate::harness::manifests::{base, envoy_proxy, file, gateway, hasty, http, http_route, https, prefix, secret};
use crate::harness::{Argosy, Load, Proxy, Run, alive};
use argosy::cli::demo::DemoIdentity;
use argosy::cli::demo::client::Target;
use rustix::process::Signal;
use serde_json::{Value, json};

/// A running gateway `default/g` with a route for everything, whose Envoy drains soon.
async fn start(arguments: &[&str]) -> (Argosy, Proxy) {
    start_with_proxy(&hasty(), arguments).await
}

async fn start_with_proxy(settings: &Value, arguments: &[&str]) -> (Argosy, Proxy) {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    objects.retain(|object| object["kind"] != "EnvoyProxy");
    objects.push(envoy_proxy("c", settings));
    objects.push(http_route("r", "g", &["h"], &[prefix("/", "one")]));
    argosy.write("base.yaml", file(&objects));
    argosy.start_with(arguments).await;
    let proxy = argosy.proxy("default/g").await;
    argosy.answers(&proxy.plain(8080), "h", "/", "200 one").await;
    (argosy, proxy)
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
}

async fn gone(argosy: &Argosy, pid: u64) {
    argosy.wait("the Envoy is gone", async || if alive(pid) { Err(format!("{pid} runs")) } else { Ok(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_envoy_is_back_and_its_neighbour_was_left_alone() {
    let (argosy, first) = start(&[]).await;
    argosy.write("other.yaml", file(&[gateway("h", "c", &[http("http", 8080)])]));
    let neighbour = argosy.proxy("default/h").await;
    kill(first.pid());
    let second = argosy
        .wait("another Envoy serves", async || {
            let proxy = argosy.synced("default/g").await?;
            if proxy.pid() == first.pid() { Err("it is still the old process".to_owned()) } else { Ok(proxy) }
        })
        .await;
    argosy.answers(&second.plain(8080), "h", "/", "200 one").await;
    assert_eq!(second.fleet.address, first.fleet.address, "the address stays");
    assert_eq!(second.fleet.ports, first.fleet.ports, "the ports stay");
    assert_eq!(argosy.proxy("default/h").await.pid(), neighbour.pid());
}

/// What Envoy has taken over from the control plane until now.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    clusters: u64,
    listeners: u64,
    routes: u64,
}

async fn taken(proxy: &Proxy) -> Taken {
    Taken {
        clusters: proxy.stats("^cluster_manager.cluster_(added|modified|removed)$").await,
        listeners: proxy.stats("^listener_manager.listener_(added|modified|removed)$").await,
        routes: proxy.stats("^http\\..*\\.rds\\..*\\.config_reload$").await,
    }
}

/// Resources of a type that a process has sent, from the sum of its histogram.
async fn sent(run: Run, kind: &str) -> f64 {
    let answer = Target::plain(run.metrics).get("localhost", "/metrics", &[]).await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let of_type = format!("type=\"{kind}\"");
    let sums = text
        .lines()
        .filter(|line| line.starts_with("argosy_xds_push_resources_sum") && line.contains(&of_type))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    sums.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_argosy_costs_no_request_and_its_successor_resends_nothing() {
    let (mut argosy, proxy) = start(&[]).await;
    let load = Load::start(&proxy.plain(8080), "h", &["/", "/x"], 200);
    let updates = async |kind: &str| proxy.stats(&format!("{kind}.update_success$")).await;
    let before = taken(&proxy).await;
    let (cds, lds) = (updates("cluster_manager.cds").await, updates("listener_manager.lds").await);
    assert!(before.clusters > 0 && before.listeners > 0 && before.routes > 0, "{before:?}");

    argosy.kill().await;
    load.more(100).await;
    let run = argosy.start().await;
    let adopted = argosy.proxy("default/g").await;
    assert_eq!(adopted.pid(), proxy.pid(), "the Envoy was adopted");
    argosy
        .wait("Envoy has answered to the new process", async || {
            let opened = proxy.stats("^control_plane.connected_state$").await;
            if opened == 1 { Ok(()) } else { Err("it is not connected".to_owned()) }
        })
        .await;
    assert_eq!(taken(&proxy).await, before, "nothing changed in Envoy");
    // One answer without content for each type tells Envoy that it is connected.
    assert!(updates("cluster_manager.cds").await <= cds + 1);
    assert!(updates("listener_manager.lds").await <= lds + 1);
    for kind in ["cds", "lds", "rds"] {
        assert!(sent(run, kind).await.abs() < 0.5, "{kind} was sent again");
    }

    // It is led on: an edit arrives, in the same process.
    argosy.write("more.yaml", file(&[http_route("more", "g", &["more"], &[prefix("/", "one")])]));
    argosy.answers(&proxy.plain(8080), "more", "/", "200 one").await;
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_argosy_was_away_is_all_that_is_sent() {
    let (mut argosy, proxy) = start(&[]).await;
    let before = taken(&proxy).await;
    argosy.kill().await;
    argosy.write("more.yaml", file(&[http_route("more", "g", &["more"], &[prefix("/", "one")])]));
    argosy.start().await;
    argosy.answers(&proxy.plain(8080), "more", "/", "200 one").await;
    let after = taken(&proxy).await;
    assert_eq!((after.clusters, after.listeners), (before.clusters, before.listeners));
    assert_eq!(after.routes, before.routes + 1, "one route table");
    assert_eq!(argosy.proxy("default/g").await.pid(), proxy.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_died_while_argosy_was_away_is_started_anew() {
    let (mut argosy, proxy) = start(&[]).await;
    argosy.kill().await;
    kill(proxy.pid());
    gone(&argosy, proxy.pid()).await;
    argosy.start().await;
    let next = argosy.proxy("default/g").await;
    assert_ne!(next.pid(), proxy.pid());
    argosy.answers(&next.plain(8080), "h", "/", "200 one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_argosy_and_its_envoys_in_order() {
    let (mut argosy, proxy) = start(&[]).await;
    argosy.signal(Signal::TERM);
    let status = argosy.ended().await;
    assert_eq!(status.code(), Some(0), "{}", argosy.log_tail());
    gone(&argosy, proxy.pid()).await;
    assert!(!argosy.path("state/run.json").exists(), "an orderly end leaves no run.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    // A fleet that drains for minutes, and a connection that keeps it from being done before.
    let (mut argosy, proxy) = start_with_proxy(&json!({"shutdown": {"drainTimeout": "600s"}}), &[]).await;
    let mut session = proxy.plain(8080).session("h").await.unwrap();
    session.get("/", &[]).await.unwrap();
    argosy.signal(Signal::TERM);
    let pid = argosy.running().pid;
    argosy
        .wait("argosy has ended", async || {
            // Signals of one kind that come too fast are one.
            argosy.signal(Signal::TERM);
            if alive(pid) { Err("it runs".to_owned()) } else { Ok(()) }
        })
        .await;
    argosy.ended().await;
    gone(&argosy, proxy.pid()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_that_are_to_be_kept_serve_on_and_are_adopted() {
    let (mut argosy, proxy) = start(&["--keep-proxies"]).await;
    let load = Load::start(&proxy.plain(8080), "h", &["/"], 100);
    argosy.signal(Signal::TERM);
    assert_eq!(argosy.ended().await.code(), Some(0), "{}", argosy.log_tail());
    load.more(50).await;
    assert!(alive(proxy.pid()));
    let before = taken(&proxy).await;
    argosy.start_with(&["--keep-proxies"]).await;
    assert_eq!(argosy.proxy("default/g").await.pid(), proxy.pid(), "{}", argosy.log_tail());
    assert_eq!(taken(&proxy).await, before);
    load.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_certificates_survive_a_restart() {
    let (mut argosy, _) = start(&[]).await;
    let identity = DemoIdentity::generate(&["*.example.com"]).unwrap();
    let listener = https("https", 8443, "a.example.com", "tls");
    argosy.write("tls.yaml", secret("tls", &identity));
    let route = http_route("on-s", "s", &[], &[prefix("/", "one")]);
    argosy.write("s.yaml", file(&[gateway("s", "c", &[listener]), route]));
    let proxy = argosy.proxy("default/s").await;
    let target = proxy.secure(8443, &identity.ca);
    argosy.answers(&target, "a.example.com", "/", "200 one").await;
    let mut kept = target.session("a.example.com").await.unwrap();
    assert_eq!(kept.get("/", &[]).await.unwrap().status, 200);
    let authority = std::fs::read(argosy.path("state/pki/ca.crt")).unwrap();
    argosy.kill().await;
    argosy.start().await;
    assert_eq!(argosy.proxy("default/s").await.pid(), proxy.pid());
    assert_eq!(std::fs::read(argosy.path("state/pki/ca.crt")).unwrap(), authority);
    assert!(kept.usable().await, "no connection was dropped");
    assert_eq!(kept.get("/", &[]).await.unwrap().status, 200);
    argosy.answers(&target, "a.example.com", "/", "200 one").await;
}
