//! How the gateway authenticates as a client elsewhere: at an introspection or a token endpoint (RFC 6749 §2.3.1, RFC 7523 §2.2).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded::byte_serialize;

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// `client_assertion_type` (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How we authenticate.
#[derive(Clone, Copy)]
pub enum ClientProof<'a> {
    /// Not at all; an id is sent if there is one.
    None {
        /// Our client id.
        id: Option<&'a str>,
    },
    /// With a secret in the `Authorization` header (`client_secret_basic`).
    Basic {
        /// Our client id.
        id: &'a str,
        /// Our secret.
        secret: &'a str,
    },
    /// With a secret in the form (`client_secret_post`).
    Post {
        /// Our client id.
        id: &'a str,
        /// Our secret.
        secret: &'a str,
    },
    /// With an assertion in the form (`private_key_jwt`).
    Assertion {
        /// Our client id.
        id: &'a str,
        /// The assertion.
        assertion: &'a str,
    },
}

impl<'a> ClientProof<'a> {
    /// The value of `Authorization`: id and secret are form-encoded before they are joined.
    pub fn authorization(self) -> Option<String> {
        let Self::Basic { id, secret } = self else {
            return None;
        };
        let both = format!("{}:{}", encoded(id), encoded(secret));
        Some(format!("Basic {}", STANDARD.encode(both)))
    }

    /// What the form says.
    pub fn parameters(self) -> Vec<(&'static str, &'a str)> {
        match self {
            Self::None { id: None } | Self::Basic { .. } => Vec::new(),
            Self::None { id: Some(id) } => vec![("client_id", id)],
            Self::Post { id, secret } => vec![("client_id", id), ("client_secret", secret)],
            Self::Assertion { id, assertion } => vec![
                ("client_id", id),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion),
            ],
        }
    }
}

/// A space is `%20`, which every server reads; not all of them read `+`.
fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}
