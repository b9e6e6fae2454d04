//! Reads one document into a JSON value, with a limit on what aliases may make of it.

use super::codes::{LIMIT, MAX_DEPTH, MAX_MARKS, NOT_YAML};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;

/// The most brackets that may stay open: the parser takes long to find out that they are too many, and this many are
/// in no text by chance.
const MAX_OPEN: usize = 100_000;
/// What one node costs, beside the length of its text: no document without aliases can spend more than
/// `NODE_COST` for each of its bytes.
const NODE_COST: usize = 16;
/// What a short document may grow to by its aliases.
const FREE: usize = 1 << 20;

/// What both parsers say when a document nests too deeply.
const TOO_DEEP: &str = "recursion limit exceeded";

/// Why a document could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// `NOT_YAML` or `LIMIT`.
    pub(super) code: &'static str,
    /// What is wrong, without lines of the document.
    pub(super) message: String,
    /// Line and column in the document, from 1.
    pub(super) position: Option<(usize, usize)>,
}

/// Reads one document; an empty one is null. JSON is told from YAML by its first character.
pub(super) fn read(text: &str, json: bool) -> Result<Value, Broken> {
    let budget = Budget { left: Cell::new(FREE + NODE_COST * text.len()), exceeded: Cell::new(false) };
    let node = Node { budget: &budget };
    let mut json_error = None;
    if text.trim_start().starts_with(['{', '[']) {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        match node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)) {
            Ok(value) => return Ok(value),
            Err(error) => json_error = Some(error),
        }
    }
    if let Some(error) = json_error.filter(|_| json) {
        let position = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
        return Err(broken(&error.to_string(), position, &budget));
    }
    if marks(text) > MAX_MARKS {
        let message = format!("the document has more than {MAX_MARKS} fields, list entries and lines");
        return Err(Broken { code: LIMIT, message, position: None });
    }
    let count = |bytes: [u8; 2]| text.bytes().filter(|byte| bytes.contains(byte)).count();
    if count(*b"[{") > count(*b"]}") + MAX_OPEN {
        return Err(broken(TOO_DEEP, None, &budget));
    }
    node.deserialize(yaml_serde::Deserializer::from_str(text)).map_err(|error| {
        let position = error.location().map(|location| (location.line(), location.column()));
        broken(&error.to_string(), position, &budget)
    })
}

fn marks(text: &str) -> usize {
    text.bytes().filter(|byte| matches!(byte, b'[' | b'{' | b',' | b':' | b'-' | b'?' | b'\n')).count()
}

fn broken(message: &str, position: Option<(usize, usize)>, budget: &Budget) -> Broken {
    if budget.exceeded.get() || message.contains("repetition limit exceeded") {
        let message = "aliases (`*name`) make the document grow without bounds".to_owned();
        return Broken { code: LIMIT, message, position };
    }
    if message.contains(TOO_DEEP) {
        let message = format!("the document nests deeper than {MAX_DEPTH} levels, or an alias (`*name`) holds itself");
        return Broken { code: LIMIT, message, position };
    }
    Broken { code: NOT_YAML, message: without_lines(message, position.map(|(line, _)| line)), position }
}

/// The parser's message, with lines only as distances: a document that moves inside its file keeps its message.
fn without_lines(message: &str, line: Option<usize>) -> String {
    let mut parts = message.split(" at line ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let rest =
            rest.strip_prefix(" column ").map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        let above = line.zip(number.parse().ok()).map_or(0, |(line, other): (usize, usize)| line.saturating_sub(other));
        match above {
            0 => {}
            1 => text.push_str(" that begins one line above"),
            above => text.push_str(&format!(" that begins {above} lines above")),
        }
        text.push_str(rest);
    }
    text
}

struct Budget {
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Budget {
    fn spend<E: de::Error>(&self, length: usize) -> Result<(), E> {
        match self.left.get().checked_sub(NODE_COST + length) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.exceeded.set(true);
                Err(E::custom("too large"))
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    budget: &'a Budget,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON knows")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.budget.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.budget.spend(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.budget.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.budget.spend(0).map(|()| value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.budget.spend(0)?;
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.budget.spend(value.len()).map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.budget.spend(0)?;
        let (mut values, mut merged) = (Map::new(), Vec::new());
        while let Some(key) = map.next_key_seed(Key { budget: self.budget, known: &values })? {
            let value = map.next_value_seed(self)?;
            if key == "<<" && (value.is_object() || value.is_array()) {
                merged.push(value);
            } else {
                values.insert(key, value);
            }
        }
        for value in merged {
            merge(&mut values, value);
        }
        Ok(Value::Object(values))
    }
}

/// YAML's merge key: fields that are written out win.
fn merge(into: &mut Map<String, Value>, value: Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                into.entry(key).or_insert(value);
            }
        }
        Value::Array(values) => values.into_iter().for_each(|value| merge(into, value)),
        _ => {}
    }
}

struct Key<'a> {
    budget: &'a Budget,
    known: &'a Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        // As text, so that `1: x` and `true: x` are what they are in Kubernetes.
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        self.budget.spend(key.len())?;
        // Refused here and not by the caller: the error gets the position of the key.
        if self.known.contains_key(key) {
            return Err(E::custom(format_args!("the field `{key}` stands here a second time")));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good(text: &str) -> Value {
        read(text, false).unwrap()
    }

    fn bad(text: &str) -> Broken {
        read(text, false).unwrap_err()
    }

    #[test]
    fn yaml_becomes_what_kubernetes_makes_of_it() {
        assert_eq!(
            good("a: 1\nb: [true, ~, -2, 1.5, 'x']\n1: y\n"),
            json!({"a": 1, "b": [true, null, -2, 1.5, "x"], "1": "y"})
        );
        assert_eq!(good("base: &b {x: 1, y: 2}\nall:\n  <<: *b\n  y: 3\n")["all"], json!({"x": 1, "y": 3}));
        assert_eq!(good(""), Value::Null);
        assert_eq!(good("---\n# nothing\n"), Value::Null);
    }

    #[test]
    fn json_may_hold_what_a_yaml_parser_refuses() {
        assert_eq!(good("{\n\t\"a\": \"\\ud83d\\ude00\"}"), json!({"a": "\u{1f600}"}));
        let error = read("{\n\"a\": 1,\n\"b\" 2}", true).unwrap_err();
        assert_eq!((error.code, error.position), (NOT_YAML, Some((3, 5))));
        assert_eq!(error.message, "expected `:`");
    }

    #[test]
    fn errors_have_a_position_and_a_message_that_moves_with_the_document() {
        let error = bad("a:\n  - b\n  c: [\n\n");
        assert_eq!(error.code, NOT_YAML);
        assert_eq!(error.position, Some((3, 3)));
        assert!(error.message.contains("that begins one line above"), "{}", error.message);
        assert!(!error.message.contains("at line"), "{}", error.message);
        let error = bad("a: 1\nb:\n  c: 1\n  c: 2\n");
        assert_eq!(error.position, Some((4, 3)));
        assert!(error.message.contains("`c` stands here a second time"), "{}", error.message);
        assert_eq!(bad("{a: 1, a: 2}").code, NOT_YAML);
        assert_eq!(bad("a: .inf").code, NOT_YAML);
        assert_eq!(bad("a: !thing x").code, NOT_YAML);
        assert_eq!(bad("a: *nowhere").code, NOT_YAML);
        assert_eq!(bad("? [a]\n: b\n").code, NOT_YAML);
    }

    #[test]
    fn growth_by_aliases_has_an_end() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")));
        }
        assert_eq!(bad(&bomb).code, LIMIT);
        let large = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(","));
        assert_eq!(bad(&large).code, LIMIT);
        assert_eq!(bad("a: &a\n  b: *a\n").code, LIMIT);
        assert_eq!(bad(&format!("{}{}", "[".repeat(500), "]".repeat(500))).code, LIMIT);
        assert_eq!(bad(&"[".repeat(MAX_OPEN + 1)).code, LIMIT);
        assert_eq!(bad(&"- ".repeat(MAX_MARKS + 1)).code, LIMIT);
    }

    #[test]
    fn a_document_without_aliases_never_exceeds_its_budget() {
        assert_eq!(good(&format!("[{}]", "[],".repeat(200_000))).as_array().unwrap().len(), 200_000);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_crash(text in "[-a:\\[\\]{},&*!|>'\"%@`#? \n\t0-9]{0,60}") {
            let _ = read(&text, false);
            let _ = read(&text, true);
        }
    }
}
