//! The authorization endpoint (RFC 6749 §4.1.1, OAuth 2.1, RFC 7636, RFC 8707, RFC 9207).
//!
//! A request is judged in two steps. Until its client and its redirect URI are known to belong together, a fault is shown on a page
//! and nothing is sent anywhere ([`PageFault`]). From then on every fault goes to the client at that redirect URI
//! ([`AuthorizationError`]), with `state` and `iss`; to one that nobody vouches for only after the person has answered.
//!
//! [`client_id`] finds the client, [`judge`](mod@judge) judges the rest, and [`judge_again`] what a person
//! allowed. [`find_resource`] also serves the token endpoint. The endpoint's answers
//! are [`success_location`] and [`error_location`].

mod again;
mod error;
mod fault;
mod judge;
mod location;
mod page_fault;
mod prompt;
mod request;
mod resource;
mod scopes;

#[cfg(test)]
mod tests;

pub use again::judge_again;
pub use error::{AuthorizationError, ErrorCode};
pub use fault::Refused;
pub use judge::judge;
pub use location::{error_location, success_location};
pub use page_fault::{MOST_CLIENT_ID_BYTES, MOST_STATE_BYTES, PageFault, client_id};
pub use prompt::{PROMPT_VALUES, Prompt};
pub use request::{AuthorizationRequest, MOST_QUERY_BYTES};
pub use resource::{ResourceFault, find_resource, is_same_resource};
pub use scopes::granted_for;
