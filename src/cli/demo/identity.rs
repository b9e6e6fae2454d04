//! Keys that live as long as the demo: a certificate authority, a server certificate, a signer of tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// A certificate for some host names, signed by an authority of its own.
#[derive(Debug)]
pub struct DemoIdentity {
    /// The authority's certificate, PEM; what a client has to trust.
    pub ca: String,
    /// The server's certificate, PEM.
    pub certificate: String,
    /// The server's private key, PEM.
    pub key: String,
}

impl DemoIdentity {
    /// Makes both. `names` may hold wildcards. Fails only when the system has no randomness.
    pub fn generate(names: &[&str]) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::<String>::new())?;
        authority.distinguished_name.push(DnType::CommonName, "argosy demo");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "argosy demo gateway");
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?.pem();
        Ok(Self { ca, certificate, key: key.serialize_pem() })
    }

    /// The certificate as a Secret of type `kubernetes.io/tls`.
    pub fn secret(&self, namespace: &str, name: &str) -> String {
        format!(
            "# Made by `argosy demo` for this run; never commit a private key.\napiVersion: v1\nkind: Secret\nmetadata:\n  \
             name: {name}\n  namespace: {namespace}\ntype: kubernetes.io/tls\ndata:\n  tls.crt: {}\n  tls.key: {}\n",
            STANDARD.encode(&self.certificate),
            STANDARD.encode(&self.key)
        )
    }
}

/// Signs tokens with ES256.
#[derive(Debug)]
pub struct TokenSigner {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// The year 2100: the key ends with the demo, so the tokens need not.
const EXPIRES: u64 = 4_102_444_800;

impl TokenSigner {
    /// Makes a key. Fails only when the system has no randomness.
    pub fn generate() -> Result<Self, ring::error::Unspecified> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
            .map_err(|_| ring::error::Unspecified)?;
        Ok(Self { key, random })
    }

    /// The public key as a JSON Web Key Set (RFC 7517).
    pub fn jwks(&self) -> Value {
        // An uncompressed point: 0x04, 32 bytes x, 32 bytes y.
        let point = self.key.public_key().as_ref();
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "demo",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]),
            "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        }]})
    }

    /// A token (RFC 7519) for the claims given; `exp` is added.
    pub fn token(&self, mut claims: Value) -> Result<String, ring::error::Unspecified> {
        claims["exp"] = json!(EXPIRES);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT", "kid": "demo"})), part(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn a_token_verifies_with_the_published_key() {
        let signer = TokenSigner::generate().unwrap();
        let token = signer.token(json!({"iss": "me"})).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let jwks = signer.jwks();
        let decode = |name: &str| URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().unwrap()).unwrap();
        let point = [vec![4], decode("x"), decode("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap()).unwrap();
        assert_eq!(claims, json!({"iss": "me", "exp": EXPIRES}));
    }
}
