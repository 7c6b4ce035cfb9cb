//! Answers of introspection endpoints: whatever comes, it is judged; and a token is accepted only where another parser reads the same plain yes
//! for this resource, at this time, about the same caller.

use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use mcp_gateway_core::{
    refusal::reason::Reason,
    time::UnixTime,
    token::{
        evidence::Evidence,
        introspection::{
            answer::{Answer, NotAccepted},
            endpoint::{Expected, Kind},
            judge::judge,
        },
        issuer_profile::IssuerProfile,
    },
    why::introspection::found_without,
};
use serde_json::Value;
use test_support::fixtures::{NOW, RESOURCE};

use crate::oracle::{self, Members};

const ISSUER: &str = "https://issuer.example";

/// Our client id at the services that know no resources.
const OURS: &str = "ours";

/// A token that an answer may repeat.
const TOKEN: &str = "s3cret/9f2a.7c";

/// The statuses that an answer may have: those that say something, and one of each kind that does not.
const STATUSES: [u16; 9] = [200, 204, 400, 401, 403, 404, 429, 500, 503];

static PROFILE: LazyLock<IssuerProfile> = LazyLock::new(|| IssuerProfile::new(ISSUER));

static RESOURCES: LazyLock<[String; 1]> = LazyLock::new(|| [RESOURCE.to_owned()]);

static CLIENTS: LazyLock<[String; 1]> = LazyLock::new(|| [OURS.to_owned()]);

/// The body of an answer.
pub fn introspection_answer(body: &[u8]) {
    for kind in [Kind::Rfc7662, Kind::Google, Kind::GitHub] {
        for status in STATUSES {
            match judged(kind, status, body, NOW) {
                Ok(evidence) => accepted(kind, status, body, &evidence),
                Err(why) => refused(kind, status, body, &why),
            }
        }
    }
}

/// Whether this body, with status 200, makes one of the kinds of endpoints accept a token.
pub fn takes_introspection_answer(body: &[u8]) -> bool {
    let kinds = [Kind::Rfc7662, Kind::Google, Kind::GitHub];
    kinds
        .into_iter()
        .any(|kind| judged(kind, 200, body, NOW).is_ok())
}

fn expected(kind: Kind) -> Expected<'static> {
    Expected {
        kind,
        profile: &PROFILE,
        resource: &*RESOURCES,
        client_ids: &*CLIENTS,
    }
}

fn with_answer<T>(status: u16, body: &[u8], then: impl FnOnce(&Answer<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    then(&Answer {
        status,
        headers: &headers,
        body,
    })
}

fn judged(kind: Kind, status: u16, body: &[u8], now: i64) -> Result<Evidence, NotAccepted> {
    with_answer(status, body, |answer| {
        judge(answer, &expected(kind), UnixTime::new(now))
    })
}

fn refused(kind: Kind, status: u16, body: &[u8], why: &NotAccepted) {
    let (expected, now) = (expected(kind), UnixTime::new(NOW));
    let said = with_answer(status, body, |answer| {
        found_without(TOKEN, answer, why, ("corporate", &expected), now)
    });
    assert!(!said.contains(TOKEN), "the token is shown: {said}");
    assert!(!said.chars().any(char::is_control), "{said:?} in a log");
    if let NotAccepted::Refused(reason) = why {
        assert_eq!((reason.status(), status), (401, 200), "{reason:?}");
    }
}

fn accepted(kind: Kind, status: u16, body: &[u8], evidence: &Evidence) {
    assert_eq!(status, 200, "accepted with another status");
    assert!(oracle::is_strict(body, 16, 1000), "an ambiguous answer");
    let members = Members::of(std::str::from_utf8(body).unwrap()).expect("an object");
    assert!(!evidence.principal.subject.is_empty(), "an empty subject");
    match kind {
        Kind::Rfc7662 => by_the_standard(&members, evidence),
        Kind::Google => by_google(&members, evidence),
        Kind::GitHub => by_github(&members, evidence),
    }
    let skew = Duration::from_secs(30);
    assert_eq!(evidence.still_valid(skew, UnixTime::new(NOW)), Ok(()));
    let end = evidence.expires.plus(skew);
    assert_eq!(evidence.still_valid(skew, end), Err(Reason::Expired));
}

fn by_the_standard(members: &Members, evidence: &Evidence) {
    assert_eq!(members.get("active"), Some("true"), "no plain yes");
    assert!(
        texts(members, "aud").contains(&RESOURCE.to_owned()),
        "another audience"
    );
    let issuer = members.given("iss").map(|_| members.text("iss"));
    assert!(issuer.is_none_or(|named| named.as_deref() == Some(ISSUER)));
    let named = members.given("sub").map_or("client_id", |_| "sub");
    let subject = members.text(named).or_else(|| members.text("azp"));
    assert_eq!(subject.as_deref(), Some(&*evidence.principal.subject));
    let date = |name| -> Option<f64> { members.given(name)?.parse().ok() };
    let exp = date("exp");
    assert!(exp.is_none_or(|exp| exp.floor() as i64 == evidence.expires.secs()));
    for name in ["nbf", "iat"] {
        let date = date(name);
        assert!(date.is_none_or(|date| date < (NOW + 31) as f64), "{name}");
    }
    let granted = [texts(members, "scope"), texts(members, "scp")].concat();
    for scope in evidence.principal.scopes.iter() {
        let is_granted = |grant: &String| grant.split(' ').any(|one| one == scope);
        assert!(
            granted.iter().any(is_granted),
            "{scope:?} was never granted"
        );
    }
    assert!(
        evidence.binding.is_some() || members.given("cnf").is_none(),
        "a bound token of anybody"
    );
}

fn by_google(members: &Members, evidence: &Evidence) {
    for name in ["aud", "azp"] {
        let client = members.given(name).map(|_| members.text(name));
        let is_ours = client.is_none_or(|client| client.as_deref() == Some(OURS));
        assert!(is_ours, "{name} is another application");
    }
    assert!(members.given("aud").is_some(), "no audience");
    let subject = members.text("sub");
    assert_eq!(subject.as_deref(), Some(&*evidence.principal.subject));
}

fn by_github(members: &Members, evidence: &Evidence) {
    let part = |name| Members::of(members.given(name).expect("a part")).expect("an object");
    let client = part("app").text("client_id");
    assert_eq!(client.as_deref(), Some(OURS), "another application");
    let number: u64 = part("user").get("id").unwrap().parse().expect("a number");
    assert_eq!(number.to_string(), *evidence.principal.subject);
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
