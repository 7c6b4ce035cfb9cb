//! The answers to the client.
//!
//! * [`respond`]: the gateway's own answers: refusals, documents, preflights.
//! * [`decoding`]: the upstream's body without its content coding.
//! * [`relay`]: the upstream's [`body`], streamed until either side ends it or its [`stream_end`] is reached.
//! * [`rewrite`]: answers that must not be forwarded unchanged, and their edits ([`editing`]): the [`list_filter`], and
//!   sealing.
//! * [`limit`](mod@limit): the limit that a refusal comes from, for the operator.
//! * [`write`](mod@write): writes to the client, each with a deadline; over HTTP/1.1, an event stream is written without a session.

pub(crate) mod body;
pub(crate) mod decoding;
pub(crate) mod editing;
mod limit;
pub(crate) mod list_filter;
pub(crate) mod list_questions;
pub(crate) mod relay;
pub(crate) mod respond;
pub(crate) mod rewrite;
pub(crate) mod stream_end;
pub(crate) mod write;
