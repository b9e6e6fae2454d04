//! The life of one fleet's Envoy.
//!
//! A change that only another process can carry out is made before the old one is broken: the new Envoy starts beside the
//! old one on the same ports, which Envoys share, and takes over once it is live.

use super::admin;
use super::folder::Folder;
use super::launch::{Base, Binary, Launch, node};
use super::logs::LogTail;
use super::process::{Running, validate, write_bootstrap};
use super::record::Record;
use super::retire::retire;
use super::runner::{Host, Shown};
use crate::certificates::{private_dir, write_private};
use crate::envoy::bootstrap::{Admin, sds_files};
use crate::model::{FleetKey, FleetPlan};
use crate::runtime::backoff;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a fleet should run; `None` for nothing any more.
pub(super) type Wanted = Option<Arc<FleetPlan>>;

/// How often the log and a starting Envoy are looked at.
const TICK: Duration = Duration::from_millis(100);
/// The pause before the second restart in a row; the first comes at once.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An Envoy that ran so long was no failed start.
const STABLE: Duration = Duration::from_secs(60);
/// How long a new Envoy may take until it can take over: three times what Envoy waits for a missing configuration.
const TAKE_OVER: Duration = Duration::from_secs(45);
/// What runs when no change of a process is under way, and what takes over; more only while old ones drain.
const MOST: usize = 4;
const UNUSED: &str = "the Envoy of before keeps running, the new settings are not in use";
/// The longest path of a unix socket that is used; the system's own limit is 107.
const LONGEST_SOCKET: usize = 100;

/// Watches over the Envoy of one fleet.
pub(super) struct Supervisor {
    host: Arc<Host>,
    fleet: FleetKey,
    folder: Folder,
    xds: SocketAddr,
    wanted: watch::Receiver<Wanted>,
    current: Option<Current>,
    candidate: Option<Candidate>,
    /// Slots and admin interfaces of Envoys that are on their way out.
    leaving: BTreeMap<u32, Admin>,
    retiring: JoinSet<u32>,
    hurry: CancellationToken,
    restarts: u64,
    /// Failures in a row.
    failures: u32,
    retry: Option<tokio::time::Instant>,
    problem: Option<String>,
    crashed: bool,
    log: LogTail,
}

struct Current {
    process: Running,
    since: Instant,
    answers: bool,
}

struct Candidate {
    process: Running,
    deadline: tokio::time::Instant,
}

impl Supervisor {
    /// Watches over nothing yet.
    pub(super) fn new(host: Arc<Host>, fleet: FleetKey, xds: SocketAddr, wanted: watch::Receiver<Wanted>) -> Self {
        let folder = Folder::new(&host.root, &fleet);
        let log = LogTail::new(fleet.clone(), folder.log());
        Self {
            host,
            fleet,
            folder,
            xds,
            wanted,
            current: None,
            candidate: None,
            leaving: BTreeMap::new(),
            retiring: JoinSet::new(),
            hurry: CancellationToken::new(),
            restarts: 0,
            failures: 0,
            retry: None,
            problem: None,
            crashed: false,
            log,
        }
    }

    /// Does so until the fleet is gone or everything ends. `records` are its Envoys of last time, the newest first.
    pub(super) async fn run(mut self, records: Vec<Record>) -> FleetKey {
        let shutdown = self.host.tasks.shutdown_token();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.adopt(records);
        self.decide().await;
        loop {
            self.show();
            if self.is_over() {
                self.clean_up();
                return self.fleet;
            }
            let retry = self.retry;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.retry = None;
                    self.decide().await;
                }
                end = ended(self.current.as_mut().map(|current| &mut current.process)) => self.current_ended(&end),
                end = ended(self.candidate.as_mut().map(|candidate| &mut candidate.process)) => {
                    self.candidate_ended(&end);
                }
                Some(slot) = self.retiring.join_next() => self.retired(slot.ok()),
                () = until(retry) => {
                    self.retry = None;
                    self.decide().await;
                }
                _ = tick.tick() => self.tick().await,
            }
        }
        self.shut_down().await;
        self.fleet
    }

    /// One is gone; one whose task broke is gone as far as anybody knows.
    fn retired(&mut self, slot: Option<u32>) {
        match slot {
            Some(slot) => drop(self.leaving.remove(&slot)),
            None if self.retiring.is_empty() => self.leaving.clear(),
            None => {}
        }
    }

    fn is_over(&self) -> bool {
        self.wanted.borrow().is_none() && self.current.is_none() && self.candidate.is_none() && self.leaving.is_empty()
    }

    fn adopt(&mut self, records: Vec<Record>) {
        for record in records {
            match Running::adopt(&self.folder, &record) {
                Ok(Some(process)) if self.current.is_none() => {
                    tracing::info!(fleet = %self.fleet, pid = process.pid, "an Envoy that was left running is adopted");
                    self.current = Some(Current { process, since: self.host.clock.now(), answers: false });
                }
                // Two of them: the first argosy ended in the middle of a change.
                Ok(Some(process)) => self.retire(process),
                Ok(None) => {}
                Err(error) => {
                    let pid = record.pid;
                    tracing::warn!(fleet = %self.fleet, pid, %error, "an Envoy that was left running cannot be adopted");
                }
            }
        }
    }

    /// Brings what runs closer to what is wanted.
    async fn decide(&mut self) {
        let Some(plan) = self.wanted.borrow_and_update().clone() else {
            self.retry = None;
            let all = [self.candidate.take().map(|c| c.process), self.current.take().map(|c| c.process)];
            all.into_iter().flatten().for_each(|process| self.retire(process));
            return;
        };
        let drain = Duration::from_secs(plan.drain_seconds);
        if self.candidate.as_ref().is_some_and(|candidate| self.suits(&plan, &candidate.process)) {
            return;
        }
        if let Some(candidate) = self.candidate.take() {
            self.retire(candidate.process);
        }
        let kept = self.current.as_ref().is_some_and(|current| self.suits(&plan, &current.process));
        if let Some(current) = self.current.as_mut().filter(|_| kept) {
            current.process.drain = drain;
            self.problem = None;
            self.failures = 0;
        } else if self.current.is_some() {
            self.replace(&plan, drain).await;
        } else {
            self.start(&plan, drain).await;
        }
    }

    /// Whether a process is what the plan asks for.
    fn suits(&self, plan: &FleetPlan, process: &Running) -> bool {
        let launch = &process.launch;
        self.launch(plan, launch.slot, launch.offered.clone()).is_ok_and(|wanted| wanted == *launch)
    }

    fn launch(&self, plan: &FleetPlan, slot: u32, offered: Admin) -> Result<Launch, String> {
        let binary = Binary::of(&self.host.envoy).map_err(|e| format!("{}: {e}", self.host.envoy.display()))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let concurrency = if cores < 2 { 1 } else { 2 };
        let base = Base { fleet: &self.fleet, folder: &self.folder, xds: self.xds, binary: &binary, concurrency };
        Launch::new(&base, plan, slot, offered)
    }

    async fn start(&mut self, plan: &FleetPlan, drain: Duration) {
        let started = match self.ready_to_start(plan, Launch::is_risky(plan) && !self.crashed).await {
            Ok(launch) if self.leaving.values().any(|admin| *admin == launch.admin) => {
                self.retry = Some(tokio::time::Instant::now() + TICK);
                return;
            }
            Ok(launch) => self.spawn(launch, drain),
            Err(problem) => Err(problem),
        };
        match started {
            Ok(process) => {
                tracing::info!(fleet = %self.fleet, pid = process.pid, "an Envoy is started");
                self.current = Some(Current { process, since: self.host.clock.now(), answers: false });
            }
            Err(problem) => self.failed(format!("Envoy cannot be started: {problem}")),
        }
    }

    async fn replace(&mut self, plan: &FleetPlan, drain: Duration) {
        if self.leaving.len() + 2 > MOST {
            // Looked at again when one of them is gone.
            self.retry = Some(tokio::time::Instant::now() + PAUSE);
            return;
        }
        let started = match self.ready_to_start(plan, true).await {
            Ok(launch) if self.current.as_ref().is_some_and(|c| c.process.launch.admin == launch.admin) => {
                // The user has fixed the admin interface, which two cannot share: one goes before the other comes.
                let current = self.current.take();
                current.into_iter().for_each(|current| self.retire(current.process));
                self.retry = Some(tokio::time::Instant::now() + TICK);
                return;
            }
            Ok(launch) => self.spawn(launch, drain),
            Err(problem) => Err(problem),
        };
        match started {
            Ok(process) => {
                tracing::info!(fleet = %self.fleet, pid = process.pid, "another Envoy is started to take over");
                self.candidate = Some(Candidate { process, deadline: tokio::time::Instant::now() + TAKE_OVER });
            }
            Err(problem) => self.failed(format!("{UNUSED}: {problem}")),
        }
    }

    /// Decides how to start and writes what Envoy reads; with `check` Envoy itself has accepted it.
    async fn ready_to_start(&self, plan: &FleetPlan, check: bool) -> Result<Launch, String> {
        let slot = self.free_slot();
        let launch = self.launch(plan, slot, self.admin(slot)?)?;
        self.prepare(&launch).await?;
        if check {
            tokio::select! {
                result = validate(&self.folder, &launch) => result?,
                () = self.host.tasks.shutdown_token().cancelled_owned() => return Err("everything ends".to_owned()),
            }
        }
        Ok(launch)
    }

    fn spawn(&self, launch: Launch, drain: Duration) -> Result<Running, String> {
        let path = launch.binary.path.clone();
        Running::start(&self.fleet, &self.folder, launch, drain).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn free_slot(&self) -> u32 {
        let current = self.current.as_ref().map(|current| current.process.launch.slot);
        let candidate = self.candidate.as_ref().map(|candidate| candidate.process.launch.slot);
        let free = |slot: &u32| Some(*slot) != current && Some(*slot) != candidate && !self.leaving.contains_key(slot);
        (0..).find(free).unwrap_or_default()
    }

    fn admin(&self, slot: u32) -> Result<Admin, String> {
        let socket = self.folder.socket(slot);
        if socket.as_os_str().len() < LONGEST_SOCKET {
            return Ok(Admin::Pipe(socket));
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        free.map(Admin::Tcp).map_err(|error| format!("no port for the admin interface: {error}"))
    }

    /// Writes everything that Envoy reads at its start.
    async fn prepare(&self, launch: &Launch) -> Result<(), String> {
        let (host, fleet, folder, launch) =
            (Arc::clone(&self.host), self.fleet.clone(), self.folder.clone(), launch.clone());
        let work = move || {
            let certificates = folder.certificates();
            let text = |error: std::io::Error| format!("{}: {error}", folder.path().display());
            private_dir(&certificates).map_err(text)?;
            host.authority.renew_fleet(&fleet, &certificates).map_err(|error| error.to_string())?;
            for (name, content) in sds_files(&certificates) {
                let path = certificates.join(name);
                // Written only when it differs: each write makes every Envoy of the fleet read its certificate again.
                if std::fs::read_to_string(&path).ok().as_ref() != Some(&content) {
                    write_private(&path, content.as_bytes()).map_err(text)?;
                }
            }
            write_bootstrap(&folder, &launch).map_err(text)
        };
        self.host.tasks.spawn_blocking(work).await.map_err(|error| error.to_string())?
    }

    fn failed(&mut self, problem: String) {
        let pause = backoff::exponential(PAUSE, LONGEST_PAUSE, self.failures);
        tracing::error!(fleet = %self.fleet, "{problem}; next try in {} s", pause.as_secs_f32());
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(problem);
        self.retry = Some(tokio::time::Instant::now() + pause);
    }

    fn current_ended(&mut self, end: &str) {
        let Some(current) = self.current.take() else { return };
        self.log.poll();
        current.process.forget();
        self.restarts += 1;
        self.crashed = true;
        if self.host.clock.now().duration_since(current.since) > STABLE {
            self.failures = 0;
        }
        let said = self.log.take_error().map(|line| format!("; its last error: {line}")).unwrap_or_default();
        let problem = format!("Envoy (process {}) ended by itself: {end}{said}", current.process.pid);
        if let Some(candidate) = self.candidate.take() {
            tracing::warn!(fleet = %self.fleet, "{problem}; the new one takes over at once");
            self.current = Some(Current { process: candidate.process, since: self.host.clock.now(), answers: false });
            return;
        }
        let pause = match self.failures {
            0 => Duration::ZERO,
            failures => backoff::exponential(PAUSE, LONGEST_PAUSE, failures - 1),
        };
        tracing::warn!(fleet = %self.fleet, "{problem}; it is started again in {} s", pause.as_secs_f32());
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(problem);
        self.retry = Some(tokio::time::Instant::now() + pause);
    }

    fn candidate_ended(&mut self, end: &str) {
        let Some(candidate) = self.candidate.take() else { return };
        self.log.poll();
        candidate.process.forget();
        let said = self.log.take_error().map(|line| format!("; its last error: {line}")).unwrap_or_default();
        self.failed(format!("{UNUSED}: the new Envoy ended by itself: {end}{said}"));
    }

    async fn tick(&mut self) {
        self.log.poll();
        if let Some(current) = self.current.as_mut().filter(|current| !current.answers)
            && ready(&current.process).await.is_some()
        {
            current.answers = true;
            self.crashed = false;
            self.problem = None;
        }
        let Some(candidate) = &self.candidate else { return };
        if ready(&candidate.process).await == Some(true) {
            self.take_over();
        } else if candidate.deadline < tokio::time::Instant::now()
            && let Some(candidate) = self.candidate.take()
        {
            self.retire(candidate.process);
            self.failed(format!("{UNUSED}: the new Envoy was not ready within {} s", TAKE_OVER.as_secs()));
        }
    }

    fn take_over(&mut self) {
        let Some(candidate) = self.candidate.take() else { return };
        tracing::info!(fleet = %self.fleet, pid = candidate.process.pid, "the new Envoy takes over");
        let next = Current { process: candidate.process, since: self.host.clock.now(), answers: true };
        if let Some(before) = self.current.replace(next) {
            self.retire(before.process);
        }
        self.problem = None;
        self.failures = 0;
    }

    fn retire(&mut self, process: Running) {
        tracing::info!(fleet = %self.fleet, pid = process.pid, "an Envoy drains");
        let (slot, drain, hurry) = (process.launch.slot, process.drain, self.hurry.clone());
        self.leaving.insert(slot, process.launch.admin.clone());
        self.retiring.spawn(async move {
            retire(process, drain, hurry).await;
            slot
        });
    }

    async fn shut_down(&mut self) {
        if self.host.settings.keep_proxies {
            // A candidate stays too: the next argosy decides between the two.
            self.retiring.abort_all();
        } else {
            self.hurry.cancel();
            for mut process in
                [self.candidate.take().map(|c| c.process), self.current.take().map(|c| c.process)].into_iter().flatten()
            {
                process.drain = Duration::ZERO;
                self.retire(process);
            }
            self.show();
            while self.retiring.join_next().await.is_some() {}
        }
        self.log.poll();
    }

    /// A fleet that is gone leaves no key behind.
    fn clean_up(&mut self) {
        self.log.poll();
        if let Err(error) = std::fs::remove_dir_all(self.folder.path())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(fleet = %self.fleet, path = %self.folder.path().display(), %error, "a folder cannot be removed");
        }
        tracing::info!(fleet = %self.fleet, "the fleet is gone");
    }

    fn show(&self) {
        let process = self.current.as_ref().map(|current| &current.process);
        let state = match &self.current {
            Some(current) if current.answers => "running",
            Some(_) if self.crashed => "restarting",
            Some(_) => "starting",
            None if self.wanted.borrow().is_none() || self.hurry.is_cancelled() => "draining",
            None if self.crashed => "restarting",
            None if self.problem.is_some() => "failed",
            None => "starting",
        };
        let node = process.map_or_else(|| node(&self.fleet, 0), |process| process.launch.node.clone());
        self.host.show(
            &self.fleet,
            Shown {
                node,
                pid: process.map(|process| process.pid),
                admin: process.map(|process| process.launch.admin.clone()),
                state,
                restarts: self.restarts,
                problem: self.problem.clone(),
            },
        );
    }
}

/// Whether Envoy is live; `None` when its admin interface does not answer yet.
async fn ready(process: &Running) -> Option<bool> {
    // Short, since nothing else is looked at meanwhile.
    let answer = tokio::time::timeout(Duration::from_secs(1), admin::get(&process.launch.admin, "/ready")).await;
    answer.ok()?.ok().map(|(status, _)| status == 200)
}

async fn ended(process: Option<&mut Running>) -> String {
    match process {
        Some(process) => process.exited().await,
        None => std::future::pending().await,
    }
}

async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
