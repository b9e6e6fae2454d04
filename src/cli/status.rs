//! `argosy status`.

use super::ask::Admin;
use super::command::End;
use super::output::{self, Format};
use comfy_table::{Table, presets};
use serde_json::Value;

/// All objects of a running process with their status, and what is wrong with files and objects
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy status -o json --admin http://127.0.0.1:19000")]
pub(super) struct Args {
    /// YAML or JSON, a `kind: List`, instead of the table
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    admin: Admin,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let list = args.admin.get("/api/v1/status")?;
    match args.output {
        Some(format) => output::value(&list, format)?,
        None => {
            output::line(&table(&list).to_string())?;
            let findings = args.admin.get("/api/v1/findings")?;
            let texts = findings.as_array().into_iter().flatten().filter_map(|finding| finding["text"].as_str());
            texts.into_iter().try_for_each(output::line)?;
        }
    }
    Ok(End::Good)
}

fn table(list: &Value) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["KIND", "NAMESPACE", "NAME", "STATE", "MESSAGE"]);
    for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (state, message) = summary(item);
        table.add_row([text("/kind"), text("/metadata/namespace"), text("/metadata/name"), state, message]);
    }
    table
}

/// The state in one word and the first thing that is wrong.
fn summary(item: &Value) -> (String, String) {
    let Some(status) = item.get("status").filter(|status| status.as_object().is_some_and(|s| !s.is_empty())) else {
        return ("-".to_owned(), "none of our classes answers for it".to_owned());
    };
    let mut conditions = Vec::new();
    collect(status, &mut conditions);
    let bad = |condition: &&&Value| {
        let wanted = match condition["type"].as_str() {
            Some("Conflicted" | "PartiallyInvalid") => "False",
            _ => "True",
        };
        condition["status"] != wanted
    };
    // That something is not programmed follows from what the other conditions say.
    let cause = conditions.iter().filter(bad).min_by_key(|condition| condition["type"] == "Programmed");
    match cause {
        None => ("ok".to_owned(), address(status, &conditions)),
        Some(condition) => {
            let text = |key: &str| condition[key].as_str().unwrap_or_default();
            let state = match (text("type"), text("status")) {
                ("PartiallyInvalid" | "Conflicted", _) => text("type").to_owned(),
                (kind, _) => format!("not {kind}"),
            };
            (state, format!("{}: {}", text("reason"), text("message")))
        }
    }
}

/// Where a Gateway is reached: its addresses, and what its Programmed condition says of ports.
fn address(status: &Value, conditions: &[&Value]) -> String {
    let addresses = status.get("addresses").and_then(Value::as_array).into_iter().flatten();
    let addresses = addresses.filter_map(|address| address["value"].as_str()).collect::<Vec<_>>().join(", ");
    let programmed = conditions.iter().find(|condition| condition["type"] == "Programmed");
    match programmed.and_then(|condition| condition["message"].as_str()).filter(|_| !addresses.is_empty()) {
        Some(message) => format!("{addresses}: {message}"),
        None => addresses,
    }
}

/// All conditions inside a status, wherever they stand.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                match below {
                    Value::Array(conditions) if key == "conditions" => found.extend(conditions),
                    _ => collect(below, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|below| collect(below, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_cause_is_shown_rather_than_what_follows_from_it() {
        let condition = |kind: &str, status: &str, message: &str| json!({"type": kind, "status": status, "reason": "Why", "message": message});
        let listener = json!({"name": "https", "conditions": [
            condition("Programmed", "False", "see the others"), condition("Conflicted", "False", ""),
            condition("ResolvedRefs", "False", "no such Secret"),
        ]});
        let gateway = json!({"status": {"conditions": [condition("Accepted", "True", "")], "listeners": [listener]}});
        assert_eq!(summary(&gateway), ("not ResolvedRefs".to_owned(), "Why: no such Secret".to_owned()));
        let waiting = json!({"status": {"conditions": [condition("Programmed", "False", "not yet")]}});
        assert_eq!(summary(&waiting), ("not Programmed".to_owned(), "Why: not yet".to_owned()));
        let conditions =
            [condition("Accepted", "True", ""), condition("Programmed", "True", "Port 80 is bound as 10080.")];
        let fine = json!({"status": {"addresses": [{"value": "127.0.0.2"}], "conditions": conditions}});
        let told = "127.0.0.2: Port 80 is bound as 10080.".to_owned();
        assert_eq!(summary(&fine), ("ok".to_owned(), told));
        assert_eq!(summary(&json!({})).0, "-");
    }
}
