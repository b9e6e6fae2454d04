//! What comes out of many small edits is what comes out of the final objects alone: configuration byte for byte, and
//! status. And it does not depend on the order in which objects arrive.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

#[path = "incremental/universe.rs"]
mod universe;

use argosy::model::{Binding, FleetKey, ObjectKey};
use argosy::pipeline::{Binder, Engine, EngineParts, Metrics};
use argosy::runtime::clock::Clock;
use argosy::snapshot::{Registry, ResourceType};
use argosy::store::{Change, Object};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use universe::{PROXY, SLOTS, Universe};

struct Anywhere;

impl Binder for Anywhere {
    fn bind(&self, _: &FleetKey, _: &[IpAddr], ports: &[u16]) -> Result<Binding, String> {
        Ok(Binding::unprivileged(ports.iter().copied()))
    }
    fn addresses(&self, _: &Binding, requested: &[IpAddr]) -> Vec<IpAddr> {
        requested.to_vec()
    }
    fn release(&self, _: &FleetKey) {}
}

fn engine() -> Arc<Engine> {
    let class_of = |name: &str| match name {
        "example.com/public" => Some("public".to_owned()),
        "example.com/internal" => Some("internal".to_owned()),
        _ => None,
    };
    Engine::new(EngineParts {
        controllers: Arc::new(class_of),
        registry: Arc::new(Registry::default()),
        binder: Arc::new(Anywhere),
        clock: Clock::manual(),
        metrics: Metrics::default(),
    })
}

fn change(key: ObjectKey, object: Option<Object>) -> Change {
    Change { key, object, place: None, at: Clock::real().now() }
}

/// Everything an engine says: resources with their versions by fleet, and status.
fn said(engine: &Engine) -> (BTreeMap<String, Vec<String>>, Value) {
    engine.settle();
    let fleets = engine.fleets().into_iter().map(|(fleet, snapshot)| {
        let of = |kind| snapshot.iter(kind).map(|resource| format!("{resource:?}")).collect::<Vec<_>>();
        (fleet.to_string(), ResourceType::ALL.into_iter().flat_map(of).collect())
    });
    (fleets.collect(), engine.status())
}

fn from_scratch(objects: impl Iterator<Item = Object>) -> (BTreeMap<String, Vec<String>>, Value) {
    let engine = engine();
    engine.apply(objects.map(|object| change(object.key(), Some(object))).collect());
    said(&engine)
}

/// The first thing that differs, for a message that can be read.
fn difference(left: &Value, right: &Value, at: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let (left, right) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                difference(left, right, &format!("{at}.{key}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let name = |item: &Value| format!("{} {}", item["kind"], item["metadata"]["name"]);
            a.iter()
                .zip(b)
                .enumerate()
                .find_map(|(index, (left, right))| difference(left, right, &format!("{at}[{index} {}]", name(left))))
        }
        _ if left == right => None,
        _ => Some(format!("{at}:\n  by edits     {left}\n  from scratch {right}")),
    }
}

fn compare(
    by_edits: &(BTreeMap<String, Vec<String>>, Value),
    scratch: &(BTreeMap<String, Vec<String>>, Value),
    history: &[String],
) {
    let tail = || history.iter().rev().take(6).rev().cloned().collect::<Vec<_>>().join("\n  ");
    if by_edits.0 != scratch.0 {
        let fleets = |said: &BTreeMap<String, Vec<String>>| serde_json::to_value(said).unwrap();
        let found = difference(&fleets(&by_edits.0), &fleets(&scratch.0), "fleets");
        panic!("configuration differs after\n  {}\n{}", tail(), found.unwrap_or_default());
    }
    if let Some(found) = difference(&by_edits.1, &scratch.1, "status") {
        panic!("status differs after\n  {}\n{found}", tail());
    }
}

/// One random edit: which object, and what becomes of it (`None`: deleted).
fn steps(count: usize) -> impl Strategy<Value = Vec<(usize, Option<usize>)>> {
    prop::collection::vec((0..SLOTS, prop::option::weighted(0.8, 0..6usize)), count)
}

fn runner(cases: u32) -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(
        Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() },
        rng,
    )
}

#[test]
fn edits_lead_to_what_the_final_objects_say() {
    let universe = Universe::new();
    // 20 runs of 150 edits, compared after each.
    runner(20)
        .run(&steps(150), |steps| {
            let (engine, mut objects, mut history) = (engine(), BTreeMap::new(), Vec::new());
            let mut generations: BTreeMap<usize, i64> = BTreeMap::new();
            // The EnvoyProxy is there from the start and never deleted: while parameters are missing, a Gateway goes on with
            // what it had, and that is not in the final objects.
            let first = std::iter::once((PROXY, Some(4)));
            let steps = steps.into_iter().map(|(slot, v)| (slot, if slot == PROXY { v.or(Some(4)) } else { v }));
            for (slot, variant) in first.chain(steps) {
                let generation = generations.entry(slot).or_default();
                *generation += 1;
                let key = universe.key(slot);
                let object = variant.map(|variant| universe.object(slot, variant, *generation));
                history.push(format!(
                    "{key} {}",
                    variant.map_or_else(|| "deleted".to_owned(), |v| format!("variant {v}"))
                ));
                engine.apply(vec![change(key, object.clone())]);
                match object {
                    Some(object) => objects.insert(slot, object),
                    None => objects.remove(&slot),
                };
                compare(&said(&engine), &from_scratch(objects.values().cloned()), &history);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_order_of_arrival_means_nothing() {
    let universe = Universe::new();
    let input = (prop::collection::vec(0..6usize, SLOTS), any::<u64>());
    runner(60)
        .run(&input, |(variants, seed)| {
            let mut objects: Vec<Object> =
                variants.iter().enumerate().map(|(slot, variant)| universe.object(slot, *variant, 1)).collect();
            let straight = from_scratch(objects.iter().cloned());
            shuffle(&mut objects, seed);
            compare(&from_scratch(objects.iter().cloned()), &straight, &["a shuffle".to_owned()]);
            // One by one instead of all at once.
            let engine = engine();
            for object in objects {
                engine.apply(vec![change(object.key(), Some(object))]);
                engine.settle();
            }
            compare(&said(&engine), &straight, &["one by one".to_owned()]);
            Ok(())
        })
        .unwrap();
}

fn shuffle(objects: &mut [Object], mut seed: u64) {
    for index in (1..objects.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(seed >> 33).unwrap() % (index + 1);
        objects.swap(index, other);
    }
}
