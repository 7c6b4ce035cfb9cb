//! What an upstream answers, edited on its way to the client.
//!
//! An [`Edit`](edit::Edit) is asked about every message of an answer, whether that is a JSON document ([`document`]) or an event stream
//! ([`events`]). It says what is to stand there instead, or that nothing needs to change: then the bytes stay as they came.
//! What cannot be read is not passed on unedited: it ends the answer.

pub mod document;
pub mod edit;
pub mod events;
pub mod lists;
pub mod sealing;
