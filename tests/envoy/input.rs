//! Bad input through the front door: a finding, never a crash, never a lost neighbour.

use crate::harness::manifests::{PUBLIC, base, class, file, gateway, http, http_route, prefix, service};
use crate::harness::{Argosy, run};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that are odd but good: nothing may be said about them.
const GOOD: [&str; 4] = ["byte-order-mark", "empty", "only-separators", "windows-lines"];
/// Files whose objects are good in themselves; whether there is more to say is a matter of taste.
const TASTE: [&str; 4] = ["bootstrap-with-tab", "long-name", "not-base64", "unknown-field"];
/// Files that hold no good objects at all, so that each has to be reported by its name.
const UNREADABLE: [&str; 12] = [
    "binary",
    "bomb",
    "cyclic-alias",
    "deep",
    "duplicate-key",
    "invalid-utf8",
    "negative-weight",
    "null-everywhere",
    "port-out-of-range",
    "scalar",
    "truncated",
    "wrong-types",
];

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifests");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the corpus is there: {files:?}");
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

/// A 10 MB document that is one long string.
fn huge() -> Vec<u8> {
    let mut text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: huge}\ndata:\n  x: ".to_vec();
    text.resize(10 << 20, b'x');
    text.push(b'\n');
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_of_the_corpus_ends_argosy_or_costs_a_neighbour_anything() {
    let mut argosy = Argosy::prepare();
    let one = argosy.backends.echo("one").await;
    let mut objects = base(one);
    // A name of its own: the corpus has objects called g and r in this namespace.
    objects.retain(|object| object["kind"] != "Gateway");
    objects.push(gateway("neighbour", "c", &[http("http", 8080)]));
    objects.push(http_route("fine", "neighbour", &["h"], &[prefix("/", "one")]));
    // The corpus' Gateways are to be nobody's: they would each start an Envoy.
    let text = file(&objects).replace("\"c\"", "\"good\"");
    argosy.write("good.yaml", text);
    let pid = argosy.start().await.pid;
    let proxy = argosy.proxy("default/neighbour").await;
    let target = proxy.plain(8080);
    argosy.answers(&target, "h", "/", "200 one").await;
    let huge_file = PathBuf::from("huge.yaml");
    let files = corpus().into_iter().map(|path| (fs::read(&path).unwrap(), path));
    for (content, path) in files.chain([(huge(), huge_file)]) {
        let name = format!("bad-{}.yaml", stem(&path));
        argosy.write(&name, content);
        if UNREADABLE.contains(&stem(&path)) {
            argosy.finding(&[&name]).await;
        }
        let mark = format!("after-{}.example.com", stem(&path));
        argosy.write("mark.yaml", file(&[http_route("mark", "neighbour", &[&mark], &[prefix("/", "one")])]));
        argosy.answers(&target, &mark, "/", "200 one").await;
        assert_eq!(target.get("h", "/", &[]).await.unwrap().status, 200, "{name}");
        argosy.remove(&name);
    }
    assert_eq!(argosy.running().pid, pid);
    assert_eq!(argosy.proxy("default/neighbour").await.pid(), proxy.pid());
    argosy
        .wait("all findings are gone with their files", async || {
            let findings = argosy.findings().await;
            if findings.is_empty() { Ok(()) } else { Err(format!("{findings:#?}")) }
        })
        .await;
    assert!(!argosy.log().contains("panicked"), "{}", argosy.log_tail());
}

#[test]
fn check_names_what_is_wrong_with_each_file_of_the_corpus() {
    let folder = tempfile::tempdir().unwrap();
    for path in corpus() {
        let content = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&content).into_owned();
        let neighbours = folder.path().join("neighbours.yaml");
        let mut objects = vec![class("c", PUBLIC)];
        objects.extend(service("b", 1));
        // Most routes of the corpus want a Gateway `g`, and some files bring it themselves.
        if !text.contains("kind: Gateway\n") && !text.contains("kind: Gateway\r\n") {
            objects.push(gateway("g", "c", &[http("http", 80)]));
        }
        fs::write(&neighbours, file(&objects)).unwrap();
        let arguments = ["check", "-f", path.to_str().unwrap(), "-f", neighbours.to_str().unwrap()];
        let output = run(&arguments);
        let shown = format!("{}\n{}{}", path.display(), output.stdout, output.stderr);
        assert!(!shown.contains("panicked"), "{shown}");
        if GOOD.contains(&stem(&path)) {
            assert_eq!(output.code, Some(0), "{shown}");
        } else if TASTE.contains(&stem(&path)) {
            assert!(matches!(output.code, Some(0 | 1)), "{shown}");
        } else {
            assert_eq!(output.code, Some(1), "{shown}");
            assert!(output.stdout.contains("ARG"), "a finding has a code: {shown}");
            assert!(output.stdout.contains(stem(&path)), "a finding names the file: {shown}");
        }
    }
}

#[test]
fn a_huge_document_is_read_or_refused_and_nothing_worse() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, good) = (folder.path().join("huge.yaml"), folder.path().join("good.yaml"));
    fs::write(&bad, huge()).unwrap();
    let mut objects = base(1);
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    fs::write(good, file(&objects)).unwrap();
    let folder = folder.path().to_str().unwrap();
    let output = run(&["translate", "-f", folder, "--to", "xds", "-o", "json", "--ignore-unused"]);
    assert!(matches!(output.code, Some(0 | 1)), "{}", output.stderr);
    let xds: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let table = &xds["default/g"]["routes"]["default/g/http"];
    assert!(table.to_string().contains("service/default/one/80"), "the neighbour is translated: {xds:#}");
}
