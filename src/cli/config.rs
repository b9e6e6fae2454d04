//! `argosy config`.

use super::command::End;
use super::output;
use super::settings;
use serde_json::json;
use std::path::PathBuf;

/// Commands about the settings
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy config print --config argosy.yaml")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    Print(Print),
}

/// Prints the effective settings: defaults, file and environment put together
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  ARGOSY_XDS__MAX_STREAMS=500 argosy config print --config argosy.yaml")]
struct Print {
    /// The settings file (YAML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let Command::Print(print) = &args.command;
    let settings = settings::load(print.config.as_deref(), json!({}))?;
    output::text_out(&settings.to_yaml())?;
    Ok(End::Good)
}
