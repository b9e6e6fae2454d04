//! `argosy demo`: the demo, on the control plane that `serve` starts too.

use super::command::End;
use super::demo::{self, Plane, Rollout, Wanted};
use super::settings;
use crate::app;
use crate::telemetry::logs;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Runs the command.
pub(super) fn run(args: &demo::Args) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let shown = runtime.block_on(demo::run(args, start))?;
    Ok(if shown { End::Good } else { End::No })
}

async fn start(wanted: Wanted) -> anyhow::Result<Running> {
    let classes: Map<String, Value> = wanted
        .classes
        .iter()
        .map(|(class, controller)| ((*class).to_owned(), json!({"controllerName": controller})))
        .collect();
    let mut overrides = json!({
        "classes": classes,
        "files": {"folders": [wanted.files]},
        "stateDir": wanted.state_dir,
        "xds": {"address": wanted.xds},
        "admin": {"address": wanted.admin},
        "metrics": {"address": wanted.metrics},
        "health": {"address": wanted.health},
        // What happens is told by the demo itself.
        "log": {"level": "error"},
    });
    if let Some(envoy) = wanted.envoy {
        overrides["infra"] = json!({"host": {"envoy": envoy}});
    }
    // The environment counts as it does for `serve`; there is no settings file.
    let settings = settings::load(None, overrides)?;
    logs::init(&settings.log)?;
    Ok(Running(app::start(settings).await?))
}

struct Running(app::Plane);

impl Plane for Running {
    fn admin(&self) -> SocketAddr {
        self.0.addresses().admin
    }

    fn metrics(&self) -> SocketAddr {
        self.0.addresses().metrics
    }

    fn status(&self) -> Value {
        self.0.handles().engine.status()
    }

    fn proxies(&self) -> Value {
        self.0.handles().proxies()
    }

    fn findings(&self) -> Value {
        self.0.handles().findings()
    }

    fn last_rollout(&self, gateway: &str) -> Option<Rollout> {
        let newest = self.0.handles().engine.rollouts().into_iter().rev().find(|rollout| rollout.gateway == gateway)?;
        let last_ack = newest.total_ms.map(|ms| Duration::from_secs_f64(ms / 1000.0));
        Some(Rollout { revision: newest.revision, last_ack })
    }

    async fn shutdown(self) {
        self.0.shutdown().await;
    }
}
