//! Identity assertions (draft-ietf-oauth-identity-assertion-authz-grant): an enterprise's provider says that a client may act for a
//! person at one resource, with these scopes.
//!
//! It is judged as a whole before it is used, and can be used once (`jti`). The client gets no refresh token: the provider decides
//! again each time. A delegation (`act`), the tenant of an account and details of an authorization cannot be passed on, so they are
//! refused.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};

use super::refused;
use crate::{
    authorize::find_resource,
    client::{
        authentication::{OnceOnly, Use, use_once},
        model::{Client, ClientMethod, ClientOrigin},
    },
    id::Id,
    keys::ServerKeys,
    profile::{ResourceProfile, ServerProfile},
    store::rows::{Rows, StoreError},
    token::{
        client_credentials::allowed,
        error::{Refused, TokenError},
        issued::{self, Alone, Issued, Taken},
        scopes,
    },
    trust::{IdJagTrust, TrustedIssuer, Vouched},
};

/// Claims for which an access token has no place.
const UNSUPPORTED: [&str; 5] = [
    "authorization_details",
    "act",
    "may_act",
    "tenant",
    "aud_tenant",
];

/// A request with an identity assertion. The client is authenticated, or a public one that is only named.
#[derive(Clone, Copy)]
pub struct IdJagRequest<'a> {
    /// The client.
    pub client: &'a Client,
    /// The assertion, verified with the profile for it and our issuer as the audience.
    pub assertion: &'a Vouched,
    /// The issuer that signed it.
    pub issuer: &'a TrustedIssuer,
    /// `scope`, if one was sent.
    pub scope: Option<&'a str>,
    /// `resource`, if one was sent, as the configuration spells it.
    pub resource: Option<&'a str>,
    /// Random.
    pub id: Id,
}

/// Issues an access token, and uses the assertion up.
///
/// # Errors
/// [`StoreError`] outside, [`Refused`] inside: nothing has changed.
pub fn issue(
    rows: &mut dyn Rows,
    keys: &ServerKeys,
    server: &ServerProfile,
    request: &IdJagRequest<'_>,
    now: UnixTime,
) -> Result<Result<Issued, Refused>, StoreError> {
    let judged = match judge(server, request) {
        Ok(judged) => judged,
        Err(refused) => return Ok(Err(refused)),
    };
    let subject = request.assertion.account();
    let taken = match use_once(rows, &subject, &judged.once, request.id)? {
        Use::Now(key) => Taken::Assertion(key),
        Use::Before => return Ok(Err(TokenError::AssertionReplayed.into())),
        Use::Full => {
            let full = "too many assertions of this account are in use";
            return Ok(Err(Refused::of(TokenError::Busy).found(full)));
        }
    };
    let token = Alone {
        subject,
        client: request.client,
        resource: &judged.resource.uri,
        scopes: judged.scopes,
        auth_time: None,
        id: request.id,
        taken,
    };
    Ok(Ok(issued::alone(keys, server, token, now)))
}

/// What an assertion allows.
struct Judged<'a> {
    resource: &'a ResourceProfile,
    scopes: ScopeSet,
    once: OnceOnly,
}

fn judge<'a>(server: &'a ServerProfile, request: &IdJagRequest<'_>) -> Result<Judged<'a>, Refused> {
    let (assertion, client) = (request.assertion, request.client);
    let trust = request.issuer.id_jag.as_ref();
    let trust = trust.ok_or_else(|| Refused::of(TokenError::AssertionUnknown))?;
    judge_client(trust, client)?;
    let fault = |fault| refused(&fault);
    assertion.one("aud").map_err(fault)?;
    assertion.refuse(&UNSUPPORTED).map_err(fault)?;
    if assertion.client() != Some(client.id.as_str()) {
        return Err(Refused::of(TokenError::AssertionOfAnotherClient)
            .found(assertion.client().unwrap_or("no client_id"))
            .expected(&client.id));
    }
    let named = assertion.one("resource").map_err(fault)?;
    let resource = resource(server, &named, request.resource)?;
    let named = resource.named_by(assertion.scopes());
    let mut most = scopes::common(&allowed(client, resource), &named);
    if let Some(listed) = &trust.scopes {
        most = scopes::common(&most, listed);
    }
    Ok(Judged {
        resource,
        scopes: scopes::asked_of(&most, request.scope, resource)?,
        once: assertion.once(request.issuer.clock_skew).map_err(fault)?,
    })
}

/// Whether the client may present assertions of this issuer.
fn judge_client(trust: &IdJagTrust, client: &Client) -> Result<(), Refused> {
    let refused = |expected: &str| {
        Err(Refused::of(TokenError::GrantTypeNotAllowed)
            .found(&client.id)
            .expected(expected))
    };
    if client.origin == ClientOrigin::Provisional {
        return refused("a client that is known");
    }
    if client.method == ClientMethod::None && !trust.has_public_clients {
        return refused("a client that authenticates (id_jag.public_clients)");
    }
    // An identity assertion is a grant of a person: a client that only exchanges tokens, or acts for itself, was not made for it.
    if !client.grant_types.authorization_code && !client.grant_types.jwt_bearer {
        return refused("the grant type authorization_code or jwt-bearer (grant_types)");
    }
    if !trust.clients.is_empty() && !trust.clients.contains(&client.id) {
        return refused("one of the listed clients (id_jag.clients)");
    }
    Ok(())
}

/// The resource of the assertion. The request may name it again.
fn resource<'a>(
    server: &'a ServerProfile,
    named: &str,
    asked: Option<&str>,
) -> Result<&'a ResourceProfile, Refused> {
    let found = find_resource(server, [named]);
    let found = found.map_err(|fault| Refused::of(TokenError::AssertionNotValid).found(fault))?;
    match asked.filter(|asked| *asked != found.uri) {
        Some(other) => Err(Refused::of(TokenError::ResourceDiffers)
            .found(other)
            .expected(&found.uri)),
        None => Ok(found),
    }
}
