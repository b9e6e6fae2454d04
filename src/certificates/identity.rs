//! Fleet identities: SPIFFE URIs in the subject alternative name of client certificates.

use crate::model::FleetKey;
use x509_parser::extensions::GeneralName;

/// Why a certificate names no fleet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Not a certificate.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// No URI of ours.
    #[error("the client certificate names no fleet of trust domain {0}; issue one with `argosy cert`")]
    NoFleet(String),
    /// Outside its time.
    #[error("the client certificate is not valid at this time")]
    Expired,
}

/// `spiffe://<trust domain>/class/<class>/ns/<namespace>/gateway/<name>`.
pub(super) fn uri(trust_domain: &str, fleet: &FleetKey) -> String {
    format!("spiffe://{trust_domain}/class/{}/ns/{}/gateway/{}", fleet.class, fleet.namespace, fleet.name)
}

fn parse(trust_domain: &str, uri: &str) -> Option<FleetKey> {
    let path = uri.strip_prefix("spiffe://")?.strip_prefix(trust_domain)?;
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["", "class", class, "ns", namespace, "gateway", name]
            if !class.is_empty() && !namespace.is_empty() && !name.is_empty() =>
        {
            Some(FleetKey::new(class, namespace, name))
        }
        _ => None,
    }
}

/// The fleet that a verified certificate names, if it is valid at `now` (seconds since 1970).
pub(super) fn identify(trust_domain: &str, der: &[u8], now: i64) -> Result<FleetKey, IdentityError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|_| IdentityError::Unreadable)?;
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() || now > validity.not_after.timestamp() {
        return Err(IdentityError::Expired);
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let mut uris = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    // Exactly one: a certificate with two names would be two fleets.
    match (uris.next(), uris.next()) {
        (Some(uri), None) => parse(trust_domain, uri).ok_or_else(|| IdentityError::NoFleet(trust_domain.to_owned())),
        _ => Err(IdentityError::NoFleet(trust_domain.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_written_and_read() {
        let fleet = FleetKey::new("public", "infra", "eg");
        assert_eq!(parse("argosy.local", &uri("argosy.local", &fleet)), Some(fleet));
    }

    #[test]
    fn nothing_else_is_an_identity() {
        for bad in [
            "spiffe://argosy.local.evil/class/a/ns/b/gateway/c",
            "spiffe://other/class/a/ns/b/gateway/c",
            "spiffe://argosy.local/class/a/ns/b/gateway/",
            "spiffe://argosy.local/class/a/ns/b/gateway/c/d",
            "https://argosy.local/class/a/ns/b/gateway/c",
        ] {
            assert_eq!(parse("argosy.local", bad), None, "{bad}");
        }
    }
}
