//! In: the manifests of `config/samples`, a way to start the control plane.
//! Out: the whole data path on this machine, shown and checked: what was sent, what was expected, what came back.
//! Never: a private door into the control plane; it writes files and sends requests, as a user would.

mod run;
mod plane;
mod steps;
mod traffic;
mod scenario;
mod identity;
mod report;
pub mod client;
pub mod echo;

pub use identity::{DemoIdentity, TokenSigner};
pub use plane::{Fleet, Plane, Rollout, Wanted};
pub use run::{Args, run};
pub use scenario::{BackendPorts, LIVE_PATH, manifests, with_broken_rule, with_live_rule};
