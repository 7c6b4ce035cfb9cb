use serde_json::{Value, json};
use test_support::{ED25519, OTHER_RSA, P256, P384, RSA, base64url, base64url_decode, jwk_set};

use super::*;

fn parse(keys: &[Value]) -> ParsedKeySet {
    KeySet::parse(jwk_set(keys).to_string().as_bytes()).unwrap()
}

/// Why this key is left out. A usable key next to it must still be found.
fn rejection(key: Value) -> Option<KeyRejection> {
    let parsed = parse(&[P256.jwk("good"), key]);
    assert!(
        parsed
            .keys
            .find(Some("good"), Algorithm::Es256, &[])
            .is_ok()
    );
    assert_eq!(parsed.keys.len() + parsed.rejected.len(), 2);
    parsed.rejected.first().map(|rejected| rejected.reason)
}

fn rsa_of(bytes: usize, first: u8, last: u8, exponent: &[u8]) -> Value {
    let mut modulus = vec![0xa5; bytes];
    modulus[0] = first;
    modulus[bytes - 1] = last;
    json!({ "kty": "RSA", "kid": "k", "n": base64url(modulus), "e": base64url(exponent) })
}

fn edwards(point: [u8; 32]) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(point) })
}

#[test]
fn each_key_is_checked_by_itself_and_usable_keys_stay_in_use() {
    use KeyRejection::{
        Algorithm, InvalidKey, NotForSignatures, Private, Symmetric, UnknownCurve, UnknownType,
        WeakKey,
    };
    let f4: &[u8] = &[1, 0, 1];
    let x = P256.jwk("k")["x"].clone();
    for (case, key, expected) in [
        ("RSA", RSA.jwk("k"), None),
        (
            "RSA for signatures",
            RSA.jwk_with(
                "k",
                json!({ "use": "sig", "alg": "PS256", "key_ops": ["verify"] }),
            ),
            None,
        ),
        ("P-384", P384.jwk("k"), None),
        (
            "Ed25519",
            ED25519.jwk_with("k", json!({ "alg": "EdDSA" })),
            None,
        ),
        (
            "Ed25519 by its newer name",
            ED25519.jwk_with("k", json!({ "alg": "Ed25519" })),
            None,
        ),
        (
            "without an id",
            RSA.jwk_with("k", json!({ "kid": null })),
            None,
        ),
        (
            "unknown members",
            RSA.jwk_with("k", json!({ "x5c": ["a"], "exp": 1, "ext": true })),
            None,
        ),
        // 19: weak, malformed.
        ("RSA of 512 bits", rsa_of(64, 0x80, 1, f4), Some(WeakKey)),
        ("RSA of 1024 bits", rsa_of(128, 0x80, 1, f4), Some(WeakKey)),
        ("RSA of 2047 bits", rsa_of(256, 0x7f, 1, f4), Some(WeakKey)),
        ("RSA of 2048 bits", rsa_of(256, 0x80, 1, f4), None),
        ("RSA of 8192 bits", rsa_of(1024, 0x80, 1, f4), None),
        ("RSA of 8193 bits", rsa_of(1025, 0x01, 1, f4), Some(WeakKey)),
        ("an even modulus", rsa_of(256, 0x80, 2, f4), Some(WeakKey)),
        ("exponent 1", rsa_of(256, 0x80, 1, &[1]), Some(WeakKey)),
        ("exponent 3", rsa_of(256, 0x80, 1, &[3]), Some(WeakKey)),
        (
            "an even exponent",
            rsa_of(256, 0x80, 1, &[1, 0, 2]),
            Some(WeakKey),
        ),
        ("exponent 0", rsa_of(256, 0x80, 1, &[0]), Some(WeakKey)),
        (
            "an exponent of 33 bits",
            rsa_of(256, 0x80, 1, &[1, 0, 0, 0, 1]),
            None,
        ),
        (
            "an exponent of 34 bits",
            rsa_of(256, 0x80, 1, &[2, 0, 0, 0, 1]),
            Some(WeakKey),
        ),
        (
            "an exponent of 72 bits",
            rsa_of(256, 0x80, 1, &[1, 0, 0, 0, 0, 0, 0, 0, 1]),
            Some(WeakKey),
        ),
        (
            "an empty modulus",
            RSA.jwk_with("k", json!({ "n": "" })),
            Some(WeakKey),
        ),
        (
            "no modulus",
            RSA.jwk_with("k", json!({ "n": null })),
            Some(InvalidKey),
        ),
        (
            "a padded exponent",
            RSA.jwk_with("k", json!({ "e": "AQAB====" })),
            Some(InvalidKey),
        ),
        (
            "a point off its curve",
            P256.jwk_with("k", json!({ "y": x })),
            Some(InvalidKey),
        ),
        (
            "the point at zero",
            P256.jwk_with(
                "k",
                json!({ "x": base64url([0; 32]), "y": base64url([0; 32]) }),
            ),
            Some(InvalidKey),
        ),
        (
            "a coordinate too short",
            P256.jwk_with("k", json!({ "x": base64url([1; 31]) })),
            Some(InvalidKey),
        ),
        (
            "a coordinate too long",
            P256.jwk_with("k", json!({ "x": base64url([0; 33]) })),
            Some(InvalidKey),
        ),
        (
            "P-256 called P-384",
            P256.jwk_with("k", json!({ "crv": "P-384" })),
            Some(InvalidKey),
        ),
        (
            "an Edwards point too short",
            ED25519.jwk_with("k", json!({ "x": "AAAA" })),
            Some(InvalidKey),
        ),
        (
            "no type",
            RSA.jwk_with("k", json!({ "kty": null })),
            Some(InvalidKey),
        ),
        (
            "a numeric type",
            RSA.jwk_with("k", json!({ "kty": 1 })),
            Some(InvalidKey),
        ),
        (
            "a numeric id",
            RSA.jwk_with("k", json!({ "kid": 1 })),
            Some(InvalidKey),
        ),
        (
            "an id too long",
            RSA.jwk(&"k".repeat(1025)),
            Some(InvalidKey),
        ),
        ("not an object", json!("key"), Some(InvalidKey)),
        // 20, 21: secrets.
        (
            "oct",
            json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
            Some(Symmetric),
        ),
        (
            "a private RSA key",
            RSA.jwk_with("k", json!({ "d": "AQAB" })),
            Some(Private),
        ),
        (
            "an RSA key with a private prime",
            RSA.jwk_with("k", json!({ "p": "AQAB" })),
            Some(Private),
        ),
        (
            "a private EC key",
            P256.jwk_with("k", json!({ "d": "AQAB" })),
            Some(Private),
        ),
        (
            "a private Edwards key",
            ED25519.jwk_with("k", json!({ "d": "AQAB" })),
            Some(Private),
        ),
        // 22: unknown.
        (
            "AKP",
            json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
            Some(UnknownType),
        ),
        (
            "secp256k1",
            P256.jwk_with("k", json!({ "crv": "secp256k1" })),
            Some(UnknownCurve),
        ),
        (
            "P-521",
            P256.jwk_with("k", json!({ "crv": "P-521" })),
            Some(UnknownCurve),
        ),
        (
            "Ed448",
            ED25519.jwk_with("k", json!({ "crv": "Ed448" })),
            Some(UnknownCurve),
        ),
        (
            "X25519",
            ED25519.jwk_with("k", json!({ "crv": "X25519" })),
            Some(UnknownCurve),
        ),
        (
            "an Edwards curve of type EC",
            ED25519.jwk_with("k", json!({ "kty": "EC" })),
            Some(UnknownCurve),
        ),
        // 23: for another purpose.
        (
            "for encryption",
            RSA.jwk_with("k", json!({ "use": "enc", "alg": "RSA-OAEP" })),
            Some(NotForSignatures),
        ),
        (
            "for signing only",
            RSA.jwk_with("k", json!({ "key_ops": ["sign"] })),
            Some(NotForSignatures),
        ),
        (
            "for nothing",
            RSA.jwk_with("k", json!({ "key_ops": [] })),
            Some(NotForSignatures),
        ),
        (
            "encryption's algorithm",
            RSA.jwk_with("k", json!({ "alg": "RSA-OAEP" })),
            Some(Algorithm),
        ),
        (
            "a symmetric algorithm",
            RSA.jwk_with("k", json!({ "alg": "HS256" })),
            Some(Algorithm),
        ),
        (
            "another type's algorithm",
            RSA.jwk_with("k", json!({ "alg": "ES256" })),
            Some(Algorithm),
        ),
        (
            "another curve's algorithm",
            P256.jwk_with("k", json!({ "alg": "ES384" })),
            Some(Algorithm),
        ),
    ] {
        assert_eq!(rejection(key), expected, "{case}");
    }
}

/// Some issuers write every member that their library knows.
#[test]
fn an_optional_member_that_is_null_is_absent_and_a_required_one_is_missing() {
    let optional = [
        "kid", "alg", "use", "key_ops", "x5c", "x5u", "x5t", "x5t#S256", "d", "p", "q", "dp", "dq",
        "qi", "oth", "k", "exp", "ext",
    ];
    for pair in [&RSA, &P256, &P384, &ED25519] {
        let mut all = pair.jwk("k");
        for name in optional {
            let mut key = pair.jwk("k");
            key[name] = Value::Null;
            assert_eq!(rejection(key), None, "{name}");
            all[name] = Value::Null;
        }
        assert_eq!(rejection(all), None);
        for name in ["kty", "crv", "n", "e", "x", "y"] {
            let mut key = pair.jwk("k");
            if key.get(name).is_some() {
                key[name] = Value::Null;
                assert_eq!(rejection(key), Some(KeyRejection::InvalidKey), "{name}");
            }
        }
    }
    let mut private = RSA.jwk("k");
    (private["d"], private["p"]) = (Value::Null, json!("AQAB"));
    assert_eq!(rejection(private), Some(KeyRejection::Private));
}

#[test]
fn edwards_points_of_small_order_are_weak_with_either_sign() {
    let hex = |text: &str| -> [u8; 32] {
        let bytes = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap());
        bytes.collect::<Vec<_>>().try_into().unwrap()
    };
    for text in [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        let mut point = hex(text);
        assert_eq!(
            rejection(edwards(point)),
            Some(KeyRejection::WeakKey),
            "{text}"
        );
        point[31] |= 0x80;
        assert_eq!(
            rejection(edwards(point)),
            Some(KeyRejection::WeakKey),
            "{text}, other sign"
        );
        point[15] ^= 0x10;
        assert_eq!(rejection(edwards(point)), None, "{text}, another point");
    }
}

#[test]
fn leading_zero_octets_of_a_number_do_not_change_the_key() {
    let plain = RSA.jwk("k");
    let n = base64url_decode(plain["n"].as_str().unwrap());
    let padded = RSA.jwk_with("k", json!({ "n": base64url([vec![0], n].concat()) }));
    let parsed = parse(&[plain, padded]);
    assert_eq!((parsed.keys.len(), parsed.rejected.len()), (1, 0));
}

#[test]
fn identical_keys_count_once_and_different_keys_with_one_id_are_left_out() {
    let labels = |keys: &[Value]| {
        let parsed = parse(keys);
        let rejected: Vec<_> = parsed
            .rejected
            .iter()
            .map(|rejected| rejected.reason.label())
            .collect();
        (parsed.keys.len(), rejected.join(" "))
    };
    let enc = json!({ "use": "enc" });
    for (case, keys, expected) in [
        ("identical", vec![RSA.jwk("a"), RSA.jwk("a")], (1, "")),
        (
            "different",
            vec![RSA.jwk("a"), OTHER_RSA.jwk("a"), P256.jwk("b")],
            (1, "duplicate_key_id duplicate_key_id"),
        ),
        (
            "one of them for encryption",
            vec![RSA.jwk("a"), OTHER_RSA.jwk_with("a", enc)],
            (1, "not_for_signatures"),
        ),
        (
            "of different types",
            vec![RSA.jwk("a"), P256.jwk("a")],
            (2, ""),
        ),
        (
            "of different algorithms",
            vec![
                RSA.jwk_with("a", json!({ "alg": "RS256" })),
                OTHER_RSA.jwk_with("a", json!({ "alg": "PS256" })),
            ],
            (2, ""),
        ),
        (
            "of one algorithm, named by one of them",
            vec![
                RSA.jwk_with("a", json!({ "alg": "RS256" })),
                OTHER_RSA.jwk("a"),
            ],
            (0, "duplicate_key_id duplicate_key_id"),
        ),
        (
            "different, without an id",
            vec![
                RSA.jwk_with("a", json!({ "kid": null })),
                OTHER_RSA.jwk_with("a", json!({ "kid": null })),
            ],
            (2, ""),
        ),
        (
            "one key, two ids",
            vec![RSA.jwk("a"), RSA.jwk("b")],
            (2, ""),
        ),
    ] {
        assert_eq!(labels(&keys), (expected.0, expected.1.to_owned()), "{case}");
    }
}

#[test]
fn a_key_is_found_by_id_and_algorithm() {
    let keys = parse(&[
        RSA.jwk("a"),
        P256.jwk("a"),
        P384.jwk_with("c", json!({ "kid": null })),
    ])
    .keys;
    assert!(
        keys.find(Some("a"), Algorithm::Rs256, &[])
            .unwrap()
            .serves(Algorithm::Ps512)
    );
    assert!(
        keys.find(Some("a"), Algorithm::Es256, &[])
            .unwrap()
            .serves(Algorithm::Es256)
    );
    assert!(keys.find(None, Algorithm::Es384, &[]).is_ok());
    let reason = |id, algorithm| keys.find(id, algorithm, &[]).err();
    assert_eq!(
        reason(Some("a"), Algorithm::EdDsa),
        Some(Reason::AlgKeyMismatch)
    );
    assert_eq!(
        reason(Some("c"), Algorithm::Es384),
        Some(Reason::UnknownKey)
    );
    assert_eq!(reason(None, Algorithm::EdDsa), Some(Reason::UnknownKey));
    assert_eq!(
        reason(Some("A"), Algorithm::Rs256),
        Some(Reason::UnknownKey)
    );
}

#[test]
fn sets_are_compared_by_their_keys() {
    let set = |keys: &[Value]| parse(keys).keys;
    let (old, turned) = (
        set(&[RSA.jwk("a"), P256.jwk("b")]),
        set(&[P256.jwk("b"), RSA.jwk("a")]),
    );
    let (added, removed) = (
        set(&[RSA.jwk("a"), P256.jwk("b"), P384.jwk("c")]),
        set(&[RSA.jwk("a")]),
    );
    let altered = set(&[OTHER_RSA.jwk("a"), P256.jwk("b")]);
    let narrowed = set(&[RSA.jwk_with("a", json!({ "alg": "RS256" })), P256.jwk("b")]);
    assert!(old.same_keys(&turned) && !old.same_keys(&added) && !old.same_keys(&removed));
    assert!(!old.removes_or_alters(&turned) && !old.removes_or_alters(&added));
    assert!(
        old.removes_or_alters(&removed)
            && old.removes_or_alters(&altered)
            && old.removes_or_alters(&narrowed)
    );
    assert!(
        old.removes_or_alters(&KeySet::default()) && !KeySet::default().removes_or_alters(&old)
    );
    assert!(KeySet::default().is_empty() && !old.is_empty());
}

#[test]
fn at_most_100_keys_are_read() {
    let mut keys: Vec<_> = (0..100)
        .map(|number| RSA.jwk(&number.to_string()))
        .collect();
    assert_eq!(parse(&keys).keys.len(), 100);
    assert!(parse(&keys).rejected.is_empty());
    keys.extend([P256.jwk("late"), P384.jwk("later")]);
    let parsed = parse(&keys);
    assert_eq!(parsed.keys.len(), 100);
    let too_many = RejectedKey {
        kid: None,
        reason: KeyRejection::TooMany,
    };
    assert_eq!(parsed.rejected, [too_many]);
}

#[test]
fn a_rejected_keys_id_is_escaped_and_short() {
    let rejected =
        parse(&[RSA.jwk_with(&format!("a\n{}", "k".repeat(100)), json!({ "use": "enc" }))])
            .rejected;
    let kid = rejected[0].kid.clone().unwrap();
    assert!(kid.starts_with("a\\nkkk") && kid.len() == 64, "{kid}");
}

#[test]
fn a_document_that_is_not_a_key_set_is_refused() {
    for text in [
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#""keys""#,
        r#"{"Keys":[]}"#,
    ] {
        assert_eq!(
            KeySet::parse(text.as_bytes()).unwrap_err(),
            KeySetError::NotAKeySet,
            "{text}"
        );
    }
    for text in [
        "",
        "<html>",
        r#"{"keys":["#,
        r#"{"keys":[]}x"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        assert!(
            matches!(KeySet::parse(text.as_bytes()), Err(KeySetError::Json(_))),
            "{text}"
        );
    }
    let empty = KeySet::parse(br#"{"keys":[]}"#).unwrap();
    assert!(empty.keys.is_empty() && empty.rejected.is_empty());
}

#[test]
fn every_rejection_has_a_label_of_its_own() {
    let labels: std::collections::HashSet<_> = KeyRejection::ALL
        .iter()
        .map(|reason| reason.label())
        .collect();
    assert_eq!(labels.len(), KeyRejection::ALL.len());
}

#[test]
fn a_key_that_names_an_issuer_verifies_only_its_tokens() {
    const TENANT: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
    let of_tenant = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let of_other = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    let issuers = [
        Arc::from(of_tenant.as_str()),
        "https://sts.windows.net/x/".into(),
    ];
    for (issuer, expected) in [
        (json!(null), Ok(())),
        (json!(template), Ok(())),
        (json!(of_tenant), Ok(())),
        (json!("https://sts.windows.net/x/"), Ok(())),
        (json!(of_other), Err(Reason::WrongKeyIssuer)),
        (json!(""), Err(Reason::WrongKeyIssuer)),
        (
            json!("https://login.microsoftonline.us/{tenantid}/v2.0"),
            Err(Reason::WrongKeyIssuer),
        ),
    ] {
        let keys = parse(&[P256.jwk_with("a", json!({ "issuer": issuer }))]).keys;
        let found = keys.find(Some("a"), Algorithm::Es256, &issuers);
        assert_eq!(found.map(drop), expected, "{issuer}");
        let without_id = keys.find(None, Algorithm::Es256, &issuers);
        assert_eq!(without_id.is_ok(), expected.is_ok(), "{issuer}");
    }
    for unreadable in [json!(1), json!([template]), json!({})] {
        let parsed = parse(&[P256.jwk_with("a", json!({ "issuer": unreadable }))]);
        assert!(parsed.keys.is_empty(), "{unreadable}");
    }
}
