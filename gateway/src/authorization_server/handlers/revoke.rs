//! The revocation endpoint (RFC 7009).

use http::StatusCode;
use mcp_gateway_oauth::{
    client::authentication::use_assertion,
    discovery::paths,
    token::revoke::{self, Outcome, Revocation},
};

use super::{
    super::{
        answers::{self, Answered},
        clients::{self, NotAuthenticated},
        server::Server,
    },
    common::Refusals,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers a revocation request.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let kind = EventKind::Revocation;
    let refusals = Refusals { request, kind };
    let form = refusals.form()?;
    let endpoint = server.settings.profile.url(paths::REVOKE);
    let came = clients::authenticated(server, request, &form, &endpoint).await;
    let (client, authenticated) = came.map_err(|why| refusals.not_authenticated(&why))?;
    let id = client.id.clone();
    let token = refusals.token(&form, &id)?.to_owned();
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
    let revoked = revoked.map_err(|error| refusals.no_store(&id, &error))?;
    let used_before = |fault| refusals.not_authenticated(&NotAuthenticated::new(Some(&id), fault));
    match revoked.map_err(used_before)? {
        Ok(done) => Ok(answered(server, id, done)),
        Err(refused) => Err(refusals.refused(Some(&id), &refused)),
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
