//! In: delta ADS streams and snapshots.
//! Out: responses of shared bytes, acknowledgements, refusals.
//! Never: translation, more than one fleet a stream.

mod settings;

pub use settings::Settings;
