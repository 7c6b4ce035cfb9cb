//! What the demonstration signs with: a P-256 key, two tokens, and a CA with a certificate for `localhost`.

use aws_lc_rs::{
    rand::{self, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

use super::error::DemoError;
use crate::clock;

/// Who the demonstration's tokens say they are from. No such host exists: nothing can be fetched from it.
pub(super) const ISSUER: &str = "https://demo.invalid";

/// How long the tokens live, in seconds.
const LIFETIME: i64 = 12 * 60 * 60;

const KEY_ID: &str = "demo";

/// The signing key and what it has signed. Printed on purpose: these tokens are for copying.
pub(super) struct Credentials {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Credentials {
    /// A new key.
    pub(super) fn make() -> Result<Self, DemoError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self {
            key: key.map_err(|error| DemoError::Key(error.to_string()))?,
            random: SystemRandom::new(),
        })
    }

    /// The public key as a JWK set (RFC 7517).
    pub(super) fn jwks(&self) -> String {
        // An uncompressed point: 0x04, then x and y of 32 bytes each.
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| {
            let part = point.get(from..from + 32).unwrap_or_default();
            URL_SAFE_NO_PAD.encode(part)
        };
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": coordinate(1), "y": coordinate(33),
        }] })
        .to_string()
    }

    /// An access token (RFC 9068) for `resource` with these scopes.
    pub(super) fn token(&self, resource: &str, scope: &str) -> Result<String, DemoError> {
        let now = clock::now().secs();
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": KEY_ID });
        let claims = json!({
            "iss": ISSUER, "sub": "demo-user", "aud": resource, "client_id": "demo-client",
            "scope": scope, "iat": now, "exp": now + LIFETIME,
        });
        let signed = format!("{}.{}", encode_json(&header), encode_json(&claims));
        let signature = self
            .key
            .sign(&self.random, signed.as_bytes())
            .map_err(|error| DemoError::Key(error.to_string()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A random key for sealing session ids, 32 bytes.
pub(super) fn make_session_key() -> Result<[u8; 32], DemoError> {
    let mut key = [0; 32];
    rand::fill(&mut key).map_err(|error| DemoError::Key(error.to_string()))?;
    Ok(key)
}

fn encode_json(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A CA, a certificate for `localhost` by it, and that certificate's key, all PEM.
pub(super) fn make_certificates() -> Result<(String, String, String), DemoError> {
    let authority_key = rcgen::KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority
        .distinguished_name
        .push(DnType::CommonName, "mcp-gateway demo CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, authority_key)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}
