//! The course of the demo, from an empty folder to the commands to go on with.

use super::client::Target;
use super::echo::{self, Role};
use super::identity::{DemoIdentity, TokenSigner};
use super::plane::{Fleet, Plane, Wanted};
use super::report::{Report, shown};
use super::scenario::{BackendPorts, manifests};
use super::steps::{self, API, Gateways, INTERNAL, MYAPI, PUBLIC};
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Display;
use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long the control plane and its Envoys may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Shows the whole data path on this machine.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  argosy demo --export /tmp/gateways --envoy .cache/envoy/envoy")]
pub struct Args {
    /// End after the last step; the exit status says whether everything was as shown
    #[arg(long)]
    pub once: bool,
    /// Write the manifests to this folder, follow them there, and leave them behind
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// The Envoy binary
    #[arg(long, value_name = "PATH")]
    pub envoy: Option<PathBuf>,
    /// Where certificates and process records live [default: a folder that is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Runs the demo on the control plane that `start` starts. `true` when everything shown was as said.
/// Fails when there is nothing to show: no folder can be written, no control plane, no Envoy.
pub async fn run<P, E, F>(args: &Args, start: impl FnOnce(Wanted) -> F) -> Result<bool>
where
    P: Plane,
    E: Display,
    F: Future<Output = Result<P, E>>,
{
    let scratch = Scratch::create()?;
    let folder = args.export.clone().unwrap_or_else(|| scratch.path.join("manifests"));
    let state_dir = args.state_dir.clone().unwrap_or_else(|| scratch.path.join("state"));
    let mut report = Report::new();
    let mut backends = JoinSet::new();

    let ports = serve_backends(&mut backends).await?;
    let identity = DemoIdentity::generate(&["*.mydomain.tld", "mydomain.tld"])
        .map_err(|error| anyhow!("no certificate can be made: {error}"))?;
    let signer = TokenSigner::generate().map_err(|_| anyhow!("no key can be made for tokens"))?;
    write_manifests(&folder, ports, &identity, &signer)?;
    report.title("the control plane: two classes, two gateways, one process");
    report.line(&format!("   manifests in {}", folder.display()));

    let begin = Instant::now();
    let plane = start(wanted(args, &folder, state_dir)).await.map_err(|error| anyhow!("{error}"))?;
    let shown = show(&plane, &folder, &identity, &signer, begin, &mut report).await;
    let waited = match &shown {
        Ok(Some(gateways)) if !args.once => {
            go_on(&plane, gateways, &folder, &report);
            interrupted().await
        }
        _ => Ok(()),
    };
    let ending = report.waiting("ending the Envoys");
    tokio::select! {
        () = plane.shutdown() => {}
        // Asked twice: now, not in order.
        _ = interrupted() => {}
    }
    drop(ending);
    waited.context("signals cannot be waited for")?;
    if shown?.is_none() {
        report.line("\nInterrupted before everything was shown.");
        return Ok(false);
    }
    conclude(&report);
    Ok(report.failures().is_empty())
}

fn conclude(report: &Report) {
    if report.failures().is_empty() {
        report.line("\nEverything was as shown.");
        return;
    }
    report.line(&format!("\nNot as said ({}):", report.failures().len()));
    for failure in report.failures() {
        report.line(&format!("   ✗ {failure}"));
    }
}

/// All steps. `None` when a signal to end came first.
async fn show(
    plane: &impl Plane,
    folder: &Path,
    identity: &DemoIdentity,
    signer: &TokenSigner,
    begin: Instant,
    report: &mut Report,
) -> Result<Option<Gateways>> {
    let steps = async {
        let gateways = ready(plane, identity, begin, report).await?;
        steps::requests(&gateways, signer, report).await?;
        steps::live_edit(plane, &gateways, folder, report).await?;
        steps::bad_edit(plane, &gateways, folder, report).await?;
        Ok(Some(gateways))
    };
    tokio::select! {
        done = Box::pin(steps) => done,
        signal = interrupted() => {
            signal.context("signals cannot be waited for")?;
            Ok(None)
        }
    }
}

/// Ctrl-C, a request to end, or a terminal that was closed: in each case the Envoys have to be ended, too.
async fn interrupted() -> std::io::Result<()> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

async fn serve_backends(tasks: &mut JoinSet<std::io::Result<()>>) -> Result<BackendPorts> {
    let mut ports = [0; 4];
    let parts = [
        ("backend", Role::Echo),
        ("user-send", Role::Echo),
        ("grpc-api", Role::Echo),
        ("authorizer", Role::Authorizer),
    ];
    for (port, (name, role)) in ports.iter_mut().zip(parts) {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the echo backend cannot listen on 127.0.0.1")?;
        *port = listener.local_addr().context("the echo backend has no address")?.port();
        tasks.spawn(echo::serve(listener, name, role));
    }
    let [backend, user_send, grpc_api, authorizer] = ports;
    Ok(BackendPorts { backend, user_send, grpc_api, authorizer })
}

fn write_manifests(folder: &Path, ports: BackendPorts, identity: &DemoIdentity, signer: &TokenSigner) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let write = |name: &str, content: &str, mode: u32| {
        let path = folder.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        options
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    for (name, content) in manifests(ports, identity, signer) {
        let private = content.contains("tls.key:");
        write(name, &content, if private { 0o600 } else { 0o644 })?;
    }
    // For curl --cacert; not a manifest, so the control plane does not read it.
    write("ca.crt", &identity.ca, 0o644)
}

fn wanted(args: &Args, folder: &Path, state_dir: PathBuf) -> Wanted {
    Wanted {
        files: folder.to_owned(),
        state_dir,
        envoy: args.envoy.clone(),
        classes: vec![
            ("public", "gateway.envoyproxy.io/gatewayclass-controller"),
            ("internal", "gateway.envoyproxy.io/internal-gatewayclass-controller"),
        ],
        xds: usual_or_free(18000),
        admin: usual_or_free(19000),
        metrics: usual_or_free(19001),
        health: usual_or_free(8081),
    }
}

/// The port that the other commands expect, or any port when somebody has it.
fn usual_or_free(port: u16) -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], port));
    match std::net::TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

/// Waits until both Gateways are programmed, their Envoys have all and answer.
async fn ready(plane: &impl Plane, identity: &DemoIdentity, begin: Instant, report: &mut Report) -> Result<Gateways> {
    let waiting = report.waiting("waiting for both gateways and their Envoys");
    let gateways = loop {
        let missing = match (gateway(plane, PUBLIC, 443), gateway(plane, INTERNAL, 80)) {
            (Ok(public), Ok(internal)) => {
                let public = Target::secure(public, &identity.ca)?;
                break Gateways { public, internal: Target::plain(internal) };
            }
            (Err(missing), _) | (_, Err(missing)) => missing,
        };
        if begin.elapsed() > START_PATIENCE {
            bail!("not ready after {} s: {missing}", START_PATIENCE.as_secs());
        }
        waiting.say(missing);
        sleep(Duration::from_millis(20)).await;
    };
    answering(&gateways.public, API, begin).await?;
    answering(&gateways.internal, MYAPI, begin).await?;
    drop(waiting);
    report.claim(true, &format!("both gateways are programmed and answer, {} after the start", shown(begin.elapsed())));
    for fleet in Fleet::list(&plane.proxies()) {
        let ports: Vec<String> = fleet
            .ports
            .iter()
            .map(|(from, to)| if from == to { from.to_string() } else { format!("{from} (bound as {to})") })
            .collect();
        let pid = fleet.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        report.line(&format!(
            "     {}  on {} port {}  Envoy pid {pid}",
            fleet.gateway,
            fleet.address,
            ports.join(", ")
        ));
    }
    Ok(gateways)
}

/// Where a gateway listens once it is programmed and synced; else what is missing.
fn gateway(plane: &impl Plane, name: &str, port: u16) -> Result<SocketAddr, String> {
    let status = plane.status();
    let (namespace, short) = name.split_once('/').unwrap_or(("", name));
    let conditions = steps::object(&status, "Gateway", namespace, short)
        .and_then(|object| object["status"]["conditions"].as_array())
        .ok_or_else(|| format!("{name} has no status yet"))?;
    let programmed = conditions
        .iter()
        .find(|condition| condition["type"] == "Programmed")
        .ok_or_else(|| format!("{name} has no condition Programmed yet"))?;
    if programmed["status"] != "True" {
        return Err(format!("{name}: {}", steps::condition_text(programmed)));
    }
    let fleet = Fleet::list(&plane.proxies())
        .into_iter()
        .find(|fleet| fleet.gateway == name)
        .ok_or_else(|| format!("{name} has no Envoy yet"))?;
    if !fleet.synced() {
        let nack = fleet.last_nack.map(|nack| format!("; it refused: {nack}")).unwrap_or_default();
        return Err(format!("the Envoy of {name} has not acknowledged everything{nack}"));
    }
    fleet.socket(port).ok_or_else(|| format!("the Envoy of {name} is not bound for port {port}"))
}

async fn answering(target: &Target, host: &str, begin: Instant) -> Result<()> {
    loop {
        let missing = match target.get(host, "/", &[]).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("status {}", answer.status),
            Err(error) => error.to_string(),
        };
        if begin.elapsed() > START_PATIENCE {
            bail!("{}://{host}/ at {} does not answer: {missing}", target.scheme(), target.address());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The URLs and commands to go on with.
fn go_on(plane: &impl Plane, gateways: &Gateways, folder: &Path, report: &Report) {
    let binary = std::env::args().next().unwrap_or_else(|| "argosy".to_owned());
    let (public, internal) = (gateways.public.address(), gateways.internal.address());
    let (folder, admin) = (folder.display(), plane.admin());
    report.title("running; Ctrl-C ends it");
    let lines = [
        format!(
            "curl --cacert {folder}/ca.crt --resolve {API}:{}:{} https://{API}:{}/any/path",
            public.port(),
            public.ip(),
            public.port()
        ),
        format!("curl -H 'Host: {MYAPI}' http://{internal}/"),
        format!("{binary} status --admin http://{admin}"),
        format!("{binary} proxies --admin http://{admin}"),
        format!("$EDITOR {folder}/{}", super::scenario::ROUTES_FILE),
        format!("curl http://{}/metrics", plane.metrics()),
    ];
    for line in lines {
        report.line(&format!("   {line}"));
    }
    for fleet in Fleet::list(&plane.proxies()) {
        if let Some(admin) = fleet.admin {
            report.line(&format!("   Envoy's own admin page of {}: {admin}", fleet.gateway));
        }
    }
}

/// A private folder that is removed when the demo ends.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn create() -> Result<Self> {
        let base = std::env::temp_dir();
        let mut last = None;
        for attempt in 0..100 {
            let path = base.join(format!("argosy-demo-{}-{attempt}", std::process::id()));
            // Never taken over when it exists: it could be somebody else's.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) => last = Some(error),
            }
        }
        let error = last.map(|error| error.to_string()).unwrap_or_default();
        bail!("no folder can be made in {}: {error}", base.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is only a folder in the system's temporary place.
        let _ = fs::remove_dir_all(&self.path);
    }
}
