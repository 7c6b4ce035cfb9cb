use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use test_support::{ED25519, KeyPair, OTHER_RSA, P256, P384, RSA, base64url, with_members};

use super::fault::ProofFault;
use super::{Expected, PROOF_ALGORITHMS, Proof, Unsigned};
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::key_set::KeyRejection;

const NOW: i64 = 1_795_257_000;
const URI: &str = "https://mcp.example.com/mcp";
const TOKEN: &str = "a.b.c";

fn ath() -> [u8; 32] {
    digest(&SHA256, TOKEN.as_bytes())
        .as_ref()
        .try_into()
        .unwrap()
}

/// The public key of a proof: no id.
fn jwk(pair: &KeyPair) -> Value {
    pair.jwk_with("x", json!({ "kid": null }))
}

fn claims() -> Value {
    json!({ "jti": "one", "htm": "POST", "htu": URI, "iat": NOW, "ath": base64url(ath()) })
}

fn signed(pair: &KeyPair, algorithm: &str, claims: &Value) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": algorithm, "jwk": jwk(pair) });
    pair.token(algorithm, &header.to_string(), &claims.to_string())
}

fn verify_for(proof: &str, change: fn(&mut Expected<'_>)) -> Result<Proof, ProofFault> {
    let token = ath();
    let mut expected = Expected {
        method: "POST",
        uri: URI,
        token: Some(&token),
        key: None,
        nonces: None,
        now: UnixTime::new(NOW),
    };
    change(&mut expected);
    Proof::verify(proof, &expected)
}

fn verify(proof: &str) -> Result<Proof, ProofFault> {
    verify_for(proof, |_| {})
}

#[test]
fn a_proof_of_each_algorithm_is_verified() {
    for algorithm in Algorithm::ALL {
        let name = algorithm.as_str();
        let pair = KeyPair::for_algorithm(name);
        let proof = verify(&signed(pair, name, &claims())).unwrap();
        assert_eq!(proof.issued_at, UnixTime::new(NOW));
        let other = verify(&signed(pair, name, &claims())).unwrap();
        assert_eq!(proof.id, other.id, "the same jti and key");
    }
}

#[test]
fn the_key_is_known_by_its_thumbprint() {
    // RFC 7638 §3.1, RFC 8037 §A.3.
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let edwards =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    // RFC 9449 §4.1, §6.1.
    let p256 = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;
    for (jwk, expected) in [
        (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (edwards, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        (p256, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
    ] {
        let key = crate::token::key_set::Key::read(jwk.as_bytes()).unwrap();
        assert_eq!(base64url(key.thumbprint()), expected);
    }
    let of = |pair| verify(&signed(pair, pair.algorithm(), &claims())).unwrap();
    let keys = [&*RSA, &*OTHER_RSA, &*P256, &*P384, &*ED25519].map(|pair| of(pair).key);
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(key));
    }
}

#[test]
fn the_same_jti_of_another_key_is_another_proof() {
    let of = |pair: &KeyPair| verify(&signed(pair, pair.algorithm(), &claims())).unwrap();
    assert_ne!(of(&P256).id, of(&P384).id);
    let other = with_members(claims(), json!({ "jti": "two" }));
    let other = verify(&signed(&P256, "ES256", &other)).unwrap();
    assert_ne!(of(&P256).id, other.id);
}

#[test]
fn a_proof_of_another_key_than_that_of_the_token_is_refused() {
    let proof = signed(&P256, "ES256", &claims());
    let other = verify_for(&proof, |expected| expected.key = Some(&[7; 32]));
    assert_eq!(other, Err(ProofFault::OtherKey));
    let key = verify(&proof).unwrap().key;
    let token = ath();
    let expected = Expected {
        method: "POST",
        uri: URI,
        token: Some(&token),
        key: Some(&key),
        nonces: None,
        now: UnixTime::new(NOW),
    };
    assert!(Proof::verify(&proof, &expected).is_ok());
}

#[test]
fn a_proof_is_accepted_five_minutes_before_and_after_its_time() {
    for (iat, accepted) in [
        (NOW - 301, false),
        (NOW - 300, true),
        (NOW, true),
        (NOW + 300, true),
        (NOW + 301, false),
    ] {
        let claims = with_members(claims(), json!({ "iat": iat }));
        let found = verify(&signed(&P256, "ES256", &claims));
        let expected = Err(ProofFault::IssuedAt(UnixTime::new(iat)));
        assert_eq!(found.is_ok(), accepted, "{iat}");
        assert!(accepted || found == expected, "{iat}");
    }
}

#[test]
fn all_but_the_signature_is_checked_before_it() {
    let token = ath();
    let own = verify(&signed(&P256, "ES256", &claims())).unwrap().key;
    let expected = Expected {
        method: "POST",
        uri: URI,
        token: Some(&token),
        key: Some(&own),
        nonces: None,
        now: UnixTime::new(NOW),
    };
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(&P256) });
    let forged = KeyPair::p256().token("ES256", &header.to_string(), &claims().to_string());
    let unsigned = Unsigned::read(&forged, &expected);
    let judged = unsigned.map(Unsigned::verify);
    assert_eq!(judged, Ok(Err(ProofFault::Signature)));
    let other = signed(&KeyPair::p256(), "ES256", &claims());
    let unsigned = Unsigned::read(&other, &expected).map(drop);
    assert_eq!(unsigned, Err(ProofFault::OtherKey));
}

#[test]
fn a_proof_without_a_token_needs_no_digest_of_one() {
    let claims = with_members(claims(), json!({ "ath": null }));
    let claims = with_members(claims, json!({ "htm": "POST" }));
    let proof = signed(&P256, "ES256", &claims);
    assert_eq!(verify(&proof), Err(ProofFault::Member("ath")));
    assert!(verify_for(&proof, |expected| expected.token = None).is_ok());
}

#[test]
fn a_private_key_in_a_proof_is_never_accepted() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let mut key = jwk(&P256);
        key[member] = json!("AQAB");
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key });
        let proof = P256.token("ES256", &header.to_string(), &claims().to_string());
        let expected = Err(ProofFault::Key(KeyRejection::Private));
        assert_eq!(verify(&proof), expected, "{member}");
    }
}

#[test]
fn each_algorithm_that_is_announced_is_accepted_and_no_other() {
    let named = PROOF_ALGORITHMS.map(|name| Algorithm::parse(name).unwrap());
    assert!(Algorithm::ALL.iter().all(|own| named.contains(own)));
}
