//! The claims of a DPoP proof: an accepted one is for this request, token and time, as other parsers read it; and only its key signs it.

use std::sync::LazyLock;

use http::HeaderMap;
use mcp_gateway_core::{
    time::UnixTime,
    token::dpop::{Expected, Proof, fault::ProofFault, field},
    why,
};
use serde_json::{Value, json};
use test_support::fixtures::{NOW, RESOURCE};
use test_support::{KeyPair, base64url, compact};
use url::Url;

/// A key only for these properties, the same in every run.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::ed25519_from_seed(&[9; 32]));

static HEADER: LazyLock<String> = LazyLock::new(|| {
    json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": KEY.public_jwk() }).to_string()
});

/// The digest of the token.
const TOKEN: [u8; 32] = [0xfe; 32];

/// How far a proof may be off, in seconds.
const AGE: f64 = 300.0;

/// The text of the claims, before it is encoded and signed.
pub fn proof_claims(claims: &[u8]) {
    let proof = compact(&*HEADER, claims, |input| KEY.sign("EdDSA", input));
    match verify(&proof) {
        Ok(_) => accepted(claims),
        Err(fault) => explained(&fault),
    }
    let altered = compact(&*HEADER, claims, |input| {
        let mut signature = KEY.sign("EdDSA", input);
        signature[40] ^= 1;
        signature
    });
    assert!(verify(&altered).is_err(), "an altered signature verifies");
    // The bytes themselves, in place of a proof.
    if let Ok(value) = http::HeaderValue::from_bytes(claims) {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("dpop"), value)]);
        let judged = field::proof(&headers).and_then(verify);
        explained(&judged.expect_err("nobody signed it"));
    }
}

fn expected() -> Expected<'static> {
    Expected {
        method: "POST",
        uri: RESOURCE,
        token: Some(&TOKEN),
        key: None,
        nonces: None,
        now: UnixTime::new(NOW),
    }
}

fn verify(proof: &str) -> Result<Proof, ProofFault> {
    Proof::verify(proof, &expected())
}

/// An accepted proof is what it says, to another parser too.
fn accepted(claims: &[u8]) {
    let claims: Value = serde_json::from_slice(claims).expect("strict JSON");
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["ath"], base64url(TOKEN));
    let id = claims["jti"].as_str().expect("a text");
    assert!((1..=256).contains(&id.len()), "{id}");
    let issued = claims["iat"].as_f64().expect("a number").trunc();
    assert!((issued - NOW as f64).abs() <= AGE, "{issued}");
    let mut uri = Url::parse(claims["htu"].as_str().expect("a text")).expect("a URL");
    uri.set_query(None);
    uri.set_fragment(None);
    assert_eq!(uri.as_str(), RESOURCE);
}

/// The operator learns something, in one line of limited length.
fn explained(fault: &ProofFault) {
    let found = why::proof::found(fault, &expected());
    let is_safe = !found.chars().any(char::is_control);
    assert!(
        !found.is_empty() && found.chars().count() <= 1024 && is_safe,
        "{found}"
    );
}
