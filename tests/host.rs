//! Real Envoys on this machine: started, killed, replaced, kept, adopted, ended.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use argosy::certificates::Authority;
use argosy::infra::{Host, HostError, HostSettings, Process, find_envoy};
use argosy::model::{BootstrapPatch, FleetKey, FleetPlan, JsonPatchOperation};
use argosy::runtime::clock::Clock;
use argosy::runtime::tasks::Tasks;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a busy machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

type Plans = Arc<BTreeMap<FleetKey, FleetPlan>>;

fn fleet(name: &str) -> FleetKey {
    FleetKey::new("class", "host-test", name)
}

/// A plan whose Envoy does not wait for the xDS server that is not there.
fn plan(name: &str) -> FleetPlan {
    let soon = json!({"initial_fetch_timeout": "0.05s"});
    FleetPlan {
        fleet: fleet(name),
        addresses: Vec::new(),
        ports: vec![8080],
        concurrency: Some(1),
        log_level: "warning".to_owned(),
        component_log_level: String::new(),
        extra_args: Vec::new(),
        bootstrap: Some(BootstrapPatch::Merge(json!({"dynamic_resources": {"cds_config": soon, "lds_config": soon}}))),
        drain_seconds: 1,
    }
}

/// One argosy's part that runs Envoys.
struct Argosy {
    host: Arc<Host>,
    tasks: Tasks,
    plans: watch::Sender<Plans>,
    settled: CancellationToken,
}

/// Every process that was seen, so that none outlives its test.
#[derive(Default)]
struct Seen(Mutex<BTreeSet<u32>>);

impl Drop for Seen {
    fn drop(&mut self) {
        for pid in self.0.lock().unwrap().iter() {
            // The number may belong to somebody else by now.
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains("/host/host-test_") {
                let _ = kill_process(id(*pid), Signal::KILL);
            }
        }
    }
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    test_kill_process(id(pid)).is_ok() && !stat.contains(") Z ")
}

impl Argosy {
    fn start(state: &Path, settings: HostSettings, life: Duration, plans: &[FleetPlan]) -> Self {
        let tasks = Tasks::default();
        let envoy = find_envoy(None).unwrap_or_else(|missing| panic!("{missing}"));
        let authority = Authority::open(state, "argosy.local", life, &[], Clock::real()).unwrap();
        let host = Host::open(settings, envoy, state, authority, Clock::real(), tasks.clone()).unwrap();
        let (sender, receiver) = watch::channel(Plans::default());
        let settled = CancellationToken::new();
        let argosy = Self { host: Arc::clone(&host), tasks: tasks.clone(), plans: sender, settled: settled.clone() };
        argosy.want(plans);
        // Port 9 is closed: Envoy runs without an xDS server.
        tasks.spawn("host", host.run(SocketAddr::from(([127, 0, 0, 1], 9)), receiver, settled));
        argosy
    }

    fn usual(state: &Path, plans: &[FleetPlan]) -> Self {
        let argosy = Self::start(state, HostSettings::default(), Duration::from_secs(86_400), plans);
        argosy.settled.cancel();
        argosy
    }

    fn want(&self, plans: &[FleetPlan]) {
        for plan in plans {
            self.host.bind(&plan.fleet, &plan.addresses, &plan.ports).unwrap();
        }
        self.plans.send_replace(Arc::new(plans.iter().map(|plan| (plan.fleet.clone(), plan.clone())).collect()));
    }

    fn process(&self, name: &str) -> Option<Process> {
        self.host.processes().into_iter().find(|process| process.fleet == fleet(name))
    }

    /// The pid of a fleet's Envoy once it runs and `accept` likes it.
    async fn running(&self, seen: &Seen, name: &str, accept: impl Fn(&Process) -> bool) -> u32 {
        let pid = eventually(|| async {
            let process = self.process(name)?;
            seen.0.lock().unwrap().extend(process.pid);
            process.pid.filter(|_| process.state == "running" && accept(&process))
        });
        pid.await
    }

    async fn shutdown(self) {
        assert!(self.tasks.shutdown(PATIENCE).await, "not everything has ended");
    }
}

/// Waits until there is an answer.
async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("what is waited for has to come")
}

async fn gone(pid: u32) {
    eventually(|| async { (!is_alive(pid)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_is_started_comes_back_when_it_is_killed_and_ends_with_us() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let argosy = Argosy::usual(state.path(), &[plan("a"), plan("b")]);
    let first = argosy.running(&seen, "a", |_| true).await;
    let other = argosy.running(&seen, "b", |_| true).await;
    let process = argosy.process("a").unwrap();
    assert_eq!((process.node.as_str(), process.restarts, process.problem), ("class/host-test/a/0", 0, None));
    assert!(process.admin.unwrap().starts_with("unix:"));
    assert_ne!(process.binding.unwrap().address, argosy.process("b").unwrap().binding.unwrap().address);
    let info = argosy.host.admin_get(&fleet("a"), "/server_info").await.unwrap();
    assert!(info.contains("\"id\": \"class/host-test/a/0\""), "{info}");

    kill_process(id(first), Signal::KILL).unwrap();
    let second = argosy.running(&seen, "a", |process| process.pid != Some(first)).await;
    assert_eq!(argosy.process("a").unwrap().restarts, 1);
    assert_eq!(argosy.process("b").unwrap().pid, Some(other), "a neighbour is not concerned");

    argosy.shutdown().await;
    assert!(!is_alive(second) && !is_alive(other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_is_removed_leaves_nothing_behind() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let argosy = Argosy::usual(state.path(), &[plan("a"), plan("b")]);
    let pid = argosy.running(&seen, "a", |_| true).await;
    argosy.running(&seen, "b", |_| true).await;
    let address = argosy.process("a").unwrap().binding.unwrap().address;
    argosy.host.release(&fleet("a"));
    argosy.want(&[plan("b")]);
    eventually(|| async { argosy.process("a").is_none().then_some(()) }).await;
    assert!(!is_alive(pid));
    let folders = std::fs::read_dir(state.path().join("host")).unwrap().flatten();
    assert_eq!(folders.filter(|entry| entry.path().is_dir()).count(), 1);
    let again = argosy.host.bind(&fleet("c"), &[], &[8080]).unwrap();
    assert_eq!(again.address, address, "the lowest free address is given away again");
    argosy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_envoys_are_adopted_and_leftovers_end_once_the_plans_are_complete() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let keep = HostSettings { keep_proxies: true, ..HostSettings::default() };
    let before = Argosy::start(state.path(), keep, Duration::from_secs(86_400), &[plan("a"), plan("b")]);
    let (a, b) = (before.running(&seen, "a", |_| true).await, before.running(&seen, "b", |_| true).await);
    let binding = before.process("a").unwrap().binding.unwrap();
    before.shutdown().await;
    assert!(is_alive(a) && is_alive(b));

    let after = Argosy::start(state.path(), HostSettings::default(), Duration::from_secs(86_400), &[plan("a")]);
    assert_eq!(after.running(&seen, "a", |_| true).await, a, "it is the same process");
    assert_eq!(after.process("a").unwrap().binding.unwrap(), binding);
    assert!(is_alive(b), "the plans are not complete yet");
    after.settled.cancel();
    gone(b).await;
    // An adopted process is no child, and still its end is seen.
    kill_process(id(a), Signal::KILL).unwrap();
    after.running(&seen, "a", |process| process.pid != Some(a)).await;
    after.shutdown().await;
}

#[test]
fn envoys_outlive_an_argosy_that_is_gone_without_a_word_and_are_adopted() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let before = runtime();
    let (pid, rest) = before.block_on(async {
        let argosy = Argosy::usual(state.path(), &[plan("a")]);
        (argosy.running(&seen, "a", |_| true).await, argosy)
    });
    // All tasks stop where they are, as if the process were killed.
    drop(before);
    drop(rest);
    runtime().block_on(async {
        let argosy = Argosy::usual(state.path(), &[plan("a")]);
        assert_eq!(argosy.running(&seen, "a", |_| true).await, pid);
        // Another xDS address or bootstrap would be another process: it takes over.
        argosy.want(&[FleetPlan { concurrency: Some(2), ..plan("a") }]);
        argosy.running(&seen, "a", |process| process.pid != Some(pid)).await;
        gone(pid).await;
        argosy.shutdown().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_bootstrap_takes_over_and_a_bad_one_does_not() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let argosy = Argosy::usual(state.path(), &[plan("a")]);
    let first = argosy.running(&seen, "a", |_| true).await;
    argosy.want(&[FleetPlan { ports: vec![8080, 9090], ..plan("a") }]);
    argosy.want(&[FleetPlan { log_level: "info".to_owned(), ..plan("a") }]);
    let second = argosy.running(&seen, "a", |process| process.pid != Some(first)).await;
    gone(first).await;
    assert_eq!(argosy.process("a").unwrap().node, "class/host-test/a/1");
    assert_eq!(argosy.process("a").unwrap().restarts, 0, "a change is no crash");

    let bad = vec!["--no-such-option".to_owned()];
    argosy.want(&[FleetPlan { extra_args: bad.clone(), ..plan("a") }]);
    let problem = eventually(|| async { argosy.process("a")?.problem }).await;
    assert!(problem.contains("not in use") && problem.contains("--no-such-option"), "{problem}");
    assert_eq!(argosy.running(&seen, "a", |_| true).await, second);

    // A fleet that never ran says the same, and runs when the mistake is mended.
    argosy.want(&[FleetPlan { log_level: "info".to_owned(), ..plan("a") }, FleetPlan { extra_args: bad, ..plan("b") }]);
    let failed = eventually(|| async { argosy.process("b").filter(|process| process.state == "failed") }).await;
    assert!(failed.problem.unwrap().contains("--no-such-option"));
    argosy.want(&[FleetPlan { log_level: "info".to_owned(), ..plan("a") }, plan("b")]);
    argosy.running(&seen, "b", |process| process.problem.is_none()).await;
    assert_eq!(argosy.running(&seen, "a", |process| process.problem.is_none()).await, second);
    argosy.shutdown().await;
}

fn with_admin(address: serde_json::Value) -> FleetPlan {
    let operation = |path: &str, value: serde_json::Value| JsonPatchOperation {
        op: "replace".to_owned(),
        path: Some(path.to_owned()),
        json_path: None,
        from: None,
        value: Some(value),
    };
    FleetPlan { bootstrap: Some(BootstrapPatch::JsonPatch(vec![operation("/admin/address", address)])), ..plan("a") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_shows_its_cause_and_ends_when_that_is_mended() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    // Envoy accepts this bootstrap, and cannot run with it: the address is of no machine.
    let nowhere = json!({"socket_address": {"address": "203.0.113.7", "port_value": 9}});
    let argosy = Argosy::usual(state.path(), &[with_admin(nowhere)]);
    let looping = eventually(|| async { argosy.process("a").filter(|process| process.restarts >= 3) }).await;
    assert_eq!(looping.state, "restarting");
    let problem = looping.problem.unwrap();
    assert!(problem.contains("exit status: 1") && problem.contains("203.0.113.7"), "{problem}");
    argosy.want(&[plan("a")]);
    argosy.running(&seen, "a", |process| process.problem.is_none()).await;
    argosy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_interface_of_the_user_s_own_is_asked_and_handed_over() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = with_admin(json!({"socket_address": {"address": "127.0.0.1", "port_value": free.port()}}));
    let argosy = Argosy::usual(state.path(), std::slice::from_ref(&own));
    let first = argosy.running(&seen, "a", |_| true).await;
    assert_eq!(argosy.process("a").unwrap().admin.unwrap(), format!("http://{free}"));
    argosy.want(&[FleetPlan { log_level: "info".to_owned(), ..own }]);
    argosy.running(&seen, "a", |process| process.pid != Some(first)).await;
    assert!(!is_alive(first));
    argosy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envoy_follows_its_certificate_without_a_restart() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let argosy = Argosy::start(state.path(), HostSettings::default(), Duration::from_secs(9), &[plan("a")]);
    let pid = argosy.running(&seen, "a", |_| true).await;
    let serials = || async {
        let text = argosy.host.admin_get(&fleet("a"), "/certs").await.ok()?;
        let certs: serde_json::Value = serde_json::from_str(&text).ok()?;
        let chains =
            certs["certificates"].as_array()?.iter().filter_map(|one| one["cert_chain"][0]["serial_number"].as_str());
        let serials: BTreeSet<String> = chains.map(str::to_owned).collect();
        (!serials.is_empty()).then_some(serials)
    };
    let first = eventually(serials).await;
    eventually(|| async { serials().await.filter(|now| now.is_disjoint(&first)) }).await;
    assert_eq!(argosy.running(&seen, "a", |_| true).await, pid);
    argosy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_state_directory_moves_the_admin_interface_to_a_port() {
    let (state, seen) = (tempfile::tempdir().unwrap(), Seen::default());
    let state = state.path().join("x".repeat(90));
    let argosy = Argosy::usual(&state, &[plan("a")]);
    argosy.running(&seen, "a", |_| true).await;
    assert!(argosy.process("a").unwrap().admin.unwrap().starts_with("http://127.0.0.1:"));
    let info = argosy.host.admin_get(&fleet("a"), "/server_info").await.unwrap();
    assert!(info.contains("class/host-test/a/0"), "{info}");
    argosy.shutdown().await;
}

#[tokio::test]
async fn two_argosies_cannot_share_a_state_directory() {
    let state = tempfile::tempdir().unwrap();
    let open = || {
        let authority =
            Authority::open(state.path(), "argosy.local", Duration::from_secs(3600), &[], Clock::real()).unwrap();
        Host::open(HostSettings::default(), "/envoy".into(), state.path(), authority, Clock::real(), Tasks::default())
    };
    let first = open().unwrap();
    assert!(matches!(open(), Err(HostError::InUse(_))));
    drop(first);
    assert!(open().is_ok());
}
