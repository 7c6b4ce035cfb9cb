//! What must hold for any input at all, whoever wrote it.
//!
//! A property is a function of bytes that panics where the gateway is wrong. The fuzz targets of `gateway/core/fuzz` look
//! for such bytes; the test target `corpus` replays those that were found, and everything in `tests/corpus`. Absence of
//! panics is the least of it: what is accepted is compared with what other readers make of the same bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a property fails by panicking"
)]

mod answer_events;
mod bearer_header;
mod claims;
mod condition;
#[cfg(feature = "configuration")]
mod configuration;
mod envelope;
mod event_stream;
mod jose_header;
mod json;
mod key_set;
mod mcp_headers;
mod oracle;
mod target;

pub use answer_events::answer_events;
pub use bearer_header::bearer_header;
pub use claims::claims;
pub use condition::condition;
#[cfg(feature = "configuration")]
pub use configuration::configuration;
pub use envelope::envelope;
pub use event_stream::event_stream;
pub use jose_header::jose_header;
pub use json::json;
pub use key_set::key_set;
pub use mcp_headers::mcp_headers;
pub use target::target;

/// A property and its name, which is also that of its fuzz target.
pub type Property = (&'static str, fn(&[u8]));

/// Every property.
pub const ALL: &[Property] = &[
    ("bearer_header", bearer_header),
    ("jose_header", jose_header),
    ("claims", claims),
    ("condition", condition),
    ("key_set", key_set),
    ("json", json),
    ("envelope", envelope),
    ("mcp_headers", mcp_headers),
    ("target", target),
    ("event_stream", event_stream),
    ("answer_events", answer_events),
    #[cfg(feature = "configuration")]
    ("configuration", configuration),
];
