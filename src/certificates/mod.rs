//! In: a state directory.
//! Out: a CA, server and fleet certificates, verified identities.
//! Never: knowledge of gateways beyond a name.

mod authority;
mod files;
mod identity;
mod issue;

pub use authority::{Authority, Error};
pub use files::{private_dir, write_private};
pub use identity::IdentityError;
pub use issue::Issued;
