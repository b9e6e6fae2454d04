//! Making certificates.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::time::Duration;

/// Clocks differ: a certificate is valid from a little before it was made.
const BACKDATE: Duration = Duration::from_secs(300);
const CA_YEARS: u64 = 10;

/// A certificate with its key and the CA that signed it, PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
    /// The CA's certificate.
    pub ca: String,
}

impl std::fmt::Debug for Issued {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued([redacted])")
    }
}

/// What a certificate is for.
pub(super) enum Purpose {
    Client,
    Server,
}

/// A new CA: certificate and key, PEM.
pub(super) fn authority(now: i64) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "argosy CA");
    valid(&mut params, now, Duration::from_secs(CA_YEARS * 365 * 86_400));
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// A leaf certificate signed by the CA.
pub(super) fn leaf(
    ca: &str,
    ca_key: &str,
    purpose: &Purpose,
    names: Vec<SanType>,
    now: i64,
    life: Duration,
) -> Result<Issued, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca, KeyPair::from_pem(ca_key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.subject_alt_names = names;
    params.distinguished_name.push(DnType::CommonName, "argosy");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match purpose {
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, life);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem(), ca: ca.to_owned() })
}

fn valid(params: &mut CertificateParams, now: i64, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = epoch + Duration::from_secs(u64::try_from(now).unwrap_or(0));
    params.not_before = now - BACKDATE;
    params.not_after = now + life;
}
