//! Requests at a bounded rate while something else happens, counted.

use argosy::cli::demo::client::{ClientError, Session, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Connections that share the rate.
const WORKERS: u32 = 4;

#[derive(Debug, Default)]
struct Count {
    sent: AtomicU64,
    failed: AtomicU64,
    first: Mutex<Option<String>>,
}

/// Requests that go on until this is dropped or asked for the result.
#[derive(Debug)]
pub(crate) struct Load {
    count: Arc<Count>,
    workers: JoinSet<()>,
}

impl Load {
    /// Asks for the paths in turn, on a few connections, `rate` times a second altogether. Anything but a 200 is a failure.
    pub(crate) fn start(target: &Target, host: &'static str, paths: &[&str], rate: u32) -> Self {
        let count = Arc::new(Count::default());
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let mut paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let first = worker as usize % paths.len();
            paths.rotate_left(first);
            let every = Duration::from_secs(1) * WORKERS / rate;
            workers.spawn(ask(target.clone(), host, paths, every, Arc::clone(&count)));
        }
        Self { count, workers }
    }

    /// Answered or failed until now.
    pub(crate) fn sent(&self) -> u64 {
        self.count.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many more were sent, so that what happens next happens under load.
    pub(crate) async fn more(&self, requests: u64) {
        let goal = self.sent() + requests;
        while self.sent() < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the requests, and fails when one of them did.
    #[track_caller]
    pub(crate) fn finish(mut self) -> impl Future<Output = u64> {
        let caller = std::panic::Location::caller();
        async move {
            self.workers.shutdown().await;
            let (sent, failed) = (self.sent(), self.count.failed.load(Ordering::Relaxed));
            let first = self.count.first.lock().await.take().unwrap_or_default();
            assert_eq!(failed, 0, "{failed} of {sent} requests failed, the first: {first} ({caller})");
            assert!(sent > 0, "no request was sent ({caller})");
            sent
        }
    }
}

async fn ask(target: Target, host: &str, paths: Vec<String>, every: Duration, count: Arc<Count>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut session = None;
    for path in paths.iter().cycle() {
        ticks.tick().await;
        let failure = match once(&target, host, path, &mut session).await {
            Ok(200) => None,
            Ok(status) => Some(format!("{path}: status {status}")),
            Err(error) => Some(format!("{path}: {error}")),
        };
        if let Some(failure) = failure {
            session = None;
            count.failed.fetch_add(1, Ordering::Relaxed);
            count.first.lock().await.get_or_insert(failure);
        }
        count.sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn once(target: &Target, host: &str, path: &str, kept: &mut Option<Session>) -> Result<u16, ClientError> {
    let mut session = match kept.take() {
        Some(session) => session,
        None => target.session(host).await?,
    };
    // A connection that was closed in peace between two requests is opened anew, as every client does.
    if !session.usable().await {
        session = target.session(host).await?;
    }
    let answer = session.get(path, &[]).await?;
    *kept = Some(session);
    Ok(answer.status)
}
