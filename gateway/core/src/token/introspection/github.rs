//! Answers of GitHub's *check a token* (`POST /applications/{client_id}/token`), as claims of RFC 7662. It answers only about tokens of
//! the application that asks, so its `app` is the audience. The token itself, which the answer repeats, is not passed on.

use std::borrow::Cow;

use chrono::DateTime;
use serde_json::{Map, Value};

use super::answer::{Answer, NotAccepted, Unusable};
use super::endpoint::Kind;
use crate::json::{self, Object};
use crate::time::UnixTime;

/// The claims of a token that is active, as a JSON document.
pub(super) fn claims(
    answer: &Answer<'_>,
    now: UnixTime,
) -> Result<Map<String, Value>, NotAccepted> {
    match answer.status {
        200 => {}
        // It is no token of this application.
        404 if is_not_found(answer) => return Err(NotAccepted::Inactive),
        _ => return Err(answer.without_answer(Kind::GitHub, now).into()),
    }
    let given = answer.object()?;
    let (app, user) = (part(&given, "app")?, part(&given, "user")?);
    let client: Value = text(&app, "client_id", "app.client_id")?.into();
    let mut claims = Map::new();
    claims.insert("aud".to_owned(), client.clone());
    claims.insert("client_id".to_owned(), client);
    claims.insert("sub".to_owned(), number(&user)?.into());
    claims.insert(
        "login".to_owned(),
        text(&user, "login", "user.login")?.into(),
    );
    claims.insert("scope".to_owned(), scopes(&given)?);
    if let Some(expires) = expires(&given)? {
        claims.insert("exp".to_owned(), expires.into());
    }
    Ok(claims)
}

/// Whether GitHub itself says so: a proxy before it, or a wrong path, answers with 404 too.
fn is_not_found(answer: &Answer<'_>) -> bool {
    let given = answer.object().ok();
    let message =
        given.and_then(|given| json::string(given.given("message")?).map(Cow::into_owned));
    message.as_deref() == Some("Not Found")
}

fn part<'a>(given: &Object<'a>, name: &'static str) -> Result<Object<'a>, Unusable> {
    let raw = given.given(name).ok_or(Unusable::Missing(name))?;
    json::object(raw).map_err(|_| Unusable::member(name, raw, "an object"))
}

fn text(part: &Object<'_>, name: &str, shown: &'static str) -> Result<String, Unusable> {
    let raw = part.given(name).ok_or(Unusable::Missing(shown))?;
    let text = json::string(raw).filter(|text| !text.is_empty());
    Ok(text
        .ok_or_else(|| Unusable::member(shown, raw, "text"))?
        .into_owned())
}

/// The number of an account, which stays when its login changes.
fn number(user: &Object<'_>) -> Result<String, Unusable> {
    let raw = user.given("id").ok_or(Unusable::Missing("user.id"))?;
    let digits = std::str::from_utf8(raw).ok();
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse::<u64>().ok());
    let number = number.ok_or_else(|| Unusable::member("user.id", raw, "a whole number"))?;
    Ok(number.to_string())
}

/// The scopes of an OAuth application; a GitHub App has none.
fn scopes(given: &Object<'_>) -> Result<Value, Unusable> {
    let Some(raw) = given.given("scopes") else {
        return Ok(Value::Array(Vec::new()));
    };
    let wrong = || Unusable::member("scopes", raw, "a list of texts");
    let listed = json::array(raw).map_err(|_| wrong())?;
    let texts = listed
        .into_iter()
        .map(|one| Some(json::string(one)?.into()));
    let texts: Option<Vec<Value>> = texts.collect();
    Ok(Value::Array(texts.ok_or_else(wrong)?))
}

fn expires(given: &Object<'_>) -> Result<Option<i64>, Unusable> {
    let Some(raw) = given.given("expires_at") else {
        return Ok(None);
    };
    let date = json::string(raw).and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    let date = date.ok_or_else(|| Unusable::member("expires_at", raw, "a date (RFC 3339)"))?;
    Ok(Some(date.timestamp()))
}
