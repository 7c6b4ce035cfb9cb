//! What questions to a decision point say of a call, besides who calls what.

use std::collections::BTreeSet;

/// What questions about the calls of one resource say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The resource URI (RFC 8707): two servers may have tools of the same name.
    pub server: Box<str>,
    /// Claims of the token.
    pub claims: BTreeSet<String>,
    /// Top-level arguments of the call.
    pub arguments: BTreeSet<String>,
    /// Whether they say from which address the client calls.
    pub client_address: bool,
}
