//! Every check of a token, one after the other: what was expected, what was found, what was decided. For `explain-token` alone: the
//! gateway itself stops at the first refusal.
//!
//! Each check is made by the function that decides in the gateway, with all other requirements left out, so that one refusal does not
//! hide the next. [`presented`] are those of every token, [`jwt`], [`api_key`] and [`introspection`] those of their kind;
//! [`binding`] is the check of what a token is bound to. No token and no signature is shown.

pub mod api_key;
pub mod binding;
pub mod check;
pub mod introspection;
pub mod jwt;
pub mod presented;
