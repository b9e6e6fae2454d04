//! The certificate authority of an installation.

use super::files::{private_dir, write_private};
use super::identity::{self, IdentityError};
use super::issue::{self, Issued, Purpose};
use crate::model::FleetKey;
use crate::runtime::clock::Clock;
use arc_swap::ArcSwap;
use rcgen::SanType;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why certificates cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A certificate or key cannot be made or read.
    #[error("certificate of {0}: {1}")]
    Certificate(String, String),
}

/// A CA with its key, the server's certificate, and what is needed to issue more.
#[derive(Debug)]
pub struct Authority {
    ca: String,
    ca_key: String,
    trust_domain: String,
    life: Duration,
    names: Vec<SanType>,
    clock: Clock,
    server: Arc<ServerCertificate>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct ServerCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Authority {
    /// Opens the CA in `<state>/pki`, or makes it there. The server's certificate carries the names `argosy` and
    /// `localhost` and the given addresses. `life` is that of all certificates it issues.
    pub fn open(
        state: &Path,
        trust_domain: &str,
        life: Duration,
        addresses: &[IpAddr],
        clock: Clock,
    ) -> Result<Arc<Self>, Error> {
        let (ca, ca_key) = load_or_create(&state.join("pki"), &clock)?;
        let problem = |error: rcgen::Error| Error::Certificate("the xDS server".to_owned(), error.to_string());
        let mut names = Vec::new();
        for name in ["argosy", "localhost"] {
            names.push(SanType::DnsName(name.try_into().map_err(problem)?));
        }
        names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        let first = certify(&ca, &ca_key, &names, &clock, life)?;
        let server = Arc::new(ServerCertificate(ArcSwap::from_pointee(first)));
        let config = Arc::new(server_config(&ca, &server)?);
        let trust_domain = trust_domain.to_owned();
        Ok(Arc::new(Self { ca, ca_key, trust_domain, life, names, clock, server, config }))
    }

    /// TLS for the xDS server: version 1.3, a client certificate of this CA, HTTP/2.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Renews the server's certificate; open streams keep the old one, which stays valid.
    pub fn renew_server(&self) -> Result<(), Error> {
        self.server.0.store(Arc::new(certify(&self.ca, &self.ca_key, &self.names, &self.clock, self.life)?));
        Ok(())
    }

    /// How often `renew_server` and `renew_fleet` have to be called: a sixth of the life of a certificate.
    pub fn interval(&self) -> Duration {
        self.life / 6
    }

    /// The fleet that a client certificate names.
    pub fn identify(&self, der: &[u8]) -> Result<FleetKey, IdentityError> {
        identity::identify(&self.trust_domain, der, self.clock.wall().as_second())
    }

    /// A client certificate for one fleet.
    pub fn issue_fleet(&self, fleet: &FleetKey) -> Result<Issued, Error> {
        let problem = |error: rcgen::Error| Error::Certificate(fleet.to_string(), error.to_string());
        let uri = identity::uri(&self.trust_domain, fleet).try_into().map_err(problem)?;
        let names = vec![SanType::URI(uri)];
        issue::leaf(&self.ca, &self.ca_key, &Purpose::Client, names, self.clock.wall().as_second(), self.life)
            .map_err(problem)
    }

    /// Writes `tls.crt`, `tls.key` and `ca.crt` of a fleet into a folder, unless good ones are there: they are renewed at
    /// two thirds of their life, and when they are broken or of another CA. Returns whether they were written.
    pub fn renew_fleet(&self, fleet: &FleetKey, dir: &Path) -> Result<bool, Error> {
        if self.is_good(fleet, dir) {
            return Ok(false);
        }
        let issued = self.issue_fleet(fleet)?;
        let file = |path: PathBuf| move |source| Error::File { path, source };
        private_dir(dir).map_err(file(dir.to_owned()))?;
        // The key goes first: Envoy reads the pair again when the certificate is replaced.
        for (name, content) in [("ca.crt", &issued.ca), ("tls.key", &issued.key), ("tls.crt", &issued.certificate)] {
            let path = dir.join(name);
            write_private(&path, content.as_bytes()).map_err(file(path))?;
        }
        Ok(true)
    }

    fn is_good(&self, fleet: &FleetKey, dir: &Path) -> bool {
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).ok();
        let (Some(ca), Some(certificate), Some(key)) = (read("ca.crt"), read("tls.crt"), read("tls.key")) else {
            return false;
        };
        let Ok(der) = CertificateDer::from_pem_slice(certificate.as_bytes()) else { return false };
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&der) else { return false };
        let pair = certified_key(&certificate, &key).is_ok_and(|pair| pair.keys_match().is_ok());
        let left = parsed.validity().not_after.timestamp() - self.clock.wall().as_second();
        let third = i64::try_from(self.life.as_secs() / 3).unwrap_or(i64::MAX);
        ca == self.ca && pair && self.identify(&der).as_ref() == Ok(fleet) && left > third
    }
}

fn load_or_create(dir: &Path, clock: &Clock) -> Result<(String, String), Error> {
    let file = |path: &Path, source| Error::File { path: path.to_owned(), source };
    let (certificate, key) = (dir.join("ca.crt"), dir.join("ca.key"));
    if certificate.exists() || key.exists() {
        // Half a CA is not replaced silently: every proxy that trusts it would be locked out.
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|source| file(path, source));
        return Ok((read(&certificate)?, read(&key)?));
    }
    private_dir(dir).map_err(|source| file(dir, source))?;
    let (ca, ca_key) = issue::authority(clock.wall().as_second())
        .map_err(|error| Error::Certificate("the CA".to_owned(), error.to_string()))?;
    for (path, content) in [(&key, &ca_key), (&certificate, &ca)] {
        write_private(path, content.as_bytes()).map_err(|source| file(path, source))?;
    }
    Ok((ca, ca_key))
}

fn certify(ca: &str, ca_key: &str, names: &[SanType], clock: &Clock, life: Duration) -> Result<CertifiedKey, Error> {
    let now = clock.wall().as_second();
    let problem = |error: String| Error::Certificate("the xDS server".to_owned(), error);
    let issued = issue::leaf(ca, ca_key, &Purpose::Server, names.to_vec(), now, life)
        .map_err(|error| problem(error.to_string()))?;
    certified_key(&issued.certificate, &issued.key).map_err(problem)
}

fn certified_key(certificate: &str, key: &str) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    Ok(CertifiedKey::new(chain, key))
}

fn server_config(ca: &str, server: &Arc<ServerCertificate>) -> Result<ServerConfig, Error> {
    let problem = |error: &dyn std::fmt::Display| Error::Certificate("the CA".to_owned(), error.to_string());
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(|error| problem(&error))?;
    roots.add(ca).map_err(|error| problem(&error))?;
    // The provider is named: with a second one in the tree the default would be a panic.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| problem(&error))?;
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<ServerCertificate>::clone(server);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| problem(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A proxy connects once and stays. A session that is kept for it costs memory, and would let it come back without showing
    // its certificate.
    config.send_tls13_tickets = 0;
    Ok(config)
}
