//! Follows files live: a thread that looks, woken by the system's events and, slowly, by the time.

use super::events::{self, Pending};
use super::files::{Files, Look, QUIET, Scan};
use super::listing::Folders;
use super::settings::Settings;
use crate::runtime::clock::Clock;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Events that wait while a look is under way; when there are more, everything is looked at.
const WAITING: usize = 4096;
/// After a look that found something, events of the same burst are gathered for this long.
const BURST: Duration = Duration::from_millis(3);

/// Why files are not followed any more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not tell about changes, and looking at intervals is switched off.
    #[error("changes of files cannot be followed: {0}; set `files.pollSeconds` to look at intervals")]
    Watcher(#[from] notify::Error),
    /// The thread that looks is gone.
    #[error("the thread that reads files ended: {0}")]
    Thread(String),
}

/// Follows files until shutdown: hands over a first look at once, then one for every change, whatever the system tells
/// about or, every `poll_seconds`, a look at everything finds. The time of each change is that of its first event.
///
/// The sink is called on a thread of its own, which it may block; it gets looks in their order.
///
/// # Errors
/// When the system does not tell about changes and polling is off, and when reading panics.
pub async fn watch(
    files: Files,
    settings: Settings,
    clock: Clock,
    shutdown: CancellationToken,
    sink: impl FnMut(Scan) + Send + 'static,
) -> Result<(), Error> {
    let (wakes, received) = sync_channel(WAITING);
    // Ends the thread also when this future is dropped.
    let stop = Stop { token: shutdown.child_token(), wakes: wakes.clone() };
    let token = stop.token.clone();
    let poll = (settings.poll_seconds > 0).then(|| Duration::from_secs(settings.poll_seconds));
    let mut thread = tokio::task::spawn_blocking(move || {
        Follower::new(files, poll, clock, wakes, sink)?.run(&received, &token);
        Ok(())
    });
    let ended = tokio::select! {
        ended = &mut thread => ended,
        () = shutdown.cancelled() => {
            drop(stop);
            thread.await
        }
    };
    ended.unwrap_or_else(|error| Err(Error::Thread(error.to_string())))
}

/// What wakes the thread.
enum Wake {
    Event(notify::Result<Event>, Instant),
    Stop,
}

struct Stop {
    token: CancellationToken,
    wakes: SyncSender<Wake>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.token.cancel();
        // When the channel is full, the thread wakes up anyway.
        let _ = self.wakes.try_send(Wake::Stop);
    }
}

struct Follower<S> {
    files: Files,
    clock: Clock,
    sink: S,
    poll: Option<Duration>,
    next_poll: Option<Instant>,
    watcher: Option<RecommendedWatcher>,
    watched: Folders,
    /// Events were lost.
    overflow: Arc<AtomicBool>,
    pending: Pending,
    /// Until then events are gathered.
    gather: Option<Instant>,
    /// Something is held back since then, for a further look.
    retry: Option<(Instant, Instant)>,
}

impl<S: FnMut(Scan)> Follower<S> {
    fn new(
        files: Files,
        poll: Option<Duration>,
        clock: Clock,
        wakes: SyncSender<Wake>,
        sink: S,
    ) -> Result<Self, Error> {
        let overflow = Arc::new(AtomicBool::new(false));
        let watcher = match watcher(wakes, overflow.clone(), clock.clone()) {
            Ok(watcher) => Some(watcher),
            Err(error) if poll.is_none() => return Err(Error::Watcher(error)),
            Err(error) => {
                tracing::warn!(%error, "the system does not tell about changes of files; they are only polled");
                None
            }
        };
        let (watched, pending) = (Folders::new(), Pending::default());
        let (next_poll, gather, retry) = (None, None, None);
        Ok(Self { files, clock, sink, poll, next_poll, watcher, watched, overflow, pending, gather, retry })
    }

    fn run(mut self, received: &Receiver<Wake>, stop: &CancellationToken) {
        let now = self.clock.now();
        let scan = self.files.scan(now);
        (self.sink)(scan);
        self.next_poll = self.poll.map(|poll| now + poll);
        // What changed before the folders were watched is found by one more look.
        self.follow_folders(now);
        while !stop.is_cancelled() {
            self.look(stop);
            let wake = match self.patience() {
                Some(patience) => received.recv_timeout(patience),
                None => received.recv().map_err(RecvTimeoutError::from),
            };
            let wake = match wake {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for wake in wake.into_iter().chain(received.try_iter()) {
                self.take_in(wake);
            }
            self.time();
        }
    }

    fn take_in(&mut self, wake: Wake) {
        match wake {
            Wake::Event(Ok(event), at) => {
                self.pending.event(&event, at, &self.files);
                if events::is_about_names(&event) {
                    event.paths.iter().for_each(|path| self.forget_folder(path, at));
                }
            }
            Wake::Event(Err(error), at) => {
                tracing::debug!(%error, "the system reports an error about files");
                self.pending.everything(at);
            }
            Wake::Stop => {}
        }
    }

    /// What the time asks for.
    fn time(&mut self) {
        let now = self.clock.now();
        if self.overflow.swap(false, Ordering::Relaxed) {
            self.pending.everything(now);
        }
        if self.next_poll.is_some_and(|next| next <= now) {
            self.pending.everything(now);
            self.next_poll = self.poll.map(|poll| now + poll);
        }
        if let Some((when, at)) = self.retry.filter(|(when, _)| *when <= now) {
            tracing::trace!(?when, "a second look at what seemed half written");
            self.retry = None;
            self.pending.everything(at);
        }
        self.pending.expire(now, &self.files);
    }

    /// How long there is nothing to do without an event; `None` for ever.
    fn patience(&self) -> Option<Duration> {
        let gathered = self.gather.filter(|_| self.pending.is_ready());
        let retry = self.retry.map(|(when, _)| when);
        let next = [self.next_poll, self.pending.next(), retry, gathered].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(self.clock.now()))
    }

    fn look(&mut self, stop: &CancellationToken) {
        while self.pending.is_ready() && !stop.is_cancelled() {
            let now = self.clock.now();
            if self.gather.is_some_and(|until| now < until) {
                return;
            }
            let open = self.pending.open();
            let (paths, at) = self.pending.take(now);
            let full = paths.is_none();
            let look = Look { paths: paths.as_ref(), open: &open, patient: true, now, at };
            let (scan, again) = self.files.look(&look);
            if again {
                let since = self.retry.map_or(at, |(_, since)| since.min(at));
                self.retry = Some((self.clock.now() + QUIET, since));
            }
            if scan.changed {
                (self.sink)(scan);
                self.gather = Some(self.clock.now() + BURST);
            }
            if full || self.files.folders() != &self.watched {
                self.follow_folders(now);
            }
        }
    }

    /// Watches the folders that there are; new ones are looked into once more, since something may have come before.
    fn follow_folders(&mut self, now: Instant) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders = self.files.folders();
        let old: Vec<PathBuf> = without(&self.watched, folders).cloned().collect();
        for folder in old {
            // A folder that does not exist any more is not watched any more either.
            let _ = watcher.unwatch(&folder);
            self.watched.remove(&folder);
        }
        let new: Vec<PathBuf> = without(folders, &self.watched).cloned().collect();
        for folder in new {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), folders[&folder]);
                    self.pending.everything(now);
                }
                Err(error) => {
                    tracing::warn!(%error, folder = %folder.display(), "changes in this folder are only polled");
                }
            }
        }
    }

    /// A folder that was removed or renamed may be another one when it is there again.
    fn forget_folder(&mut self, path: &Path, at: Instant) {
        if self.watched.remove(path).is_some() {
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(path);
            }
            self.pending.everything(at);
        }
    }
}

/// The folders of the first that are not, or are not the same, in the second.
fn without<'a>(first: &'a Folders, second: &'a Folders) -> impl Iterator<Item = &'a PathBuf> {
    first.iter().filter(|(path, id)| second.get(*path) != Some(*id)).map(|(path, _)| path)
}

fn watcher(wakes: SyncSender<Wake>, overflow: Arc<AtomicBool>, clock: Clock) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.as_ref().is_ok_and(events::is_noise) {
            return;
        }
        if wakes.try_send(Wake::Event(event, clock.now())).is_err() {
            overflow.store(true, Ordering::Relaxed);
        }
    })
}
