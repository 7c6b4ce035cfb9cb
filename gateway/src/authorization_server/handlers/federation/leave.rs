//! A browser leaves for a provider: it is redirected there, and keeps what it needs to come back in a cookie.

use http::{
    HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use mcp_gateway_oauth::{
    federation::protocol::{
        cookie::{self, Departures},
        departure::{Departure, RANDOM_BYTES},
    },
    session::interaction::Interaction,
};

use super::failed::failed;
use crate::{
    authorization_server::{
        answers::{self, Answered},
        handlers::common::{Visitor, new_cookie, random, random_id},
        providers::{Provider, ProviderFault},
        server::Server,
    },
    clock,
    local::service::{LocalAnswer, LocalRequest},
};

/// What somebody leaves with.
#[derive(Clone, Copy)]
pub(in crate::authorization_server::handlers) struct Leaving<'a> {
    /// The query of the authorization request for after the sign-in.
    pub(in crate::authorization_server::handlers) query: &'a str,
    /// Whether the provider should let people choose, or sign in again.
    pub(in crate::authorization_server::handlers) wants_another_account: bool,
}

/// Sends a browser to a provider.
///
/// # Errors
/// A page: the provider is unavailable, or its documents cannot be used.
pub(in crate::authorization_server::handlers) async fn leave(
    server: &Server,
    request: &LocalRequest,
    visitor: &Visitor,
    provider: &Provider,
    leaving: Leaving<'_>,
) -> Answered {
    let fault = |fault: ProviderFault| {
        Box::new(failed(
            server,
            request,
            provider,
            Some(leaving.query),
            &fault,
        ))
    };
    let settings = &server.settings;
    let (own, is_new) = match &visitor.cookie {
        Some(cookie) => (cookie.clone(), false),
        None => (new_cookie(server)?, true),
    };
    let random = random::<RANDOM_BYTES>()?;
    let interaction = Interaction {
        id: random_id()?,
        began: clock::now().into(),
        request: Departure::new(&provider.profile, leaving.query.to_owned(), &random),
    };
    let sealed = cookie::seal(&interaction, &settings.keys, own.browser());
    let sealed = sealed.map_err(|error| fault(ProviderFault::TooLong(error)))?;
    let location = provider.location(&interaction.request, leaving.wants_another_account);
    let location = location.await.map_err(fault)?;
    let (transport, lifetime) = (settings.transport, settings.profile.lifetimes.interaction);
    let place = departures(server, request).place(
        &settings.keys,
        &visitor.browsers(),
        (lifetime, clock::now()),
    );
    let mut answer: LocalAnswer = answers::redirect(&location)
        .with_header(SET_COOKIE, cookie::set(transport, place, &sealed, lifetime));
    if is_new {
        answer = answer.with_header(SET_COOKIE, own.set(transport));
    }
    Ok(answer)
}

/// The sign-ins under way in a browser.
pub(super) fn departures(server: &Server, request: &LocalRequest) -> Departures {
    let fields = request.headers.get_all(COOKIE).iter();
    let fields: Vec<_> = fields.map(HeaderValue::as_bytes).collect();
    Departures::parse(&fields, server.settings.transport)
}
