//! Headers that pass the identity of the caller to the upstream: `identity_headers` of a resource.

use http::HeaderName;

use super::parts::key::{Key, Kind, Table, text};

const SUBJECT: &str = "x-mcp-subject";
const ISSUER: &str = "x-mcp-issuer";
const CLIENT: &str = "x-mcp-client";
const SCOPE: &str = "x-mcp-scope";

/// Headers that pass the identity of the caller to the upstream; `None` sends no header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The subject claim.
    pub subject: Option<HeaderName>,
    /// The issuer identifier.
    pub issuer: Option<HeaderName>,
    /// The client id.
    pub client: Option<HeaderName>,
    /// The token's scopes.
    pub scope: Option<HeaderName>,
}

impl IdentityHeaders {
    /// The names of those that are sent.
    pub fn names(&self) -> Vec<&HeaderName> {
        [&self.subject, &self.issuer, &self.client, &self.scope]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            subject: Some(HeaderName::from_static(SUBJECT)),
            issuer: Some(HeaderName::from_static(ISSUER)),
            client: Some(HeaderName::from_static(CLIENT)),
            scope: Some(HeaderName::from_static(SCOPE)),
        }
    }
}

/// `identity_headers`.
pub(super) fn identity_headers() -> Table {
    Table {
        name: "IdentityHeaders",
        keys: vec![
            header(
                "subject",
                SUBJECT,
                "Header for the subject; null sends none.",
            ),
            header("issuer", ISSUER, "Header for the issuer; null sends none."),
            header(
                "client",
                CLIENT,
                "Header for the client id; null sends none.",
            ),
            header("scope", SCOPE, "Header for the scopes; null sends none."),
        ],
    }
}

fn header(name: &'static str, default: &str, sentence: &str) -> Key {
    text(name, Kind::Text, &[default], sentence)
}
