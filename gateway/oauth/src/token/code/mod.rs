//! Authorization codes (RFC 6749 §4.1, RFC 7636): issued when the user consents, redeemed once at the token endpoint.
//!
//! A redemption is judged as a whole before the code is taken, so a wrong one changes nothing. A second one by the client that has the
//! verifier means that two parties have the code: then what came of it ends (RFC 6749 §4.1.2, RFC 9700 §4.5).
//!
//! A second one with a DPoP proof that was used with the code before is a copy of a request, perhaps of somebody who has no key to make
//! proofs with. It is refused, and ends nothing.
//!
//! A store on another machine may make the change, and its answer is lost. So a redemption is undecided there until the process that
//! made it [`confirm`]s that it knows, or gives the code back. Meanwhile a second one is neither a replay nor served.

#[cfg(test)]
mod copied;
mod pkce;
mod row;
#[cfg(test)]
mod tests;

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use row::State;
pub use row::{CodeRow, Draft};

use super::{
    derived,
    error::{Refused, TokenError},
    issued::{self, Issued, Taken},
    scopes::{self, Allowance, Person, provider::vouched_now},
};
use crate::{
    client::model::{Client, ClientMethod},
    federation::sign_in::{self, Enough},
    grant::{self, EndedBy, Grant, UsedProof},
    id::Id,
    keys::ServerKeys,
    owner::Vouched,
    profile::{Lifetimes, ServerProfile},
    proof_key::ProofKey,
    redirect_uri::FoundUri,
    secret::Secret,
    store::{
        rows::{Rows, StoreError, Table},
        table,
    },
};

/// What came of a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The code for the redirect.
    Issued(Secret),
    /// The code of this interaction was redeemed already: nothing is left to do.
    AlreadyRedeemed,
}

/// Issues the code of an interaction. The same interaction gets the same code, so a double click gets the same redirect; the newest
/// consent counts while the code is unused.
///
/// # Errors
/// [`StoreError`].
pub fn issue(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    interaction: Id,
    draft: &Draft,
    lifetimes: &Lifetimes,
    now: UnixTime,
) -> Result<Outcome, StoreError> {
    let found: Option<CodeRow> = table::get(rows, interaction.as_bytes())?;
    let row = CodeRow::new(draft, lifetimes, now);
    match found.map(|found| found.state) {
        Some(State::Used(_)) => return Ok(Outcome::AlreadyRedeemed),
        Some(State::Unused) => table::put(rows, interaction.as_bytes(), &row)?,
        None => table::insert(rows, interaction.as_bytes(), &row)?,
    }
    Ok(Outcome::Issued(derived::code(keys, interaction)))
}

/// What came of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No code of the interaction can be redeemed.
    Denied,
    /// It was redeemed already.
    AlreadyRedeemed,
}

/// Withdraws the code of an interaction that its user refuses, perhaps after allowing it in the same form.
///
/// # Errors
/// [`StoreError`]: the code may still be redeemed.
pub fn deny(rows: &mut dyn Rows, interaction: Id) -> Result<Denial, StoreError> {
    let found: Option<CodeRow> = table::get(rows, interaction.as_bytes())?;
    match found.map(|found| found.state) {
        None => Ok(Denial::Denied),
        Some(State::Used(_)) => Ok(Denial::AlreadyRedeemed),
        Some(State::Unused) => {
            rows.remove(Table::Codes, interaction.as_bytes())?;
            Ok(Denial::Denied)
        }
    }
}

/// A request to redeem a code. The client is authenticated.
#[derive(Clone, Copy)]
pub struct Redemption<'a> {
    /// The client.
    pub client: &'a Client,
    /// `code`.
    pub code: &'a str,
    /// `redirect_uri`, if one was sent.
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`, if one was sent.
    pub code_verifier: Option<&'a str>,
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
    /// The id of the grant that this may make: random, and used for nothing else.
    pub grant: Id,
    /// The most grants that the server keeps.
    pub max_grants: u64,
    /// The most grants of one user.
    pub max_grants_of_user: usize,
    /// Whether the store's answer may be lost: then who redeems confirms it, or gives the code back.
    pub is_undecided: bool,
}

/// The interaction of a code that this server made, for a client that may have codes. Nothing is read for it.
///
/// # Errors
/// [`Refused`].
pub fn interaction(keys: &ServerKeys, client: &Client, code: &str) -> Result<Id, Refused> {
    if !client.grant_types.authorization_code {
        return Err(TokenError::GrantTypeNotAllowed.into());
    }
    derived::interaction_of(keys, code).ok_or_else(|| TokenError::CodeUnknown.into())
}

/// Redeems a code. A registered client is used from then on.
///
/// # Errors
/// [`StoreError`] outside: nothing has changed; [`StoreError::Undecided`] where an earlier redemption is. [`Refused`] inside: the
/// transaction is committed, since a replay ends the grant.
pub fn redeem(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    server: &ServerProfile,
    redemption: &Redemption<'_>,
    now: UnixTime,
) -> Result<Result<Issued, Refused>, StoreError> {
    let interaction = match interaction(keys, redemption.client, redemption.code) {
        Ok(interaction) => interaction,
        Err(refused) => return Ok(Err(refused)),
    };
    let Some(mut row) = table::get::<CodeRow>(rows, interaction.as_bytes())? else {
        return Ok(Err(TokenError::CodeGone.into()));
    };
    if let Err(refused) = judge_owner(&row, redemption) {
        return Ok(Err(refused));
    }
    if let Some(proof) = redemption.proof {
        if row.proofs.has(&proof) {
            return Ok(Err(Refused::of(TokenError::ProofReplayed)
                .found("its jti was used with this code before")));
        }
        // It is used, whatever comes of the request.
        row.proofs.add(proof, now);
        table::put(rows, interaction.as_bytes(), &row)?;
    }
    if let State::Used(grant) = row.state {
        // After the code's end nobody can be served any more.
        return match row.is_undecided && now < row.expires.0 {
            true => Err(StoreError::Undecided),
            false => replayed(rows, grant, now).map(Err),
        };
    }
    let row = match vouched_now(rows, row.vouched.as_ref(), redemption.enough, now)? {
        Ok(vouched) => CodeRow { vouched, ..row },
        Err(refused) => return Ok(Err(refused)),
    };
    let scopes = match judge(&row, redemption, server, now) {
        Ok(scopes) => scopes,
        Err(refused) => return Ok(Err(refused)),
    };
    let kept = rows.count(Table::Grants)?;
    if kept >= redemption.max_grants {
        return Ok(Err(Refused::of(TokenError::StoreUnavailable)
            .found(format_args!("{kept} grants"))
            .expected(format_args!("fewer than {}", redemption.max_grants))));
    }
    let id = redemption.grant;
    let grant = new_grant(&row, redemption, &server.lifetimes, now);
    let ended = grant::room::insert(rows, (id, &grant), redemption.max_grants_of_user, now)?;
    sign_in::keep_until(rows, grant.vouched.as_ref(), grant.end.0)?;
    let used = row.used(id, redemption.is_undecided);
    table::put(rows, interaction.as_bytes(), &used)?;
    let taken = Taken::Code(interaction);
    let issued = issued::of_grant(keys, server, (id, &grant), scopes, taken);
    Ok(Ok(Issued { ended, ..issued }.bound_to(keys, redemption.key)))
}

/// Decides the redemption that made this grant: who redeemed the code knows it, and answers. Later ones are replays.
///
/// # Errors
/// [`StoreError`]: it is undecided until the code expires.
pub fn confirm(rows: &mut dyn Rows, interaction: Id, grant: Id) -> Result<(), StoreError> {
    let row: Option<CodeRow> = table::get(rows, interaction.as_bytes())?;
    match row.filter(|row| row.state == State::Used(grant) && row.is_undecided) {
        Some(row) => table::put(rows, interaction.as_bytes(), &row.decided()),
        None => Ok(()),
    }
}

/// Makes a redeemed code usable again, when nobody got its tokens. The code expires when it would have.
pub(super) fn give_back(rows: &mut dyn Rows, interaction: Id, grant: Id) -> Result<(), StoreError> {
    let row: Option<CodeRow> = table::get(rows, interaction.as_bytes())?;
    let Some(row) = row.filter(|row| row.state == State::Used(grant)) else {
        return Ok(());
    };
    let is_untouched = |found: &Grant| found.ended.is_none() && found.generation == 0;
    if grant::find(rows, grant)?.as_ref().is_some_and(is_untouched) {
        rows.remove(Table::Grants, grant.as_bytes())?;
        table::put(rows, interaction.as_bytes(), &row.unused())?;
    }
    Ok(())
}

/// Whether the client is the one that has the code and its verifier.
fn judge_owner(row: &CodeRow, redemption: &Redemption<'_>) -> Result<(), Refused> {
    let client = redemption.client;
    if !client.is_successor_of(&row.client, row.standing) {
        let error = TokenError::CodeOfAnotherClient;
        return Err(Refused::of_client(
            error,
            client,
            (&row.client, row.standing),
        ));
    }
    pkce::judge(redemption.code_verifier, &row.code_challenge)?;
    judge_key(row.key.as_ref(), redemption.key)
}

/// A code or a grant that is bound to a key or certificate is for the client that has it (RFC 9449 §5, §10, RFC 8705 §7.1).
pub(super) fn judge_key(
    bound: Option<&ProofKey>,
    proved: Option<&ProofKey>,
) -> Result<(), Refused> {
    let Some(bound) = bound.filter(|bound| Some(*bound) != proved) else {
        return Ok(());
    };
    let found = proved.map_or("no proof and no certificate", ProofKey::as_str);
    let refused = Refused::of(TokenError::OtherKey).found(found);
    Err(refused.expected(bound.as_str()))
}

/// Whether the rest of the request fits, and which scopes it gets. The users file may have changed since the consent.
fn judge(
    row: &CodeRow,
    redemption: &Redemption<'_>,
    server: &ServerProfile,
    now: UnixTime,
) -> Result<ScopeSet, Refused> {
    if now >= row.expires.0 {
        return Err(Refused::of(TokenError::CodeExpired)
            .found(format_args!("now is {}", now.secs()))
            .expected(format_args!("before {}", row.expires.0.secs())));
    }
    judge_redirect_uri(row, redemption.redirect_uri)?;
    judge_resource(&row.resource, redemption.resource, server)?;
    let person = Person {
        subject: &row.subject,
        identity: &row.identity,
        vouched: row.vouched.as_ref(),
    };
    let (client, allowance) = (redemption.client, redemption.allowance);
    scopes::still_allowed(&row.scopes.0, person, client, allowance)
}

/// One that is sent is compared letter by letter with that of the authorization request (RFC 6749 §4.1.3). Clients of OAuth 2.1 send
/// none: the code is bound to the verifier, which every client has here.
fn judge_redirect_uri(row: &CodeRow, sent: Option<&str>) -> Result<(), Refused> {
    match sent {
        None => Ok(()),
        Some(sent) if sent == row.redirect_uri => Ok(()),
        Some(sent) => Err(Refused::of(TokenError::RedirectUriDiffers)
            .found(FoundUri(sent))
            .expected(FoundUri(&row.redirect_uri))),
    }
}

/// The resource is the one that was authorized, and the server still issues tokens for it (RFC 8707 §2.2).
pub(super) fn judge_resource(
    authorized: &str,
    asked: Option<&str>,
    server: &ServerProfile,
) -> Result<(), Refused> {
    if let Some(asked) = asked.filter(|asked| *asked != authorized) {
        return Err(Refused::of(TokenError::ResourceDiffers)
            .found(asked)
            .expected(authorized));
    }
    let mut known = server.resources.iter();
    if !known.any(|resource| resource.uri == authorized) {
        return Err(Refused::of(TokenError::ResourceUnknown).found(authorized));
    }
    Ok(())
}

fn replayed(rows: &mut dyn Rows, id: Id, now: UnixTime) -> Result<Refused, StoreError> {
    let ending = grant::end(rows, id, EndedBy::CodeReplayed, now)?;
    let mut refused = Refused::of(TokenError::CodeReplayed)
        .found(format_args!("the code made the grant {id}"))
        .expected("a code that was not used");
    refused.revoked = ending.revoked();
    Ok(refused)
}

/// A grant without refresh tokens ends with its access token; one that rests on a session ends with that.
fn new_grant(
    row: &CodeRow,
    redemption: &Redemption<'_>,
    lifetimes: &Lifetimes,
    now: UnixTime,
) -> Grant {
    let client = redemption.client;
    let is_refreshable = row.is_refreshable && client.grant_types.refresh_token;
    let life = if is_refreshable {
        lifetimes.grant
    } else {
        lifetimes.access_token
    };
    let end = now.plus(life);
    let rests_until = row.vouched.as_ref().and_then(Vouched::grants_end);
    let end = rests_until.map_or(end, |until| end.min(until));
    let mut grant = Grant {
        client: row.client.clone(),
        standing: client.standing(),
        subject: row.subject.clone(),
        identity: row.identity.clone(),
        vouched: row.vouched.clone(),
        // A confidential client proves otherwise who it is (RFC 9449 §5).
        key: (redemption
            .key
            .filter(|_| client.method == ClientMethod::None))
        .cloned(),
        proofs: row.proofs.clone(),
        resource: row.resource.clone(),
        scopes: row.scopes.clone(),
        created: row.consented,
        signed_in: row.signed_in,
        is_refreshable,
        generation: 0,
        rotated: now.into(),
        is_given_back: false,
        tokens_end: now.into(),
        idle_end: now.into(),
        end: end.into(),
        ended: None,
    };
    grant.issue(lifetimes, now);
    grant
}
