//! An authorization request that was judged: what travels through sign-in and consent.

use serde::{Deserialize, Serialize};

use super::{page_fault::PageFault, prompt::Prompt};
use crate::{
    client::standing::Standing, form::Form, proof_key::ProofKey, redirect_uri::RedirectUri,
    store::text::ScopeSetText,
};

/// The most bytes of a request, encoded. It travels sealed in one field of a form, together with its judged parts:
/// [`MOST_VALUE_BYTES`](crate::form::MOST_VALUE_BYTES) is more than both take.
pub const MOST_QUERY_BYTES: usize = 16 * 1024;

/// The parameters that a request is judged by. Others are not carried along.
const KNOWN: [&str; 11] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "resource",
    "prompt",
];

/// An authorization request that was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client_id: String,
    /// How well the server knew it when it judged this.
    pub standing: Standing,
    /// Where the answer goes.
    pub redirect_uri: RedirectUri,
    /// Whether the redirect URI was sent: the token request has to repeat it then (RFC 6749 §4.1.3).
    pub was_redirect_sent: bool,
    /// What the client gets back unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The PKCE challenge: base64url of a SHA-256, 43 characters (RFC 7636 §4.2).
    pub code_challenge: String,
    /// The key that has to redeem the code (`dpop_jkt`, RFC 9449 §10), if the client named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ProofKey>,
    /// The resource, as the configuration spells it.
    pub resource: String,
    /// The scopes that consent is asked for. They are all scopes of the resource.
    pub scopes: ScopeSetText,
    /// Whether refresh tokens are issued: to every client whose grant types have them.
    pub wants_refresh: bool,
    /// What the person has to see.
    pub prompt: Prompt,
    /// The query of `/authorize` for after the sign-in: the same request, without the values of `prompt` that ask for signing in.
    pub query: String,
}

/// The query for after the sign-in.
pub(super) fn query_after_sign_in(form: &Form) -> Result<String, PageFault> {
    let unknown: Vec<_> = form.iter().map(|(name, _)| name).collect();
    let unknown = unknown.into_iter().filter(|name| !KNOWN.contains(name));
    let without: Vec<_> = unknown.chain(["prompt"]).collect();
    let mut query = form.to_query(&without);
    let prompt = Prompt::after_sign_in(form.get("prompt").unwrap_or_default());
    if !prompt.is_empty() {
        query.push_str("&prompt=");
        query.push_str(&crate::form::encoded(&prompt));
    }
    match query.len() {
        found if found > MOST_QUERY_BYTES => Err(PageFault::TooLong {
            found,
            most: MOST_QUERY_BYTES,
        }),
        _ => Ok(query),
    }
}
