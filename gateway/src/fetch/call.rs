//! A request to a service that the operator named, and its answer: a form for a token endpoint, or a question with an access token.

use bytes::Bytes;
use http::{HeaderValue, Method};

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A request. `Debug` shows nothing of it: all of it may be secret.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// `Authorization`.
    pub(super) authorization: Option<HeaderValue>,
    /// The form that is posted; without one, it is a `GET`.
    pub(super) form: Option<Bytes>,
}

/// An answer.
pub(crate) struct Answered {
    /// Its status.
    pub(crate) status: u16,
    /// Its body, within the limit.
    pub(crate) body: Bytes,
}

impl Outgoing {
    /// `GET` with this `Authorization`.
    pub(crate) const fn get(authorization: Option<HeaderValue>) -> Self {
        Self {
            authorization,
            form: None,
        }
    }

    /// `POST` of a form with this `Authorization`.
    pub(crate) fn post(form: String, authorization: Option<HeaderValue>) -> Self {
        Self {
            authorization,
            form: Some(form.into()),
        }
    }

    pub(super) fn method(&self) -> Method {
        match self.form {
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
