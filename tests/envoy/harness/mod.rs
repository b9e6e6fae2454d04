//! In: manifests as values or text.
//! Out: running processes of the real binary, what they say of themselves, requests through their Envoys.
//! Never: the library's inner parts; only what a user has.

mod ads;
mod argosy;
mod backends;
mod command;
mod load;
pub(crate) mod manifests;
mod process;
mod proxy;
mod status;

pub(crate) use ads::{Ads, Types};
pub(crate) use argosy::{Argosy, Run};
pub(crate) use backends::Backends;
pub(crate) use command::{Output, argosy, envoy, finish, run};
pub(crate) use load::Load;
pub(crate) use process::alive;
pub(crate) use proxy::Proxy;
pub(crate) use status::{condition, conditions};
