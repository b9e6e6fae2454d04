//! In: changes.
//! Out: snapshots, reports, fleet plans.
//! Never: I/O of its own.

mod queue;
mod table;
mod compiler;
mod routes;
mod patches;
mod engine;
mod journal;
mod metrics;

pub use compiler::{Binder, Compiler, Outcome};
pub use engine::{Controllers, Engine, EngineParts, Refusal};
pub use journal::{Journal, Rollout};
pub use metrics::Metrics;
pub use queue::{Pending, Queue};
