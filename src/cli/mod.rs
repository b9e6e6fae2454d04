//! In: command lines.
//! Out: running processes, text and JSON on standard output.
//! Never: logic that another room could own.

pub mod demo;

/// Runs the command line.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
