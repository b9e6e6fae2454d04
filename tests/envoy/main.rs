//! The real binary with real Envoys: manifests in, requests through, and what must never happen to them.
//!
//! Every test has a folder, a loopback subnet and processes of its own, so they run side by side. Nothing waits for a time
//! to pass: each wait names what it waits for and shows, when it was in vain, the last state and the end of the log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod commands;
mod faults;
mod filters;
mod harness;
mod identity;
mod input;
mod live;
mod metrics;
mod scenario;
