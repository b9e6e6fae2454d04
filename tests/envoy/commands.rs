//! The commands: what they print, what they exit with, what they say when something is wrong.

use crate::harness::manifests::{PUBLIC, base, class, file, gateway, http, http_route, prefix, service};
use crate::harness::{Argosy, Output, argosy, envoy, finish, run};
use ::argosy::cli::demo::{BackendPorts, DemoIdentity, TokenSigner, manifests};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const GATEWAYS: [&str; 2] = ["envoy-gateway-system/eg", "envoy-gateway-system/eg-internal"];

/// The samples in a folder, with a certificate.
struct Samples {
    folder: TempDir,
    identity: DemoIdentity,
}

impl Samples {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = DemoIdentity::generate(&["*.mydomain.tld"]).unwrap();
        let signer = TokenSigner::generate().unwrap();
        let ports = BackendPorts { backend: 3000, user_send: 8080, grpc_api: 9000, authorizer: 9002 };
        for (name, content) in manifests(ports, &identity, &signer) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        Self { folder, identity }
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn translate(&self, to: &str, more: &[&str]) -> Output {
        let mut arguments = vec!["translate", "-f", self.path(), "--to", to, "--ignore-unused"];
        arguments.extend(more);
        run(&arguments)
    }
}

fn yaml(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap_or_else(|error| panic!("no YAML: {error}\n{text}"))
}

/// Times differ from run to run.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("lastTransitionTime");
            object.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

fn in_a_folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn in_folder(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn translate_fills_in_status_in_yaml_and_json_alike() {
    let samples = Samples::write();
    let mut from_json = samples.translate("status", &["-o", "json"]).json();
    let mut from_yaml = yaml(&samples.translate("status", &["-o", "yaml"]).success());
    without_times(&mut from_json);
    without_times(&mut from_yaml);
    assert_eq!(from_json, from_yaml);
    assert_eq!(from_json["kind"], "List");
    let items = from_json["items"].as_array().unwrap();
    for kind in ["GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "SecurityPolicy", "EnvoyProxy"] {
        let item = items.iter().find(|item| item["kind"] == kind);
        let item = item.unwrap_or_else(|| panic!("{kind} is missing: {from_json:#}"));
        assert!(item["status"].is_object(), "{item:#}");
    }
    assert!(items.iter().all(|item| item["kind"] != "Service"), "only what carries status");
}

#[test]
fn translate_prints_xds_by_gateway_and_hides_private_keys() {
    let samples = Samples::write();
    let xds = samples.translate("xds", &["-o", "json"]).json();
    let names: Vec<&String> = xds.as_object().unwrap().keys().collect();
    assert_eq!(names, GATEWAYS);
    for gateway in GATEWAYS {
        for kind in ["listeners", "routes", "clusters", "endpoints", "secrets"] {
            assert!(xds[gateway][kind].is_object(), "{gateway} has no {kind}");
        }
    }
    assert!(xds[GATEWAYS[0]]["secrets"]["envoy-gateway-system/tls-certificate"].is_object(), "{xds:#}");
    let key = samples.identity.key.clone();
    let shows = |text: &str| {
        text.contains("PRIVATE KEY")
            || text.contains(&STANDARD.encode(&key))
            || text.contains(key.lines().nth(1).unwrap())
    };
    for output in ["json", "yaml"] {
        assert!(!shows(&samples.translate("xds", &["-o", output]).success()), "{output} shows a private key");
    }
    assert!(shows(&samples.translate("xds", &["-o", "json", "--show-secrets"]).success()));
    let one = samples.translate("xds", &["--gateway", GATEWAYS[1], "-o", "json"]).json();
    assert_eq!(one.as_object().unwrap().keys().collect::<Vec<_>>(), [GATEWAYS[1]]);
    assert_eq!(one[GATEWAYS[1]], xds[GATEWAYS[1]]);
}

#[test]
fn translating_twice_gives_the_same_bytes() {
    let samples = Samples::write();
    let first = samples.translate("xds", &["--show-secrets"]).success();
    assert_eq!(first, samples.translate("xds", &["--show-secrets"]).success());
}

fn validated(folder: &Path, config: &str, what: &str) {
    let file = folder.join("envoy.yaml");
    fs::write(&file, config).unwrap();
    let output = finish(Command::new(envoy()).args(["--mode", "validate", "-l", "error", "-c"]).arg(&file));
    assert_eq!(output.code, Some(0), "Envoy refuses {what}:\n{}{}\n{config}", output.stdout, output.stderr);
}

#[test]
fn envoy_accepts_the_static_configuration_of_every_sample() {
    let out = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/variants");
    let variants =
        [(None, ""), (Some("ext-auth-by-patch.yaml"), "08-ext-auth.yaml"), (Some("jwt-remote.yaml"), "07-jwt.yaml")];
    for (variant, replaced) in variants {
        let samples = Samples::write();
        if let Some(variant) = variant {
            fs::copy(root.join(variant), samples.folder.path().join(replaced)).unwrap();
        }
        for gateway in GATEWAYS {
            let config = samples.translate("envoy", &["--gateway", gateway]).success();
            validated(out.path(), &config, &format!("{gateway} with {variant:?}"));
        }
    }
}

#[test]
fn translate_to_envoy_needs_to_know_which_gateway() {
    let samples = Samples::write();
    let output = samples.translate("envoy", &[]);
    assert_ne!(output.code, Some(0), "there are two");
    for gateway in GATEWAYS {
        assert!(output.stderr.contains(gateway), "those there are: {}", output.stderr);
    }
    let output = samples.translate("envoy", &["--gateway", "envoy-gateway-system/nobody"]);
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("envoy-gateway-system/nobody"), "{}", output.stderr);
}

#[test]
fn an_object_that_is_dropped_is_an_error_unless_one_says_so() {
    let mut objects = base(1);
    objects.push(http_route("fine", "g", &[], &[prefix("/", "one")]));
    let fine = in_a_folder(&[("all.yaml", &file(&objects))]);
    run(&["translate", "--to", "status", "-f", &in_folder(&fine, "all.yaml")]).success();

    objects.push(http_route("lost", "no-such-gateway", &[], &[prefix("/", "one")]));
    objects.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": {}}));
    let lost = in_a_folder(&[("all.yaml", &file(&objects))]);
    let path = in_folder(&lost, "all.yaml");
    let output = run(&["translate", "--to", "status", "-f", &path]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for part in ["lost", "Deployment", "app", "all.yaml"] {
        assert!(output.stderr.contains(part), "{part} is missing: {}", output.stderr);
    }
    assert_eq!(yaml(&output.stdout)["kind"], "List", "what there is is printed all the same");
    run(&["translate", "-f", &path, "--ignore-unused"]).success();
}

#[test]
fn check_exits_with_what_it_found() {
    let mut objects = base(1);
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    let good = in_a_folder(&[("all.yaml", &file(&objects))]);
    let output = run(&["check", "-f", &in_folder(&good, "all.yaml")]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);

    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: r\n  namespace: elsewhere\n\
                 spec:\n  parentRefs:\n  - name: g\n    namespace: default\n  rules:\n  - backendRefs:\n    - name: one\n      port: 80\n";
    let closed = json!({"name": "web", "port": 80, "protocol": "HTTP"});
    let mut objects = vec![class("c", PUBLIC), gateway("g", "c", &[closed])];
    objects.extend(service("one", 1));
    let bad = in_a_folder(&[("gateway.yaml", &file(&objects)), ("route.yaml", route)]);
    let output = run(&["check", "-f", bad.path().to_str().unwrap()]);
    assert_eq!(output.code, Some(1), "{}{}", output.stdout, output.stderr);
    for part in ["ARG0104", "error", "HTTPRoute elsewhere/r", "route.yaml:1", "\"web\"", "All"] {
        assert!(output.stdout.contains(part), "{part} is missing: {}", output.stdout);
    }

    let output = run(&["check", "-f", &in_folder(&good, "not-there.yaml")]);
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("not-there.yaml"), "{}", output.stderr);
}

#[test]
fn config_print_shows_files_and_environment_in_their_order() {
    let folder = in_a_folder(&[(
        "argosy.yaml",
        "classes:\n  public:\n    controllerName: example.com/mine\n  other: {}\ninfra:\n  host:\n    addresses: 127.1.0.0/16\n",
    )]);
    let config = in_folder(&folder, "argosy.yaml");
    let shown = yaml(&run(&["config", "print", "--config", &config]).success());
    assert_eq!(shown["classes"]["public"]["controllerName"], "example.com/mine");
    assert_eq!(shown["classes"]["other"]["controllerName"], "argosy.dev/other", "the default");
    assert_eq!(shown["infra"]["host"]["addresses"], "127.1.0.0/16");
    let mut command = argosy();
    command.args(["config", "print", "--config", &config]).env("ARGOSY_INFRA__HOST__ADDRESSES", "127.2.0.0/16");
    let shown = yaml(&finish(&mut command).success());
    assert_eq!(shown["infra"]["host"]["addresses"], "127.2.0.0/16", "the environment is stronger than the file");
}

#[test]
fn an_error_in_the_settings_names_file_key_and_line() {
    for (content, parts) in [
        ("classes:\n  public: {}\nxds:\n  adress: 127.0.0.1:1\n", vec!["argosy.yaml", "adress", "4"]),
        ("infra:\n  host:\n    keepProxies: perhaps\n", vec!["argosy.yaml", "keepProxies", "3"]),
        ("classes:\n  public:\n    controllerNam: x/y\n", vec!["argosy.yaml", "controllerNam", "3"]),
        (
            "classes:\n  a: {controllerName: example.com/x}\n  b: {controllerName: example.com/x}\n",
            vec!["example.com/x", "a", "b"],
        ),
        ("classes: [not closed\n", vec!["argosy.yaml"]),
    ] {
        let folder = in_a_folder(&[("argosy.yaml", content)]);
        for command in [&["config", "print"][..], &["serve", "--infra", "none"][..]] {
            let config = in_folder(&folder, "argosy.yaml");
            let state = in_folder(&folder, "state");
            let mut all = argosy();
            all.args(command).args(["--config", &config]);
            if command[0] == "serve" {
                all.args(["--state-dir", &state]);
            }
            let output = finish(&mut all);
            assert_ne!(output.code, Some(0), "{content}");
            for part in &parts {
                assert!(output.stderr.contains(part), "{part} is missing for {content:?}: {}", output.stderr);
            }
        }
    }
    let mut command = argosy();
    let output = finish(command.args(["config", "print"]).env("ARGOSY_XDS__NO_SUCH_KEY", "1"));
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.to_lowercase().contains("no_such_key"), "{}", output.stderr);
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let help = run(&["--help"]).success();
    for command in ["serve", "translate", "check", "status", "proxies", "cert", "config", "demo", "version"] {
        assert!(help.contains(command), "{command} is missing: {help}");
        let own = run(&[command, "-h"]).success();
        assert!(own.contains("Example") && own.contains(&format!("argosy {command}")), "{command}: {own}");
    }
    assert!(run(&["version"]).success().contains(env!("CARGO_PKG_VERSION")));
    let unknown = run(&["serv"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("serve"), "what was meant: {}", unknown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_proxies_show_a_running_process() {
    let mut running = Argosy::prepare();
    let one = running.backends.echo("one").await;
    let mut objects = base(one);
    objects.push(http_route("r", "g", &[], &[prefix("/", "one")]));
    let bad = json!({"matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "missing", "port": 80}]});
    objects.push(http_route("bad", "g", &["bad"], &[bad]));
    running.write("base.yaml", file(&objects));
    let run_json = running.start().await;
    let proxy = running.proxy("default/g").await;
    running.condition(["HTTPRoute", "default", "bad"], "ResolvedRefs=False/BackendNotFound").await;
    let admin = format!("http://{}", run_json.admin);

    let listed = run(&["proxies", "-o", "json", "--admin", &admin]).json();
    let entry = &listed[0];
    assert_eq!((&entry["gateway"], &entry["class"]), (&json!("default/g"), &json!("public")));
    assert_eq!(entry["pid"], proxy.pid());
    assert!(entry["ports"]["8080"].is_u64() && entry["lastNack"].is_null(), "{entry:#}");
    for key in ["node", "address", "admin", "state", "wanted", "acked"] {
        assert!(entry[key].is_string(), "{key}: {entry:#}");
    }
    let table = run(&["proxies", "--admin", &admin]).success();
    assert!(table.contains("default/g") && table.contains(&proxy.pid().to_string()), "{table}");

    let mut from_command = run(&["status", "-o", "json", "--admin", &admin]).json();
    let manifests = running.path("manifests").display().to_string();
    // The broken reference makes it exit with 1; what there is is printed all the same.
    let offline = run(&["translate", "--to", "status", "-f", &manifests, "-o", "json"]);
    assert_eq!(offline.code, Some(1), "{}", offline.stderr);
    let mut offline: Value = serde_json::from_str(&offline.stdout).unwrap();
    assert_eq!(from_command["kind"], "List");
    for list in [&mut from_command, &mut offline] {
        without_times(list);
        // What only a running fleet can say.
        for item in list["items"].as_array_mut().unwrap() {
            item["status"].as_object_mut().map(|status| status.remove("addresses"));
        }
    }
    let route = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["metadata"]["name"] == "bad").unwrap()["status"].clone()
    };
    assert_eq!(route(&from_command), route(&offline), "the same code on and off line");
    let table = run(&["status", "--admin", &admin]).success();
    assert!(table.contains("bad") && table.contains("default"), "{table}");

    running.write("broken.yaml", "apiVersion: v1\nkind: [");
    let shown = async || {
        let table = run(&["status", "--admin", &admin]).success();
        if table.contains("ARG0002") && table.contains("broken.yaml:3") { Ok(()) } else { Err(table) }
    };
    running.wait("status shows the file that cannot be read", shown).await;
    assert!(running.log().contains("broken.yaml:3"), "the log says so too: {}", running.log());
}

#[test]
fn a_process_that_cannot_be_reached_is_one_clear_sentence() {
    // Free a moment ago; nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in ["status", "proxies"] {
        let output = run(&[command, "--admin", &format!("http://{address}")]);
        assert!(matches!(output.code, Some(1 | 2)), "{}", output.stderr);
        assert!(output.stderr.contains(&address.to_string()), "{}", output.stderr);
        assert!(output.stderr.contains("argosy serve"), "what to do: {}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_envoy_is_one_sentence_with_the_command_that_gets_it() {
    let folder = in_a_folder(&[]);
    let manifests = in_a_folder(&[("all.yaml", &file(&base(1)))]);
    let missing = PathBuf::from(in_folder(&folder, "no-envoy"));
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let any = "127.0.0.1:0";
    let mut child = argosy()
        .args(["serve", "--files", manifests.path().to_str().unwrap(), "--state-dir", &in_folder(&folder, "state")])
        .arg("--envoy")
        .arg(&missing)
        .args(["--xds-addr", any, "--admin-addr", any, "--metrics-addr", any, "--health-addr", any])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let probe = Argosy::prepare();
    let text = probe
        .wait("the log has the sentence", async || {
            let text = fs::read_to_string(folder.path().join("log")).unwrap();
            let there = text.lines().any(|line| line.contains("no-envoy") && line.contains("make envoy"));
            if there { Ok(text) } else { Err(text) }
        })
        .await;
    let _ = child.kill();
    child.wait().unwrap();
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_gateway_with_two_listeners_on_one_port_is_valid_for_envoy_too() {
    let out = tempfile::tempdir().unwrap();
    let mut narrow = http("narrow", 8080);
    narrow["hostname"] = json!("a.example.com");
    let mut objects = base(1);
    objects.retain(|object| object["kind"] != "Gateway");
    objects.push(gateway("g", "c", &[http("wide", 8080), narrow]));
    objects.push(http_route("r", "g", &["a.example.com", "*.example.com"], &[prefix("/", "one")]));
    let folder = in_a_folder(&[("all.yaml", &file(&objects))]);
    let path = in_folder(&folder, "all.yaml");
    let config = run(&["translate", "-f", &path, "--to", "envoy", "-o", "json"]).success();
    validated(out.path(), &config, "two listeners on one port");
}
