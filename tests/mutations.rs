//! Manifests that somebody damaged: whatever is done to them, reading and translating ends with findings, never with a
//! crash. The coverage-guided search is in `fuzz/`; this one is quick and runs with all other tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use argosy::app::Offline;
use argosy::tenant::Classes;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

/// Values that are often forgotten.
const STRANGE: [&str; 22] = [
    "",
    "null",
    "~",
    "[]",
    "{}",
    "-1",
    "0",
    "65536",
    "99999999999999999999",
    "1e309",
    "true",
    "\"\"",
    "*",
    "*.",
    "/",
    "//",
    "\"\\u0000\"",
    "[[",
    "(",
    "&a [*a]",
    "!!binary x",
    "ns/name",
];

fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
}

/// Every sample, and every golden case: between them they use each field that is read.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    manifests(&root.join("config/samples"), &mut found);
    manifests(&root.join("tests/cases"), &mut found);
    found.sort();
    let texts: Vec<String> = found.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 50, "only {} manifests found", texts.len());
    texts
}

#[derive(Clone, Debug)]
enum Damage {
    /// Takes a line out.
    Drop(prop::sample::Index),
    /// Writes a line twice.
    Repeat(prop::sample::Index),
    /// Puts a strange value behind the key of a line.
    Value(prop::sample::Index, usize),
    /// Indents a line further.
    Indent(prop::sample::Index),
    /// Ends the text.
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let line = any::<prop::sample::Index>;
    prop_oneof![
        2 => line().prop_map(Damage::Drop),
        1 => line().prop_map(Damage::Repeat),
        6 => (line(), 0..STRANGE.len()).prop_map(|(line, value)| Damage::Value(line, value)),
        1 => line().prop_map(Damage::Indent),
        1 => line().prop_map(Damage::Cut),
    ]
}

fn damaged(text: &str, damages: &[Damage]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for damage in damages.iter().filter(|_| !text.is_empty()) {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match damage {
            Damage::Drop(line) => {
                lines.remove(line.index(count));
            }
            Damage::Repeat(line) => {
                let line = line.index(count);
                lines.insert(line, lines[line].clone());
            }
            Damage::Value(line, value) => {
                let line = &mut lines[line.index(count)];
                if let Some(colon) = line.find(": ") {
                    line.truncate(colon + 2);
                    line.push_str(STRANGE[*value]);
                }
            }
            Damage::Indent(line) => lines[line.index(count)].insert_str(0, "  "),
            Damage::Cut(line) => lines.truncate(line.index(count)),
        }
    }
    lines.join("\n")
}

#[test]
fn damaged_manifests_are_findings_and_never_a_crash() {
    let texts = texts();
    let input = (any::<prop::sample::Index>(), prop::collection::vec(damage(), 1..5));
    proptest!(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() }, |((text, damages) in input)| {
        let text = damaged(&texts[text.index(texts.len())], &damages);
        let offline = Offline::text("damaged.yaml", text.as_bytes(), Classes::any());
        // What was made of it is well-formed, whatever was left out.
        for (_, snapshot) in offline.fleets() {
            argosy::app::resources(&snapshot).to_json(false);
        }
    });
}
