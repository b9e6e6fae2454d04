//! How long an edit of a file takes until a real Envoy has acknowledged it: the whole process, one Envoy, 100 routes. Prints
//! figures; says nothing about whether they are good. Needs the Envoy that `make envoy` fetches.
#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod figures;

use anyhow::{Context, bail};
use argosy::app::{self, Plane};
use argosy::infra::find_envoy;
use argosy::pipeline::Rollout;
use argosy::runtime::clock::Clock;
use argosy::settings;
use argosy::simulator::objects;
use figures::Figures;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONTROLLER: &str = "argosy.dev/bench";
const ROUTES: usize = 100;
const ROUNDS: usize = 200;
const WARM_UP: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (files, state) = (folder.path().join("manifests"), folder.path().join("state"));
    fs::create_dir(&files)?;
    for value in objects::gateway_with_routes(CONTROLLER, ROUTES) {
        fs::write(files.join(file_name(&value)), value.to_string())?;
    }
    let free = "127.0.0.1:0";
    let settings = settings::load(
        None,
        std::iter::empty(),
        json!({
            "classes": {"bench": {"controllerName": CONTROLLER}},
            "files": {"folders": [files]},
            "stateDir": state,
            "infra": {"host": {"envoy": find_envoy(None)?}},
            "xds": {"address": free}, "admin": {"address": free}, "metrics": {"address": free}, "health": {"address": free},
        }),
    )?;
    let plane = app::start(settings).await?;
    let measured = rounds(&plane, &files).await;
    plane.shutdown().await;
    measured
}

async fn rounds(plane: &Plane, files: &Path) -> anyhow::Result<()> {
    let clock = Clock::real();
    let mut last = acknowledged(plane, "").await?;
    let (mut from_event, mut from_write) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let index = round % ROUTES;
        let changed: Value = objects::route(index, &format!("/edit-{round}"));
        let (target, fresh) = (files.join(file_name(&changed)), files.join(".fresh"));
        fs::write(&fresh, changed.to_string())?;
        let start = clock.now();
        fs::rename(&fresh, target)?;
        let rollout = acknowledged(plane, &last.revision).await?;
        let whole = clock.now().saturating_duration_since(start);
        if round >= WARM_UP {
            from_event.push(Duration::from_secs_f64(rollout.total_ms.context("a finished rollout")? / 1000.0));
            from_write.push(whole);
        }
        last = rollout;
    }
    println!("{ROUNDS} edits of one HTTPRoute each, {ROUTES} routes in files of their own, one real Envoy");
    println!("  file event → last ACK:    {}", Figures::new(from_event)?);
    println!("  file renamed → ACK seen:  {} (asked every millisecond)", Figures::new(from_write)?);
    Ok(())
}

/// The file of an object.
fn file_name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}-{}.json", text(&object["kind"]), text(&object["metadata"]["name"]))
}

/// Waits for a rollout other than the given one that every proxy has acknowledged.
async fn acknowledged(plane: &Plane, before: &str) -> anyhow::Result<Rollout> {
    let clock = Clock::real();
    let start = clock.now();
    loop {
        let newest = plane.handles().engine.rollouts().pop();
        if let Some(newest) = newest.filter(|rollout| rollout.revision != before && rollout.total_ms.is_some()) {
            return Ok(newest);
        }
        if clock.now().saturating_duration_since(start) > PATIENCE {
            bail!("no Envoy acknowledged anything within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
