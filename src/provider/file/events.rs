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
