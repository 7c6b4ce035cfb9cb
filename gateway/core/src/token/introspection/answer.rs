//! An answer of an endpoint, and why it does not accept a token.

use std::time::Duration;

use chrono::DateTime;
use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::breaker::Cause;
use super::endpoint::Kind;
use crate::http::media_type::json_body;
use crate::json::{self, JsonError, JsonLimits, Object};
use crate::refusal::found::Found;
use crate::refusal::reason::Reason;
use crate::time::UnixTime;

/// The longest pause that an endpoint can impose: after it one call finds out whether it answers again.
pub const MAX_PAUSE: Duration = Duration::from_secs(600);

/// The shortest pause after a call that was refused for its rate.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The limits of the reader. An answer is about one token.
pub(super) const LIMITS: JsonLimits = JsonLimits {
    depth: 16,
    members: 1000,
};

/// When GitHub's rate limit ends, in seconds since the epoch.
static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How many calls GitHub's rate limit still allows.
static RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its body, whole.
    pub body: &'a [u8],
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAccepted {
    /// The endpoint says that it is not active.
    Inactive,
    /// The endpoint says that it is active, but it is not for this resource, or not now.
    Refused(Reason),
    /// The answer says nothing about the token.
    Unusable(Unusable),
}

/// Why an answer says nothing about a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not an answer to the question.
    #[error("status {0}, expected 200")]
    Status(u16),
    /// It does not know us.
    #[error("status {0}: the endpoint does not accept our client authentication")]
    Credentials(u16),
    /// It wants fewer calls.
    #[error("status {status}: the endpoint asks for a pause of {pause:?}")]
    Pause {
        /// Its status.
        status: u16,
        /// How long not to ask.
        pause: Duration,
    },
    /// It is not JSON by its own account.
    #[error("content type {0}, expected application/json without content encoding")]
    MediaType(String),
    /// Two readers could read it differently, or none can.
    #[error("not strict JSON: {0}")]
    Json(JsonError),
    /// It is another JSON value.
    #[error("not a JSON object")]
    NotObject,
    /// A member without which it says nothing is missing.
    #[error("no member {0}")]
    Missing(&'static str),
    /// A member is not what it must be.
    #[error("{member} is {found}, expected {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A claim of an active token has an unexpected form; `why` finds which.
    #[error("a claim has an unexpected form")]
    Claim,
}

impl From<Unusable> for NotAccepted {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

impl From<Reason> for NotAccepted {
    /// A token that cannot be read is an answer that cannot be: the caller's token may be good.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::MalformedToken => Self::Unusable(Unusable::Claim),
            reason => Self::Refused(reason),
        }
    }
}

impl Unusable {
    /// A member that is not what it must be.
    pub(in crate::token) fn member(
        member: &'static str,
        raw: &[u8],
        expected: &'static str,
    ) -> Self {
        let found = match raw.first() {
            Some(b'"') => match json::string(raw) {
                Some(text) => format!("the text {}", Found(&text)),
                None => "a text that is not Unicode".to_owned(),
            },
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "a list".to_owned(),
            _ => Found(&String::from_utf8_lossy(raw)).to_string(),
        };
        Self::Member {
            member,
            found,
            expected,
        }
    }

    /// What it can come from. The token may be the cause at an endpoint that answers about other tokens: something before the endpoint can
    /// refuse a text that it takes for an attack, and the endpoint can break on one. A proxy answers 502 to 504 where the endpoint answers
    /// nothing.
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Status(502..=504) => Cause::Either,
            Self::Credentials(401) => Cause::Endpoint(None),
            Self::Pause { pause, .. } => Cause::Endpoint(Some(*pause)),
            Self::Status(_)
            | Self::Credentials(_)
            | Self::MediaType(_)
            | Self::Json(_)
            | Self::NotObject
            | Self::Missing(_)
            | Self::Member { .. }
            | Self::Claim => Cause::Token,
        }
    }

    /// Whether the endpoint may be elsewhere now: something else answers, or says that there is no endpoint.
    pub const fn may_have_moved(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500 || matches!(*status, 404 | 405 | 410),
            Self::MediaType(_) => true,
            _ => false,
        }
    }
}

impl<'a> Answer<'a> {
    /// The body, which is a JSON object in a JSON answer.
    pub(in crate::token) fn object(&self) -> Result<Object<'a>, Unusable> {
        json_body(self.headers).map_err(|_| Unusable::MediaType(self.content_type()))?;
        json::check(self.body, &LIMITS).map_err(Unusable::Json)?;
        json::object(self.body).map_err(|_| Unusable::NotObject)
    }

    /// An answer with a status that says nothing about a token. 429 and 503 can ask for a pause; 403 does so at GitHub alone, where it is
    /// also the status of a rate limit.
    pub(super) fn without_answer(&self, kind: Kind, now: UnixTime) -> Unusable {
        let status = self.status;
        match (status, self.pause(now)) {
            (401, _) => Unusable::Credentials(status),
            (429 | 503, Some(pause)) => Unusable::Pause { status, pause },
            (403, Some(pause)) if kind == Kind::GitHub => Unusable::Pause { status, pause },
            (429, None) => Unusable::Pause {
                status,
                pause: MIN_PAUSE,
            },
            (403, _) => Unusable::Credentials(status),
            _ => Unusable::Status(status),
        }
    }

    /// How long the endpoint says not to ask it: in seconds or until a date (RFC 9110 §10.2.3), or until GitHub's limit ends.
    pub(in crate::token) fn pause(&self, now: UnixTime) -> Option<Duration> {
        let text = |name: &HeaderName| self.headers.get(name)?.to_str().ok();
        let until_reset = || {
            let is_spent = text(&RATE_LIMIT_REMAINING) == Some("0");
            let reset = text(&RATE_LIMIT_RESET).filter(|_| is_spent)?;
            Some(UnixTime::new(reset.parse().ok()?).since(now))
        };
        let after = || {
            let after = text(&RETRY_AFTER)?;
            after.parse().map(Duration::from_secs).ok().or_else(|| {
                let date = DateTime::parse_from_rfc2822(after).ok()?;
                Some(UnixTime::new(date.timestamp()).since(now))
            })
        };
        let pause = after().or_else(until_reset)?;
        Some(pause.clamp(MIN_PAUSE, MAX_PAUSE))
    }

    fn content_type(&self) -> String {
        match self.headers.get(CONTENT_TYPE) {
            Some(value) => Found(&String::from_utf8_lossy(value.as_bytes())).to_string(),
            None => "none".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unusable(kind: Kind, status: u16, retry_after: Option<&'static str>) -> Unusable {
        let mut headers = HeaderMap::new();
        if let Some(after) = retry_after {
            headers.insert(RETRY_AFTER, http::HeaderValue::from_static(after));
        }
        let answer = Answer {
            status,
            headers: &headers,
            body: b"",
        };
        answer.without_answer(kind, UnixTime::new(0))
    }

    #[test]
    fn an_endpoint_that_is_gone_may_have_moved() {
        for (status, expected) in [
            (400, false),
            (401, false),
            (403, false),
            (404, true),
            (405, true),
            (410, true),
            (422, false),
            (429, false),
            (500, true),
        ] {
            let found = unusable(Kind::Rfc7662, status, None);
            assert_eq!(found.may_have_moved(), expected, "{status}");
        }
    }

    #[test]
    fn a_token_can_be_to_blame_for_an_answer_and_perhaps_for_none() {
        for (status, expected) in [
            (400, Cause::Token),
            (401, Cause::Endpoint(None)),
            (403, Cause::Token),
            (404, Cause::Token),
            (422, Cause::Token),
            (429, Cause::Endpoint(Some(MIN_PAUSE))),
            (500, Cause::Token),
            (502, Cause::Either),
            (503, Cause::Either),
            (504, Cause::Either),
        ] {
            let found = unusable(Kind::Rfc7662, status, None);
            assert_eq!(found.cause(), expected, "{status}");
        }
        for found in [
            Unusable::MediaType("text/html".to_owned()),
            Unusable::NotObject,
            Unusable::Missing("active"),
            Unusable::Claim,
        ] {
            assert_eq!(found.cause(), Cause::Token, "{found}");
        }
    }

    #[test]
    fn a_forbidden_question_asks_for_a_pause_at_github_alone() {
        let long = Cause::Endpoint(Some(MAX_PAUSE));
        for (kind, status, expected) in [
            (Kind::Rfc7662, 403, Cause::Token),
            (Kind::Google, 403, Cause::Token),
            (Kind::GitHub, 403, long),
            (Kind::Rfc7662, 429, long),
            (Kind::Google, 429, long),
            (Kind::GitHub, 429, long),
            (Kind::Rfc7662, 503, long),
            (Kind::Rfc7662, 500, Cause::Token),
        ] {
            let found = unusable(kind, status, Some("86400"));
            assert_eq!(found.cause(), expected, "{kind:?} {status}");
        }
        assert_eq!(unusable(Kind::GitHub, 403, None).cause(), Cause::Token);
    }
}
