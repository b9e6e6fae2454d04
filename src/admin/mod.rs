//! In: the state of all rooms.
//! Out: HTTP answers: health, metrics, dumps.
//! Never: writes.

mod settings;
mod serve;
mod answers;
mod health;
mod metrics;
mod proxies;
mod api;

pub use api::{Dump, Handles, Processes, api};
pub use health::health;
pub use metrics::{Encode, metrics};
pub use proxies::ProxyRow;
pub use serve::serve;
pub use settings::{AdminSettings, HealthSettings, MetricsSettings};
