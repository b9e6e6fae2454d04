//! Settings of the files provider.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `files:` in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Folders, or single files, with manifests.
    pub folders: Vec<PathBuf>,
    /// Seconds between two looks at everything, for changes that the system does not tell about; 0 for never.
    pub poll_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { folders: Vec::new(), poll_seconds: 10 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_errors() {
        let settings: Settings = serde_json::from_value(serde_json::json!({"folders": ["a"]})).unwrap();
        assert_eq!(settings, Settings { folders: vec!["a".into()], poll_seconds: 10 });
        let error = serde_json::from_value::<Settings>(serde_json::json!({"folder": ["a"]})).unwrap_err();
        assert!(error.to_string().contains("unknown field `folder`"), "{error}");
    }
}
