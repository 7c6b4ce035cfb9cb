//! What a token endpoint gets: the form, and the proof of who asks (RFC 6749 §4.4.2, RFC 8693 §2.1, RFC 8707 §2).

use std::fmt;

use url::form_urlencoded::Serializer;

use crate::token::client_proof::ClientProof;

/// A type of token (RFC 8693 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// An access token, whatever its form.
    AccessToken,
    /// A JWT.
    Jwt,
}

impl TokenType {
    /// Its name in requests and answers.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

/// The grant that is used.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The gateway's own right.
    ClientCredentials,
    /// The right of a caller.
    Exchange {
        /// The caller's access token.
        subject_token: &'a str,
        /// What kind of token it is.
        subject_type: TokenType,
        /// What kind of token is wanted.
        requested: TokenType,
    },
}

/// What the token is to be good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Scopes.
    pub scopes: Vec<String>,
    /// Resources (RFC 8707).
    pub resources: Vec<String>,
    /// Audiences (RFC 8693 §2.1; some servers know them for client credentials too).
    pub audiences: Vec<String>,
}

/// A request. `Debug` shows nothing of it: all of it is secret.
pub struct TokenRequest {
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The form of the `POST`.
    pub form: String,
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenRequest(…)")
    }
}

impl TokenRequest {
    /// A request for a token.
    pub fn new(grant: Grant<'_>, wanted: &Wanted, proof: ClientProof<'_>) -> Self {
        let mut form = Serializer::new(String::new());
        match grant {
            Grant::ClientCredentials => {
                form.append_pair("grant_type", "client_credentials");
            }
            Grant::Exchange {
                subject_token,
                subject_type,
                requested,
            } => {
                let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
                form.append_pair("grant_type", grant)
                    .append_pair("subject_token", subject_token)
                    .append_pair("subject_token_type", subject_type.urn())
                    .append_pair("requested_token_type", requested.urn());
            }
        }
        if !wanted.scopes.is_empty() {
            form.append_pair("scope", &wanted.scopes.join(" "));
        }
        let resources = wanted.resources.iter().map(|value| ("resource", value));
        let audiences = wanted.audiences.iter().map(|value| ("audience", value));
        form.extend_pairs(resources.chain(audiences));
        form.extend_pairs(proof.parameters());
        Self {
            authorization: proof.authorization(),
            form: form.finish(),
        }
    }
}
