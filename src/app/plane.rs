//! A control plane, part by part.

use super::adapters::{Elsewhere, OnHost, Told, rows};
use super::file_findings::FileFindings;
use super::run_file::{Run, RunFile};
use super::state_dir::StateDir;
use crate::admin;
use crate::certificates::Authority;
use crate::infra::{Host, InfraKind, find_envoy};
use crate::pipeline::{self, Binder, Engine, EngineParts};
use crate::provider::{self, Files};
use crate::runtime::clock::Clock;
use crate::runtime::ready::{Guard, Ready};
use crate::runtime::tasks::{TaskFailure, Tasks};
use crate::settings::Settings;
use crate::snapshot::Registry;
use crate::status::StatusFiles;
use crate::telemetry;
use crate::tenant::Classes;
use crate::xds::{self, Progress, Server};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often status files and file findings are brought up to date.
const STATUS_INTERVAL: Duration = Duration::from_millis(200);

/// How often an address or port that somebody else has is asked for again.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Why a process cannot start: one sentence for people.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

fn cause<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> StartError {
    move |error| StartError(format!("{what}: {error}"))
}

/// Where the process listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For Envoys.
    pub xds: SocketAddr,
    /// The admin API.
    pub admin: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
    /// Health.
    pub health: SocketAddr,
}

/// A running control plane. Dropped before it ended in order, it ends its Envoys at once.
pub struct Plane {
    addresses: Addresses,
    handles: admin::Handles,
    tasks: Tasks,
    deadline: Duration,
    host: Option<Arc<Host>>,
    _run_file: RunFile,
    /// Given back last.
    _state: StateDir,
}

impl Plane {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What the admin API shows.
    pub fn handles(&self) -> &admin::Handles {
        &self.handles
    }

    /// Waits for a part that dies; for ever when none does.
    pub async fn failed(&self) -> TaskFailure {
        self.tasks.failed().await
    }

    /// Ends everything in order; false when the deadline passed first.
    pub async fn shutdown(mut self) -> bool {
        let in_time = self.tasks.shutdown(self.deadline).await;
        if in_time {
            self.host = None;
        }
        in_time
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if let Some(host) = &self.host {
            host.end_now();
        }
    }
}

/// Starts all parts. When it returns, every port is bound and `run.json` is written; readiness comes later.
pub async fn start(settings: Settings) -> Result<Plane, StartError> {
    let base = Base::new(settings)?;
    let listeners = Listeners::bind(&base.settings).await?;
    let host = base.host()?;
    let engine = base.engine(host.as_ref());
    let progress = Progress::new(base.xds_metrics.clone(), base.clock.clone(), Arc::new(Told(Arc::clone(&engine))));
    let server = Server::bind(
        base.settings.xds.clone(),
        Arc::clone(&base.authority),
        Arc::clone(&base.registry),
        Arc::clone(&progress),
        base.tasks.clone(),
    )
    .await
    .map_err(cause(format!("xds.address {} cannot be bound", base.settings.xds.address)))?;
    let addresses = listeners.addresses(server.address().map_err(cause("xds.address"))?)?;
    let handles = base.handles(&engine, progress, host.clone());

    let translated = CancellationToken::new();
    base.serve_admin(listeners, &handles);
    base.tasks.spawn("xds server", server.serve());
    base.renew_server_certificate();
    base.work(&engine, translated.clone());
    base.follow_files(&engine);
    base.retry_bindings(&engine);
    base.write_status(&engine)?;
    if let Some(host) = host.clone() {
        base.tasks.spawn("host", host.run(addresses.xds, engine.plans(), translated));
    }
    let run = Run {
        pid: std::process::id(),
        xds: addresses.xds,
        admin: addresses.admin,
        metrics: addresses.metrics,
        health: addresses.health,
    };
    let run_file = RunFile::write(&base.settings.state_dir, &run).map_err(cause("run.json"))?;
    tracing::info!(xds = %addresses.xds, admin = %addresses.admin, metrics = %addresses.metrics, health = %addresses.health,
        "argosy is up");
    let deadline = base.settings.shutdown.deadline();
    Ok(Plane { addresses, handles, tasks: base.tasks, deadline, host, _run_file: run_file, _state: base.state })
}

/// What the parts have in common.
struct Base {
    settings: Settings,
    classes: Arc<Classes>,
    clock: Clock,
    tasks: Tasks,
    ready: Ready,
    metrics: Arc<telemetry::metrics::Registry>,
    pipeline_metrics: pipeline::Metrics,
    xds_metrics: xds::Metrics,
    registry: Arc<Registry>,
    authority: Arc<Authority>,
    state: StateDir,
}

impl Base {
    fn new(settings: Settings) -> Result<Self, StartError> {
        let classes = Classes::new(&settings.classes).map_err(cause("classes"))?;
        let state_dir = &settings.state_dir;
        let state = StateDir::open(state_dir).map_err(StartError)?;
        let life = Duration::from_secs(u64::from(settings.xds.certificate_hours) * 3600);
        let authority =
            Authority::open(state_dir, &settings.xds.trust_domain, life, &[settings.xds.address.ip()], Clock::real())
                .map_err(cause("certificates"))?;
        let mut metrics = telemetry::metrics::Registry::new();
        Ok(Self {
            classes: Arc::new(classes),
            clock: Clock::real(),
            tasks: Tasks::default(),
            ready: Ready::default(),
            pipeline_metrics: pipeline::Metrics::register(metrics.rooms()),
            xds_metrics: xds::Metrics::register(metrics.rooms()),
            metrics: Arc::new(metrics),
            registry: Arc::new(Registry::default()),
            authority,
            state,
            settings,
        })
    }
}

impl Base {
    /// Takes `infra.host` and the authority, gives who runs the Envoys, if that is us.
    fn host(&self) -> Result<Option<Arc<Host>>, StartError> {
        if self.settings.infra.kind != InfraKind::Host {
            return Ok(None);
        }
        let settings = &self.settings.infra.host;
        let envoy = find_envoy(settings.envoy.as_deref()).map_err(|missing| StartError(missing.to_string()))?;
        let host = Host::open(
            settings.clone(),
            envoy,
            &self.settings.state_dir,
            Arc::clone(&self.authority),
            self.clock.clone(),
            self.tasks.clone(),
        );
        host.map(Some).map_err(cause("infra.host"))
    }

    /// Takes classes, registry and binder, gives the pipeline.
    fn engine(&self, host: Option<&Arc<Host>>) -> Arc<Engine> {
        let classes = Arc::clone(&self.classes);
        let binder: Arc<dyn Binder> = match host {
            Some(host) => Arc::new(OnHost(Arc::clone(host))),
            None => Arc::new(Elsewhere),
        };
        Engine::new(EngineParts {
            controllers: Arc::new(move |name| classes.class_of(name)),
            registry: Arc::clone(&self.registry),
            binder,
            clock: self.clock.clone(),
            metrics: self.pipeline_metrics.clone(),
        })
    }

    /// Takes the pipeline, the streams and the host, gives what the admin API reads.
    fn handles(&self, engine: &Arc<Engine>, progress: Arc<Progress>, host: Option<Arc<Host>>) -> admin::Handles {
        let registry = Arc::clone(&self.registry);
        admin::Handles {
            engine: Arc::clone(engine),
            progress,
            processes: Arc::new(move || host.as_deref().map(rows).unwrap_or_default()),
            dump: Arc::new(move |fleet| {
                let published = registry.get(fleet)?.current()?;
                Some(super::offline::resources(&published.snapshot).to_json(false))
            }),
        }
    }

    /// Takes bound listeners, serves health, metrics and the admin API.
    fn serve_admin(&self, listeners: Listeners, handles: &admin::Handles) {
        let shutdown = || self.tasks.shutdown_token();
        let (metrics, progress, engine) =
            (Arc::clone(&self.metrics), Arc::clone(&handles.progress), Arc::clone(&handles.engine));
        let encode = Arc::new(move || {
            progress.refresh_gauges();
            engine.refresh_gauges();
            metrics.encode()
        });
        self.tasks.spawn("admin", admin::serve(listeners.admin, admin::api(handles.clone()), shutdown()));
        self.tasks.spawn("metrics", admin::serve(listeners.metrics, admin::metrics(encode), shutdown()));
        self.tasks.spawn("health", admin::serve(listeners.health, admin::health(self.ready.clone()), shutdown()));
    }

    /// Renews the xDS server's certificate; those of fleets are renewed by who runs them.
    fn renew_server_certificate(&self) {
        let (authority, shutdown) = (Arc::clone(&self.authority), self.tasks.shutdown_token());
        self.tasks.spawn("certificate renewal", async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), crate::certificates::Error>(()),
                    () = tokio::time::sleep(authority.interval()) => authority.renew_server()?,
                }
            }
        });
    }

    /// Takes affected Gateways from the queue, one worker a core. `translated` is cancelled when the first files were
    /// worked off.
    fn work(&self, engine: &Arc<Engine>, translated: CancellationToken) {
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        for _ in 0..workers {
            let (engine, shutdown) = (Arc::clone(engine), self.tasks.shutdown_token());
            self.tasks.spawn("pipeline worker", async move {
                loop {
                    tokio::select! {
                        () = shutdown.cancelled() => return Ok::<(), std::convert::Infallible>(()),
                        () = engine.has_work() => {}
                    }
                    // Translation is short, but there may be much of it: streams get their turn in between.
                    while engine.work_once() {
                        tokio::task::yield_now().await;
                    }
                }
            });
        }
        let (guard, engine, shutdown) =
            (self.ready.register("translation"), Arc::clone(engine), self.tasks.shutdown_token());
        self.tasks.spawn_detached("first translation", async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = engine.first_settled() => {
                    translated.cancel();
                    drop(guard);
                }
            }
        });
    }

    /// Asks again for addresses and ports that somebody else had.
    fn retry_bindings(&self, engine: &Arc<Engine>) {
        let (engine, shutdown) = (Arc::clone(engine), self.tasks.shutdown_token());
        self.tasks.spawn("bindings", async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), std::convert::Infallible>(()),
                    () = tokio::time::sleep(RETRY_INTERVAL) => engine.retry_blocked(),
                }
            }
        });
    }

    /// Takes folders, gives changes to the pipeline.
    fn follow_files(&self, engine: &Arc<Engine>) {
        if self.settings.files.folders.is_empty() {
            tracing::warn!("no folder of manifests is followed: name one with --files DIR or files.folders");
        }
        let files = Files::new(self.settings.files.folders.clone());
        let guard: Option<Guard> = Some(self.ready.register("files"));
        let sink = {
            let (engine, mut guard, mut known) = (Arc::clone(engine), guard, FileFindings::default());
            move |scan: provider::Scan| {
                known.log(&scan.findings);
                engine.set_file_findings(scan.findings);
                engine.apply(scan.changes);
                engine.loaded();
                guard.take();
            }
        };
        let watch =
            provider::watch(files, self.settings.files.clone(), self.clock.clone(), self.tasks.shutdown_token(), sink);
        self.tasks.spawn("files", watch);
    }

    /// Writes the status of all objects into `status.dir`, if there is one.
    fn write_status(&self, engine: &Arc<Engine>) -> Result<(), StartError> {
        let Some(dir) = &self.settings.status.dir else { return Ok(()) };
        std::fs::create_dir_all(dir).map_err(cause(format!("status.dir {}", dir.display())))?;
        let (mut files, engine, shutdown) =
            (StatusFiles::new(dir.clone()), Arc::clone(engine), self.tasks.shutdown_token());
        self.tasks.spawn("status files", async move {
            // What an earlier process left of objects that are no more is removed once it is known which there are.
            tokio::select! {
                () = shutdown.cancelled() => return Ok::<(), std::io::Error>(()),
                () = engine.first_settled() => {}
            }
            files.sweep(&engine.objects_with_status())?;
            loop {
                let changed = engine.changed_status();
                if !changed.is_empty() {
                    files = tokio::task::spawn_blocking(move || files.write(changed).map(|()| files))
                        .await
                        .map_err(std::io::Error::other)??;
                }
                tokio::select! {
                    () = shutdown.cancelled() => return Ok::<(), std::io::Error>(()),
                    () = tokio::time::sleep(STATUS_INTERVAL) => {}
                }
            }
        });
        Ok(())
    }
}

/// Bound ports of everything but xDS.
struct Listeners {
    admin: TcpListener,
    metrics: TcpListener,
    health: TcpListener,
}

impl Listeners {
    async fn bind(settings: &Settings) -> Result<Self, StartError> {
        let bind = async |key: &str, address: SocketAddr| {
            TcpListener::bind(address).await.map_err(cause(format!("{key}.address {address} cannot be bound")))
        };
        Ok(Self {
            admin: bind("admin", settings.admin.address).await?,
            metrics: bind("metrics", settings.metrics.address).await?,
            health: bind("health", settings.health.address).await?,
        })
    }

    fn addresses(&self, xds: SocketAddr) -> Result<Addresses, StartError> {
        let of = |listener: &TcpListener| listener.local_addr().map_err(cause("a bound address"));
        Ok(Addresses { xds, admin: of(&self.admin)?, metrics: of(&self.metrics)?, health: of(&self.health)? })
    }
}
