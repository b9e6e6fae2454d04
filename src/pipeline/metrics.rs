//! Measurements of the pipeline.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// Label `class`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabels {
    /// The entry of `classes:`.
    pub class: String,
}

/// Labels `class` and `tenant`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TenantLabels {
    /// The entry of `classes:`.
    pub class: String,
    /// The Gateway's namespace.
    pub tenant: String,
}

/// Labels `kind` and `event`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    /// The kind of the object.
    pub kind: &'static str,
    /// `applied` or `deleted`.
    pub event: &'static str,
}

/// The pipeline's metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// `argosy_watch_events_total`.
    pub events: Family<EventLabels, Counter>,
    /// `argosy_reconciles_total`.
    pub reconciles: Family<ClassLabels, Counter>,
    /// `argosy_translations_total`: routes translated.
    pub translations: Family<ClassLabels, Counter>,
    /// `argosy_tenant_work_seconds_total`.
    pub work: Family<TenantLabels, Counter<f64, AtomicU64>>,
    /// `argosy_reconcile_queue_depth`.
    pub depth: Gauge,
    /// `argosy_findings`.
    pub findings: Gauge,
}

impl Metrics {
    /// Makes the metrics and puts them into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("watch_events", "Changes of objects that arrived", metrics.events.clone());
        registry.register(
            "reconciles",
            "Runs of the translator, one a Gateway and batch of changes",
            metrics.reconciles.clone(),
        );
        registry.register("translations", "Routes that were translated", metrics.translations.clone());
        registry.register("tenant_work_seconds", "Time spent in translating and encoding", metrics.work.clone());
        registry.register("reconcile_queue_depth", "Gateways that wait for a worker", metrics.depth.clone());
        registry.register("findings", "Open findings about objects and files", metrics.findings.clone());
        metrics
    }
}
