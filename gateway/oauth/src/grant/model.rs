//! What a user allowed a client.

use std::time::Duration;

use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::proofs::UsedProofs;
use crate::{
    client::standing::Standing,
    owner::Vouched,
    profile::Lifetimes,
    proof_key::ProofKey,
    store::{
        rows::Table,
        table::Row,
        text::{ScopeSetText, UnixTimeText},
    },
};

/// How long an ended grant is kept, so that operators see why it ended.
const ENDED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A grant. Its id is the key of its row, and the `grant` claim of its access tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The client.
    pub client: String,
    /// How well the server knew the client when it made this. One with the same id that it knows less well may not use it.
    #[serde(default)]
    pub standing: Standing,
    /// Who allowed it: the `sub` of its tokens.
    pub subject: String,
    /// Which person that was: [`User::identity`](crate::session::user::User::identity). A grant without one is of nobody who is known.
    #[serde(default)]
    pub identity: String,
    /// What the provider of that person's account said; none for users of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Vouched>,
    /// The key of a public client that its refresh tokens are bound to (RFC 9449 §5); none where they are bound to nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ProofKey>,
    /// The DPoP proofs that were used with its code and its refresh tokens lately.
    #[serde(default, skip_serializing_if = "UsedProofs::is_empty")]
    pub proofs: UsedProofs,
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
    /// Whether the newest refresh token was made but perhaps never delivered: then its direct predecessor is answered at any time.
    #[serde(default)]
    pub is_given_back: bool,
    /// When the last of its access tokens expires. It never ends before them.
    pub tokens_end: UnixTimeText,
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
    /// Its user had too many, and this one was not used for the longest time.
    Limit,
    /// Its user signed out of the session that it rests on.
    SignedOut,
    /// The provider no longer knows the account, or has locked it out.
    Provider,
    /// The users file no longer has its user, or has somebody else under the name.
    UserRemoved,
}

impl EndedBy {
    /// Its name in rows and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CodeReplayed => "code_replayed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Limit => "limit",
            Self::SignedOut => "signed_out",
            Self::Provider => "provider",
            Self::UserRemoved => "user_removed",
        }
    }
}

impl Row for Grant {
    const TABLE: Table = Table::Grants;

    fn ends(&self) -> Option<UnixTime> {
        let kept = |ended: &Ended| ended.at.0.plus(ENDED_KEPT);
        let end = self.own_end();
        Some(
            self.ended
                .as_ref()
                .map_or(end, |ended| kept(ended).min(end)),
        )
    }
}

impl Grant {
    /// Whether its refresh tokens may be used at `now`.
    pub fn is_alive(&self, now: UnixTime) -> bool {
        self.ended.is_none() && now < self.own_end()
    }

    /// Notes that tokens are issued at `now`: it is used, and lives on.
    pub fn issue(&mut self, lifetimes: &Lifetimes, now: UnixTime) {
        self.rotated = UnixTimeText(now);
        self.is_given_back = false;
        self.idle_end = UnixTimeText(now.plus(lifetimes.grant_idle));
        let expires = now.plus(lifetimes.access_token).min(self.own_end());
        self.tokens_end = self.tokens_end.max(UnixTimeText(expires));
    }

    /// When the access tokens expire that are issued now, and those that repeat an answer: both count from [`Self::rotated`].
    pub fn access_token_end(&self, lifetimes: &Lifetimes) -> UnixTime {
        let end = self.rotated.0.plus(lifetimes.access_token);
        end.min(self.tokens_end.0).min(self.own_end())
    }

    fn own_end(&self) -> UnixTime {
        self.idle_end.0.min(self.end.0)
    }
}
