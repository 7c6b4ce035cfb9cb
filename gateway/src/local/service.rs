//! A service that the gateway runs itself at exact paths: the built-in authorization server.
//!
//! The pipeline reads its requests and writes its answers, with the deadlines and limits of all others. The service sees values
//! only, so it is tested without sockets.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use mcp_gateway_core::{
    http::{authority::Authority, client_address::ClientAddress},
    token::evidence::binding::Thumbprint,
};

use crate::telemetry::authorization_event::AuthorizationEvent;

/// A service at exact paths.
#[async_trait]
pub(crate) trait LocalService: fmt::Debug + Send + Sync {
    /// The endpoint at this path of this host, if it is one of the service's.
    fn endpoint(&self, host: &Authority, path: &str) -> Option<LocalEndpoint>;

    /// Answers a request for one of its endpoints, with a method that the endpoint has, within a deadline of its own.
    async fn answer(&self, request: LocalRequest) -> LocalAnswer;
}

/// An endpoint of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalEndpoint {
    /// Its methods; `OPTIONS` is answered where pages may call it.
    pub(crate) methods: &'static [Method],
    /// Whether pages of every origin may call it (CORS): it decides by what they send, never by cookies.
    pub(crate) is_for_pages: bool,
    /// What happens to an address that sent too many wrong credentials.
    pub(crate) guesses: Guesses,
    /// The most wrong credentials of one address in a minute, at all endpoints of the service together.
    pub(crate) refusals_per_address: u32,
    /// The most bytes of a request body.
    pub(crate) body_bytes: usize,
}

/// What happens at an endpoint to an address that sent too many wrong credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guesses {
    /// Nothing: it takes no credentials, or limits them itself.
    Answered,
    /// Wrong ones are refused, after they were judged: right ones are always served.
    Refused,
    /// All are refused: to judge them costs a request to somebody else.
    NotJudged,
}

impl LocalEndpoint {
    /// Whether the endpoint has this method.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// The value of `Allow` (RFC 9110 §10.2.1).
    pub(crate) fn allow(&self) -> HeaderValue {
        let options = self.is_for_pages.then_some(&Method::OPTIONS);
        let methods = self.methods.iter().chain(options);
        let listed: Vec<_> = methods.map(Method::as_str).collect();
        HeaderValue::try_from(listed.join(", ")).unwrap_or(HeaderValue::from_static("GET"))
    }
}

/// A request for a service.
#[derive(Clone, Debug)]
pub(crate) struct LocalRequest {
    /// Its method; `GET` for `HEAD`, whose answer is written without its body.
    pub(crate) method: Method,
    /// Its path, one of the service's.
    pub(crate) path: String,
    /// Its query.
    pub(crate) query: Option<String>,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body, within the limit of the endpoint; empty for methods without one.
    pub(crate) body: Bytes,
    /// Where it comes from, for limits.
    pub(crate) client: ClientAddress,
    /// The SHA-256 of the certificate that the client presented.
    pub(crate) certificate: Option<Thumbprint>,
    /// What names it in logs.
    pub(crate) request_id: String,
}

/// The answer of a service.
#[derive(Clone, Debug)]
pub(crate) struct LocalAnswer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers, without those that frame the body. A name may occur more than once (`Set-Cookie`).
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub(crate) body: Bytes,
    /// What was found and what was expected, for the access line only.
    pub(crate) found: Option<String>,
    /// Whether it is a refusal that counts against the client's address, apart from the refusals of MCP requests: a wrong password,
    /// secret, code or token.
    pub(crate) counts_against_address: bool,
    /// What happened, for metrics and the audit log.
    pub(crate) events: Vec<AuthorizationEvent>,
}

impl LocalAnswer {
    /// An answer without a body, and without anything to say.
    pub(crate) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            found: None,
            counts_against_address: false,
            events: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_lists_its_methods_and_those_of_preflights() {
        let endpoint = |methods, is_for_pages| LocalEndpoint {
            methods,
            is_for_pages,
            guesses: Guesses::Answered,
            refusals_per_address: 1,
            body_bytes: 1,
        };
        let document = endpoint(&[Method::GET, Method::HEAD], true);
        assert!(document.allows(&Method::HEAD) && !document.allows(&Method::POST));
        assert_eq!(document.allow(), "GET, HEAD, OPTIONS");
        let form = endpoint(&[Method::POST], false);
        assert!(form.allows(&Method::POST) && !form.allows(&Method::OPTIONS));
        assert_eq!(form.allow(), "POST");
    }
}
