//! Dynamic client registration (RFC 7591), and its management with the registration access token (RFC 7592).
//!
//! [`judge`] reads what a client sends; [`register`](mod@register) decides whether it may register and writes the row; [`answer`](mod@answer) is what it gets.
//! A client for people registers openly. A machine (`grant_types` is `client_credentials` alone) registers where the operator said
//! so: with an initial access token, or for a list of scopes that strangers may have.

mod answer;
mod error;
mod manage;
mod management_token;
mod policy;
mod register;

pub use answer::answer;
pub use error::RegistrationError;
pub use manage::{Management, delete, read, update};
pub use management_token::management_token;
pub use policy::{InitialAccess, Machines, RegistrationPolicy};
pub use register::{Entropy, Registered, RegistrationRequest, judge, register};

#[cfg(test)]
mod tests;
