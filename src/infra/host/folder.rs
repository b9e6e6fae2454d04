//! The folder of one fleet: `<state-dir>/host/<readable>-<hash>/`.

use crate::model::FleetKey;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// How much of the readable part is kept: names may have 253 characters each, the path of a unix socket 107 in all.
const READABLE: usize = 16;

/// The files of one fleet. A *slot* tells the Envoys of a fleet apart while one takes over from another.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The fleet's folder below `<state-dir>/host`.
    pub(super) fn new(root: &Path, fleet: &FleetKey) -> Self {
        Self(root.join(name(fleet)))
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Envoy's bootstrap.
    pub(super) fn bootstrap(&self, slot: u32) -> PathBuf {
        self.0.join(format!("bootstrap-{slot}.json"))
    }

    /// Envoy's admin socket.
    pub(super) fn socket(&self, slot: u32) -> PathBuf {
        self.0.join(format!("admin-{slot}"))
    }

    /// What is known about the process.
    pub(super) fn record(&self, slot: u32) -> PathBuf {
        self.0.join(format!("process-{slot}.json"))
    }

    /// What all Envoys of the fleet print.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("envoy.log")
    }

    /// The client certificate and the files through which Envoy follows it.
    pub(super) fn certificates(&self) -> PathBuf {
        self.0.join("certificates")
    }
}

/// A readable start for people, a hash for uniqueness.
fn name(fleet: &FleetKey) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = format!("{}_{}", fleet.namespace, fleet.name).chars().map(plain).take(READABLE).collect();
    // Names hold no zero byte, so no two fleets hash the same text.
    let text = [fleet.class.as_str(), &fleet.namespace, &fleet.name].join("\0");
    format!("{readable}-{:016x}", xxh3_64(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_safe_and_different() {
        let long = "n".repeat(253);
        let fleets = [
            FleetKey::new("c", &long, &long),
            FleetKey::new("c", &long, format!("{long}2")),
            FleetKey::new("c", "a_b", "c"),
            FleetKey::new("c", "a", "b_c"),
            FleetKey::new("../c", "..", "/etc"),
        ];
        let names: std::collections::BTreeSet<String> = fleets.iter().map(name).collect();
        assert_eq!(names.len(), fleets.len());
        for name in names {
            assert!(name.len() <= READABLE + 17 && !name.contains(['/', '.']), "{name}");
        }
    }
}
