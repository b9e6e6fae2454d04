//! Envoys that an argosy before has left running.

use super::folder::Folder;
use super::record::Record;
use crate::model::FleetKey;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// All recorded processes below `<state-dir>/host` that are still there, by fleet. Records of others are removed.
pub(super) fn scan(root: &Path) -> io::Result<BTreeMap<FleetKey, Vec<Record>>> {
    let mut found: BTreeMap<FleetKey, Vec<Record>> = BTreeMap::new();
    for folder in std::fs::read_dir(root)?.flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(folder.path())?.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if !(name.starts_with("process-") && name.ends_with(".json")) {
                continue;
            }
            match Record::read(&file.path()) {
                Ok(record) if record.is_alive() && Folder::new(root, &record.fleet()).path() == folder.path() => {
                    found.entry(record.fleet()).or_default().push(record);
                }
                Ok(_) => std::fs::remove_file(file.path())?,
                Err(error) => {
                    tracing::warn!(path = %file.path().display(), %error, "what an Envoy was started with cannot be read");
                }
            }
        }
    }
    for records in found.values_mut() {
        records.sort_by_key(|record| std::cmp::Reverse(record.started));
    }
    Ok(found)
}
