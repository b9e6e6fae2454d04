//! What one change costs on a gateway with few and with many routes, and how long a cold start takes. Prints figures and
//! the slope, the largest gateway against the smallest; says nothing about whether they are good.
#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod figures;

use anyhow::{Context, bail};
use argosy::api::core::{EndpointSlice, Service};
use argosy::api::gateway_api::{Gateway, GatewayClass, HttpRoute};
use argosy::model::{Binding, FleetKey};
use argosy::pipeline::{Binder, Engine, EngineParts, Metrics};
use argosy::runtime::clock::Clock;
use argosy::simulator::objects;
use argosy::snapshot::{Registry, ResourceType};
use argosy::store::{Change, Object};
use figures::{Figures, milliseconds};
use serde_json::{Value, from_value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONTROLLER: &str = "argosy.dev/bench";
const SIZES: [usize; 3] = [100, 1_000, 10_000];
/// Edits that are measured, after as many as are not.
const ROUNDS: usize = 500;
const WARM_UP: usize = 50;
const COLD_STARTS: usize = 10;

/// Binds everything on one address: which one has nothing to do with what is measured.
struct Anywhere;

impl Binder for Anywhere {
    fn bind(&self, _: &FleetKey, _: &[IpAddr], _: &[u16]) -> Result<Binding, String> {
        Ok(Binding { address: IpAddr::from([127, 0, 0, 2]), ports: BTreeMap::new() })
    }

    fn addresses(&self, binding: &Binding, _: &[IpAddr]) -> Vec<IpAddr> {
        vec![binding.address]
    }

    fn release(&self, _: &FleetKey) {}
}

/// An engine and what it publishes.
struct World {
    engine: Arc<Engine>,
    registry: Arc<Registry>,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let (registry, clock) = (Arc::new(Registry::default()), Clock::real());
        let engine = Engine::new(EngineParts {
            controllers: Arc::new(|name| (name == CONTROLLER).then(|| "bench".to_owned())),
            registry: Arc::clone(&registry),
            binder: Arc::new(Anywhere),
            clock: clock.clone(),
            metrics: Metrics::default(),
        });
        Self { engine, registry, clock }
    }

    fn change(&self, object: Object) -> Change {
        Change { key: object.key(), object: Some(object), place: None, at: self.clock.now() }
    }

    /// Takes changes in and works them off.
    fn settle(&self, objects: Vec<Object>) {
        self.engine.apply(objects.into_iter().map(|object| self.change(object)).collect());
        self.engine.settle();
    }

    /// How often something was published for the gateway, and how many clusters it has.
    fn published(&self) -> (u64, usize) {
        let current = self.registry.get(&FleetKey::new("bench", "bench", "gateway")).and_then(|fleet| fleet.current());
        current.map_or((0, 0), |current| (current.generation, current.snapshot.len(ResourceType::Cluster)))
    }

    fn expect_clusters(&self, routes: usize) -> anyhow::Result<()> {
        let (_, clusters) = self.published();
        anyhow::ensure!(clusters == routes, "{clusters} clusters are published for {routes} routes");
        Ok(())
    }
}

fn object(value: Value) -> anyhow::Result<Object> {
    let kind = value["kind"].as_str().context("an object has a kind")?.to_owned();
    Ok(match kind.as_str() {
        "GatewayClass" => Object::GatewayClass(Arc::new(from_value::<GatewayClass>(value)?)),
        "Gateway" => Object::Gateway(Arc::new(from_value::<Gateway>(value)?)),
        "HTTPRoute" => Object::HTTPRoute(Arc::new(from_value::<HttpRoute>(value)?)),
        "Service" => Object::Service(Arc::new(from_value::<Service>(value)?)),
        "EndpointSlice" => Object::EndpointSlice(Arc::new(from_value::<EndpointSlice>(value)?)),
        other => bail!("{other} is not among the generated objects"),
    })
}

fn generated(routes: usize) -> anyhow::Result<Vec<Object>> {
    objects::gateway_with_routes(CONTROLLER, routes).into_iter().map(object).collect()
}

/// What is edited.
struct Edit {
    /// Of which route.
    index: usize,
    /// Counts the edits.
    round: usize,
    /// How often this route was edited before.
    visit: usize,
}

/// Which routes are edited.
#[derive(Clone, Copy)]
enum Which {
    /// The same ones on every gateway: the sizes differ in nothing else.
    Same,
    /// All: on a large gateway each edit finds its objects outside the processor's caches.
    All,
}

/// Applies edits one by one and measures each from the change of an object to its publication.
fn edits(world: &World, routes: usize, edit: impl Fn(Edit) -> Value) -> anyhow::Result<Figures> {
    let mut rounds = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        // A prime step: neighbours are not edited one after the other, and all come before one comes again.
        let changed = object(edit(Edit { index: round * 7919 % routes, round, visit: round / routes }))?;
        let (before, _) = world.published();
        let start = world.clock.now();
        world.settle(vec![changed]);
        let took = world.clock.now().saturating_duration_since(start);
        let (after, _) = world.published();
        anyhow::ensure!(after == before + 1, "edit {round} led to {} publications instead of one", after - before);
        if round >= WARM_UP {
            rounds.push(took);
        }
    }
    Figures::new(rounds)
}

/// Prints one line a size and the slope over all.
fn measure(title: &str, which: Which, edit: impl Fn(Edit) -> Value) -> anyhow::Result<()> {
    let of = match which {
        Which::Same => "the same hundred routes at every size",
        Which::All => "all routes in turn",
    };
    println!("\n{title}; {of}");
    let mut medians = Vec::new();
    for routes in SIZES {
        let world = World::new();
        world.settle(generated(routes)?);
        world.expect_clusters(routes)?;
        let edited = match which {
            Which::Same => SIZES[0],
            Which::All => routes,
        };
        let figures = edits(&world, edited, &edit)?;
        println!("  {routes:>6} routes: {figures}");
        medians.push(figures.percentile(50).as_secs_f64());
    }
    let (first, last) = (medians.first().copied().unwrap_or(f64::NAN), medians.last().copied().unwrap_or(f64::NAN));
    println!("  slope: {:.2} times the p50 at {} routes for {} routes", last / first, SIZES[0], SIZES[SIZES.len() - 1]);
    Ok(())
}

/// From the text of all objects to the first complete snapshot.
fn cold_start(routes: usize) -> anyhow::Result<()> {
    println!("\ncold start with {routes} routes, {COLD_STARTS} times");
    let values = objects::gateway_with_routes(CONTROLLER, routes);
    let texts: Vec<String> = values.iter().map(yaml_serde::to_string).collect::<Result<_, _>>()?;
    let (mut parsing, mut whole): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..COLD_STARTS {
        let world = World::new();
        let start = world.clock.now();
        let read: anyhow::Result<Vec<Object>> = texts.iter().map(|text| object(yaml_serde::from_str(text)?)).collect();
        let read = read?;
        parsing.push(world.clock.now().saturating_duration_since(start));
        world.settle(read);
        whole.push(world.clock.now().saturating_duration_since(start));
        world.expect_clusters(routes)?;
    }
    println!("  reading YAML:          {}", Figures::new(parsing)?);
    println!("  to the whole snapshot: {}", Figures::new(whole)?);
    Ok(())
}

fn main() -> anyhow::Result<()> {
    println!("{ROUNDS} edits each, on one gateway whose routes have a hostname, a Service and an EndpointSlice each");
    for which in [Which::Same, Which::All] {
        measure("one HTTPRoute edited: from the object to the published snapshot", which, |edit| {
            objects::route(edit.index, &format!("/edit-{}", edit.round))
        })?;
        measure("one EndpointSlice changed: from the object to the published snapshot", which, |edit| {
            // One at the start, two after the first edit, and another one with each that follows.
            objects::slice(edit.index, 2 + edit.visit)
        })?;
    }
    cold_start(1_000)?;
    println!("\n(one duration in this run is measured to {} ms)", milliseconds(resolution()));
    Ok(())
}

/// The shortest time between two looks at the clock.
fn resolution() -> Duration {
    let clock = Clock::real();
    let looks = (0..1000).map(|_| {
        let start = clock.now();
        clock.now().saturating_duration_since(start)
    });
    looks.min().unwrap_or_default()
}
