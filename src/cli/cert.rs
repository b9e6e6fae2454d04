//! `argosy cert`.

use super::command::End;
use super::output;
use super::settings;
use crate::certificates::Authority;
use crate::model::FleetKey;
use crate::runtime::clock::Clock;
use crate::tenant::Classes;
use anyhow::{Context, bail};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Writes tls.crt, tls.key and ca.crt of one fleet, for an Envoy that somebody else runs
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy cert --state-dir /var/lib/argosy --gateway default/eg --out ./certs")]
pub(super) struct Args {
    /// The state folder of the process that the Envoy connects to
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// The Gateway
    #[arg(long, value_name = "NS/NAME")]
    gateway: String,
    /// Its class, an entry of `classes:`; may be left out when there is only one
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Where to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The settings file (YAML) of that process: classes, trust domain, life of certificates
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let overrides = json!({"stateDir": args.state_dir});
    let settings = settings::load(args.config.as_deref(), overrides)?;
    let classes = Classes::new(&settings.classes).map_err(|problem| anyhow::anyhow!("classes: {problem}"))?;
    let names: Vec<String> = classes.iter().map(|(class, _)| class.to_owned()).collect();
    let class = match (&args.class, &names[..]) {
        (Some(class), _) if names.contains(class) => class.clone(),
        (Some(class), _) => bail!("there is no class {class:?}; there is {}", names.join(", ")),
        (None, [only]) => only.clone(),
        (None, _) => bail!("choose the Gateway's class with --class: {}", names.join(", ")),
    };
    let (namespace, name) =
        args.gateway.split_once('/').context("--gateway has the form NAMESPACE/NAME, for example default/eg")?;
    let pki = args.state_dir.join("pki");
    if !pki.try_exists().with_context(|| pki.display().to_string())? {
        bail!("{} holds no CA; it is made by the first `argosy serve --state-dir {0}`", args.state_dir.display());
    }
    let life = Duration::from_secs(u64::from(settings.xds.certificate_hours) * 3600);
    // The text of these errors holds the cause already, which would follow once more.
    let once = |error: crate::certificates::Error| anyhow::anyhow!("{error}");
    let authority =
        Authority::open(&args.state_dir, &settings.xds.trust_domain, life, &[], Clock::real()).map_err(once)?;
    let fleet = FleetKey::new(class, namespace, name);
    authority.renew_fleet(&fleet, &args.out).map_err(once)?;
    output::line(&format!("tls.crt, tls.key and ca.crt of fleet {fleet} are in {}", args.out.display()))?;
    Ok(End::Good)
}
