//! Keys and tokens of any form: keys made once a run, tokens from the very texts of a case.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
        ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding,
    },
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(rsa);
static OTHER_RSA: LazyLock<RsaKeyPair> = LazyLock::new(rsa);
static P256: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
static P384: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key"));
static ED25519: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::generate().expect("a key"));

fn rsa() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")
}

/// Base64url without padding.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The public key of this name as a JWK, with its name as `kid`: `rsa`, `rsa-other`, `p256`, `p384`, `ed25519`.
pub(crate) fn jwk(name: &str) -> Value {
    let mut jwk = match name {
        "rsa" => rsa_jwk(&RSA),
        "rsa-other" => rsa_jwk(&OTHER_RSA),
        "p256" => ec_jwk(&P256, "P-256"),
        "p384" => ec_jwk(&P384, "P-384"),
        "ed25519" => {
            json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(ED25519.public_key()) })
        }
        other => panic!("no key {other}"),
    };
    jwk["kid"] = json!(name);
    jwk
}

/// A signature of these bytes. `how` is a key and an algorithm (`rsa PS256`), `hmac` and a secret that everybody knows
/// (`hmac rsa-pem`), `der p256` for an ECDSA signature of the other form, or `nothing`.
pub(crate) fn sign(how: &str, input: &[u8]) -> Vec<u8> {
    match how.split_once(' ') {
        None if how == "nothing" => Vec::new(),
        Some(("rsa", algorithm)) => rsa_signature(&RSA, algorithm, input),
        Some(("rsa-other", algorithm)) => rsa_signature(&OTHER_RSA, algorithm, input),
        Some(("p256", _)) => ec_signature(&P256, input),
        Some(("p384", _)) => ec_signature(&P384, input),
        Some(("ed25519", _)) => ED25519.sign(input).as_ref().to_vec(),
        Some(("der", "p256")) => der_signature(input),
        Some(("hmac", secret)) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &known(secret));
            hmac::sign(&key, input).as_ref().to_vec()
        }
        _ => panic!("no such signature: {how}"),
    }
}

/// What an attacker has and might pass for a secret.
fn known(what: &str) -> Vec<u8> {
    let der = || RSA.public_key().as_der().expect("encodes");
    match what {
        "rsa-der" => der().as_ref().to_vec(),
        "rsa-pem" => {
            let base64 = BASE64_STANDARD.encode(der().as_ref());
            let lines: Vec<&[u8]> = base64.as_bytes().chunks(64).collect();
            let begin: &[u8] = b"-----BEGIN PUBLIC KEY-----";
            [&[begin], &lines[..], &[b"-----END PUBLIC KEY-----", b""]]
                .concat()
                .join(&b'\n')
        }
        "rsa-jwk" => jwk("rsa").to_string().into_bytes(),
        "rsa-modulus" => jwk("rsa")["n"].as_str().expect("text").into(),
        "p256-point" => P256.public_key().as_ref().to_vec(),
        "nothing" => Vec::new(),
        other => panic!("nobody knows {other}"),
    }
}

fn rsa_signature(pair: &RsaKeyPair, algorithm: &str, input: &[u8]) -> Vec<u8> {
    let encoding: &dyn RsaEncoding = match algorithm {
        "RS256" => &RSA_PKCS1_SHA256,
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        other => panic!("RSA knows no {other}"),
    };
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), input, &mut signature)
        .expect("signs");
    signature
}

fn ec_signature(pair: &EcdsaKeyPair, input: &[u8]) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), input)
        .expect("signs")
        .as_ref()
        .to_vec()
}

/// ECDSA as X.509 writes it, where JWS wants both numbers side by side (RFC 7518 §3.4).
fn der_signature(input: &[u8]) -> Vec<u8> {
    let private = P256.to_pkcs8v1().expect("encodes");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref());
    ec_signature(&pair.expect("a key"), input)
}

fn ec_jwk(pair: &EcdsaKeyPair, curve: &str) -> Value {
    // SEC 1 §2.3.3: 0x04, then both coordinates.
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
}

/// Modulus and exponent out of an `RSAPublicKey` (RFC 8017 §A.1.1).
fn rsa_jwk(pair: &RsaKeyPair) -> Value {
    let (sequence, _) = element(pair.public_key().as_ref());
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    let unsigned = |number: &[u8]| {
        let start = number.iter().position(|byte| *byte != 0).expect("not zero");
        encode(&number[start..])
    };
    json!({ "kty": "RSA", "n": unsigned(n), "e": unsigned(e) })
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    match der {
        [_, 0x82, high, low, rest @ ..] => {
            rest.split_at(usize::from(*high) * 256 + usize::from(*low))
        }
        [_, 0x81, length, rest @ ..] | [_, length, rest @ ..] => {
            rest.split_at(usize::from(*length))
        }
        _ => panic!("no DER"),
    }
}
