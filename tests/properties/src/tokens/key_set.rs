//! Key sets: each key is checked by itself, and a key that can sign or is not for signatures does not serve.

use mcp_gateway_core::token::key_set::{KeyRejection, KeySet};
use serde_json::value::RawValue;

use crate::oracle::{self, Members};

/// Any document from the URL of the keys.
pub fn key_set(document: &[u8]) {
    let Ok(parsed) = KeySet::parse(document) else {
        return;
    };
    assert!(
        oracle::is_strict(document, 64, 10_000),
        "an ambiguous document"
    );
    let members = Members::of(std::str::from_utf8(document).unwrap()).expect("an object");
    let list: Vec<Box<RawValue>> =
        serde_json::from_str(members.get("keys").expect("keys")).expect("an array");
    let serving = list
        .iter()
        .take(100)
        .filter(|key| serves(key.get()))
        .count();
    let doubled = |rejection: &KeyRejection| *rejection == KeyRejection::DuplicateKeyId;
    let reasons: Vec<KeyRejection> = parsed.rejected.iter().map(|key| key.reason).collect();
    let doubles = reasons.iter().filter(|reason| doubled(reason)).count();
    assert!(
        parsed.keys.len() + doubles <= serving,
        "a key serves here that does not serve alone in a set"
    );
    assert_eq!(reasons.contains(&KeyRejection::TooMany), list.len() > 100);
    for key in &parsed.rejected {
        let printable = |kid: &String| {
            kid.len() <= 64
                && kid
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        };
        assert!(
            key.kid.as_ref().is_none_or(printable),
            "{:?} in a log",
            key.kid
        );
    }
    order_does_not_matter(&list, &parsed.keys);
}

/// Whether a key serves alone in a set; if so, the key must agree.
fn serves(key: &str) -> bool {
    let parsed = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).expect("a set");
    assert_eq!(
        parsed.keys.len() + parsed.rejected.len(),
        1,
        "one key, one result"
    );
    if parsed.keys.is_empty() {
        return false;
    }
    let members = Members::of(key).expect("an object");
    let kty = members.text("kty").expect("a type");
    assert!(["RSA", "EC", "OKP"].contains(&kty.as_str()), "{kty} serves");
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert!(
            members.given(private).is_none() || private == "k",
            "{private} is published"
        );
    }
    assert!(members.given("use").is_none() || members.text("use").as_deref() == Some("sig"));
    let operations = members
        .given("key_ops")
        .map(serde_json::from_str::<Vec<serde_json::Value>>);
    let verifies =
        |operations: Vec<serde_json::Value>| operations.iter().any(|one| one == "verify");
    assert!(operations.is_none_or(|operations| operations.is_ok_and(verifies)));
    true
}

fn order_does_not_matter(list: &[Box<RawValue>], keys: &KeySet) {
    assert!(keys.same_keys(keys) && !keys.removes_or_alters(keys));
    if list.len() > 100 {
        return;
    }
    let reversed: Vec<&str> = list.iter().rev().map(|key| key.get()).collect();
    let reversed = format!(r#"{{"keys":[{}]}}"#, reversed.join(","));
    let reversed = KeySet::parse(reversed.as_bytes()).expect("a set").keys;
    assert!(keys.same_keys(&reversed), "another order gives other keys");
}
