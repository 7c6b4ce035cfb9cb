//! Signed assertions about callers: what an upstream receives, and where it finds the keys. What it must refuse is in
//! `upstream-tasks/tests/assertion.rs`.

use std::time::Duration;

use e2e::client::{Call, LEGACY, Reply, initialize, modern, request};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::assertion::{HEADER, KEYS, REQUEST_ID, part, signing, verified};
use e2e::upstream::tasks::Tasks;
use e2e::world::World;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token, now};

/// The common case, whose upstream receives assertions.
async fn world() -> World {
    World::with(|config| signing(config, json!({}))).await
}

/// Sends a call, and returns the assertion that arrived with it.
async fn asserted(world: &World, call: Call) -> String {
    world.acceptance(call).await.unwrap();
    world.upstream.last().header(HEADER).unwrap().to_owned()
}

fn post(world: &World, token: &Token) -> Call {
    world.gateway.post(initialize()).token(&token.sign())
}

#[tokio::test]
async fn the_upstream_receives_a_signed_assertion_about_the_caller() {
    let world = world().await;
    let token = world.token().scope("tasks:write tasks:read");
    let assertion = asserted(&world, post(&world, &token)).await;
    let header = part(&assertion, 0);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("ES256"), &json!("mcp-assertion+jwt"))
    );
    let mut claims = verified(&world.gateway, &assertion, &world.upstream.url())
        .await
        .unwrap();
    let (iat, exp) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert!(exp == iat + 60 && now().abs_diff(iat) < 10, "{claims}");
    for time in ["iat", "exp"] {
        claims.as_object_mut().unwrap().remove(time);
    }
    let expected = json!({
        "iss": world.gateway.config.public_url(),
        "aud": world.upstream.url(),
        "sub": "alice",
        "token_iss": ISSUER,
        "client_id": "inspector",
        "scope": "tasks:read tasks:write",
    });
    assert_eq!(claims, expected);
    let other = verified(&world.gateway, &assertion, "http://127.0.0.1:9/mcp").await;
    assert!(other.is_err());
}

#[tokio::test]
async fn one_is_signed_for_each_caller_and_set_of_scopes_and_sent_with_all_of_its_calls() {
    let world = world().await;
    let of = async |token: Token| asserted(&world, post(&world, &token)).await;
    let first = of(world.token()).await;
    // Another token of the same caller.
    assert_eq!(of(world.token()).await, first);
    for other in [
        world.token().subject("bob"),
        world.token().claim("client_id", "other"),
        world.token().scope("tasks:read tasks:write"),
    ] {
        assert_ne!(of(other).await, first);
    }
    assert_eq!(of(world.token()).await, first);
}

#[tokio::test]
async fn it_never_outlives_the_token() {
    let world = world().await;
    let end = now() + 20;
    let assertion = asserted(&world, post(&world, &world.token().claim("exp", end))).await;
    assert_eq!(part(&assertion, 1)["exp"], end);
    let longer = asserted(&world, post(&world, &world.token())).await;
    assert!(part(&longer, 1)["exp"].as_i64().unwrap() > end + 20);
}

#[tokio::test]
async fn method_name_and_id_of_the_request_are_beside_it_in_both_eras() {
    let world = world().await;
    let token = world.reader();
    let params = json!({ "name": "größe", "arguments": {} });
    let encoded = "=?base64?Z3LDtsOfZQ==?=";
    let legacy = world.gateway.post(request(7, "tools/call", params.clone()));
    // In the legacy era these headers of a client have no meaning.
    let legacy = legacy
        .with("mcp-protocol-version", LEGACY)
        .with("mcp-method", "tools/list")
        .with("mcp-name", "other");
    let modern = world.gateway.post(modern(7, "tools/call", params));
    let modern = modern.modern("tools/call", Some(encoded));
    for (name, call) in [("legacy", legacy), ("modern", modern)] {
        let call = call
            .with(REQUEST_ID, "mine")
            .with(HEADER, "mine")
            .token(&token);
        let assertion = asserted(&world, call).await;
        let claims = verified(&world.gateway, &assertion, &world.upstream.url()).await;
        assert_eq!(claims.unwrap()["sub"], "alice", "{name}");
        let last = world.upstream.last();
        assert_eq!(last.header("mcp-method"), Some("tools/call"), "{name}");
        assert_eq!(last.header("mcp-name"), Some(encoded), "{name}");
        let id = last.header(REQUEST_ID).unwrap().to_owned();
        let line = format!("\"request_id\":\"{id}\"");
        eventually("the access line has the same id", async || {
            world.gateway.log().await.contains(&line)
        })
        .await;
    }
    let get = world
        .gateway
        .get("/mcp")
        .with("accept", "text/event-stream");
    let reply = get.token(&token).open().await;
    assert_eq!(reply.status(), 200);
    let last = world.upstream.last();
    assert!(last.header(HEADER).is_some() && last.header(REQUEST_ID).is_some());
    assert!(last.header("mcp-method").is_none() && last.header("mcp-name").is_none());
}

#[tokio::test]
async fn an_upstream_that_receives_none_gets_no_new_header_and_no_keys_are_published() {
    let world = World::start().await;
    let call = world.gateway.post(initialize()).token(&world.reader());
    let call = call.with(HEADER, "mine").with(REQUEST_ID, "mine");
    world.acceptance(call).await.unwrap();
    let last = world.upstream.last();
    for name in [HEADER, REQUEST_ID, "mcp-method", "mcp-name"] {
        assert_eq!(last.header(name), None, "{name}");
    }
    assert_eq!(world.gateway.get(KEYS).send().await.status, 404);
}

#[tokio::test]
async fn the_public_keys_are_for_everybody_and_may_be_cached() {
    let world = world().await;
    let reply = world
        .gateway
        .get(KEYS)
        .with("origin", "https://elsewhere.example")
        .send()
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let keys = &reply.json()["keys"];
    assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
    let key = &keys[0];
    assert_eq!((&key["alg"], &key["use"]), (&json!("ES256"), &json!("sig")));
    assert!(key.get("d").is_none(), "{key}");
    let preflight = world
        .gateway
        .request(Method::OPTIONS, KEYS)
        .with("origin", "https://elsewhere.example")
        .with("access-control-request-method", "GET")
        .send()
        .await;
    assert_eq!(preflight.status, 204);
    world.gateway.logged("assertion key is new").await;
}

/// The ids of the published keys.
async fn published(gateway: &Gateway) -> Vec<Value> {
    let set = gateway.get(KEYS).send().await.json();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn a_rotated_key_is_published_before_it_signs_and_no_assertion_fails() {
    // The clock of keys has whole seconds.
    const PUBLISHED: Duration = Duration::from_secs(2);
    let world = World::with(|config| {
        let old = config.write_key("old.pem");
        let keys = json!({ "key_files": [old], "publish_before": "3s" });
        signing(config, json!({})).set("/assertions", keys)
    })
    .await;
    let config = world.gateway.config.clone();
    let mut callers = 0;
    let mut next = async || {
        // A caller without an assertion yet.
        callers += 1;
        let token = world.token().subject(&format!("caller-{callers}"));
        let assertion = asserted(&world, post(&world, &token)).await;
        let claims = verified(&world.gateway, &assertion, &world.upstream.url()).await;
        assert!(claims.is_ok(), "{claims:?}");
        part(&assertion, 0)["kid"].clone()
    };
    let old = published(&world.gateway).await;
    assert_eq!(next().await, old[0]);
    let new = config.write_key("new.pem");
    let files = json!([new, config.folder().join("old.pem")]);
    let began = std::time::Instant::now();
    config.clone().set("/assertions/key_files", files).file();
    eventually("both are published", async || {
        published(&world.gateway).await.len() == 2
    })
    .await;
    let both = published(&world.gateway).await;
    assert_eq!(both[0], old[0]);
    let signer = next().await;
    if began.elapsed() < PUBLISHED {
        assert_eq!(signer, old[0], "the new key was published just now");
    }
    eventually("the new key signs", async || next().await == both[1]).await;
    assert!(began.elapsed() >= PUBLISHED);
    config.set("/assertions/key_files", json!([new])).file();
    eventually("the old one is withdrawn", async || {
        published(&world.gateway).await == both[1..]
    })
    .await;
    assert_eq!(next().await, both[1]);
}

/// The answer of `secure_echo` of the task server, which names the caller.
async fn echoed(gateway: &Gateway, token: &str) -> Reply {
    let params = json!({ "name": "secure_echo", "arguments": { "message": "hello" }, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "e2e", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    } });
    let call = gateway.post(request(1, "tools/call", params));
    call.modern("tools/call", Some("secure_echo"))
        .token(token)
        .send()
        .await
}

#[tokio::test]
async fn the_example_works_as_its_comments_say() {
    let key = Key::es256("first");
    let config = Config::example("assertion.yaml", "http://127.0.0.1:9/mcp", &[&key]);
    let issuer = config.public_url();
    let url = format!("{issuer}{KEYS}");
    let tasks = Tasks::start_with(&[
        "--require-assertion",
        &url,
        "--assertion-audience",
        "tasks",
        "--assertion-issuer",
        &issuer,
    ])
    .await;
    let file = config.write_key("assertion.pem");
    let config = config
        .set("/resources/0/upstream/url", tasks.url())
        .set("/assertions/key_files", json!([file]));
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).subject("ana");
    let reply = echoed(&gateway, &token.sign()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    for expected in ["ana", "hello", ISSUER] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // Whatever else reaches the server is refused, also with headers that claim an identity.
    let direct = Call::post(&e2e::client::http(), tasks.own_url(), initialize());
    let direct = direct.with("x-mcp-subject", "root").send().await;
    assert_eq!(direct.status, 401);
    eventually("it is in the server's log", async || {
        tasks.output().contains("no valid assertion")
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_the_assertion_is_502() {
    let tasks = Tasks::start_with(&[
        "--require-assertion",
        "http://127.0.0.1:9/keys",
        "--assertion-audience",
        "tasks",
    ])
    .await;
    let key = Key::es256("first");
    let config = signing(Config::new(&tasks.url(), &[&key]), json!({}));
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
    assert_eq!(echoed(&gateway, &token).await.status, 502);
}
