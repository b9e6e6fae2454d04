//! The rules of the house that a compiler does not know: who may import whom, what a room looks like, how large a file
//! may be, and that what a user can set is written down.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use syn::visit::{self, Visit};

/// Room, its level, and what it may import. `settings` is meant for the `Settings` types of other rooms.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("api", &[]),
    ("runtime", &[]),
    ("telemetry", &[]),
    ("tenant", &["api", "model"]),
    ("snapshot", &["model", "runtime", "telemetry"]),
    ("certificates", &["model", "runtime", "telemetry"]),
    ("envoy", &["model"]),
    ("store", &["api", "model", "tenant"]),
    ("xds", &["model", "snapshot", "certificates", "tenant", "runtime", "telemetry"]),
    ("infra", &["api", "model", "envoy", "certificates", "runtime", "telemetry"]),
    ("status", &["api", "model", "store", "runtime", "telemetry"]),
    ("provider", &["api", "model", "store", "tenant", "runtime", "telemetry"]),
    ("translate", &["api", "model", "store", "tenant"]),
    ("pipeline", &["store", "translate", "model", "envoy", "snapshot", "infra", "status", "runtime", "telemetry"]),
    ("admin", &["store", "model", "snapshot", "xds", "infra", "pipeline", "status", "runtime", "telemetry"]),
    ("simulator", &["api", "runtime", "telemetry"]),
];

/// Rooms that may import everything below them.
const TOP: &[&str] = &["app", "cli"];

/// Rooms and files without async, clock, randomness, I/O.
const PURE: &[&str] = &["src/model/", "src/translate/", "src/envoy/", "src/infra/plan", "src/xds/stream"];

/// What pure code may not name.
const IMPURE: &[&[&str]] = &[
    &["tokio"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["ring", "rand"],
    &["jiff", "Timestamp", "now"],
];

/// The most lines of a file, tests not counted.
const LINES: usize = 600;

/// Files that are longer, and how long: a number here may only shrink, and a file that got short leaves the list.
const LONGER: &[(&str, usize)] = &[];

/// `mod.rs` files that hold more than `mod` lines and re-exports, each with its reason.
const WITH_LOGIC: &[(&str, &str)] = &[("src/cli/mod.rs", "the door that main.rs calls")];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder of the project whose names end so, as paths from the root, sorted.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, endings: &[&str], found: &mut Vec<String>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(root, &path, endings, found);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root().join(folder), endings, &mut found);
    found.sort();
    found
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test"))
    })
}

/// One module in a file of its own.
struct Module {
    /// From the root of the project.
    file: String,
    /// From the root of the crate.
    path: Vec<String>,
    syntax: syn::File,
    test: bool,
}

/// Every module that `lib.rs` reaches, and the binary.
fn modules() -> Vec<Module> {
    let mut found = Vec::new();
    let mut waiting =
        vec![("src/lib.rs".to_owned(), Vec::new(), false), ("src/main.rs".to_owned(), vec!["main".to_owned()], false)];
    while let Some((file, path, test)) = waiting.pop() {
        let syntax = syn::parse_file(&read(&root().join(&file))).unwrap_or_else(|error| panic!("{file}: {error}"));
        let here = Path::new(&file);
        let owns_folder = ["mod.rs", "lib.rs", "main.rs"].contains(&here.file_name().unwrap().to_str().unwrap());
        let folder = if owns_folder { here.parent().unwrap().to_owned() } else { here.with_extension("") };
        for item in &syntax.items {
            let syn::Item::Mod(module) = item else { continue };
            if module.content.is_some() {
                continue;
            }
            let name = module.ident.to_string();
            let candidates = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            let next = candidates.iter().find(|candidate| root().join(candidate).exists());
            let next = next.unwrap_or_else(|| panic!("{file}: no file for mod {name}"));
            let mut below = path.clone();
            below.push(name);
            waiting.push((next.to_string_lossy().into_owned(), below, test || test_only(&module.attrs)));
        }
        found.push(Module { file, path, syntax, test });
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

/// Collects every path of a module outside tests, made absolute: `crate::…` and `super::…` become paths from the root of
/// the crate with a leading `crate`, others stay as they are.
#[derive(Default)]
struct Paths {
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
    is_async: bool,
}

impl Paths {
    fn add(&mut self, segments: Vec<String>) {
        let mut base = vec!["crate".to_owned()];
        base.extend(self.module.iter().cloned());
        let mut rest = segments.as_slice();
        let mut relative = false;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => base.truncate(1),
                "self" if !relative => {}
                "super" => {
                    base.pop();
                }
                _ => break,
            }
            relative = true;
            rest = others;
        }
        let absolute = if relative { [base.as_slice(), rest].concat() } else { segments };
        self.found.insert(absolute);
    }

    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(prefix.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !test_only(&item.attrs) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !test_only(&item.attrs) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !test_only(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.is_async |= signature.asyncness.is_some();
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.is_async = true;
        visit::visit_expr_async(self, block);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// The inside of a macro is only tokens; paths that start with `crate` are found all the same.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let tokens = call.tokens.to_string();
        for (_, after) in tokens.split("crate ::").enumerate().skip(1) {
            let name: String = after.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            self.add(vec!["crate".to_owned(), name]);
        }
        visit::visit_macro(self, call);
    }
}

fn paths(module: &Module) -> Paths {
    let mut paths = Paths { module: module.path.clone(), ..Paths::default() };
    paths.visit_file(&module.syntax);
    paths
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let modules = modules();
    let rooms: BTreeSet<&str> = modules
        .iter()
        .filter_map(|module| module.path.first())
        .map(String::as_str)
        .filter(|room| *room != "main")
        .collect();
    let mut problems = Vec::new();
    for room in &rooms {
        if !table.contains_key(room) && !TOP.contains(room) && *room != "settings" {
            problems.push(format!("the room {room} is missing in the table of tests/tidy.rs and of ARCHITECTURE.md"));
        }
    }
    for module in modules.iter().filter(|module| !module.test) {
        let Some(room) = module.path.first().map(String::as_str) else { continue };
        for path in paths(module).found.iter().filter(|path| path.len() > 1 && path[0] == "crate") {
            let target = path[1].as_str();
            let below = !TOP.contains(&target) && target != "settings" && target != "simulator";
            let allowed = target == room
                || !rooms.contains(target)
                || TOP.contains(&room) && target != "cli"
                || room == "settings" && below
                || table.get(room).is_some_and(|allowed| allowed.contains(&target));
            if !allowed {
                problems.push(format!("{}: the room {room} may not import {}", module.file, path.join("::")));
            }
        }
    }
    report(&problems);
}

#[test]
fn architecture_shows_the_table() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let missing = |(room, allowed): &&(&str, &[&str])| {
        let cell = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
        !text.contains(&format!("| `{room}` | {cell} |"))
    };
    let problems: Vec<String> = TABLE
        .iter()
        .filter(missing)
        .map(|(room, allowed)| format!("ARCHITECTURE.md lacks the row: | `{room}` | {} |", allowed.join(", ")))
        .collect();
    report(&problems);
}

#[test]
fn pure_rooms_are_pure() {
    let mut problems = Vec::new();
    for module in
        modules().iter().filter(|module| !module.test && PURE.iter().any(|pure| module.file.starts_with(pure)))
    {
        let paths = paths(module);
        if paths.is_async {
            problems.push(format!("{}: async in pure code", module.file));
        }
        for path in &paths.found {
            let names =
                |impure: &&&[&str]| path.len() >= impure.len() && path.iter().zip(**impure).all(|(a, b)| a == b);
            if IMPURE.iter().any(|impure| names(&impure)) {
                problems.push(format!("{}: {} in pure code", module.file, path.join("::")));
            }
        }
    }
    report(&problems);
}

#[test]
fn a_mod_file_says_what_goes_in_and_out_and_never() {
    let mut problems = Vec::new();
    for module in modules().iter().filter(|module| module.file.ends_with("/mod.rs") && !module.test) {
        let text = read(&root().join(&module.file));
        let mut lines = text.lines().filter(|line| line.starts_with("//! ") && !line.starts_with("//!  "));
        let room = module.path.len() == 1;
        if room
            && !["//! In: ", "//! Out: ", "//! Never: "]
                .iter()
                .all(|opening| lines.any(|line| line.starts_with(opening)))
        {
            problems.push(format!("{}: opens with three lines `//! In:`, `//! Out:`, `//! Never:`", module.file));
        }
        if !text.starts_with("//! ") {
            problems.push(format!("{}: says what it is in `//!` lines", module.file));
        }
        let plain = |item: &syn::Item| matches!(item, syn::Item::Mod(_) | syn::Item::Use(_));
        if !module.syntax.items.iter().all(plain) && !WITH_LOGIC.iter().any(|(file, _)| *file == module.file) {
            problems.push(format!("{}: only `mod` lines and re-exports", module.file));
        }
    }
    report(&problems);
}

#[test]
fn every_file_is_reached_from_lib_or_main() {
    let reached: BTreeSet<String> = modules().into_iter().map(|module| module.file).collect();
    let dead: Vec<String> = files("src", &[".rs"])
        .into_iter()
        .filter(|file| !reached.contains(file))
        .map(|file| format!("{file}: no mod line leads to it"))
        .collect();
    report(&dead);
}

#[test]
fn files_are_short() {
    let longer: BTreeMap<&str, usize> = LONGER.iter().copied().collect();
    let mut problems = Vec::new();
    for module in modules().iter().filter(|module| !module.test) {
        let text = read(&root().join(&module.file));
        let lines = text.lines().position(|line| line == "#[cfg(test)]").unwrap_or_else(|| text.lines().count());
        match longer.get(module.file.as_str()) {
            Some(most) if lines > *most => problems.push(format!("{}: {lines} lines, {most} agreed", module.file)),
            Some(_) if lines <= LINES => problems.push(format!("{}: short enough, take it off the list", module.file)),
            Some(most) if lines < *most => {
                problems.push(format!("{}: only {lines} lines now, lower {most}", module.file))
            }
            None if lines > LINES => problems.push(format!("{}: {lines} lines, {LINES} at most", module.file)),
            _ => {}
        }
    }
    report(&problems);
}

#[test]
fn functions_are_short_by_clippy() {
    let lints = read(&root().join("clippy.toml"));
    assert!(lints.contains("too-many-lines-threshold = 70"));
    assert!(read(&root().join("Cargo.toml")).contains("too_many_lines = \"warn\""));
}

#[test]
fn nothing_is_left_for_later_and_nothing_names_a_machine() {
    // Put together here, so that this file does not find itself.
    let later =
        ["TO", "FIX", "un", "to"].into_iter().zip(["DO", "ME", "implemented!", "do!"]).map(|(a, b)| format!("{a}{b}"));
    let machine = ["/wo", "/ro", "/ho"].into_iter().zip(["rk/", "ot/", "me/"]).map(|(a, b)| format!("{a}{b}"));
    let registry = ["crates", "pypi", "docker", "ghcr", "quay"].into_iter().zip([".io", ".org", ".io", ".io", ".io"]);
    let registry = registry.map(|(a, b)| format!("{a}{b}"));
    let words: Vec<String> = later.chain(machine).chain(registry).collect();
    let mut texts: Vec<String> = ["src", "tests", "benches", "hack", "config", "fuzz/fuzz_targets", ".ci", "docs"]
        .iter()
        .flat_map(|folder| files(folder, &[".rs", ".sh", ".yaml", ".md", ".txt", ".toml", "/run"]))
        .collect();
    texts.extend(["Makefile", "Cargo.toml"].map(str::to_owned));
    texts.extend(top_level_pages());
    let mut problems = Vec::new();
    for file in texts {
        for (number, line) in read(&root().join(&file)).lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(*word)) {
                problems.push(format!("{file}:{}: {word}", number + 1));
            }
        }
    }
    report(&problems);
}

fn top_level_pages() -> Vec<String> {
    let names = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
    pages.sort();
    pages
}

/// All that is written for users, as one text.
fn documentation() -> String {
    let mut pages = vec!["README.md".to_owned()];
    pages.extend(files("docs", &[".md"]));
    pages.into_iter().map(|page| read(&root().join(page))).collect::<Vec<_>>().join("\n")
}

fn argosy(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_argosy")).args(arguments).output().unwrap();
    assert!(output.status.success(), "argosy {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names in the list of commands of a help text.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1);
    let list = list.take_while(|line| line.starts_with("  "));
    let named = list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    named.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The long flags that a help text explains, not those that it merely mentions.
fn flags(help: &str) -> BTreeSet<String> {
    let explains = |line: &&str| line.trim_start().starts_with('-');
    let words = help.lines().filter(explains).flat_map(|line| line.split_whitespace().take(2));
    let long = words.filter(|word| word.starts_with("--"));
    long.map(|word| word.split(['=', '[', ',']).next().unwrap_or(word).trim_end_matches("...").to_owned()).collect()
}

#[test]
fn every_command_and_flag_is_documented() {
    let pages = documentation();
    let mut problems = Vec::new();
    let mut waiting = vec![Vec::<String>::new()];
    let mut seen = 0;
    while let Some(command) = waiting.pop() {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = argosy(&arguments);
        let name = format!("argosy {}", command.join(" "));
        seen += 1;
        if !pages.contains(name.trim()) {
            problems.push(format!("`{name}` is in no page"));
        }
        for flag in flags(&help).iter().filter(|flag| *flag != "--help" && *flag != "--version") {
            if !pages.contains(flag.as_str()) {
                problems.push(format!("{flag} of `{name}` is in no page"));
            }
        }
        waiting.extend(commands(&help).into_iter().map(|below| [command.as_slice(), &[below]].concat()));
    }
    assert!(seen > 8, "only {seen} commands found: is the help text read rightly?");
    report(&problems);
}

#[test]
fn every_setting_is_in_the_commented_file() {
    let settings: serde_json::Value = yaml_serde::from_str(&argosy(&["config", "print"])).unwrap();
    let file = fs::read_to_string(root().join("config/argosy.yaml")).unwrap_or_default();
    let pages = documentation();
    let mut keys = BTreeSet::new();
    collect(&settings, &mut keys);
    assert!(keys.len() > 8, "only {keys:?} found");
    let missing = keys.iter().filter(|key| !file.contains(&format!("{key}:")) && !pages.contains(&format!("{key}:")));
    report(
        &missing
            .map(|key| format!("the setting {key} is neither in config/argosy.yaml nor in a page"))
            .collect::<Vec<_>>(),
    );
}

fn collect(value: &serde_json::Value, keys: &mut BTreeSet<String>) {
    let serde_json::Value::Object(map) = value else { return };
    for (key, below) in map {
        keys.insert(key.clone());
        // The names below `classes` are the user's.
        match (key.as_str(), below) {
            ("classes", serde_json::Value::Object(classes)) => classes.values().for_each(|class| collect(class, keys)),
            _ => collect(below, keys),
        }
    }
}

#[test]
fn the_reader_of_help_texts_reads() {
    let help = "Usage: argosy <COMMAND>\n\nCommands:\n  serve   Runs\n  config  Shows --files DIR\n  help    Print\n\nOptions:\n  -o, --output <X>   the form, see --other\n      --files <DIR>  folders\n  -h, --help  Print help\n";
    assert_eq!(commands(help), ["serve", "config"]);
    assert_eq!(flags(help), ["--files", "--help", "--output"].map(str::to_owned).into());
}

#[test]
fn the_reader_of_imports_reads() {
    let source = "use crate::{store::A, model}; use super::super::xds::B; mod inner { use super::super::super::infra::C; } \
                  fn f() { crate::envoy::g(); println!(\"{}\", crate::admin::h()); tokio::spawn(async {}); } \
                  #[cfg(test)] mod tests { use crate::cli::D; }";
    let mut paths = Paths { module: vec!["provider".to_owned(), "file".to_owned()], ..Paths::default() };
    paths.visit_file(&syn::parse_file(source).unwrap());
    let rooms: BTreeSet<&str> =
        paths.found.iter().filter(|path| path[0] == "crate").map(|path| path[1].as_str()).collect();
    assert_eq!(rooms, ["admin", "envoy", "infra", "model", "store", "xds"].into());
}
