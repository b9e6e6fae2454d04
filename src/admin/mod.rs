//! In: the state of all rooms.
//! Out: HTTP answers: health, metrics, dumps.
//! Never: writes.

mod settings;

pub use settings::{AdminSettings, HealthSettings, MetricsSettings};
