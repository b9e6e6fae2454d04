//! In: defaults, file, environment, flags.
//! Out: one checked settings value.
//! Never: being imported by a room below.
