//! In: tasks, signals, the clock.
//! Out: supervised tasks, shutdown, readiness, time, back-off.
//! Never: business of any other room.
