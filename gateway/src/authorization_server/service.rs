//! The authorization server as a service of the public listener: which endpoint a path is, and which handler answers.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use mcp_gateway_core::http::authority::Authority;
use mcp_gateway_oauth::{discovery::Endpoint, pages::message::Why};
use tokio::time::timeout;

use super::{answers, handlers, intake::Full, server::Server};
use crate::local::service::{LocalAnswer, LocalEndpoint, LocalRequest, LocalService};

/// When to try again after too many requests at once, in seconds.
const BUSY_SECONDS: u64 = 2;

/// The longest that an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

#[async_trait]
impl LocalService for Server {
    fn endpoint(&self, host: &Authority, path: &str) -> Option<LocalEndpoint> {
        let settings = &self.settings;
        let endpoint = Endpoint::of(path)?;
        (*host == settings.host).then(|| LocalEndpoint {
            methods: endpoint.methods(),
            is_for_pages: endpoint.is_readable_by_pages(),
            takes_credentials: takes_credentials(endpoint),
            refusals_per_address: settings.refusals_per_address,
            body_bytes: settings.body_bytes,
        })
    }

    async fn answer(&self, request: LocalRequest) -> LocalAnswer {
        let Some(endpoint) = Endpoint::of(&request.path) else {
            return LocalAnswer::new(StatusCode::NOT_FOUND);
        };
        if endpoint.is_document() {
            // They cost nothing, and the page that says that the server is busy needs its style sheet.
            return handled(self, endpoint, &request).await;
        }
        let place = self
            .runtime
            .intake
            .request(request.client, &self.settings.intake);
        let _place = match place {
            Ok(place) => place,
            Err(full) => return busy(self, endpoint, &request, full),
        };
        let answered = timeout(ANSWER_DEADLINE, handled(self, endpoint, &request)).await;
        answered.unwrap_or_else(|_| late(self, endpoint, &request))
    }
}

async fn handled(server: &Server, endpoint: Endpoint, request: &LocalRequest) -> LocalAnswer {
    let answered = match endpoint {
        Endpoint::Authorize => handlers::authorize::answer(server, request).await,
        Endpoint::SignIn => handlers::sign_in::answer(server, request).await,
        Endpoint::Consent => handlers::consent::answer(server, request).await,
        Endpoint::SignOut => handlers::sign_out::answer(server, request).await,
        Endpoint::Token => handlers::token::answer(server, request).await,
        Endpoint::Register => handlers::register::answer(server, request).await,
        Endpoint::ClientConfiguration => handlers::manage::answer(server, request).await,
        Endpoint::Revoke => handlers::revoke::answer(server, request).await,
        Endpoint::Introspect => handlers::introspect::answer(server, request).await,
        Endpoint::KeySet
        | Endpoint::StyleSheet
        | Endpoint::Logo
        | Endpoint::Icon
        | Endpoint::AuthorizationServer
        | Endpoint::OpenIdConfiguration => handlers::documents::answer(server, endpoint),
    };
    answered.unwrap_or_else(|answer| *answer)
}

/// Whether requests for it carry secrets, codes or tokens that somebody could guess. Passwords have a throttle of their own, which
/// answers with a page.
const fn takes_credentials(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Token | Endpoint::Revoke | Endpoint::Introspect | Endpoint::ClientConfiguration
    )
}

/// The answer to a request that is one too many.
fn busy(server: &Server, endpoint: Endpoint, request: &LocalRequest, full: Full) -> LocalAnswer {
    let (status, found) = match full {
        Full::Address => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests from this address are in progress (authorization_server.limits.requests_per_address)",
        ),
        Full::All => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests are in progress (authorization_server.limits.requests)",
        ),
    };
    let description = "Too many requests at the moment. Try again shortly.";
    LocalAnswer {
        status,
        ..unavailable(server, endpoint, request, (description, found.to_owned()))
    }
}

/// The answer to a request that took too long. What it had begun may still be done.
fn late(server: &Server, endpoint: Endpoint, request: &LocalRequest) -> LocalAnswer {
    let description = "The authorization server did not answer in time. Try again shortly.";
    let found = format!("there was no answer within {ANSWER_DEADLINE:?}");
    unavailable(server, endpoint, request, (description, found))
}

/// 503 with `Retry-After`, as JSON for programs and as a page for people.
fn unavailable(
    server: &Server,
    endpoint: Endpoint,
    request: &LocalRequest,
    (description, found): (&str, String),
) -> LocalAnswer {
    if endpoint.is_for_machines() {
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
        return answers::error(status, code, description).with_found(found);
    }
    let why = (&Why::Busy, Some(BUSY_SECONDS));
    answers::unavailable(server, request, why, found)
}
