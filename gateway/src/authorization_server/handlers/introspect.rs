//! The introspection endpoint (RFC 7662), for the resource servers of the configuration.

use http::StatusCode;
use mcp_gateway_oauth::{
    client::authentication::{
        ClientFault, Parameters, Presented, authenticate_unknown, is_secret_of, presented,
    },
    form::Form,
    token::introspect::{self, Question},
};

use super::{
    super::{
        answers::{self, Answered},
        clients::NotAuthenticated,
        server::Server,
        settings::ResourceServer,
    },
    common::Refusals,
};
use crate::{clock, local::service::LocalRequest, telemetry::authorization_event::EventKind};

/// Answers a question about a token.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let kind = EventKind::Introspection;
    let refusals = Refusals { request, kind };
    let form = refusals.form()?;
    let asker = resource_server(server, request, &form);
    let asker = asker.map_err(|why| refusals.not_authenticated(&why))?;
    let question = Question {
        token: refusals.token(&form, &asker.id)?,
        resources: &asker.resources,
        issuer: &server.settings.profile.issuer,
    };
    let (ring, store) = (server.runtime.signing.ring(), &server.runtime.store);
    let found = store
        .read(|rows| introspect::introspect(rows, &ring, &question, clock::now()))
        .await;
    let found = found.map_err(|error| refusals.no_store(&asker.id, &error))?;
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
