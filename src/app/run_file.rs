//! `<state-dir>/run.json`: how others find the running process, also when its ports were chosen by the system.

use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Run {
    pub(super) pid: u32,
    pub(super) xds: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) health: SocketAddr,
}

/// The file, which is removed at an orderly end.
#[derive(Debug)]
pub(super) struct RunFile(PathBuf);

impl RunFile {
    /// Writes the file; readers see it whole or not at all.
    pub(super) fn write(state_dir: &Path, run: &Run) -> std::io::Result<Self> {
        let path = state_dir.join("run.json");
        let fresh = state_dir.join(".run.json.new");
        // Left over by a process that was killed while writing, perhaps with other rights.
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        serde_json::to_writer_pretty(&mut file, run)?;
        file.write_all(b"\n")?;
        std::fs::rename(&fresh, &path)?;
        Ok(Self(path))
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // One that stays behind names a process that is gone; the next start replaces it.
        let _ = std::fs::remove_file(&self.0);
    }
}
