//! All fleets of this machine.

use super::admin;
use super::adopt;
use super::bindings::{Bindings, Standing};
use super::folder::Folder;
use super::record::Record;
use super::store;
use super::supervise::{Supervisor, Wanted};
use crate::certificates::{self, Authority, private_dir};
use crate::envoy::bootstrap::Admin;
use crate::infra::HostSettings;
use crate::model::{Binding, FleetKey, FleetPlan};
use crate::runtime::clock::Clock;
use crate::runtime::tasks::Tasks;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often changed places are written at least.
const WRITE: Duration = Duration::from_secs(1);

/// All plans by fleet.
type Plans = Arc<BTreeMap<FleetKey, FleetPlan>>;

/// Why Envoys cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file or folder of the state directory.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Two would end each other's Envoys.
    #[error("{0} is in use by another argosy: end that one, or give this one its own --state-dir")]
    InUse(PathBuf),
    /// Certificates.
    #[error(transparent)]
    Certificates(#[from] certificates::Error),
    /// The fleet has no running Envoy that could be asked, or it does not answer.
    #[error("{0}")]
    Admin(String),
    /// A defect.
    #[error("what watches over an Envoy ended: {0}")]
    Supervisor(#[from] JoinError),
}

/// One fleet's Envoy, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The fleet.
    pub fleet: FleetKey,
    /// `node.id`; empty before the first start.
    pub node: String,
    /// The process, when there is one.
    pub pid: Option<u32>,
    /// Where it listens; `None` for a fleet that is being removed.
    pub binding: Option<Binding>,
    /// `unix:<path>` or `http://<address>`.
    pub admin: Option<String>,
    /// `starting`, `running`, `restarting` (it ended by itself and is started again), `draining`, or `failed` (it could not
    /// be started; tried again).
    pub state: &'static str,
    /// How often it was started again because it had ended by itself.
    pub restarts: u64,
    /// What is wrong, in a sentence.
    pub problem: Option<String>,
}

/// What a supervisor shows of its fleet.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) node: String,
    pub(super) pid: Option<u32>,
    pub(super) admin: Option<Admin>,
    pub(super) state: &'static str,
    pub(super) restarts: u64,
    pub(super) problem: Option<String>,
}

/// One Envoy a fleet on this machine.
#[derive(Debug)]
pub struct Host {
    pub(super) settings: HostSettings,
    pub(super) envoy: PathBuf,
    /// `<state-dir>/host`.
    pub(super) root: PathBuf,
    pub(super) authority: Arc<Authority>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    bindings: Mutex<Bindings>,
    /// Fleets that are released while their Envoy still drains.
    released: Mutex<BTreeSet<FleetKey>>,
    shown: Mutex<BTreeMap<FleetKey, Shown>>,
    /// Envoys of last time that nobody watches over yet.
    found: Mutex<BTreeMap<FleetKey, Vec<Record>>>,
    /// Held as long as this value lives.
    _lock: File,
}

impl Host {
    /// Opens `<state-dir>/host` and looks for Envoys that are still running; nothing is started or ended yet. `envoy` is
    /// the binary, see `find_envoy`.
    pub fn open(
        settings: HostSettings,
        envoy: PathBuf,
        state_dir: &Path,
        authority: Arc<Authority>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Arc<Self>, HostError> {
        let root = state_dir.join("host");
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| HostError::File { path, source }
        };
        private_dir(&root).map_err(file(&root))?;
        // Envoy is started in another folder, so paths have to be absolute.
        let root = root.canonicalize().map_err(file(&root))?;
        let lock = lock(&root)?;
        let places = root.join("addresses.json");
        let places = store::read(&places).map_err(file(&places))?;
        let found = adopt::scan(&root).map_err(file(&root))?;
        let bindings = Bindings::new(settings.addresses, places, &found.keys().cloned().collect());
        Ok(Arc::new(Self {
            settings,
            envoy,
            root,
            authority,
            clock,
            tasks,
            bindings: Mutex::new(bindings),
            released: Mutex::default(),
            shown: Mutex::default(),
            found: Mutex::new(found),
            _lock: lock,
        }))
    }

    /// Where a fleet's listeners are bound; the same question has the same answer, also after a restart while its Envoy
    /// runs. The error says which address or port cannot be had, why, and what mends it.
    pub fn bind(&self, fleet: &FleetKey, requested: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
        let probe = |address: SocketAddr| TcpListener::bind(address).map(drop);
        let binding = self.bindings.lock().bind(fleet, requested, ports, &probe)?;
        self.released.lock().remove(fleet);
        Ok(binding)
    }

    /// The addresses at which a fleet can be reached.
    pub fn addresses(&self, binding: &Binding, _requested: &[IpAddr]) -> Vec<IpAddr> {
        vec![match binding.address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        }]
    }

    /// Forgets where a fleet listens, once its Envoy is gone.
    pub fn release(&self, fleet: &FleetKey) {
        if self.shown.lock().contains_key(fleet) {
            self.released.lock().insert(fleet.clone());
        } else {
            self.bindings.lock().release(fleet);
        }
    }

    /// Ends all Envoys at once, for a process that cannot wait; with `keep_proxies` they are left running.
    pub fn end_now(&self) {
        if self.settings.keep_proxies {
            return;
        }
        match adopt::scan(&self.root) {
            Ok(found) => found.values().flatten().for_each(super::process::kill),
            Err(error) => tracing::error!(%error, "the records of Envoys cannot be read; the next start adopts them"),
        }
    }

    /// All fleets with a process, or that should have one.
    pub fn processes(&self) -> Vec<Process> {
        let shown = self.shown.lock().clone();
        let process = |(fleet, shown): (FleetKey, Shown)| Process {
            node: shown.node,
            pid: shown.pid,
            binding: self.bindings.lock().get(&fleet),
            admin: shown.admin.as_ref().map(admin::show),
            state: shown.state,
            restarts: shown.restarts,
            problem: shown.problem,
            fleet,
        };
        shown.into_iter().map(process).collect()
    }

    /// `GET <path>` of the admin interface of a fleet's Envoy: the text of an answer with status 200.
    pub async fn admin_get(&self, fleet: &FleetKey, path: &str) -> Result<String, HostError> {
        let admin = self.shown.lock().get(fleet).and_then(|shown| shown.admin.clone());
        let admin = admin.ok_or_else(|| HostError::Admin(format!("{fleet} has no running Envoy")))?;
        match admin::get(&admin, path).await {
            Ok((200, text)) => Ok(text),
            Ok((status, text)) => Err(HostError::Admin(format!("{path} of the Envoy of {fleet}: {status} {text}"))),
            Err(error) => Err(HostError::Admin(error)),
        }
    }

    /// Runs one Envoy for each plan until shutdown. `xds` is where Envoys find the xDS server. Until `settled` is
    /// cancelled, which says that the plans are complete, no Envoy is ended because it has no plan. After shutdown it
    /// returns when all Envoys have ended, 10 s later at most; with `keep_proxies` it leaves them running.
    pub async fn run(
        self: Arc<Self>,
        xds: SocketAddr,
        mut plans: watch::Receiver<Plans>,
        settled: CancellationToken,
    ) -> Result<(), HostError> {
        let shutdown = self.tasks.shutdown_token();
        let mut fleets = Fleets { host: Arc::clone(&self), xds, workers: BTreeMap::new(), running: JoinSet::new() };
        let period = self.authority.interval().max(Duration::from_secs(1));
        let mut renew = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        let mut write = tokio::time::interval(WRITE);
        let (mut is_settled, mut closed) = (false, false);
        loop {
            let wanted = Arc::clone(&plans.borrow_and_update());
            self.write_places();
            fleets.apply(&wanted, is_settled);
            // In this order: a supervisor that ended because everything ends must not be taken for one to start again.
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = plans.changed(), if !closed => closed = changed.is_err(),
                () = settled.cancelled(), if !is_settled => is_settled = true,
                Some(ended) = fleets.running.join_next() => fleets.ended(&ended?),
                _ = renew.tick() => fleets.renew().await,
                _ = write.tick() => {}
            }
        }
        // Supervisors see the shutdown themselves.
        while let Some(ended) = fleets.running.join_next().await {
            fleets.ended(&ended?);
        }
        self.write_places();
        Ok(())
    }

    /// Shows the state of a fleet.
    pub(super) fn show(&self, fleet: &FleetKey, shown: Shown) {
        self.shown.lock().insert(fleet.clone(), shown);
    }

    fn write_places(&self) {
        let Some(places) = self.bindings.lock().take_changed() else { return };
        let path = self.root.join("addresses.json");
        if let Err(error) = store::write(&path, &places) {
            tracing::error!(path = %path.display(), %error, "the addresses of fleets cannot be written; tried again");
            self.bindings.lock().set_changed();
        }
    }
}

/// The supervisors.
struct Fleets {
    host: Arc<Host>,
    xds: SocketAddr,
    workers: BTreeMap<FleetKey, watch::Sender<Wanted>>,
    running: JoinSet<FleetKey>,
}

impl Fleets {
    /// Tells every supervisor what is wanted, and starts those that are missing.
    fn apply(&mut self, plans: &Plans, is_settled: bool) {
        for (fleet, plan) in plans.iter() {
            self.want(fleet, Some(plan));
        }
        if !is_settled {
            return;
        }
        let found: Vec<FleetKey> = self.host.found.lock().keys().cloned().collect();
        let gone: BTreeSet<FleetKey> =
            found.into_iter().chain(self.workers.keys().cloned()).filter(|fleet| !plans.contains_key(fleet)).collect();
        for fleet in &gone {
            self.want(fleet, None);
        }
        // Places of last time whose Gateways are gone; one that was asked for just now has its plan on the way.
        let workers = &self.workers;
        self.host.bindings.lock().retain(|fleet, standing| {
            standing == Standing::Asked || plans.contains_key(fleet) || workers.contains_key(fleet)
        });
    }

    fn want(&mut self, fleet: &FleetKey, plan: Option<&FleetPlan>) {
        if let Some(worker) = self.workers.get(fleet) {
            worker.send_if_modified(|wanted| {
                let changed = wanted.as_deref() != plan;
                if changed {
                    *wanted = plan.cloned().map(Arc::new);
                }
                changed
            });
            return;
        }
        let (sender, wanted) = watch::channel(plan.cloned().map(Arc::new));
        let records = self.host.found.lock().remove(fleet).unwrap_or_default();
        self.host.show(fleet, Shown { state: "starting", ..Shown::default() });
        let supervisor = Supervisor::new(Arc::clone(&self.host), fleet.clone(), self.xds, wanted);
        self.running.spawn(supervisor.run(records));
        self.workers.insert(fleet.clone(), sender);
    }

    /// A supervisor has nothing left to watch over.
    fn ended(&mut self, fleet: &FleetKey) {
        self.workers.remove(fleet);
        self.host.shown.lock().remove(fleet);
        if self.host.released.lock().remove(fleet) {
            self.host.bindings.lock().release(fleet);
        }
    }

    /// Renews the certificates that are due.
    async fn renew(&self) {
        let (host, fleets) = (Arc::clone(&self.host), self.workers.keys().cloned().collect::<Vec<_>>());
        let work = move || {
            for fleet in fleets {
                let certificates = Folder::new(&host.root, &fleet).certificates();
                match host.authority.renew_fleet(&fleet, &certificates) {
                    Ok(true) => tracing::info!(%fleet, "the certificate of the fleet is renewed"),
                    Ok(false) => {}
                    Err(error) => tracing::error!(%fleet, %error, "the certificate of the fleet cannot be renewed"),
                }
            }
        };
        if let Err(error) = self.host.tasks.spawn_blocking(work).await {
            tracing::error!(%error, "renewing certificates");
        }
    }
}

fn lock(root: &Path) -> Result<File, HostError> {
    let path = root.join("lock");
    let failed = |source| HostError::File { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(HostError::InUse(root.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
