//! In: tasks, signals, the clock.
//! Out: supervised tasks, shutdown, readiness, time, back-off.
//! Never: business of any other room.

pub mod clock;
pub mod tasks;
pub mod shutdown;
pub mod ready;
pub mod backoff;
