//! What the system's events mean for the next look.

use super::files::{Files, QUIET};
use super::listing::{is_hidden, is_manifest};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What has to be looked at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Everything.
    pub(super) full: bool,
    /// Known files.
    pub(super) paths: BTreeSet<PathBuf>,
    /// When the first of it happened.
    pub(super) at: Option<Instant>,
    /// Files that are being written, with the first and the last event.
    writing: BTreeMap<PathBuf, (Instant, Instant)>,
}

/// What an event says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Somebody writes and has not closed the file: it may be half written.
    Writing,
    /// The content is complete.
    Written,
    /// A name came, went, or means something else.
    Named,
    /// Nothing that matters.
    Nothing,
}

fn meaning(kind: &EventKind) -> Meaning {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Meaning::Written,
        EventKind::Access(_) => Meaning::Nothing,
        EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => Meaning::Writing,
        // Permissions count: a file may have become readable.
        EventKind::Modify(ModifyKind::Metadata(_)) => Meaning::Written,
        _ => Meaning::Named,
    }
}

/// Whether an event need not be looked at at all.
pub(super) fn is_noise(event: &Event) -> bool {
    meaning(&event.kind) == Meaning::Nothing && !event.need_rescan()
}

/// Whether an event says that a name came, went, or means something else now.
pub(super) fn is_about_names(event: &Event) -> bool {
    meaning(&event.kind) == Meaning::Named
}

impl Pending {
    /// Whether there is something to look at now.
    pub(super) fn is_ready(&self) -> bool {
        self.full || !self.paths.is_empty()
    }

    /// Everything has to be looked at.
    pub(super) fn everything(&mut self, at: Instant) {
        self.full = true;
        self.since(at);
    }

    /// Everything has to be looked at, but not because of an event.
    pub(super) fn once_more(&mut self) {
        self.full = true;
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, event: &Event, at: Instant, files: &Files) {
        if event.need_rescan() {
            self.everything(at);
        }
        for path in event.paths.iter().filter(|path| files.concerns(path)) {
            self.path(path, meaning(&event.kind), at, files);
        }
    }

    fn path(&mut self, path: &Path, meaning: Meaning, at: Instant, files: &Files) {
        let known = files.knows(path);
        // `..data` is how a mounted ConfigMap changes; other hidden names are of editors.
        let swap = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."));
        if !known && is_hidden(path) && !swap {
            return;
        }
        match meaning {
            Meaning::Writing if known || is_manifest(path) => {
                self.writing.entry(path.to_owned()).or_insert((at, at)).1 = at;
            }
            Meaning::Written if known || is_manifest(path) => self.complete(path, at, files),
            Meaning::Named => self.complete(path, at, files),
            // A link is created without being written.
            Meaning::Writing if swap => self.everything(at),
            Meaning::Writing | Meaning::Written | Meaning::Nothing => {}
        }
    }

    fn complete(&mut self, path: &Path, at: Instant, files: &Files) {
        let first = self.writing.remove(path).map_or(at, |(first, _)| first);
        // A look that began after the event has seen what it tells.
        if files.has_read(path, at) {
            return;
        }
        self.since(first);
        if files.knows(path) {
            self.paths.insert(path.to_owned());
        } else {
            self.full = true;
        }
    }

    fn since(&mut self, at: Instant) {
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }

    /// Counts files as complete that nobody wrote to for a while.
    pub(super) fn expire(&mut self, now: Instant, files: &Files) {
        let quiet = |(path, (_, last)): (&PathBuf, &(Instant, Instant))| (*last + QUIET <= now).then(|| path.clone());
        let expired: Vec<PathBuf> = self.writing.iter().filter_map(quiet).collect();
        for path in expired {
            self.complete(&path, now, files);
        }
    }

    /// When the next file counts as complete.
    pub(super) fn next(&self) -> Option<Instant> {
        self.writing.values().map(|(_, last)| *last + QUIET).min()
    }

    /// The files that are being written.
    pub(super) fn open(&self) -> BTreeSet<PathBuf> {
        self.writing.keys().cloned().collect()
    }

    /// Takes out what has to be looked at: paths (`None` for everything) and when it began.
    pub(super) fn take(&mut self, now: Instant) -> (Option<BTreeSet<PathBuf>>, Instant) {
        let paths = std::mem::take(&mut self.paths);
        let full = std::mem::take(&mut self.full);
        ((!full).then_some(paths), self.at.take().unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Clock;
    use notify::event::{DataChange, RenameMode};
    use std::fs;
    use std::time::Duration;

    const CREATE: EventKind = EventKind::Create(CreateKind::File);
    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAME: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    struct Bench {
        folder: tempfile::TempDir,
        files: Files,
        clock: Clock,
        pending: Pending,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.yaml"), "").unwrap();
            let clock = Clock::manual();
            let mut files = Files::new(vec![folder.path().to_owned()]);
            files.scan(clock.now());
            Self { folder, files, clock, pending: Pending::default() }
        }

        /// One event, one millisecond after what was before.
        fn event(&mut self, kind: EventKind, name: &str) -> Instant {
            self.clock.advance(Duration::from_millis(1));
            let now = self.clock.now();
            self.pending.event(&Event::new(kind).add_path(self.folder.path().join(name)), now, &self.files);
            now
        }

        fn take(&mut self) -> (Option<BTreeSet<PathBuf>>, Instant) {
            self.pending.take(self.clock.now())
        }
    }

    #[test]
    fn a_write_counts_from_its_first_event_and_only_when_closed() {
        let mut bench = Bench::new();
        let first = bench.event(WRITE, "a.yaml");
        bench.event(WRITE, "a.yaml");
        assert!(!bench.pending.is_ready());
        assert_eq!(bench.pending.open().len(), 1);
        bench.event(CLOSE, "a.yaml");
        assert_eq!(bench.take(), (Some(BTreeSet::from([bench.folder.path().join("a.yaml")])), first));
        assert!(bench.pending.open().is_empty() && !bench.pending.is_ready());
    }

    #[test]
    fn a_file_that_is_never_closed_counts_when_it_is_quiet() {
        let mut bench = Bench::new();
        let first = bench.event(WRITE, "a.yaml");
        let last = bench.event(WRITE, "a.yaml");
        assert_eq!(bench.pending.next(), Some(last + QUIET));
        bench.pending.expire(bench.clock.now(), &bench.files);
        assert!(!bench.pending.is_ready());
        bench.clock.advance(QUIET);
        bench.pending.expire(bench.clock.now(), &bench.files);
        assert_eq!(bench.take().1, first);
    }

    #[test]
    fn what_a_look_has_seen_already_is_not_looked_at_again() {
        let mut bench = Bench::new();
        bench.event(WRITE, "a.yaml");
        let closed = bench.clock.now();
        bench.clock.advance(Duration::from_millis(1));
        bench.files.scan(bench.clock.now());
        let event = Event::new(CLOSE).add_path(bench.folder.path().join("a.yaml"));
        bench.pending.event(&event, closed, &bench.files);
        assert!(!bench.pending.is_ready());
    }

    #[test]
    fn new_files_and_swaps_need_a_full_look() {
        for (kind, name) in [(CLOSE, "b.yaml"), (RENAME, "b.yaml"), (RENAME, "..data"), (RENAME, "folder")] {
            let mut bench = Bench::new();
            bench.event(kind, name);
            assert_eq!(bench.take().0, None, "{kind:?} {name}");
        }
    }

    #[test]
    fn left_overs_of_editors_and_strangers_are_nothing() {
        for (kind, name) in [
            (RENAME, ".a.yaml.swp"),
            (CLOSE, "4913"),
            (CREATE, "notes.txt"),
            (WRITE, "a.yaml~"),
            (RENAME, "/elsewhere"),
        ] {
            let mut bench = Bench::new();
            bench.event(kind, name);
            assert!(!bench.pending.is_ready() && bench.pending.open().is_empty(), "{kind:?} {name}");
        }
    }
}
