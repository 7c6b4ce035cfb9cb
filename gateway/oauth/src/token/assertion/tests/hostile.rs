//! Identity assertions that are hostile, forged, or other tokens of the issuer.

use test_support::base64url;

use super::*;
use crate::token::testing::OTHER_RESOURCE;

#[test]
fn a_hostile_assertion_is_refused_and_changes_nothing() {
    use TokenError::{AssertionNotValid, AssertionOfAnotherClient, AssertionUnknown};
    let now = NOW.secs();
    for (changes, expected) in [
        // A claim that is missing.
        (json!({ "iss": null }), AssertionNotValid),
        (json!({ "sub": null }), AssertionNotValid),
        (json!({ "aud": null }), AssertionNotValid),
        (json!({ "exp": null }), AssertionNotValid),
        (json!({ "iat": null }), AssertionNotValid),
        (json!({ "jti": null }), AssertionNotValid),
        (json!({ "resource": null }), AssertionNotValid),
        (json!({ "client_id": null }), AssertionOfAnotherClient),
        // A claim of another type.
        (json!({ "iss": [IDP] }), AssertionNotValid),
        (json!({ "sub": 7 }), AssertionUnknown),
        (json!({ "sub": "" }), AssertionNotValid),
        (json!({ "aud": { "a": OWN } }), AssertionNotValid),
        (json!({ "exp": (now + 60).to_string() }), AssertionUnknown),
        (json!({ "exp": -1 }), AssertionUnknown),
        (json!({ "iat": "now" }), AssertionUnknown),
        (json!({ "jti": 7 }), AssertionNotValid),
        (json!({ "jti": "" }), AssertionNotValid),
        (json!({ "jti": "x".repeat(257) }), AssertionNotValid),
        (json!({ "client_id": ["console"] }), AssertionUnknown),
        (json!({ "resource": 7 }), AssertionNotValid),
        (json!({ "resource": {} }), AssertionNotValid),
        (json!({ "scope": { "read": true } }), AssertionUnknown),
        // Another audience, or several.
        (json!({ "aud": "https://other.example" }), AssertionNotValid),
        (json!({ "aud": format!("{OWN}/") }), AssertionNotValid),
        (json!({ "aud": format!("{OWN}/token") }), AssertionNotValid),
        (json!({ "aud": "HTTPS://mcp.example" }), AssertionNotValid),
        (json!({ "aud": [OWN, OWN] }), AssertionNotValid),
        (
            json!({ "aud": [OWN, "https://other.example"] }),
            AssertionNotValid,
        ),
        (json!({ "aud": [] }), AssertionNotValid),
        (json!({ "aud": RESOURCE }), AssertionNotValid),
        // Another client, resource or issuer.
        (json!({ "client_id": "Console" }), AssertionOfAnotherClient),
        (
            json!({ "client_id": "other", "azp": "console" }),
            AssertionOfAnotherClient,
        ),
        (
            json!({ "resource": "https://mcp.example/absent" }),
            AssertionNotValid,
        ),
        (
            json!({ "resource": [RESOURCE, OTHER_RESOURCE] }),
            AssertionNotValid,
        ),
        (json!({ "resource": [] }), AssertionNotValid),
        (json!({ "resource": "" }), AssertionNotValid),
        (json!({ "iss": format!("{IDP}/") }), AssertionUnknown),
        (json!({ "iss": OWN }), AssertionUnknown),
        // Times.
        (json!({ "exp": now - 30 }), AssertionNotValid),
        (json!({ "exp": now + 321 }), AssertionNotValid),
        (json!({ "exp": now + 3600 }), AssertionNotValid),
        (
            json!({ "exp": now + 4000, "iat": now + 3900 }),
            AssertionNotValid,
        ),
        (json!({ "iat": now + 31 }), AssertionNotValid),
        (json!({ "nbf": now + 31 }), AssertionNotValid),
        // What an access token could not say.
        (json!({ "cnf": { "jkt": "k" } }), AssertionNotValid),
        (json!({ "authorization_details": [] }), AssertionNotValid),
        (json!({ "act": { "sub": "agent" } }), AssertionNotValid),
        (json!({ "may_act": {} }), AssertionNotValid),
        (json!({ "tenant": "t1" }), AssertionNotValid),
        (json!({ "aud_tenant": "t1" }), AssertionNotValid),
        // Another kind of token.
        (json!({ "events": {} }), AssertionNotValid),
        (json!({ "htm": "POST" }), AssertionNotValid),
    ] {
        let refused = present_new(&id_jag(changes.clone())).unwrap_err();
        assert_eq!(refused.error, expected, "{changes}: {refused:?}");
        assert!(!refused.found.is_empty(), "{changes}");
    }
}

#[test]
fn a_forged_assertion_is_refused() {
    let claims = id_jag_claims;
    let header = |changes| with(id_jag_header(), changes);
    let other = Key::es256("k1");
    let public = key().jwk();
    let good = id_jag(json!({}));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let changed = base64url(
        with(claims(), json!({ "sub": "U2" }))
            .to_string()
            .as_bytes(),
    );
    let twice = claims().to_string().replacen('{', r#"{"sub":"U2","#, 1);
    let none = base64url(header(json!({ "alg": "none" })).to_string().as_bytes());
    let cases = [
        (
            "another key under the same id",
            other.sign(&id_jag_header().to_string(), &claims().to_string()),
        ),
        (
            "an unknown key id",
            signed(header(json!({ "kid": "k2" })), claims()),
        ),
        (
            "a path as key id",
            signed(header(json!({ "kid": "../../k1" })), claims()),
        ),
        (
            "a number as key id",
            signed(header(json!({ "kid": 1 })), claims()),
        ),
        (
            "another algorithm",
            signed(header(json!({ "alg": "RS256" })), claims()),
        ),
        ("HMAC", signed(header(json!({ "alg": "HS256" })), claims())),
        ("unsigned", format!("{none}.{body}.")),
        (
            "unsigned with a signature",
            format!("{none}.{body}.{signature}"),
        ),
        ("other claims", format!("{head}.{changed}.{signature}")),
        ("no signature", format!("{head}.{body}.")),
        (
            "a claim twice",
            key().sign(&id_jag_header().to_string(), &twice),
        ),
        ("no claims", key().sign(&id_jag_header().to_string(), "[]")),
        ("padding", format!("{good}=")),
        ("a blank", format!(" {good}")),
        ("half", format!("{head}.{body}")),
        ("empty", String::new()),
        ("huge", id_jag(json!({ "x": "x".repeat(20_000) }))),
        ("not a token", "a".repeat(100)),
    ];
    for (name, token) in cases {
        let refused = present_new(&token).unwrap_err();
        assert_eq!(
            refused.error,
            TokenError::AssertionUnknown,
            "{name}: {refused:?}"
        );
    }
    for (name, changes) in [
        ("crit", json!({ "crit": ["exp"] })),
        ("jku", json!({ "jku": "https://evil.example/keys" })),
        ("x5u", json!({ "x5u": "https://evil.example/keys" })),
        ("jwk", json!({ "kid": "x", "jwk": public })),
    ] {
        let refused = present_new(&signed(header(changes), claims())).unwrap_err();
        assert_eq!(refused.error, TokenError::AssertionNotValid, "{name}");
    }
    assert!(present_new(&good).is_ok());
}

#[test]
fn no_other_token_of_the_issuer_is_taken_for_an_identity_assertion() {
    let trusted = TrustedIssuer {
        workloads: vec![rule("deploy", OWN, &[("sub", "U1")])],
        ..issuer()
    };
    for name in [
        "JWT",
        "at+jwt",
        "id-jag+jwt",
        "oauth-id-jag",
        "",
        "x/oauth-id-jag+jwt",
    ] {
        let token = signed(
            with(id_jag_header(), json!({ "typ": name })),
            id_jag_claims(),
        );
        assert_eq!(
            Kind::of(&claimed(&token).unwrap()),
            Kind::Workload,
            "{name}"
        );
    }
    // The assertion of a person is never accepted as that of a workload, whatever the rules say.
    let token = id_jag(json!({}));
    assert_eq!(Kind::of(&claimed(&token).unwrap()), Kind::IdJag);
    let profile = trusted.workload_profile();
    let audiences = trusted.workload_audiences();
    let taken = Vouched::verify(&token, ("corp", &profile), &known_keys(), &audiences, NOW);
    assert!(taken.is_err());
}
