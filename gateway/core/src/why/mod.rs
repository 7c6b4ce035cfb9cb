//! What was found in a refused request and what was expected, for the operator only.
//!
//! The checks decide with a [`Reason`](crate::refusal::reason::Reason) alone, and cost nothing more. What they found is found again
//! here, for refused requests only: which header, which claim, which part, with the accepted values. Every value is
//! [`Found`](crate::refusal::found::Found): truncated and escaped. No token, signature or argument is shown.
//!
//! * [`request`]: framing, target, host, origin, media type.
//! * [`certificate`]: the client's certificate, and that of the token.
//! * [`credentials`]: the `Authorization` header. [`api_key`]: an API key there or elsewhere. [`token`]: a JWT, its header, claims and times. [`id_token`]: the token of a
//!   provider with which somebody signs in. [`proof`]: a DPoP proof. [`introspection`]: what an introspection endpoint answers.
//! * [`checks`]: every check of a token, also those that it passes, for `explain-token`.
//! * [`message`]: the message, and the headers that mirror it.

pub mod api_key;
pub mod certificate;
pub mod checks;
pub mod credentials;
pub mod id_token;
pub mod introspection;
mod malformed;
pub mod message;
pub mod proof;
pub mod request;
mod span;
pub mod token;
