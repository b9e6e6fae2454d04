//! In: changes of objects.
//! Out: objects, an index of who refers to whom, affected units.
//! Never: translation.

mod affected;
mod manifest;
mod object;
mod objects;
mod view;

pub use affected::{Affected, Unit};
pub use object::{Change, Object};
pub use objects::Store;
pub use view::View;
