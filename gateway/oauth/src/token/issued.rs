//! What a token request gets: the claims of an access token, and perhaps a refresh token. It is not signed yet.

use mcp_gateway_core::scope::ScopeSet;

use super::{
    access::{self, AccessClaims},
    derived,
};
use crate::{
    grant::{Grant, Revoked},
    id::Id,
    keys::ServerKeys,
    profile::ServerProfile,
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
    /// Nothing: client credentials can be presented at any time.
    Nothing,
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
