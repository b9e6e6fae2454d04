//! Processes by their id.

use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Whether a process runs. One that has ended and only waits for its parent counts as ended.
pub(crate) fn alive(pid: u64) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state stands after the name, which is in parentheses and may hold anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: u64, signal: Signal) {
    let raw = i32::try_from(pid).expect("process ids are small");
    if let Some(pid) = Pid::from_raw(raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Waits, without a runtime, until none of the processes runs; false when that took too long.
pub(crate) fn wait_gone(pids: &[u64], patience: Duration) -> bool {
    let start = Instant::now();
    while pids.iter().any(|pid| alive(*pid)) {
        if start.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// The Envoys that the records of a state folder name (`<state>/host/*/process-<slot>.json`).
pub(crate) fn recorded(state: &Path) -> Vec<u64> {
    let folders = std::fs::read_dir(state.join("host")).into_iter().flatten().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
    let records = files.filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("process") && name.ends_with(".json")
    });
    let pid = |record: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&record).ok()?["pid"].as_u64();
    let pids = records.filter_map(|record| pid(std::fs::read(record.path()).ok()?));
    pids.filter(|pid| runs_from(*pid, state)).collect()
}

/// A record may be old, and its number somebody else's by now: an Envoy of this folder has the folder in its arguments.
fn runs_from(pid: u64, state: &Path) -> bool {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).contains(&*state.to_string_lossy())
}
