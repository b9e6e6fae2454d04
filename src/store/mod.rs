//! In: changes of objects.
//! Out: objects, an index of who refers to whom, affected units.
//! Never: translation.
