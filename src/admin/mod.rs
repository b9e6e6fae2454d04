//! In: the state of all rooms.
//! Out: HTTP answers: health, metrics, dumps.
//! Never: writes.
