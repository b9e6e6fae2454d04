//! In: command lines.
//! Out: running processes, text and JSON on standard output.
//! Never: logic that another room could own.

mod ask;
mod cert;
mod check;
mod command;
mod config;
pub mod demo;
mod demo_plane;
mod output;
mod proxies;
mod serve;
mod settings;
mod status;
mod translate;

pub use command::main;
