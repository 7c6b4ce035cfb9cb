//! A request to a service that the operator named, and its answer: a form for a token endpoint, a JSON document, or a question with an
//! access token.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

/// The largest answer about one token that is read, in bytes: a token fits into a header, and so does what is said about it.
pub(crate) const MAX_TOKEN_ANSWER: usize = 64 * 1024;

/// Idle connections to a service that is asked often, so that a burst of questions does not open as many.
pub(crate) const IDLE_CONNECTIONS: usize = 8;

/// The least time between two lines about questions about tokens that failed.
pub(crate) const LEAST_BETWEEN_FAILURES: Duration = Duration::from_secs(1);

/// The media types of what is posted.
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A request. `Debug` shows nothing of it: all of it may be secret.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// `Authorization`.
    pub(super) authorization: Option<HeaderValue>,
    /// What is posted; without it, it is a `GET`.
    pub(super) posted: Option<Posted>,
}

/// What is posted.
#[derive(Clone)]
pub(super) struct Posted {
    pub(super) media_type: &'static str,
    pub(super) body: Bytes,
}

/// An answer.
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: u16,
    /// Its header fields.
    pub(crate) headers: HeaderMap,
    /// Its body, within the limit.
    pub(crate) body: Bytes,
}

impl Outgoing {
    /// `GET` with this `Authorization`.
    pub(crate) const fn get(authorization: Option<HeaderValue>) -> Self {
        Self {
            authorization,
            posted: None,
        }
    }

    /// `POST` of a form with this `Authorization`.
    pub(crate) fn post(form: String, authorization: Option<HeaderValue>) -> Self {
        Self::posting(FORM, form.into(), authorization)
    }

    /// `POST` of a JSON document with this `Authorization`.
    pub(crate) fn post_json(document: Vec<u8>, authorization: Option<HeaderValue>) -> Self {
        Self::posting(JSON, document.into(), authorization)
    }

    const fn posting(
        media_type: &'static str,
        body: Bytes,
        authorization: Option<HeaderValue>,
    ) -> Self {
        Self {
            authorization,
            posted: Some(Posted { media_type, body }),
        }
    }

    pub(super) fn method(&self) -> Method {
        match self.posted {
            Some(_) => Method::POST,
            None => Method::GET,
        }
    }
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Outgoing({})", self.method())
    }
}
