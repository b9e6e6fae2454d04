//! Named, supervised tasks: a part that dies is never silent, and shutdown waits for every part.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A part that ended although it should not have.
#[derive(Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The part's name.
    pub name: &'static str,
    /// Why it ended.
    pub cause: String,
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part `{}` ended: {}", self.name, self.cause)
    }
}

impl std::error::Error for TaskFailure {}

/// All tasks of a process; clones share them.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    failures: mpsc::Sender<TaskFailure>,
    failed: Arc<tokio::sync::Mutex<mpsc::Receiver<TaskFailure>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new(CancellationToken::new())
    }
}

impl Tasks {
    /// Tasks that are to end when the token is cancelled.
    pub fn new(shutdown: CancellationToken) -> Self {
        // One failure is enough to end the process, so one place is enough.
        let (failures, receiver) = mpsc::channel(1);
        Self { tracker: TaskTracker::new(), shutdown, failures, failed: Arc::new(tokio::sync::Mutex::new(receiver)) }
    }

    /// Cancelled when everything is to end.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a part that has to live until shutdown: its end before that, or a panic, is a failure.
    pub fn spawn<E: fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let handle = self.start(part);
        let (failures, shutdown) = (self.failures.clone(), self.shutdown.clone());
        self.start(async move {
            let cause = match handle.await {
                _ if shutdown.is_cancelled() => return,
                Ok(Ok(())) => "it returned before shutdown".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("it panicked: {error}"),
            };
            let _ = failures.try_send(TaskFailure { name, cause });
        });
    }

    /// Starts short work, for example of one connection: it may end whenever it likes; a panic is logged.
    pub fn spawn_detached(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let handle = self.start(work);
        self.start(async move {
            if let Err(error) = handle.await
                && error.is_panic()
            {
                tracing::error!(task = name, %error, "a task panicked");
            }
        });
    }

    /// Runs blocking work on a thread that may block.
    pub fn spawn_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.tracker.spawn_blocking(work)
    }

    /// Waits for the first failure; pending for ever when there is none.
    pub async fn failed(&self) -> TaskFailure {
        match self.failed.lock().await.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Tells all tasks to end and waits for them; false when the deadline passed first.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }

    fn start<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.tracker.spawn(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_part_that_fails_is_named() {
        let tasks = Tasks::default();
        tasks.spawn("xds server", async { Err("the port is gone") });
        let failure = tasks.failed().await;
        assert_eq!(failure.to_string(), "part `xds server` ended: the port is gone");
    }

    #[tokio::test]
    async fn a_part_that_panics_is_named() {
        let tasks = Tasks::default();
        tasks.spawn("pipeline", async {
            assert!(std::hint::black_box(false), "broken");
            Ok::<(), Infallible>(())
        });
        let failure = tasks.failed().await;
        assert_eq!(failure.name, "pipeline");
        assert!(failure.cause.contains("panicked"), "{}", failure.cause);
    }

    #[tokio::test]
    async fn shutdown_waits_and_an_end_after_it_is_no_failure() {
        let tasks = Tasks::default();
        let token = tasks.shutdown_token();
        tasks.spawn("watcher", async move {
            token.cancelled().await;
            Ok::<(), Infallible>(())
        });
        assert!(tasks.shutdown(Duration::from_secs(10)).await);
        assert!(tokio::time::timeout(Duration::from_millis(1), tasks.failed()).await.is_err());
    }
}
