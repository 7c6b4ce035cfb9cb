//! What a code stands for.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    client::standing::Standing,
    grant::UsedProofs,
    id::Id,
    owner::Vouched,
    profile::Lifetimes,
    proof_key::ProofKey,
    store::{
        rows::Table,
        table::Row,
        text::{ScopeSetText, UnixTimeText},
    },
};

/// What a user consented to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The client.
    pub client: String,
    /// How well the server knows it.
    pub standing: Standing,
    /// Where the code goes, as the client sent it (with its port).
    pub redirect_uri: String,
    /// `code_challenge`, for the method S256.
    pub code_challenge: String,
    /// The key that has to redeem the code (`dpop_jkt`), if the client named one.
    pub key: Option<ProofKey>,
    /// The resource, as the configuration spells it.
    pub resource: String,
    /// What the user allowed.
    pub scopes: ScopeSet,
    /// The user: `u:…`.
    pub subject: String,
    /// Which person that is: [`User::identity`](crate::session::user::User::identity).
    pub identity: String,
    /// What the provider of that person's account said; none for users of the file.
    pub vouched: Option<Vouched>,
    /// When the user signed in.
    pub signed_in: UnixTime,
    /// Whether refresh tokens are wanted. The client's grant types must have them too.
    pub is_refreshable: bool,
}

/// The row of a code. Its key is the id of the interaction, from which the code is derived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRow {
    pub(super) client: String,
    #[serde(default)]
    pub(super) standing: Standing,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<ProofKey>,
    pub(super) resource: String,
    pub(super) scopes: ScopeSetText,
    pub(super) subject: String,
    #[serde(default)]
    pub(super) identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vouched: Option<Vouched>,
    pub(super) signed_in: UnixTimeText,
    pub(super) consented: UnixTimeText,
    pub(super) is_refreshable: bool,
    pub(super) expires: UnixTimeText,
    /// The DPoP proofs that were used with it lately.
    #[serde(default, skip_serializing_if = "UsedProofs::is_empty")]
    pub(super) proofs: UsedProofs,
    /// Until when the row must be kept: as long as the interaction could be consented to again, which must not make a used code new.
    pub(super) kept_until: UnixTimeText,
    pub(super) state: State,
    /// Whether it is used, and nobody said yet that the answer arrived where the tokens are signed: [`confirm`](super::confirm).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_undecided: bool,
}

/// Whether a code was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Unused,
    /// It made this grant.
    Used(Id),
}

impl Row for CodeRow {
    const TABLE: Table = Table::Codes;

    fn ends(&self) -> Option<UnixTime> {
        Some(self.kept_until.0)
    }
}

impl CodeRow {
    pub(super) fn new(draft: &Draft, lifetimes: &Lifetimes, now: UnixTime) -> Self {
        let expires = now.plus(lifetimes.code);
        Self {
            client: draft.client.clone(),
            standing: draft.standing,
            redirect_uri: draft.redirect_uri.clone(),
            code_challenge: draft.code_challenge.clone(),
            key: draft.key.clone(),
            resource: draft.resource.clone(),
            scopes: ScopeSetText(draft.scopes.clone()),
            subject: draft.subject.clone(),
            identity: draft.identity.clone(),
            vouched: draft.vouched.clone(),
            signed_in: draft.signed_in.into(),
            consented: now.into(),
            is_refreshable: draft.is_refreshable,
            expires: expires.into(),
            proofs: UsedProofs::default(),
            kept_until: expires.plus(lifetimes.interaction).into(),
            state: State::Unused,
            is_undecided: false,
        }
    }

    pub(super) fn used(self, grant: Id, is_undecided: bool) -> Self {
        Self {
            state: State::Used(grant),
            is_undecided,
            ..self
        }
    }

    pub(super) fn decided(self) -> Self {
        Self {
            is_undecided: false,
            ..self
        }
    }

    pub(super) fn unused(self) -> Self {
        Self {
            state: State::Unused,
            is_undecided: false,
            ..self
        }
    }
}
