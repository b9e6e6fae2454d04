//! Which files there are below the folders that the user named.

use super::codes::UNREADABLE;
use crate::model::{Finding, Place, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How deep folders are followed.
const MAX_FOLDERS: usize = 32;

/// What tells two versions of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file that is there.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Where it really is, when it is a link.
    pub(super) target: Option<PathBuf>,
    /// Its version.
    pub(super) stamp: Stamp,
}

/// Folders by absolute path, with device and inode: a folder that was replaced is another one.
pub(super) type Folders = BTreeMap<PathBuf, (u64, u64)>;

/// All files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// By the name shown to users.
    pub(super) files: BTreeMap<String, Listed>,
    /// The folders whose changes matter.
    pub(super) folders: Folders,
    /// What could not be looked into: what was known below it stays.
    pub(super) failed: Vec<(PathBuf, Finding)>,
}

/// Lists all manifests: the roots that are files, and below the roots that are folders what ends in `.yaml`, `.yml` or
/// `.json`. Names with a leading dot are left out; links are followed; of several names of one file the first counts.
pub(super) fn list(roots: &[PathBuf]) -> Listing {
    let mut walk = Walk::default();
    for root in roots {
        walk.root(root);
    }
    walk.finish()
}

/// The name shown to users.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path from `/`, links kept.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the name is one of a manifest.
pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json")
}

/// Whether the name begins with a dot.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What is wrong with a file or folder that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Finding {
    let (message, fix) = match error.kind() {
        io::ErrorKind::NotFound => {
            ("it does not exist; what was read from it stays".to_owned(), "correct the path, or create it")
        }
        io::ErrorKind::PermissionDenied => {
            ("it may not be read; what was read from it stays".to_owned(), "let the user that argosy runs as read it")
        }
        _ => (format!("it cannot be read: {error}; what was read from it stays"), ""),
    };
    let place = Place { file: shown(path), line: 0, column: 0 };
    Finding {
        code: UNREADABLE,
        severity: Severity::Error,
        object: None,
        place: Some(place),
        message,
        fix: fix.to_owned(),
    }
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    /// Folders that were walked, by device and inode: a link back up ends there.
    walked: BTreeSet<(u64, u64)>,
}

impl Walk {
    fn root(&mut self, root: &Path) {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {
                if root.is_symlink() {
                    self.watch_above(root);
                }
                self.folder(root, &metadata, MAX_FOLDERS);
            }
            Ok(metadata) => {
                self.watch_above(root);
                self.file(root.to_owned(), &metadata, fs::symlink_metadata(root).is_ok_and(|link| link.is_symlink()));
            }
            Err(error) => {
                self.watch_above(root);
                self.fail(root, &error);
            }
        }
    }

    /// Watches the nearest folder above a path that exists.
    fn watch_above(&mut self, path: &Path) {
        let absolute = absolute(path);
        let folder = |above: &Path| {
            fs::metadata(above).ok().filter(Metadata::is_dir).map(|found| (above.to_owned(), id(&found)))
        };
        self.listing.folders.extend(absolute.ancestors().skip(1).find_map(folder));
    }

    fn folder(&mut self, folder: &Path, metadata: &Metadata, depth: usize) {
        if !self.walked.insert(id(metadata)) {
            return;
        }
        self.listing.folders.insert(absolute(folder), id(metadata));
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.fail(folder, &error),
        };
        let mut entries: Vec<_> = match entries.collect() {
            Ok(entries) => entries,
            Err(error) => return self.fail(folder, &error),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entry(&entry, depth);
        }
    }

    fn entry(&mut self, entry: &fs::DirEntry, depth: usize) {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { return };
        if is_hidden(&path) || (kind.is_file() && !is_manifest(&path)) {
            return;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() && depth == 0 => {
                let error = io::Error::other(format!("more than {MAX_FOLDERS} folders in each other"));
                self.fail(&path, &error);
            }
            Ok(metadata) if metadata.is_dir() => self.folder(&path, &metadata, depth - 1),
            Ok(metadata) if is_manifest(&path) => self.file(path, &metadata, kind.is_symlink()),
            Ok(_) => {}
            // It was removed since the folder was read; a link to nowhere is there and cannot be read.
            Err(error) if kind.is_symlink() && is_manifest(&path) && path.is_symlink() => self.fail(&path, &error),
            Err(_) => {}
        }
    }

    fn file(&mut self, path: PathBuf, metadata: &Metadata, link: bool) {
        if !metadata.is_file() {
            let error = io::Error::other("it is not a regular file");
            return self.fail(&path, &error);
        }
        let target = if link { fs::canonicalize(&path).ok() } else { None };
        let listed = Listed { target, stamp: Stamp::of(metadata), path };
        self.listing.files.insert(shown(&listed.path), listed);
    }

    fn fail(&mut self, path: &Path, error: &io::Error) {
        self.listing.failed.push((path.to_owned(), unreadable(path, error)));
    }

    fn finish(mut self) -> Listing {
        let mut seen = BTreeSet::new();
        self.listing.files.retain(|_, listed| seen.insert((listed.stamp.device, listed.stamp.inode)));
        let targets = self.listing.files.values().filter_map(|listed| listed.target.as_deref()?.parent());
        let targets: BTreeSet<PathBuf> = targets.map(Path::to_owned).collect();
        for folder in targets {
            let found = fs::metadata(&folder).ok().map(|found| id(&found));
            if let Some(id) = found.filter(|id| !self.walked.contains(id)) {
                self.listing.folders.insert(folder, id);
            }
        }
        self.listing.failed.sort_by(|a, b| a.0.cmp(&b.0));
        self.listing.failed.dedup_by(|a, b| a.0 == b.0);
        self.listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(listing: &Listing, below: &Path) -> Vec<String> {
        let short = |name: &String| Path::new(name).strip_prefix(below).unwrap().to_string_lossy().into_owned();
        listing.files.keys().map(short).collect()
    }

    #[test]
    fn only_manifests_that_are_not_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir_all(path.join("sub/.git")).unwrap();
        for name in ["b.yaml", "a.yml", "c.json", "d.txt", ".e.yaml", "f.yaml~", "sub/g.yaml", "sub/.git/h.yaml"] {
            fs::write(path.join(name), "").unwrap();
        }
        symlink(path, path.join("sub/loop")).unwrap();
        let listing = list(&[path.to_owned()]);
        assert_eq!(names(&listing, path), ["a.yml", "b.yaml", "c.json", "sub/g.yaml"]);
        assert_eq!(listing.folders.len(), 2);
        assert!(listing.failed.is_empty());
    }

    #[test]
    fn one_file_with_two_names_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("b.yaml"), "").unwrap();
        symlink("b.yaml", path.join("a.yaml")).unwrap();
        let listing = list(&[path.to_owned(), path.join("b.yaml")]);
        assert_eq!(names(&listing, path), ["a.yaml"]);
    }

    #[test]
    fn links_to_nowhere_odd_files_and_missing_roots_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        symlink("nowhere", path.join("a.yaml")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path.join("s.yaml")).unwrap();
        let listing = list(&[path.to_owned(), path.join("x/y")]);
        let failed: Vec<&str> = listing.failed.iter().map(|(_, finding)| finding.message.as_str()).collect();
        assert_eq!(failed.len(), 3);
        assert!(failed[0].contains("does not exist"), "{failed:?}");
        assert!(failed[1].contains("not a regular file"), "{failed:?}");
        assert!(listing.folders.contains_key(path));
    }
}
