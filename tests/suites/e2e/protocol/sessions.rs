//! Sealed sessions: the upstream's id never reaches a client, and a sealed one is valid only for its owner.

use aws_lc_rs::rand;
use e2e::certificates::write_secret;
use e2e::client::{Call, LEGACY, MODERN, initialize, modern, notification, request};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::upstream::{self, Answer, Upstream, sessions, with};
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token};

const HEADER: &str = "mcp-session-id";

/// The MCP server replays only events of the session.
fn resuming(config: Config) -> Config {
    config.set("/resources/0/event_ids", "upstream")
}

async fn world() -> World {
    let world = World::with(resuming).await;
    world.upstream.script(sessions());
    world
}

/// Opens a session and returns the sealed id.
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
async fn a_session_works_and_hides_the_id_of_the_upstream() {
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

    let accepted = world
        .gateway
        .post(notification("notifications/initialized"))
        .token(&token)
        .with(HEADER, &sealed)
        .send()
        .await;
    assert_eq!(
        (accepted.status, accepted.header(HEADER)),
        (202, sealed.as_str())
    );
    assert!(!format!("{accepted:?}{reply:?}").contains("upstream-session"));
}

#[tokio::test]
async fn sealed_ids_never_repeat() {
    let world = world().await;
    let token = world.reader();
    assert_ne!(open(&world, &token).await, open(&world, &token).await);
}

#[tokio::test]
async fn get_and_delete_reach_the_upstream_with_its_session_id() {
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
        .acceptance(call.with(HEADER, "anything"))
        .await
        .unwrap();
    assert_eq!(
        (reply.header(HEADER), world.upstream.last().header(HEADER)),
        ("", None)
    );
}

#[tokio::test]
async fn a_session_that_the_upstream_has_dropped_is_404() {
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

/// Keys as files of the configuration's folder, by their names.
fn key_files(config: &Config, names: &[&str]) -> Value {
    let files = names.iter().map(|name| {
        let file = config.folder().join(name);
        if !file.exists() {
            let mut secret = [0; 32];
            rand::fill(&mut secret).unwrap();
            write_secret(&file, secret);
        }
        json!(file)
    });
    files.collect()
}

fn keyed(config: Config, names: &[&str]) -> Config {
    let files = key_files(&config, names);
    config.set("/sessions/key_files", files)
}

/// Gives the running gateway these keys, and waits until it has them.
async fn rekey(world: &mut World, names: &[&str], reloads: usize) {
    world.gateway.config = keyed(world.gateway.config.clone(), names);
    world.gateway.config.file();
    let accepted = [("result", "accepted")];
    eventually(&format!("reload {reloads}"), async || {
        let metrics = world.gateway.metrics().await;
        metrics.sum("mcp_gateway_config_reloads_total", &accepted) >= reloads as f64
    })
    .await;
}

/// Stops the gateway and starts it again, at the same address, with the same configuration.
async fn restart(mut world: World) -> World {
    assert_eq!(world.gateway.stop().await, Some(0));
    let config = world.gateway.config.clone();
    world.gateway = Gateway::start(config).await;
    world
}

#[tokio::test]
async fn sealing_keys_are_rotated_without_ending_a_session() {
    let mut world = World::with(|config| keyed(config, &["old"])).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let early = open(&world, &token).await;

    // First the new key only opens, then it seals, and last the old one is removed.
    rekey(&mut world, &["old", "new"], 1).await;
    assert_eq!(list(&world, &token, &early).send().await.status, 200);
    rekey(&mut world, &["new", "old"], 2).await;
    let late = open(&world, &token).await;
    for session in [&early, &late] {
        assert_eq!(list(&world, &token, session).send().await.status, 200);
    }
    rekey(&mut world, &["new"], 3).await;
    assert_eq!(list(&world, &token, &late).send().await.status, 200);
    let ended = list(&world, &token, &early);
    world.refusal(ended, 404, "session_unknown").await.unwrap();
}

#[tokio::test]
async fn a_key_file_with_another_content_is_another_key() {
    let mut world = World::with(|config| keyed(config, &["session.key"])).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let early = open(&world, &token).await;
    let file = world.gateway.config.folder().join("session.key");
    std::fs::remove_file(&file).unwrap();
    rekey(&mut world, &["session.key"], 1).await;
    let ended = list(&world, &token, &early);
    world.refusal(ended, 404, "session_unknown").await.unwrap();
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_new_token() {
    let world = World::with(|config| resuming(keyed(config, &["session.key"]))).await;
    world.upstream.script(sessions());
    let sealed = open(&world, &world.reader()).await;
    let world = restart(world).await;

    // Another token of the same user and client: other scopes, another id, another lifetime.
    let renewed = world.writer();
    assert_ne!(renewed, world.reader());
    let reply = world.acceptance(list(&world, &renewed, &sealed)).await;
    assert_eq!(reply.unwrap().header(HEADER), sealed);
    let call = |method: Method| {
        let call = world.gateway.request(method, "/mcp").token(&renewed);
        call.with("accept", "text/event-stream")
            .with(HEADER, &sealed)
    };
    let stream = call(Method::GET).with("last-event-id", "41").send().await;
    assert_eq!(stream.status, 200);
    assert_eq!(world.upstream.last().header("last-event-id"), Some("41"));
    assert_eq!(call(Method::DELETE).send().await.status, 202);
    let last = world.upstream.last();
    assert_eq!(last.header(HEADER), Some("upstream-session-1"));
}

#[tokio::test]
async fn without_keys_a_restart_ends_sessions_and_the_log_says_so_before() {
    let mut world = world().await;
    let warned = world.gateway.logged("sessions.key_files").await;
    assert!(
        warned.contains("WARN") && warned.contains("restart"),
        "{warned}"
    );
    let token = world.reader();
    let sealed = open(&world, &token).await;

    // With keys the warning ends; the log has it again when they are removed, and no other reload repeats it.
    let warnings = async |world: &World| {
        let log = world.gateway.log().await;
        log.matches("sessions.key_files is not set").count()
    };
    rekey(&mut world, &["session.key"], 1).await;
    let second = open(&world, &token).await;
    assert_eq!(warnings(&world).await, 1);
    rekey(&mut world, &[], 2).await;
    assert_eq!(warnings(&world).await, 2);
    world.gateway.config = world.gateway.config.clone().set("/limits/json_depth", 32);
    rekey(&mut world, &[], 3).await;
    assert_eq!(warnings(&world).await, 2);
    for session in [&sealed, &second] {
        let ended = list(&world, &token, session);
        world.refusal(ended, 404, "session_unknown").await.unwrap();
    }

    let last = open(&world, &token).await;
    let world = restart(world).await;
    let ended = list(&world, &token, &last);
    world.refusal(ended, 404, "session_unknown").await.unwrap();
}

#[tokio::test]
async fn no_warning_is_logged_with_configured_keys_or_without_sessions() {
    for world in [
        World::with(|config| keyed(config, &["session.key"])).await,
        World::with(|config| config.set("/resources/0/protocol_versions", json!([MODERN]))).await,
    ] {
        assert!(!world.gateway.log().await.contains("sessions.key_files"));
    }
}

#[tokio::test]
async fn a_session_belongs_to_its_client_with_either_client_claim() {
    // Some providers name the client in azp at first and in client_id later, or the other way round.
    let world = world().await;
    let nameless = || world.token().without("client_id");
    let opened = open(&world, &world.token().claim("client_id", "app").sign()).await;
    let same = nameless().claim("azp", "app").sign();
    world
        .acceptance(list(&world, &same, &opened))
        .await
        .unwrap();
    for other in [nameless().claim("azp", "APP"), nameless()] {
        let call = list(&world, &other.sign(), &opened);
        world.refusal(call, 404, "session_mismatch").await.unwrap();
    }
}

#[tokio::test]
async fn a_second_gateway_with_the_same_key_file_opens_a_session() {
    // Decision 5: a replica needs no state of another one's memory.
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
    let token = Token::new(
        &key,
        e2e::gateway::config::ISSUER,
        "http://127.0.0.1:8080/mcp",
    )
    .sign();
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

/// Claude Code and others look for the code -32001 beside the status, and keep the dead session without it.
#[tokio::test]
async fn a_session_that_is_gone_has_the_code_that_clients_look_for_and_the_id_of_the_request() {
    let world = world().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    let world = restart(world).await;
    let mut table = Table::default();
    let post = |id: Value, session: &str| {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": null });
        let call = world.gateway.post(body.to_string()).token(&token);
        call.with(HEADER, session)
    };
    let without_body = |method: Method| {
        let call = world.gateway.request(method, "/mcp").token(&token);
        call.with("accept", "text/event-stream")
            .with(HEADER, &sealed)
    };
    let gone = world
        .gateway
        .post(notification("notifications/initialized"));
    for (name, call, id) in [
        ("a number", post(json!(7), &sealed), json!(7)),
        ("a text", post(json!("7"), &sealed), json!("7")),
        ("never given", post(json!(7), "guess"), json!(7)),
        (
            "given twice",
            post(json!(7), &sealed).also(HEADER, &sealed),
            json!(7),
        ),
        (
            "a notification",
            gone.token(&token).with(HEADER, &sealed),
            Value::Null,
        ),
        ("GET", without_body(Method::GET), Value::Null),
        ("DELETE", without_body(Method::DELETE), Value::Null),
    ] {
        let refused = world.refusal(call, 404, "session_unknown").await;
        let Some(reply) = table.row(name, refused) else {
            continue;
        };
        let body = reply.json();
        table.check(name, body["id"] == id, || reply.text());
        table.check(name, reply.text().contains(r#""code":-32001"#), || {
            reply.text()
        });
        table.check(name, reply.text().contains("Session not found"), || {
            reply.text()
        });
    }
}
