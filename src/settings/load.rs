//! Reads settings from everywhere.

use super::environment::{self, ANY};
use super::error::{Problem, SettingsError};
use super::file::File;
use super::layers::Layer;
use super::values::{SYSTEM_STATE, Settings};
use figment::Figment;
use figment::providers::Serialized;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads settings: the defaults, over them the file if there is one, over that the environment (variables that begin
/// with `ARGOSY_`, the others are passed over), and over all the flags, nested under the keys that they set, with `null`
/// for those that were not given. Says all that is wrong in any of them, also in what a later one hides.
///
/// Maps are joined key by key, lists and all else replaced. Only `classes` has no default under it: who names classes
/// gets those and no other.
pub fn load(
    config: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: Json,
) -> Result<Settings, SettingsError> {
    let env: BTreeMap<String, String> = env.collect();
    let state = state_dir(&env, rustix::process::geteuid().is_root());
    let defaults = defaults(&state);
    let mut problems = Vec::new();
    let mut layers = Vec::new();
    if let Some(path) = config {
        keep(File::read(path).and_then(Layer::file), &mut layers, &mut problems);
    }
    let (variables, wrong) = environment::read(env.into_iter(), &defaults);
    problems.extend(wrong);
    layers.extend(variables.into_iter().map(Layer::variable));
    keep(Layer::flags(&flags), &mut layers, &mut problems);
    for layer in &mut layers {
        problems.extend(layer.problems(&defaults));
    }
    let lowest = Figment::from(Serialized::default("stateDir", state));
    match layers.into_iter().fold(lowest, Figment::merge).extract::<Settings>() {
        Ok(settings) if problems.is_empty() => Ok(settings.complete()),
        Ok(_) => Err(SettingsError { problems }),
        Err(error) => {
            let key = error.path.join(".");
            problems.push(Problem { source: "settings".to_owned(), key, message: error.kind.to_string() });
            Err(SettingsError { problems })
        }
    }
}

fn keep(layer: Result<Layer, Problem>, layers: &mut Vec<Layer>, problems: &mut Vec<Problem>) {
    match layer {
        Ok(layer) => layers.push(layer),
        Err(problem) => problems.push(problem),
    }
}

/// All keys with their defaults, and any class standing for all.
fn defaults(state: &Path) -> Json {
    let settings = Settings { state_dir: state.to_owned(), ..Settings::default() };
    let mut keys = serde_json::to_value(settings).unwrap_or_default();
    if let Some(classes) = keys.get_mut("classes") {
        *classes = json!({ ANY: crate::tenant::ClassSettings::default() });
    }
    keys
}

/// The state folder of a user by the XDG base directory specification, and of root by the Linux file hierarchy.
fn state_dir(env: &BTreeMap<String, String>, root: bool) -> PathBuf {
    let folder = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match (folder("XDG_STATE_HOME"), folder("HOME")) {
        (Some(state), _) => state.join("argosy"),
        (None, Some(home)) if !root => home.join(".local/state/argosy"),
        _ => PathBuf::from(SYSTEM_STATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::InfraKind;
    use crate::telemetry::LogFormat;

    fn load_from(file: &str, env: &[(&str, &str)], flags: Json) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("argosy.yaml");
        std::fs::write(&path, file).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some(&path), env, flags).map_err(|mut error| {
            // The folder's name is another one each time.
            let here = format!("{}/", folder.path().display());
            error.problems.iter_mut().for_each(|problem| problem.source = problem.source.replace(&here, ""));
            error
        })
    }

    fn problems(file: &str, env: &[(&str, &str)], flags: Json) -> Vec<String> {
        load_from(file, env, flags).unwrap_err().problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_defaults() {
        let file = "xds: {maxStreams: 1, newStreamsPerSecond: 1, certificateHours: 1}\n";
        let env = [("ARGOSY_XDS__NEW_STREAMS_PER_SECOND", "2"), ("ARGOSY_XDS__CERTIFICATE_HOURS", "2"), ("HOME", "/x")];
        let flags = json!({"xds": {"certificateHours": 3, "address": null}});
        let xds = load_from(file, &env, flags).unwrap().xds;
        assert_eq!((xds.max_streams, xds.new_streams_per_second, xds.certificate_hours), (1, 2, 3));
        assert_eq!(xds.address, crate::xds::Settings::default().address);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_was_meant() {
        let file = "files:\n  folders: [a]\nxds:\n  # a comment\n  address: 127.0.0.1:1\n\n  maxStream: 5\n";
        assert_eq!(
            problems(file, &[], json!({})),
            ["argosy.yaml:7: xds.maxStream: unknown key; did you mean maxStreams?"]
        );
        let said = problems("infra: {type: 0}\n", &[], json!({}));
        assert_eq!(said, ["argosy.yaml:1: infra.type: expected text, found the number 0; the default is host"]);
        let said = problems("colour: red\n", &[], json!({}));
        assert!(said[0].starts_with("argosy.yaml:1: colour: unknown key; there are classes, files, xds"), "{said:?}");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line_and_what_is_expected() {
        let file = "infra:\n  type: hots\n  host:\n    keepProxies: 1\n    addresses: 127.0.0.0/64\nxds:\n  maxStreams: many\n  \
                    certificateHours: -1\n  address: localhost:1\nfiles: [a]\n";
        assert_eq!(
            problems(file, &[], json!({})),
            [
                "argosy.yaml:10: files: expected a map of keys, found a list",
                "argosy.yaml:5: infra.host.addresses: \"127.0.0.0/64\" cannot be used: invalid IP address syntax; \
                 the default is 127.0.0.0/8",
                "argosy.yaml:4: infra.host.keepProxies: expected true or false, found the number 1; the default is false",
                "argosy.yaml:2: infra.type: \"hots\" is none of host, none; did you mean host?",
                "argosy.yaml:9: xds.address: \"localhost:1\" cannot be used: invalid socket address syntax; \
                 the default is 127.0.0.1:18000",
                "argosy.yaml:8: xds.certificateHours: expected a whole number from 0 to 4294967295, found the number -1; \
                 the default is 24",
                "argosy.yaml:7: xds.maxStreams: expected a whole number from 0 to 18446744073709551615, found the text \
                 \"many\"; the default is 10000",
            ]
        );
    }

    #[test]
    fn what_a_later_source_hides_is_still_wrong() {
        let said = problems("xds: {maxStreams: many}\n", &[("ARGOSY_XDS__MAX_STREAMS", "1")], json!({}));
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("argosy.yaml:1: xds.maxStreams: expected a whole number"), "{said:?}");
    }

    #[test]
    fn each_source_is_called_by_its_name() {
        let env = [("ARGOSY_XDS__MAX_STREAMS", "many"), ("ARGOSY_XDS__MAX_STREAM", "1"), ("ARGOSY_FOO", "x")];
        let flags = json!({"xds": {"address": "here"}, "files": {"folders": [5]}});
        let said = problems("classes:\n  a: {controler: x}\n", &env, flags);
        let begins = [
            "environment variable ARGOSY_FOO: names no setting; ",
            "environment variable ARGOSY_XDS__MAX_STREAM: names no setting; did you mean ARGOSY_XDS__MAX_STREAMS?",
            "argosy.yaml:2: classes.a.controler: unknown key; did you mean controllerName?",
            "environment variable ARGOSY_XDS__MAX_STREAMS: xds.maxStreams: expected a whole number",
            "flag --files: files.folders.0: expected a path, found the number 5",
            "flag --xds-addr: xds.address: \"here\" cannot be used: ",
        ];
        assert_eq!(said.len(), begins.len(), "{said:#?}");
        for (said, begin) in said.iter().zip(begins) {
            assert!(said.starts_with(begin), "{said}\ndoes not begin with\n{begin}");
        }
    }

    #[test]
    fn the_environment_reaches_every_kind_of_key() {
        let env = [
            ("ARGOSY_INFRA__TYPE", "none"),
            ("ARGOSY_INFRA__HOST__ADDRESSES", "127.1.0.0/16"),
            ("ARGOSY_INFRA__HOST__ENVOY", "/opt/envoy"),
            ("ARGOSY_INFRA__HOST__KEEP_PROXIES", "true"),
            ("ARGOSY_FILES__FOLDERS", "/a, /b"),
            ("ARGOSY_FILES__POLL_SECONDS", "3"),
            ("ARGOSY_STATE_DIR", "/state"),
            ("ARGOSY_XDS__MAXSTREAMS", "7"),
            ("ARGOSY_XDS__TRUST_DOMAIN", "123"),
            ("ARGOSY_CLASSES__PUBLIC__CONTROLLER_NAME", "a.b/public"),
            ("ARGOSY_CLASSES__TEAM_A__CONTROLLER_NAME", "a.b/team"),
            ("ARGOSY_LOG", "debug"),
            ("ARGOSY_LOG__FORMAT", "json"),
            ("ARGOSY_HEALTH__ADDRESS", ""),
            ("ARGOSY_PORT_18000_TCP", "tcp://127.0.0.1:18000"),
            ("PATH", "/bin"),
        ];
        let settings = load_from("", &env, json!(null)).unwrap();
        assert_eq!(settings.infra.kind, InfraKind::None);
        assert_eq!(settings.infra.host.addresses.to_string(), "127.1.0.0/16");
        assert_eq!(settings.infra.host.envoy, Some(PathBuf::from("/opt/envoy")));
        assert!(settings.infra.host.keep_proxies);
        assert_eq!(settings.files.folders, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((settings.files.poll_seconds, settings.xds.max_streams), (3, 7));
        assert_eq!((settings.state_dir, settings.xds.trust_domain.as_str()), (PathBuf::from("/state"), "123"));
        assert_eq!(settings.classes.keys().collect::<Vec<_>>(), ["public", "team-a"]);
        assert_eq!(settings.classes["team-a"].controller_name.as_deref(), Some("a.b/team"));
        assert_eq!((settings.log.level.as_str(), settings.log.format), ("debug", LogFormat::Json));
        assert_eq!(settings.health, crate::admin::HealthSettings::default());
    }

    #[test]
    fn the_longer_name_of_the_log_level_counts() {
        let env = [("ARGOSY_LOG__LEVEL", "warn"), ("ARGOSY_LOG", "debug")];
        assert_eq!(load_from("", &env, json!({})).unwrap().log.level, "warn");
    }

    #[test]
    fn classes_that_are_named_replace_the_default_and_their_names_are_completed() {
        let name = |settings: &Settings, class: &str| settings.classes[class].controller_name.clone().unwrap();
        let settings = load_from("classes:\n", &[], json!({})).unwrap();
        assert_eq!(name(&settings, "default"), "gateway.envoyproxy.io/gatewayclass-controller");
        let settings = load_from("classes:\n  internal:\n  public: {controllerName: a.b/c}\n", &[], json!({})).unwrap();
        assert_eq!(settings.classes.len(), 2);
        assert_eq!(name(&settings, "internal"), "argosy.dev/internal");
        assert_eq!(name(&settings, "public"), "a.b/c");
        assert_eq!(load_from("classes: {}\n", &[], json!({})).unwrap().classes.len(), 0, "check() refuses it");
    }

    #[test]
    fn keys_without_a_value_say_nothing() {
        let settings =
            load_from("xds:\n  # maxStreams: 1\ninfra:\n  host:\n    envoy:\nlog: ~\n", &[], json!({})).unwrap();
        let plain = load_from("", &[], json!({})).unwrap();
        assert_eq!(settings, plain);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_said_with_its_place() {
        let said = problems("xds:\n  address: \"x\n", &[], json!({}));
        assert!(said[0].starts_with("argosy.yaml:3:1: not readable as YAML: "), "{said:?}");
        let said = problems("xds: {}\nxds: {}\n", &[], json!({}));
        assert!(said[0].starts_with("argosy.yaml:") && said[0].contains("duplicate entry"), "{said:?}");
        let said = problems("- a\n", &[], json!({}));
        assert_eq!(said, ["argosy.yaml:1: the file is no map of keys"]);
        let missing = load(Some(Path::new("/nowhere/argosy.yaml")), std::iter::empty(), json!({})).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/argosy.yaml: cannot be read: "), "{missing}");
    }

    #[test]
    fn what_is_shown_is_read_back_the_same() {
        let file = "classes: {b: {}, a: {controllerName: x.y/z}}\nfiles: {folders: [m, n]}\nstatus: {dir: s}\nlog: {format: json}\n";
        let settings = load_from(file, &[("XDG_STATE_HOME", "/s")], json!({})).unwrap();
        let shown = settings.to_yaml();
        assert_eq!(load_from(&shown, &[], json!({})).unwrap(), settings, "{shown}");
        assert_eq!(load_from(&shown, &[], json!({})).unwrap().to_yaml(), shown);
        let tops: Vec<&str> = shown.lines().filter(|line| !line.starts_with([' ', '-'])).collect();
        assert_eq!(
            tops,
            [
                "classes:",
                "files:",
                "xds:",
                "infra:",
                "admin:",
                "metrics:",
                "health:",
                "stateDir: /s/argosy",
                "status:",
                "log:",
                "shutdown:"
            ]
        );
    }

    #[test]
    fn the_state_folder_is_the_users() {
        let env = |entries: &[(&str, &str)]| entries.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let both = env(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]);
        assert_eq!(state_dir(&both, false), Path::new("/s/argosy"));
        assert_eq!(state_dir(&both, true), Path::new("/s/argosy"));
        let home = env(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")]);
        assert_eq!(state_dir(&home, false), Path::new("/h/.local/state/argosy"));
        assert_eq!(state_dir(&home, true), Path::new("/var/lib/argosy"));
        assert_eq!(state_dir(&env(&[]), false), Path::new("/var/lib/argosy"));
    }

    #[test]
    fn the_commented_file_says_every_key_and_nothing_but_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/argosy.yaml");
        let settings = load(Some(&path), std::iter::empty(), json!({})).unwrap();
        assert_eq!(settings, Settings::default().complete());
        assert_eq!(settings.check(), Vec::<String>::new());
        let text = std::fs::read_to_string(path).unwrap();
        fn keys(at: &Json, found: &mut Vec<String>) {
            for (key, below) in at.as_object().into_iter().flatten() {
                found.push(key.clone());
                keys(below, found);
            }
        }
        let mut all = Vec::new();
        keys(&defaults(Path::new("/")), &mut all);
        assert!(all.len() > 30, "{all:?}");
        for key in all.iter().filter(|key| *key != ANY) {
            let there = text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key}:")));
            assert!(there, "config/argosy.yaml does not show {key}");
        }
    }
}
