//! TLS Secrets: read, checked, and the key compared with the certificate.

use crate::model::{NamespacedName, SecretKey, TlsCertificate};
use crate::store::View;
use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;

/// Why a Secret is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateProblem {
    /// There is no such Secret at all.
    pub missing: bool,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The certificate of a Secret of type `kubernetes.io/tls`.
pub fn certificate(view: &dyn View, key: &SecretKey) -> Result<TlsCertificate, CertificateProblem> {
    let problem = |what: String| CertificateProblem { missing: false, message: format!("Secret {key} {what}") };
    let secret = view
        .secret(&NamespacedName::new(&*key.namespace, &*key.name))
        .ok_or_else(|| CertificateProblem { missing: true, ..problem("does not exist".to_owned()) })?;
    let field = |name: &str| -> Result<Vec<u8>, CertificateProblem> {
        if let Some(plain) = secret.string_data.get(name) {
            return Ok(plain.clone().into_bytes());
        }
        let encoded = secret.data.get(name).ok_or_else(|| problem(format!("has no {name}")))?;
        let compact: String = encoded.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(compact)
            .map_err(|error| problem(format!("has a {name} that is no base64: {error}")))
    };
    let (certificate, private_key) = (field("tls.crt")?, field("tls.key")?);
    check(&certificate, &private_key).map_err(problem)?;
    Ok(TlsCertificate { certificate, private_key })
}

fn check(certificate: &[u8], private_key: &[u8]) -> Result<(), String> {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("has a tls.crt that is no PEM: {error}"))?;
    let leaf = chain.first().ok_or("has a tls.crt without a certificate")?;
    x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| format!("has a tls.crt that is no certificate: {error}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(private_key).map_err(|error| format!("has a tls.key that is no key: {error}"))?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|error| format!("has a tls.key that cannot be used: {error}"))?;
    match rustls::sign::CertifiedKey::new(chain.clone(), key).keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err("has a tls.key that does not belong to its tls.crt".to_owned())
        }
        // Some keys cannot say what they belong to: Envoy will.
        _ => Ok(()),
    }
}
