use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use test_support::fixtures::{self, NOW, RESOURCE, RS256_HEADER as HEADER};
use test_support::{
    ED25519, KeyPair, OTHER_RSA, P256, P384, RSA, base64url, compact, hmac, jwk_set, with_members,
};

use super::*;
use crate::cel::kept_claims::ClaimNames;
use crate::principal::Principal;
use crate::scope_prefix::ScopePrefixes;
use crate::token::algorithm::Algorithm;
use crate::token::bearer::bearer;
use crate::token::claim_path::ClaimPath;
use crate::token::evidence::binding::Binding;

const ISSUER: &str = "https://issuer.example/";

/// What the gateway has when a token arrives.
struct Gateway {
    profile: IssuerProfile,
    keys: KeySet,
    audience: Vec<String>,
    now: i64,
}

impl Gateway {
    fn new() -> Self {
        let jwks = [
            RSA.jwk("rsa"),
            P256.jwk("p256"),
            P384.jwk("p384"),
            ED25519.jwk("ed"),
        ];
        Self {
            profile: IssuerProfile::new(ISSUER),
            keys: keys(&jwks),
            audience: vec![RESOURCE.to_owned()],
            now: NOW,
        }
    }

    fn verify(&self, token: &str) -> Result<Evidence, Reason> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").try_into().unwrap());
        let token = bearer(&headers, None, 8 * 1024)?;
        let token = Unverified::parse(&token)?;
        token.verify(
            &self.profile,
            &self.keys,
            &self.audience,
            UnixTime::new(self.now),
        )
    }

    fn refusal(&self, token: &str) -> Option<Reason> {
        self.verify(token).err()
    }
}

fn keys(jwks: &[Value]) -> KeySet {
    KeySet::parse(jwk_set(jwks).to_string().as_bytes())
        .unwrap()
        .keys
}

fn claims() -> Value {
    fixtures::claims(ISSUER)
}

fn sign(header: &str, claims: &str) -> String {
    RSA.token("RS256", header, claims)
}

/// A valid token with these claims changed; null removes a claim.
fn token_with(members: Value) -> String {
    sign(HEADER, &with_members(claims(), members).to_string())
}

/// A valid token in which this claim is null.
fn with_null(name: &str) -> String {
    let mut claims = claims();
    claims[name] = Value::Null;
    sign(HEADER, &claims.to_string())
}

#[test]
fn a_valid_token_of_every_algorithm_names_its_caller() {
    let gateway = Gateway::new();
    for algorithm in Algorithm::ALL {
        let key = KeyPair::for_algorithm(algorithm.as_str());
        let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": key.jwk("x")["crv"].as_str().map_or("rsa", |curve| match curve {
            "P-256" => "p256",
            "P-384" => "p384",
            _ => "ed",
        }) });
        let verified = gateway
            .verify(&key.token(
                algorithm.as_str(),
                &header.to_string(),
                &claims().to_string(),
            ))
            .unwrap();
        assert_eq!(verified.principal.issuer.as_ref(), ISSUER, "{algorithm}");
        assert_eq!(verified.principal.subject.as_ref(), "alice", "{algorithm}");
        assert_eq!(
            verified.principal.client.as_deref(),
            Some("inspector"),
            "{algorithm}"
        );
        assert_eq!(
            verified.principal.scopes.to_string(),
            "tasks:read tasks:write",
            "{algorithm}"
        );
        assert_eq!(verified.expires.secs(), NOW + 600, "{algorithm}");
    }
}

#[test]
fn an_altered_part_of_every_algorithm_is_a_bad_signature() {
    let gateway = Gateway::new();
    for (algorithm, kid) in [
        (Algorithm::Rs256, "rsa"),
        (Algorithm::Ps512, "rsa"),
        (Algorithm::Es256, "p256"),
        (Algorithm::Es384, "p384"),
        (Algorithm::EdDsa, "ed"),
    ] {
        let header = json!({ "alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid }).to_string();
        let key = KeyPair::for_algorithm(algorithm.as_str());
        let good = key.token(algorithm.as_str(), &header, &claims().to_string());
        let (input, _) = good.rsplit_once('.').unwrap();
        let (header_part, _) = good.split_once('.').unwrap();
        let other_claims =
            base64url(with_members(claims(), json!({ "sub": "mallory" })).to_string());
        let mut signature = key.sign(algorithm.as_str(), input);
        let other_signature = format!("{header_part}.{other_claims}.{}", base64url(&signature));
        assert_eq!(
            gateway.refusal(&other_signature),
            Some(Reason::BadSignature),
            "{algorithm}"
        );
        signature[10] ^= 1;
        let altered = format!("{input}.{}", base64url(&signature));
        assert_eq!(
            gateway.refusal(&altered),
            Some(Reason::BadSignature),
            "{algorithm}"
        );
        let cut = format!("{input}.{}", base64url(&signature[1..]));
        assert_eq!(
            gateway.refusal(&cut),
            Some(Reason::BadSignature),
            "{algorithm}"
        );
        assert_eq!(
            gateway.refusal(&format!("{input}.")),
            Some(Reason::BadSignature),
            "{algorithm}"
        );
    }
}

#[test]
fn an_unsigned_token_is_refused_for_its_algorithm_with_and_without_a_signature() {
    let gateway = Gateway::new();
    for alg in ["none", "None", "NONE", "nOnE"] {
        let input = format!(
            "{}.{}",
            base64url(json!({ "alg": alg, "typ": "at+jwt" }).to_string()),
            base64url(claims().to_string())
        );
        for token in [input.clone(), format!("{input}."), format!("{input}.YWJj")] {
            assert_eq!(
                gateway.refusal(&token),
                Some(Reason::AlgNotAllowed),
                "{token}"
            );
        }
    }
    let (unsigned, _) = sign(HEADER, &claims().to_string())
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(gateway.refusal(&unsigned), Some(Reason::MalformedToken));
}

#[test]
fn a_token_signed_with_the_public_key_as_an_hmac_secret_is_refused() {
    let gateway = Gateway::new();
    let header = HEADER.replace("RS256", "HS256");
    for secret in [RSA.public_der(), RSA.jwk("rsa").to_string().into_bytes()] {
        let forged = compact(&header, claims().to_string(), |input| {
            hmac("HS256", &secret, input)
        });
        assert_eq!(gateway.refusal(&forged), Some(Reason::AlgNotAllowed));
    }
}

#[test]
fn the_algorithm_must_fit_the_key() {
    let mut gateway = Gateway::new();
    gateway.keys = keys(&[
        RSA.jwk_with("rsa", json!({ "alg": "RS256" })),
        P256.jwk("p256"),
    ]);
    let ps256 = RSA.token(
        "PS256",
        r#"{"alg":"PS256","typ":"at+jwt","kid":"rsa"}"#,
        &claims().to_string(),
    );
    assert_eq!(gateway.refusal(&ps256), Some(Reason::AlgKeyMismatch));
    let es384 = P384.token(
        "ES384",
        r#"{"alg":"ES384","typ":"at+jwt","kid":"p256"}"#,
        &claims().to_string(),
    );
    assert_eq!(gateway.refusal(&es384), Some(Reason::AlgKeyMismatch));
    let rs256 = RSA.token(
        "RS256",
        r#"{"alg":"RS256","typ":"at+jwt","kid":"p256"}"#,
        &claims().to_string(),
    );
    assert_eq!(gateway.refusal(&rs256), Some(Reason::AlgKeyMismatch));
}

#[test]
fn a_key_id_is_only_looked_up() {
    let gateway = Gateway::new();
    for kid in [
        "../rsa",
        "rsa\u{0}",
        "rsa'; DROP TABLE keys",
        "rsa\n",
        "RSA",
        "",
        "r",
    ] {
        let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }).to_string();
        assert_eq!(
            gateway.refusal(&sign(&header, &claims().to_string())),
            Some(Reason::UnknownKey),
            "{kid:?}"
        );
    }
}

#[test]
fn without_a_key_id_exactly_one_key_must_match() {
    let token = sign(r#"{"alg":"RS256","typ":"at+jwt"}"#, &claims().to_string());
    let mut gateway = Gateway::new();
    assert_eq!(gateway.refusal(&token), None);
    gateway.keys = keys(&[
        RSA.jwk("a"),
        OTHER_RSA.jwk_with("b", json!({ "alg": "PS256" })),
    ]);
    assert_eq!(gateway.refusal(&token), None);
    gateway.keys = keys(&[RSA.jwk("a"), RSA.jwk("b")]);
    assert_eq!(gateway.refusal(&token), None, "one key under two ids");
    gateway.keys = keys(&[RSA.jwk("a"), OTHER_RSA.jwk("b")]);
    assert_eq!(gateway.refusal(&token), Some(Reason::UnknownKey));
    gateway.keys = KeySet::default();
    assert_eq!(gateway.refusal(&token), Some(Reason::UnknownKey));
}

#[test]
fn a_key_of_another_issuer_with_the_same_id_does_not_verify() {
    let gateway = Gateway::new();
    let token = OTHER_RSA.token("RS256", HEADER, &claims().to_string());
    assert_eq!(gateway.refusal(&token), Some(Reason::BadSignature));
}

#[test]
fn a_key_inside_the_token_is_not_used() {
    let gateway = Gateway::new();
    let header =
        json!({ "alg": "RS256", "typ": "at+jwt", "kid": "evil", "jwk": OTHER_RSA.jwk("evil") })
            .to_string();
    let token = OTHER_RSA.token("RS256", &header, &claims().to_string());
    assert_eq!(gateway.refusal(&token), Some(Reason::HeaderNotAllowed));
    let mut lenient = Gateway::new();
    lenient.profile.ignored_headers = vec!["jwk".to_owned()];
    assert_eq!(lenient.refusal(&token), Some(Reason::UnknownKey));
}

#[test]
fn each_wrong_claim_has_its_reason() {
    use Reason::{
        LifetimeTooLong, MalformedToken, MissingClaim, SenderConstrained, UnusableSubject,
        WrongAudience, WrongIssuer, WrongTokenType,
    };
    let gateway = Gateway::new();
    for (case, members, expected) in [
        ("nothing changed", json!({}), None),
        // 9: other tokens.
        ("ID token", json!({ "nonce": "n" }), Some(WrongTokenType)),
        (
            "ID token by its hash",
            json!({ "at_hash": "h" }),
            Some(WrongTokenType),
        ),
        (
            "logout token",
            json!({ "events": {} }),
            Some(WrongTokenType),
        ),
        (
            "DPoP proof",
            json!({ "htm": "POST", "htu": RESOURCE }),
            Some(WrongTokenType),
        ),
        (
            "Cognito's ID token",
            json!({ "token_use": "id" }),
            Some(WrongTokenType),
        ),
        (
            "a kind that cannot be read",
            json!({ "token_use": ["id"] }),
            Some(WrongTokenType),
        ),
        ("a kind that is null", json!({ "token_use": null }), None),
        (
            "Cognito's access token",
            json!({ "token_use": "access" }),
            None,
        ),
        (
            "Keycloak's ID token",
            json!({ "typ": "ID" }),
            Some(WrongTokenType),
        ),
        (
            "Keycloak's refresh token",
            json!({ "typ": "Refresh" }),
            Some(WrongTokenType),
        ),
        (
            "Keycloak's access token",
            json!({ "typ": "Bearer", "azp": "inspector" }),
            None,
        ),
        // 10: required claims.
        ("no exp", json!({ "exp": null }), Some(MissingClaim)),
        ("no aud", json!({ "aud": null }), Some(MissingClaim)),
        ("no iss", json!({ "iss": null }), Some(MissingClaim)),
        ("no sub", json!({ "sub": null }), Some(MissingClaim)),
        ("empty sub", json!({ "sub": "" }), Some(MissingClaim)),
        ("sub a number", json!({ "sub": 7 }), Some(MalformedToken)),
        ("sub at its limit", json!({ "sub": "s".repeat(1024) }), None),
        (
            "sub over its limit",
            json!({ "sub": "s".repeat(1025) }),
            Some(UnusableSubject),
        ),
        // 11: issuers.
        (
            "another issuer",
            json!({ "iss": "https://other.example/" }),
            Some(WrongIssuer),
        ),
        (
            "issuer without its slash",
            json!({ "iss": "https://issuer.example" }),
            Some(WrongIssuer),
        ),
        (
            "issuer in capitals",
            json!({ "iss": "https://ISSUER.example/" }),
            Some(WrongIssuer),
        ),
        (
            "issuers in an array",
            json!({ "iss": [ISSUER] }),
            Some(WrongIssuer),
        ),
        // 12, 13: audiences.
        (
            "another resource",
            json!({ "aud": "https://mcp.example.com/other" }),
            Some(WrongAudience),
        ),
        (
            "a prefix of the resource",
            json!({ "aud": "https://mcp.example.com/mc" }),
            Some(WrongAudience),
        ),
        (
            "the resource and more",
            json!({ "aud": "https://mcp.example.com/mcp/" }),
            Some(WrongAudience),
        ),
        (
            "an array with the resource",
            json!({ "aud": ["https://other.example", RESOURCE] }),
            None,
        ),
        (
            "an array without the resource",
            json!({ "aud": ["https://other.example"] }),
            Some(WrongAudience),
        ),
        (
            "an array with the resource and a number",
            json!({ "aud": [RESOURCE, 7] }),
            Some(WrongAudience),
        ),
        (
            "an array in an array",
            json!({ "aud": [[RESOURCE]] }),
            Some(WrongAudience),
        ),
        ("an empty array", json!({ "aud": [] }), Some(WrongAudience)),
        (
            "an empty audience",
            json!({ "aud": "" }),
            Some(WrongAudience),
        ),
        (
            "an object",
            json!({ "aud": { "a": RESOURCE } }),
            Some(WrongAudience),
        ),
        (
            "the client's id",
            json!({ "aud": "inspector" }),
            Some(WrongAudience),
        ),
        // 15: dates.
        (
            "exp a string",
            json!({ "exp": (NOW + 600).to_string() }),
            Some(MalformedToken),
        ),
        ("exp negative", json!({ "exp": -1 }), Some(MalformedToken)),
        ("exp 1e300", json!({ "exp": 1e300 }), Some(MalformedToken)),
        (
            "exp 2^64-1",
            json!({ "exp": u64::MAX }),
            Some(MalformedToken),
        ),
        ("exp true", json!({ "exp": true }), Some(MalformedToken)),
        (
            "exp in an array",
            json!({ "exp": [NOW + 600] }),
            Some(MalformedToken),
        ),
        ("exp a fraction", json!({ "exp": NOW as f64 + 600.5 }), None),
        ("nbf a string", json!({ "nbf": "0" }), Some(MalformedToken)),
        ("iat a string", json!({ "iat": "0" }), Some(MalformedToken)),
        ("iat a fraction", json!({ "iat": NOW as f64 - 0.25 }), None),
        (
            "the year 9999",
            json!({ "exp": 253_402_300_799_i64 }),
            Some(LifetimeTooLong),
        ),
        (
            "the year 10000",
            json!({ "exp": 253_402_300_800_i64 }),
            Some(MalformedToken),
        ),
        // Scopes and clients of the wrong type.
        (
            "scope a number",
            json!({ "scope": 7 }),
            Some(MalformedToken),
        ),
        (
            "scp with a number",
            json!({ "scp": ["a", 7] }),
            Some(MalformedToken),
        ),
        (
            "client a number",
            json!({ "client_id": 7 }),
            Some(MalformedToken),
        ),
        (
            "client empty",
            json!({ "client_id": "" }),
            Some(MalformedToken),
        ),
        // 170: nobody can check these.
        (
            "bound to a key",
            json!({ "cnf": { "jkt": "x" } }),
            Some(SenderConstrained),
        ),
        (
            "bound to nothing",
            json!({ "cnf": {} }),
            Some(SenderConstrained),
        ),
    ] {
        assert_eq!(gateway.refusal(&token_with(members)), expected, "{case}");
    }
}

#[test]
fn what_a_token_is_bound_to_is_evidence_for_those_who_check_it() {
    let gateway = Gateway::new();
    let thumbprint = base64url([0xfe; 32]);
    let text = token_with(json!({ "cnf": { "jkt": thumbprint } }));
    assert_eq!(gateway.refusal(&text), Some(Reason::SenderConstrained));
    let headers =
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {text}").parse().unwrap())]);
    let token = Unverified::parse(&bearer(&headers, None, 64 * 1024).unwrap()).unwrap();
    let now = UnixTime::new(gateway.now);
    let evidence = token.verify_bound(&gateway.profile, &gateway.keys, &gateway.audience, now);
    assert_eq!(evidence.unwrap().binding, Some(Binding::Key([0xfe; 32])));
}

#[test]
fn a_claim_that_is_null_refuses_the_token_where_it_is_required_or_restricts() {
    let gateway = Gateway::new();
    for (name, expected) in [
        ("iss", Reason::WrongIssuer),
        ("aud", Reason::WrongAudience),
        ("exp", Reason::MalformedToken),
        ("sub", Reason::MissingClaim),
        ("cnf", Reason::SenderConstrained),
        ("nonce", Reason::WrongTokenType),
        ("at_hash", Reason::WrongTokenType),
        ("events", Reason::WrongTokenType),
    ] {
        assert_eq!(gateway.refusal(&with_null(name)), Some(expected), "{name}");
    }
}

#[test]
fn an_optional_claim_that_is_null_is_absent() {
    let gateway = Gateway::new();
    for name in [
        "nbf",
        "iat",
        "jti",
        "scp",
        "azp",
        "typ",
        "token_use",
        "email",
    ] {
        assert_eq!(gateway.refusal(&with_null(name)), None, "{name}");
    }
    let without_scope = gateway.verify(&with_null("scope")).unwrap().principal;
    assert_eq!(without_scope.scopes.to_string(), "");
    let mut claims = claims();
    claims["client_id"] = Value::Null;
    let caller = |claims: &Value| {
        let token = sign(HEADER, &claims.to_string());
        gateway.verify(&token).unwrap().principal.client.clone()
    };
    assert_eq!(caller(&claims), None);
    claims["azp"] = json!("b");
    assert_eq!(caller(&claims).as_deref(), Some("b"));
}

#[test]
fn times_are_checked_to_the_second_on_both_sides_of_the_skew() {
    use Reason::{Expired, LifetimeTooLong, NotYetValid};
    let day = 24 * 60 * 60;
    let gateway = Gateway::new();
    for (case, members, expected) in [
        ("expires in a second", json!({ "exp": NOW + 1 }), None),
        ("expires now", json!({ "exp": NOW }), None),
        ("expired 29 s ago", json!({ "exp": NOW - 29 }), None),
        (
            "expired 30 s ago",
            json!({ "exp": NOW - 30 }),
            Some(Expired),
        ),
        (
            "expired 29.5 s ago, truncated to 30",
            json!({ "exp": NOW as f64 - 29.5 }),
            Some(Expired),
        ),
        ("expired at the epoch", json!({ "exp": 0 }), Some(Expired)),
        ("valid in 30 s", json!({ "nbf": NOW + 30 }), None),
        (
            "valid in 31 s",
            json!({ "nbf": NOW + 31 }),
            Some(NotYetValid),
        ),
        ("issued in 30 s", json!({ "iat": NOW + 30 }), None),
        (
            "issued in 31 s",
            json!({ "iat": NOW + 31 }),
            Some(NotYetValid),
        ),
        (
            "issued tomorrow",
            json!({ "iat": NOW + day, "exp": NOW + 2 * day }),
            Some(NotYetValid),
        ),
        (
            "lives 31 days",
            json!({ "iat": NOW - 60, "exp": NOW - 60 + 31 * day }),
            None,
        ),
        (
            "lives a second longer",
            json!({ "iat": NOW - 60, "exp": NOW - 59 + 31 * day }),
            Some(LifetimeTooLong),
        ),
        (
            "31 days left, no iat",
            json!({ "iat": null, "exp": NOW + 31 * day }),
            None,
        ),
        (
            "a second more, no iat",
            json!({ "iat": null, "exp": NOW + 31 * day + 1 }),
            Some(LifetimeTooLong),
        ),
    ] {
        assert_eq!(gateway.refusal(&token_with(members)), expected, "{case}");
    }
}

#[test]
fn the_times_of_a_cached_verification_are_checked_again() {
    let skew = Duration::from_secs(30);
    let verified = Gateway::new()
        .verify(&token_with(json!({ "nbf": NOW })))
        .unwrap();
    let at = |now: i64| verified.still_valid(skew, UnixTime::new(now));
    assert_eq!(at(NOW + 629), Ok(()));
    assert_eq!(at(NOW + 630), Err(Reason::Expired));
    assert_eq!(at(NOW - 30), Ok(()));
    assert_eq!(
        at(NOW - 31),
        Err(Reason::NotYetValid),
        "the clock was set back"
    );
}

#[test]
fn duplicate_members_are_refused_at_every_depth() {
    let gateway = Gateway::new();
    let good = claims().to_string();
    let inner = good.strip_prefix('{').unwrap();
    for first in [
        r#""scope":"admin","#,
        r#""sub":"mallory","#,
        r#""exp":1,"#,
        r#""\u0073cope":"admin","#,
        r#""other":1,"other":1,"#,
        r#""deep":{"a":{"b":1,"b":2}},"#,
    ] {
        let token = sign(HEADER, &format!("{{{first}{inner}"));
        assert_eq!(
            gateway.refusal(&token),
            Some(Reason::MalformedToken),
            "{first}"
        );
    }
    let token = sign(
        r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa","kid":"rsa"}"#,
        &good,
    );
    assert_eq!(gateway.refusal(&token), Some(Reason::MalformedToken));
}

#[test]
fn a_token_that_is_not_a_compact_jws_is_malformed() {
    let gateway = Gateway::new();
    let good = sign(HEADER, &claims().to_string());
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let jwe = base64url(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
    for (case, token) in [
        ("opaque", "c29tZSBvcGFxdWUgdG9rZW4".to_owned()),
        ("opaque with a dot", "abc.def".to_owned()),
        ("five parts", format!("{jwe}.a.b.c.d")),
        ("four parts", format!("{good}.x")),
        ("a dot at the end", format!("{good}.")),
        ("a dot at the start", format!(".{good}")),
        ("a padded signature", format!("{good}==")),
        (
            "another alphabet",
            format!("{header}.{payload}+.{signature}"),
        ),
        ("dots only", ".".repeat(8000)),
        ("two dots", "..".to_owned()),
        ("claims that are not JSON", sign(HEADER, "{")),
        ("claims that are an array", sign(HEADER, "[]")),
        (
            "claims in two documents",
            sign(HEADER, &format!("{}{{}}", claims())),
        ),
        (
            "claims with a byte order mark",
            sign(HEADER, &format!("\u{feff}{}", claims())),
        ),
        (
            "claims too deep",
            sign(
                HEADER,
                &with_members(claims(), json!({ "deep": deep(70) })).to_string(),
            ),
        ),
        (
            "a token in a token",
            sign(
                r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa","cty":"JWT"}"#,
                &good,
            ),
        ),
    ] {
        assert_eq!(
            gateway.refusal(&token),
            Some(Reason::MalformedToken),
            "{case}"
        );
    }
    // token68 has padding only at its end, so these credentials are malformed.
    let padded = format!("{header}.{payload}=.{signature}");
    assert_eq!(gateway.refusal(&padded), Some(Reason::MalformedCredentials));
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn a_last_character_with_unused_bits_set_is_malformed() {
    // The last character of the signature's 256 bytes has unused bits.
    let good = sign(HEADER, &claims().to_string());
    let last = good.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let position = alphabet.find(last).unwrap();
    let stray = alphabet.chars().nth(position + 1).unwrap();
    let token = format!("{}{stray}", &good[..good.len() - 1]);
    assert_eq!(Gateway::new().refusal(&token), Some(Reason::MalformedToken));
}

#[test]
fn scopes_are_the_union_of_the_issuers_scope_claims() {
    let mut gateway = Gateway::new();
    let scopes = |gateway: &Gateway, members: Value| {
        gateway
            .verify(&token_with(members))
            .unwrap()
            .principal
            .scopes
            .to_string()
    };
    for (members, expected) in [
        (json!({ "scope": null }), ""),
        (json!({ "scope": "" }), ""),
        (json!({ "scope": " b  a " }), "a b"),
        (json!({ "scope": null, "scp": "a b" }), "a b"),
        (json!({ "scope": null, "scp": ["b", "a"] }), "a b"),
        (json!({ "scope": "a", "scp": ["b"] }), "a b"),
        (json!({ "scope": ["a", "two words", "ä"] }), "a"),
        (json!({ "scope": "a", "permissions": ["b"] }), "a"),
    ] {
        assert_eq!(scopes(&gateway, members.clone()), expected, "{members}");
    }
    gateway.profile.scope_claims = vec![ClaimPath::named("permissions")];
    assert_eq!(
        scopes(&gateway, json!({ "scope": "a", "permissions": ["b"] })),
        "b"
    );
}

#[test]
fn the_caller_is_issuer_subject_and_client() {
    let mut gateway = Gateway::new();
    let caller =
        |gateway: &Gateway, members: Value| gateway.verify(&token_with(members)).unwrap().principal;
    let user = caller(&gateway, json!({}));
    assert_eq!(
        user,
        caller(&gateway, json!({ "exp": NOW + 900, "jti": "refreshed" })),
        "42: a refreshed token"
    );
    assert_ne!(
        user,
        caller(&gateway, json!({ "client_id": "alice" })),
        "167: a client named like the user"
    );
    assert_eq!(
        caller(&gateway, json!({ "client_id": null, "azp": "b" }))
            .client
            .as_deref(),
        Some("b")
    );
    assert_eq!(
        caller(&gateway, json!({ "azp": "b" })).client.as_deref(),
        Some("inspector")
    );
    assert_eq!(caller(&gateway, json!({ "client_id": null })).client, None);
    gateway.profile.subject_claim = ClaimPath::named("oid");
    assert_eq!(
        caller(&gateway, json!({ "oid": "guid" })).subject.as_ref(),
        "guid"
    );
    assert_eq!(
        gateway.refusal(&token_with(json!({}))),
        Some(Reason::MissingClaim)
    );
}

#[test]
fn a_verified_token_keeps_only_the_claims_that_conditions_read() {
    let token = token_with(json!({ "department": "ops", "groups": ["a", "b"] }));
    let kept = |names: ClaimNames| {
        let mut gateway = Gateway::new();
        gateway.profile.kept_claims = names;
        let claims = gateway.verify(&token).unwrap().claims;
        claims.map().inner().len()
    };
    let these = ["groups", "department", "absent"].map(str::to_owned);
    assert_eq!(kept(ClaimNames::default()), 0);
    assert_eq!(kept(ClaimNames::These(these.into())), 2);
    assert_eq!(kept(ClaimNames::All), 9);
}

#[test]
fn a_resource_can_accept_several_audiences_or_none() {
    let mut gateway = Gateway::new();
    gateway.audience = vec!["api://tasks".to_owned(), "0b1c".to_owned()];
    assert_eq!(gateway.refusal(&token_with(json!({ "aud": "0b1c" }))), None);
    assert_eq!(
        gateway.refusal(&token_with(json!({}))),
        Some(Reason::WrongAudience)
    );
    gateway.audience.clear();
    assert_eq!(
        gateway.refusal(&token_with(json!({}))),
        Some(Reason::WrongAudience)
    );
}

#[test]
fn debug_of_an_unverified_token_shows_neither_claims_nor_signature() {
    let token = token_with(json!({ "sub": "secret" }));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").try_into().unwrap());
    let unverified = Unverified::parse(&bearer(&headers, None, 8192).unwrap()).unwrap();
    assert_eq!(unverified.issuer(), ISSUER);
    assert_eq!(unverified.key_id(), Some("rsa"));
    let expected = format!("Unverified {{ issuer: {ISSUER:?}, key_id: Some(\"rsa\"), .. }}");
    assert_eq!(format!("{unverified:?}"), expected);
}

#[test]
fn scopes_and_the_caller_can_be_in_nested_claims_and_have_a_prefix() {
    let mut gateway = Gateway::new();
    let path = |text: &str| ClaimPath::parse(text).unwrap();
    gateway.profile.scope_claims = ["scope", "realm_access.roles", "https://example.com/roles"]
        .map(path)
        .into();
    gateway.profile.subject_claim = path("user.id");
    gateway.profile.client_claims = ["client.id", "cid"].map(path).into();
    gateway.profile.scope_prefixes = ScopePrefixes::new(&["api://1/".to_owned()]).unwrap();
    let caller = |members: Value| {
        let members = with_members(json!({ "user": { "id": "bob" }, "scope": null }), members);
        let verified = gateway.verify(&token_with(members))?;
        let Principal {
            subject,
            client,
            scopes,
            ..
        } = &*verified.principal;
        let client = client.as_deref().unwrap_or("-");
        Ok(format!("{subject} {client} {scopes}"))
    };
    for (members, expected) in [
        (json!({}), Ok("bob - ")),
        (
            json!({ "realm_access": { "roles": ["b", "a"] } }),
            Ok("bob - a b"),
        ),
        (
            json!({ "realm_access": { "roles": "b api://1/a" } }),
            Ok("bob - a b"),
        ),
        (json!({ "realm_access": {} , "scope": "c" }), Ok("bob - c")),
        (
            json!({ "https://example.com/roles": ["api://1/a", "api://2/a"] }),
            Ok("bob - a api://2/a"),
        ),
        (json!({ "client": { "id": "x" }, "cid": "y" }), Ok("bob x ")),
        (
            json!({ "client": {}, "cid": "y", "client_id": "z" }),
            Ok("bob y "),
        ),
        (
            json!({ "realm_access": "roles" }),
            Err(Reason::MalformedToken),
        ),
        (
            json!({ "realm_access": { "roles": { "a": true } } }),
            Err(Reason::MalformedToken),
        ),
        (
            json!({ "client": "x", "cid": "y" }),
            Err(Reason::MalformedToken),
        ),
        (json!({ "user": {} }), Err(Reason::MissingClaim)),
        (json!({ "user": { "id": "" } }), Err(Reason::MissingClaim)),
        (
            json!({ "user": { "id": ["bob"] } }),
            Err(Reason::MalformedToken),
        ),
    ] {
        assert_eq!(
            caller(members.clone()),
            expected.map(str::to_owned),
            "{members}"
        );
    }
}

#[test]
fn the_tenant_of_a_token_is_that_of_its_issuer() {
    let mut gateway = Gateway::new();
    let tid = |tid: Value| token_with(json!({ "tid": tid }));
    // Without tenants, `tid` means nothing.
    assert_eq!(gateway.refusal(&tid(json!("b"))), None);
    gateway.profile.tenant = Some("a".into());
    for (tenant, expected) in [
        (json!("a"), None),
        (json!("b"), Some(Reason::WrongTenant)),
        (json!("A"), Some(Reason::WrongTenant)),
        (json!(""), Some(Reason::WrongTenant)),
        (json!(["a"]), Some(Reason::WrongTenant)),
        (json!(null), Some(Reason::MissingClaim)),
    ] {
        assert_eq!(gateway.refusal(&tid(tenant.clone())), expected, "{tenant}");
    }
}

#[test]
fn a_key_of_another_issuer_does_not_verify() {
    let mut gateway = Gateway::new();
    let token = token_with(json!({}));
    gateway.keys = keys(&[RSA.jwk_with("rsa", json!({ "issuer": "https://other.example/" }))]);
    assert_eq!(gateway.refusal(&token), Some(Reason::WrongKeyIssuer));
    gateway.profile.names = [ISSUER, "https://other.example/"].map(Into::into).into();
    assert_eq!(gateway.refusal(&token), None);
}

#[test]
fn a_grant_is_read_only_from_tokens_of_an_issuer_that_names_grants() {
    let with_grant = token_with(json!({ "grant": "_v7-_v7-_v7-_v7-_v7-_g" }));
    let without = sign(HEADER, &claims().to_string());
    let of_another_kind = token_with(json!({ "grant": ["a"] }));
    let mut gateway = Gateway::new();
    for token in [&with_grant, &without, &of_another_kind] {
        assert_eq!(gateway.verify(token).unwrap().grant, None);
    }
    gateway.profile.names_grants = true;
    let grant = gateway.verify(&with_grant).unwrap().grant;
    assert_eq!(grant, Some([0xfe; 16]));
    assert_eq!(gateway.refusal(&without), Some(Reason::MissingClaim));
    assert_eq!(
        gateway.refusal(&of_another_kind),
        Some(Reason::MalformedToken)
    );
}

#[test]
fn id_tokens_are_accepted_only_where_the_profile_takes_them() {
    let mut gateway = Gateway::new();
    let id_token = token_with(json!({ "nonce": "n", "at_hash": "h", "token_use": "id" }));
    assert_eq!(gateway.refusal(&id_token), Some(Reason::WrongTokenType));
    gateway.profile.takes_id_tokens = true;
    let verified = gateway.verify(&id_token).unwrap();
    assert_eq!(&*verified.principal.subject, "alice");
    assert_eq!(gateway.refusal(&token_with(json!({}))), None);
    for (name, value) in [
        ("events", json!({})),
        ("htm", json!("POST")),
        ("ath", json!("h")),
        ("cnf", json!({ "jkt": "k" })),
        ("typ", json!("Refresh")),
        ("typ", json!("Logout")),
        ("token_use", json!(["id"])),
    ] {
        assert!(
            gateway
                .refusal(&token_with(json!({ name: value })))
                .is_some(),
            "{name}"
        );
    }
}

#[test]
fn type_and_claims_of_a_token_are_read_as_they_are() {
    let gateway = Gateway::new();
    let text = sign(
        r#"{"alg":"RS256","typ":"application/AT+jwt","kid":"rsa"}"#,
        &claims().to_string(),
    );
    let bearer = BearerToken::parse(&text, 8 * 1024).unwrap();
    let token = Unverified::parse(&bearer).unwrap();
    assert_eq!(token.token_type(), "at+jwt");
    let now = UnixTime::new(NOW);
    let verified = token.verify(&gateway.profile, &gateway.keys, &gateway.audience, now);
    let read: Value = serde_json::from_slice(token.verified_claims(&verified.unwrap())).unwrap();
    assert_eq!(read, claims());
}
