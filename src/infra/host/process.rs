//! One Envoy process, started here or by an argosy before.

use super::folder::Folder;
use super::launch::Launch;
use super::record::Record;
use crate::certificates::write_private;
use crate::envoy::bootstrap::Admin;
use crate::model::FleetKey;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};

/// How long `envoy --mode validate` may take.
const VALIDATION: Duration = Duration::from_secs(30);

/// A process that is known for sure: whatever number it has, the file descriptor means this one and no other.
#[derive(Debug)]
pub(super) struct Running {
    /// How it was started.
    pub(super) launch: Launch,
    /// Its number.
    pub(super) pid: u32,
    /// How long its connections may drain.
    pub(super) drain: Duration,
    folder: Folder,
    pidfd: AsyncFd<OwnedFd>,
    /// Missing when an argosy before has started it.
    child: Option<Child>,
}

impl Running {
    /// Starts an Envoy. It has its own process group and its own log file, so that neither Ctrl-C nor our end ends it.
    pub(super) fn start(fleet: &FleetKey, folder: &Folder, launch: Launch, drain: Duration) -> io::Result<Self> {
        if let Admin::Pipe(path) = &launch.admin {
            // Envoy could not bind over what a killed one left.
            let _ = std::fs::remove_file(path);
        }
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.log())?;
        let mut child = Command::new(&launch.binary.path)
            .args(&launch.arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has ended at once"))?;
        match Self::known(fleet, folder, &launch, pid, drain) {
            Ok(pidfd) => Ok(Self { launch, pid, drain, folder: folder.clone(), pidfd, child: Some(child) }),
            Err(error) => {
                // Nobody could find it again.
                let _ = child.start_kill();
                Err(error)
            }
        }
    }

    fn known(
        fleet: &FleetKey,
        folder: &Folder,
        launch: &Launch,
        pid: u32,
        drain: Duration,
    ) -> io::Result<AsyncFd<OwnedFd>> {
        let pidfd = open(pid)?;
        if let Some(record) = Record::of(fleet, launch, pid, drain.as_secs())? {
            record.write(folder)?;
        }
        Ok(pidfd)
    }

    /// Takes over a process that an argosy before has started; `None` if it is gone.
    pub(super) fn adopt(folder: &Folder, record: &Record) -> io::Result<Option<Self>> {
        let launch = record.launch(folder)?;
        let Ok(pidfd) = open(record.pid) else { return Ok(None) };
        // Looked at after the descriptor is open: from here on the number cannot change its owner unnoticed.
        if !record.is_alive() {
            return Ok(None);
        }
        let drain = Duration::from_secs(record.drain_seconds());
        Ok(Some(Self { launch, pid: record.pid, drain, folder: folder.clone(), pidfd, child: None }))
    }

    /// Waits for its end and says how it ended. May be given up and called again.
    pub(super) async fn exited(&mut self) -> String {
        match &mut self.child {
            Some(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            },
            None => {
                // An error means that it cannot be waited for any more, which is no reason to wait for ever.
                let _ = self.pidfd.readable().await;
                "it was started by an argosy before, so its exit status is not known".to_owned()
            }
        }
    }

    /// Sends a signal; an error means that it is gone.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Removes what says that it runs; for a process that has ended.
    pub(super) fn forget(&self) {
        let _ = std::fs::remove_file(self.folder.record(self.launch.slot));
        if let Admin::Pipe(path) = &self.launch.admin {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Ends the process of a record at once, if it is still the one that was started.
pub(super) fn kill(record: &Record) {
    let Some(pid) = i32::try_from(record.pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    // Looked at after the descriptor is open, as in `adopt`.
    if record.is_alive() {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[allow(deprecated, reason = "what replaces it is unsafe to call; the descriptor is owned, so this is sound")]
fn open(pid: u32) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    AsyncFd::new(pidfd_open(pid, PidfdFlags::NONBLOCK)?)
}

/// Writes the bootstrap of a start.
pub(super) fn write_bootstrap(folder: &Folder, launch: &Launch) -> io::Result<()> {
    write_private(&folder.bootstrap(launch.slot), launch.bootstrap.as_bytes())
}

/// Asks Envoy itself whether it would run like this. The error is Envoy's own last word.
pub(super) async fn validate(folder: &Folder, launch: &Launch) -> Result<(), String> {
    let output = Command::new(&launch.binary.path)
        .args(["--mode", "validate"])
        .args(&launch.arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(VALIDATION, output).await {
        Err(_) => Err(format!("`envoy --mode validate` gave no answer within {} s", VALIDATION.as_secs())),
        Ok(Err(error)) => Err(format!("{}: {error}", launch.binary.path.display())),
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let text = [output.stderr, output.stdout].concat();
            Err(reason(&String::from_utf8_lossy(&text)).unwrap_or_else(|| output.status.to_string()))
        }
    }
}

/// The line that says why, out of everything that Envoy prints.
fn reason(text: &str) -> Option<String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines().rev().find(|line| line.contains("[critical]") || line.contains("[error]"));
    let plain = || lines().find(|line| line.to_ascii_lowercase().contains("error"));
    said.or_else(plain).or_else(|| lines().next_back()).map(|line| line.chars().take(1000).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_the_rest() {
        let text = "[info][main] hello\n[critical][main] error initializing config: no such field: 'x'\n[info][main] exiting\n";
        assert!(reason(text).unwrap().contains("no such field"));
        assert!(
            reason("PARSE ERROR: Argument: (--x)\n  Couldn't find match\n\nUsage\n").unwrap().contains("PARSE ERROR")
        );
        assert_eq!(reason("\n"), None);
    }
}
