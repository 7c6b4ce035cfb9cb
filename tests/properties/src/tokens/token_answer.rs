//! The answer of a token endpoint: a token that is taken from it is the one that other parsers read, fits into a header, and is of the type Bearer; and
//! what an operator reads about any other answer has no part of what was sent.

use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use mcp_gateway_core::{
    time::UnixTime,
    token::{
        acquired::answer::{Issued, MAX_TOKEN, NotIssued, read},
        introspection::answer::Answer,
    },
};
use serde_json::{Value, json};
use test_support::fixtures::NOW;

/// What was sent: a caller's token.
const SENT: &str = "sent-a6cf1e07-7f7d-4d0c-9d55-0b5b2a0f4a11-of-somebody";

/// As many bytes of it in a row are a part of it.
const PART: usize = 12;

/// The body of an answer.
pub fn token_answer(body: &[u8]) {
    for status in [200, 400, 401, 403, 404, 503] {
        match judge(status, body) {
            Ok(issued) => is_taken_rightly(status, body, &issued),
            Err(why) => is_explained(&why),
        }
    }
    // An endpoint that repeats a part of what was sent in its error, where it likes.
    let cut = usize::from(body.first().copied().unwrap_or_default()) % SENT.len();
    let (before, after) = body.split_at(body.len() / 2);
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}{}", text(before), &SENT[cut..], text(after));
    for answer in [
        json!({ "error": "invalid_grant", "error_description": said }),
        json!({ "error": said }),
    ] {
        let answer = answer.to_string();
        is_explained(&judge(400, answer.as_bytes()).expect_err("an error is no token"));
    }
}

fn judge(status: u16, body: &[u8]) -> Result<Issued, NotIssued> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let answer = Answer {
        status,
        headers: &headers,
        body,
    };
    read(&answer, &[SENT], UnixTime::new(NOW))
}

fn is_taken_rightly(status: u16, body: &[u8], issued: &Issued) {
    let token = issued.token.expose();
    assert_eq!(status, 200);
    let members: Value = serde_json::from_slice(body).expect("strict JSON");
    assert_eq!(members["access_token"], token);
    let kind = members["token_type"].as_str().expect("a text");
    assert!(kind.eq_ignore_ascii_case("bearer"), "{kind}");
    assert!((1..=MAX_TOKEN).contains(&token.len()));
    HeaderValue::from_str(&format!("Bearer {token}")).expect("the value of a header");
    assert!(!token.contains([' ', ',', '"']), "{token}");
    assert!(!format!("{issued:?}").contains(token) || token.len() < PART);
}

/// The operator learns something, in one line of limited length, without what was sent.
fn is_explained(why: &NotIssued) {
    let found = why.to_string();
    let is_safe = !found.chars().any(char::is_control);
    assert!(
        !found.is_empty() && found.chars().count() <= 1024 && is_safe,
        "{found}"
    );
    let parts = SENT.as_bytes().windows(PART);
    let mut parts = parts.map(|part| std::str::from_utf8(part).expect("ASCII"));
    assert!(!parts.any(|part| found.contains(part)), "{found}");
}
