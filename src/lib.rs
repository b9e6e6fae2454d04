//! Argosy: Gateway API and `gateway.envoyproxy.io/v1alpha1` objects in, Envoy fleets configured over xDS out.
//!
//! The rooms are listed in the order in which a change travels through them; `ARCHITECTURE.md` has the picture, and
//! `tests/tidy.rs` holds the table of who may import whom.
#![cfg_attr(not(test), allow(rustdoc::private_intra_doc_links, reason = "rooms link to their own inner parts"))]

pub mod provider;
pub mod store;
pub mod pipeline;
pub mod translate;
pub mod model;
pub mod envoy;
pub mod snapshot;
pub mod xds;

pub mod infra;
pub mod status;

pub mod tenant;
pub mod certificates;

pub mod api;
pub mod runtime;
pub mod telemetry;
pub mod settings;
pub mod admin;
pub mod simulator;
pub mod app;
pub mod cli;
