//! Small parts of messages, and records of protobuf written by hand.

use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue, HeaderValueOption, RuntimeFractionalPercent, header_value_option::HeaderAppendAction,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, fractional_percent::DenominatorType};
use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration, UInt32Value};
use prost::{Message, Name};

/// Writes a length-delimited field.
pub(super) fn put_field(field: u32, content: &[u8], out: &mut Vec<u8>) {
    prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, out);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Writes an entry of a `map<string, Any>`; the caller goes through the keys in order, which makes the bytes canonical
/// where the generated types would write a hash map.
pub(super) fn put_map_entry(field: u32, key: &str, value: &Any, out: &mut Vec<u8>) {
    let mut entry = Vec::new();
    put_field(1, key.as_bytes(), &mut entry);
    put_field(2, &value.encode_to_vec(), &mut entry);
    put_field(field, &entry, out);
}

pub(super) fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/{}", M::full_name()), value: message.encode_to_vec() }
}

pub(super) fn number(value: u32) -> Option<UInt32Value> {
    Some(UInt32Value { value })
}

pub(super) fn boolean(value: bool) -> Option<BoolValue> {
    Some(BoolValue { value })
}

pub(super) fn milliseconds(value: u64) -> Option<Duration> {
    let seconds = i64::try_from(value / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(value % 1000).unwrap_or(0) * 1_000_000;
    Some(Duration { seconds, nanos })
}

/// A share of requests in parts of a million.
pub(super) fn share(millionths: u32) -> RuntimeFractionalPercent {
    let percent = FractionalPercent { numerator: millionths, denominator: DenominatorType::Million.into() };
    RuntimeFractionalPercent { default_value: Some(percent), runtime_key: String::new() }
}

pub(super) fn regex(expression: &str) -> RegexMatcher {
    RegexMatcher { regex: expression.to_owned(), ..RegexMatcher::default() }
}

pub(super) fn string_matcher(value: &str, is_regex: bool) -> StringMatcher {
    let pattern = if is_regex { MatchPattern::SafeRegex(regex(value)) } else { MatchPattern::Exact(value.to_owned()) };
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

/// `set` overwrites, `add` appends; `%` would begin one of Envoy's formatting commands and is doubled.
pub(super) fn header_options(set: &[(String, String)], add: &[(String, String)]) -> Vec<HeaderValueOption> {
    let option = |(name, value): &(String, String), action: HeaderAppendAction| HeaderValueOption {
        header: Some(HeaderValue { key: name.clone(), value: value.replace('%', "%%"), ..HeaderValue::default() }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    };
    let set = set.iter().map(|header| option(header, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = add.iter().map(|header| option(header, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).collect()
}
