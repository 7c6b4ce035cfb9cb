//! Answers of Google's tokeninfo, as claims of RFC 7662. Numbers and truth values are texts there, and the audience is the client id of
//! the application for which the token was issued.

use serde_json::{Map, Value};

use super::answer::{Answer, NotAccepted, Unusable};
use super::endpoint::Kind;
use crate::json::{self, Object};
use crate::time::UnixTime;

/// What Google calls a token that it does not know, that has expired, or that was revoked.
const INVALID: &str = "invalid_token";

/// Members that are passed on as they are.
const TEXTS: [&str; 6] = ["sub", "aud", "azp", "scope", "email", "hd"];

/// The claims of a token that is active, as a JSON document.
pub(super) fn claims(
    answer: &Answer<'_>,
    now: UnixTime,
) -> Result<Map<String, Value>, NotAccepted> {
    match answer.status {
        200 => {}
        400 if is_invalid(answer)? => return Err(NotAccepted::Inactive),
        _ => return Err(answer.without_answer(Kind::Google, now).into()),
    }
    let given = answer.object()?;
    let mut claims = Map::new();
    for name in TEXTS {
        if let Some(raw) = given.given(name) {
            let text = json::string(raw).ok_or_else(|| Unusable::member(name, raw, "text"))?;
            claims.insert(name.to_owned(), text.into());
        }
    }
    if !claims.contains_key("aud") {
        return Err(Unusable::Missing("aud").into());
    }
    claims.insert("exp".to_owned(), expires(&given, now)?.into());
    if let Some(raw) = given.given("email_verified") {
        claims.insert("email_verified".to_owned(), truth(raw)?.into());
    }
    Ok(claims)
}

/// Whether an error is about the token, and not about the question.
fn is_invalid(answer: &Answer<'_>) -> Result<bool, Unusable> {
    let given = answer.object()?;
    let error = given.given("error").and_then(json::string);
    // Where a token is malformed, the answer has only the description.
    let described = given.given("error_description").and_then(json::string);
    Ok(match (error, described) {
        (Some(error), _) => error == INVALID,
        (None, described) => described.as_deref() == Some("Invalid Value"),
    })
}

/// When it expires: `exp`, a date, or `expires_in`, the seconds that are left; numbers, or texts of digits.
fn expires(given: &Object<'_>, now: UnixTime) -> Result<i64, Unusable> {
    let seconds = |name: &'static str| {
        let raw = given.given(name)?;
        let text = json::string(raw).unwrap_or_else(|| String::from_utf8_lossy(raw));
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse::<i64>().ok().filter(|_| is_number);
        Some(parsed.ok_or_else(|| Unusable::member(name, raw, "a number of seconds")))
    };
    if let Some(date) = seconds("exp") {
        return date;
    }
    let left = seconds("expires_in").ok_or(Unusable::Missing("exp"))??;
    Ok(now.secs().saturating_add(left))
}

fn truth(raw: &[u8]) -> Result<bool, Unusable> {
    match raw {
        b"true" | b"\"true\"" => Ok(true),
        b"false" | b"\"false\"" => Ok(false),
        raw => Err(Unusable::member("email_verified", raw, "true or false")),
    }
}
