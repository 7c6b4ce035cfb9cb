//! The redirect back to the client (RFC 6749 §4.1.2, §4.1.2.1, RFC 9207 §2): the query of the redirect URI is kept, and every parameter
//! of the answer follows it once.

use super::{error::ErrorCode, request::AuthorizationRequest};
use crate::{form::encoded, redirect_uri::RedirectUri, secret::Secret};

impl AuthorizationRequest {
    /// The `Location` of an error that is found after the judgement: the person refused, nobody is signed in where no page may be shown.
    pub fn refused(&self, code: ErrorCode, issuer: &str) -> String {
        let state = self.state.as_deref();
        error_location(&self.redirect_uri, code, code.description(), state, issuer)
    }
}

/// The `Location` that takes a code to the client.
pub fn success_location(request: &AuthorizationRequest, code: &Secret, issuer: &str) -> String {
    let answer = [("code", code.expose())];
    location(
        &request.redirect_uri,
        &answer,
        request.state.as_deref(),
        issuer,
    )
}

/// The `Location` that takes an error to the client.
pub fn error_location(
    redirect: &RedirectUri,
    code: ErrorCode,
    description: &str,
    state: Option<&str>,
    issuer: &str,
) -> String {
    let answer = [("error", code.as_str()), ("error_description", description)];
    location(redirect, &answer, state, issuer)
}

fn location(
    redirect: &RedirectUri,
    answer: &[(&str, &str)],
    state: Option<&str>,
    issuer: &str,
) -> String {
    let state = state.map(|state| ("state", state));
    let parameters = answer.iter().copied().chain(state).chain([("iss", issuer)]);
    let parameters = parameters.map(|(name, value)| format!("{name}={}", encoded(value)));
    let parameters = parameters.collect::<Vec<_>>().join("&");
    let separator = match redirect.query() {
        None => "?",
        Some(query) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{}{separator}{parameters}", redirect.as_str())
}
