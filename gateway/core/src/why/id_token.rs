//! Why an ID token of a provider is refused: the claim or header parameter, with the value found and the one expected. As for access
//! tokens, nothing here is verified, and neither token nor signature is shown.

use super::token::{self, Accepted, text_of, word_of};
use crate::json::{self, Object};
use crate::refusal::found::{Found, Listed};
use crate::token::claims::{KIND_CLAIMS, texts};
use crate::token::id_token::{ExpectedIdToken, IdTokenFault, KIND};
use crate::token::jose::base64url;

/// Why an ID token is refused, what was found in it and what is expected. `text` is the token.
pub fn refused(
    text: &str,
    fault: IdTokenFault,
    expected: &ExpectedIdToken<'_>,
    accepted: &Accepted<'_>,
) -> String {
    let found = match fault {
        IdTokenFault::Token(reason) => token::found(text, reason, accepted)
            .unwrap_or_else(|| reason.row().description.to_owned()),
        IdTokenFault::Kind => in_claims(text, kind),
        IdTokenFault::Nonce => in_claims(text, nonce),
        IdTokenFault::AuthorizedParty => {
            in_claims(text, |claims| party(claims, expected.client_id))
        }
        IdTokenFault::AccessTokenHash => in_claims(text, hash),
    };
    format!("{fault}: {found}")
}

fn in_claims(text: &str, found: impl FnOnce(&Object<'_>) -> String) -> String {
    let payload = text.split('.').nth(1).and_then(base64url);
    let payload = payload.unwrap_or_default();
    found(&json::object(&payload).unwrap_or_default())
}

fn kind(claims: &Object<'_>) -> String {
    let is_other = |name: &&&str| {
        let raw = claims.given(name);
        raw.is_some_and(|raw| json::string(raw).is_none_or(|kind| !kind.eq_ignore_ascii_case(KIND)))
    };
    let name = KIND_CLAIMS.iter().find(is_other).unwrap_or(&"typ");
    format!(
        "claim {name} {}; accepted: {KIND}, or no such claim",
        word_of(claims, name)
    )
}

/// Neither value is shown: they are of one sign-in alone.
fn nonce(claims: &Object<'_>) -> String {
    let found = match claims.given("nonce") {
        Some(_) => "another nonce",
        None => "no nonce",
    };
    format!("{found}; expected: the one that the browser left with")
}

fn party(claims: &Object<'_>, client_id: &str) -> String {
    let expected = Found(client_id);
    match claims.given("azp") {
        Some(_) => format!(
            "azp {}; expected: {expected} (client_id)",
            text_of(claims, "azp")
        ),
        None => {
            let audience = claims.get("aud").and_then(texts).unwrap_or_default();
            let audience = Listed(audience.iter().map(AsRef::as_ref));
            format!("no azp beside aud {audience}; expected: azp {expected} (client_id)")
        }
    }
}

fn hash(claims: &Object<'_>) -> String {
    format!(
        "at_hash {}; expected: that of the access token in the same answer, by the hash of alg",
        text_of(claims, "at_hash")
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use test_support::fixtures::NOW;
    use test_support::{RSA, jwk_set, with_members};

    use super::*;
    use crate::refusal::reason::Reason;
    use crate::time::UnixTime;
    use crate::token::bearer::BearerToken;
    use crate::token::claim_path::ClaimPath;
    use crate::token::id_token;
    use crate::token::issuer_profile::IssuerProfile;
    use crate::token::jwt::Unverified;
    use crate::token::key_set::KeySet;
    use crate::why::token::{AcceptedIssuer, TokensOf};

    const ISSUER: &str = "https://login.example/t/v2.0";

    /// The profile of a tenant of Entra, whose accounts are named by another claim than `sub`.
    fn profile() -> IssuerProfile {
        IssuerProfile {
            token_types: vec![String::new(), "jwt".to_owned()],
            scope_claims: Vec::new(),
            client_claims: Vec::new(),
            tenant: Some("t".into()),
            subject_claim: ClaimPath::named("oid"),
            ..IssuerProfile::new(ISSUER)
        }
    }

    /// What the operator reads about a token with this header and these changed claims.
    fn line(header: Value, changes: Value) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": "us", "sub": "1", "oid": "o", "tid": "t", "nonce": "n", "iat": NOW, "exp": NOW + 600,
        });
        let header = with_members(
            json!({ "alg": "RS256", "typ": "JWT", "kid": "rsa" }),
            header,
        );
        let claims = with_members(claims, changes);
        let text = RSA.token("RS256", &header.to_string(), &claims.to_string());
        line_of(&text)
    }

    fn line_of(text: &str) -> String {
        let keys = KeySet::parse(jwk_set(&[RSA.jwk("rsa")]).to_string().as_bytes()).unwrap();
        let (profile, now) = (profile(), UnixTime::new(NOW));
        let expected = ExpectedIdToken {
            client_id: "us",
            nonce: Some("n"),
            access_token: Some("the access token"),
        };
        let token = BearerToken::parse(text, 64 * 1024).unwrap();
        let fault = match Unverified::parse(&token) {
            Ok(token) if token.issuer() != ISSUER => Reason::WrongIssuer.into(),
            Ok(token) => {
                id_token::verify(&token, &profile, &keys.keys, &expected, now).unwrap_err()
            }
            Err(reason) => reason.into(),
        };
        let accepted = Accepted {
            tokens: TokensOf::Provider,
            issuers: vec![AcceptedIssuer {
                name: "corporate",
                profile: &profile,
                keys: Some(&keys.keys),
            }],
            audience: &["us".to_owned()],
            now,
        };
        refused(text, fault, &expected, &accepted)
    }

    #[test]
    fn each_line_names_the_claim_what_was_found_and_what_is_expected() {
        for (changes, expected) in [
            (
                json!({ "iss": "https://login.example/x/v2.0" }),
                "(wrong_issuer): iss `https://login.example/x/v2.0`; accepted: `https://login.example/t/v2.0` (issuer, tenants)",
            ),
            (
                json!({ "iss": null }),
                "(missing_claim): missing or empty: `iss`; required:",
            ),
            (
                json!({ "aud": "other" }),
                "(wrong_audience): aud `other`; accepted: `us` (client_id)",
            ),
            (
                json!({ "aud": null }),
                "(missing_claim): missing or empty: `aud`; required:",
            ),
            (
                json!({ "aud": ["us", "other"] }),
                "(azp): no azp beside aud `us`, `other`; expected: azp `us` (client_id)",
            ),
            (
                json!({ "azp": "other" }),
                "(azp): azp `other`; expected: `us` (client_id)",
            ),
            (
                json!({ "azp": 7 }),
                "(azp): azp `7`; expected: `us` (client_id)",
            ),
            (
                json!({ "nonce": null }),
                "(nonce): no nonce; expected: the one that the browser left with",
            ),
            (
                json!({ "nonce": "other" }),
                "(nonce): another nonce; expected",
            ),
            (
                json!({ "iat": null }),
                "(missing_claim): missing or empty: `iat`; required: `iss`, `aud`, `exp`, `oid`, `iat`, `tid`; the token has `aud`, `exp`, `iss`, ",
            ),
            (
                json!({ "iat": NOW + 3600 }),
                "(not_yet_valid): iat 1800003600 is in 1 h 0 min; allowed clock difference: 30 s",
            ),
            (json!({ "nbf": NOW + 3600 }), "(not_yet_valid): nbf"),
            (
                json!({ "exp": null }),
                "(missing_claim): missing or empty: `exp`;",
            ),
            (
                json!({ "exp": "soon" }),
                "(malformed_token): the claim exp is text, not a NumericDate",
            ),
            (
                json!({ "exp": NOW - 3600 }),
                "(expired): exp 1799996400 was 1 h 0 min ago; allowed clock difference: 30 s",
            ),
            (
                json!({ "exp": NOW + 40 * 86_400 }),
                "(lifetime_too_long): 40 d 0 h from iat to exp; the most are 31 d 0 h",
            ),
            (
                json!({ "oid": null }),
                "(missing_claim): missing or empty: `oid`;",
            ),
            (
                json!({ "oid": 7 }),
                "(malformed_token): oid in the payload is `7`, not text",
            ),
            (
                json!({ "oid": "x".repeat(1025) }),
                "(unusable_subject): the claim oid has 1025 bytes; the most are 1024",
            ),
            (
                json!({ "tid": "x" }),
                "(wrong_tenant): tid `x`; accepted: t, the tenant of iss (tenants)",
            ),
            (
                json!({ "typ": "Bearer" }),
                "(typ, token_use): claim typ `Bearer`; accepted: id, or no such claim",
            ),
            (
                json!({ "token_use": "access" }),
                "claim token_use `access`; accepted: id",
            ),
            (
                json!({ "at_hash": "AAAA" }),
                "(at_hash): at_hash `AAAA`; expected: that of the access token",
            ),
        ] {
            let found = line(json!({}), changes.clone());
            assert!(found.contains(expected), "{changes}: {found}");
        }
        for (header, expected) in [
            (
                json!({ "alg": "HS256" }),
                "(alg_not_allowed): alg `HS256`; accepted: `RS256`",
            ),
            (
                json!({ "alg": "none" }),
                "(alg_not_allowed): alg `none`; accepted: `RS256`",
            ),
            (
                json!({ "kid": "gone" }),
                "(unknown_key): kid `gone`, alg `RS256`; provider corporate has 1 usable key: `rsa`",
            ),
            (
                json!({ "typ": "at+jwt" }),
                "(wrong_token_type): typ `at+jwt`; accepted: `jwt`, or no typ",
            ),
            (
                json!({ "jku": "https://evil.example" }),
                "(header_not_allowed): parameter jku",
            ),
        ] {
            let found = line(header.clone(), json!({}));
            assert!(found.contains(expected), "{header}: {found}");
        }
    }

    #[test]
    fn no_line_names_a_key_that_providers_do_not_have_or_shows_the_token() {
        for changes in [
            json!({ "aud": "other" }),
            json!({ "iat": NOW + 3600 }),
            json!({ "oid": null }),
            json!({ "nonce": "a secret nonce" }),
        ] {
            let found = line(json!({}), changes.clone());
            for word in ["issuers.", "resources.", "a secret nonce"] {
                assert!(!found.contains(word), "{changes}: {found}");
            }
        }
        let signature = URL_SAFE_NO_PAD.encode("signature");
        for text in ["opaque", "a.b.c", &format!("e30.e30.{signature}")] {
            let found = line_of(text);
            assert!(found.contains("(malformed_token): "), "{found}");
            assert!(!found.contains(&signature), "{found}");
        }
    }
}
