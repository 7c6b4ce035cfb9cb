//! What must hold for any input at all.
//!
//! A property is a function of bytes that panics where the gateway is wrong. The fuzz targets of `gateway/core/fuzz` look
//! for such bytes; the test target `corpus` replays those that were found, and everything in `tests/corpus`. The
//! properties check more than panics: what is accepted is compared with what other parsers read from the same bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a property fails by panicking"
)]

mod condition;
#[cfg(feature = "configuration")]
mod configuration;
mod forwarded;
#[cfg(feature = "configuration")]
mod key_file;
mod oracle;
mod resource_uri;
mod target;

/// What a client sends and an upstream answers.
mod messages {
    pub(crate) mod answer_events;
    pub(crate) mod endpoint_uri;
    pub(crate) mod envelope;
    pub(crate) mod event_stream;
    pub(crate) mod json;
    pub(crate) mod mcp_headers;
}

/// What clients send to the authorization server.
mod oauth {
    pub(crate) mod authorization_request;
    pub(crate) mod form_body;
    pub(crate) mod redirect_uri;
}

/// Tokens of other issuers that become tokens of the authorization server.
mod grants {
    pub(crate) mod assertion;
    mod site;
    pub(crate) mod subject_token;
}

/// What clients say of themselves.
mod clients {
    pub(crate) mod metadata_document;
    pub(crate) mod registration;
}

/// How a token is presented, read and verified.
mod tokens {
    pub(crate) mod api_key;
    pub(crate) mod bearer_header;
    pub(crate) mod claims;
    pub(crate) mod client_cert;
    pub(crate) mod introspection_answer;
    pub(crate) mod jose_header;
    pub(crate) mod key_set;
    pub(crate) mod proof_claims;
    pub(crate) mod token_answer;
}

pub use clients::{metadata_document::metadata_document, registration::registration};
pub use condition::condition;
#[cfg(feature = "configuration")]
pub use configuration::configuration;
pub use forwarded::forwarded;
pub use grants::{
    assertion::{assertion, takes_assertion},
    subject_token::{subject_token, takes_subject_token},
};
#[cfg(feature = "configuration")]
pub use key_file::key_file;
pub use messages::{
    answer_events::answer_events,
    endpoint_uri::{endpoint_uri, takes_endpoint_uri},
    envelope::envelope,
    event_stream::event_stream,
    json::json,
    mcp_headers::mcp_headers,
};
pub use oauth::{
    authorization_request::authorization_request, form_body::form_body, redirect_uri::redirect_uri,
};
pub use resource_uri::resource_uri;
pub use target::target;
pub use tokens::{
    api_key::api_key,
    bearer_header::bearer_header,
    claims::claims,
    client_cert::client_cert,
    introspection_answer::{introspection_answer, takes_introspection_answer},
    jose_header::jose_header,
    key_set::key_set,
    proof_claims::proof_claims,
    token_answer::token_answer,
};

/// A property and its name, which is also that of its fuzz target.
pub type Property = (&'static str, fn(&[u8]));

/// Every property.
pub const ALL: &[Property] = &[
    ("api_key", api_key),
    ("bearer_header", bearer_header),
    ("jose_header", jose_header),
    ("claims", claims),
    ("client_cert", client_cert),
    ("introspection_answer", introspection_answer),
    ("condition", condition),
    ("key_set", key_set),
    ("proof_claims", proof_claims),
    ("token_answer", token_answer),
    ("registration", registration),
    ("metadata_document", metadata_document),
    ("json", json),
    ("envelope", envelope),
    ("mcp_headers", mcp_headers),
    ("target", target),
    ("forwarded", forwarded),
    ("resource_uri", resource_uri),
    ("redirect_uri", redirect_uri),
    ("authorization_request", authorization_request),
    ("form_body", form_body),
    ("assertion", assertion),
    ("subject_token", subject_token),
    ("event_stream", event_stream),
    ("answer_events", answer_events),
    ("endpoint_uri", endpoint_uri),
    #[cfg(feature = "configuration")]
    ("configuration", configuration),
    #[cfg(feature = "configuration")]
    ("key_file", key_file),
];
