//! Answers of introspection endpoints with one or two members replaced, removed or added, or one byte changed: the same on every run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};
use test_support::fixtures::{NOW, RESOURCE};

/// How many answers are generated.
const GENERATED: usize = 10_000;

/// Members that endpoints answer with.
const NAMES: &[&str] = &[
    "active",
    "aud",
    "iss",
    "sub",
    "client_id",
    "scope",
    "exp",
    "nbf",
    "iat",
    "token_type",
    "cnf",
    "azp",
    "username",
    "app",
    "user",
    "scopes",
    "expires_at",
    "expires_in",
    "nonce",
    "typ",
];

/// Texts that are put into the place of others.
const ODD: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "9223372036854775807",
    "\"\"",
    "\"true\"",
    "[]",
    "{}",
    "[true]",
    "\"ours\"",
    "\"https://issuer.example\"",
    "[\"https://mcp.example.com/mcp\",7]",
    "[\"https://mcp.example.com/mcp\"]",
    "\"https://mcp.example.com/mcp\"",
    "\"2099-01-01T00:00:00Z\"",
    "\"\\ud800\"",
    "\"a\\n\\u202eb\\u0000\"",
    "\"s3cret/9f2a.7c\"",
    "{\"jkt\":\"a\"}",
    "{\"client_id\":\"other\"}",
    "{\"id\":-7,\"login\":\"a\"}",
];

/// A good answer of each kind of endpoint.
fn seeds() -> [Value; 3] {
    [
        json!({
            "active": true, "iss": "https://issuer.example", "aud": RESOURCE, "sub": "alice", "client_id": "mcp",
            "scope": "mcp:read", "iat": NOW, "exp": NOW + 600, "token_type": "Bearer",
        }),
        json!({
            "aud": "ours", "azp": "ours", "sub": "7", "scope": "openid", "exp": (NOW + 600).to_string(), "email_verified": "true",
        }),
        json!({
            "app": { "client_id": "ours" }, "user": { "id": 7, "login": "alice" }, "scopes": ["repo"], "expires_at": null,
        }),
    ]
}

#[test]
fn good_answers_are_accepted_and_none_without_what_makes_them_good() {
    for (seed, required) in seeds().into_iter().zip([
        &["active", "aud"][..],
        &["aud", "sub", "exp"],
        &["app", "user"],
    ]) {
        let takes =
            |answer: &Value| properties::takes_introspection_answer(answer.to_string().as_bytes());
        assert!(takes(&seed), "{seed}");
        for name in required {
            let mut without = seed.clone();
            without.as_object_mut().unwrap().remove(*name);
            assert!(!takes(&without), "{without}");
        }
    }
}

#[test]
fn an_answer_that_was_changed_is_judged_as_other_parsers_read_it() {
    let mut state = 13_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let (seeds, mut accepted) = (seeds(), 0);
    for _ in 0..GENERATED {
        let seed = seeds[below(seeds.len())].as_object().unwrap();
        let members = seed
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()));
        let mut members: Vec<(String, String)> = members.collect();
        for _ in 0..=below(2) {
            let (at, odd) = (below(members.len()), ODD[below(ODD.len())].to_owned());
            match below(4) {
                0 if members.len() > 1 => drop(members.remove(at)),
                1 => members.push((NAMES[below(NAMES.len())].to_owned(), odd)),
                _ => members[at].1 = odd,
            }
        }
        let members = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let mut text = format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes();
        if below(8) == 0 {
            let at = below(text.len());
            text[at] = text[at].wrapping_add(1);
        }
        properties::introspection_answer(&text);
        accepted += usize::from(properties::takes_introspection_answer(&text));
    }
    // Some changes matter, and some do not.
    assert!(
        (GENERATED / 50..GENERATED * 4 / 5).contains(&accepted),
        "{accepted}"
    );
}
