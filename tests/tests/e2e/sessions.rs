//! Sealed sessions (threats 49–52, 172): the upstream's id never reaches a client, and a sealed one serves its owner alone.

use aws_lc_rs::rand;
use e2e::certificates::write_secret;
use e2e::client::{Call, LEGACY, Reply, initialize, modern, notification, request};
use e2e::config::{Config, resource};
use e2e::gateway::Gateway;
use e2e::tokens::{Key, Token};
use e2e::upstream::{self, Answer, Upstream, sessions, with};
use e2e::world::{Table, World};
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
async fn last_event_id_goes_on_only_with_a_session() {
    // 164
    let world = World::start().await;
    let call = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream")
        .with("last-event-id", "41");
    assert_eq!(call.send().await.status, 200);
    assert_eq!(world.upstream.last().header("last-event-id"), None);
}

#[tokio::test]
async fn foreign_altered_and_unknown_sessions_read_alike() {
    // 49, 50, 52
    let world = world().await;
    let (alice, bob) = (world.reader(), world.token().subject("bob").sign());
    let other_client = world.token().claim("client_id", "another").sign();
    let sealed = open(&world, &alice).await;
    let mut altered = sealed.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let long = "x".repeat(8000);
    let rows = [
        (
            "49: another subject",
            &bob,
            sealed.as_str(),
            "session_mismatch",
        ),
        (
            "49: another client",
            &other_client,
            sealed.as_str(),
            "session_mismatch",
        ),
        ("52: altered", &alice, altered.as_str(), "session_unknown"),
        (
            "52: cut",
            &alice,
            &sealed[..sealed.len() - 4],
            "session_unknown",
        ),
        (
            "52: raw upstream id",
            &alice,
            "upstream-session-1",
            "session_unknown",
        ),
        (
            "52: random",
            &alice,
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "session_unknown",
        ),
        ("52: malformed", &alice, "!!!", "session_unknown"),
        ("52: 8 KiB", &alice, long.as_str(), "session_unknown"),
    ];
    let mut table = Table::default();
    let mut bodies = Vec::new();
    for (name, token, session, reason) in rows {
        if let Some(reply) = table.row(
            name,
            world
                .refusal(list(&world, token, session), 404, reason)
                .await,
        ) {
            bodies.push(anonymous(&reply));
        }
    }
    table.check(
        "text",
        bodies.windows(2).all(|pair| pair[0] == pair[1]),
        || format!("{bodies:?}"),
    );
    table.row(
        "still good",
        world.acceptance(list(&world, &alice, &sealed)).await,
    );
    let twice = list(&world, &alice, &sealed)
        .also(HEADER, &sealed)
        .send()
        .await;
    table.check("doubled", matches!(twice.status, 400 | 404), || {
        format!("{}", twice.status)
    });
}

/// A refusal without what differs each time.
fn anonymous(reply: &Reply) -> String {
    let mut body = reply.json();
    body["request_id"] = json!(null);
    let names: Vec<_> = reply
        .headers
        .keys()
        .filter(|name| !["date", "x-request-id"].contains(&name.as_str()))
        .collect();
    format!("{names:?} {body}")
}

#[tokio::test]
async fn a_session_of_one_resource_is_unknown_to_another() {
    // 50
    let upstream = Upstream::start().await;
    upstream.script(sessions());
    let key = Key::es256("first");
    let config = Config::new(&upstream.url(), &[&key]).set(
        "/resources/1",
        resource("/other", &upstream.url(), &["corporate"]),
    );
    let gateway = Gateway::start(config).await;
    let token = |path: &str| Token::new(&key, e2e::config::ISSUER, &gateway.uri(path)).sign();
    let opened = gateway
        .post(initialize())
        .token(&token("/mcp"))
        .send()
        .await;
    let call = gateway
        .post_to("/other", request(2, "tools/list", json!({})))
        .token(&token("/other"));
    let reply = call.with(HEADER, opened.header(HEADER)).send().await;
    assert_eq!((reply.status, upstream.hits()), (404, 1));
}

#[tokio::test]
async fn initialize_ignores_whatever_session_it_comes_with() {
    // 52
    let world = world().await;
    let call = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .with(HEADER, "left-over");
    let reply = world.acceptance(call).await.unwrap();
    assert_eq!(world.upstream.last().header(HEADER), None);
    assert!(!reply.header(HEADER).is_empty());
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
async fn an_upstream_that_changes_the_session_is_not_followed() {
    // 172
    let world = world().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    world.upstream.script(|_| {
        let mut answer = with(200, "application/json", "{}");
        answer
            .headers_mut()
            .insert(HEADER, "upstream-session-evil".parse().unwrap());
        Answer::Full(answer)
    });
    let reply = list(&world, &token, &sealed).send().await;
    assert_eq!(reply.status, 502);
    assert!(!format!("{reply:?}").contains("evil"));
    assert_eq!(world.gateway.counted("upstream_session", 1.0).await, 1.0);
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
