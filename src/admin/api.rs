//! The admin API: what `argosy status` and `argosy proxies` read, and dumps for people.

use super::answers::{error, json_of, plain};
use super::proxies::{ProxyRow, merge};
use crate::model::{Finding, FleetKey, ObjectKey};
use crate::pipeline::Engine;
use crate::xds::Progress;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

/// Gives the processes that are run here.
pub type Processes = Arc<dyn Fn() -> Vec<ProxyRow> + Send + Sync>;

/// Gives everything that is published for a fleet as JSON, private keys redacted; `None` when there is no such fleet.
pub type Dump = Arc<dyn Fn(&FleetKey) -> Option<Value> + Send + Sync>;

/// What the API reads.
#[derive(Clone)]
pub struct Handles {
    /// Objects, status, findings, rollouts.
    pub engine: Arc<Engine>,
    /// Connected proxies.
    pub progress: Arc<Progress>,
    /// Processes.
    pub processes: Processes,
    /// Configuration.
    pub dump: Dump,
}

impl Handles {
    /// What `argosy proxies -o json` prints: processes and streams of one Envoy as one row.
    pub fn proxies(&self) -> Value {
        let streams = self.progress.proxies().into_iter().map(Into::into).collect();
        json!(merge((self.processes)(), streams))
    }

    /// Every open finding.
    pub fn findings(&self) -> Value {
        Value::Array(self.engine.findings().iter().map(finding).collect())
    }
}

const INDEX: &str = "\
Argosy admin API

GET /api/v1/status                            all objects that carry status, with it filled in, as a Kubernetes List
GET /api/v1/proxies                           Envoys: process, address, ports, revisions
GET /api/v1/findings                          what is wrong with objects and files, and how to mend it
GET /api/v1/rollouts                          the last published changes and how long each stage took, oldest first
GET /api/v1/config/{class}/{namespace}/{name} the xDS resources of one Gateway's fleet, secrets redacted
";

/// The router of the admin API. It has no authentication: whoever reaches it reads everything but secrets.
pub fn api(handles: Handles) -> Router {
    Router::new()
        .route("/", get(async || plain(StatusCode::OK, INDEX.to_owned())))
        .route("/api/v1/status", get(status))
        .route("/api/v1/proxies", get(proxies))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/rollouts", get(rollouts))
        .route("/api/v1/config/{class}/{namespace}/{name}", get(config))
        .fallback(unknown)
        .with_state(handles)
}

async fn status(State(handles): State<Handles>) -> Response {
    json_of(move || Some(handles.engine.status()), "").await
}

async fn proxies(State(handles): State<Handles>) -> Response {
    json_of(move || Some(handles.proxies()), "").await
}

async fn findings(State(handles): State<Handles>) -> Response {
    json_of(move || Some(handles.findings()), "").await
}

async fn rollouts(State(handles): State<Handles>) -> Response {
    json_of(move || Some(handles.engine.rollouts()), "").await
}

async fn config(
    State(handles): State<Handles>,
    Path((class, namespace, name)): Path<(String, String, String)>,
) -> Response {
    let fleet = FleetKey::new(class, namespace, name);
    json_of(move || (handles.dump)(&fleet), "there is no such fleet; /api/v1/proxies lists those that run").await
}

async fn unknown(uri: Uri) -> Response {
    error(StatusCode::NOT_FOUND, &format!("there is nothing at {}; / lists what there is", uri.path()))
}

fn finding(finding: &Finding) -> Value {
    let object = |key: &ObjectKey| json!({"kind": key.kind.as_str(), "namespace": key.namespace, "name": key.name});
    json!({
        "code": finding.code,
        "severity": finding.severity,
        "object": finding.object.as_ref().map(object),
        "place": finding.place,
        "message": finding.message,
        "fix": finding.fix,
        "text": finding.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{health, metrics, serve};
    use super::*;
    use crate::model::{Binding, Kind, Place, Severity};
    use crate::pipeline::{Binder, EngineParts};
    use crate::runtime::clock::Clock;
    use crate::runtime::ready::Ready;
    use crate::snapshot::Registry;
    use crate::xds::{Nack, Observer};
    use std::net::{IpAddr, SocketAddr};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    struct Nobody;

    impl Binder for Nobody {
        fn bind(&self, _fleet: &FleetKey, _requested: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
            Ok(Binding::unprivileged(ports.iter().copied()))
        }
        fn addresses(&self, _binding: &Binding, _requested: &[IpAddr]) -> Vec<IpAddr> {
            Vec::new()
        }
        fn release(&self, _fleet: &FleetKey) {}
    }

    impl Observer for Nobody {
        fn rolled_out(&self, _fleet: &FleetKey, _revision: &str, _took: Duration, _proxies: usize, _slowest: &str) {}
        fn nacked(&self, _nack: &Nack) {}
    }

    fn handles() -> Handles {
        let (clock, mut registry) = (Clock::manual(), prometheus_client::registry::Registry::default());
        let engine = Engine::new(EngineParts {
            controllers: Arc::new(|_| None),
            registry: Arc::new(Registry::default()),
            binder: Arc::new(Nobody),
            clock: clock.clone(),
            metrics: crate::pipeline::Metrics::register(&mut registry),
        });
        let fleet = FleetKey::new("public", "infra", "edge");
        let row = ProxyRow {
            fleet: fleet.clone(),
            node: "edge-1".to_owned(),
            pid: Some(7),
            address: None,
            ports: std::collections::BTreeMap::new(),
            admin: None,
            state: "starting",
            problem: None,
        };
        Handles {
            engine,
            progress: Progress::new(crate::xds::Metrics::register(&mut registry), clock, Arc::new(Nobody)),
            processes: Arc::new(move || vec![row.clone()]),
            dump: Arc::new(move |wanted| (*wanted == fleet).then(|| json!({"listeners": []}))),
        }
    }

    /// A server that ends with the test.
    struct Running {
        address: SocketAddr,
        _tasks: JoinSet<std::io::Result<()>>,
    }

    async fn run(router: Router) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, CancellationToken::new()));
        Running { address, _tasks: tasks }
    }

    impl Running {
        /// Status line, head and body.
        async fn get(&self, path: &str, headers: &str) -> (u16, String, String) {
            let mut client = TcpStream::connect(self.address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            (status, head.to_lowercase(), body.to_owned())
        }

        async fn json(&self, path: &str) -> (u16, Value) {
            let (status, head, body) = self.get(path, "").await;
            assert!(head.contains("content-type: application/json"), "{head}");
            (status, serde_json::from_str(&body).unwrap())
        }
    }

    #[tokio::test]
    async fn the_api_answers() {
        let handles = handles();
        let object = ObjectKey::new(Kind::HTTPRoute, "apps", "web");
        handles.engine.set_file_findings(vec![Finding {
            code: "ARG0001",
            severity: Severity::Error,
            object: Some(object),
            place: Some(Place { file: "a.yaml".to_owned(), line: 3, column: 0 }),
            message: "broken".to_owned(),
            fix: "mend it".to_owned(),
        }]);
        let api = run(api(handles)).await;
        let (status, list) = api.json("/api/v1/status").await;
        assert_eq!((status, list), (200, json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []})));
        let (_, findings) = api.json("/api/v1/findings").await;
        let expected = json!([{"code": "ARG0001", "severity": "error", "message": "broken", "fix": "mend it",
            "object": {"kind": "HTTPRoute", "namespace": "apps", "name": "web"},
            "place": {"file": "a.yaml", "line": 3, "column": 0},
            "text": "ARG0001 error HTTPRoute apps/web (a.yaml:3): broken\n    fix: mend it"}]);
        assert_eq!(findings, expected);
        let (_, proxies) = api.json("/api/v1/proxies").await;
        assert_eq!((&proxies[0]["gateway"], &proxies[0]["state"]), (&json!("infra/edge"), &json!("starting")));
        assert_eq!(api.json("/api/v1/rollouts").await, (200, json!([])));
        assert_eq!(api.json("/api/v1/config/public/infra/edge").await, (200, json!({"listeners": []})));
        let (status, missing) = api.json("/api/v1/config/public/infra/none").await;
        assert_eq!(status, 404);
        assert!(missing["error"].as_str().unwrap().contains("no such fleet"), "{missing}");
        assert_eq!(api.json("/api/v2").await.0, 404);
    }

    #[tokio::test]
    async fn the_index_lists_every_endpoint() {
        let api = run(api(handles())).await;
        let (status, head, body) = api.get("/", "").await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: text/plain"), "{head}");
        for path in body.lines().filter_map(|line| line.strip_prefix("GET ")?.split(' ').next()) {
            let path = path.replace("{class}", "public").replace("{namespace}", "infra").replace("{name}", "edge");
            assert_eq!(api.json(&path).await.0, 200, "{path}");
        }
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let ready = Ready::default();
        let guard = ready.register("files");
        let health = run(health(ready)).await;
        let (status, _, body) = health.get("/readyz", "").await;
        assert_eq!((status, body.as_str()), (503, "not ready: files\n"));
        assert_eq!(health.get("/healthz", "").await.0, 200);
        drop(guard);
        assert_eq!(health.get("/readyz", "").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_come_in_both_formats() {
        let encode = || "# HELP a A.\n# TYPE a counter\na_total 1\n# EOF\n".to_owned();
        let metrics = run(metrics(Arc::new(encode))).await;
        let (_, head, body) = metrics.get("/metrics", "").await;
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert_eq!(body, "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n");
        let (_, head, body) = metrics.get("/metrics", "accept: application/openmetrics-text\r\n").await;
        assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"));
    }
}
