//! What an answer says about a token: its caller, a no, or nothing.

use serde_json::{Map, Value};

use super::answer::{Answer, NotAccepted};
use super::claims::evidence;
use super::endpoint::{Expected, Kind};
use super::{github, google, standard};
use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::evidence::Evidence;

/// The caller of a token, by the answer to a question about it.
///
/// # Errors
/// [`NotAccepted`].
pub fn judge(
    answer: &Answer<'_>,
    expected: &Expected<'_>,
    now: UnixTime,
) -> Result<Evidence, NotAccepted> {
    let document = document(answer, expected.kind, now)?;
    let claims = document.claims()?;
    standard::check(&claims, expected.profile)?;
    let evidence = evidence(&claims, expected.profile, expected.audience(), now)?;
    if expected.kind == Kind::Google {
        require_our_client(&claims, expected.client_ids)?;
    }
    Ok(evidence)
}

/// The claims of an active token as a JSON document of RFC 7662, for code that shows them.
///
/// # Errors
/// [`NotAccepted`], never [`NotAccepted::Refused`].
pub fn claims_of(answer: &Answer<'_>, kind: Kind, now: UnixTime) -> Result<Vec<u8>, NotAccepted> {
    Ok(match document(answer, kind, now)? {
        Document::Answer(_) => answer.body.to_vec(),
        Document::Translated(bytes) => bytes,
    })
}

/// The claims of an active token.
enum Document<'a> {
    Answer(Object<'a>),
    Translated(Vec<u8>),
}

impl Document<'_> {
    fn claims(&self) -> Result<Object<'_>, Reason> {
        match self {
            Self::Answer(object) => Ok(object.clone()),
            Self::Translated(bytes) => json::object(bytes).map_err(|_| Reason::MalformedToken),
        }
    }
}

fn document<'a>(
    answer: &Answer<'a>,
    kind: Kind,
    now: UnixTime,
) -> Result<Document<'a>, NotAccepted> {
    let translated = |claims: Map<String, Value>| {
        Document::Translated(Value::Object(claims).to_string().into_bytes())
    };
    match kind {
        Kind::Rfc7662 => standard::claims(answer, now).map(Document::Answer),
        Kind::Google => google::claims(answer, now).map(translated),
        Kind::GitHub => github::claims(answer, now).map(translated),
    }
}

/// The application that got a token of Google is `azp`, which may be another one than `aud`.
fn require_our_client(claims: &Object<'_>, own: &[String]) -> Result<(), Reason> {
    let Some(raw) = claims.given("azp") else {
        return Ok(());
    };
    let is_own = json::string(raw).is_some_and(|named| own.iter().any(|own| **own == *named));
    is_own.then_some(()).ok_or(Reason::WrongAudience)
}
