//! Measurements of the xDS server.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// Latency buckets, in seconds: 5 ms to 120 s.
const LATENCY: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Size buckets, in bytes: 1 KiB to 64 MiB by factors of 4.
const SIZE: [f64; 9] =
    [1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];
/// Count buckets: powers of 4.
const COUNT: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0];

macro_rules! labels {
    ($name:ident: $($field:ident),+) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(super) struct $name { $(pub(super) $field: String),+ }
    };
}

labels!(Class: class);
labels!(Tenant: class, tenant);
labels!(Quorum: class, tenant, quorum);
labels!(Stage: class, stage);
labels!(State: class, tenant, state);
labels!(TypeResult: class, r#type, result);
labels!(TenantType: class, tenant, r#type);
labels!(Type: class, r#type);
labels!(OpenResult: class, result);
labels!(CloseReason: class, reason);

/// Makes histograms with fixed buckets.
#[derive(Clone, Debug)]
pub(super) struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Histograms<L> = Family<L, Histogram, Buckets>;

/// The xDS server's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) propagation: Histograms<Tenant>,
    pub(super) rollout: Histograms<Quorum>,
    pub(super) rollout_last: Family<Tenant, Gauge<f64, AtomicU64>>,
    pub(super) unacked_age: Family<Tenant, Gauge<f64, AtomicU64>>,
    pub(super) proxies: Family<State, Gauge>,
    pub(super) stage: Histograms<Stage>,
    pub(super) pushes: Family<TypeResult, Counter>,
    pub(super) nacks: Family<TenantType, Counter>,
    pub(super) push_size: Histograms<Type>,
    pub(super) push_resources: Histograms<Type>,
    pub(super) streams: Family<Class, Gauge>,
    pub(super) opens: Family<OpenResult, Counter>,
    pub(super) closes: Family<CloseReason, Counter>,
    pub(super) warmup: Histograms<Class>,
}

impl Metrics {
    /// Makes the metrics and puts them into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let latency = || Buckets(&LATENCY);
        let metrics = Self {
            propagation: Family::new_with_constructor(latency()),
            rollout: Family::new_with_constructor(latency()),
            rollout_last: Family::default(),
            unacked_age: Family::default(),
            proxies: Family::default(),
            stage: Family::new_with_constructor(latency()),
            pushes: Family::default(),
            nacks: Family::default(),
            push_size: Family::new_with_constructor(Buckets(&SIZE)),
            push_resources: Family::new_with_constructor(Buckets(&COUNT)),
            streams: Family::default(),
            opens: Family::default(),
            closes: Family::default(),
            warmup: Family::new_with_constructor(latency()),
        };
        let (m, r) = (&metrics, registry);
        r.register("config_propagation_seconds", "From the event to one proxy's ACK", m.propagation.clone());
        r.register("config_rollout_seconds", "From the event until half, 99 % or all proxies ACKed", m.rollout.clone());
        r.register("config_rollout_last_seconds", "The last finished rollout to all proxies", m.rollout_last.clone());
        r.register(
            "config_unacked_age_seconds",
            "Age of the oldest revision that a proxy has not ACKed",
            m.unacked_age.clone(),
        );
        r.register("proxies", "Connected proxies by state", m.proxies.clone());
        r.register("config_stage_seconds", "Time spent in each stage of a push", m.stage.clone());
        r.register("xds_pushes", "Responses by what became of them", m.pushes.clone());
        r.register("xds_nacks", "Responses that proxies refused", m.nacks.clone());
        r.register("xds_push_size_bytes", "Size of responses", m.push_size.clone());
        r.register("xds_push_resources", "Resources in a response", m.push_resources.clone());
        r.register("xds_streams", "Open streams", m.streams.clone());
        r.register("xds_stream_opens", "Streams that were opened or refused", m.opens.clone());
        r.register("xds_stream_closes", "Streams that ended", m.closes.clone());
        r.register("xds_warmup_seconds", "From the opening of a stream to its first complete ACK", m.warmup.clone());
        metrics
    }
}
