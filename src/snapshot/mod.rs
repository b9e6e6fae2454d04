//! In: encoded resources.
//! Out: one immutable snapshot a fleet, and the differences between two.
//! Never: protocol, clocks.
