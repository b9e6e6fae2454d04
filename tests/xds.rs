//! The xDS server over real sockets: who gets in, who gets what, and what an unfriendly client costs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use argosy::certificates::Authority;
use argosy::model::FleetKey;
use argosy::runtime::clock::Clock;
use argosy::runtime::tasks::Tasks;
use argosy::simulator::{Credentials, Proxies, Session};
use argosy::snapshot::{Edit, Registry, Resource, ResourceType, Stamps};
use argosy::xds::{Metrics, Nack, Observer, Progress, Server, Settings};
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Only ends tests that hang.
const LONG: Duration = Duration::from_secs(60);

struct Nobody;

impl Observer for Nobody {
    fn rolled_out(&self, _: &FleetKey, _: &str, _: Duration, _: usize, _: &str) {}
    fn nacked(&self, _: &Nack) {}
}

struct Plane {
    dir: tempfile::TempDir,
    authority: Arc<Authority>,
    registry: Arc<Registry>,
    progress: Arc<Progress>,
    tasks: Tasks,
    /// Of the clients, so that they outlive the server.
    clients: Tasks,
    address: SocketAddr,
}

fn authority(dir: &Path, trust_domain: &str, clock: Clock) -> Arc<Authority> {
    Authority::open(dir, trust_domain, DAY, &[], clock).unwrap()
}

impl Plane {
    async fn start(settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { address: "127.0.0.1:0".parse().unwrap(), ..settings };
        let authority = authority(dir.path(), &settings.trust_domain, Clock::real());
        let (registry, tasks) = (Arc::new(Registry::default()), Tasks::default());
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let progress = Progress::new(metrics, Clock::real(), Arc::new(Nobody));
        let (ours, theirs) = (Arc::clone(&authority), Arc::clone(&registry));
        let server = Server::bind(settings, ours, theirs, Arc::clone(&progress), tasks.clone()).await.unwrap();
        let address = server.address().unwrap();
        tasks.spawn("xds server", server.serve());
        Self { dir, authority, registry, progress, tasks, clients: Tasks::default(), address }
    }

    fn publish(&self, fleet: &FleetKey, upserts: Vec<Arc<Resource>>) {
        let now = Clock::real().now();
        let stamps = Stamps { event: now, dequeued: now, translated: now };
        self.registry.fleet(fleet).publish(&Edit { upserts, removals: Vec::new() }, stamps, now);
    }

    async fn open(&self, fleet: &FleetKey) -> anyhow::Result<Session> {
        self.open_with(&credentials(&self.authority, fleet)).await
    }

    async fn open_with(&self, credentials: &Credentials) -> anyhow::Result<Session> {
        within(Session::open(self.address, credentials, &self.clients)).await
    }

    /// What becomes of a client that asks for clusters.
    async fn ask(&self, credentials: &Credentials) -> anyhow::Result<Option<DeltaDiscoveryResponse>> {
        let mut session = self.open_with(credentials).await?;
        session.send(&request(ResourceType::Cluster, &[])).await?;
        within(session.next()).await
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it hangs")
}

/// Looks again until it holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn credentials(authority: &Authority, fleet: &FleetKey) -> Credentials {
    let issued = authority.issue_fleet(fleet).unwrap();
    Credentials { ca: issued.ca, certificate: issued.certificate, key: issued.key }
}

fn fleet(name: &str) -> FleetKey {
    FleetKey::new("public", "infra", name)
}

fn resource(kind: ResourceType, name: &str, content: &'static str) -> Arc<Resource> {
    Resource::new(kind, name, vec![Bytes::from_static(content.as_bytes())])
}

fn cluster(name: &str) -> Arc<Resource> {
    resource(ResourceType::Cluster, name, "content")
}

fn request(kind: ResourceType, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: kind.type_url().to_owned(),
        resource_names_subscribe: names.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

async fn ack(session: &Session, response: &DeltaDiscoveryResponse) {
    let ack = DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        ..DeltaDiscoveryRequest::default()
    };
    session.send(&ack).await.unwrap();
}

async fn response(session: &mut Session) -> DeltaDiscoveryResponse {
    within(session.next()).await.unwrap().expect("the stream ended")
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(|resource| &*resource.name).collect()
}

fn error<T>(result: anyhow::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it should be refused"),
        Err(error) => format!("{error:#}"),
    }
}

#[tokio::test]
async fn a_fleet_gets_its_own_resources_whatever_node_says() {
    let plane = Plane::start(Settings::default()).await;
    for name in ["a", "b"] {
        let secret = resource(ResourceType::Secret, &format!("secret-{name}"), "key");
        plane.publish(&fleet(name), vec![cluster(&format!("cluster-{name}")), secret]);
    }
    let mut session = plane.open(&fleet("a")).await.unwrap();
    let node = Node { id: "public/infra/b".to_owned(), cluster: "infra/b".to_owned(), ..Node::default() };
    let asked = DeltaDiscoveryRequest { node: Some(node.clone()), ..request(ResourceType::Cluster, &["*"]) };
    session.send(&asked).await.unwrap();
    let got = response(&mut session).await;
    assert_eq!(names(&got), ["cluster-a"]);
    // Nor does a node that comes later.
    let asked = DeltaDiscoveryRequest { node: Some(node), ..request(ResourceType::Secret, &["secret-b", "secret-a"]) };
    session.send(&asked).await.unwrap();
    let got = response(&mut session).await;
    assert_eq!((names(&got), &*got.removed_resources), (vec!["secret-a"], &["secret-b".to_owned()][..]));
}

#[tokio::test]
async fn no_foreign_or_expired_certificate_gets_anything() {
    let plane = Plane::start(Settings::default()).await;
    plane.publish(&fleet("a"), vec![cluster("c")]);
    let good = credentials(&plane.authority, &fleet("a"));
    assert_eq!(names(&plane.ask(&good).await.unwrap().unwrap()), ["c"]);

    error(plane.ask(&Credentials { certificate: String::new(), ..good.clone() }).await);
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = authority(elsewhere.path(), "argosy.local", Clock::real());
    error(plane.ask(&Credentials { ca: good.ca.clone(), ..credentials(&foreign, &fleet("a")) }).await);
    // The same CA, in 1970.
    let old = authority(plane.dir.path(), "argosy.local", Clock::manual());
    error(plane.ask(&credentials(&old, &fleet("a"))).await);
    let other_domain = authority(plane.dir.path(), "other.local", Clock::real());
    let refused = error(plane.ask(&credentials(&other_domain, &fleet("a"))).await);
    assert!(refused.contains("16") && refused.contains("names no fleet of trust domain argosy.local"), "{refused}");
    assert_eq!(plane.registry.all().len(), 1, "nobody else became a fleet");
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_and_ended_ones_make_room() {
    let plane = Plane::start(Settings { max_streams: 1, ..Settings::default() }).await;
    plane.publish(&fleet("a"), vec![cluster("c")]);
    let mut first = plane.open(&fleet("a")).await.unwrap();
    let refused = error(plane.open(&fleet("a")).await);
    assert!(refused.contains("\"8\"") && refused.contains("xds.maxStreams"), "{refused}");
    first.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(names(&response(&mut first).await), ["c"]);
    drop(first);
    within(Box::pin(async { while plane.open(&fleet("a")).await.is_err() {} })).await;
}

#[tokio::test]
async fn too_many_new_streams_a_second_are_refused() {
    let plane = Plane::start(Settings { new_streams_per_second: 1, ..Settings::default() }).await;
    let credentials = credentials(&plane.authority, &fleet("a"));
    let opened = futures::future::join_all((0..16).map(|_| plane.open_with(&credentials))).await;
    let (admitted, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert!(!admitted.is_empty() && !refused.is_empty());
    for refused in refused.into_iter().map(error) {
        assert!(refused.contains("\"8\"") && refused.contains("xds.newStreamsPerSecond"), "{refused}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_ends_its_stream_and_no_other() {
    let plane = Plane::start(Settings { max_request_bytes: 1000, ..Settings::default() }).await;
    plane.publish(&fleet("a"), vec![cluster("c")]);
    let (mut large, mut small) = (plane.open(&fleet("a")).await.unwrap(), plane.open(&fleet("a")).await.unwrap());
    large.send(&request(ResourceType::Cluster, &[&"x".repeat(2000)])).await.unwrap();
    let ended = error(within(large.next()).await);
    assert!(ended.contains("xds.maxRequestBytes"), "{ended}");
    small.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(names(&response(&mut small).await), ["c"]);
}

#[tokio::test]
async fn a_client_that_never_reads_holds_neither_the_others_nor_old_snapshots_nor_the_end() {
    let plane = Plane::start(Settings::default()).await;
    let deaf = plane.open(&fleet("a")).await.unwrap();
    let mut reader = plane.open(&fleet("a")).await.unwrap();
    for session in [&deaf, &reader] {
        session.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    }
    let mut old: Vec<Weak<Resource>> = Vec::new();
    for round in 0..20u8 {
        let content = Bytes::from(vec![round; 4 << 20]);
        let resource = Resource::new(ResourceType::Cluster, "large", vec![content]);
        old.push(Arc::downgrade(&resource));
        plane.publish(&fleet("a"), vec![resource]);
        let got = response(&mut reader).await;
        assert_eq!(got.resources[0].resource.as_ref().unwrap().value[..2], [round; 2]);
        ack(&reader, &got).await;
    }
    // The deaf one holds what is on its way to it, the reader and the fleet the newest.
    until("old snapshots are given up", || old.iter().filter(|weak| weak.strong_count() > 0).count() <= 3).await;
    assert!(plane.tasks.shutdown(LONG).await, "the deaf one holds the process");
    drop(deaf);
}

#[tokio::test]
async fn a_client_that_never_reads_goes_with_its_fleet() {
    let plane = Plane::start(Settings::default()).await;
    let large = Resource::new(ResourceType::Cluster, "large", vec![Bytes::from(vec![1; 4 << 20])]);
    plane.publish(&fleet("a"), vec![large]);
    let deaf = plane.open(&fleet("a")).await.unwrap();
    deaf.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    until("it is connected", || plane.progress.proxies().len() == 1).await;
    plane.registry.remove(&fleet("a"));
    until("its stream ends", || plane.progress.proxies().is_empty()).await;
    drop(deaf);
}

#[tokio::test]
async fn a_renewed_server_certificate_drops_no_stream() {
    let plane = Plane::start(Settings::default()).await;
    plane.publish(&fleet("a"), vec![cluster("c1")]);
    let mut session = plane.open(&fleet("a")).await.unwrap();
    session.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    let got = response(&mut session).await;
    ack(&session, &got).await;
    plane.authority.renew_server().unwrap();
    plane.publish(&fleet("a"), vec![cluster("c2")]);
    assert_eq!(names(&response(&mut session).await), ["c2"]);
    let good = credentials(&plane.authority, &fleet("a"));
    assert_eq!(names(&plane.ask(&good).await.unwrap().unwrap()), ["c1", "c2"]);
}

#[tokio::test]
async fn a_stream_that_is_opened_before_its_fleet_is_there_waits_and_gets_no_empty_answer() {
    let plane = Plane::start(Settings::default()).await;
    let mut session = plane.open(&fleet("a")).await.unwrap();
    session.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    until("it is connected", || plane.progress.proxies().len() == 1).await;
    plane.publish(&fleet("a"), vec![cluster("c")]);
    assert_eq!(names(&response(&mut session).await), ["c"]);
}

#[tokio::test]
async fn a_client_that_comes_back_with_everything_gets_one_empty_answer() {
    let plane = Plane::start(Settings::default()).await;
    let (kept, changed) = (cluster("kept"), cluster("changed"));
    plane.publish(&fleet("a"), vec![Arc::clone(&kept), changed]);
    let versions = [("kept".to_owned(), kept.version().to_string())];
    let mut session = plane.open(&fleet("a")).await.unwrap();
    let asked = DeltaDiscoveryRequest {
        initial_resource_versions: versions.clone().into(),
        ..request(ResourceType::Cluster, &[])
    };
    session.send(&asked).await.unwrap();
    let got = response(&mut session).await;
    assert_eq!(names(&got), ["changed"]);
    let versions = versions.into_iter().chain([("changed".to_owned(), got.resources[0].version.clone())]);
    let mut session = plane.open(&fleet("a")).await.unwrap();
    let asked = DeltaDiscoveryRequest { initial_resource_versions: versions.collect(), ..asked };
    session.send(&asked).await.unwrap();
    let got = response(&mut session).await;
    assert!(got.resources.is_empty() && got.removed_resources.is_empty(), "{got:?}");
}

#[tokio::test]
async fn streams_end_with_status_0_when_the_process_drains() {
    let plane = Plane::start(Settings::default()).await;
    plane.publish(&fleet("a"), vec![cluster("c")]);
    let mut session = plane.open(&fleet("a")).await.unwrap();
    session.send(&request(ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(names(&response(&mut session).await), ["c"]);
    let (drained, ended) = tokio::join!(plane.tasks.shutdown(LONG), within(session.next()));
    assert!(drained && ended.unwrap().is_none());
}

#[tokio::test]
async fn streams_of_a_fleet_end_when_it_is_removed_and_progress_begins_anew_when_it_returns() {
    let plane = Plane::start(Settings::default()).await;
    for name in ["c1", "c2"] {
        plane.publish(&fleet("a"), vec![cluster(name)]);
    }
    let good = credentials(&plane.authority, &fleet("a"));
    let mut session = plane.open(&fleet("a")).await.unwrap();
    plane.registry.remove(&fleet("a"));
    let ended = error(within(session.next()).await);
    assert!(ended.contains("\"5\"") && ended.contains("is gone"), "{ended}");

    plane.publish(&fleet("a"), vec![cluster("c3")]);
    let proxies = Proxies::start(plane.address, &good, 3, &plane.clients).unwrap();
    within(proxies.wait(|seen| seen.clusters.load(std::sync::atomic::Ordering::Relaxed) == 3)).await;
    until("all are in step", || {
        let proxies = plane.progress.proxies();
        proxies.len() == 3 && proxies.iter().all(|proxy| proxy.state() == "synced")
    })
    .await;
}
