//! The gateway's own credentials and its assertions at a server of HTTP+SSE: they go with the event stream and with each message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::client::{list, tool};
use e2e::issuer::tokens::{TokenEndpoint, answer, subject_of};
use e2e::upstream::assertion::{HEADER, REQUEST_ID, verified};
use e2e::upstream::{Recorded, Upstream};
use e2e::world::World;
use http::Method;
use serde_json::{Value, json};

use super::credentials::{authorizations, secret_file};

/// The least age of a token that is forgotten when the upstream refuses it.
const OLD_ENOUGH: Duration = Duration::from_millis(1100);

/// Where the credentials are configured.
const CREDENTIALS: &str = "/resources/0/upstream/credentials";

/// Issues tokens of this beginning and a number.
fn numbered(endpoint: &TokenEndpoint, name: impl Fn(&str) -> String + Send + Sync + 'static) {
    let count = AtomicUsize::new(0);
    endpoint.script(move |request| {
        let subject = request.parameter("subject_token").unwrap_or_default();
        let number = count.fetch_add(1, Ordering::SeqCst);
        let token = format!("{}-{number}", name(&subject));
        let access_token = "urn:ietf:params:oauth:token-type:access_token";
        answer(
            200,
            &json!({
                "access_token": token, "token_type": "Bearer", "expires_in": 300,
                "issued_token_type": access_token,
            }),
        )
    });
}

/// A client of `endpoint` without a secret.
fn client(endpoint: &TokenEndpoint) -> Value {
    json!({ "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none" })
}

/// The method and the credential of each request since the first `from`.
fn sent(upstream: &Upstream, from: usize) -> Vec<(Method, String)> {
    let methods = upstream.seen().into_iter().map(|request| request.method);
    let all = methods.zip(authorizations(upstream));
    all.skip(from).collect()
}

#[tokio::test]
async fn a_password_goes_with_the_stream_and_with_each_message() {
    let expected = format!(
        "Basic {}",
        STANDARD.encode("gateway:open sesame of this test")
    );
    let world = World::of_sse(|config| {
        let file = secret_file(&config, "password", "open sesame of this test");
        let basic = json!({ "username": "gateway", "password_file": file });
        config.set(CREDENTIALS, json!({ "basic": basic }))
    })
    .await;
    world
        .upstream
        .has_credentials(|found| found.starts_with("Basic "));
    let wanted = expected.clone();
    let is_own = move |request: &Recorded| request.header("authorization") == Some(&*wanted);
    let mut feeds = world.upstream.http_sse_for(is_own);
    let token = world.writer();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    stream.ask(&world, &token, list(1)).await;
    stream.ask(&world, &token, tool(2, "create_task")).await;
    let all = [Method::GET, Method::POST, Method::POST];
    assert_eq!(
        sent(&world.upstream, 0),
        all.map(|method| (method, expected.clone()))
    );
}

#[tokio::test]
async fn a_token_for_the_gateway_is_renewed_once_for_a_stream_and_for_messages_that_read() {
    let endpoint = TokenEndpoint::start().await;
    numbered(&endpoint, |_| "number".to_owned());
    let world = World::of_sse(|config| {
        config.set(
            CREDENTIALS,
            json!({ "client_credentials": client(&endpoint) }),
        )
    })
    .await;
    world
        .upstream
        .has_credentials(|found| found.starts_with("Bearer number-"));
    let accepted = Arc::new(Mutex::new("Bearer number-0"));
    let accept = async |token: &'static str| {
        tokio::time::sleep(OLD_ENOUGH).await;
        *accepted.lock().unwrap() = token;
    };
    let now = accepted.clone();
    let is_accepted = move |request: &Recorded| {
        let now = *now.lock().unwrap();
        request.header("authorization") == Some(now)
    };
    let mut feeds = world.upstream.http_sse_for(is_accepted);
    let token = world.writer();
    let with = |method: Method, number: usize| (method, format!("Bearer number-{number}"));

    let mut stream = world.open_sse(&mut feeds, &token).await;
    stream.ask(&world, &token, list(1)).await;
    let expected = [with(Method::GET, 0), with(Method::POST, 0)];
    assert_eq!(sent(&world.upstream, 0), expected);

    // A message that only reads is sent again, once, with another token; its answer comes once.
    accept("Bearer number-1").await;
    let hits = world.upstream.hits();
    stream.ask(&world, &token, list(2)).await;
    let expected = [with(Method::POST, 0), with(Method::POST, 1)];
    assert_eq!(sent(&world.upstream, hits), expected);

    // So is the request for another stream. The first one goes on.
    accept("Bearer number-2").await;
    let hits = world.upstream.hits();
    let mut second = world.open_sse(&mut feeds, &token).await;
    let expected = [with(Method::GET, 1), with(Method::GET, 2)];
    assert_eq!(sent(&world.upstream, hits), expected);
    for stream in [&mut stream, &mut second] {
        assert_eq!(stream.ask(&world, &token, list(3)).await["id"], 3);
    }

    // A message that may change something is not sent again; the next one has another token.
    accept("Bearer number-3").await;
    let hits = world.upstream.hits();
    let refused = stream.message(&world, &token, tool(4, "create_task"));
    let refused = refused.send().await;
    assert_eq!((refused.status, refused.challenge()), (502, ""));
    stream.ask(&world, &token, tool(5, "create_task")).await;
    let expected = [with(Method::POST, 2), with(Method::POST, 3)];
    assert_eq!(sent(&world.upstream, hits), expected);

    // Where every token is refused, a stream and a message are asked for twice at most, and no 401 goes to the client.
    accept("nothing").await;
    for (call, method) in [
        (world.listen(&token), Method::GET),
        (stream.message(&world, &token, list(6)), Method::POST),
    ] {
        let hits = world.upstream.hits();
        let reply = call.send().await;
        assert_eq!((reply.status, reply.challenge()), (502, ""), "{method}");
        let tries = sent(&world.upstream, hits);
        assert!(matches!(tries.len(), 1 | 2), "{tries:?}");
        assert!(tries.iter().all(|(own, _)| *own == method), "{tries:?}");
    }
    assert_eq!(world.gateway.counted("upstream_auth", 3.0).await, 3.0);
    assert!(endpoint.asked().len() <= 6, "{:?}", endpoint.asked().len());
}

#[tokio::test]
async fn each_persons_stream_and_messages_have_that_persons_token_alone() {
    let endpoint = TokenEndpoint::start().await;
    numbered(&endpoint, |subject| {
        format!("issued-for-{}", subject_of(subject))
    });
    let world = World::of_sse(|config| {
        config.set(CREDENTIALS, json!({ "token_exchange": client(&endpoint) }))
    })
    .await;
    world
        .upstream
        .has_credentials(|found| found.starts_with("Bearer issued-for-"));
    // Whatever arrives, it is the token of the person that it is for, and not a refused one.
    let refused = Arc::new(Mutex::new(String::new()));
    let now = refused.clone();
    let mut feeds = world.upstream.http_sse_for(move |request| {
        let credential = request.header("authorization").unwrap_or_default();
        let subject = request.header("x-mcp-subject").unwrap_or_default();
        let is_own = credential.starts_with(&format!("Bearer issued-for-{subject}-"));
        is_own && credential != *now.lock().unwrap()
    });
    let people = ["ana", "ben"].map(|person| world.token().subject(person).sign());
    let [ana, ben] = &people;
    let mut streams = [
        world.open_sse(&mut feeds, ana).await,
        world.open_sse(&mut feeds, ben).await,
    ];
    for id in 0..3 {
        for (stream, token) in streams.iter_mut().zip(&people) {
            assert_eq!(stream.ask(&world, token, list(id)).await["id"], id);
        }
    }
    assert_eq!(endpoint.asked().len(), 2);
    // A message of one for the stream of the other is not sent, with neither's token.
    for (stream, token) in streams.iter().zip([ben, ana]) {
        let foreign = stream.message(&world, token, list(9));
        world
            .refusal(foreign, 404, "session_mismatch")
            .await
            .unwrap();
    }
    // Where one token is refused, that person has another one; the other person keeps theirs.
    tokio::time::sleep(OLD_ENOUGH).await;
    *refused.lock().unwrap() = "Bearer issued-for-ben-1".to_owned();
    let [of_ana, of_ben] = &mut streams;
    of_ben.ask(&world, ben, list(4)).await;
    of_ana.ask(&world, ana, list(4)).await;
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for request in world.upstream.seen() {
        let credential = request.header("authorization").unwrap().to_owned();
        let all = found.entry(request.header("x-mcp-subject").unwrap().to_owned());
        let all = all.or_default();
        if !all.contains(&credential) {
            all.push(credential);
        }
    }
    assert_eq!(found["ana"], ["Bearer issued-for-ana-0"]);
    assert_eq!(
        found["ben"],
        ["Bearer issued-for-ben-1", "Bearer issued-for-ben-2"]
    );
    assert_eq!(endpoint.asked().len(), 3);
}

#[tokio::test]
async fn the_assertion_about_the_caller_goes_with_the_stream_and_with_each_message() {
    let world =
        World::of_sse(|config| config.set("/resources/0/upstream/assertion", json!({}))).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.writer();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    stream.ask(&world, &token, list(1)).await;
    let forged = stream.message(&world, &token, tool(2, "create_task"));
    let forged = forged.with(HEADER, "mine").with("mcp-method", "tools/list");
    assert_eq!(forged.send().await.status, 202);
    let seen = world.upstream.seen();
    assert_eq!(seen.len(), 3);
    let mut ids = Vec::new();
    for (request, (method, name)) in seen.iter().zip([
        (None, None),
        (Some("tools/list"), None),
        (Some("tools/call"), Some("create_task")),
    ]) {
        let assertion = request.header(HEADER).unwrap();
        let claims = verified(&world.gateway, assertion, &world.upstream.url()).await;
        assert_eq!(claims.unwrap()["sub"], "alice");
        assert_eq!(request.header("mcp-method"), method);
        assert_eq!(request.header("mcp-name"), name);
        ids.push(request.header(REQUEST_ID).unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
