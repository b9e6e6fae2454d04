//! In: changes.
//! Out: snapshots, reports, fleet plans.
//! Never: I/O of its own.
