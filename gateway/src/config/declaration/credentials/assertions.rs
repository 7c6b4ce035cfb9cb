//! Assertions about callers, which upstreams receive: `assertions` of the document, `assertion` of an upstream.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

use crate::config::declaration::parts::{
    key::{Kind, Table, defaulted, list, text},
    setting::{Setting, time},
    value::Time,
};

const HEADER: &str = "x-gateway-assertion";
const REQUEST_ID_HEADER: &str = "x-gateway-request-id";

/// Names of headers that upstreams trust begin so.
pub(crate) const PREFIX: &str = "x-gateway-";

/// How long a new key is published before it signs.
pub(crate) const PUBLISH_BEFORE: Setting<Time> = time(
    "publish_before",
    Duration::from_secs(15 * 60),
    Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 60 * 60),
    "How long a new key is published before it signs, while an older one is there: as long as MCP servers cache the key set.",
);

/// How long an assertion holds.
pub(crate) const LIFETIME: Setting<Time> = time(
    "lifetime",
    Duration::from_secs(60),
    Duration::from_secs(5)..=Duration::from_secs(5 * 60),
    "How long an assertion holds, from iat to exp. It never holds longer than the token of the caller.",
);

/// The keys that sign assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertions {
    /// Private keys, the newest first. Without any, each start makes a key.
    pub key_files: Vec<PathBuf>,
    /// How long a new key is published before it signs.
    pub publish_before: Duration,
}

/// Assertions for one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamAssertion {
    /// Their audience (`aud`).
    pub audience: String,
    /// The header that has the assertion.
    pub header: HeaderName,
    /// The header that has the id of the request.
    pub request_id_header: HeaderName,
    /// How long one holds.
    pub lifetime: Duration,
}

impl Default for Assertions {
    fn default() -> Self {
        Self {
            key_files: Vec::new(),
            publish_before: PUBLISH_BEFORE.default(),
        }
    }
}

impl UpstreamAssertion {
    /// The header that has the assertion, where the configuration does not say it.
    pub const DEFAULT_HEADER: HeaderName = HeaderName::from_static(HEADER);

    /// The header that has the id of the request, where the configuration does not say it.
    pub const DEFAULT_REQUEST_ID_HEADER: HeaderName = HeaderName::from_static(REQUEST_ID_HEADER);

    /// The names of the headers that the gateway alone sets.
    pub const fn names(&self) -> [&HeaderName; 2] {
        [&self.header, &self.request_id_header]
    }
}

/// `assertions` of the document.
pub(crate) fn assertions() -> Table {
    Table {
        name: "Assertions",
        keys: vec![
            defaulted(
                "key_files",
                list(Kind::Text),
                "a new key at each start",
                "Files with a private key each, the newest first: PKCS #8 in PEM, P-256 (ES256) or Ed25519 (EdDSA). All are published, one signs. Replicas need the same keys.",
            ),
            PUBLISH_BEFORE.key(),
        ],
    }
}

/// `assertion` of an upstream.
pub(crate) fn of_upstream() -> Table {
    Table {
        name: "UpstreamAssertion",
        keys: vec![
            defaulted(
                "audience",
                Kind::Text,
                "url without its query; required for unix and endpoints",
                "aud of the assertions, by which the MCP server knows that they are for it.",
            ),
            text(
                "header",
                Kind::Text,
                &[HEADER],
                "Header that has the assertion.",
            ),
            text(
                "request_id_header",
                Kind::Text,
                &[REQUEST_ID_HEADER],
                "Header that has the id of the request, as the logs have it.",
            ),
            LIFETIME.key(),
        ],
    }
}
