//! Settings of the status of objects.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `status:` in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StatusSettings {
    /// The folder that the status of all objects is also written to.
    pub dir: Option<PathBuf>,
}
