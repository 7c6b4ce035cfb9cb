//! Each fault of a JWT fails its own check, and the gateway refuses the token for one of the reasons that the checks have.

use serde_json::{Value, json};
use test_support::fixtures::{self, NOW, RESOURCE, RS256_HEADER as HEADER};
use test_support::{OTHER_RSA, P256, RSA, base64url, jwk_set, with_members};

use super::super::check::Decision;
use super::*;
use crate::token::evidence::possession::Demand;
use crate::token::key_set::KeySet;
use crate::why::token::TokensOf;

/// A resource that accepts tokens of any sender alone.
const BEARER: Constraint = Constraint {
    dpop: Demand::Refuse,
    mutual_tls: Demand::Refuse,
};

const ISSUER: &str = "https://issuer.example/";

fn sign(header: &str, claims: &Value) -> String {
    RSA.token("RS256", header, &claims.to_string())
}

fn with(members: Value) -> String {
    sign(HEADER, &with_members(fixtures::claims(ISSUER), members))
}

fn with_header(members: Value) -> String {
    let header = serde_json::from_str(HEADER).unwrap();
    let header = with_members(header, members).to_string();
    sign(&header, &fixtures::claims(ISSUER))
}

/// The checks that do not pass, and the reason of the gateway.
fn explained(token: &str, has_keys: bool) -> (Vec<String>, Option<Reason>) {
    let jwks = [RSA.jwk("rsa"), P256.jwk("p256")];
    let keys = KeySet::parse(jwk_set(&jwks).to_string().as_bytes())
        .unwrap()
        .keys;
    let (profile, audience) = (IssuerProfile::new(ISSUER), [RESOURCE.to_owned()]);
    let now = UnixTime::new(NOW);
    let accepted = Accepted {
        tokens: TokensOf::Resource,
        issuers: vec![AcceptedIssuer {
            name: "corporate",
            profile: &profile,
            keys: has_keys.then_some(&keys),
        }],
        audience: &audience,
        now,
    };
    let bearer = BearerToken::parse(token, 16 * 1024).unwrap();
    let checks = of_jwt(&bearer, &accepted, &BEARER);
    let shown = format!("{checks:?}");
    let signature = token.rsplit('.').next().unwrap_or_default();
    assert!(
        signature.len() < 20 || !shown.contains(signature),
        "{shown}"
    );
    let says = |check: &Check| !check.found.is_empty() && !check.expected.is_empty();
    assert!(checks.iter().all(says), "{shown}");
    let unmet = checks.iter().filter_map(|check| match check.decision {
        Decision::Passed => None,
        Decision::Refused(reason) => Some(format!("{} {}", check.name, reason.label())),
        Decision::NotReached => Some(format!("{} -", check.name)),
    });
    let decided =
        Unverified::parse(&bearer).and_then(|token| token.verify(&profile, &keys, &audience, now));
    (unmet.collect(), decided.err())
}

#[test]
fn a_good_token_passes_every_check() {
    let none: [&str; 0] = [];
    let (unmet, decided) = explained(&with(json!({})), true);
    assert_eq!(
        (unmet.as_slice(), decided),
        (&none.map(str::to_owned)[..], None)
    );
}

#[test]
fn each_fault_fails_its_own_check() {
    let unsigned = format!(
        "{}.{}.",
        base64url(r#"{"alg":"none","typ":"at+jwt"}"#),
        base64url(fixtures::claims(ISSUER).to_string())
    );
    let other_key = OTHER_RSA.token("RS256", HEADER, &fixtures::claims(ISSUER).to_string());
    let foreign = with(json!({ "iss": "https://other.example/" }));
    let all_but_issuer = [
        "algorithm -",
        "header -",
        "type -",
        "key -",
        "signature -",
        "caller -",
        "expiry -",
        "start -",
        "lifetime -",
    ];
    for (token, expected) in [
        (
            with_header(json!({ "alg": "RS384" })),
            &["signature bad_signature"][..],
        ),
        (
            with_header(json!({ "jku": "https://a" })),
            &["header header_not_allowed"],
        ),
        (
            with_header(json!({ "typ": "JWT" })),
            &["type wrong_token_type"],
        ),
        (with(json!({ "nonce": "a" })), &["type wrong_token_type"]),
        (
            with_header(json!({ "kid": "unknown" })),
            &["key unknown_key", "signature -"],
        ),
        (
            with_header(json!({ "kid": "p256" })),
            &["key alg_key_mismatch", "signature -"],
        ),
        (other_key, &["signature bad_signature"]),
        (
            with(json!({ "aud": "https://other" })),
            &["audience wrong_audience"],
        ),
        (with(json!({ "aud": null })), &["audience missing_claim"]),
        (
            with(json!({ "cnf": { "jkt": "a" } })),
            &["binding sender_constrained"],
        ),
        (
            with(json!({ "sub": null })),
            &["caller missing_claim", "expiry -", "start -", "lifetime -"],
        ),
        (with(json!({ "exp": NOW - 60 })), &["expiry expired"]),
        (with(json!({ "nbf": NOW + 60 })), &["start not_yet_valid"]),
        (with(json!({ "iat": NOW + 60 })), &["start not_yet_valid"]),
        (
            with(json!({ "exp": NOW + 400 * 86_400 })),
            &["lifetime lifetime_too_long"],
        ),
        (
            with(json!({ "aud": "https://other", "exp": NOW - 60 })),
            &["audience wrong_audience", "expiry expired"],
        ),
        (
            foreign,
            &[&["issuer wrong_issuer"], &all_but_issuer[..]].concat(),
        ),
    ] {
        let (unmet, decided) = explained(&token, true);
        assert_eq!(unmet, expected, "{token}");
        let label = decided.expect("the gateway refuses it").label();
        let is_named = unmet
            .iter()
            .any(|unmet| unmet.ends_with(&format!(" {label}")));
        let is_foreign = decided == Some(Reason::WrongIssuer);
        assert!(is_named || is_foreign, "{unmet:?}: {label}");
    }
    // What could not be read at all has its check too.
    for (token, first) in [
        (unsigned, "algorithm alg_not_allowed"),
        ("a.b.c".to_owned(), "form malformed_token"),
        ("opaque".to_owned(), "form malformed_token"),
        (
            with_header(json!({ "crit": ["a"] })),
            "header header_not_allowed",
        ),
        (with(json!({ "iss": null })), "issuer missing_claim"),
    ] {
        let (unmet, decided) = explained(&token, true);
        assert!(unmet.contains(&first.to_owned()), "{token}: {unmet:?}");
        let refused = unmet.iter().filter(|unmet| !unmet.ends_with(" -")).count();
        assert_eq!(refused, 1, "{token}: {unmet:?}");
        let label = decided.expect("the gateway refuses it").label();
        assert!(first.ends_with(label), "{first}: {label}");
    }
}

#[test]
fn without_keys_everything_else_is_checked() {
    let token = with(json!({ "aud": "https://other" }));
    let (unmet, _) = explained(&token, false);
    assert_eq!(
        unmet,
        [
            "key keys_unavailable",
            "signature -",
            "audience wrong_audience"
        ]
    );
}
