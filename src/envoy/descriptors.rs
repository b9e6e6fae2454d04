//! Descriptions of all Envoy messages, for JSON, patches, dumps and constraints.

use prost_reflect::{DescriptorPool, MessageDescriptor};
use std::sync::LazyLock;

/// From crate envoy-types (Apache-2.0), without source information; made by `hack/strip-descriptors.py`.
static BYTES: &[u8] = include_bytes!("descriptors.bin");

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(BYTES).expect("a test decodes the committed descriptor set"));

pub(super) fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The message of a type URL.
pub(super) fn message(type_url: &str) -> Option<MessageDescriptor> {
    pool().get_message_by_name(type_url.rsplit('/').next()?)
}
