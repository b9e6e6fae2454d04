//! In: the `classes:` map.
//! Out: which class and tenant an object belongs to.
//! Never: I/O.
