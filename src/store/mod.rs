//! In: changes of objects.
//! Out: objects, an index of who refers to whom, affected units.
//! Never: translation.

mod affected;
mod view;

pub use affected::{Affected, Unit};
pub use view::View;
