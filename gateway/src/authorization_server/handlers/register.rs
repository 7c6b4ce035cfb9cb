//! The registration endpoint (RFC 7591 §3).

use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use mcp_gateway_oauth::{
    client::registration::{self, Registered, RegistrationError},
    discovery::paths,
    store::rows::{Rows, StoreError},
};

use super::{
    super::{
        answers::{self, Answered},
        intake::Full,
        server::Server,
    },
    common::{bearer, is_body_of, random, random_id},
};
use crate::{
    clock,
    local::service::{LocalAnswer, LocalRequest},
    telemetry::authorization_event::{EventKind, EventSubject},
};

/// The challenge of a token that is not accepted (RFC 6750 §3).
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Bearer error="invalid_token""#);

/// Answers a registration.
pub(crate) async fn answer(server: &Server, request: &LocalRequest) -> Answered {
    let settings = &server.settings;
    if !is_body_of(&request.headers, "application/json") {
        let found = "the body must be application/json";
        return Err(not_json(found));
    }
    let intake = &server.runtime.intake;
    intake
        .registration(request.client, &settings.intake)
        .map_err(full)?;
    let judged = registration::judge(&request.body, &settings.redirects);
    let judged = judged.map_err(|fault| refused(&fault.into(), None))?;
    let entropy = registration::Entropy {
        client_id: *random_id()?.as_bytes(),
        secret: random()?,
    };
    let (keys, policy) = (settings.keys.clone(), settings.registration.clone());
    let (token, now) = (bearer(&request.headers), clock::now());
    let register = move |rows: &mut dyn Rows| {
        registration::register(rows, &judged, token.as_ref(), &entropy, &keys, &policy, now)
    };
    let registered = server.runtime.store.write(register).await;
    let registered = registered.map_err(|error| no_store(&error))?;
    let registered = registered.map_err(|error| refused(&error, None))?;
    let answer = described(server, StatusCode::CREATED, &registered);
    let about = about(&registered);
    Ok(answer.with_event(EventKind::Registration, "registered", about))
}

/// The answer that describes a client (RFC 7591 §3.2.1).
pub(super) fn described(
    server: &Server,
    status: StatusCode,
    registered: &Registered,
) -> LocalAnswer {
    let url = server.settings.profile.url(paths::REGISTER);
    answers::json(status, &registration::answer(registered, &url))
}

/// The answer of a refused registration, or of a refused change of one.
pub(super) fn refused(error: &RegistrationError, client: Option<&str>) -> Box<LocalAnswer> {
    let mut answer = answers::error(error.status(), error.code(), &sentence(error));
    if error.status() == StatusCode::UNAUTHORIZED {
        answer.headers.push((WWW_AUTHENTICATE, CHALLENGE));
        answer.counts_against_address = true;
    }
    let about = EventSubject {
        client: client.map(str::to_owned),
        ..EventSubject::default()
    };
    let answer = answer.with_found(error);
    Box::new(answer.with_event(EventKind::Registration, error.code(), about))
}

/// `error_description` is ASCII without quotes and backslashes (RFC 6749 §5.2).
fn sentence(error: &RegistrationError) -> String {
    let text = error.to_string();
    let kept = text.chars().map(|char| match char {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => char,
        _ => '?',
    });
    kept.collect()
}

pub(super) fn not_json(found: &str) -> Box<LocalAnswer> {
    let error = "invalid_client_metadata";
    let answer = answers::error(StatusCode::BAD_REQUEST, error, found).with_found(found);
    Box::new(answer.with_event(EventKind::Registration, error, EventSubject::default()))
}

pub(super) fn no_store(error: &StoreError) -> Box<LocalAnswer> {
    let code = "temporarily_unavailable";
    let description = "The authorization server cannot answer now. Try again shortly.";
    let answer = answers::error(StatusCode::SERVICE_UNAVAILABLE, code, description);
    let answer = answer.with_found(error);
    Box::new(answer.with_event(EventKind::Registration, code, EventSubject::default()))
}

fn full((why, wait): (Full, std::time::Duration)) -> Box<LocalAnswer> {
    let (status, found) = match why {
        Full::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many registrations from this address (authorization_server.registration.per_address_per_minute)",
        ),
        Full::All => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many registrations (authorization_server.registration.per_minute)",
        ),
    };
    let code = "temporarily_unavailable";
    let description = "Too many clients register at the moment. Try again later.";
    let mut answer = answers::error(status, code, description).with_found(found);
    answer
        .headers
        .retain(|(name, _)| *name != http::header::RETRY_AFTER);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    answer.headers.push(answers::retry_after(seconds));
    Box::new(answer.with_event(EventKind::Registration, "too_many", EventSubject::default()))
}

pub(super) fn about(registered: &Registered) -> EventSubject {
    let stored = &registered.stored;
    EventSubject {
        client: Some(stored.client.id.clone()),
        scopes: stored.scope.as_ref().map(|scope| scope.0.to_string()),
        ..EventSubject::default()
    }
}
