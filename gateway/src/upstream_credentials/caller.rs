//! For whom a credential is asked for.

use std::time::Duration;

use mcp_gateway_core::{principal::Subject, token::acquired::holdings::HoldingKey};

/// Who calls.
pub(crate) struct Caller<'a> {
    /// The access token.
    pub(crate) token: &'a str,
    /// Its digest.
    pub(crate) digest: HoldingKey,
    /// How long the token is accepted from now on.
    pub(crate) left: Duration,
    pub(crate) subject: Subject,
}
