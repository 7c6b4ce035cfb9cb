//! What a token request gets: the claims of an access token, and perhaps a refresh token. It is not signed yet.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::{
    access::{self, AccessClaims},
    derived,
};
use crate::{
    client::{authentication::UsedKey, model::Client},
    grant::{Grant, Revoked, machine},
    id::Id,
    keys::ServerKeys,
    profile::ServerProfile,
    proof_key::ProofKey,
    secret::Secret,
    store::text::ScopeSetText,
};

/// What is issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    /// The access token, before it is signed.
    pub claims: AccessClaims,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// What was taken for it.
    pub taken: Taken,
    /// Grants that ended to make room for this one: their access tokens are refused from then on.
    pub ended: Vec<Revoked>,
    /// Whether the same answer was given before: the client repeated its refresh.
    pub is_repeated: bool,
}

impl Issued {
    /// The same, bound to the key that the client proved to have.
    #[must_use]
    pub fn bound_to(mut self, keys: &ServerKeys, key: Option<&ProofKey>) -> Self {
        if let Some(key) = key {
            self.claims.bind(keys, key);
        }
        self
    }
}

/// What was taken for an answer, and is given back when it cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The code of this interaction.
    Code(Id),
    /// The refresh token before the one of this generation.
    RefreshToken {
        /// The generation of the one that was made.
        made: u32,
    },
    /// The identity assertion that was used up under this key.
    Assertion(UsedKey),
    /// Nothing: client credentials can be presented at any time.
    Nothing,
}

/// A token that rests on no grant of a person here.
pub(super) struct Alone<'a> {
    /// `sub`.
    pub(super) subject: String,
    /// The client that gets it. It can be ended with all tokens of this client.
    pub(super) client: &'a Client,
    /// `aud`, as the configuration spells it.
    pub(super) resource: &'a str,
    pub(super) scopes: ScopeSet,
    /// When the person signed in, if one did.
    pub(super) auth_time: Option<UnixTime>,
    /// Random.
    pub(super) id: Id,
    pub(super) taken: Taken,
}

/// The access token alone: there is nothing to refresh.
pub(super) fn alone(
    keys: &ServerKeys,
    server: &ServerProfile,
    token: Alone<'_>,
    now: UnixTime,
) -> Issued {
    let id = machine::of_token(&token.client.id, token.id);
    let claims = AccessClaims {
        iss: server.issuer.clone(),
        sub: token.subject,
        aud: token.resource.to_owned(),
        client_id: token.client.id.clone(),
        iat: now.into(),
        exp: now.plus(server.lifetimes.access_token).into(),
        jti: access::token_id(keys, id, 0, now, &token.scopes),
        scope: ScopeSetText(token.scopes),
        auth_time: token.auth_time.map(Into::into),
        cnf: None,
        grant: id,
    };
    Issued {
        claims,
        refresh_token: None,
        taken: token.taken,
        ended: Vec::new(),
        is_repeated: false,
    }
}

/// The tokens of a grant's newest generation, with these of its scopes. The same generation always has the same refresh token, and the
/// same claims for the same scopes.
pub(super) fn of_grant(
    keys: &ServerKeys,
    server: &ServerProfile,
    (id, grant): (Id, &Grant),
    scopes: ScopeSet,
    taken: Taken,
) -> Issued {
    let generation = grant.generation;
    let claims = AccessClaims {
        iss: server.issuer.clone(),
        sub: grant.subject.clone(),
        aud: grant.resource.clone(),
        client_id: grant.client.clone(),
        iat: grant.rotated,
        exp: grant.access_token_end(&server.lifetimes).into(),
        jti: access::token_id(keys, id, generation, grant.rotated.0, &scopes),
        scope: ScopeSetText(scopes),
        auth_time: Some(grant.signed_in),
        cnf: None,
        grant: id,
    };
    let refresh_token = || derived::refresh_token(keys, id, generation);
    Issued {
        claims,
        refresh_token: grant.is_refreshable.then(refresh_token),
        taken,
        ended: Vec::new(),
        is_repeated: false,
    }
}
