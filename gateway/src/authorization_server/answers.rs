//! The answers of the authorization server: JSON for programs, pages and redirects for people.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER},
};
use mcp_gateway_oauth::{
    pages::{
        self, PageKind,
        message::{self, Fault, FaultView, Unavailable, Why},
    },
    token::error::{Refused, TokenError},
};
use serde_json::Value;

use super::server::Server;
use crate::{
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{AuthorizationEvent, EventKind, EventSubject},
};

/// When to try again after a store that did not answer, in seconds.
const RETRY_AFTER_SECONDS: u64 = 2;

/// An answer, or the one that ends the request early.
pub(super) type Answered<T = LocalAnswer> = Result<T, Box<LocalAnswer>>;

/// A JSON answer that nobody stores (RFC 6749 §5.1).
pub(super) fn json(status: StatusCode, body: &Value) -> LocalAnswer {
    json_text(status, body.to_string())
}

/// The same, of a text.
pub(super) fn json_text(status: StatusCode, body: String) -> LocalAnswer {
    let headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (PRAGMA, HeaderValue::from_static("no-cache")),
    ];
    LocalAnswer {
        headers,
        body: body.into(),
        ..LocalAnswer::new(status)
    }
}

/// An error for a program (RFC 6749 §5.2).
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> LocalAnswer {
    let body = serde_json::json!({ "error": code, "error_description": description });
    let mut answer = json(status, &body);
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        answer.headers.push(retry_after(RETRY_AFTER_SECONDS));
    }
    answer
}

/// A refusal of the token, revocation or introspection endpoint.
pub(super) fn refused(sent: &HeaderMap, refused: &Refused) -> LocalAnswer {
    let error = refused.error;
    let found = match (refused.found.as_str(), refused.expected.as_str()) {
        ("", "") => error.reason().to_owned(),
        (found, "") => format!("{}: {found}", error.reason()),
        ("", expected) => format!("{}: expected {expected}", error.reason()),
        (found, expected) => format!("{}: {found}; expected {expected}", error.reason()),
    };
    LocalAnswer {
        headers: error.headers(sent.contains_key(AUTHORIZATION)),
        body: error.body().into(),
        found: Some(found),
        counts_against_address: is_guess(error),
        ..LocalAnswer::new(error.status())
    }
}

/// Whether it is what somebody does who guesses, or tries what was copied.
const fn is_guess(error: TokenError) -> bool {
    matches!(
        error,
        TokenError::CodeUnknown
            | TokenError::VerifierWrong
            | TokenError::RefreshTokenUnknown
            | TokenError::AssertionUnknown
            | TokenError::SubjectTokenUnknown
            | TokenError::ProofNotValid
            | TokenError::ProofReplayed
            | TokenError::OtherKey
            | TokenError::ClientNotAuthenticated
    )
}

/// A page.
pub(super) fn page(status: StatusCode, kind: PageKind, html: String) -> LocalAnswer {
    LocalAnswer {
        headers: pages::headers(kind),
        body: html.into(),
        ..LocalAnswer::new(status)
    }
}

/// The page of a fault.
pub(super) fn fault(
    server: &Server,
    request: &LocalRequest,
    fault: &Fault,
    found: String,
) -> LocalAnswer {
    let html = message::fault(&FaultView {
        branding: &server.settings.branding,
        fault,
        request_id: Some(&request.request_id),
    });
    LocalAnswer {
        found: Some(found),
        ..page(fault.status(), PageKind::Message, html)
    }
}

/// The page of a server that cannot answer now (503). With a time to wait, it offers to ask for the same page again.
pub(super) fn unavailable(
    server: &Server,
    request: &LocalRequest,
    (why, wait): (&Why, Option<u64>),
    found: String,
) -> LocalAnswer {
    let again = wait.and_then(|_| page_again(request));
    let html = message::unavailable(&Unavailable {
        branding: &server.settings.branding,
        why,
        retry_after: wait,
        again: again.as_deref(),
        request_id: Some(&request.request_id),
    });
    let mut answer = page(StatusCode::SERVICE_UNAVAILABLE, PageKind::Message, html);
    answer.headers.extend(wait.map(retry_after));
    answer.found = Some(found);
    answer
}

/// The page of a server whose store did not answer.
pub(super) fn no_store(
    server: &Server,
    request: &LocalRequest,
    error: &impl ToString,
) -> LocalAnswer {
    let why = (&Why::Server, Some(RETRY_AFTER_SECONDS));
    unavailable(server, request, why, error.to_string())
}

/// Path and query of the page that the browser asked for; none for a form.
fn page_again(request: &LocalRequest) -> Option<String> {
    let path = &request.path;
    let with_query = || match &request.query {
        Some(query) => format!("{path}?{query}"),
        None => path.clone(),
    };
    (request.method == Method::GET).then(with_query)
}

/// A redirect, of the browser to another page or back to the client (RFC 9700 §4.12: 303).
pub(super) fn redirect(location: &str) -> LocalAnswer {
    let mut headers = pages::headers::redirect_headers();
    // A location is built of ASCII only.
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.push((LOCATION, location));
    }
    LocalAnswer {
        headers,
        ..LocalAnswer::new(StatusCode::SEE_OTHER)
    }
}

/// A file of the server.
pub(super) fn file(headers: Vec<(HeaderName, HeaderValue)>, body: Bytes) -> LocalAnswer {
    LocalAnswer {
        headers,
        body,
        ..LocalAnswer::new(StatusCode::OK)
    }
}

pub(super) fn retry_after(seconds: u64) -> (HeaderName, HeaderValue) {
    (RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

impl LocalAnswer {
    /// With an event.
    pub(super) fn with_event(
        mut self,
        kind: EventKind,
        outcome: &'static str,
        about: EventSubject,
    ) -> Self {
        let reason = self.found.clone();
        self.events.push(AuthorizationEvent {
            kind,
            outcome,
            reason,
            about,
        });
        self
    }

    /// With this in its events as who they are about.
    pub(super) fn about(mut self, about: &EventSubject) -> Self {
        for event in &mut self.events {
            event.about.clone_from(about);
        }
        self
    }

    /// With what was found, for the operator.
    pub(super) fn with_found(mut self, found: impl ToString) -> Self {
        self.found = Some(found.to_string());
        self
    }

    /// With a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}
