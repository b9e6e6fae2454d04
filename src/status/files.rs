//! Status as files: one manifest an object, for people and scripts without an API server.

use crate::model::{Kind, ObjectKey};
use serde_json::Value;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// The longest part of a path before its ending; file systems take 255 bytes, and the temporary name needs a few.
const LONGEST: usize = 240;

/// A folder with `<kind>/<namespace>/<name>.yaml`, without namespace for cluster-scoped kinds.
#[derive(Debug)]
pub struct StatusFiles {
    dir: PathBuf,
}

impl StatusFiles {
    /// Files below a folder, which is made when the first file is.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Writes manifests with their status, and removes the files of objects that are `None`. A file is whole or not there:
    /// it is written under another name and then renamed; one that is right already is not touched. All objects are
    /// tried; the error is the first one, with the path in its text.
    pub fn write(&mut self, objects: Vec<(ObjectKey, Option<Value>)>) -> io::Result<()> {
        let mut first = Ok(());
        for (key, manifest) in objects {
            let path = self.path(&key);
            let done = match manifest {
                Some(manifest) => put(&path, &manifest),
                None => remove(&path, &self.dir),
            };
            let done = done.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())));
            first = first.and(done);
        }
        first
    }

    /// Removes the files of objects that are not among those given: what an earlier process left. Other files stay.
    pub fn sweep(&mut self, present: &[ObjectKey]) -> io::Result<()> {
        let keep: std::collections::BTreeSet<PathBuf> = present.iter().map(|key| self.path(key)).collect();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.has_status()) {
            let folder = self.dir.join(kind.as_str());
            let folders = if kind.cluster_scoped() { vec![folder] } else { entries(&folder)? };
            for path in folders.iter().map(|folder| entries(folder)).collect::<io::Result<Vec<_>>>()?.concat() {
                if path.extension().is_some_and(|ending| ending == "yaml") && !keep.contains(&path) {
                    remove(&path, &self.dir)?;
                }
            }
        }
        Ok(())
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        let mut path = self.dir.join(key.kind.as_str());
        if !key.namespace.is_empty() {
            path.push(safe(&key.namespace));
        }
        path.push(format!("{}.yaml", safe(&key.name)));
        path
    }
}

/// A name as one part of a path. Names come from manifests, so they may hold anything: what is not a letter, digit, dash
/// or inner dot is written as `%` and its bytes in hexadecimal; a long one ends with its hash.
fn safe(name: &str) -> String {
    let mut safe = String::new();
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' && index > 0 {
            safe.push(char::from(byte));
        } else {
            write!(safe, "%{byte:02x}").expect("a String takes everything");
        }
    }
    if safe.len() > LONGEST {
        safe.truncate(LONGEST - 17);
        write!(safe, "%{:016x}", xxhash_rust::xxh3::xxh3_64(name.as_bytes())).expect("a String takes everything");
    }
    safe
}

fn put(path: &Path, manifest: &Value) -> io::Result<()> {
    let text = yaml_serde::to_string(manifest).map_err(io::Error::other)?;
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let temporary = path.with_extension("yaml.new");
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Removes a file, and the folders above it, up to `dir`, that are empty then.
fn remove(path: &Path, dir: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folders = iter::successors(path.parent(), |folder| folder.parent());
    for folder in folders.take_while(|folder| *folder != dir) {
        // Not empty, or gone: either way there is nothing left to do.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// What is in a folder, sorted; nothing when it is not there or is a file.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = read.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey::new(kind, namespace, name)
    }

    fn found(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![dir.to_owned()];
        while let Some(folder) = waiting.pop() {
            for path in entries(&folder).unwrap() {
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    found.push(path.strip_prefix(dir).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn one_file_an_object_written_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = StatusFiles::new(dir.path().join("status"));
        let (class, route) = (key(Kind::GatewayClass, "", "public"), key(Kind::HTTPRoute, "apps", "web"));
        let manifest = json!({"kind": "HTTPRoute", "status": {"parents": []}});
        files.write(vec![(class.clone(), Some(json!({"a": 1}))), (route.clone(), Some(manifest.clone()))]).unwrap();
        assert_eq!(found(dir.path()), ["status/GatewayClass/public.yaml", "status/HTTPRoute/apps/web.yaml"]);
        let text = fs::read_to_string(dir.path().join("status/HTTPRoute/apps/web.yaml")).unwrap();
        assert_eq!(yaml_serde::from_str::<Value>(&text).unwrap(), manifest);
        files.write(vec![(route.clone(), None), (class, None), (route, None)]).unwrap();
        assert!(found(dir.path()).is_empty());
        assert!(entries(&dir.path().join("status")).unwrap().is_empty(), "empty folders go too");
    }

    #[test]
    fn a_file_that_is_right_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = StatusFiles::new(dir.path().to_owned());
        let route = key(Kind::HTTPRoute, "apps", "web");
        files.write(vec![(route.clone(), Some(json!({"a": 1})))]).unwrap();
        let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(files_path(dir.path())).unwrap());
        let before = inode();
        files.write(vec![(route.clone(), Some(json!({"a": 1})))]).unwrap();
        assert_eq!(inode(), before);
        files.write(vec![(route, Some(json!({"a": 2})))]).unwrap();
        assert_ne!(inode(), before);
    }

    fn files_path(dir: &Path) -> PathBuf {
        dir.join("HTTPRoute/apps/web.yaml")
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = StatusFiles::new(dir.path().join("in"));
        let names = ["../../out", "..", ".", "/etc/x", "a\0b", "ä", &"x".repeat(253)];
        let objects = names.iter().map(|name| (key(Kind::HTTPRoute, "..", name), Some(json!({"a": 1}))));
        files.write(objects.collect()).unwrap();
        let found = found(dir.path());
        assert_eq!(found.len(), names.len());
        assert!(found.iter().all(|file| file.starts_with("in/HTTPRoute/%2e./")), "{found:?}");
    }

    #[test]
    fn what_an_earlier_process_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = StatusFiles::new(dir.path().to_owned());
        let (old, new) = (key(Kind::HTTPRoute, "apps", "old"), key(Kind::HTTPRoute, "apps", "new"));
        let class = key(Kind::GatewayClass, "", "old");
        let all = [&old, &new, &class].map(|key| (key.clone(), Some(json!({"a": 1}))));
        files.write(all.to_vec()).unwrap();
        fs::write(dir.path().join("HTTPRoute/apps/README"), "mine").unwrap();
        fs::write(dir.path().join("notes.yaml"), "mine").unwrap();
        files.sweep(&[new]).unwrap();
        assert_eq!(found(dir.path()), ["HTTPRoute/apps/README", "HTTPRoute/apps/new.yaml", "notes.yaml"]);
    }

    #[test]
    fn an_error_names_its_path_and_the_others_are_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Gateway"), "a file where a folder belongs").unwrap();
        let mut files = StatusFiles::new(dir.path().to_owned());
        let objects = [key(Kind::Gateway, "n", "g"), key(Kind::HTTPRoute, "n", "r")];
        let error = files.write(objects.map(|key| (key, Some(json!({})))).to_vec()).unwrap_err();
        assert!(error.to_string().contains("Gateway/n/g.yaml"), "{error}");
        assert!(dir.path().join("HTTPRoute/n/r.yaml").is_file());
    }
}
