//! `process-<slot>.json`: how a process is known again by the next argosy.

use super::folder::Folder;
use super::launch::{Binary, Launch};
use super::proc;
use super::store::FleetName;
use crate::certificates::write_private;
use crate::envoy::bootstrap::Admin;
use crate::model::FleetKey;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A process that was started here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    fleet: FleetName,
    slot: u32,
    /// The process.
    pub(super) pid: u32,
    /// Its start in clock ticks after boot: a number is given again one day, with another start.
    pub(super) started: u64,
    boot_id: String,
    node: String,
    offered: AdminRecord,
    admin: AdminRecord,
    arguments: Vec<String>,
    binary: Binary,
    drain_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AdminRecord {
    Pipe(PathBuf),
    Tcp(SocketAddr),
}

impl From<&Admin> for AdminRecord {
    fn from(admin: &Admin) -> Self {
        match admin {
            Admin::Pipe(path) => Self::Pipe(path.clone()),
            Admin::Tcp(address) => Self::Tcp(*address),
        }
    }
}

impl From<&AdminRecord> for Admin {
    fn from(admin: &AdminRecord) -> Self {
        match admin {
            AdminRecord::Pipe(path) => Self::Pipe(path.clone()),
            AdminRecord::Tcp(address) => Self::Tcp(*address),
        }
    }
}

impl Record {
    /// What is to be remembered about a process that was just started; `None` if it is gone already.
    pub(super) fn of(fleet: &FleetKey, launch: &Launch, pid: u32, drain_seconds: u64) -> io::Result<Option<Self>> {
        let Some(started) = proc::started(pid) else { return Ok(None) };
        Ok(Some(Self {
            fleet: fleet.into(),
            slot: launch.slot,
            pid,
            started,
            boot_id: proc::boot_id()?,
            node: launch.node.clone(),
            offered: (&launch.offered).into(),
            admin: (&launch.admin).into(),
            arguments: launch.arguments.clone(),
            binary: launch.binary.clone(),
            drain_seconds,
        }))
    }

    /// Whose process it is.
    pub(super) fn fleet(&self) -> FleetKey {
        (&self.fleet).into()
    }

    /// How long its connections may drain, in seconds, as the plan it was started for says.
    pub(super) fn drain_seconds(&self) -> u64 {
        self.drain_seconds
    }

    /// How it was started.
    pub(super) fn launch(&self, folder: &Folder) -> io::Result<Launch> {
        Ok(Launch {
            slot: self.slot,
            node: self.node.clone(),
            offered: (&self.offered).into(),
            admin: (&self.admin).into(),
            bootstrap: std::fs::read_to_string(folder.bootstrap(self.slot))?,
            arguments: self.arguments.clone(),
            binary: self.binary.clone(),
        })
    }

    /// Whether the process is still the one that was started.
    pub(super) fn is_alive(&self) -> bool {
        proc::boot_id().is_ok_and(|boot_id| self.is(&boot_id, proc::started(self.pid)))
    }

    fn is(&self, boot_id: &str, started: Option<u64>) -> bool {
        self.boot_id == boot_id && started == Some(self.started)
    }

    /// Writes it down.
    pub(super) fn write(&self, folder: &Folder) -> io::Result<()> {
        write_private(&folder.record(self.slot), serde_json::to_string_pretty(self)?.as_bytes())
    }

    /// Reads one.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(folder: &Folder, fleet: &FleetKey) -> (Launch, Record) {
        let launch = Launch {
            slot: 1,
            node: "c/ns/gw/1".to_owned(),
            offered: Admin::Pipe(folder.socket(1)),
            admin: Admin::Tcp(SocketAddr::from(([127, 0, 0, 1], 9))),
            bootstrap: "{}".to_owned(),
            arguments: vec!["-c".to_owned()],
            binary: Binary::of(&std::env::current_exe().unwrap()).unwrap(),
        };
        std::fs::create_dir_all(folder.path()).unwrap();
        std::fs::write(folder.bootstrap(1), "{}").unwrap();
        let record = Record::of(fleet, &launch, std::process::id(), 60).unwrap().unwrap();
        (launch, record)
    }

    #[test]
    fn a_process_is_known_again() {
        let state = tempfile::tempdir().unwrap();
        let fleet = FleetKey::new("c", "ns", "gw");
        let folder = Folder::new(state.path(), &fleet);
        let (launch, record) = record(&folder, &fleet);
        record.write(&folder).unwrap();
        let read = Record::read(&folder.record(1)).unwrap();
        assert_eq!(read, record);
        assert!(read.is_alive());
        assert_eq!((read.fleet(), read.launch(&folder).unwrap()), (fleet, launch));
    }

    #[test]
    fn another_process_with_the_same_number_is_not_ours() {
        let state = tempfile::tempdir().unwrap();
        let fleet = FleetKey::new("c", "ns", "gw");
        let (_, record) = record(&Folder::new(state.path(), &fleet), &fleet);
        let boot_id = record.boot_id.clone();
        assert!(record.is(&boot_id, Some(record.started)));
        assert!(!record.is(&boot_id, Some(record.started + 1)));
        assert!(!record.is(&boot_id, None));
        assert!(!record.is("another boot", Some(record.started)));
    }
}
