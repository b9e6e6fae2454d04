//! In: the `classes:` map.
//! Out: which class and tenant an object belongs to.
//! Never: I/O.

mod classes;
mod names;
mod settings;

pub use classes::{Classes, ClassesError};
pub use settings::{ClassSettings, default_classes};
