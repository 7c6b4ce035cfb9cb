//! Refresh tokens (RFC 6749 §6, RFC 9700 §4.14): each use makes the next one.
//!
//! A client that did not get its answer repeats its request, and some refresh twice at once. So the direct predecessor of the newest
//! refresh token gets the same answer again: for a while (`refresh_grace`), or until the newest one is used, whichever comes first. Any
//! older one, or the predecessor later, means that two parties have the tokens: then the grant ends.
//!
//! Unless it comes with a DPoP proof that was used for the grant before. That is a copy of a request, perhaps of somebody who has no key
//! to make proofs with: it is refused, and ends nothing. Only the answer that may be repeated is also repeated for such a request.

#[cfg(test)]
mod copied;
pub mod hint;
#[cfg(test)]
mod tests;

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::{
    code::{judge_key, judge_resource},
    derived,
    error::{Refused, TokenError},
    issued::{self, Issued, Taken},
    scopes::{self, Allowance, Person, provider::vouched_now},
};
use crate::{
    client::model::Client,
    federation::sign_in::Enough,
    grant::{self, EndedBy, Grant, UsedProof},
    id::Id,
    keys::ServerKeys,
    profile::{Lifetimes, ServerProfile},
    proof_key::ProofKey,
    store::{
        rows::{Rows, StoreError},
        table,
    },
};

/// A request to refresh. The client is authenticated.
#[derive(Clone, Copy)]
pub struct Refresh<'a> {
    /// The client.
    pub client: &'a Client,
    /// `refresh_token`.
    pub refresh_token: &'a str,
    /// `scope`, if one was sent. It may narrow; a later refresh may have all of the grant again.
    pub scope: Option<&'a str>,
    /// The key that the client proved to have, if it did.
    pub key: Option<&'a ProofKey>,
    /// The DPoP proof of it; none where there is none, or this request was judged before.
    pub proof: Option<UsedProof>,
    /// `resource`, if one was sent, as the configuration spells it.
    pub resource: Option<&'a str>,
    /// Which answer of a provider is enough, for an account whose provider is asked.
    pub enough: Enough,
    /// What a person may have now.
    pub allowance: &'a dyn Fn(Person<'_>) -> Allowance,
}

/// Uses a refresh token.
///
/// # Errors
/// [`StoreError`] outside: nothing has changed. [`Refused`] inside: the transaction is committed, since reuse ends the grant.
pub fn refresh(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    server: &ServerProfile,
    request: &Refresh<'_>,
    now: UnixTime,
) -> Result<Result<Issued, Refused>, StoreError> {
    let found = match find(rows, keys, request, now)? {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    let (id, mut grant, generation) = found;
    let turn = Turn::of(&grant, generation, &server.lifetimes, now);
    let is_copy = request.proof.is_some_and(|proof| grant.proofs.has(&proof));
    if is_copy && turn != Turn::Repeated {
        return Ok(Err(Refused::of(TokenError::ProofReplayed).found(
            format_args!("its jti was used for the grant {id} before"),
        )));
    }
    if turn == Turn::Reused {
        return reused(rows, id, &grant, generation, now).map(Err);
    }
    if let Some(proof) = request.proof.filter(|_| !is_copy) {
        // It is used, whatever comes of the request.
        grant.proofs.add(proof, now);
        table::put(rows, id.as_bytes(), &grant)?;
    }
    if turn != Turn::Repeated {
        match vouched_now(rows, grant.vouched.as_ref(), request.enough, now)? {
            Ok(vouched) => grant.vouched = vouched,
            Err(refused) if refused.error == TokenError::ProviderRefused => {
                let ending = grant::end(rows, id, EndedBy::Provider, now)?;
                let revoked = ending.revoked();
                return Ok(Err(Refused { revoked, ..refused }));
            }
            Err(refused) => return Ok(Err(refused)),
        }
    }
    let scopes = match judge(&grant, request, server) {
        Ok(scopes) => scopes,
        Err(refused) => return Ok(Err(refused)),
    };
    if turn == Turn::Newest {
        grant.generation = generation.saturating_add(1);
    }
    if turn != Turn::Repeated {
        grant.issue(&server.lifetimes, now);
        table::put(rows, id.as_bytes(), &grant)?;
    }
    let taken = Taken::RefreshToken {
        made: grant.generation,
    };
    let mut issued = issued::of_grant(keys, server, (id, &grant), scopes, taken);
    issued.is_repeated = turn == Turn::Repeated;
    Ok(Ok(issued.bound_to(keys, request.key)))
}

/// Makes the predecessor of this generation usable again, when perhaps nobody got the newest refresh token. Its generation is not
/// undone: somebody who repeated the request may have got it.
pub(super) fn give_back(rows: &mut dyn Rows, id: Id, made: u32) -> Result<(), StoreError> {
    let found: Option<Grant> = table::get(rows, id.as_bytes())?;
    let Some(mut grant) = found.filter(|grant| grant.generation == made) else {
        return Ok(());
    };
    grant.is_given_back = true;
    table::put(rows, id.as_bytes(), &grant)
}

/// Whose turn it is, by the generation of the refresh token that is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The newest one: the next one is made.
    Newest,
    /// The direct predecessor, in time: it gets the same answer again.
    Repeated,
    /// The direct predecessor, whose answer could not be made: it gets it now.
    GivenBack,
    /// Any older one, or the predecessor too late.
    Reused,
}

impl Turn {
    fn of(grant: &Grant, presented: u32, lifetimes: &Lifetimes, now: UnixTime) -> Self {
        if presented == grant.generation {
            return Self::Newest;
        }
        let is_predecessor = presented.checked_add(1) == Some(grant.generation);
        let repeatable_until = grant.rotated.0.plus(lifetimes.refresh_grace);
        match is_predecessor {
            true if grant.is_given_back => Self::GivenBack,
            true if now < repeatable_until => Self::Repeated,
            _ => Self::Reused,
        }
    }
}

/// The grant and the generation of a refresh token that this server made, for a client that may have some. Nothing is read for it.
///
/// # Errors
/// [`Refused`].
pub fn grant_of(keys: &ServerKeys, client: &Client, token: &str) -> Result<(Id, u32), Refused> {
    if !client.grant_types.refresh_token {
        return Err(TokenError::GrantTypeNotAllowed.into());
    }
    derived::grant_of(keys, token).ok_or_else(|| TokenError::RefreshTokenUnknown.into())
}

/// The grant of a refresh token, if it is this client's and alive, and the token's generation.
type Found = (Id, Grant, u32);

fn find(
    rows: &dyn Rows,
    keys: &ServerKeys,
    request: &Refresh<'_>,
    now: UnixTime,
) -> Result<Result<Found, Refused>, StoreError> {
    let (id, generation) = match grant_of(keys, request.client, request.refresh_token) {
        Ok(found) => found,
        Err(refused) => return Ok(Err(refused)),
    };
    let Some(mut grant) = grant::find(rows, id)? else {
        return Ok(Err(
            Refused::of(TokenError::GrantGone).found(format_args!("grant {id}"))
        ));
    };
    let judged = judge_owner(id, &grant, request.client, now);
    // Before the turn is judged: without a proof of its key nobody uses a refresh token, and nobody ends the grant by an old one.
    let judged = judged.and_then(|()| judge_key(grant.key.as_ref(), request.key));
    // A store that lost its last changes is behind: nobody but this server makes tokens, so the newer one is the newest.
    grant.generation = grant.generation.max(generation);
    Ok(judged.map(|()| (id, grant, generation)))
}

fn judge_owner(id: Id, grant: &Grant, client: &Client, now: UnixTime) -> Result<(), Refused> {
    if !client.is_successor_of(&grant.client, grant.standing) {
        let error = TokenError::RefreshTokenOfAnotherClient;
        return Err(Refused::of_client(
            error,
            client,
            (&grant.client, grant.standing),
        ));
    }
    if let Some(ended) = &grant.ended {
        let (why, at) = (ended.why.name(), ended.at.0.secs());
        return Err(Refused::of(TokenError::GrantEnded)
            .found(format_args!("grant {id} ended at {at} by {why}")));
    }
    if !grant.is_alive(now) {
        let (idle, end) = (grant.idle_end.0.secs(), grant.end.0.secs());
        return Err(Refused::of(TokenError::GrantExpired)
            .found(format_args!("now is {}", now.secs()))
            .expected(format_args!("before {idle} (idle) and {end}")));
    }
    Ok(())
}

/// Whether the rest of the request fits, and which scopes it gets.
fn judge(
    grant: &Grant,
    request: &Refresh<'_>,
    server: &ServerProfile,
) -> Result<ScopeSet, Refused> {
    judge_resource(&grant.resource, request.resource, server)?;
    let person = Person {
        subject: &grant.subject,
        identity: &grant.identity,
        vouched: grant.vouched.as_ref(),
    };
    let granted = &grant.scopes.0;
    let allowed = scopes::still_allowed(granted, person, request.client, request.allowance)?;
    let mut resources = server.resources.iter();
    let resource = resources.find(|resource| resource.uri == grant.resource);
    let resource = resource.ok_or(TokenError::ResourceUnknown)?;
    scopes::asked_of(&allowed, request.scope, resource)
}

fn reused(
    rows: &mut dyn Rows,
    id: Id,
    grant: &Grant,
    generation: u32,
    now: UnixTime,
) -> Result<Refused, StoreError> {
    let ending = grant::end(rows, id, EndedBy::RefreshTokenReused, now)?;
    let mut refused = Refused::of(TokenError::RefreshTokenReused)
        .found(format_args!("generation {generation} of the grant {id}"))
        .expected(format_args!("generation {}", grant.generation));
    refused.revoked = ending.revoked();
    Ok(refused)
}
