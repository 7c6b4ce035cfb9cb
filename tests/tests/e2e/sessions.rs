//! Sealed sessions: the upstream's id never reaches a client, and a sealed one serves its owner alone.

use aws_lc_rs::rand;
use e2e::certificates::write_secret;
use e2e::client::{Call, LEGACY, initialize, modern, notification, request};
use e2e::config::Config;
use e2e::gateway::Gateway;
use e2e::tokens::{Key, Token};
use e2e::upstream::{self, Answer, Upstream, sessions, with};
use e2e::world::World;
use http::Method;
use serde_json::json;

const HEADER: &str = "mcp-session-id";

async fn world() -> World {
    let world = World::start().await;
    world.upstream.script(sessions());
    world
}

/// Opens a session and gives the sealed id.
async fn open(world: &World, token: &str) -> String {
    let reply = world.gateway.post(initialize()).token(token).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header(HEADER).to_owned()
}

fn list(world: &World, token: &str, session: &str) -> Call {
    let call = world
        .gateway
        .post(request(2, "tools/list", json!({})))
        .token(token)
        .with(HEADER, session);
    call.with("mcp-protocol-version", LEGACY)
}

#[tokio::test]
async fn a_session_works_and_the_upstreams_id_stays_behind() {
    let world = world().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    assert!(
        !sealed.is_empty() && !sealed.contains("upstream-session"),
        "{sealed}"
    );
    assert_eq!(world.upstream.last().header(HEADER), None);

    let reply = world
        .acceptance(list(&world, &token, &sealed))
        .await
        .unwrap();
    assert_eq!(
        world.upstream.last().header(HEADER),
        Some("upstream-session-1")
    );
    assert_eq!(
        reply.header(HEADER),
        sealed,
        "the upstream's repeated id is replaced by the one the client sent"
    );

    let told = world
        .gateway
        .post(notification("notifications/initialized"))
        .token(&token)
        .with(HEADER, &sealed)
        .send()
        .await;
    assert_eq!((told.status, told.header(HEADER)), (202, sealed.as_str()));
    assert!(!format!("{told:?}{reply:?}").contains("upstream-session"));
}

#[tokio::test]
async fn sealed_ids_never_repeat() {
    let world = world().await;
    let token = world.reader();
    assert_ne!(open(&world, &token).await, open(&world, &token).await);
}

#[tokio::test]
async fn get_and_delete_carry_the_opened_session() {
    let world = world().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    let call = world
        .gateway
        .get("/mcp")
        .token(&token)
        .with("accept", "text/event-stream")
        .with(HEADER, &sealed);
    let reply = call.with("last-event-id", "41").send().await;
    assert_eq!((reply.status, reply.header(HEADER)), (200, sealed.as_str()));
    let last = world.upstream.last();
    assert_eq!(
        (last.header(HEADER), last.header("last-event-id")),
        (Some("upstream-session-1"), Some("41"))
    );

    let reply = world
        .gateway
        .request(Method::DELETE, "/mcp")
        .token(&token)
        .with(HEADER, &sealed)
        .send()
        .await;
    assert_eq!(reply.status, 202);
    let last = world.upstream.last();
    assert_eq!(
        (last.method.as_str(), last.header(HEADER)),
        ("DELETE", Some("upstream-session-1"))
    );
}

#[tokio::test]
async fn modern_requests_have_no_session() {
    let world = World::start().await;
    world.upstream.script(|request| {
        let Answer::Full(mut answer) = upstream::echo(request) else {
            unreachable!()
        };
        answer
            .headers_mut()
            .insert(HEADER, "upstream-session-9".parse().unwrap());
        Answer::Full(answer)
    });
    let call = world
        .gateway
        .post(modern(1, "tools/list", json!({})))
        .token(&world.reader())
        .modern("tools/list", None);
    let reply = world
        .acceptance(call.with(HEADER, "whatever"))
        .await
        .unwrap();
    assert_eq!(
        (reply.header(HEADER), world.upstream.last().header(HEADER)),
        ("", None)
    );
}

#[tokio::test]
async fn a_session_the_upstream_has_forgotten_is_404() {
    let world = world().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    world
        .upstream
        .script(|_| Answer::Full(with(404, "application/json", "{\"upstream\":\"forgot\"}")));
    let reply = list(&world, &token, &sealed).send().await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (404, "{\"upstream\":\"forgot\"}")
    );
}

#[tokio::test]
async fn a_second_gateway_with_the_same_key_file_opens_it() {
    // Decision 5: nothing a replica would need lives in memory.
    let upstream = Upstream::start().await;
    upstream.script(sessions());
    let key = Key::es256("first");
    let mut sealing = [0; 32];
    rand::fill(&mut sealing).unwrap();
    let config = || {
        let config =
            Config::new(&upstream.url(), &[&key]).set("/public_url", "http://127.0.0.1:8080");
        let file = config.folder().join("session.key");
        write_secret(&file, sealing);
        config.set("/sessions/key_files", json!([file]))
    };
    let (one, two) = (
        Gateway::start(config()).await,
        Gateway::start(config()).await,
    );
    let stranger = Gateway::start(
        Config::new(&upstream.url(), &[&key]).set("/public_url", "http://127.0.0.1:8080"),
    )
    .await;
    let token = Token::new(&key, e2e::config::ISSUER, "http://127.0.0.1:8080/mcp").sign();
    let host = "127.0.0.1:8080";
    let opened = one
        .post(initialize())
        .with("host", host)
        .token(&token)
        .send()
        .await;
    let sealed = opened.header(HEADER);
    let list = |gateway: &Gateway| {
        gateway
            .post(request(2, "tools/list", json!({})))
            .with("host", host)
            .token(&token)
            .with(HEADER, sealed)
    };
    assert_eq!(list(&two).send().await.status, 200);
    assert_eq!(upstream.last().header(HEADER), Some("upstream-session-1"));
    assert_eq!(list(&stranger).send().await.status, 404);
}
