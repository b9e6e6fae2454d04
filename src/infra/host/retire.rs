//! The end of a process: connections drain, requests finish, then it ends.

use super::admin;
use super::process::Running;
use crate::envoy::bootstrap::Admin;
use rustix::process::Signal;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long requests may take after the listeners are closed.
const REQUESTS: Duration = Duration::from_secs(5);
/// How long Envoy may take to end after SIGTERM.
const TERM: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Ends a process and waits for it. For `drain` it still accepts connections and asks clients to go; then no new ones; then
/// requests under way are finished; then it is told to end, and at last made to. `hurry` ends the first part. Dropped before
/// it is done, the process lives on.
pub(super) async fn retire(mut process: Running, drain: Duration, hurry: CancellationToken) {
    let before = process.launch.admin.clone();
    tokio::select! {
        _ = process.exited() => {}
        () = async {
            if !drain.is_zero() && admin::post(&before, "/drain_listeners?graceful").await.is_ok() {
                let open = "/stats?usedonly&filter=downstream_cx_active$";
                let counts = |name: &str| name.starts_with("listener.") && !name.contains(".worker_");
                tokio::select! {
                    () = until_none(&before, open, counts, drain) => {}
                    () = hurry.cancelled() => {}
                }
            }
            if admin::post(&before, "/drain_listeners").await.is_ok() {
                let counts = |name: &str| name.starts_with("http.");
                until_none(&before, "/stats?usedonly&filter=downstream_rq_active$", counts, REQUESTS).await;
            }
        } => {}
    }
    process.signal(Signal::TERM);
    if tokio::time::timeout(TERM, process.exited()).await.is_err() {
        tracing::warn!(pid = process.pid, "Envoy did not end within {} s after SIGTERM and is killed", TERM.as_secs());
        process.signal(Signal::KILL);
        process.exited().await;
    }
    process.forget();
}

/// Waits until no listener but the admin interface counts anything, or the time is over, or nobody answers any more.
async fn until_none(admin: &Admin, path: &str, counts: fn(&str) -> bool, most: Duration) {
    let others = |name: &str| counts(name) && !name.contains(".admin.");
    let wait = async {
        while let Ok((200, stats)) = admin::get(admin, path).await {
            if admin::sum(&stats, others) == 0 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    // Over is over: what is still open then is closed with the process.
    let _ = tokio::time::timeout(most, wait).await;
}
