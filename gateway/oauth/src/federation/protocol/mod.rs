//! What goes to a provider and what comes back: its [`metadata`]; what a browser takes along ([`departure`], in a [`cookie`]) and brings
//! back ([`callback`]); what the token endpoint gets ([`token_request`], [`client_assertion`]) and answers ([`token_answer`]).

pub mod callback;
pub mod client_assertion;
pub mod cookie;
pub mod departure;
pub mod metadata;
pub mod token_answer;
pub mod token_request;
