//! In: `model` values.
//! Out: Envoy messages, canonical bytes, bootstraps, patched resources.
//! Never: Kubernetes types, I/O, clocks.
