//! The command line: parsing, and the status the process ends with.

use super::{cert, check, config, demo, demo_plane, proxies, serve, status, translate};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs fleets of Envoy gateways: Gateway API in, delta xDS out.
#[derive(Debug, Parser)]
#[command(
    name = "argosy",
    version,
    disable_help_subcommand = true,
    after_help = "Example:\n  argosy serve --files ./manifests --envoy .cache/envoy/envoy"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Translate(translate::Args),
    Check(check::Args),
    Status(status::Args),
    Proxies(proxies::Args),
    Cert(cert::Args),
    Config(config::Args),
    Demo(demo::Args),
    /// Prints the version
    #[command(after_help = "Example:\n  argosy version")]
    Version,
}

/// How a command ended.
#[derive(Debug)]
pub(super) enum End {
    /// All went well.
    Good,
    /// It did its work, and the answer is no: findings, objects dropped, something not as shown.
    No,
}

/// Runs the command line. 0: good; 1: the answer is no; 2: it could not be done.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(args) => serve::run(&args),
        Command::Translate(args) => translate::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Proxies(args) => proxies::run(&args),
        Command::Cert(args) => cert::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Demo(args) => demo_plane::run(&args),
        Command::Version => super::output::line(&format!("argosy {}", env!("CARGO_PKG_VERSION"))).map(|()| End::Good),
    };
    match result {
        Ok(End::Good) => ExitCode::SUCCESS,
        Ok(End::No) => ExitCode::from(1),
        Err(error) => {
            super::output::complain(&format!("argosy: {error:#}"));
            ExitCode::from(2)
        }
    }
}
