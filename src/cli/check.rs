//! `argosy check`.

use super::command::End;
use super::output;
use super::translate::{classes, existing};
use crate::app::Offline;
use std::path::PathBuf;

/// Shows what is wrong with manifests: code, object, place, cause, and the change that mends it
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit status: 0 clean, 1 findings, 2 error\n\nExample:\n  argosy check -f ./manifests")]
pub(super) struct Args {
    /// A manifest or a folder of them; several times for several
    #[arg(short, long = "file", value_name = "PATH", required = true, num_args = 1..)]
    file: Vec<PathBuf>,
    /// The settings file (YAML); without it every controllerName counts as ours
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let offline = Offline::run(existing(&args.file)?, classes(args.config.as_deref())?);
    for finding in offline.findings() {
        output::line(&finding.to_string())?;
    }
    Ok(if offline.findings().is_empty() { End::Good } else { End::No })
}
