//! One changed cluster on its way to many proxies: over real TLS and delta ADS, from publication to the last ACK, and
//! the memory that a stream costs the server. The proxies run in a process of their own, so that the memory of this
//! one is the server's.
//!
//! `cargo bench --bench ads_fanout -- --streams 1000 --clusters 1000 --rounds 200`
#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod figures;
#[path = "fanout/clients.rs"]
mod clients;
#[path = "fanout/fleet.rs"]
mod fleet;
#[path = "fanout/server.rs"]
mod server;

use anyhow::Context;
use figures::Figures;
use server::Server;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds before those that are measured.
const WARM_UP: usize = 10;

/// What is asked for on the command line.
struct Wanted {
    streams: usize,
    clusters: usize,
    rounds: usize,
    batch: usize,
}

impl Wanted {
    /// Reads `--name value` pairs; anything else, such as the `--bench` of cargo, means nothing here.
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let number = |name: &str, default: usize| -> anyhow::Result<usize> {
            let Some(at) = arguments.iter().position(|argument| argument == name) else { return Ok(default) };
            let value = arguments.get(at + 1).with_context(|| format!("{name} needs a number"))?;
            let value: usize = value.parse().with_context(|| format!("{name} {value}"))?;
            anyhow::ensure!(value > 0, "{name} has to be 1 or more");
            Ok(value)
        };
        Ok(Self {
            streams: number("--streams", 1_000)?,
            clusters: number("--clusters", 1_000)?,
            rounds: number("--rounds", 200)?,
            batch: number("--batch", 50)?,
        })
    }
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    allow_many_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if arguments.first().is_some_and(|argument| argument == clients::ARGUMENT) {
        return runtime.block_on(clients::run(&arguments[1..]));
    }
    runtime.block_on(measure(&Wanted::read(&arguments)?))
}

async fn measure(wanted: &Wanted) -> anyhow::Result<()> {
    let Wanted { streams, clusters, rounds, batch } = *wanted;
    println!(
        "{streams} streams over TLS, each with {clusters} clusters and their endpoints; the clients on this machine"
    );
    let mut server = Server::start(clusters).await?;
    let empty = resident_bytes()?;
    let clients = clients::Clients::start(server.address(), server.credentials(), streams, batch)?;
    let warmed = server.all_synced(streams).await?;
    println!("  all streams have everything after {} ms", figures::milliseconds(warmed));
    let mut times: Vec<Duration> = Vec::new();
    for round in 0..WARM_UP + rounds {
        let took = server.change_one_cluster(round, streams).await?;
        if round >= WARM_UP {
            times.push(took);
        }
    }
    println!("  one cluster changed, to the last ACK, {rounds} times: {}", Figures::new(times)?);
    let full = resident_bytes()?;
    // A memory figure of a process that gave memory back meanwhile would be below zero.
    let grown = full.saturating_sub(empty);
    println!(
        "  memory of the server: {} MB without streams, {} MB with them: {} KB a stream",
        empty / 1_000_000,
        full / 1_000_000,
        grown / streams as u64 / 1_000
    );
    clients.stop()?;
    server.stop().await
}

/// Every stream is a file on both sides; the usual soft limit is 1,024.
fn allow_many_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?)
}

/// What of this process is in RAM.
fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
