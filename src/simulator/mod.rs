//! In: a number of proxies and an xDS address.
//! Out: delta ADS clients and a report of what they saw.
//! Never: imports of the server's rooms.

mod client;
mod grpc;
mod session;
pub mod objects;

pub use client::{Credentials, Proxies, Seen};
pub use session::Session;
