//! In: objects through a store view.
//! Out: `model` values and reports.
//! Never: async, clocks, randomness, I/O, Envoy messages.
