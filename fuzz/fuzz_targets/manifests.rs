//! Throws garbage at the way from YAML to what Envoys are sent: whatever the bytes, there is no crash, and a good document
//! stays readable.
#![no_main]

use argosy::app::Offline;
use argosy::provider::file::parse;
use argosy::tenant::Classes;
use libfuzzer_sys::fuzz_target;

const GOOD: &str = "\n---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: good-neighbour\n";

fuzz_target!(|bytes: &[u8]| {
    parse("fuzz.json", bytes);
    Offline::text("fuzz.yaml", bytes, Classes::any()).fleets();
    let neighbours = [bytes, GOOD.as_bytes()].concat();
    let parsed = parse("fuzz.yaml", &neighbours);
    // A directive that stands before a document belongs to it, and may be what is wrong with it.
    let directive = bytes.starts_with(b"%") || bytes.windows(2).any(|pair| pair == b"\n%");
    assert!(directive || parsed.objects.iter().any(|(object, _)| object.meta().name == "good-neighbour"));
});
