//! How a case names a key, and what signs its token.

use std::sync::LazyLock;

use serde_json::Value;
use test_support::{ED25519, KeyPair, OTHER_RSA, P256, P384, RSA, hmac};

/// The public key of this name as a JWK, with its name as `kid`: `rsa`, `rsa-other`, `p256`, `p384`, `ed25519`.
pub(crate) fn jwk(name: &str) -> Value {
    pair(name)
        .unwrap_or_else(|| panic!("no key {name}"))
        .jwk(name)
}

/// A signature of these bytes. `how` is a key and an algorithm (`rsa PS256`), `hmac` and a public secret
/// (`hmac rsa-pem`), `der p256` for an ECDSA signature of the other form, or `nothing`.
pub(crate) fn sign(how: &str, input: &[u8]) -> Vec<u8> {
    match how.split_once(' ') {
        None if how == "nothing" => Vec::new(),
        Some(("der", "p256")) => P256.sign_asn1(input),
        Some(("hmac", secret)) => hmac("HS256", &known(secret), input),
        Some((name, algorithm)) => pair(name)
            .unwrap_or_else(|| panic!("no such signature: {how}"))
            .sign(algorithm, input),
        None => panic!("no such signature: {how}"),
    }
}

/// The key pair of this name.
pub(crate) fn pair(name: &str) -> Option<&'static KeyPair> {
    let pair: &'static LazyLock<KeyPair> = match name {
        "rsa" => &RSA,
        "rsa-other" => &OTHER_RSA,
        "p256" => &P256,
        "p384" => &P384,
        "ed25519" => &ED25519,
        _ => return None,
    };
    Some(pair)
}

/// What an attacker has and can use as a secret.
fn known(what: &str) -> Vec<u8> {
    match what {
        "rsa-der" => RSA.public_der(),
        "rsa-pem" => RSA.public_pem().into_bytes(),
        "rsa-jwk" => jwk("rsa").to_string().into_bytes(),
        "rsa-modulus" => jwk("rsa")["n"].as_str().expect("text").into(),
        "p256-point" => P256.public_bytes(),
        "nothing" => Vec::new(),
        other => panic!("unknown secret {other}"),
    }
}
