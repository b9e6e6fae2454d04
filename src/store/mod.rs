//! In: changes of objects.
//! Out: objects, an index of who refers to whom, affected units.
//! Never: translation.

mod affected;
mod object;
mod objects;
mod orphans;
mod references;
mod shelves;
mod targets;
mod view;
mod wave;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;

pub use affected::{Affected, Unit};
pub use object::{Change, Object};
pub use objects::Store;
pub use view::View;
