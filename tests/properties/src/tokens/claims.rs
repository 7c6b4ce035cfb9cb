//! Claims: the accepted principal is the one that another parser reads from the same claims, for this resource, at this time,
//! and until the expiry.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use mcp_gateway_core::{
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        bearer::bearer, evidence::Evidence, issuer_profile::IssuerProfile, jwt::Unverified,
        key_set::KeySet,
    },
};
use serde_json::Value;
use test_support::fixtures::{NOW, RESOURCE};
use test_support::{KeyPair, compact, jwk_set};

use crate::oracle::{self, Members};

const ISSUER: &str = "https://issuer.example";
const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"ed"}"#;

/// A key only for these properties, the same in every run.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::ed25519_from_seed(&[7; 32]));

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let set = jwk_set(&[KEY.jwk("ed")]).to_string();
    KeySet::parse(set.as_bytes()).unwrap().keys
});

/// The text of the claims, before it is encoded and signed.
pub fn claims(claims: &[u8]) {
    let sign = |input: &str| KEY.sign("EdDSA", input);
    let token = compact(HEADER, claims, sign);
    match verify(&token, NOW) {
        Ok(verified) => accepted(claims, &token, &verified),
        Err(reason) => assert!(matches!(reason.status(), 401), "{reason:?}"),
    }
    // Only the issuer can sign: with another signature none of these claims is accepted.
    let altered = compact(HEADER, claims, |input| {
        let mut signature = sign(input);
        signature[40] ^= 1;
        signature
    });
    assert!(
        verify(&altered, NOW).is_err(),
        "an altered signature verifies"
    );
}

fn verify(token: &str, now: i64) -> Result<Evidence, Reason> {
    let mut headers = HeaderMap::new();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
    );
    let token = bearer(&headers, None, usize::MAX)?;
    let audience = [RESOURCE.to_owned()];
    let profile = IssuerProfile::new(ISSUER);
    Unverified::parse(&token)?.verify(&profile, &KEYS, &audience, UnixTime::new(now))
}

fn accepted(claims: &[u8], token: &str, verified: &Evidence) {
    assert!(oracle::is_strict(claims, 64, 10_000), "ambiguous claims");
    let members = Members::of(std::str::from_utf8(claims).unwrap()).expect("an object");
    assert_eq!(members.text("iss").as_deref(), Some(ISSUER));
    assert!(
        texts(&members, "aud").contains(&RESOURCE.to_owned()),
        "another audience"
    );
    assert_eq!(
        members.text("sub").as_deref(),
        Some(&*verified.principal.subject)
    );
    assert!(!verified.principal.subject.is_empty(), "an empty subject");
    let client = members.given("client_id").map_or("azp", |_| "client_id");
    assert_eq!(
        members.text(client).as_deref(),
        verified.principal.client.as_deref()
    );
    for foreign in ["cnf", "nonce", "events", "htm", "htu", "ath"] {
        assert!(
            members.get(foreign).is_none(),
            "{foreign} makes it another token"
        );
    }
    let granted = [texts(&members, "scope"), texts(&members, "scp")].concat();
    for scope in verified.principal.scopes.iter() {
        let named = granted
            .iter()
            .any(|grant| grant.split(' ').any(|one| one == scope));
        assert!(named, "{scope:?} was never granted");
    }
    times(&members, token, verified);
}

fn times(members: &Members, token: &str, verified: &Evidence) {
    let skew = Duration::from_secs(30);
    let date = |name| -> Option<f64> { members.given(name)?.parse().ok() };
    let exp = date("exp").expect("a number");
    assert_eq!(exp.floor() as i64, verified.expires.secs());
    assert!(exp + 30.0 > NOW as f64, "expired");
    assert!(
        date("nbf").is_none_or(|nbf| nbf < (NOW + 31) as f64),
        "not valid yet"
    );
    assert!(
        date("iat").is_none_or(|iat| iat < (NOW + 31) as f64),
        "issued later"
    );
    assert_eq!(verified.still_valid(skew, UnixTime::new(NOW)), Ok(()));
    let end = verified.expires.plus(skew);
    assert_eq!(verified.still_valid(skew, end), Err(Reason::Expired));
    assert_eq!(verify(token, end.secs()).err(), Some(Reason::Expired));
}

/// A string, or the strings of an array.
fn texts(members: &Members, name: &str) -> Vec<String> {
    let value = members
        .get(name)
        .and_then(|raw| serde_json::from_str(raw).ok());
    match value {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(values)) => values
            .iter()
            .filter_map(|value| Some(value.as_str()?.to_owned()))
            .collect(),
        _ => Vec::new(),
    }
}
