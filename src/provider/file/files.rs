//! Reads what changed since the last look.

use super::codes::MAX_FILE_BYTES;
use super::listing::{self, Folders, Listed, Listing, Stamp};
use super::merge::Merge;
use super::parse::{Documents, Parsed, parse_again};
use crate::model::Finding;
use crate::store::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// Two writes within one tick of the file system's clock leave the same stamp. A stamp is trusted when the file was read
/// once more this long after the stamp was first seen.
const SETTLES: Duration = Duration::from_secs(2);
/// How long content that looks half written has to stay the same, and a file to stay away, until it counts.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// How long content that looks half written may be held back altogether.
const SUSPECT: Duration = Duration::from_secs(1);

/// What one look found.
#[derive(Debug)]
pub struct Scan {
    /// The objects that changed, by key. When only the place is another, the object is the same as before.
    pub changes: Vec<Change>,
    /// All findings that are open, by place.
    pub findings: Vec<Finding>,
    /// Whether objects, places or findings are others than before; true for the first look.
    pub changed: bool,
}

/// Folders and files, and what was read from them.
#[derive(Debug)]
pub struct Files {
    roots: Vec<PathBuf>,
    /// By the name shown to users.
    files: BTreeMap<String, Known>,
    /// The names by path, absolute, of the file itself and of what it links to.
    by_path: BTreeMap<PathBuf, BTreeSet<String>>,
    folders: Folders,
    failed: Vec<Finding>,
    merge: Merge,
    /// What the last look said.
    findings: Option<Vec<Finding>>,
}

/// One file.
#[derive(Debug)]
struct Known {
    listed: Listed,
    /// When the stamp was first seen.
    since: Instant,
    /// Whether the stamp can be trusted.
    settled: bool,
    /// Of the content; `None` before it could be read.
    hash: Option<u128>,
    documents: Documents,
    findings: Vec<Finding>,
    unreadable: Option<Finding>,
    suspect: Option<Suspect>,
    /// When the look began that read it last.
    read: Option<Instant>,
    /// Since when it is not there.
    missing: Option<Instant>,
}

/// Content that is held back, since it looks half written.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    hash: u128,
    /// When this content was first seen.
    seen: Instant,
    /// When the first such content was seen.
    since: Instant,
}

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    /// Only at these absolute paths; `None` for everything.
    pub(super) paths: Option<&'a BTreeSet<PathBuf>>,
    /// Not at these: they are being written.
    pub(super) open: &'a BTreeSet<PathBuf>,
    /// Whether content that looks half written, and the absence of a file, is held back until it stays so.
    pub(super) patient: bool,
    /// Now.
    pub(super) now: Instant,
    /// When the changes happened.
    pub(super) at: Instant,
}

impl Files {
    /// Folders (all `.yaml`, `.yml` and `.json` below them) and single files. Nothing is read yet.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            roots: paths,
            files: BTreeMap::new(),
            by_path: BTreeMap::new(),
            folders: Folders::new(),
            failed: Vec::new(),
            merge: Merge::default(),
            findings: None,
        }
    }

    /// Reads everything that changed since the last look, the first time everything. Blocks for as long as the file
    /// system takes; never fails, what cannot be read is a finding.
    pub fn scan(&mut self, now: Instant) -> Scan {
        self.look(&Look { paths: None, open: &BTreeSet::new(), patient: false, now, at: now }).0
    }

    /// Looks; true when something is held back and a further look has to follow.
    pub(super) fn look(&mut self, look: &Look<'_>) -> (Scan, bool) {
        let restricted = look.paths.and_then(|paths| self.stat(paths));
        let (names, mut again) = match restricted {
            Some(listed) => {
                (listed.into_iter().map(|(name, listed)| self.note(name, listed, look.now)).collect(), false)
            }
            None => self.list(look),
        };
        for name in names {
            again |= self.read(&name, look);
        }
        let changes = self.merge.changes(look.at);
        let findings = self.open_findings();
        let changed = !changes.is_empty() || self.findings.as_ref() != Some(&findings);
        self.findings = Some(findings.clone());
        (Scan { changes, findings, changed }, again)
    }

    /// Whether a file at this absolute path is known.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.by_path.contains_key(path)
    }

    /// Whether the file was read since then, with nothing held back.
    pub(super) fn has_read(&self, path: &Path, since: Instant) -> bool {
        let read = |name: &String| {
            let known = self.files.get(name);
            known.is_some_and(|known| known.read > Some(since) && known.suspect.is_none() && known.missing.is_none())
        };
        self.by_path.get(path).is_some_and(|names| names.iter().all(read))
    }

    /// The folders whose changes matter, as absolute paths.
    pub(super) fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Whether a change at this absolute path may matter.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let related = |root: &PathBuf| {
            let root = listing::absolute(root);
            path.starts_with(&root) || root.starts_with(path)
        };
        self.knows(path) || self.folders.contains_key(path) || self.roots.iter().any(related)
    }

    /// The current stamps of known files; `None` when one of them is gone or something else.
    fn stat(&self, paths: &BTreeSet<PathBuf>) -> Option<Vec<(String, Listed)>> {
        let mut found = Vec::new();
        for name in paths.iter().flat_map(|path| self.by_path.get(path)).flatten() {
            let known = self.files.get(name)?;
            let metadata = fs::metadata(&known.listed.path).ok().filter(fs::Metadata::is_file)?;
            let target = known.listed.target.as_ref().map(|_| fs::canonicalize(&known.listed.path)).transpose().ok()?;
            if target != known.listed.target {
                return None;
            }
            found.push((name.clone(), Listed { stamp: Stamp::of(&metadata), ..known.listed.clone() }));
        }
        Some(found)
    }

    /// Compares with what is there, and says which files have to be read, and whether the absence of one is held back.
    fn list(&mut self, look: &Look<'_>) -> (Vec<String>, bool) {
        let Listing { files, folders, failed } = listing::list(&self.roots);
        let stays = |path: &Path| failed.iter().any(|(above, _)| path.starts_with(above));
        let gone = |(name, known): &(&String, &Known)| !files.contains_key(*name) && !stays(&known.listed.path);
        let gone: Vec<String> = self.files.iter().filter(gone).map(|(name, _)| name.clone()).collect();
        let mut again = false;
        for name in gone {
            again |= self.leave(name, look);
        }
        self.folders = folders;
        self.failed = failed.into_iter().map(|(_, finding)| finding).collect();
        let doubtful = |listed: &Listed, known: &Known| {
            known.listed.stamp != listed.stamp
                || !known.settled
                || known.suspect.is_some()
                || known.unreadable.is_some()
        };
        let mut names = Vec::new();
        for (name, listed) in files {
            let open = look.open.contains(&listing::absolute(&listed.path))
                || listed.target.as_ref().is_some_and(|target| look.open.contains(target));
            let read = self.files.get(&name).is_none_or(|known| doubtful(&listed, known));
            let name = self.note(name, listed, look.now);
            if read && !open {
                names.push(name);
            }
        }
        self.index();
        (names, again)
    }

    /// A file is not there; true when that is held back, since editors remove a file before they write it anew.
    fn leave(&mut self, name: String, look: &Look<'_>) -> bool {
        let Some(known) = self.files.get_mut(&name) else { return false };
        let since = *known.missing.get_or_insert(look.now);
        if look.patient && look.now.saturating_duration_since(since) < QUIET {
            self.merge.demote(&name);
            return true;
        }
        self.files.remove(&name);
        self.merge.remove(&name);
        false
    }

    fn index(&mut self) {
        self.by_path.clear();
        for (name, known) in &self.files {
            let paths = [Some(listing::absolute(&known.listed.path)), known.listed.target.clone()];
            for path in paths.into_iter().flatten() {
                self.by_path.entry(path).or_default().insert(name.clone());
            }
        }
    }

    fn note(&mut self, name: String, listed: Listed, now: Instant) -> String {
        match self.files.get_mut(&name) {
            Some(known) => {
                if known.listed.stamp != listed.stamp {
                    known.since = now;
                    known.settled = false;
                }
                known.listed = listed;
                // What it held counts less since it was missing: taken in anew, even if it is the same.
                if known.missing.take().is_some() {
                    known.hash = None;
                }
            }
            None => {
                self.files.insert(name.clone(), Known::new(listed, now));
            }
        }
        name
    }

    /// Reads one file; true when its content is held back.
    fn read(&mut self, name: &str, look: &Look<'_>) -> bool {
        let Some(known) = self.files.get_mut(name) else { return false };
        known.settled = look.now.saturating_duration_since(known.since) >= SETTLES;
        let bytes = match content(&known.listed.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                known.unreadable = Some(listing::unreadable(&known.listed.path, &error));
                return false;
            }
        };
        known.unreadable = None;
        known.read = Some(look.now);
        let hash = xxh3_128(&bytes);
        if known.hash == Some(hash) {
            known.suspect = None;
            return false;
        }
        let parsed = parse_again(name, &bytes, &known.documents);
        let half_written = !parsed.lost.nothing() || (parsed.objects.is_empty() && !self.merge.is_empty(name));
        if look.patient && half_written && known.hold(hash, look.now) {
            return true;
        }
        self.merge.put(name, &parsed);
        known.take(hash, parsed);
        false
    }

    fn open_findings(&self) -> Vec<Finding> {
        let of_files = self.files.values().flat_map(|known| known.unreadable.iter().chain(&known.findings));
        let mut findings: Vec<Finding> =
            self.failed.iter().chain(of_files).chain(self.merge.findings()).cloned().collect();
        findings.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.cmp(b)));
        findings
    }
}

impl Known {
    fn new(listed: Listed, since: Instant) -> Self {
        Self {
            listed,
            since,
            settled: false,
            hash: None,
            documents: Documents::new(),
            findings: Vec::new(),
            unreadable: None,
            suspect: None,
            read: None,
            missing: None,
        }
    }

    /// Whether content is to be held back: until it stays the same for a while, but not for ever.
    fn hold(&mut self, hash: u128, now: Instant) -> bool {
        let since = self.suspect.map_or(now, |suspect| suspect.since);
        let seen = self.suspect.filter(|suspect| suspect.hash == hash).map_or(now, |suspect| suspect.seen);
        self.suspect = Some(Suspect { hash, seen, since });
        let for_long = |begin: Instant, long: Duration| now.saturating_duration_since(begin) >= long;
        !for_long(seen, QUIET) && !for_long(since, SUSPECT)
    }

    fn take(&mut self, hash: u128, parsed: Parsed) {
        self.hash = Some(hash);
        self.suspect = None;
        self.findings = parsed.findings;
        self.documents = parsed.documents;
    }
}

/// The content, but not more than is allowed and one byte.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::codes::{NOT_AN_OBJECT, NOT_YAML, TWICE, UNREADABLE};
    use super::*;
    use crate::runtime::clock::Clock;

    struct Bench {
        folder: tempfile::TempDir,
        files: Files,
        clock: Clock,
    }

    fn gateway(name: &str, port: u16) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: {name}\nspec:\n  \
             gatewayClassName: c\n  listeners:\n  - name: http\n    port: {port}\n    protocol: HTTP\n"
        )
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let files = Files::new(vec![folder.path().to_owned()]);
            Self { folder, files, clock: Clock::manual() }
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// Scans and shows the changes as `name generation file:line`.
        fn scan(&mut self) -> (Vec<String>, Vec<Finding>) {
            let scan = self.files.scan(self.clock.now());
            let show = |change: &Change| match (&change.object, &change.place) {
                (Some(object), Some(place)) => {
                    let file = Path::new(&place.file).file_name().unwrap().to_string_lossy();
                    format!("{} {} {file}:{}", object.meta().name, object.meta().generation, place.line)
                }
                _ => format!("{} gone", change.key.name),
            };
            (scan.changes.iter().map(show).collect(), scan.findings)
        }

        fn changes(&mut self) -> Vec<String> {
            self.scan().0
        }
    }

    fn codes(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn only_what_changed_is_handed_over() {
        let mut bench = Bench::new();
        bench.write("a.yaml", gateway("a", 80));
        bench.write("b.yaml", gateway("b", 80));
        assert_eq!(bench.changes(), ["a 1 a.yaml:1", "b 1 b.yaml:1"]);
        assert!(bench.changes().is_empty());
        // The same length, perhaps within one tick of the file system's clock.
        bench.write("b.yaml", gateway("b", 81));
        assert_eq!(bench.changes(), ["b 2 b.yaml:1"]);
        bench.write("b.yaml", gateway("b", 81).replace("  name: b\n", "  name: b\n  labels: {x: y}\n"));
        assert_eq!(bench.changes(), ["b 2 b.yaml:1"]);
        bench.write("b.yaml", format!("\n{}", gateway("b", 81)));
        assert_eq!(bench.changes(), ["b 2 b.yaml:2"]);
        fs::remove_file(bench.folder.path().join("a.yaml")).unwrap();
        assert_eq!(bench.changes(), ["a gone"]);
        bench.write("a.yaml", gateway("a", 80));
        assert_eq!(bench.changes(), ["a 1 a.yaml:1"]);
    }

    #[test]
    fn the_first_look_is_a_change_and_an_idle_one_is_not() {
        let mut bench = Bench::new();
        assert!(bench.files.scan(bench.clock.now()).changed);
        assert!(!bench.files.scan(bench.clock.now()).changed);
        bench.write("a.yaml", "a: [");
        let scan = bench.files.scan(bench.clock.now());
        assert!(scan.changed && scan.changes.is_empty());
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let mut bench = Bench::new();
        bench.write("a.yaml", gateway("a", 80));
        bench.changes();
        bench.clock.advance(SETTLES);
        bench.changes();
        let known = bench.files.files.values_mut().next().unwrap();
        assert!(known.settled);
        known.hash = None;
        bench.changes();
        assert_eq!(bench.files.files.values().next().unwrap().hash, None);
    }

    #[test]
    fn a_broken_file_keeps_its_objects_until_it_is_mended() {
        let mut bench = Bench::new();
        bench.write("a.yaml", format!("{}---\n{}", gateway("a", 80), gateway("b", 80)));
        bench.changes();
        bench.write("a.yaml", format!("{}  x: [\n---\n{}", gateway("a", 80), gateway("b", 81)));
        let (changes, findings) = bench.scan();
        assert_eq!(changes, ["b 2 a.yaml:13"]);
        assert_eq!(codes(&findings), [NOT_YAML]);
        assert!(findings[0].place.as_ref().is_some_and(|place| place.line >= 11 && place.column > 0), "{findings:?}");
        // The other document goes, the broken one stays as it was.
        bench.write("a.yaml", format!("{}  x: [\n", gateway("a", 80)));
        assert_eq!(bench.changes(), ["b gone"]);
        bench.write("a.yaml", gateway("a", 82));
        let (changes, findings) = bench.scan();
        assert_eq!((changes, findings), (vec!["a 2 a.yaml:1".to_owned()], vec![]));
    }

    #[test]
    fn an_unrecognizable_file_keeps_all_its_objects() {
        let mut bench = Bench::new();
        bench.write("a.yaml", format!("{}---\n{}", gateway("a", 80), gateway("b", 80)));
        bench.changes();
        bench.write("a.yaml", [0_u8, 255, 3]);
        let (changes, findings) = bench.scan();
        assert_eq!((changes, codes(&findings)), (vec![], vec![NOT_YAML]));
    }

    #[test]
    fn a_wrong_type_costs_only_its_object_and_that_stays() {
        let mut bench = Bench::new();
        bench.write("a.yaml", format!("{}---\n{}", gateway("a", 80), gateway("b", 80)));
        bench.changes();
        bench.write("a.yaml", format!("{}---\n{}", gateway("a", 80).replace("80", "x"), gateway("b", 81)));
        let (changes, findings) = bench.scan();
        assert_eq!(changes, ["b 2 a.yaml:12"]);
        assert_eq!(codes(&findings), [NOT_AN_OBJECT]);
    }

    #[test]
    fn of_two_places_the_first_counts_and_the_other_follows() {
        let mut bench = Bench::new();
        bench.write("b.yaml", gateway("g", 80));
        bench.write("c.yaml", format!("{}---\n{}", gateway("g", 81), gateway("g", 82)));
        let (changes, findings) = bench.scan();
        assert_eq!(changes, ["g 1 b.yaml:1"]);
        assert_eq!(codes(&findings), [TWICE, TWICE]);
        assert!(
            findings[0].message.contains("b.yaml:1") && findings[0].message.contains("c.yaml:1"),
            "{}",
            findings[0]
        );
        bench.write("a.yaml", gateway("g", 83));
        assert_eq!(bench.changes(), ["g 2 a.yaml:1"]);
        fs::remove_file(bench.folder.path().join("a.yaml")).unwrap();
        fs::remove_file(bench.folder.path().join("b.yaml")).unwrap();
        let (changes, findings) = bench.scan();
        assert_eq!((changes, codes(&findings)), (vec!["g 3 c.yaml:1".to_owned()], vec![TWICE]));
        bench.write("c.yaml", gateway("g", 82));
        let (changes, findings) = bench.scan();
        assert_eq!((changes, findings), (vec!["g 4 c.yaml:1".to_owned()], vec![]));
    }

    #[test]
    fn a_readable_place_goes_before_one_that_is_only_kept() {
        let mut bench = Bench::new();
        bench.write("a.yaml", gateway("g", 80));
        bench.changes();
        bench.write("a.yaml", format!("{}  x: [\n", gateway("g", 80)));
        bench.write("b.yaml", gateway("g", 81));
        let (changes, findings) = bench.scan();
        assert_eq!((changes, codes(&findings)), (vec!["g 2 b.yaml:1".to_owned()], vec![NOT_YAML]));
    }

    #[test]
    fn a_missing_root_is_an_error_and_costs_no_object() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifests");
        let mut files = Files::new(vec![path.clone()]);
        let now = Clock::manual().now();
        let scan = files.scan(now);
        assert_eq!(codes(&scan.findings), [UNREADABLE]);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), gateway("a", 80)).unwrap();
        let scan = files.scan(now);
        assert_eq!((scan.changes.len(), scan.findings.len()), (1, 0));
        fs::rename(&path, folder.path().join("away")).unwrap();
        let scan = files.scan(now);
        assert_eq!((scan.changes.len(), codes(&scan.findings)), (0, vec![UNREADABLE]));
    }

    #[test]
    fn single_files_may_be_named_and_have_any_ending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.txt");
        fs::write(&path, gateway("a", 80)).unwrap();
        let scan = Files::new(vec![path, folder.path().to_owned()]).scan(Clock::manual().now());
        assert_eq!((scan.changes.len(), scan.findings.len()), (1, 0));
    }

    #[test]
    fn what_looks_half_written_or_gone_is_held_back_for_a_while() {
        let mut bench = Bench::new();
        let none = BTreeSet::new();
        bench.write("a.yaml", gateway("a", 80));
        bench.changes();
        let look = |bench: &mut Bench| {
            let now = bench.clock.now();
            bench.files.look(&Look { paths: None, open: &none, patient: true, now, at: now })
        };
        for text in ["", "apiVersion: [", "x: ["] {
            bench.write("a.yaml", text);
            let (scan, again) = look(&mut bench);
            assert!(again && !scan.changed, "{text}");
            bench.clock.advance(Duration::from_millis(20));
        }
        bench.clock.advance(QUIET);
        let (scan, again) = look(&mut bench);
        assert!(!again && scan.changed && scan.changes.is_empty());
        fs::remove_file(bench.folder.path().join("a.yaml")).unwrap();
        let (scan, again) = look(&mut bench);
        assert!(again && scan.changes.is_empty());
        bench.write("a.yaml", gateway("a", 81));
        let (scan, again) = look(&mut bench);
        assert_eq!((scan.changes.len(), again), (1, false));
        fs::remove_file(bench.folder.path().join("a.yaml")).unwrap();
        assert!(look(&mut bench).1);
        bench.clock.advance(QUIET);
        let (scan, again) = look(&mut bench);
        assert!(scan.changes[0].object.is_none() && !again);
    }
}
