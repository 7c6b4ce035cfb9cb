//! An access token of this server that is exchanged: for the same resource, with fewer scopes or for another client.

use mcp_gateway_core::time::UnixTime;

use super::request::{Exchange, SubjectTokenType};
use crate::{
    client::model::Client,
    grant::revoked,
    id::Id,
    keys::ring::Ring,
    profile::ServerProfile,
    store::{
        rows::{Rows, StoreError},
        text::ScopeSetText,
    },
    token::{
        access::{self, AccessClaims},
        client_credentials::{allowed, resource},
        error::{Refused, TokenError},
        issued::{Issued, Taken},
        scopes,
    },
};

/// An exchange of a token of this server.
#[derive(Clone, Copy)]
pub struct OwnToken<'a> {
    /// The client that gets the new token.
    pub client: &'a Client,
    /// What it asks for.
    pub exchange: &'a Exchange,
    /// The keys of our access tokens.
    pub ring: &'a Ring,
    /// Random: the `jti` of the new token.
    pub id: Id,
}

/// Exchanges an access token of this server.
///
/// # Errors
/// [`StoreError`] outside; [`Refused`] inside.
pub fn exchange_own(
    rows: &dyn Rows,
    server: &ServerProfile,
    request: &OwnToken<'_>,
    now: UnixTime,
) -> Result<Result<Issued, Refused>, StoreError> {
    if request.exchange.token_type == SubjectTokenType::IdToken {
        let found = "a token of this server is no ID token";
        return Ok(Err(
            Refused::of(TokenError::SubjectTokenNotValid).found(found)
        ));
    }
    let token = request.exchange.subject_token.expose();
    let Some(claims) = access::open(request.ring, &server.issuer, token, now) else {
        let found = "it is not an access token of this server, or has expired";
        return Ok(Err(
            Refused::of(TokenError::SubjectTokenUnknown).found(found)
        ));
    };
    if revoked::is_revoked(rows, claims.grant)? {
        return Ok(Err(
            Refused::of(TokenError::SubjectTokenNotValid).found("it was revoked")
        ));
    }
    if claims.cnf.is_some() {
        // The client does not prove here that it has the key.
        let refused = Refused::of(TokenError::SubjectTokenNotValid);
        return Ok(Err(refused.found("it is bound to a key (cnf)")));
    }
    Ok(issue(server, request, claims, now))
}

fn issue(
    server: &ServerProfile,
    request: &OwnToken<'_>,
    subject: AccessClaims,
    now: UnixTime,
) -> Result<Issued, Refused> {
    let target = request.exchange.target.as_deref();
    if let Some(other) = target.filter(|target| *target != subject.aud) {
        return Err(Refused::of(TokenError::ResourceDiffers)
            .found(other)
            .expected(&subject.aud));
    }
    let resource = resource(server, Some(&subject.aud))?;
    let most = scopes::common(&subject.scope.0, &allowed(request.client, resource));
    let given = scopes::asked_of(&most, request.exchange.scope.as_deref(), resource)?;
    let expires = now.plus(server.lifetimes.access_token).min(subject.exp.0);
    let claims = AccessClaims {
        client_id: request.client.id.clone(),
        iat: now.into(),
        exp: expires.into(),
        jti: request.id,
        scope: ScopeSetText(given),
        cnf: None,
        ..subject
    };
    Ok(Issued {
        claims,
        refresh_token: None,
        taken: Taken::Nothing,
        ended: Vec::new(),
        is_repeated: false,
    })
}
