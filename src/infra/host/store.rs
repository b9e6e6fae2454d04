//! `<state-dir>/host/addresses.json`: where each fleet listens, from one start to the next.

use super::bindings::{Place, Standing};
use crate::certificates::write_private;
use crate::model::FleetKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// A fleet's name in files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FleetName {
    class: String,
    namespace: String,
    name: String,
}

impl From<&FleetKey> for FleetName {
    fn from(fleet: &FleetKey) -> Self {
        Self { class: fleet.class.clone(), namespace: fleet.namespace.clone(), name: fleet.name.clone() }
    }
}

impl From<&FleetName> for FleetKey {
    fn from(fleet: &FleetName) -> Self {
        Self::new(&fleet.class, &fleet.namespace, &fleet.name)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    fleet: FleetName,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pooled: Option<IpAddr>,
    address: IpAddr,
    ports: BTreeMap<u16, u16>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    fleets: Vec<Entry>,
}

/// Reads the file; a missing one is empty.
pub(super) fn read(path: &Path) -> io::Result<BTreeMap<FleetKey, Place>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let file: File = serde_json::from_str(&text)?;
    let place = |entry: &Entry| Place {
        pooled: entry.pooled,
        address: entry.address,
        ports: entry.ports.clone(),
        former: BTreeMap::new(),
        standing: Standing::Remembered,
    };
    Ok(file.fleets.iter().map(|entry| (FleetKey::from(&entry.fleet), place(entry))).collect())
}

/// Replaces the file.
pub(super) fn write(path: &Path, places: &BTreeMap<FleetKey, Place>) -> io::Result<()> {
    let fleets = places.iter().map(|(fleet, place)| Entry {
        fleet: fleet.into(),
        pooled: place.pooled,
        address: place.address,
        ports: place.ports.clone(),
    });
    let text = serde_json::to_string_pretty(&File { fleets: fleets.collect() })?;
    write_private(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.json");
        assert!(read(&path).unwrap().is_empty());
        let place = |pooled: Option<&str>| Place {
            pooled: pooled.map(|address| address.parse().unwrap()),
            address: "127.0.0.7".parse().unwrap(),
            ports: BTreeMap::from([(80, 10080), (8080, 8080)]),
            former: BTreeMap::new(),
            standing: Standing::Remembered,
        };
        let places = BTreeMap::from([
            (FleetKey::new("c", "ns", "a"), place(None)),
            (FleetKey::new("c", "ns", "b"), place(Some("127.0.0.2"))),
        ]);
        write(&path, &places).unwrap();
        assert_eq!(read(&path).unwrap(), places);
    }

    #[test]
    fn a_broken_file_is_an_error_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.json");
        std::fs::write(&path, "{\"fleets\": [").unwrap();
        assert!(read(&path).is_err());
        assert!(path.exists());
    }
}
