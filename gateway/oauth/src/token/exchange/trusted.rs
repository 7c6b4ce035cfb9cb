//! A token of a trusted issuer that is exchanged.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::request::Exchange;
use crate::{
    client::model::Client,
    id::Id,
    keys::ServerKeys,
    profile::{ResourceProfile, ServerProfile},
    token::{
        client_credentials::{allowed, resource},
        error::{Refused, TokenError},
        issued::{self, Alone, Issued, Taken},
        scopes,
    },
    trust::{ExchangeTrust, TrustFault, Vouched, model::SCOPE_CLAIMS},
};

/// Claims for which the new token has no place, or that name who may act instead of the client.
const UNSUPPORTED: [&str; 3] = ["authorization_details", "act", "may_act"];

/// An exchange of a token of a trusted issuer.
#[derive(Clone, Copy)]
pub struct ForeignToken<'a> {
    /// The client that gets the new token.
    pub client: &'a Client,
    /// What it asks for.
    pub exchange: &'a Exchange,
    /// The token, verified with the profile for its type and the accepted audiences.
    pub token: &'a Vouched,
    /// What its issuer is trusted for.
    pub trust: &'a ExchangeTrust,
    /// Random.
    pub id: Id,
}

/// Exchanges a token of a trusted issuer. It needs no store.
///
/// # Errors
/// [`Refused`].
pub fn exchange_trusted(
    keys: &ServerKeys,
    server: &ServerProfile,
    request: &ForeignToken<'_>,
    now: UnixTime,
) -> Result<Issued, Refused> {
    let (client, token, exchange) = (request.client, request.token, request.exchange);
    let listed = &request.trust.clients;
    if !listed.is_empty() && !listed.contains(&client.id) {
        return Err(Refused::of(TokenError::GrantTypeNotAllowed)
            .found(&client.id)
            .expected("one of the listed clients (exchange.clients)"));
    }
    token
        .refuse(&UNSUPPORTED)
        .map_err(|fault| refused(&fault))?;
    // The allowance for clocks makes no token that has expired already.
    if token.expires() <= now {
        return Err(Refused::of(TokenError::SubjectTokenNotValid).found("it has expired"));
    }
    let resource = resource(server, exchange.target.as_deref())?;
    let most = most(request, resource);
    let alone = Alone {
        subject: token.account(),
        client,
        resource: &resource.uri,
        scopes: scopes::asked_of(&most, exchange.scope.as_deref(), resource)?,
        auth_time: None,
        id: request.id,
        taken: Taken::Nothing,
    };
    let mut issued = issued::alone(keys, server, alone, now);
    issued.claims.exp = issued.claims.exp.min(token.expires().into());
    Ok(issued)
}

/// The refusal of a subject token.
pub fn refused(fault: &TrustFault) -> Refused {
    let error = match fault.is_forged() {
        true => TokenError::SubjectTokenUnknown,
        false => TokenError::SubjectTokenNotValid,
    };
    Refused::of(error).found(format_args!("the subject token {fault}"))
}

/// The most scopes. A token without scopes, such as an ID token, has those that the operator lists for it.
fn most(request: &ForeignToken<'_>, resource: &ResourceProfile) -> ScopeSet {
    let own = allowed(request.client, resource);
    let listed = request.trust.scopes.as_ref();
    let has_scopes = SCOPE_CLAIMS.iter().any(|name| request.token.has(name));
    let mut most = match (has_scopes, listed) {
        (true, _) => scopes::common(&own, &resource.named_by(request.token.scopes())),
        (false, Some(_)) => own,
        (false, None) => ScopeSet::default(),
    };
    if let Some(listed) = listed {
        most = scopes::common(&most, listed);
    }
    most
}
