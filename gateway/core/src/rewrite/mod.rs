//! Edits the answers of upstreams on their way to the client.
//!
//! An [`Edit`](edit::Edit) is called for every message of an answer, in a JSON document ([`document`]) or in an event stream
//! ([`events`]; one of them: [`event`]). It returns the replacement, or that nothing changes: then the bytes stay as they came.
//! An answer that cannot be read is not forwarded unedited: it is refused or ended.

pub mod document;
pub mod edit;
pub mod event;
pub mod events;
pub mod lists;
pub mod sealing;
