//! The client configuration endpoint (RFC 7592): a registered client reads, changes or removes its registration.

use http::{Method, StatusCode};
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::{
    client::registration::{self, Entropy, Management, RegistrationError},
    discovery::paths,
    grant::EndedBy,
    keys::ServerKeys,
    secret::Secret,
    store::rows::Rows,
};

use super::{
    super::{answers::Answered, operator::end_tokens, server::Server},
    common::{bearer, is_body_of, random},
    register::{about, described, no_store, not_json, refused},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Grants that end in one transaction when their client is removed.
const BATCH: usize = 256;

/// Answers a request about a registration.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let client = paths::client_of(&request.path)
        .unwrap_or_default()
        .to_owned();
    let Some(token) = bearer(&request.headers) else {
        let error = RegistrationError::RegistrationAccessToken;
        return Err(refused(&error, Some(&client)));
    };
    match request.method {
        Method::PUT => update(server, request, client, token).await,
        Method::DELETE => delete(server, client, token).await,
        _ => read(server, client, token).await,
    }
}

async fn read(server: &Server, client: String, token: Secret) -> Answered {
    let store = &server.runtime.store;
    let (keys, now) = (&server.settings.keys, clock::now());
    let found = store
        .read(|rows| registration::read(rows, management(&client, &token, keys, now)))
        .await;
    let found = found.map_err(|error| no_store(&error))?;
    let found = found.map_err(|error| refused(&error, Some(&client)))?;
    Ok(described(server, StatusCode::OK, &found))
}

async fn update(
    server: &Server,
    request: &LocalRequest,
    client: String,
    token: Secret,
) -> Answered {
    if !is_body_of(&request.headers, "application/json") {
        return Err(not_json("the body must be application/json"));
    }
    let settings = server.settings.clone();
    let (id, body, now) = (client.clone(), request.body.clone(), clock::now());
    let entropy = Entropy {
        client_id: random()?,
        secret: random()?,
    };
    let update = move |rows: &mut dyn Rows| {
        registration::update(
            rows,
            management(&client, &token, &settings.keys, now),
            &body,
            &settings.redirects,
            &entropy,
            &settings.registration,
        )
    };
    let updated = server.runtime.store.write(update).await;
    let updated = updated.map_err(|error| no_store(&error))?;
    let updated = updated.map_err(|error| refused(&error, Some(&id)))?;
    let answer = described(server, StatusCode::OK, &updated);
    Ok(answer.with_event(EventKind::Registration, "updated", about(&updated)))
}

/// Removes the client, then ends its grants. It cannot use them from the first transaction on.
async fn delete(server: &Server, client: String, token: Secret) -> Answered {
    let (keys, id, now) = (server.settings.keys.clone(), client.clone(), clock::now());
    let delete = move |rows: &mut dyn Rows| {
        let deleted = registration::delete(rows, management(&client, &token, &keys, now))?;
        let ended = deleted.map(|removed| end_tokens(rows, &removed, now));
        ended.map_or_else(|error| Ok(Err(error)), |ended| ended.map(Ok))
    };
    let deleted = server.runtime.store.write(delete).await;
    let deleted = deleted.map_err(|error| no_store(&error))?;
    let revoked = deleted.map_err(|error| refused(&error, Some(&id)))?;
    server.runtime.revoke(revoked);
    server
        .end_grants_of(&id, EndedBy::Client, BATCH, |_| ())
        .await
        .map_err(|error| no_store(&error))?;
    let about = EventSubject {
        client: Some(id),
        ..EventSubject::default()
    };
    let answer = LocalAnswer::new(StatusCode::NO_CONTENT);
    Ok(answer.with_event(EventKind::Registration, "removed", about))
}

const fn management<'a>(
    client_id: &'a str,
    token: &'a Secret,
    keys: &'a ServerKeys,
    now: UnixTime,
) -> Management<'a> {
    Management {
        client_id,
        token,
        keys,
        now,
    }
}
