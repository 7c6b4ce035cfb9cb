//! The answer to a token request: what was issued is signed, what was refused says why.

use http::StatusCode;
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    authorize::find_resource,
    client::authentication::ClientFault,
    form::Form,
    store::rows::{Rows, StoreError},
    token::{
        access,
        answer::TokenAnswer,
        error::{Refused, TokenError},
        give_back,
        issued::{Issued, Taken},
    },
};

use super::super::{
    super::{answers::Answered, clients::NotAuthenticated, server::Server},
    common::Refusals,
};
use super::proof::Proven;
use crate::{
    local::service::LocalAnswer,
    telemetry::authorization_event::{EventKind, EventSubject, GrantKind},
};

/// Why nothing is issued.
pub(super) enum NotIssued {
    /// The client is not what this process remembered.
    ClientChanged,
    Client(ClientFault),
    Refused(Refused),
}

/// Answers with what came of the request of this client, bound to the key that it proved to have; none where it is not what this process remembered.
pub(super) async fn concluded(
    server: &Server,
    refusals: &Refusals<'_>,
    client: &str,
    issued: Result<Result<Issued, NotIssued>, StoreError>,
    proven: &Proven,
    now: UnixTime,
) -> Answered<Option<LocalAnswer>> {
    match issued.map_err(|error| refusals.no_store(client, &error))? {
        Ok(issued) => {
            server.runtime.revoke(issued.ended.iter().copied());
            let is_bound = issued.claims.cnf.is_some();
            let issued = issued.bound_to(
                &server.settings.keys,
                proven.key.as_ref().filter(|_| !is_bound),
            );
            signed(server, refusals, issued, now).await.map(Some)
        }
        Err(NotIssued::ClientChanged) => Ok(None),
        Err(NotIssued::Client(fault)) => {
            let why = NotAuthenticated::new(Some(client), fault);
            Err(refusals.not_authenticated(&why))
        }
        Err(NotIssued::Refused(why)) => {
            server.runtime.revoke(why.revoked);
            Err(refusals.refused(Some(client), &why))
        }
    }
}

/// The resource that was sent (RFC 8707 §2.2), as the configuration spells it.
pub(super) fn resource(server: &Server, form: &Form) -> Result<Option<String>, Refused> {
    if form.get("resource").is_none() {
        return Ok(None);
    }
    let found = find_resource(&server.settings.profile, form.all("resource"));
    found
        .map(|resource| Some(resource.uri.clone()))
        .map_err(|fault| Refused::of(TokenError::ResourceUnknown).found(fault))
}

/// Signs what was issued. What was taken for it is given back where that fails.
async fn signed(
    server: &Server,
    refusals: &Refusals<'_>,
    issued: Issued,
    now: UnixTime,
) -> Answered {
    let ring = server.runtime.signing.ring();
    let about = about_issued(&issued);
    match access::sign(ring.signer(now), &issued.claims) {
        Ok(token) => {
            let answer = TokenAnswer::new(token, &issued, now);
            let answer = match refusals.kind {
                EventKind::Token(GrantKind::TokenExchange) => answer.of_exchange(),
                _ => answer,
            };
            let mut answered = LocalAnswer {
                headers: TokenAnswer::headers().to_vec(),
                body: answer.body().expose().to_owned().into(),
                ..LocalAnswer::new(StatusCode::OK)
            };
            if issued.is_repeated {
                answered.found = Some("the direct predecessor was repeated".to_owned());
            }
            let outcome = if issued.is_repeated {
                "repeated"
            } else {
                "issued"
            };
            Ok(answered.with_event(refusals.kind, outcome, about))
        }
        Err(error) => {
            let store = &server.runtime.store;
            let given_back = store
                .write(move |rows| give_back::give_back(rows, &issued))
                .await;
            if let Err(error) = given_back {
                tracing::error!(
                    "a code or refresh token was not given back after a failure: {error}"
                );
            }
            let refused = Refused::of(TokenError::SigningFailed).found(error);
            Err(refusals.refused(about.client.as_deref(), &refused))
        }
    }
}

fn about_issued(issued: &Issued) -> EventSubject {
    let claims = &issued.claims;
    EventSubject {
        client: Some(claims.client_id.clone()),
        subject: Some(claims.sub.clone()),
        resource: Some(claims.aud.clone()),
        scopes: Some(claims.scope.0.to_string()),
        grant: Some(claims.grant.to_string()),
        ..EventSubject::default()
    }
}

/// A code or an assertion whose use was not answered can be presented again. A refresh can be repeated anyway.
pub(super) fn undo(
    rows: &mut dyn Rows,
    issued: &Result<Issued, NotIssued>,
) -> Result<(), StoreError> {
    match issued {
        Ok(issued) if !matches!(issued.taken, Taken::RefreshToken { .. }) => {
            give_back::give_back(rows, issued)
        }
        _ => Ok(()),
    }
}
