//! `argosy translate`.

use super::command::End;
use super::output::{self, Format, complain};
use super::settings;
use crate::app::{Offline, resources};
use crate::envoy;
use crate::model::FleetKey;
use crate::snapshot::Snapshot;
use crate::tenant::Classes;
use anyhow::{Context, bail};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Translates manifests without a running process: status or Envoy configuration out
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy translate -f ./manifests --to envoy --gateway default/eg > envoy.yaml")]
pub(super) struct Args {
    /// A manifest or a folder of them; several times for several
    #[arg(short, long = "file", value_name = "PATH", required = true, num_args = 1..)]
    file: Vec<PathBuf>,
    /// What comes out: the status of all objects, xDS resources by Gateway, or one static bootstrap
    #[arg(long, value_enum, default_value = "xds")]
    to: Target,
    /// One Gateway
    #[arg(long, value_name = "NS/NAME")]
    gateway: Option<String>,
    /// The settings file (YAML); without it every controllerName counts as ours
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The form of the result
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
    /// Do not redact private keys in `--to xds`; a bootstrap always holds them, for Envoy loads it only with them
    #[arg(long)]
    show_secrets: bool,
    /// An object that is dropped is no error
    #[arg(long)]
    ignore_unused: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Target {
    Status,
    Xds,
    Envoy,
}

/// The classes of a settings file; without one every controllerName is ours.
pub(super) fn classes(config: Option<&Path>) -> anyhow::Result<Classes> {
    let Some(config) = config else { return Ok(Classes::any()) };
    let settings = settings::load(Some(config), Value::Object(Map::new()))?;
    Classes::new(&settings.classes).map_err(|problem| anyhow::anyhow!("{}: classes: {problem}", config.display()))
}

/// All paths have to be there: one that is not is a mistake in the command, not in a manifest.
pub(super) fn existing(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    for path in paths {
        std::fs::metadata(path).with_context(|| format!("-f {}", path.display()))?;
    }
    Ok(paths.to_vec())
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let offline = Offline::run(existing(&args.file)?, classes(args.config.as_deref())?);
    let fleets = selected(offline.fleets(), args.gateway.as_deref())?;
    let result = match args.to {
        Target::Status => offline.status().clone(),
        Target::Xds => {
            let one = |(fleet, snapshot): &(FleetKey, Snapshot)| {
                (fleet.gateway().to_string(), resources(snapshot).to_json(args.show_secrets))
            };
            Value::Object(fleets.iter().map(one).collect())
        }
        Target::Envoy => match &fleets[..] {
            [(_, snapshot)] => envoy::static_bootstrap(&resources(snapshot)),
            [] => bail!("there is no Gateway of ours in these files"),
            several => {
                let names: Vec<String> = several.iter().map(|(fleet, _)| fleet.gateway().to_string()).collect();
                bail!("--to envoy is for one Gateway; choose one with --gateway: {}", names.join(", "))
            }
        },
    };
    output::value(&result, args.output)?;
    let dropped: Vec<_> = offline.findings().iter().filter(|finding| Offline::drops(finding)).collect();
    for finding in offline.findings() {
        complain(&finding.to_string());
    }
    Ok(if dropped.is_empty() || args.ignore_unused { End::Good } else { End::No })
}

fn selected(fleets: Vec<(FleetKey, Snapshot)>, gateway: Option<&str>) -> anyhow::Result<Vec<(FleetKey, Snapshot)>> {
    let Some(wanted) = gateway else { return Ok(fleets) };
    let all: Vec<String> = fleets.iter().map(|(fleet, _)| fleet.gateway().to_string()).collect();
    let found: Vec<_> = fleets.into_iter().filter(|(fleet, _)| fleet.gateway().to_string() == wanted).collect();
    if found.is_empty() {
        let there = if all.is_empty() { "none is accepted".to_owned() } else { format!("there is {}", all.join(", ")) };
        bail!("no Gateway {wanted} is served; {there}");
    }
    Ok(found)
}
