//! The authorization server as a service of the public listener: which endpoint a path is, and which handler answers.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use mcp_gateway_core::http::authority::Authority;
use mcp_gateway_oauth::{discovery::Endpoint, pages::message::Why};
use tokio::time::timeout;

use super::{answers, handlers, intake::Full, server::Server};
use crate::local::service::{Guesses, LocalAnswer, LocalEndpoint, LocalRequest, LocalService};

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
            guesses: guesses(endpoint),
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
        Endpoint::Callback => handlers::federation::callback::answer(server, request).await,
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

/// Requests for some endpoints carry secrets, codes or tokens that somebody could guess. Passwords have a throttle of their own, which
/// answers with a page. A code of a provider is judged by the provider.
const fn guesses(endpoint: Endpoint) -> Guesses {
    match endpoint {
        Endpoint::Token
        | Endpoint::Revoke
        | Endpoint::Introspect
        | Endpoint::ClientConfiguration => Guesses::Refused,
        Endpoint::Callback => Guesses::NotJudged,
        _ => Guesses::Answered,
    }
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

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::{Arc, mpsc},
    };

    use http::{
        HeaderMap, Method,
        header::{CONTENT_TYPE, RETRY_AFTER},
    };
    use mcp_gateway_core::http::client_address::ClientAddress;
    use mcp_gateway_oauth::store::rows::Rows;

    use super::*;
    use crate::{
        authorization_server::store::Store,
        config::{self, Environment},
        fetch::internet::Outside,
        telemetry::metrics::Metrics,
    };

    const CONFIG: &str = "\
public_url: https://mcp.example.com
listen:
  - address: 127.0.0.1:8080
authorization_server: { directory: state, machines: { enabled: true, scopes: [read] } }
resources:
  - { path: /mcp, upstream: 'http://127.0.0.1:9/mcp', scopes: { supported: [read] }, policy: { default: allow } }
";

    async fn server(folder: &Path) -> Server {
        let config = config::parse(CONFIG, folder, &Environment::default()).unwrap();
        let own = config.authorization_server.as_ref().unwrap();
        let store = Store::open(&own.directory).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        Server::start(&config, own, store, (Outside::default(), metrics))
            .await
            .unwrap()
    }

    fn registration() -> LocalRequest {
        LocalRequest {
            method: Method::POST,
            path: "/register".to_owned(),
            query: None,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]),
            body: r#"{"redirect_uris":["https://a.example/cb"]}"#.into(),
            client: ClientAddress::Known([192, 0, 2, 1].into()),
            certificate: None,
            request_id: "r1".to_owned(),
        }
    }

    /// Holds the writer of the store until the returned sender is dropped.
    async fn hold(store: &Store) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (entered, is_entered) = mpsc::channel();
        let released = std::sync::Mutex::new(released);
        let store = store.clone();
        tokio::spawn(async move {
            let wait = move |_: &mut dyn Rows| {
                let _ = entered.send(());
                let _ = released.lock().unwrap().recv();
                Ok(())
            };
            store.write(wait).await
        });
        // The task submits its operation, and another thread runs it.
        tokio::task::yield_now().await;
        is_entered.recv().unwrap();
        release
    }

    fn header(answer: &LocalAnswer, name: &http::HeaderName) -> String {
        let found = answer.headers.iter().find(|(own, _)| own == name);
        found.map_or_else(String::new, |(_, value)| value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_store_that_answers_late_is_503_with_the_time_to_try_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = server(folder.path()).await;
        assert_eq!(server.answer(registration()).await.status, 201);
        let release = hold(server.store()).await;
        // From here on, time passes when nobody can do anything but wait.
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let late = server.answer(registration()).await;
        assert!(began.elapsed() >= ANSWER_DEADLINE);
        assert_eq!(
            (late.status.as_u16(), &*header(&late, &RETRY_AFTER)),
            (503, "2")
        );
        let body = String::from_utf8(late.body.to_vec()).unwrap();
        assert!(body.contains("temporarily_unavailable"), "{body}");
        assert!(late.found.unwrap().contains("within 20s"));
        let page = super::late(&server, Endpoint::Consent, &registration());
        assert_eq!(
            (page.status.as_u16(), &*header(&page, &RETRY_AFTER)),
            (503, "2")
        );
        assert!(header(&page, &CONTENT_TYPE).starts_with("text/html"));
        tokio::time::resume();
        drop(release);
        assert_eq!(server.answer(registration()).await.status, 201);
    }
}
