//! `argosy serve` in a folder and a subnet of its own.

use super::backends::Backends;
use super::manifests::{INTERNAL, PUBLIC};
use super::process::{alive, recorded, signal, wait_gone};
use super::proxy::Proxy;
use super::{command, status};
use argosy::cli::demo::Fleet;
use argosy::cli::demo::client::Target;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long a condition may take to come true before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(20);
/// How long Envoys and Argosy may take to end in order, once a test is over.
const GRACE: Duration = Duration::from_secs(3);
/// How much of the log a failure shows.
const LOG_LINES: usize = 60;

static SUBNETS: AtomicU8 = AtomicU8::new(0);

/// What a running process says of itself in `<state>/run.json`.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub(crate) struct Run {
    pub(crate) pid: u64,
    pub(crate) xds: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) health: SocketAddr,
}

/// A folder with manifests, state and log, and perhaps a process that serves it.
pub(crate) struct Argosy {
    pub(crate) backends: Backends,
    folder: TempDir,
    subnet: String,
    child: Option<Child>,
    run: Option<Run>,
}

impl Argosy {
    /// A folder without manifests, with two classes in its settings; nothing runs yet.
    pub(crate) fn prepare() -> Self {
        command::envoy();
        let folder = tempfile::Builder::new().prefix("argosy-test-").tempdir().unwrap();
        for name in ["manifests", "state"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let settings =
            format!("classes:\n  public:\n    controllerName: {PUBLIC}\n  internal:\n    controllerName: {INTERNAL}\n");
        fs::write(folder.path().join("argosy.yaml"), settings).unwrap();
        // Two runs of the tests at the same time get different subnets, and so do the tests of one run.
        let second = 64 + std::process::id() % 180;
        let subnet = format!("127.{second}.{}", SUBNETS.fetch_add(1, Ordering::Relaxed));
        Self { backends: Backends::default(), folder, subnet, child: None, run: None }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The state folder, as an argument.
    pub(crate) fn state_dir(&self) -> String {
        self.path("state").display().to_string()
    }

    /// An address of the subnet.
    pub(crate) fn address(&self, last: u8) -> String {
        format!("{}.{last}", self.subnet)
    }

    /// Writes a file of manifests in one step, as editors do: nobody can read half of it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let draft = self.path(&format!("{name}.draft"));
        fs::write(&draft, content).unwrap();
        fs::rename(&draft, self.path("manifests").join(name)).unwrap();
    }

    /// Takes a file of manifests away.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path("manifests").join(name)).unwrap();
    }

    /// Starts the process and waits until everything is bound.
    pub(crate) async fn start(&mut self) -> Run {
        self.start_with(&[]).await
    }

    /// The same with further arguments.
    pub(crate) async fn start_with(&mut self, arguments: &[&str]) -> Run {
        assert!(self.child.is_none(), "one process a folder");
        let log = File::options().create(true).append(true).open(self.path("argosy.log")).unwrap();
        let any = "127.0.0.1:0";
        // A restart keeps the address that the Envoys connect to: with another one they would have to be replaced.
        let xds = self.run.map_or_else(|| any.to_owned(), |run| run.xds.to_string());
        let child = command::argosy()
            .arg("serve")
            .arg("--config")
            .arg(self.path("argosy.yaml"))
            .arg("--files")
            .arg(self.path("manifests"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--envoy")
            .arg(command::envoy())
            .args(["--xds-addr", &xds, "--admin-addr", any, "--metrics-addr", any, "--health-addr", any])
            .args(arguments)
            .env("ARGOSY_INFRA__HOST__ADDRESSES", format!("{}.0/24", self.subnet))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = u64::from(child.id());
        self.child = Some(child);
        let file = self.path("state/run.json");
        let run = self
            .wait("argosy has bound everything", async || {
                if !alive(pid) {
                    return Err("the process ended".to_owned());
                }
                let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                let run: Run = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
                // The file of a process that was killed is still there.
                if run.pid == pid { Ok(run) } else { Err(format!("run.json is of process {}", run.pid)) }
            })
            .await;
        self.run = Some(run);
        run
    }

    /// What the running process said of itself.
    pub(crate) fn running(&self) -> Run {
        self.run.expect("argosy was started")
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, what: Signal) {
        signal(self.running().pid, what);
    }

    /// Waits until the process has ended; how it did.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("argosy was started");
        let mut ended = None;
        self.wait("argosy has ended", async || {
            ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() { Ok(()) } else { Err("it runs".to_owned()) }
        })
        .await;
        ended.expect("it was waited for")
    }

    /// Ends the process as a power cut would.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }

    /// Asks again and again until the answer is `Ok`; after half a minute the test fails and shows the last `Err`.
    pub(crate) async fn wait<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
        let start = Instant::now();
        loop {
            match probe().await {
                Ok(found) => return found,
                Err(last) if start.elapsed() > PATIENCE => {
                    panic!("not within {} s: {what}\nlast: {last}", PATIENCE.as_secs())
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// The end of the log.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- the log ends:\n{}", lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
    }

    /// The whole log.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.path("argosy.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A document of the admin API.
    pub(crate) async fn api(&self, path: &str) -> Result<Value, String> {
        let target = Target::plain(self.running().admin);
        let answer = target.get("localhost", path, &[]).await.map_err(|error| format!("{path}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{path}: status {}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
        serde_json::from_slice(&answer.body).map_err(|error| format!("{path}: {error}"))
    }

    /// Everything that is wrong, as the admin API lists it.
    pub(crate) async fn findings(&self) -> Vec<Value> {
        let list = self.api("/api/v1/findings").await.unwrap_or_else(|e| panic!("{e}\n{}", self.log_tail()));
        list.as_array().cloned().unwrap_or_else(|| panic!("findings are no list: {list}"))
    }

    /// Waits for a finding whose JSON holds all of the words.
    pub(crate) async fn finding(&self, words: &[&str]) -> Value {
        self.wait(&format!("a finding with {words:?}"), async || {
            let list = self.api("/api/v1/findings").await?;
            let fits = |finding: &&Value| words.iter().all(|word| finding.to_string().contains(word));
            list.as_array().into_iter().flatten().find(fits).cloned().ok_or_else(|| format!("{list:#}"))
        })
        .await
    }

    /// Waits for an object whose status fulfils a condition; what the probe makes of it.
    pub(crate) async fn object<T>(
        &self,
        [kind, namespace, name]: [&str; 3],
        what: &str,
        probe: impl Fn(&Value) -> Option<T>,
    ) -> T {
        self.wait(&format!("{kind} {namespace}/{name}: {what}"), async || {
            let list = self.api("/api/v1/status").await?;
            let object = status::object(&list, kind, namespace, name).ok_or("it is not in the list")?;
            probe(object).ok_or_else(|| format!("{object:#}"))
        })
        .await
    }

    /// Waits until some condition of an object reads `Type=Status/Reason`, for the object's present generation; the
    /// condition's message.
    pub(crate) async fn condition(&self, object: [&str; 3], wanted: &str) -> String {
        let find = |object: &Value| {
            let mut all = status::conditions(object).map(status::shown);
            all.find(|(shown, _)| shown == wanted).map(|(_, message)| message)
        };
        self.object(object, wanted, find).await
    }

    /// The Envoy of a Gateway, once it has acknowledged what it should have; `None` while there is no such.
    pub(crate) async fn synced(&self, gateway: &str) -> Result<Proxy, String> {
        let list = self.api("/api/v1/proxies").await?;
        let fleet = Fleet::list(&list).into_iter().find(|fleet| fleet.gateway == gateway);
        let synced = fleet.filter(|fleet| fleet.synced() && fleet.pid.is_some());
        synced.map(|fleet| Proxy { fleet }).ok_or_else(|| format!("{list:#}"))
    }

    /// Waits for the Envoy of a Gateway (`namespace/name`).
    pub(crate) async fn proxy(&self, gateway: &str) -> Proxy {
        self.wait(&format!("the Envoy of {gateway} has acknowledged everything"), async || self.synced(gateway).await)
            .await
    }

    /// Waits until a GET is answered as wanted: a status, or a status and a backend as in `200 one`.
    pub(crate) async fn answers(&self, target: &Target, host: &str, path: &str, wanted: &str) {
        self.answers_to(target, host, path, &[], wanted).await;
    }

    /// The same with headers.
    pub(crate) async fn answers_to(
        &self,
        target: &Target,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        wanted: &str,
    ) {
        self.wait(&format!("{host}{path} {headers:?} is answered with {wanted}"), async || {
            let answer = target.get(host, path, headers).await.map_err(|error| error.to_string())?;
            let got = match answer.backend() {
                Some(backend) if wanted.contains(' ') => format!("{} {backend}", answer.status),
                _ => answer.status.to_string(),
            };
            if got == wanted { Ok(()) } else { Err(format!("{got}: {}", String::from_utf8_lossy(&answer.body))) }
        })
        .await;
    }

    /// All Envoys of this folder that run.
    pub(crate) fn envoys(&self) -> Vec<u64> {
        recorded(&self.path("state"))
    }
}

impl Drop for Argosy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Into the output of the test that fails.
            eprintln!("{}", self.log_tail());
        }
        let mut pids = self.envoys();
        if let Some(child) = &mut self.child {
            let pid = u64::from(child.id());
            signal(pid, Signal::TERM);
            if !wait_child(child, GRACE) {
                signal(pid, Signal::KILL);
                let _ = child.wait();
            }
        }
        // What was kept, or what a killed process left behind.
        pids.extend(self.envoys());
        pids.retain(|pid| alive(*pid));
        for what in [Signal::TERM, Signal::KILL] {
            pids.iter().for_each(|pid| signal(*pid, what));
            if wait_gone(&pids, GRACE) {
                return;
            }
        }
    }
}

/// Waits for a child without a runtime.
fn wait_child(child: &mut Child, patience: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}
