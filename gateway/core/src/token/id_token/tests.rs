use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use test_support::fixtures::NOW;
use test_support::{KeyPair, OTHER_RSA, P256, RSA, jwk_set, with_members};

use super::*;
use crate::token::bearer::BearerToken;
use crate::token::claim_path::ClaimPath;

const ISSUER: &str = "https://login.example";

const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"rsa"}"#;

/// What we expect: `nonce` for a sign-in, none for a refresh.
fn expected(nonce: Option<&'static str>) -> ExpectedIdToken<'static> {
    ExpectedIdToken {
        client_id: "us",
        nonce,
        access_token: Some("the access token"),
    }
}

fn profile() -> IssuerProfile {
    IssuerProfile {
        token_types: vec![String::new(), "jwt".to_owned()],
        scope_claims: Vec::new(),
        client_claims: Vec::new(),
        ..IssuerProfile::new(ISSUER)
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "us", "sub": "1", "nonce": "n", "iat": NOW, "exp": NOW + 600 })
}

fn verified(
    token: &str,
    profile: &IssuerProfile,
    expected: &ExpectedIdToken<'_>,
) -> Result<IdToken, IdTokenFault> {
    let keys = [RSA.jwk("rsa"), P256.jwk("p256")];
    let keys = KeySet::parse(jwk_set(&keys).to_string().as_bytes()).unwrap();
    let token = BearerToken::parse(token, 64 * 1024).unwrap();
    let token = Unverified::parse(&token)?;
    verify(&token, profile, &keys.keys, expected, UnixTime::new(NOW))
}

fn signed(header: &str, changes: Value) -> String {
    RSA.token(
        "RS256",
        header,
        &with_members(claims(), changes).to_string(),
    )
}

fn fault(changes: Value) -> Option<IdTokenFault> {
    let token = signed(HEADER, changes);
    verified(&token, &profile(), &expected(Some("n"))).err()
}

#[test]
fn a_good_id_token_names_the_account() {
    let token = signed(HEADER, json!({ "email": "a@b" }));
    let found = verified(&token, &profile(), &expected(Some("n"))).unwrap();
    assert_eq!((&*found.issuer, &*found.subject), (ISSUER, "1"));
    let email = found.claims.text(&ClaimPath::named("email"));
    assert_eq!(email.as_deref(), Some("a@b"));
}

#[test]
fn what_is_unusual_and_harmless_is_accepted() {
    for changes in [
        json!({ "aud": ["us"] }),
        json!({ "azp": "us" }),
        json!({ "aud": ["us", "other"], "azp": "us" }),
        json!({ "typ": "ID" }),
        json!({ "token_use": "id" }),
        json!({ "c_hash": "x", "sid": "y", "auth_time": NOW }),
        json!({ "iat": NOW + 29 }),
        json!({ "scope": 7, "client_id": ["x"] }),
    ] {
        assert_eq!(fault(changes.clone()), None, "{changes}");
    }
    let untyped = signed(r#"{"alg":"RS256","kid":"rsa"}"#, json!({}));
    assert!(verified(&untyped, &profile(), &expected(Some("n"))).is_ok());
}

#[test]
fn every_other_id_token_is_refused_for_its_own_reason() {
    use IdTokenFault::{AccessTokenHash, AuthorizedParty, Kind, Nonce, Token};
    for (changes, reason) in [
        (
            json!({ "iss": "https://login.example/" }),
            Token(Reason::WrongIssuer),
        ),
        (
            json!({ "iss": "https://evil.example" }),
            Token(Reason::WrongIssuer),
        ),
        (json!({ "aud": "other" }), Token(Reason::WrongAudience)),
        (json!({ "aud": [] }), Token(Reason::WrongAudience)),
        (json!({ "aud": null }), Token(Reason::MissingClaim)),
        (json!({ "aud": "US" }), Token(Reason::WrongAudience)),
        (json!({ "aud": ["us", "other"] }), AuthorizedParty),
        (json!({ "azp": "other" }), AuthorizedParty),
        (json!({ "azp": ["us"] }), AuthorizedParty),
        (
            json!({ "aud": ["us", "other"], "azp": "other" }),
            AuthorizedParty,
        ),
        (json!({ "nonce": null }), Nonce),
        (json!({ "nonce": "other" }), Nonce),
        (json!({ "nonce": "" }), Nonce),
        (json!({ "nonce": ["n"] }), Nonce),
        (json!({ "iat": null }), Token(Reason::MissingClaim)),
        (json!({ "iat": NOW + 31 }), Token(Reason::NotYetValid)),
        (json!({ "nbf": NOW + 31 }), Token(Reason::NotYetValid)),
        (json!({ "exp": NOW - 30 }), Token(Reason::Expired)),
        (json!({ "exp": null }), Token(Reason::MissingClaim)),
        (json!({ "exp": "soon" }), Token(Reason::MalformedToken)),
        (
            json!({ "exp": NOW + 40 * 24 * 3600 }),
            Token(Reason::LifetimeTooLong),
        ),
        (json!({ "sub": null }), Token(Reason::MissingClaim)),
        (json!({ "sub": "" }), Token(Reason::MissingClaim)),
        (json!({ "sub": 1 }), Token(Reason::MalformedToken)),
        (json!({ "typ": "Bearer" }), Kind),
        (json!({ "typ": "Refresh" }), Kind),
        (json!({ "typ": "Logout" }), Kind),
        (json!({ "token_use": "access" }), Kind),
        (json!({ "at_hash": "AAAA" }), AccessTokenHash),
        (json!({ "at_hash": 1 }), AccessTokenHash),
    ] {
        assert_eq!(fault(changes.clone()), Some(reason), "{changes}");
    }
}

#[test]
fn header_and_signature_are_judged_as_those_of_access_tokens() {
    let text = claims().to_string();
    for (token, reason) in [
        (
            RSA.token(
                "RS256",
                r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa"}"#,
                &text,
            ),
            Reason::WrongTokenType,
        ),
        (
            RSA.token("RS256", r#"{"alg":"none","kid":"rsa"}"#, &text),
            Reason::AlgNotAllowed,
        ),
        (
            RSA.token("RS256", r#"{"alg":"HS256","kid":"rsa"}"#, &text),
            Reason::AlgNotAllowed,
        ),
        (
            RSA.token("RS256", r#"{"alg":"RS256","kid":"gone"}"#, &text),
            Reason::UnknownKey,
        ),
        (
            RSA.token("RS256", r#"{"alg":"RS256","kid":"p256"}"#, &text),
            Reason::AlgKeyMismatch,
        ),
        (
            OTHER_RSA.token("RS256", HEADER, &text),
            Reason::BadSignature,
        ),
        (
            RSA.token(
                "RS256",
                r#"{"alg":"RS256","kid":"rsa","jku":"https://evil.example"}"#,
                &text,
            ),
            Reason::HeaderNotAllowed,
        ),
    ] {
        let found = verified(&token, &profile(), &expected(Some("n"))).err();
        assert_eq!(found, Some(IdTokenFault::Token(reason)), "{token}");
    }
}

#[test]
fn the_hash_of_the_access_token_has_the_size_of_the_algorithm() {
    for algorithm in Algorithm::ALL {
        let hash = digest::digest(hash_of(algorithm), b"the access token");
        let half = &hash.as_ref()[..hash.as_ref().len() / 2];
        let text = with_members(claims(), json!({ "at_hash": URL_SAFE_NO_PAD.encode(half) }));
        let key = KeyPair::for_algorithm(algorithm.as_str());
        let header = json!({ "alg": algorithm.as_str(), "kid": "key" }).to_string();
        let token = key.token(algorithm.as_str(), &header, &text.to_string());
        let keys = KeySet::parse(jwk_set(&[key.jwk("key")]).to_string().as_bytes()).unwrap();
        let token = BearerToken::parse(&token, 64 * 1024).unwrap();
        let token = Unverified::parse(&token).unwrap();
        let judge = |access_token| {
            let expected = ExpectedIdToken {
                access_token,
                ..expected(Some("n"))
            };
            verify(
                &token,
                &profile(),
                &keys.keys,
                &expected,
                UnixTime::new(NOW),
            )
            .err()
        };
        assert_eq!(judge(Some("the access token")), None, "{algorithm}");
        assert_eq!(
            judge(Some("another")),
            Some(IdTokenFault::AccessTokenHash),
            "{algorithm}"
        );
        assert_eq!(judge(None), None, "{algorithm}");
    }
}

#[test]
fn the_id_token_of_a_refresh_may_have_no_nonce() {
    let token = signed(HEADER, json!({ "nonce": null }));
    assert!(verified(&token, &profile(), &expected(None)).is_ok());
}

#[test]
fn with_tenants_the_account_belongs_to_the_tenant_of_the_issuer() {
    let tenant = "aaaaaaaa-0000-4000-8000-00000000000a";
    let profile = IssuerProfile {
        tenant: Some(tenant.into()),
        subject_claim: ClaimPath::named("oid"),
        ..profile()
    };
    let judge = |changes| verified(&signed(HEADER, changes), &profile, &expected(Some("n")));
    let found = judge(json!({ "tid": tenant, "oid": "o" })).unwrap();
    assert_eq!(found.subject, "o");
    for (changes, reason) in [
        (json!({ "oid": "o" }), Reason::MissingClaim),
        (
            json!({ "tid": "bbbbbbbb-0000-4000-8000-00000000000b", "oid": "o" }),
            Reason::WrongTenant,
        ),
        (json!({ "tid": tenant }), Reason::MissingClaim),
    ] {
        assert_eq!(
            judge(changes.clone()).err(),
            Some(IdTokenFault::Token(reason)),
            "{changes}"
        );
    }
}
