//! In: files.
//! Out: changes of objects, findings about files.
//! Never: translation.

mod settings;

pub use settings::Settings as FileSettings;
