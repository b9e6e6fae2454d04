//! Certificates (`envoy.extensions.transport_sockets.tls.v3.Secret`).

use crate::model::{SecretKey, TlsCertificate};
use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::{DataSource, data_source::Specifier};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{Secret, TlsCertificate as Certificate, secret};
use prost::Message;

/// A certificate as an SDS resource named `namespace/name`.
pub fn secret(key: &SecretKey, certificate: &TlsCertificate) -> Bytes {
    let inline = |bytes: &[u8]| {
        Some(DataSource { specifier: Some(Specifier::InlineBytes(bytes.to_vec())), ..DataSource::default() })
    };
    let certificate = Certificate {
        certificate_chain: inline(&certificate.certificate),
        private_key: inline(&certificate.private_key),
        ..Certificate::default()
    };
    let message = Secret { name: key.to_string(), r#type: Some(secret::Type::TlsCertificate(certificate)) };
    Bytes::from(message.encode_to_vec())
}
