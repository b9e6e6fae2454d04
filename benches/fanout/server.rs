//! The xDS server with one fleet.

use super::fleet;
use anyhow::Context;
use argosy::certificates::Authority;
use argosy::model::FleetKey;
use argosy::runtime::clock::Clock;
use argosy::runtime::tasks::Tasks;
use argosy::snapshot::{Fleet, Registry, Stamps};
use argosy::xds::{self, Metrics, Nack, Observer, Progress};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long one step may take before it counts as failed.
const DEADLINE: Duration = Duration::from_secs(120);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A finished rollout: revision, duration, proxies.
type Finished = (String, Duration, usize);

struct Reports(mpsc::Sender<Result<Finished, String>>);

impl Observer for Reports {
    fn rolled_out(&self, _: &FleetKey, revision: &str, took: Duration, proxies: usize, _: &str) {
        // While streams connect, far more rollouts end than anybody reads.
        let _ = self.0.try_send(Ok((revision.to_owned(), took, proxies)));
    }

    fn nacked(&self, nack: &Nack) {
        let _ = self.0.try_send(Err(format!("{} refused {}: {}", nack.node, nack.kind.label(), nack.message)));
    }
}

/// A server on loopback, with the certificates of its one fleet.
pub(crate) struct Server {
    fleet: Arc<Fleet>,
    progress: Arc<Progress>,
    reports: mpsc::Receiver<Result<Finished, String>>,
    address: SocketAddr,
    credentials: PathBuf,
    clock: Clock,
    tasks: Tasks,
    _state: tempfile::TempDir,
}

impl Server {
    /// Starts it, with everything the fleet has.
    pub(crate) async fn start(clusters: usize) -> anyhow::Result<Self> {
        let (clock, tasks, state) = (Clock::real(), Tasks::default(), tempfile::tempdir()?);
        let key = FleetKey::new("bench", "bench", "gateway");
        let settings = xds::Settings {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            // All clients come at once here, which is not what is measured.
            new_streams_per_second: 1_000_000,
            ..xds::Settings::default()
        };
        let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let authority = Authority::open(state.path(), &settings.trust_domain, DAY, &addresses, clock.clone())?;
        let credentials = state.path().join("fleet");
        authority.renew_fleet(&key, &credentials)?;
        let (sender, reports) = mpsc::channel(1024);
        let progress = Progress::new(metrics(), clock.clone(), Arc::new(Reports(sender)));
        let registry = Arc::new(Registry::default());
        let fleet = registry.fleet(&key);
        let now = clock.now();
        let stamps = Stamps { event: now, dequeued: now, translated: now };
        fleet.publish(&fleet::initial(clusters), stamps, now).context("nothing was published")?;
        let bound = xds::Server::bind(settings, authority, registry, Arc::clone(&progress), tasks.clone()).await?;
        let address = bound.address()?;
        tasks.spawn("xds server", bound.serve());
        Ok(Self { fleet, progress, reports, address, credentials, clock, tasks, _state: state })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder with the fleet's certificate.
    pub(crate) fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// Waits until so many proxies have everything, and says how long that took.
    pub(crate) async fn all_synced(&mut self, streams: usize) -> anyhow::Result<Duration> {
        let start = self.clock.now();
        loop {
            let synced = self.progress.proxies().iter().filter(|proxy| proxy.state() == "synced").count();
            let waited = self.clock.now().saturating_duration_since(start);
            if synced >= streams {
                return Ok(waited);
            }
            anyhow::ensure!(waited < DEADLINE, "{synced} of {streams} streams have everything after {waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Publishes a change of one cluster and waits until every proxy has acknowledged it.
    pub(crate) async fn change_one_cluster(&mut self, round: usize, streams: usize) -> anyhow::Result<Duration> {
        while self.reports.try_recv().is_ok() {}
        let before = self.fleet.current().context("nothing is published")?;
        let edit = fleet::changed(&before.snapshot, round)?;
        let now = self.clock.now();
        let stamps = Stamps { event: now, dequeued: now, translated: now };
        let published = self.fleet.publish(&edit, stamps, now).context("the edit changed nothing")?;
        let wanted = published.snapshot.revision();
        let finished = async {
            while let Some(report) = self.reports.recv().await {
                let (revision, took, proxies) = report.map_err(anyhow::Error::msg)?;
                if revision == **wanted {
                    anyhow::ensure!(proxies == streams, "{proxies} of {streams} streams are left");
                    return Ok(took);
                }
            }
            anyhow::bail!("the server is gone")
        };
        tokio::time::timeout(DEADLINE, finished).await.context("not every stream acknowledged in time")?
    }

    /// Ends it and waits for that.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.tasks.shutdown(DEADLINE).await, "the server did not end in time");
        Ok(())
    }
}

fn metrics() -> Metrics {
    Metrics::register(argosy::telemetry::metrics::Registry::new().rooms())
}
