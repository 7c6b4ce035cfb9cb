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
    let evidence = evidence(&claims, expected, now)?;
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

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};

    use super::*;
    use crate::token::introspection::answer::Unusable;
    use crate::token::issuer_profile::IssuerProfile;

    const NOW: UnixTime = UnixTime::new(1_000_000);

    fn subject(kind: Kind, status: u16, body: &str) -> Result<String, NotAccepted> {
        let (resource, client_ids) = (["https://mcp.example/mcp".to_owned()], ["ours".to_owned()]);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = Answer {
            status,
            headers: &headers,
            body: body.as_bytes(),
        };
        let expected = Expected {
            kind,
            profile: &IssuerProfile::new("https://issuer.example"),
            resource: &resource,
            client_ids: &client_ids,
        };
        let evidence = judge(&answer, &expected, NOW)?;
        Ok(evidence.principal.subject.as_ref().to_owned())
    }

    #[test]
    fn a_client_is_the_subject_only_where_no_person_is_named() {
        let missing = || Err(NotAccepted::Refused(Reason::MissingClaim));
        let google = r#"{"azp":"ours","aud":"ours","exp":"1000600"}"#;
        assert_eq!(subject(Kind::Google, 200, google), missing());
        for (person, expected) in [
            ("", Ok("mcp".to_owned())),
            (r#""user_name":"alice","#, missing()),
            (r#""user_id":7,"#, missing()),
            (r#""email":"alice@example.com","#, missing()),
        ] {
            let body = format!(
                r#"{{"active":true,{person}"client_id":"mcp","aud":"https://mcp.example/mcp"}}"#
            );
            assert_eq!(subject(Kind::Rfc7662, 200, &body), expected, "{person}");
        }
    }

    #[test]
    fn a_no_of_github_is_what_github_itself_says() {
        let not_found = r#"{"message":"Not Found"}"#;
        assert_eq!(
            subject(Kind::GitHub, 404, not_found),
            Err(NotAccepted::Inactive)
        );
        for (status, body) in [
            (404, "<html>default backend - 404"),
            (404, r#"{"message":"no Route matched with those values"}"#),
            (404, r#"[{"message":"Not Found"}]"#),
            (404, ""),
            (422, r#"{"message":"Validation Failed"}"#),
            (422, not_found),
        ] {
            let expected = Err(Unusable::Status(status).into());
            assert_eq!(subject(Kind::GitHub, status, body), expected, "{body}");
        }
    }
}
