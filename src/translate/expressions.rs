//! Regular expressions that Envoy (RE2) takes. The regex crate has nearly the same syntax; the rest of what it takes is
//! refused here, since one expression that Envoy refuses would hold up the whole route table.

use regex_syntax::ast::{self, Ast, ClassUnicodeKind, Flag, FlagsItemKind, HexLiteralKind, LiteralKind};
use regex_syntax::ast::{AssertionKind, GroupKind, RepetitionKind, RepetitionRange};

/// The largest program, in bytes, that an expression may come to.
const SIZE_LIMIT: usize = 1 << 20;
/// RE2's limit on counted repetitions, also on the product of nested ones.
const MOST_REPETITIONS: u32 = 1000;

/// Checks an expression; the error says what is wrong with it.
pub(super) fn check(text: &str) -> Result<String, String> {
    let bad = |problem: &str| format!("{text:?} is no regular expression: {problem}");
    if text.is_empty() {
        return Err(bad("it is empty"));
    }
    let compiled = regex::RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
    compiled.map_err(|error| bad(&one_line(&error.to_string())))?;
    let tree = ast::parse::Parser::new().parse(text).map_err(|error| bad(&error.kind().to_string()))?;
    re2(&tree, 1).map_err(|problem| bad(&format!("RE2, which Envoy uses, has no {problem}")))?;
    Ok(text.to_owned())
}

/// The crate's messages draw the place under the expression; a condition has one line.
fn one_line(message: &str) -> String {
    message.lines().last().unwrap_or(message).trim().trim_start_matches("error: ").to_owned()
}

/// What RE2 does not have; `times` is how often a repetition around this part repeats it.
fn re2(tree: &Ast, times: u32) -> Result<(), String> {
    match tree {
        Ast::Empty(_) | Ast::Dot(_) | Ast::ClassPerl(_) => Ok(()),
        Ast::Flags(set) => flags(&set.flags),
        Ast::Literal(literal) => self::literal(literal),
        Ast::Assertion(assertion) => match assertion.kind {
            AssertionKind::StartLine
            | AssertionKind::EndLine
            | AssertionKind::StartText
            | AssertionKind::EndText
            | AssertionKind::WordBoundary
            | AssertionKind::NotWordBoundary => Ok(()),
            _ => Err("word boundaries other than \\b and \\B".to_owned()),
        },
        Ast::ClassUnicode(class) => unicode(&class.kind),
        Ast::ClassBracketed(class) => set(&class.kind),
        Ast::Repetition(repetition) => self::repetition(repetition, times),
        Ast::Group(group) => {
            if let GroupKind::NonCapturing(inner) = &group.kind {
                flags(inner)?;
            }
            re2(&group.ast, times)
        }
        Ast::Alternation(alternation) => alternation.asts.iter().try_for_each(|part| re2(part, times)),
        Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| re2(part, times)),
    }
}

fn flags(flags: &ast::Flags) -> Result<(), String> {
    for item in &flags.items {
        if let FlagsItemKind::Flag(Flag::IgnoreWhitespace | Flag::CRLF | Flag::Unicode) = item.kind {
            return Err("flags other than i, m, s, U".to_owned());
        }
    }
    Ok(())
}

fn literal(literal: &ast::Literal) -> Result<(), String> {
    match &literal.kind {
        LiteralKind::HexFixed(kind) | LiteralKind::HexBrace(kind) if *kind != HexLiteralKind::X => {
            Err("\\u and \\U; write \\x{…}".to_owned())
        }
        _ => Ok(()),
    }
}

/// Categories by their short names, scripts by their names; RE2 has no properties.
fn unicode(kind: &ClassUnicodeKind) -> Result<(), String> {
    match kind {
        ClassUnicodeKind::OneLetter(_) => Ok(()),
        ClassUnicodeKind::Named(name) if name.len() <= 2 || SCRIPTS.contains(&name.as_str()) => Ok(()),
        ClassUnicodeKind::Named(name) => Err(format!("class \\p{{{name}}}; write categories as in \\p{{Lu}}")),
        ClassUnicodeKind::NamedValue { .. } => Err("class \\p{…=…}".to_owned()),
    }
}

/// The scripts that are worth having in a path or header; spelt as RE2 spells them.
const SCRIPTS: [&str; 12] = [
    "Arabic",
    "Armenian",
    "Cyrillic",
    "Devanagari",
    "Greek",
    "Han",
    "Hangul",
    "Hebrew",
    "Hiragana",
    "Katakana",
    "Latin",
    "Thai",
];

fn set(set: &ast::ClassSet) -> Result<(), String> {
    match set {
        ast::ClassSet::Item(item) => set_item(item),
        ast::ClassSet::BinaryOp(_) => Err("operators &&, -- and ~~ in classes".to_owned()),
    }
}

fn set_item(item: &ast::ClassSetItem) -> Result<(), String> {
    match item {
        ast::ClassSetItem::Literal(literal) => self::literal(literal),
        ast::ClassSetItem::Range(range) => literal(&range.start).and_then(|()| literal(&range.end)),
        ast::ClassSetItem::Unicode(class) => unicode(&class.kind),
        ast::ClassSetItem::Bracketed(_) => Err("classes within classes".to_owned()),
        ast::ClassSetItem::Union(union) => union.items.iter().try_for_each(set_item),
        ast::ClassSetItem::Empty(_) | ast::ClassSetItem::Ascii(_) | ast::ClassSetItem::Perl(_) => Ok(()),
    }
}

fn repetition(repetition: &ast::Repetition, times: u32) -> Result<(), String> {
    if matches!(&*repetition.ast, Ast::Repetition(_)) {
        return Err("repetition of a repetition; put the inner one in a group".to_owned());
    }
    let own = match &repetition.op.kind {
        RepetitionKind::Range(
            RepetitionRange::Exactly(most) | RepetitionRange::AtLeast(most) | RepetitionRange::Bounded(_, most),
        ) => *most,
        _ => 1,
    };
    let times = times.saturating_mul(own.max(1));
    if times > MOST_REPETITIONS {
        return Err(format!("more than {MOST_REPETITIONS} counted repetitions"));
    }
    re2(&repetition.ast, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_takes_is_taken() {
        let uuid = r"\/user\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\/send";
        let more = [r"/(?i)a+?", r"/(?<n>a|b)*", r"/\p{Greek}\pL\p{Lu}", r"/[[:word:]\d\-x]", r"/\x{41}\b", "/a{1000}"];
        for good in more.into_iter().chain([uuid, "(?:a|)", "(?U)a+"]) {
            assert_eq!(check(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        let bad = [
            "",
            "(",
            "a**",
            "a???",
            "a{1001}",
            "(a{500}){3}",
            "(?x)a",
            "(?R)a",
            "(?-u)a",
            r"\u0041",
            r"\p{Letter}",
            r"\p{sc=Greek}",
            r"\p{Alphabetic}",
            "[a-z&&b]",
            "[[a]b]",
            r"\b{start}a",
            "(?=a)",
        ];
        for bad in bad {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
