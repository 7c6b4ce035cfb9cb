//! API keys: `api_keys` of the document and of a resource.

use crate::config::declaration::parts::key::{Kind, Table, defaulted, one_or_many, required};

/// `api_keys` of the document.
pub(crate) fn api_keys() -> Table {
    Table {
        name: "ApiKeys",
        keys: vec![required(
            "files",
            one_or_many(Kind::Text),
            "Key files of mcp-gateway key, one or a list: keys by their digests, with subject, scopes, resources and expiry. They are read again when they change.",
        )],
    }
}

/// `api_keys` of a resource.
pub(crate) fn accepted() -> Table {
    Table {
        name: "AcceptedApiKeys",
        keys: vec![defaulted(
            "header",
            Kind::Text,
            "none, only as Bearer",
            "A header in which clients can send the key instead of Authorization, such as X-API-Key. It is never forwarded.",
        )],
    }
}
