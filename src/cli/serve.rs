//! `argosy serve`.

use super::command::End;
use super::settings;
use crate::app;
use crate::infra::InfraKind;
use crate::runtime::shutdown::Signals;
use crate::settings::Settings;
use crate::telemetry::logs;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Runs the control plane: follows manifests, runs and configures Envoys
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy serve --config argosy.yaml --files ./manifests --envoy .cache/envoy/envoy")]
pub(super) struct Args {
    /// The settings file (YAML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of manifests to follow; several times for several
    #[arg(long, value_name = "DIR")]
    files: Vec<PathBuf>,
    /// Who runs the Envoys: this process on this machine, or somebody else
    #[arg(long, value_enum)]
    infra: Option<Infra>,
    /// The Envoy binary [default: searched on PATH and in .cache/envoy]
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Where the CA, certificates and process records live [default: $XDG_STATE_HOME/argosy, else
    /// ~/.local/state/argosy, for root /var/lib/argosy]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Also write the status of all objects there
    #[arg(long, value_name = "DIR")]
    status_dir: Option<PathBuf>,
    /// Leave Envoys running at the end; the next start adopts them
    #[arg(long)]
    keep_proxies: bool,
    /// Where Envoys connect [default: 127.0.0.1:18000]
    #[arg(long, value_name = "ADDRESS")]
    xds_addr: Option<SocketAddr>,
    /// The admin API [default: 127.0.0.1:19000]
    #[arg(long, value_name = "ADDRESS")]
    admin_addr: Option<SocketAddr>,
    /// Metrics [default: 127.0.0.1:19001]
    #[arg(long, value_name = "ADDRESS")]
    metrics_addr: Option<SocketAddr>,
    /// Health [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    health_addr: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Infra {
    Host,
    None,
}

impl Args {
    /// The flags as settings.
    fn overrides(&self) -> Value {
        let mut found = Map::new();
        let mut set = |path: &[&str], value: Option<Value>| {
            if let Some(value) = value {
                insert(&mut found, path, value);
            }
        };
        set(&["files", "folders"], (!self.files.is_empty()).then(|| json!(self.files)));
        let kind = self.infra.map(|infra| match infra {
            Infra::Host => json!(InfraKind::Host),
            Infra::None => json!(InfraKind::None),
        });
        set(&["infra", "type"], kind);
        set(&["infra", "host", "envoy"], self.envoy.as_ref().map(|path| json!(path)));
        set(&["infra", "host", "keepProxies"], self.keep_proxies.then_some(Value::Bool(true)));
        set(&["stateDir"], self.state_dir.as_ref().map(|path| json!(path)));
        set(&["status", "dir"], self.status_dir.as_ref().map(|path| json!(path)));
        for (room, address) in [
            ("xds", self.xds_addr),
            ("admin", self.admin_addr),
            ("metrics", self.metrics_addr),
            ("health", self.health_addr),
        ] {
            set(&[room, "address"], address.map(|address| json!(address)));
        }
        Value::Object(found)
    }
}

fn insert(map: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        map.insert((*first).to_owned(), value);
    } else if let Value::Object(below) = map.entry(*first).or_insert_with(|| json!({})) {
        insert(below, rest, value);
    }
}

/// Runs until a signal or until a part dies.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let settings = settings::load(args.config.as_deref(), args.overrides())?;
    logs::init(&settings.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<End> {
    let mut signals = Signals::new().context("signals cannot be taken over")?;
    let plane = app::start(settings).await?;
    let failure = tokio::select! {
        failure = plane.failed() => Some(failure),
        signal = signals.next() => {
            tracing::info!(signal, "ending in order; a second signal ends at once");
            None
        }
    };
    let in_time = tokio::select! {
        in_time = plane.shutdown() => in_time,
        signal = signals.next() => anyhow::bail!("{signal} again: ended at once"),
    };
    if let Some(failure) = failure {
        anyhow::bail!("{failure}");
    }
    if !in_time {
        anyhow::bail!("not everything ended within shutdown.deadlineSeconds");
    }
    Ok(End::Good)
}
