//! From the bytes of a file to objects and findings, without I/O.

use super::codes::{LIMIT, MAX_DOCUMENTS, MAX_FILE_BYTES, MAX_FINDINGS, NOT_YAML};
use super::kinds;
use super::locate::{Step, locate};
use super::read::{self, Outcome, Problem};
use super::split::{self, Piece};
use super::value;
use crate::model::{Finding, Kind, ObjectKey, Place, Severity};
use crate::store::Object;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The objects and where they stand, in the order of the file; the same object may stand here twice.
    pub objects: Vec<(Object, Place)>,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// The hash of each object's specification.
    pub(super) specs: Vec<u64>,
    /// What could not be read.
    pub(super) lost: Lost,
    /// The documents by the hash of their text, so that an unchanged one need not be parsed again.
    pub(super) documents: Documents,
}

/// Objects that stand in a file and cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Those whose key is known.
    pub(super) keys: BTreeSet<ObjectKey>,
    /// Whether there are others: any object of the file may be one of them.
    pub(super) others: bool,
}

impl Lost {
    fn add(&mut self, key: Option<ObjectKey>) {
        match key {
            Some(key) => {
                self.keys.insert(key);
            }
            None => self.others = true,
        }
    }

    /// Whether nothing is lost.
    pub(super) fn nothing(&self) -> bool {
        !self.others && self.keys.is_empty()
    }
}

/// Parsed documents by the hash of their text.
pub(super) type Documents = BTreeMap<u128, Arc<Document>>;

/// One document; its lines count from its own first one, so that it may move inside its file.
#[derive(Debug, Default)]
pub(super) struct Document {
    objects: Vec<(Object, u64, (usize, usize))>,
    findings: Vec<Finding>,
    lost: Lost,
}

/// Parses a file; never fails: what cannot be read is a finding, and costs only the document that it stands in.
///
/// `file` is the name shown in findings; when it ends in `.json` the content may be JSON values one after the other.
pub fn parse(file: &str, bytes: &[u8]) -> Parsed {
    parse_again(file, bytes, &Documents::new())
}

/// Like `parse`, with the documents that are known already.
pub(super) fn parse_again(file: &str, bytes: &[u8], known: &Documents) -> Parsed {
    let mut parsed = Parsed::default();
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has more than {} MiB and is not read", MAX_FILE_BYTES >> 20);
        parsed.limit(file, 0, message, "split it into several files");
        return parsed;
    }
    let pieces = split::split(file, bytes);
    if let Some(beyond) = pieces.get(MAX_DOCUMENTS) {
        let message = format!("the file has more than {MAX_DOCUMENTS} documents; those from here on are not read");
        parsed.limit(file, beyond.line + 1, message, "split it into several files");
    }
    for piece in pieces.into_iter().take(MAX_DOCUMENTS) {
        let hash = xxh3_128(piece.bytes);
        let document = known.get(&hash).or_else(|| parsed.documents.get(&hash)).map(Arc::clone);
        let document = document.unwrap_or_else(|| Arc::new(parse_piece(file, piece.bytes)));
        parsed.add(file, piece, &document);
        parsed.documents.insert(hash, document);
    }
    parsed.shorten(file);
    parsed
}

impl Parsed {
    fn limit(&mut self, file: &str, line: usize, message: String, fix: &str) {
        self.lost.others = true;
        let place = Place { file: file.to_owned(), line, column: 0 };
        self.findings.push(finding(LIMIT, Severity::Error, place, message, fix));
    }

    fn add(&mut self, file: &str, piece: Piece<'_>, document: &Document) {
        let place = |(line, column)| Place { file: file.to_owned(), line: piece.line + line, column };
        for (object, spec, position) in &document.objects {
            self.objects.push((object.clone(), place(*position)));
            self.specs.push(*spec);
        }
        self.findings.extend(document.findings.iter().cloned().map(|mut finding| {
            finding.place = finding.place.map(|found| place((found.line, found.column)));
            finding
        }));
        self.lost.keys.extend(document.lost.keys.iter().cloned());
        self.lost.others |= document.lost.others;
    }

    /// Errors are kept before warnings.
    fn shorten(&mut self, file: &str) {
        let more = self.findings.len().saturating_sub(MAX_FINDINGS);
        if more == 0 {
            return;
        }
        self.findings.sort_by_key(|finding| finding.severity != Severity::Error);
        self.findings.truncate(MAX_FINDINGS);
        self.findings.sort_by(|a, b| a.place.cmp(&b.place));
        let place = Place { file: file.to_owned(), line: 0, column: 0 };
        let message = format!("{more} further findings of this file are not shown");
        self.findings.push(finding(LIMIT, Severity::Warning, place, message, "mend those that are shown first"));
    }
}

fn finding(code: &'static str, severity: Severity, place: Place, message: String, fix: &str) -> Finding {
    Finding { code, severity, object: None, place: Some(place), message, fix: fix.to_owned() }
}

fn parse_piece(file: &str, bytes: &[u8]) -> Document {
    let first = first_line(bytes);
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let position = (split::count_lines(before) + 1, before.len() - line_start + 1);
            let fix = "save the file as UTF-8";
            return broken(NOT_YAML, "the document is not UTF-8 text".to_owned(), position, fix, bytes);
        }
    };
    match value::read(text, split::is_json(file)) {
        Ok(value) => objects(text, value, first),
        Err(error) => {
            let position = error.position.unwrap_or(first);
            broken(error.code, error.message, position, "", bytes)
        }
    }
}

fn broken(code: &'static str, message: String, position: (usize, usize), fix: &str, bytes: &[u8]) -> Document {
    let place = Place { file: String::new(), line: position.0, column: position.1 };
    let message = format!("{message}; the last good version of the document stays, if there is one");
    let mut document = Document::default();
    let object = guess(bytes);
    document.findings.push(Finding { object: object.clone(), ..finding(code, Severity::Error, place, message, fix) });
    document.lost.add(object);
    document
}

/// Line and column of what is neither blank nor comment nor marker.
fn first_line(bytes: &[u8]) -> (usize, usize) {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let mut lines = lines.filter(|(_, line)| !split::blank(line) && !line.starts_with(b"---") && line[0] != b'%');
    lines.next().map_or((1, 1), |(number, line)| (number + 1, line.len() - line.trim_ascii_start().len() + 1))
}

/// The objects of a document: itself, or the items of a list.
fn objects(text: &str, value: Value, first: (usize, usize)) -> Document {
    let mut items = Vec::new();
    unfold(value, Vec::new(), &mut items);
    let outcomes: Vec<(Vec<Step>, Outcome)> =
        items.into_iter().map(|(path, value)| (path, read::read(value))).collect();
    let mut wanted = Vec::new();
    for (path, outcome) in &outcomes {
        wanted.push(path.clone());
        let inside = |problem: &Problem| [path.as_slice(), &problem.path].concat();
        wanted.extend(outcome.problems.iter().map(inside));
    }
    let positions = if wanted.iter().all(Vec::is_empty) { vec![None; wanted.len()] } else { locate(text, &wanted) };
    let mut positions = positions.into_iter();
    let mut document = Document::default();
    for (_, outcome) in outcomes {
        let start = positions.next().flatten().unwrap_or(first);
        for problem in outcome.problems {
            let (line, column) = positions.next().flatten().unwrap_or(start);
            document.findings.push(Finding {
                code: problem.code,
                severity: problem.severity,
                object: outcome.key.clone(),
                place: Some(Place { file: String::new(), line, column }),
                message: problem.message,
                fix: problem.fix,
            });
        }
        if outcome.lost {
            document.lost.add(outcome.key);
        }
        document.objects.extend(outcome.object.map(|(object, spec)| (object, spec, start)));
    }
    document
}

/// Takes lists apart, `List` as well as `GatewayList`, whose items may lack what the list's kind says.
fn unfold(value: Value, path: Vec<Step>, items: &mut Vec<(Vec<Step>, Value)>) {
    if value.is_null() && path.is_empty() {
        return;
    }
    let Some(item_kind) = value.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List")) else {
        items.push((path, value));
        return;
    };
    if !value.get("items").is_some_and(|list| list.is_array() || list.is_null()) {
        items.push((path, value));
        return;
    }
    let (item_kind, api_version) = (item_kind.to_owned(), value.get("apiVersion").cloned());
    let Value::Object(mut fields) = value else { return };
    let Some(Value::Array(list)) = fields.remove("items") else { return };
    for (index, mut item) in list.into_iter().enumerate() {
        if let (Value::Object(fields), false) = (&mut item, item_kind.is_empty()) {
            fields.entry("kind").or_insert_with(|| item_kind.clone().into());
            fields.entry("apiVersion").or_insert_with(|| api_version.clone().unwrap_or_default());
        }
        let path = [path.as_slice(), &[Step::Key("items".to_owned()), Step::Index(index)]].concat();
        unfold(item, path, items);
    }
}

/// Which object a broken document holds, from lines that look like those of an object; `None` when they do not.
fn guess(bytes: &[u8]) -> Option<ObjectKey> {
    let text = String::from_utf8_lossy(bytes);
    let (mut kind, mut name, mut namespace) = (None, None, None);
    let mut in_metadata = false;
    let mut indent = None;
    for line in text.lines().filter(|line| !split::blank(line.as_bytes())) {
        let width = line.len() - line.trim_start_matches(' ').len();
        let Some((field, value)) = line.trim_start_matches(' ').split_once(':') else { continue };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        if width == 0 {
            in_metadata = field == "metadata";
            if field == "kind" {
                kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == value);
            }
        } else if in_metadata && width == *indent.get_or_insert(width) {
            match field {
                "name" => name = Some(value.to_owned()),
                "namespace" => namespace = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    let (kind, name) = (kind?, name?);
    let namespace = match kind.cluster_scoped() {
        true => String::new(),
        false => namespace.unwrap_or_else(|| "default".to_owned()),
    };
    (kinds::wrong_name(kind, &name).is_none()).then(|| ObjectKey::new(kind, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::super::codes::{IGNORED, NOT_AN_OBJECT, OLD_VERSION, UNKNOWN_FIELD};
    use super::*;
    use std::path::Path;

    fn gateway(name: &str) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: {name}\nspec:\n  \
             gatewayClassName: c\n  listeners:\n  - name: http\n    port: 80\n    protocol: HTTP\n"
        )
    }

    fn keys(parsed: &Parsed) -> Vec<String> {
        parsed.objects.iter().map(|(object, place)| format!("{} at {place}", object.key())).collect()
    }

    fn codes(parsed: &Parsed) -> Vec<&'static str> {
        parsed.findings.iter().map(|finding| finding.code).collect()
    }

    fn places(parsed: &Parsed) -> Vec<String> {
        parsed.findings.iter().map(|finding| finding.place.as_ref().unwrap().to_string()).collect()
    }

    #[test]
    fn objects_come_with_their_place_and_what_was_left_out() {
        let text = format!("# two\n{}---\n\n# the second\n{}", gateway("a"), gateway("b"));
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(keys(&parsed), ["Gateway default/a at f.yaml:2:1", "Gateway default/b at f.yaml:15:1"]);
        assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
        assert_eq!(parsed.objects[0].0.meta().generation, 1);
        assert_eq!(parsed.objects[0].0.meta().namespace, "default");
    }

    #[test]
    fn cluster_scoped_kinds_have_no_namespace() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: n, namespace: x, labels: {a: b}}\nspec: {finalizers: [kubernetes]}\n";
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(keys(&parsed), ["Namespace n at f.yaml:1:1"]);
        assert_eq!(codes(&parsed), [""; 0]);
    }

    #[test]
    fn a_broken_document_costs_only_itself() {
        let text = format!("{}---\na: [\n---\n{}", gateway("a"), gateway("b"));
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(parsed.objects.len(), 2);
        assert_eq!(codes(&parsed), [NOT_YAML]);
        assert!(parsed.findings[0].place.as_ref().is_some_and(|place| (12..=13).contains(&place.line)), "{parsed:?}");
        assert!(parsed.lost.others);
    }

    #[test]
    fn a_broken_document_is_known_by_its_name() {
        let text = format!("{}  addresses: [\n", gateway("a"));
        let parsed = parse("f.yaml", text.as_bytes());
        let key = ObjectKey::new(Kind::Gateway, "default", "a");
        assert_eq!(parsed.lost, Lost { keys: BTreeSet::from([key.clone()]), others: false });
        assert_eq!(parsed.findings[0].object, Some(key));
    }

    #[test]
    fn wrong_types_and_unknown_fields_come_with_path_and_position() {
        let text = format!("{}---\n{}", gateway("a").replace("80", "eighty"), gateway("b").replace("port", "prt"));
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(codes(&parsed), [NOT_AN_OBJECT, NOT_AN_OBJECT]);
        assert_eq!(places(&parsed), ["f.yaml:9:5", "f.yaml:19:5"]);
        assert!(parsed.findings[0].message.contains("`spec.listeners[0].port`"), "{}", parsed.findings[0]);
        assert!(parsed.findings[1].message.contains("missing field `port`"), "{}", parsed.findings[1]);
        let text = format!("{}  adresses: []\n", gateway("a"));
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!((codes(&parsed), places(&parsed)), (vec![UNKNOWN_FIELD], vec!["f.yaml:11:3".to_owned()]));
        assert_eq!(parsed.findings[0].severity, Severity::Warning);
        assert!(parsed.findings[0].message.contains("`spec.adresses`"), "{}", parsed.findings[0]);
    }

    #[test]
    fn values_of_secrets_are_not_shown() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {pin: 493817}\n";
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(codes(&parsed), [NOT_AN_OBJECT]);
        assert!(!parsed.findings[0].to_string().contains("493817"), "{}", parsed.findings[0]);
        assert!(parsed.findings[0].message.contains("stringData"), "{}", parsed.findings[0]);
    }

    #[test]
    fn lists_are_taken_apart() {
        let item = |name: &str| gateway(name).lines().map(|line| format!("  {line}\n")).collect::<String>();
        let text = format!("apiVersion: v1\nkind: List\nitems:\n-\n{}-\n{}", item("a"), item("b"));
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(keys(&parsed), ["Gateway default/a at f.yaml:5:3", "Gateway default/b at f.yaml:16:3"]);
        let typed =
            "{\"kind\": \"ServiceList\", \"apiVersion\": \"v1\", \"items\": [{\"metadata\": {\"name\": \"s\"}}]}";
        assert_eq!(keys(&parse("f.json", typed.as_bytes())), ["Service default/s at f.json:1:56"]);
        assert_eq!(codes(&parse("f.yaml", b"kind: List\napiVersion: v1\nitems: []\n")), [""; 0]);
    }

    #[test]
    fn older_versions_are_read_and_other_kinds_named() {
        let text = format!("{}---\n", gateway("a").replace("k8s.io/v1", "k8s.io/v1beta1"))
            + "apiVersion: config.gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {name: p}\n---\n"
            + "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n---\n"
            + "apiVersion: gateway.networking.k8s.io/v9\nkind: HTTPRoute\nmetadata: {name: r}\n---\n"
            + "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: r}\n";
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!(parsed.objects.len(), 2);
        assert_eq!(codes(&parsed), [OLD_VERSION, OLD_VERSION, IGNORED, IGNORED, IGNORED]);
        assert!(parsed.findings[0].fix.contains("gateway.networking.k8s.io/v1"), "{}", parsed.findings[0]);
        assert!(parsed.findings[1].fix.contains("gateway.envoyproxy.io/v1alpha1"), "{}", parsed.findings[1]);
        assert!(parsed.findings[2].message.contains("Deployment d"), "{}", parsed.findings[2]);
        assert_eq!(parsed.findings[2].severity, Severity::Warning);
        assert_eq!(parsed.findings[3].severity, Severity::Error);
        assert!(parsed.findings[4].fix.contains("kind: HTTPRoute"), "{}", parsed.findings[4]);
    }

    #[test]
    fn status_and_nulls_are_left_out_and_the_specification_is_hashed() {
        let plain = parse("f.yaml", gateway("a").as_bytes());
        let more = gateway("a").replace("  name: a\n", "  name: a\n  labels: ~\n  resourceVersion: '7'\n")
            + "status: {x: 1}\n";
        let more = parse("f.yaml", more.as_bytes());
        assert_eq!((codes(&more), &more.specs), (vec![], &plain.specs));
        assert_eq!(more.objects[0].0, plain.objects[0].0);
        assert_ne!(parse("f.yaml", gateway("a").replace("80", "81").as_bytes()).specs, plain.specs);
    }

    #[test]
    fn limits_are_findings() {
        let parsed = parse("f.yaml", &vec![b' '; MAX_FILE_BYTES + 1]);
        assert_eq!(codes(&parsed), [LIMIT]);
        let parsed = parse("f.yaml", "---\n".repeat(MAX_DOCUMENTS + 5).as_bytes());
        assert_eq!(codes(&parsed), [LIMIT]);
        let ignored = "---\napiVersion: apps/v1\nkind: Deployment\n".repeat(MAX_FINDINGS + 5) + "---\na: [\n";
        let parsed = parse("f.yaml", ignored.as_bytes());
        assert_eq!(parsed.findings.len(), MAX_FINDINGS + 1);
        assert!(parsed.findings.iter().any(|finding| finding.code == NOT_YAML), "errors go before warnings");
    }

    #[test]
    fn a_large_document_is_read() {
        let item = format!("{}\n", "x".repeat(76));
        let data: String = (0..130_000).map(|_| format!("    {item}")).collect();
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  large: |\n{data}---\n{}",
            gateway("a")
        );
        let parsed = parse("f.yaml", text.as_bytes());
        assert_eq!((parsed.objects.len(), codes(&parsed)), (2, vec![]));
    }

    #[test]
    fn an_unchanged_document_is_not_parsed_again() {
        let first = parse("f.yaml", format!("{}---\n{}", gateway("a"), gateway("b")).as_bytes());
        let text = format!("# moved\n{}---\n{}", gateway("a"), gateway("b"));
        let second = parse_again("f.yaml", text.as_bytes(), &first.documents);
        let same = |left: &Object, right: &Object| match (left, right) {
            (Object::Gateway(left), Object::Gateway(right)) => Arc::ptr_eq(left, right),
            _ => false,
        };
        assert!(!same(&first.objects[0].0, &second.objects[0].0));
        assert!(same(&first.objects[1].0, &second.objects[1].0));
        assert_eq!(second.objects[1].1.line, 13);
    }

    #[test]
    fn the_samples_are_clean_but_for_old_versions() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/samples");
        let mut objects = 0;
        for entry in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let parsed = parse("sample.yaml", &std::fs::read(entry.path()).unwrap());
            let clean = parsed.findings.iter().all(|finding| finding.code == OLD_VERSION);
            assert!(clean, "{:?}: {:?}", entry.path(), parsed.findings);
            objects += parsed.objects.len();
        }
        assert!(objects > 8);
    }

    /// What each hostile file is to give; `""` for those whose fault only translation can see.
    const HOSTILE: [(&str, &str); 27] = [
        ("binary.yaml", NOT_YAML),
        ("bomb.yaml", LIMIT),
        ("bootstrap-with-tab.yaml", ""),
        ("broken-expression.yaml", ""),
        ("byte-order-mark.yaml", ""),
        ("certificate-without-key.yaml", ""),
        ("cyclic-alias.yaml", LIMIT),
        ("deep.yaml", LIMIT),
        ("duplicate-key.yaml", NOT_YAML),
        ("duplicate-object.yaml", ""),
        ("empty.yaml", ""),
        ("huge-expression.yaml", ""),
        ("invalid-utf8.yaml", NOT_YAML),
        ("list.yaml", NOT_AN_OBJECT),
        ("long-name.yaml", NOT_AN_OBJECT),
        ("negative-weight.yaml", NOT_AN_OBJECT),
        ("not-base64.yaml", ""),
        ("null-everywhere.yaml", NOT_AN_OBJECT),
        ("only-separators.yaml", ""),
        ("patch-nowhere.yaml", ""),
        ("port-out-of-range.yaml", NOT_AN_OBJECT),
        ("scalar.yaml", NOT_AN_OBJECT),
        ("self-reference.yaml", ""),
        ("truncated.yaml", NOT_YAML),
        ("unknown-field.yaml", UNKNOWN_FIELD),
        ("windows-lines.yaml", ""),
        ("wrong-types.yaml", NOT_AN_OBJECT),
    ];

    fn hostile() -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifests");
        let read = |(name, code)| (name, code, std::fs::read(folder.join(name)).unwrap());
        HOSTILE.map(read).into()
    }

    #[test]
    fn hostile_files_give_their_finding() {
        for (name, code, bytes) in hostile() {
            let parsed = parse(name, &bytes);
            assert_eq!(codes(&parsed).first().copied().unwrap_or_default(), code, "{name}: {:?}", parsed.findings);
            assert!(parsed.findings.iter().all(|finding| finding.place.is_some()), "{name}");
        }
    }

    #[test]
    fn hostile_documents_cost_their_neighbours_nothing() {
        for (name, _, bytes) in hostile() {
            let mut text = gateway("before").into_bytes();
            text.extend(b"---\n");
            text.extend(bytes);
            text.extend(format!("\n---\n{}", gateway("after")).as_bytes());
            let names = parse(name, &text).objects;
            let names: Vec<&str> = names.iter().map(|(object, _)| object.meta().name.as_str()).collect();
            assert!(names.contains(&"before") && names.contains(&"after"), "{name}: {names:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_damaged_file_is_never_a_crash(which in 0_usize..27, at in 0_usize..600, byte: u8, cut in 0_usize..600) {
            let (name, _, mut bytes) = hostile().swap_remove(which);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut.max(at));
            parse(name, &bytes);
            parse("f.json", &bytes);
        }
    }
}
