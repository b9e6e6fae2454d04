//! The Envoy binary.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const CACHED: &str = ".cache/envoy/envoy";

/// There is no Envoy to run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvoyMissing {
    /// The one that was named.
    #[error("{0} is no executable file: name an Envoy binary with --envoy PATH, or fetch one with `make envoy`")]
    Named(PathBuf),
    /// None was named and none is in the usual places.
    #[error(
        "no Envoy found, neither by PATH nor as {CACHED}: fetch one with `make envoy`, or install Envoy and name it with \
         --envoy PATH"
    )]
    Nowhere,
}

/// The Envoy to run: the one that is named; else `envoy` by `PATH`; else the one that `make envoy` has fetched, looked for
/// from the working directory and from this program's own file upwards. The result is absolute.
pub fn find_envoy(explicit: Option<&Path>) -> Result<PathBuf, EnvoyMissing> {
    if let Some(path) = explicit {
        return absolute(path).ok_or_else(|| EnvoyMissing::Named(path.to_owned()));
    }
    let by_path = std::env::var_os("PATH");
    let by_path = by_path.iter().flat_map(std::env::split_paths).map(|folder| folder.join("envoy"));
    let above = |place: std::io::Result<PathBuf>| {
        let place = place.unwrap_or_default();
        place.ancestors().map(|folder| folder.join(CACHED)).collect::<Vec<_>>()
    };
    let here = std::env::current_dir().map(|folder| folder.join(CACHED));
    by_path
        .chain(here)
        .chain(above(std::env::current_exe()))
        .find_map(|path| absolute(&path))
        .ok_or(EnvoyMissing::Nowhere)
}

fn absolute(path: &Path) -> Option<PathBuf> {
    let found = path.metadata().ok()?;
    // Not resolved: a link that is switched to another version is followed at the next start.
    (found.is_file() && found.permissions().mode() & 0o111 != 0).then(|| std::path::absolute(path).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_has_to_be_executable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("envoy");
        let missing = find_envoy(Some(&path)).unwrap_err();
        assert!(missing.to_string().contains("`make envoy`"), "{missing}");
        std::fs::write(&path, "").unwrap();
        assert_eq!(find_envoy(Some(&path)), Err(EnvoyMissing::Named(path.clone())));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_envoy(Some(&path)), Ok(path));
    }
}
