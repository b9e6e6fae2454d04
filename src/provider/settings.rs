//! Settings of the files provider.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `files:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The folders of manifests to follow.
    pub folders: Vec<PathBuf>,
    /// How often the folders are looked through even when nothing was announced, in seconds.
    pub poll_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { folders: Vec::new(), poll_seconds: 10 }
    }
}
