//! A grant: what a user allowed a client, or a machine was given. All tokens that come from one authorization belong to one grant;
//! when it ends, they all end.

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::store::{
    rows::Table,
    table::Row,
    text::{ScopeSetText, UnixTimeText},
};

/// A grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The client.
    pub client: String,
    /// Who allowed it: the `sub` of its tokens.
    pub subject: String,
    /// The resource: the `aud` of its tokens.
    pub resource: String,
    /// What was allowed. A refresh may ask for less, and for this much again later.
    pub scopes: ScopeSetText,
    /// When the user allowed it.
    pub created: UnixTimeText,
    /// When the user signed in.
    pub signed_in: UnixTimeText,
    /// Whether refresh tokens are issued for it.
    pub is_refreshable: bool,
    /// The generation of the newest refresh token. Each use of it makes the next one.
    pub generation: u32,
    /// When that one was made. Its direct predecessor is still answered for a while after it.
    pub rotated: UnixTimeText,
    /// When it ends unless it is used before.
    pub idle_end: UnixTimeText,
    /// When it ends in any case.
    pub end: UnixTimeText,
    /// When and why it ended early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// When and why a grant ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: UnixTimeText,
    /// Why.
    pub why: EndedBy,
}

/// Why a grant ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// Its code was used again (RFC 6749 §4.1.2).
    CodeReplayed,
    /// An old refresh token was used again (RFC 9700 §4.14).
    RefreshTokenReused,
    /// The client revoked it (RFC 7009).
    Client,
    /// The operator revoked it.
    Operator,
}

impl Row for Grant {
    const TABLE: Table = Table::Grants;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.idle_end.0.min(self.end.0))
    }
}

impl Grant {
    /// Whether its refresh tokens may be used at `now`.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        self.ended.is_none() && now < self.idle_end.0 && now < self.end.0
    }
}
