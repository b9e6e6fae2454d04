//! Canonical bytes: entries of maps in the order of their keys, everything else in the order of field numbers.
//!
//! The generated types keep maps as hash maps, so equal messages have many encodings, and a version that is a hash of the
//! bytes would differ on every replica.

use super::descriptors;
use bytes::Bytes;
use prost_reflect::{Kind, MessageDescriptor};

/// Encodes a message again in its canonical form; bytes that are no such message come back as they are.
pub fn canonical(type_url: &str, bytes: &[u8]) -> Bytes {
    let Some(descriptor) = descriptors::message(type_url) else { return Bytes::copy_from_slice(bytes) };
    canonicalise(&descriptor, bytes).map_or_else(|| Bytes::copy_from_slice(bytes), Bytes::from)
}

/// One field: number, sort key (only for entries of maps), bytes.
type Record = (u32, Vec<u8>, Vec<u8>);

fn canonicalise(descriptor: &MessageDescriptor, bytes: &[u8]) -> Option<Vec<u8>> {
    let is_any = descriptor.full_name() == "google.protobuf.Any";
    let mut any_type = None;
    let mut records: Vec<Record> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let key = varint(bytes, &mut at)?;
        let number = u32::try_from(key >> 3).ok()?;
        match key & 7 {
            0 => {
                varint(bytes, &mut at)?;
                records.push((number, Vec::new(), bytes.get(start..at)?.to_vec()));
            }
            1 | 5 => {
                at += if key & 7 == 1 { 8 } else { 4 };
                records.push((number, Vec::new(), bytes.get(start..at)?.to_vec()));
            }
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
                let body = bytes.get(at..at.checked_add(length)?)?;
                at += length;
                if is_any && number == 1 {
                    any_type = std::str::from_utf8(body).ok().and_then(descriptors::message);
                }
                let inner = if is_any && number == 2 { any_type.clone() } else { field_message(descriptor, number) };
                let body = inner.and_then(|inner| canonicalise(&inner, body)).unwrap_or_else(|| body.to_vec());
                let is_map = descriptor.get_field(number).is_some_and(|field| field.is_map());
                let mut record = Vec::with_capacity(body.len() + 8);
                super::wire::put_field(number, &body, &mut record);
                records.push((number, if is_map { body } else { Vec::new() }, record));
            }
            _ => return None,
        }
    }
    // The sort is stable, so the order of repeated fields stays.
    records.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Some(records.into_iter().flat_map(|record| record.2).collect())
}

fn field_message(descriptor: &MessageDescriptor, number: u32) -> Option<MessageDescriptor> {
    match descriptor.get_field(number)?.kind() {
        Kind::Message(message) => Some(message),
        _ => None,
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}
