//! Cuts a file into documents before anything is parsed, so that a broken document costs nobody but itself.

use serde::de::IgnoredAny;

/// One document of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The number of lines before it.
    pub(super) line: usize,
    /// Its bytes, with the `---` that opens it.
    pub(super) bytes: &'a [u8],
}

/// The documents of a file: JSON values when the name ends in `.json` and the content looks like it, else YAML.
pub(super) fn split<'a>(file: &str, bytes: &'a [u8]) -> Vec<Piece<'a>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if is_json(file)
        && matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
        && let Ok(text) = str::from_utf8(bytes)
    {
        return split_json(text);
    }
    split_yaml(bytes)
}

/// Whether the file's name says that it holds JSON.
pub(super) fn is_json(file: &str) -> bool {
    file.ends_with(".json")
}

/// YAML: `---` or `...` at the start of a line ends a document, in block scalars and quotes too.
fn split_yaml(bytes: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut start_line, mut position) = (0, 0, 0);
    // Whether the current piece has more than comments and directives.
    let mut content = false;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = position + line.len();
        if marker(line, b"---") {
            if content {
                pieces.push(Piece { line: start_line, bytes: &bytes[start..position] });
                (start, start_line) = (position, number);
            }
            content = true;
        } else if marker(line, b"...") {
            if content {
                pieces.push(Piece { line: start_line, bytes: &bytes[start..end] });
            }
            (start, start_line, content) = (end, number + 1, false);
        } else if !blank(line) && (content || line[0] != b'%') {
            content = true;
        }
        position = end;
    }
    if content {
        pieces.push(Piece { line: start_line, bytes: &bytes[start..] });
    }
    pieces
}

/// JSON: one value after the other, perhaps with `---` between them; after a broken one it goes on at the next line
/// that opens a value.
fn split_json(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut position = 0;
    let (mut counted, mut line) = (0, 0);
    loop {
        position += skip_between(&text[position..]);
        if position >= text.len() {
            return pieces;
        }
        line += count_lines(&text.as_bytes()[counted..position]);
        counted = position;
        let rest = &text[position..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        let length = match values.next() {
            Some(Ok(_)) => values.byte_offset(),
            _ => next_opening(rest),
        };
        pieces.push(Piece { line, bytes: &rest.as_bytes()[..length] });
        position += length.max(1);
    }
}

/// The length of blanks and `---` lines.
fn skip_between(text: &str) -> usize {
    let mut rest = text.trim_start();
    while marker(rest.as_bytes(), b"---") {
        rest = rest[3..].trim_start();
    }
    text.len() - rest.len()
}

/// Where the next line begins that opens a value or is a separator.
fn next_opening(text: &str) -> usize {
    let openings = ["\n{", "\n[", "\n---"];
    openings.iter().filter_map(|opening| text.find(opening)).min().map_or(text.len(), |before| before + 1)
}

pub(super) fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')))
}

/// Whether a line has nothing but blanks and a comment.
pub(super) fn blank(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(file: &str, text: &str) -> Vec<(usize, String)> {
        let pieces = split(file, text.as_bytes());
        pieces.iter().map(|piece| (piece.line, String::from_utf8_lossy(piece.bytes).into_owned())).collect()
    }

    fn yaml(text: &str) -> Vec<(usize, String)> {
        pieces("a.yaml", text)
    }

    #[test]
    fn documents_end_at_the_marker_and_keep_their_line() {
        assert_eq!(yaml("a: 1\n---\nb: 2\n"), [(0, "a: 1\n".to_owned()), (1, "---\nb: 2\n".to_owned())]);
        assert_eq!(yaml("# hello\n---\na: 1\n--- # next\r\nb: 2").len(), 2);
        assert_eq!(yaml("# hello\n\n"), []);
        assert_eq!(yaml("a: |\n  ---\n  text\n ---\n----\n"), [(0, "a: |\n  ---\n  text\n ---\n----\n".to_owned())]);
    }

    #[test]
    fn an_end_marker_ends_a_document_and_directives_belong_to_the_next() {
        let text = "a: 1\n...\n%YAML 1.2\n---\nb: 2\n...\n# nothing\n";
        assert_eq!(yaml(text), [(0, "a: 1\n...\n".to_owned()), (2, "%YAML 1.2\n---\nb: 2\n...\n".to_owned())]);
    }

    #[test]
    fn json_values_follow_each_other() {
        let text = "{\"a\": 1}\n{\"b\":\n 2}\n---\n[]";
        let expected = [(0, "{\"a\": 1}"), (1, "{\"b\":\n 2}"), (4, "[]")].map(|(line, text)| (line, text.to_owned()));
        assert_eq!(pieces("a.json", text), expected);
    }

    #[test]
    fn json_goes_on_after_a_broken_value() {
        let text = "{\"a\": \n{\"b\": 2}\n";
        let found = pieces("a.json", "{\"x\": oops}\n{\"b\": 2}\n");
        assert_eq!(found, [(0, "{\"x\": oops}\n".to_owned()), (1, "{\"b\": 2}".to_owned())]);
        assert_eq!(pieces("a.json", text).last().unwrap().1, "{\"b\": 2}");
    }

    proptest::proptest! {
        #[test]
        fn every_line_of_a_piece_is_where_it_says(text in "(a: 1\n|---\n|\\.\\.\\.\n|#c\n|\n|%d\n|--- x\n){0,20}") {
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            for (line, piece) in yaml(&text) {
                let first = piece.split_inclusive('\n').next().unwrap_or_default();
                proptest::prop_assert_eq!(lines[line], first);
            }
        }
    }
}
