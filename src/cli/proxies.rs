//! `argosy proxies`.

use super::ask::Admin;
use super::command::End;
use super::output::{self, Format};
use comfy_table::{Table, presets};
use serde_json::Value;

/// The Envoys of a running process: where they are bound, what they should have and have acknowledged
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  argosy proxies -o json --admin http://127.0.0.1:19000")]
pub(super) struct Args {
    /// YAML or JSON instead of the table
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    #[command(flatten)]
    admin: Admin,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> anyhow::Result<End> {
    let list = args.admin.get("/api/v1/proxies")?;
    match args.output {
        Some(format) => output::value(&list, format)?,
        None => output::line(&table(&list).to_string())?,
    }
    Ok(End::Good)
}

fn table(list: &Value) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_header(["GATEWAY", "CLASS", "NODE", "PID", "ADDRESS", "PORTS", "STATE", "WANTED", "ACKED", "REFUSED"]);
    for proxy in list.as_array().into_iter().flatten() {
        let cell = |key: &str| match &proxy[key] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.add_row([
            cell("gateway"),
            cell("class"),
            cell("node"),
            cell("pid"),
            cell("address"),
            ports(&proxy["ports"]),
            cell("state"),
            cell("wanted"),
            cell("acked"),
            cell("lastNack"),
        ]);
    }
    table
}

fn ports(ports: &Value) -> String {
    let Some(ports) = ports.as_object() else { return "-".to_owned() };
    let one = |(port, bound): (&String, &Value)| {
        if bound.as_u64() == port.parse().ok() { port.clone() } else { format!("{port}→{bound}") }
    };
    ports.iter().map(one).collect::<Vec<_>>().join(" ")
}
