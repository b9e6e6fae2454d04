//! Requests that go on while something else happens, counted.

use super::client::{ClientError, Session, Target};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// What the requests came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Requests that were answered or failed.
    pub(super) sent: u64,
    /// Requests without an answer, or with a status other than 200.
    pub(super) failed: u64,
    /// What the first failure was.
    pub(super) first_failure: Option<String>,
}

/// A task that asks for one path again and again.
#[derive(Debug)]
pub(super) struct Traffic {
    count: Arc<Mutex<Count>>,
    // Dropping it ends the requests.
    _task: JoinSet<()>,
}

impl Traffic {
    /// Starts to ask every `every`, each time when the answer before is there.
    pub(super) fn start(target: Target, host: &'static str, path: &'static str, every: Duration) -> Self {
        let count = Arc::new(Mutex::new(Count::default()));
        let mut task = JoinSet::new();
        task.spawn(ask(target, host, path, every, Arc::clone(&count)));
        Self { count, _task: task }
    }

    /// What the requests came to until now.
    pub(super) fn count(&self) -> Count {
        self.count.lock().clone()
    }
}

async fn ask(target: Target, host: &str, path: &str, every: Duration, count: Arc<Mutex<Count>>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut session = None;
    loop {
        ticks.tick().await;
        let failure = match once(&target, host, path, &mut session).await {
            Ok(200) => None,
            Ok(status) => Some(format!("status {status}")),
            Err(error) => {
                session = None;
                Some(error.to_string())
            }
        };
        let mut count = count.lock();
        count.sent += 1;
        if let Some(failure) = failure {
            count.failed += 1;
            count.first_failure.get_or_insert(failure);
        }
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

#[cfg(test)]
mod tests {
    use super::super::echo::{self, Role};
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn every_request_is_counted_and_the_first_failure_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::plain(listener.local_addr().unwrap());
        let mut backend = JoinSet::new();
        backend.spawn(echo::serve(listener, "one", Role::Echo));
        let traffic = Traffic::start(target, "h", "/", Duration::from_millis(1));
        while traffic.count().sent < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(traffic.count().failed, 0, "{:?}", traffic.count());
        backend.shutdown().await;
        while traffic.count().failed == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(traffic.count().first_failure.is_some());
    }
}
