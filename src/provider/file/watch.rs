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
        self.follow_folders();
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
            self.pending.once_more();
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
                self.follow_folders();
            }
        }
    }

    /// Watches the folders that there are; new ones are looked into once more, since something may have come before.
    fn follow_folders(&mut self) {
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
                    self.pending.once_more();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    fn gateway(name: &str, port: u16) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: {name}\nspec:\n  \
             gatewayClassName: c\n  listeners:\n  - name: http\n    port: {port}\n    protocol: HTTP\n"
        )
    }

    struct Live {
        folder: tempfile::TempDir,
        scans: mpsc::Receiver<Scan>,
        shutdown: CancellationToken,
        task: JoinHandle<Result<(), Error>>,
    }

    impl Live {
        /// Follows a folder, with no polling: what is seen is seen by events.
        async fn start(prepare: impl FnOnce(&Path)) -> Self {
            let folder = tempfile::tempdir().unwrap();
            prepare(folder.path());
            let files = Files::new(vec![folder.path().to_owned()]);
            let (sink, scans) = mpsc::channel(64);
            let shutdown = CancellationToken::new();
            let settings = Settings { poll_seconds: 0, ..Settings::default() };
            let sink = move |scan| sink.blocking_send(scan).unwrap_or_default();
            let watch = watch(files, settings, Clock::real(), shutdown.clone(), sink);
            let task = tokio::task::spawn_local(watch);
            let mut live = Self { folder, scans, shutdown, task };
            live.ready().await;
            live
        }

        /// Waits until events are seen: a file that comes and goes.
        async fn ready(&mut self) {
            self.write("ready.yaml", gateway("ready", 1));
            self.until(|scan| ports(scan).contains(&("ready".to_owned(), 1))).await;
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) {
            fs::write(self.path(name), text).unwrap();
        }

        /// Waits for a look that is as wanted, and gives all since, that one last.
        async fn until(&mut self, wanted: impl Fn(&Scan) -> bool) -> Vec<Scan> {
            let mut scans = Vec::new();
            let wait = async {
                while !scans.last().is_some_and(&wanted) {
                    scans.push(self.scans.recv().await.expect("the watcher lives"));
                }
            };
            tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the change is seen");
            scans
        }

        async fn stop(self) {
            self.shutdown.cancel();
            self.task.await.unwrap().unwrap();
        }
    }

    /// The changed Gateways and their port, 0 for those that are gone.
    fn ports(scan: &Scan) -> Vec<(String, u16)> {
        let port = |object: &crate::store::Object| match object {
            crate::store::Object::Gateway(gateway) => gateway.spec.listeners[0].port,
            _ => 0,
        };
        scan.changes.iter().map(|change| (change.key.name.clone(), change.object.as_ref().map_or(0, port))).collect()
    }

    fn only(name: &str, port: u16) -> impl Fn(&Scan) -> bool {
        let wanted = vec![(name.to_owned(), port)];
        move |scan| ports(scan) == wanted
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn an_edit_in_place_is_seen_without_an_interlude() {
        run(async {
            let mut live = Live::start(|folder| fs::write(folder.join("a.yaml"), gateway("a", 80)).unwrap()).await;
            for port in 81..90 {
                live.write("a.yaml", gateway("a", port));
                let scans = live.until(only("a", port)).await;
                assert!(scans.iter().all(|scan| scan.findings.is_empty() && ports(scan) == [("a".to_owned(), port)]));
                assert!(scans[0].changes[0].at <= Clock::real().now());
            }
            live.stop().await;
        });
    }

    #[test]
    fn the_rename_dances_of_editors_work() {
        run(async {
            let mut live = Live::start(|folder| fs::write(folder.join("a.yaml"), gateway("a", 80)).unwrap()).await;
            live.write(".a.yaml.tmp", gateway("a", 81));
            fs::rename(live.path(".a.yaml.tmp"), live.path("a.yaml")).unwrap();
            assert_eq!(live.until(only("a", 81)).await.len(), 1);
            // The other one: the old file steps aside, a new one is written.
            fs::rename(live.path("a.yaml"), live.path("a.yaml~")).unwrap();
            live.write("a.yaml", gateway("a", 82));
            let scans = live.until(only("a", 82)).await;
            assert!(scans.iter().all(|scan| !ports(scan).contains(&("a".to_owned(), 0))), "{scans:?}");
            live.stop().await;
        });
    }

    #[test]
    fn a_mounted_config_map_is_swapped_as_a_whole() {
        run(async {
            let version = |folder: &Path, name: &str, port: u16| {
                fs::create_dir(folder.join(name)).unwrap();
                fs::write(folder.join(name).join("a.yaml"), gateway("a", port)).unwrap();
                fs::write(folder.join(name).join("b.yaml"), gateway("b", port)).unwrap();
            };
            let mut live = Live::start(|folder| {
                version(folder, "..1", 80);
                symlink("..1", folder.join("..data")).unwrap();
                symlink("..data/a.yaml", folder.join("a.yaml")).unwrap();
                symlink("..data/b.yaml", folder.join("b.yaml")).unwrap();
            })
            .await;
            for port in 81..84 {
                let name = format!("..{port}");
                version(live.folder.path(), &name, port);
                symlink(&name, live.path("..data_tmp")).unwrap();
                fs::rename(live.path("..data_tmp"), live.path("..data")).unwrap();
                // A look that runs into the swap sees one file before and one after it.
                let seen = std::cell::RefCell::new(Vec::new());
                let both = [("a".to_owned(), port), ("b".to_owned(), port)];
                let wanted = |scan: &Scan| {
                    seen.borrow_mut().extend(ports(scan));
                    both.iter().all(|change| seen.borrow().contains(change))
                };
                let scans = live.until(wanted).await;
                assert!(seen.borrow().iter().all(|(_, port)| *port > 0), "{scans:?}");
                assert!(scans.iter().all(|scan| scan.findings.is_empty()), "{scans:?}");
            }
            live.stop().await;
        });
    }

    #[test]
    fn new_folders_deleted_files_and_renamed_ones_are_followed() {
        run(async {
            let mut live = Live::start(|_| ()).await;
            fs::create_dir_all(live.path("x/y")).unwrap();
            live.write("x/y/a.yaml", gateway("a", 80));
            live.until(only("a", 80)).await;
            live.write("x/y/a.yaml", gateway("a", 81));
            live.until(only("a", 81)).await;
            fs::rename(live.path("x/y/a.yaml"), live.path("b.yaml")).unwrap();
            let scans = live.until(|scan| ports(scan) == [("a".to_owned(), 81)]).await;
            assert!(scans.iter().all(|scan| scan.findings.is_empty()), "{scans:?}");
            fs::remove_file(live.path("b.yaml")).unwrap();
            live.until(only("a", 0)).await;
            fs::remove_dir_all(live.path("x")).unwrap();
            fs::create_dir(live.path("x")).unwrap();
            live.write("x/c.yaml", gateway("c", 80));
            live.until(only("c", 80)).await;
            live.write("x/c.yaml", gateway("c", 81));
            live.until(only("c", 81)).await;
            live.stop().await;
        });
    }

    #[test]
    fn broken_then_mended() {
        run(async {
            let mut live = Live::start(|folder| fs::write(folder.join("a.yaml"), gateway("a", 80)).unwrap()).await;
            live.write("a.yaml", gateway("a", 80) + "  x: [\n");
            let scans = live.until(|scan| !scan.findings.is_empty()).await;
            assert!(scans.iter().all(|scan| scan.changes.is_empty()), "the last good object stays");
            live.write("a.yaml", gateway("a", 81));
            let scans = live.until(only("a", 81)).await;
            assert!(scans[0].findings.is_empty());
            live.stop().await;
        });
    }

    #[test]
    fn two_files_with_one_object_then_one() {
        run(async {
            let mut live = Live::start(|folder| fs::write(folder.join("a.yaml"), gateway("a", 80)).unwrap()).await;
            live.write("b.yaml", gateway("a", 81));
            live.until(|scan| scan.findings.len() == 1).await;
            fs::remove_file(live.path("a.yaml")).unwrap();
            let scans = live.until(only("a", 81)).await;
            assert!(scans.last().is_some_and(|scan| scan.findings.is_empty()));
            live.stop().await;
        });
    }

    #[test]
    fn a_file_that_is_written_slowly_is_read_when_it_is_complete() {
        run(async {
            use std::io::Write;
            let mut live = Live::start(|folder| fs::write(folder.join("a.yaml"), gateway("a", 80)).unwrap()).await;
            let text = gateway("a", 81);
            let mut file = fs::File::create(live.path("a.yaml")).unwrap();
            for part in text.as_bytes().chunks(40) {
                file.write_all(part).unwrap();
                file.flush().unwrap();
                tokio::task::yield_now().await;
            }
            drop(file);
            let scans = live.until(only("a", 81)).await;
            assert!(scans.iter().all(|scan| scan.findings.is_empty() && !ports(scan).contains(&("a".to_owned(), 0))));
            live.stop().await;
        });
    }

    #[test]
    fn a_folder_that_is_missing_at_first_and_one_that_is_replaced() {
        run(async {
            let mut live = Live::start(|_| ()).await;
            live.shutdown.cancel();
            (&mut live.task).await.unwrap().unwrap();
            live.shutdown = CancellationToken::new();
            let files = Files::new(vec![live.path("later/on")]);
            let (sink, scans) = mpsc::channel(64);
            live.scans = scans;
            let settings = Settings { poll_seconds: 0, ..Settings::default() };
            let sink = move |scan| sink.blocking_send(scan).unwrap_or_default();
            live.task = tokio::task::spawn_local(watch(files, settings, Clock::real(), live.shutdown.clone(), sink));
            live.until(|scan| scan.findings.len() == 1).await;
            fs::create_dir_all(live.path("later/on")).unwrap();
            live.write("later/on/a.yaml", gateway("a", 80));
            live.until(|scan| ports(scan) == [("a".to_owned(), 80)] && scan.findings.is_empty()).await;
            fs::create_dir_all(live.path("later/new")).unwrap();
            live.write("later/new/a.yaml", gateway("a", 81));
            fs::rename(live.path("later/on"), live.path("later/old")).unwrap();
            fs::rename(live.path("later/new"), live.path("later/on")).unwrap();
            live.until(only("a", 81)).await;
            live.write("later/on/a.yaml", gateway("a", 82));
            live.until(only("a", 82)).await;
            live.stop().await;
        });
    }

    #[test]
    fn the_poll_sees_what_no_event_tells() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            fs::write(elsewhere.path().join("a.yaml"), gateway("a", 80)).unwrap();
            symlink(elsewhere.path(), folder.path().join("in-between")).unwrap();
            fs::create_dir(folder.path().join("manifests")).unwrap();
            symlink("../in-between/a.yaml", folder.path().join("manifests/a.yaml")).unwrap();
            let (sink, scans) = mpsc::channel(64);
            let shutdown = CancellationToken::new();
            let files = Files::new(vec![folder.path().join("manifests")]);
            let settings = Settings { poll_seconds: 1, ..Settings::default() };
            let sink = move |scan| sink.blocking_send(scan).unwrap_or_default();
            let task = tokio::task::spawn_local(watch(files, settings, Clock::real(), shutdown.clone(), sink));
            let mut live = Live { folder, scans, shutdown, task };
            live.until(only("a", 80)).await;
            // A link on the way to the file changes, in a folder that is not watched.
            let other = tempfile::tempdir().unwrap();
            fs::write(other.path().join("a.yaml"), gateway("a", 81)).unwrap();
            symlink(other.path(), live.path("next")).unwrap();
            fs::rename(live.path("next"), live.path("in-between")).unwrap();
            live.until(only("a", 81)).await;
            live.stop().await;
        });
    }

    #[test]
    fn the_thread_ends_when_nobody_waits_for_it() {
        run(async {
            let live = Live::start(|_| ()).await;
            live.task.abort();
            assert!(live.task.await.is_err());
            let mut scans = live.scans;
            while scans.recv().await.is_some() {}
        });
    }
}
