//! The introspection endpoint (RFC 7662), for the resource servers of the configuration.

use http::StatusCode;
use mcp_gateway_oauth::{
    client::authentication::{
        ClientFault, Parameters, Presented, authenticate_unknown, is_secret_of, presented,
    },
    form::Form,
    token::{
        error::{Refused, TokenError},
        introspect::{self, Question},
    },
};

use super::{
    super::{
        answers::{self, Answered},
        clients::NotAuthenticated,
        server::Server,
        settings::ResourceServer,
    },
    common::posted_form,
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// Answers a question about a token.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let form = posted_form(request).map_err(|found| {
        let refused = Refused::of(TokenError::RequestMalformed).found(found);
        refusal(request, None, &refused)
    })?;
    let asker = resource_server(server, request, &form);
    let asker = asker.map_err(|why| {
        let about = about(why.client.as_deref());
        let answer = why.answer(request);
        Box::new(answer.with_event(EventKind::Introspection, why.fault.code(), about))
    })?;
    let Some(token) = form.get("token") else {
        return Err(refusal(
            request,
            Some(&asker.id),
            &TokenError::TokenMissing.into(),
        ));
    };
    let question = Question {
        token,
        resources: &asker.resources,
        issuer: &server.settings.profile.issuer,
    };
    let (ring, store) = (server.runtime.signing.ring(), &server.runtime.store);
    let opened = store.wait_until_open().await;
    let found = opened.and_then(|()| {
        store.read(|rows| introspect::introspect(rows, &ring, &question, clock::now()))
    });
    let found = found.map_err(|error| {
        let refused = Refused::of(TokenError::StoreUnavailable).found(error);
        refusal(request, Some(&asker.id), &refused)
    })?;
    let mut answer = answers::json(StatusCode::OK, &found.body());
    if let introspect::Introspection::Inactive(why) = found {
        answer.found = Some(format!("the token is not active: {why:?}"));
    }
    Ok(answer)
}

/// The resource server that asks, by its secret in the header or in the body.
fn resource_server<'a>(
    server: &'a Server,
    request: &LocalRequest,
    form: &Form,
) -> Result<&'a ResourceServer, NotAuthenticated> {
    let presented = presented(&request.headers, &Parameters::of(|name| form.get(name)));
    let presented =
        presented.map_err(|fault| NotAuthenticated::new(form.get("client_id"), fault))?;
    let keys = &server.settings.keys;
    let id = presented.client_id();
    let mut known = server.settings.resource_servers.iter();
    let Some(known) = known.find(|known| known.id == id) else {
        return Err(NotAuthenticated::new(
            Some(id),
            authenticate_unknown(&presented, keys),
        ));
    };
    let (Presented::Basic { secret, .. } | Presented::Post { secret, .. }) = &presented else {
        let fault = ClientFault::OtherMethod {
            registered: "client_secret_basic",
            used: presented.method(),
        };
        return Err(NotAuthenticated::new(Some(id), fault));
    };
    match is_secret_of(keys, id, secret, &known.secret) {
        true => Ok(known),
        false => Err(NotAuthenticated::new(Some(id), ClientFault::WrongSecret)),
    }
}

fn refusal(request: &LocalRequest, client: Option<&str>, refused: &Refused) -> Box<LocalAnswer> {
    let answer = answers::refused(&request.headers, refused);
    let code = refused.error.code();
    Box::new(answer.with_event(EventKind::Introspection, code, about(client)))
}

fn about(client: Option<&str>) -> EventSubject {
    EventSubject {
        client: client.map(str::to_owned),
        ..EventSubject::default()
    }
}
