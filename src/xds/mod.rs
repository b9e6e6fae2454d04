//! In: delta ADS streams and snapshots.
//! Out: responses of shared bytes, acknowledgements, refusals.
//! Never: translation, more than one fleet a stream.

mod settings;
mod subscription;
mod stream;
mod wire;
mod server;
mod connection;
mod progress;
mod metrics;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod stream_tests;

pub use metrics::Metrics;
pub use progress::{Nack, Observer, Progress, ProxyState};
pub use server::Server;
pub use settings::Settings;
pub use stream::{Action, Refusal, Request, Stream};
