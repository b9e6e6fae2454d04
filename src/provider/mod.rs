//! In: files.
//! Out: changes of objects, findings about files.
//! Never: translation.
