//! The folder of a process's state, which belongs to one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The lock on a state folder; given back when this is dropped, and by the system when the process ends in any way.
#[derive(Debug)]
pub(super) struct StateDir {
    _lock: File,
}

impl StateDir {
    /// Makes the folder, readable by this user alone, unless it is there, and takes it. The error is one sentence.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("stateDir {shown} cannot be created: {error}"))?;
        let file = path.join("lock");
        let failed = |error: std::io::Error| format!("stateDir: {} cannot be locked: {error}", file.display());
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "stateDir {shown} is in use by another argosy: end that one, or give this one its own --state-dir"
            )),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_belongs_to_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/state");
        let first = StateDir::open(&path).unwrap();
        let error = StateDir::open(&path).unwrap_err();
        assert!(error.contains("in use") && error.contains(path.to_str().unwrap()), "{error}");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
        drop(first);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateDir::open(&file).unwrap_err();
        assert!(error.starts_with("stateDir ") && error.contains("cannot be created"), "{error}");
    }
}
