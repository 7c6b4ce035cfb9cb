//! A request for a service of the gateway's own, such as the built-in authorization server: its body is read and its answer
//! written here, like those of every other request.
//!
//! Nobody is authenticated here, so every byte of a body counts for the address of its client. The `Origin` header decides nothing:
//! the service's pages have their own protection, and its other endpoints are for pages of every origin.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use mcp_gateway_core::{
    http::cors,
    refusal::{Refusal, fault::Fault, reason::Reason},
};

use super::{
    admit::Admitted,
    exchange::{Exchange, Stop},
    possession,
    read::body::{self, Terms},
    record::audit,
    response::respond,
};
use crate::{
    limits::accounts::AddressAccount,
    local::service::{Guesses, LocalAnswer, LocalEndpoint, LocalRequest, LocalService},
};

/// Answers a request for an endpoint of `service`.
pub(super) async fn serve(
    exchange: &mut Exchange<'_>,
    service: &dyn LocalService,
    endpoint: LocalEndpoint,
    admitted: Admitted,
) -> Result<(), Stop> {
    exchange.endpoint = Some(endpoint);
    let head = exchange.session.req_header();
    let method = head.method.clone();
    if method == Method::OPTIONS && endpoint.is_for_pages {
        let headers = cors::endpoint_preflight_headers(&endpoint.allow(), &head.headers);
        return respond::local(exchange, StatusCode::NO_CONTENT, headers, Bytes::new()).await;
    }
    if !endpoint.allows(&method) {
        return Err(Reason::MethodNotAllowed.into());
    }
    if endpoint.guesses == Guesses::NotJudged {
        refuse_exhausted(exchange, endpoint)?;
    }
    let body = match method == Method::POST || method == Method::PUT {
        true => read(exchange, endpoint.body_bytes).await?,
        false => Bytes::new(),
    };
    let certificate = possession::certificate::presented(exchange)?;
    let request = LocalRequest {
        method: match method {
            Method::HEAD => Method::GET,
            method => method,
        },
        path: admitted.path,
        query: admitted.query,
        headers: exchange.session.req_header().headers.clone(),
        body,
        client: exchange.record.client_address(),
        certificate,
        request_id: exchange.record.request_id().to_owned(),
    };
    let answer = service.answer(request).await;
    let is_failure = endpoint.guesses == Guesses::Refused && answer.counts_against_address;
    let exhausted = is_failure.then(|| refuse_exhausted(exchange, endpoint));
    record(exchange, endpoint, &answer);
    exhausted.unwrap_or(Ok(()))?;
    let LocalAnswer {
        status,
        mut headers,
        body,
        ..
    } = answer;
    if endpoint.is_for_pages {
        headers.push(cors::public_header());
    }
    respond::local(exchange, status, headers, body).await
}

/// Refuses an address that sent too many wrong credentials. Mostly it is asked after the service has judged them: right ones are
/// always served, also where others with the same address guess. They have so many bits that nobody guesses one.
fn refuse_exhausted(exchange: &Exchange<'_>, endpoint: LocalEndpoint) -> Result<(), Refusal> {
    let (address, most) = (
        exchange.record.client_address(),
        endpoint.refusals_per_address,
    );
    match exchange.gateway.wrong_credentials_wait(address, most) {
        None => Ok(()),
        wait => {
            let detail = format!(
                "more than {most} wrong credentials of the address in a minute (authorization_server.limits.refusals_per_address)"
            );
            Err(Refusal {
                retry_after: wait,
                ..Fault::new(Reason::TooManyRefusals, detail).into()
            })
        }
    }
}

async fn read(exchange: &mut Exchange<'_>, most: usize) -> Result<Bytes, Stop> {
    let snapshot = exchange.snapshot.clone();
    let mut reservation = exchange.body_reservation();
    let address = (exchange.gateway).address_account(exchange.record.client_address());
    reservation.count_for(address, &snapshot.bodies)?;
    let terms = Terms {
        most,
        reservation,
        slow_sender: None::<fn() -> Arc<AddressAccount>>,
    };
    let read = body::read(exchange.session, &snapshot, terms).await;
    read.map_err(|stop| match stop {
        Stop::Refused(refusal) if refusal.reason == Reason::BodyTooLarge => {
            let detail = format!("more than {most} bytes (authorization_server.limits.body_bytes)");
            Refusal::from(Fault::new(Reason::BodyTooLarge, detail)).into()
        }
        stop => stop,
    })
}

/// Records what happened in metrics, logs and the refusals of the address.
fn record(exchange: &mut Exchange<'_>, endpoint: LocalEndpoint, answer: &LocalAnswer) {
    exchange.record.set_detail_if(answer.found.clone());
    if answer.counts_against_address {
        let address = exchange.record.client_address();
        let most = endpoint.refusals_per_address;
        exchange.gateway.count_wrong_credentials(address, most);
    }
    for event in &answer.events {
        exchange.gateway.metrics().count_authorization(event);
        audit::write_authorization(exchange.record, exchange.gateway, event);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use http::header::{LOCATION, SET_COOKIE};
    use mcp_gateway_core::http::authority::Authority;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::{
        client_session::ClientSession,
        request::{
            pipeline,
            record::{client::Client, guard::RecordGuard},
        },
        shared::{Gateway, test_gateway::gateway_with},
        telemetry::authorization_event::{AuthorizationEvent, EventKind, EventSubject},
    };

    use super::*;
    use crate::request::{possession::client_certificate::ClientCertificate, tls_info::TlsInfo};

    /// The most bytes of a body.
    const MAX_BODY_BYTES: usize = 64 * 1024;

    /// A service with a form, an endpoint for pages and a well-known document. It answers with what it got.
    #[derive(Debug)]
    struct Echo;

    #[async_trait]
    impl LocalService for Echo {
        fn endpoint(&self, host: &Authority, path: &str) -> Option<LocalEndpoint> {
            let (methods, is_for_pages): (&[Method], bool) = match path {
                "/form" => (&[Method::GET, Method::HEAD, Method::POST], false),
                "/machine" | "/back" => (&[Method::POST], true),
                "/.well-known/echo" => (&[Method::GET], true),
                _ => return None,
            };
            let endpoint = LocalEndpoint {
                methods,
                is_for_pages,
                guesses: match path {
                    "/machine" => Guesses::Refused,
                    "/back" => Guesses::NotJudged,
                    _ => Guesses::Answered,
                },
                refusals_per_address: 3,
                body_bytes: MAX_BODY_BYTES,
            };
            (host.to_string() == "mcp.example.com").then_some(endpoint)
        }

        async fn answer(&self, request: LocalRequest) -> LocalAnswer {
            let (method, path) = (&request.method, &request.path);
            let query = request.query.as_deref().unwrap_or("-");
            let (bytes, client) = (request.body.len(), request.client);
            let is_wrong = request.body.starts_with(b"wrong");
            let event = AuthorizationEvent {
                kind: EventKind::SignIn,
                outcome: if is_wrong {
                    "wrong_password"
                } else {
                    "signed_in"
                },
                reason: None,
                about: EventSubject::default(),
            };
            LocalAnswer {
                headers: vec![
                    (SET_COOKIE, "a=1".parse().unwrap()),
                    (SET_COOKIE, "b=2".parse().unwrap()),
                    (LOCATION, "/next".parse().unwrap()),
                ],
                body: format!("{method} {path} {query} {bytes} {client:?}").into(),
                counts_against_address: is_wrong,
                found: Some("something".to_owned()),
                events: vec![event],
                ..LocalAnswer::new(StatusCode::SEE_OTHER)
            }
        }
    }

    fn echoing(more: &str) -> Arc<Gateway> {
        gateway_with(more, Some(Arc::new(Echo)))
    }

    /// The whole answer to a request, in lower case up to its body.
    async fn answered(gateway: &Gateway, request: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(request).await.unwrap();
        let mut session = ClientSession::http1(Box::new(server), Bytes::new());
        assert!(session.read_head().await.unwrap());
        let peer = Client::Peer("192.0.2.1:5".parse().unwrap());
        let mut guard = RecordGuard::open(gateway, peer, Some(session.req_header()));
        let snapshot = gateway.snapshot();
        let record = &mut guard.record;
        let tls = (&TlsInfo::default(), ClientCertificate::Handshake(None));
        let mut exchange = Exchange::new(&mut session, tls, snapshot, gateway, record);
        assert!(matches!(pipeline::run(&mut exchange).await, Ok(None)));
        drop((guard, session));
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        format!("{}\r\n\r\n{body}", head.to_lowercase())
    }

    fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("{method} {path} HTTP/1.1\r\nHost: mcp.example.com\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    #[tokio::test]
    async fn the_service_gets_the_whole_request_and_its_answer_is_written_as_it_is() {
        let gateway = echoing("");
        let get = answered(&gateway, &request("GET", "/form?a=b", "")).await;
        assert!(get.starts_with("http/1.1 303 "), "{get}");
        assert!(
            get.contains("set-cookie: a=1\r\nset-cookie: b=2\r\n"),
            "{get}"
        );
        assert!(get.contains("location: /next\r\n"), "{get}");
        assert!(get.ends_with("GET /form a=b 0 Known(192.0.2.1)"), "{get}");
        let post = answered(&gateway, &request("POST", "/form", "name=value")).await;
        assert!(post.ends_with("POST /form - 10 Known(192.0.2.1)"), "{post}");
        assert!(!post.contains("access-control"), "{post}");
        let head = answered(&gateway, &request("HEAD", "/form", "")).await;
        assert!(
            head.contains("content-length: 30\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        let counted = "mcp_gateway_oauth_sign_ins_total{outcome=\"signed_in\"} 3";
        assert!(gateway.metrics().render().contains(counted));
    }

    #[tokio::test]
    async fn pages_of_every_origin_may_call_the_endpoints_that_are_for_them_and_no_others() {
        let gateway = echoing("");
        let preflight = |path: &str| {
            format!("OPTIONS {path} HTTP/1.1\r\nHost: mcp.example.com\r\nOrigin: https://elsewhere.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, authorization, cookie\r\n\r\n")
                .into_bytes()
        };
        let allowed = answered(&gateway, &preflight("/machine")).await;
        assert!(allowed.starts_with("http/1.1 204 "), "{allowed}");
        assert!(
            allowed.contains("access-control-allow-origin: *\r\n"),
            "{allowed}"
        );
        assert!(
            allowed.contains("access-control-allow-methods: post, options\r\n"),
            "{allowed}"
        );
        assert!(
            allowed.contains("access-control-allow-headers: content-type, authorization\r\n"),
            "{allowed}"
        );
        let post = answered(&gateway, &request("POST", "/machine", "")).await;
        assert!(
            post.contains("access-control-allow-origin: *\r\n"),
            "{post}"
        );
        let refused = answered(&gateway, &preflight("/form")).await;
        assert!(refused.starts_with("http/1.1 405 "), "{refused}");
        assert!(refused.contains("allow: get, head, post\r\n"), "{refused}");
        assert!(!refused.contains("access-control"), "{refused}");
    }

    #[tokio::test]
    async fn the_service_is_served_at_its_host_and_paths_with_its_methods_only() {
        let gateway = echoing("");
        for (method, host, path, status) in [
            ("GET", "mcp.example.com", "/.well-known/echo", 303),
            ("GET", "own.example.com", "/.well-known/echo", 404),
            ("GET", "own.example.com", "/form", 404),
            ("GET", "mcp.example.com", "/form/", 404),
            ("GET", "mcp.example.com", "/FORM", 404),
            ("DELETE", "mcp.example.com", "/form", 405),
            ("GET", "mcp.example.com", "/machine", 405),
            (
                "GET",
                "mcp.example.com",
                "/.well-known/oauth-protected-resource",
                200,
            ),
            ("GET", "mcp.example.com", "/mcp", 401),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = answered(&gateway, request.as_bytes()).await;
            let line = format!("http/1.1 {status} ");
            assert!(answer.starts_with(&line), "{method} {host}{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_body_has_a_limit_of_its_own_and_counts_for_its_address() {
        let gateway = echoing("");
        let largest = "x".repeat(MAX_BODY_BYTES);
        let answer = answered(&gateway, &request("POST", "/form", &largest)).await;
        assert!(answer.starts_with("http/1.1 303 "), "{answer}");
        let larger = answered(&gateway, &request("POST", "/form", &format!("{largest}x"))).await;
        assert!(larger.starts_with("http/1.1 413 "), "{larger}");
        let small = echoing(
            "limits: { body_bytes: 1KiB, bodies_bytes: 1MiB, bodies_bytes_per_address: 1KiB }\n",
        );
        let client =
            mcp_gateway_core::http::client_address::ClientAddress::Known([192, 0, 2, 1].into());
        let mut held = small.body_budget().reservation(None);
        held.count_for(small.address_account(client), &small.snapshot().bodies)
            .unwrap();
        held.grow(1000, &small.snapshot().bodies).unwrap();
        let busy = answered(&small, &request("POST", "/form", &"x".repeat(100))).await;
        assert!(busy.starts_with("http/1.1 429 "), "{busy}");
        drop(held);
        let free = answered(&small, &request("POST", "/form", &"x".repeat(100))).await;
        assert!(free.starts_with("http/1.1 303 "), "{free}");
        assert_eq!(small.body_budget().bytes(), 0);
    }

    #[tokio::test]
    async fn wrong_credentials_count_against_the_address_and_then_they_alone_wait() {
        // Refused MCP requests of the address have a limit of their own: it is used up here, and wrong credentials leave it alone.
        let gateway = echoing("limits: { refusals_per_address: 1 }\n");
        let client =
            mcp_gateway_core::http::client_address::ClientAddress::Known([192, 0, 2, 1].into());
        gateway.count_refusal(client);
        let before = gateway.refusal_wait(client);
        assert!(before.is_some());
        for _ in 0..3 {
            let wrong = answered(&gateway, &request("POST", "/machine", "wrong")).await;
            assert!(wrong.starts_with("http/1.1 303 "), "{wrong}");
        }
        let waits = answered(&gateway, &request("POST", "/machine", "wrong")).await;
        assert!(waits.starts_with("http/1.1 429 "), "{waits}");
        assert!(
            waits.contains("retry-after: ") && waits.contains("access-control-allow-origin: *\r\n")
        );
        assert!(gateway.refusal_wait(client) <= before);
        // Right credentials, and people at forms, are served: others may share the address.
        for other in [
            request("POST", "/machine", "right"),
            request("POST", "/form", "wrong"),
            request("POST", "/form", "right"),
            request("GET", "/form", ""),
        ] {
            let answer = answered(&gateway, &other).await;
            assert!(answer.starts_with("http/1.1 303 "), "{answer}");
        }
        // Where another server judges them, nothing is sent there any more.
        let unjudged = answered(&gateway, &request("POST", "/back", "right")).await;
        assert!(unjudged.starts_with("http/1.1 429 "), "{unjudged}");
    }
}
