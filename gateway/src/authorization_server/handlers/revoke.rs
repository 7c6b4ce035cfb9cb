//! The revocation endpoint (RFC 7009).

use http::StatusCode;
use mcp_gateway_oauth::{
    client::authentication::use_assertion,
    discovery::paths,
    token::{
        error::{Refused, TokenError},
        revoke::{self, Outcome, Revocation},
    },
};

use super::{
    super::{
        answers::{self, Answered},
        clients::{self, NotAuthenticated},
        server::Server,
    },
    common::posted_form,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers a revocation request.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let form = posted_form(request).map_err(|found| {
        let refused = Refused::of(TokenError::RequestMalformed).found(found);
        refusal(request, None, &refused)
    })?;
    let endpoint = server.settings.profile.url(paths::REVOKE);
    let came = clients::authenticated(server, request, &form, &endpoint).await;
    let (client, authenticated) = came.map_err(|why| not_authenticated(request, &why))?;
    let id = client.id.clone();
    let Some(token) = form.get("token").map(str::to_owned) else {
        return Err(refusal(
            request,
            Some(&id),
            &TokenError::TokenMissing.into(),
        ));
    };
    let (keys, ring) = (server.settings.keys.clone(), server.runtime.signing.ring());
    let (issuer, now) = (server.settings.profile.issuer.clone(), clock::now());
    let revoke = move |rows: &mut dyn mcp_gateway_oauth::store::rows::Rows| {
        if let Err(fault) = use_assertion(rows, &authenticated)? {
            return Ok(Err(fault));
        }
        let revocation = Revocation {
            client: &client,
            token: &token,
            issuer: &issuer,
        };
        revoke::revoke(rows, &keys, &ring, &revocation, now).map(Ok)
    };
    let revoked = server.runtime.store.write(revoke).await;
    let revoked = revoked.map_err(|error| {
        let refused = Refused::of(TokenError::StoreUnavailable).found(error);
        refusal(request, Some(&id), &refused)
    })?;
    let revoked = revoked
        .map_err(|fault| not_authenticated(request, &NotAuthenticated::new(Some(&id), fault)))?;
    match revoked {
        Ok(done) => Ok(answered(server, id, done)),
        Err(refused) => Err(refusal(request, Some(&id), &refused)),
    }
}

fn answered(server: &Server, client: String, done: Outcome) -> LocalAnswer {
    let (outcome, grant) = match done {
        Outcome::Revoked(revoked) => {
            server.runtime.revoke(Some(revoked));
            ("revoked", Some(revoked.id.to_string()))
        }
        Outcome::NotValid => ("not_valid", None),
    };
    let about = EventSubject {
        client: Some(client),
        grant,
        ..EventSubject::default()
    };
    let answer = answers::json(StatusCode::OK, &serde_json::json!({}));
    answer.with_event(EventKind::Revocation, outcome, about)
}

fn not_authenticated(request: &LocalRequest, why: &NotAuthenticated) -> Box<LocalAnswer> {
    let about = EventSubject {
        client: why.client.clone(),
        ..EventSubject::default()
    };
    let answer = why.answer(request);
    Box::new(answer.with_event(EventKind::Revocation, why.fault.code(), about))
}

fn refusal(request: &LocalRequest, client: Option<&str>, refused: &Refused) -> Box<LocalAnswer> {
    let about = EventSubject {
        client: client.map(str::to_owned),
        ..EventSubject::default()
    };
    let answer = answers::refused(&request.headers, refused);
    Box::new(answer.with_event(EventKind::Revocation, refused.error.code(), about))
}
