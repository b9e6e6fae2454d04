//! Golden cases: `tests/cases/<feature>/<case>.yaml` holds objects and, as its last document, a `kind: Expect` with parts of
//! the status and of the xDS resources that the binary makes of them.
//!
//! Every case also sees `tests/cases/prelude.yaml` and a good certificate in Secret `default/tls`. What is expected has to be
//! contained: of an object the keys given (null: the key is absent); of a list of things with `type` or `name` those named so;
//! any other list element by element. A text that begins with `~` has to be contained in the text that is there.
//! `{"@exactly": […]}` compares a list element by element whatever it holds, `{"@any": […]}` wants each element somewhere,
//! `{"@none": […]}` nowhere, `{"@len": n}` counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use argosy::cli::demo::DemoIdentity;
use serde::Deserialize as _;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Cases that are looked at side by side.
const WORKERS: usize = 4;

struct Case {
    /// `<feature>/<case>.yaml`.
    name: String,
    /// The objects, as they stand in the file.
    objects: String,
    expect: Value,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn cases() -> Vec<Case> {
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut cases: Vec<Case> = files.map(|file| read(&file)).collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    cases
}

fn read(file: &Path) -> Case {
    let name = file.strip_prefix(root()).unwrap().display().to_string();
    let text = fs::read_to_string(file).unwrap();
    let (objects, last) = text.rsplit_once("---\n").unwrap_or_else(|| panic!("{name}: no `kind: Expect` at its end"));
    let expect: Value = yaml_serde::from_str(last).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(expect["kind"], "Expect", "{name}: the last document says what is expected");
    let known = |key: &String| ["kind", "status", "xds"].contains(&key.as_str());
    assert!(expect.as_object().unwrap().keys().all(known), "{name}: an unknown key in Expect");
    assert!(!expect["status"].is_null() || !expect["xds"].is_null(), "{name}: expects nothing");
    for document in yaml_serde::Deserializer::from_str(objects) {
        let object = Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(object["kind"].is_string(), "{name}: an object without a kind");
    }
    assert!(text.starts_with("# "), "{name}: says what it is about");
    Case { name, objects: objects.to_owned(), expect }
}

/// A folder with the prelude, the certificate and the objects of a case.
fn folder(case: &Case, certificate: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(root().join("prelude.yaml"), folder.path().join("prelude.yaml")).unwrap();
    fs::write(folder.path().join("tls.yaml"), certificate).unwrap();
    fs::write(folder.path().join("case.yaml"), &case.objects).unwrap();
    folder
}

fn translate(folder: &TempDir, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
    command.args(["translate", "--ignore-unused", "-o", "json", "-f"]).arg(folder.path()).args(arguments);
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(stdout.into_owned()) } else { Err(format!("{}: {stderr}", output.status)) }
}

fn document(folder: &TempDir, to: &str) -> Result<Value, String> {
    serde_json::from_str(&translate(folder, &["--to", to])?).map_err(|error| format!("--to {to}: {error}"))
}

/// Runs something for every case and shows all failures at once.
fn for_each(check: impl Fn(&Case, &TempDir) -> Result<(), String> + Sync) {
    let certificate = DemoIdentity::generate(&["*.example.com"]).unwrap().secret("default", "tls");
    let (cases, next, failures) = (cases(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(problem) = check(case, &folder(case, &certificate)) {
                        failures.lock().unwrap().push(format!("{}:\n{problem}", case.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} cases:\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

#[test]
fn every_case_comes_to_what_it_expects() {
    for_each(|case, folder| {
        if let Some(objects) = case.expect["status"].as_array() {
            let list = document(folder, "status")?;
            for expected in objects {
                let object = find(&list, expected).ok_or_else(|| format!("no {} in {list:#}", expected["metadata"]))?;
                contains(object, expected).map_err(|problem| format!("status{problem}\n{object:#}"))?;
            }
        }
        if !case.expect["xds"].is_null() {
            let xds = document(folder, "xds")?;
            contains(&xds, &case.expect["xds"]).map_err(|problem| format!("xds{problem}\n{xds:#}"))?;
        }
        Ok(())
    });
}

#[test]
fn envoy_accepts_what_every_case_comes_to() {
    let envoy = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/envoy/envoy");
    assert!(envoy.exists(), "run `make envoy` first: {} is not there", envoy.display());
    for_each(|_, folder| {
        let xds = document(folder, "xds")?;
        for gateway in xds.as_object().ok_or("xds is no map")?.keys() {
            let config = translate(folder, &["--to", "envoy", "--gateway", gateway, "--show-secrets"])?;
            let file = folder.path().join("envoy.json");
            fs::write(&file, config).unwrap();
            let mut command = Command::new(&envoy);
            command.args(["--mode", "validate", "-l", "error", "-c"]).arg(&file);
            let output = command.output().unwrap();
            fs::remove_file(&file).unwrap();
            if !output.status.success() {
                return Err(format!("Envoy refuses {gateway}: {}", String::from_utf8_lossy(&output.stderr)));
            }
        }
        Ok(())
    });
}

fn find<'a>(list: &'a Value, wanted: &Value) -> Option<&'a Value> {
    let namespace = wanted["metadata"]["namespace"].as_str();
    list["items"].as_array()?.iter().find(|item| {
        let same = item["kind"] == wanted["kind"] && item["metadata"]["name"] == wanted["metadata"]["name"];
        same && namespace.is_none_or(|namespace| item["metadata"]["namespace"] == namespace)
    })
}

/// Where something that is expected is not there: a path and what is at its end.
fn contains(actual: &Value, expected: &Value) -> Result<(), String> {
    match expected {
        Value::Object(expected) if expected.keys().any(|key| key.starts_with('@')) => operator(actual, expected),
        Value::Object(expected) => {
            for (key, expected) in expected {
                let there = actual.get(key).unwrap_or(&Value::Null);
                contains(there, expected).map_err(|problem| format!(".{key}{problem}"))?;
            }
            Ok(())
        }
        Value::Array(expected) if expected.is_empty() => empty(actual),
        Value::Array(expected) => {
            match ["type", "name"].into_iter().find(|key| expected.iter().all(|e| e[*key].is_string())) {
                Some(key) => by_key(actual, expected, key),
                None => in_order(actual, expected),
            }
        }
        Value::String(text) if text.starts_with('~') => match actual.as_str() {
            Some(there) if there.contains(&text[1..]) => Ok(()),
            _ => Err(format!(": {:?} is not in {actual}", &text[1..])),
        },
        expected if actual == expected => Ok(()),
        expected => Err(format!(": expected {expected}, there is {actual}")),
    }
}

fn operator(actual: &Value, expected: &Map<String, Value>) -> Result<(), String> {
    let there = actual.as_array().map_or(&[][..], Vec::as_slice);
    for (key, expected) in expected {
        let parts = expected.as_array().map_or(&[][..], Vec::as_slice);
        let stands = |part: &Value| there.iter().any(|item| contains(item, part).is_ok());
        match key.as_str() {
            "@exactly" => in_order(actual, parts)?,
            "@any" => {
                if let Some(missing) = parts.iter().find(|part| !stands(part)) {
                    return Err(format!(": nothing like {missing} in {actual:#}"));
                }
            }
            "@none" => {
                if let Some(found) = parts.iter().find(|part| stands(part)) {
                    return Err(format!(": something like {found} in {actual:#}"));
                }
            }
            "@len" if Some(there.len() as u64) == expected.as_u64() => {}
            "@len" => return Err(format!(": {} elements, expected {expected}", there.len())),
            other => return Err(format!(": the case has an unknown operator {other}")),
        }
    }
    Ok(())
}

fn empty(actual: &Value) -> Result<(), String> {
    match actual {
        Value::Null => Ok(()),
        Value::Array(there) if there.is_empty() => Ok(()),
        _ => Err(format!(": expected nothing, there is {actual}")),
    }
}

fn by_key(actual: &Value, expected: &[Value], key: &str) -> Result<(), String> {
    let there = actual.as_array().map_or(&[][..], Vec::as_slice);
    for expected in expected {
        let name = &expected[key];
        let found =
            there.iter().find(|item| item[key] == *name).ok_or_else(|| format!("[{name}] is not in {actual:#}"))?;
        contains(found, expected).map_err(|problem| format!("[{name}]{problem}"))?;
    }
    Ok(())
}

fn in_order(actual: &Value, expected: &[Value]) -> Result<(), String> {
    let there = actual.as_array().map_or(&[][..], Vec::as_slice);
    if there.len() != expected.len() {
        return Err(format!(": {} elements, expected {}: {actual:#}", there.len(), expected.len()));
    }
    for (index, (there, expected)) in there.iter().zip(expected).enumerate() {
        contains(there, expected).map_err(|problem| format!("[{index}]{problem}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::contains;
    use serde_json::json;

    #[test]
    fn what_is_expected_has_to_be_contained() {
        let actual = json!({"a": [{"type": "X", "status": "True", "message": "not here"}, {"type": "Y"}], "b": [1, 2]});
        for good in [
            json!({}),
            json!({"a": [{"type": "Y"}, {"type": "X", "status": "True"}]}),
            json!({"a": [{"type": "X", "message": "~here"}], "c": null, "d": []}),
            json!({"b": [1, 2]}),
            json!({"b": {"@any": [2], "@none": [3], "@len": 2}}),
            json!({"a": {"@exactly": [{"type": "X"}, {"type": "Y"}]}}),
        ] {
            assert_eq!(contains(&actual, &good), Ok(()), "{good}");
        }
        for bad in [
            json!({"a": [{"type": "Z"}]}),
            json!({"a": [{"type": "X", "status": "False"}]}),
            json!({"a": [{"type": "X", "message": "~there"}]}),
            json!({"a": null}),
            json!({"a": []}),
            json!({"b": [1]}),
            json!({"b": [2, 1]}),
            json!({"b": {"@any": [3]}}),
            json!({"b": {"@none": [2]}}),
            json!({"b": {"@len": 3}}),
            json!({"b": {"@unknown": 3}}),
            json!({"a": {"@exactly": [{"type": "Y"}, {"type": "X"}]}}),
        ] {
            assert!(contains(&actual, &bad).is_err(), "{bad}");
        }
    }
}
