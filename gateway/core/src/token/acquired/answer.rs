//! What a token endpoint answers (RFC 6749 §5, RFC 8693 §2.2).

use std::{fmt, time::Duration};

use super::request::TokenType;
use crate::{
    json,
    refusal::found::{Found, Word, head},
    time::UnixTime,
    token::introspection::{
        answer::{Answer, Unusable},
        breaker::Cause,
    },
};

/// The longest token that is used, in bytes: with its scheme it must fit into one header.
pub const MAX_TOKEN: usize = 8 * 1024 - 7;

/// The most characters of an error and its description that are compared with secrets, and shown.
const MAX_DESCRIPTION: usize = 300;

/// As many bytes of a secret in a description are a quotation of it.
const QUOTATION: usize = 12;

/// Stands for a description that quotes a secret.
const QUOTED: &str = "(left out: it quotes a credential)";

/// Errors that say that the gateway itself is refused, whatever it asks for (RFC 6749 §5.2).
const OF_CLIENT: [&str; 2] = ["invalid_client", "unsupported_grant_type"];

/// Statuses of an endpoint that cannot answer now, or of somebody before it (RFC 6585 §4, RFC 9110 §15.6).
const AWAY: [u16; 4] = [429, 502, 503, 504];

/// Errors that say that the endpoint cannot answer now (RFC 6749 §4.1.2.1; some token endpoints have them).
const FOR_NOW: [&str; 2] = ["temporarily_unavailable", "slow_down"];

/// A token that was issued. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken(String);

impl IssuedToken {
    /// The token, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedToken(…)")
    }
}

/// A token, and how long its issuer says that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: IssuedToken,
    /// None where the issuer does not say.
    pub lifetime: Option<Duration>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotIssued {
    /// What was presented or asked for is refused; in an exchange, perhaps the token of this caller alone.
    Refused(String),
    /// The gateway is refused: the configuration is wrong, here or there.
    Client(String),
    /// The endpoint cannot answer now.
    ForNow {
        /// What was found.
        found: String,
        /// How long it asks to be left alone.
        pause: Option<Duration>,
    },
    /// The answer is not one of a token endpoint.
    Unusable(Unusable),
}

impl NotIssued {
    /// What it can come from, where the token of a caller was presented.
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Refused(_) => Cause::Token,
            Self::Client(_) => Cause::Endpoint(None),
            // A proxy says this where the endpoint breaks on what it was sent.
            Self::ForNow { pause: None, .. } => Cause::Either,
            Self::ForNow { pause, .. } => Cause::Endpoint(*pause),
            Self::Unusable(unusable) => unusable.cause(),
        }
    }
}

impl fmt::Display for NotIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(found) | Self::Client(found) | Self::ForNow { found, .. } => {
                f.write_str(found)
            }
            Self::Unusable(unusable) => write!(f, "an unusable answer: {unusable}"),
        }
    }
}

impl From<Unusable> for NotIssued {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Reads an answer. `secrets` are what was sent, which it may quote.
///
/// # Errors
/// [`NotIssued`].
pub fn read(answer: &Answer<'_>, secrets: &[&str], now: UnixTime) -> Result<Issued, NotIssued> {
    match answer.status {
        200 => issued(answer),
        status if AWAY.contains(&status) => Err(NotIssued::ForNow {
            found: format!("status {status}"),
            pause: answer.pause(now),
        }),
        _ => Err(refused(answer, secrets)),
    }
}

fn issued(answer: &Answer<'_>) -> Result<Issued, NotIssued> {
    let members = answer.object()?;
    let text = |name: &'static str, expected: &'static str| match members.given(name) {
        None => Ok(None),
        Some(raw) => match json::string(raw) {
            Some(text) => Ok(Some(text)),
            None => Err(Unusable::member(name, raw, expected)),
        },
    };
    let kind = text("token_type", "Bearer")?.ok_or(Unusable::Missing("token_type"))?;
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(other("token_type", &kind, "Bearer").into());
    }
    let types = [TokenType::AccessToken, TokenType::Jwt].map(TokenType::urn);
    let issued = text("issued_token_type", "a token type")?;
    if let Some(issued) = issued.filter(|issued| !types.contains(&&**issued)) {
        return Err(other("issued_token_type", &issued, "an access token").into());
    }
    // Its value is never shown.
    let raw = members
        .given("access_token")
        .ok_or(Unusable::Missing("access_token"))?;
    let token = json::string(raw).filter(|token| is_token(token));
    let token = token.ok_or_else(|| Unusable::Member {
        member: "access_token",
        found: "something else".to_owned(),
        expected: "a text of letters, digits and -._~+/= that fits into a header",
    })?;
    Ok(Issued {
        token: IssuedToken(token.into_owned()),
        lifetime: members.given("expires_in").map(seconds).transpose()?,
    })
}

fn other(member: &'static str, found: &str, expected: &'static str) -> Unusable {
    Unusable::Member {
        member,
        found: Word(found).to_string(),
        expected,
    }
}

/// A `b64token` (RFC 6750 §2.1).
fn is_token(token: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(is_legal)
}

/// A number of seconds. Some servers write it as a text.
fn seconds(raw: &[u8]) -> Result<Duration, Unusable> {
    let text = json::string(raw);
    let digits = match &text {
        Some(text) => text.as_bytes(),
        None => raw,
    };
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number);
    // More than fits is long enough.
    let number = number.map(|number| number.parse().unwrap_or_else(|_| u64::from(u32::MAX)));
    let number =
        number.ok_or_else(|| Unusable::member("expires_in", raw, "a number of seconds"))?;
    Ok(Duration::from_secs(number))
}

fn refused(answer: &Answer<'_>, secrets: &[&str]) -> NotIssued {
    let status = answer.status;
    let members = answer.object().unwrap_or_default();
    let member = |name| members.given(name).and_then(json::string);
    let Some(error) = member("error") else {
        return match status {
            400 | 403 | 422 => NotIssued::Refused(format!("status {status} without an error")),
            _ => NotIssued::Unusable(Unusable::Status(status)),
        };
    };
    let found = said(&error, member("error_description").as_deref(), secrets);
    let found = format!("{found}, status {status}");
    match &*error {
        error if OF_CLIENT.contains(&error) => NotIssued::Client(found),
        error if FOR_NOW.contains(&error) => NotIssued::ForNow { found, pause: None },
        // The endpoint broke, perhaps on what it was sent.
        "server_error" => NotIssued::Unusable(Unusable::Status(status)),
        _ if status >= 500 => NotIssued::Unusable(Unusable::Status(status)),
        _ => NotIssued::Refused(found),
    }
}

/// An error as the operator reads it.
fn said(error: &str, description: Option<&str>, secrets: &[&str]) -> String {
    let quotes = |text: &str| secrets.iter().any(|secret| quotes(text, secret));
    let error = head(error, MAX_DESCRIPTION);
    if quotes(error) {
        return format!("error {QUOTED}");
    }
    let error = format!("error {}", Word(error));
    match description.map(|text| head(text, MAX_DESCRIPTION)) {
        None => error,
        Some(text) if quotes(text) => format!("{error}, description {QUOTED}"),
        Some(text) => format!("{error}, description {}", Found(text)),
    }
}

/// Whether a text has a part of this secret.
fn quotes(text: &str, secret: &str) -> bool {
    let is_part = |part: &[u8]| {
        let part = std::str::from_utf8(part).ok();
        part.is_some_and(|part| secret.contains(part))
    };
    match secret.len() {
        0 => false,
        1..=QUOTATION => text.contains(secret),
        _ => text.as_bytes().windows(QUOTATION).any(is_part),
    }
}
