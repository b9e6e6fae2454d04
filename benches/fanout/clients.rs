//! The simulated proxies, in a process of their own.

use anyhow::Context;
use argosy::runtime::tasks::Tasks;
use argosy::simulator::{Credentials, Proxies, Seen};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;

/// Makes this program the clients instead of the server.
pub(crate) const ARGUMENT: &str = "--simulated-clients";

/// The process of the clients; it ends when its standard input does, so also when this process dies.
pub(crate) struct Clients(Child);

impl Clients {
    /// Starts this program again, as `count` clients of a server, with the certificates of a folder. `batch` of them connect
    /// at once, the next ones when these have everything.
    pub(crate) fn start(server: SocketAddr, credentials: &Path, count: usize, batch: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).arg(server.to_string()).arg(credentials);
        command.arg(count.to_string()).arg(batch.to_string()).stdin(Stdio::piped());
        Ok(Self(command.spawn().context("starting the clients")?))
    }

    /// Ends them and waits for it.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "the clients ended with {status}");
        Ok(())
    }
}

/// Responses that bring a client everything: clusters, endpoints, listeners, routes.
const WARM: u64 = 4;

/// Is the clients: address of the server, folder of certificates, count, batch.
pub(crate) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [server, folder, count, batch] = arguments else { anyhow::bail!("four arguments are needed") };
    let folder = Path::new(folder);
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let credentials = Credentials { ca: read("ca.crt")?, certificate: read("tls.crt")?, key: read("tls.key")? };
    let tasks = Tasks::default();
    let (server, count, batch): (SocketAddr, usize, usize) = (server.parse()?, count.parse()?, batch.parse()?);
    let failed = |seen: &Seen| seen.failed.load(Ordering::Relaxed) > 0;
    let refused = || anyhow::anyhow!("a client was refused or lost its stream");
    let mut all = Vec::new();
    let mut left = count;
    while left > 0 {
        let now = batch.min(left);
        left -= now;
        let proxies = Proxies::start(server, &credentials, now, &tasks)?;
        let warm = |seen: &Seen| seen.responses.load(Ordering::Relaxed) >= WARM * now as u64;
        tokio::select! {
            () = proxies.wait(warm) => {}
            () = proxies.wait(failed) => return Err(refused()),
        }
        all.push(proxies);
    }
    let lost = futures::future::select_all(all.iter().map(|proxies| Box::pin(proxies.wait(failed))));
    tokio::select! {
        ended = end_of_input() => ended,
        _ = lost => Err(refused()),
    }
}

/// Waits until standard input ends. On a thread that nobody waits for: it may read for ever.
async fn end_of_input() -> anyhow::Result<()> {
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(std::io::copy(&mut std::io::stdin(), &mut std::io::sink())));
    ended.await??;
    Ok(())
}
