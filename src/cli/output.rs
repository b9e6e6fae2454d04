//! Writing to standard output and standard error.

use clap::ValueEnum;
use serde_json::Value;
use std::io::Write;

/// The form of structured output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// YAML
    Yaml,
    /// JSON, indented
    Json,
}

/// Prints a value. A reader that has gone away is no error.
pub(super) fn value(value: &Value, format: Format) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => yaml_serde::to_string(value)?,
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
    };
    text_out(&text)
}

/// Prints one line.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    text_out(&format!("{text}\n"))
}

/// Prints text as it is.
pub(super) fn text_out(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Writes a line to standard error; when that is gone there is nobody to tell.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
