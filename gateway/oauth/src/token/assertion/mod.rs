//! Assertions as grants (RFC 7521 §4.1, RFC 7523 §2.1): a token that a trusted issuer signed becomes an access token of this server.
//!
//! [`id_jag`]: an enterprise's provider says that a client may act for a person (ID-JAG). [`workload`]: a platform says which program
//! asks. The type of the token (`typ`) decides which of the two it is, so none is ever taken for the other.

pub mod id_jag;
#[cfg(test)]
mod tests;
pub mod workload;

use super::error::{Refused, TokenError};
use crate::trust::{TrustFault, model::ID_JAG_TYPE, vouched::Claimed};

/// The grant type (RFC 7523 §2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Whose token an assertion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An identity assertion.
    IdJag,
    /// A token of a workload.
    Workload,
}

impl Kind {
    /// The kind of a token that says this of itself.
    pub fn of(claimed: &Claimed) -> Self {
        match claimed.token_type.as_str() {
            ID_JAG_TYPE => Self::IdJag,
            _ => Self::Workload,
        }
    }
}

/// The refusal of an assertion.
pub fn refused(fault: &TrustFault) -> Refused {
    let error = match fault.is_forged() {
        true => TokenError::AssertionUnknown,
        false => TokenError::AssertionNotValid,
    };
    Refused::of(error).found(format_args!("the assertion {fault}"))
}
