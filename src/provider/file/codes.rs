//! The codes of findings about files, and the limits that they speak of.

/// A file or folder cannot be read: it does not exist, is no regular file, or may not be opened.
pub const UNREADABLE: &str = "ARG0001";
/// A document is not YAML (or JSON): its last good objects stay.
pub const NOT_YAML: &str = "ARG0002";
/// An object cannot be read: a field has the wrong type, a required one is missing, or the name is invalid. Its last
/// good version stays.
pub const NOT_AN_OBJECT: &str = "ARG0003";
/// Warning: a field is not known and means nothing.
pub const UNKNOWN_FIELD: &str = "ARG0004";
/// The same object stands in two places: the first one counts.
pub const TWICE: &str = "ARG0005";
/// Warning: an older version of a kind, read like the current one.
pub const OLD_VERSION: &str = "ARG0006";
/// Warning: an object of a kind that is not read.
pub const IGNORED: &str = "ARG0007";
/// A limit is exceeded: size of a file, number of documents, depth, growth by aliases.
pub const LIMIT: &str = "ARG0008";

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 16 << 20;
/// The most documents of one file.
pub const MAX_DOCUMENTS: usize = 100_000;
/// The most findings that are shown for one file.
pub const MAX_FINDINGS: usize = 1_000;
/// The deepest nesting of a document; what the parsers of YAML and JSON allow.
pub const MAX_DEPTH: usize = 128;
/// The most characters of a document that may begin a node (`[`, `{`, `,`, `:`, `-`, `?` and line ends): the parser
/// keeps some hundred bytes for each.
pub(super) const MAX_MARKS: usize = 3_000_000;
/// The most unknown fields that are named for one object.
pub(super) const MAX_UNKNOWN_FIELDS: usize = 16;
