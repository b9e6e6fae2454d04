//! In: files.
//! Out: changes of objects, findings about files.
//! Never: translation.

pub mod file;

pub use file::{Error, Files, Scan, Settings as FileSettings, watch};
