//! The `Authorization` header: a token is read from exactly one line, and equals the text of that line.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use mcp_gateway_core::{refusal::reason::Reason, token::bearer::bearer};

const MAX_BYTES: usize = 512;

/// Lines of `Authorization`, each ended by a line feed; a first line that begins with a question mark is the query.
pub fn bearer_header(lines: &[u8]) {
    let mut lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    let query = lines.first().and_then(|line| line.strip_prefix(b"?"));
    let query = query.map(|query| String::from_utf8_lossy(query).into_owned());
    if query.is_some() {
        lines.remove(0);
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(AUTHORIZATION, value);
        }
    }
    check(&headers, query.as_deref());
}

fn check(headers: &HeaderMap, query: Option<&str>) {
    let token = match bearer(headers, query, MAX_BYTES) {
        Ok(token) => token,
        Err(reason) => return assert!(is_about_credentials(reason), "{reason:?}"),
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().expect("a line").as_bytes();
    assert!(values.next().is_none(), "one of several lines was chosen");
    let text = token.expose();
    assert!(!text.is_empty() && text.len() <= MAX_BYTES);
    assert_eq!(
        rebuilt(value, text),
        trimmed(value),
        "the line has another token"
    );
    assert_eq!(
        text.trim_end_matches('='),
        text.replace('=', ""),
        "padding inside"
    );
    assert!(
        !text.contains(|letter: char| !is_token68(letter)),
        "no token68"
    );
    assert_eq!(format!("{token:?}"), "BearerToken([redacted])");
    assert_eq!(
        bearer(headers, Some("access_token=a"), MAX_BYTES),
        Err(Reason::TokenInQuery)
    );
}

/// The scheme as it is spelt, its spaces, and the token.
fn rebuilt(value: &[u8], token: &str) -> Vec<u8> {
    let value = trimmed(value);
    let spaces = value.len() - "bearer".len() - token.len();
    assert!(value[..6].eq_ignore_ascii_case(b"bearer") && spaces > 0);
    [&value[..6], &b" ".repeat(spaces), token.as_bytes()].concat()
}

fn trimmed(value: &[u8]) -> Vec<u8> {
    let text: String = value.iter().map(|byte| char::from(*byte)).collect();
    text.trim_matches(' ')
        .chars()
        .map(|letter| letter as u8)
        .collect()
}

fn is_token68(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~+/=".contains(letter)
}

const fn is_about_credentials(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoCredentials
            | Reason::UnsupportedScheme
            | Reason::MultipleCredentials
            | Reason::TokenInQuery
            | Reason::MalformedCredentials
            | Reason::TokenTooLarge
    )
}
