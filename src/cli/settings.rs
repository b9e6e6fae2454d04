//! Settings of a command: read, and refused when they make no sense.

use crate::settings::{self, Settings};
use serde_json::Value;
use std::path::Path;

/// Defaults, file, environment and flags put together and checked.
pub(super) fn load(config: Option<&Path>, flags: Value) -> anyhow::Result<Settings> {
    let settings = settings::load(config, std::env::vars(), flags)?;
    let problems = settings.check();
    if problems.is_empty() {
        return Ok(settings);
    }
    let source = config.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
    let lines: Vec<String> = problems.iter().map(|problem| format!("{source}: {problem}")).collect();
    anyhow::bail!("{}", lines.join("\n"))
}
