//! HTTP+SSE (MCP 2024-11-05): the endpoint of the event stream, messages and their answers, and the end of streams.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, list, modern, notification, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::process::port;
use e2e::upstream::http_sse::result;
use e2e::upstream::{self, Answer, Upstream};
use e2e::world::World;
use e2e::world::several::Several;
use e2e::world::sse::Stream;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token};

#[tokio::test]
async fn messages_go_where_the_server_says_and_their_answers_come_on_the_stream() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut first = world.open_sse(&mut feeds, &token).await;
    let mut second = world.open_sse(&mut feeds, &token).await;
    assert_ne!(first.location, second.location);
    let opened = world.upstream.last();
    assert_eq!(opened.method, Method::GET);
    assert_eq!(opened.target, "/mcp");
    assert_eq!(opened.header("accept"), Some("text/event-stream"));

    for (stream, session) in [(&mut first, 0), (&mut second, 1)] {
        let answer = stream.ask(&world, &token, initialize()).await;
        assert_eq!(answer["result"], json!({ "ok": true }));
        let initialized = notification("notifications/initialized");
        let reply = stream.message(&world, &token, initialized).send().await;
        assert_eq!((reply.status, reply.text()), (202, String::new()));
        let message = stream.message(&world, &token, list(7));
        let message = message.with("mcp-session-id", "of another transport");
        assert_eq!(message.send().await.status, 202);
        let answer: Value = serde_json::from_str(&stream.events.data().await).unwrap();
        assert_eq!(answer["id"], 7);
        assert_eq!(answer["result"], result(&json!({ "method": "tools/list" })));
        let sent = world.upstream.last();
        assert_eq!(sent.target, format!("/messages/?session_id={session}"));
        assert_eq!(sent.json()["method"], "tools/list");
        assert_eq!(sent.header("x-mcp-subject"), Some("alice"));
        assert_eq!(sent.header("mcp-session-id"), None);
    }
    // A response to a request of the server needs no more than its session.
    first
        .feed
        .event(r#"{"jsonrpc":"2.0","id":"s1","method":"roots/list"}"#);
    assert!(first.events.data().await.contains("roots/list"));
    let response = json!({ "jsonrpc": "2.0", "id": "s1", "result": { "roots": [] } });
    let reply = first.message(&world, &token, response.to_string());
    assert_eq!(reply.send().await.status, 202);
    assert_eq!(world.upstream.last().target, "/messages/?session_id=0");
}

#[tokio::test]
async fn a_message_of_any_revision_is_read_from_its_body_alone() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    let body = modern(1, "tools/list", json!({}));
    let answer = stream.ask(&world, &token, body).await;
    assert_eq!(answer["id"], 1);
    let denied = modern(
        2,
        "tools/call",
        json!({ "name": "create_task", "arguments": {} }),
    );
    let message = stream.message(&world, &token, denied);
    let message = message.modern("tools/list", None);
    world
        .refusal(message, 403, "insufficient_scope")
        .await
        .unwrap();
}

#[tokio::test]
async fn lists_in_events_have_only_what_the_caller_may_call() {
    let world = World::of_sse_hiding("secret").await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    let answer = stream.ask(&world, &token, list(1)).await;
    let shown = json!([{ "name": "list_tasks" }]);
    assert_eq!(answer["result"]["tools"], shown);
    // Whichever request they answer, also in a batch.
    let all = result(&json!({ "method": "tools/list" }));
    let other = json!({ "jsonrpc": "2.0", "id": 99, "result": all });
    stream.feed.event(&json!([other, other]).to_string());
    let batch: Value = serde_json::from_str(&stream.events.data().await).unwrap();
    assert_eq!(batch[0]["result"]["tools"], shown);
    assert_eq!(batch[1]["result"]["tools"], shown);
    let denied = stream.message(&world, &token, tool(3, "secret"));
    let reply = denied.send().await;
    assert_eq!((reply.status, reply.rpc_code()), (403, Some(403)));
    assert_eq!(reply.json()["id"], 3);
}

#[tokio::test]
async fn each_path_has_its_method_and_the_challenge_of_the_resource() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let stream = world.open_sse(&mut feeds, &token).await;
    for (method, path, allowed) in [
        (Method::POST, "/mcp", "GET"),
        (Method::DELETE, "/mcp", "GET"),
        (Method::POST, "/mcp/", "GET"),
        (Method::GET, &*stream.location, "POST"),
        (Method::DELETE, &stream.location, "POST"),
    ] {
        let name = format!("{method} {path}");
        let call = match method {
            Method::POST => world.gateway.post_to(path, initialize()),
            method => world.gateway.request(method, path),
        };
        let bare = call.clone().send().await;
        assert_eq!(bare.status, 401, "{name}");
        let spelling = if path == "/mcp/" { "/mcp/" } else { "/mcp" };
        let metadata = format!("/.well-known/oauth-protected-resource{spelling}\"");
        assert!(
            bare.challenge().contains(&metadata),
            "{name}: {}",
            bare.challenge()
        );
        let reply = world
            .refusal(call.token(&token), 405, "method_not_allowed")
            .await;
        assert_eq!(reply.unwrap().header("allow"), allowed, "{name}");
    }
    for path in ["/mcp/message/", "/mcp/messages", "/message"] {
        let call = world.gateway.post_to(path, initialize()).token(&token);
        world.refusal(call, 404, "not_found").await.unwrap();
    }
    // A browser asks for permission before it sends a message.
    let preflight = world
        .gateway
        .request(Method::OPTIONS, &stream.location)
        .with("origin", &world.gateway.config.public_url())
        .with("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(preflight.status, 204);
}

#[tokio::test]
async fn the_other_spelling_of_the_path_is_the_same_resource() {
    for path in ["/mcp", "/mcp/"] {
        let world = World::of_sse(|config| config.set("/resources/0/path", path)).await;
        let mut feeds = world.upstream.http_sse();
        let token = world.reader();
        for asked in ["/mcp", "/mcp/"] {
            let call = world.gateway.get(asked).token(&token);
            let answer = tokio::spawn(call.open());
            let _feed = feeds.next().await;
            let mut events = Events::new(answer.await.unwrap());
            let location = events.data().await;
            assert!(location.starts_with("/mcp/message?session="), "{location}");
            let sent = world.gateway.post_to(&location, list(1)).token(&token);
            assert_eq!(sent.send().await.status, 202, "{path} {asked}");
        }
    }
}

#[tokio::test]
async fn a_client_has_nowhere_to_send_messages_before_the_endpoint_event() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let earlier = world.open_sse(&mut feeds, &token).await;
    drop(earlier.feed);
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(world.listen(&token).open());
    let feed = feeds.next().await;
    feed.send(": not yet\n\n");
    // The server has the stream already, and the client nothing of it.
    for (location, reason) in [
        ("/mcp/message", "session_unknown"),
        ("/mcp/message?session=0", "session_unknown"),
        (&*earlier.location, "session_ended"),
    ] {
        let call = world.gateway.post_to(location, list(1)).token(&token);
        world.refusal(call, 404, reason).await.unwrap();
    }
    assert!(!answer.is_finished());
    feed.send("event: endpoint\ndata: /messages/?session_id=late\n\n");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.next().await, Item::Comment("not yet".to_owned()));
    let location = events.data().await;
    world
        .upstream
        .script(|_| Answer::Full(upstream::with(202, "text/plain", "Accepted")));
    let sent = world.gateway.post_to(&location, list(1)).token(&token);
    assert_eq!(sent.send().await.status, 202);
    assert_eq!(world.upstream.last().target, "/messages/?session_id=late");
}

#[tokio::test]
async fn streams_and_messages_at_once_are_never_mixed() {
    const STREAMS: usize = 4;
    const MESSAGES: i64 = 8;
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let opened: Vec<_> = (0..STREAMS)
        .map(|_| tokio::spawn(world.listen(&token).open()))
        .collect();
    let mut held = Vec::new();
    for _ in 0..STREAMS {
        held.push(feeds.next().await);
    }
    let mut streams = Vec::new();
    for answer in opened {
        let mut events = Events::new(answer.await.unwrap());
        streams.push((events.data().await, events));
    }
    let locations: BTreeSet<_> = streams.iter().map(|(location, _)| location).collect();
    assert_eq!(locations.len(), STREAMS);
    // Each message twice, with ids that the streams share.
    let hits = world.upstream.hits();
    let messages = (0..2 * MESSAGES).flat_map(|number| {
        let streams = streams.iter();
        streams.map(move |(location, _)| (location.clone(), number % MESSAGES))
    });
    let sent: Vec<_> = messages
        .map(|(location, id)| {
            let call = world.gateway.post_to(&location, list(id)).token(&token);
            tokio::spawn(call.send())
        })
        .collect();
    for reply in sent {
        assert_eq!(reply.await.unwrap().status, 202);
    }
    assert_eq!(
        world.upstream.hits() - hits,
        2 * STREAMS * usize::try_from(MESSAGES).unwrap()
    );
    let twice: Vec<_> = (0..MESSAGES).flat_map(|id| [id, id]).collect();
    for (_, events) in &mut streams {
        let mut ids = Vec::new();
        for _ in 0..2 * MESSAGES {
            let answer: Value = serde_json::from_str(&events.data().await).unwrap();
            ids.push(answer["id"].as_i64().unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, twice);
    }
    // There is nothing else on any stream.
    drop(held);
    for (_, events) in &mut streams {
        assert_eq!(events.next().await, Item::End);
    }
}

#[tokio::test]
async fn a_stream_ends_with_either_side_and_then_takes_no_messages() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let ended = async |location: String| {
        // The gateway may notice a moment after this test.
        let before = world.gateway.refusals("session_ended").await;
        eventually("the session has ended", async || {
            let call = world.gateway.post_to(&location, list(1)).token(&token);
            call.send().await.status == 404
                && world.gateway.refusals("session_ended").await > before
        })
        .await;
        let call = world.gateway.post_to(&location, list(2)).token(&token);
        let reply = world.refusal(call, 404, "session_ended").await.unwrap();
        assert_eq!(reply.rpc_code(), Some(-32001));
        assert_eq!(reply.json()["id"], 2);
    };

    let mut stream = world.open_sse(&mut feeds, &token).await;
    drop(stream.feed);
    assert_eq!(stream.events.next().await, Item::End);
    ended(stream.location).await;

    let mut stream = world.open_sse(&mut feeds, &token).await;
    stream.feed.break_off();
    assert_eq!(stream.events.next().await, Item::Broken);
    ended(stream.location).await;

    let stream = world.open_sse(&mut feeds, &token).await;
    drop(stream.events);
    stream.feed.gone(Duration::from_secs(1)).await;
    ended(stream.location).await;

    // Before the server has named its endpoint, too.
    world.upstream.script(|_| Answer::Hang);
    let hits = world.upstream.hits();
    let waiting = tokio::spawn(world.listen(&token).open());
    world.upstream.received(hits + 1).await;
    let abandoned = world.upstream.abandoned();
    waiting.abort();
    eventually("the request is cancelled", async || {
        world.upstream.abandoned() > abandoned
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires_or_the_gateway_drains() {
    let mut world = World::of_sse(|config| config.set("/issuers/corporate/clock_skew", "0s")).await;
    let mut feeds = world.upstream.http_sse();
    let soon = test_support::now() + 3;
    let short = world.token().claim("exp", soon).sign();
    let long = world.reader();
    let mut expiring = world.open_sse(&mut feeds, &short).await;
    let mut other = world.open_sse(&mut feeds, &long).await;
    // Another token of the same caller sends messages, and does not keep the stream open.
    assert_eq!(expiring.events.next().await, Item::End);
    let late = expiring.message(&world, &long, list(1));
    world.refusal(late, 404, "session_ended").await.unwrap();
    other.ask(&world, &long, list(2)).await;

    world.gateway.process.signal("TERM");
    assert_eq!(other.events.next().await, Item::End);
    assert_eq!(world.gateway.stop().await, Some(0));
}

#[tokio::test]
async fn a_stream_ends_when_the_policy_is_tightened_and_messages_are_audited() {
    let mut world =
        World::of_sse(|config| config.set("/audit", json!({ "file": "audit.log" }))).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    let denied = stream.message(&world, &token, tool(5, "create_task"));
    assert_eq!(denied.send().await.status, 403);
    stream.ask(&world, &token, tool(6, "list_tasks")).await;
    let config = &world.gateway.config;
    eventually("both decisions are in the audit log", async || {
        config.audit().contains("list_tasks")
    })
    .await;
    let audit = config.audit();
    let lines: Vec<Value> = audit
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["mcp_method"] == "tools/call")
        .collect();
    let names: Vec<_> = lines.iter().map(|line| &line["mcp_name"]).collect();
    assert_eq!(names, ["create_task", "list_tasks"], "{audit}");

    let required = json!(["tasks:read", "tasks:write"]);
    let config = world.gateway.config.clone();
    world.gateway.config = config.set("/resources/0/scopes/required", required);
    world.gateway.config.file();
    assert_eq!(stream.events.next().await, Item::End);
    stream.feed.gone(Duration::from_secs(1)).await;
    let detail = "the stream was ended: would be refused now: insufficient_scope";
    world.gateway.logged(detail).await;
}

#[tokio::test]
async fn a_quiet_stream_has_comments_and_is_counted_as_a_listening_stream() {
    let world = World::of_sse(|config| {
        config
            .set("/timeouts/sse_comment", "1s")
            .set("/limits/listening_streams_per_principal", 1)
    })
    .await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    assert!(matches!(stream.events.next().await, Item::Comment(_)));
    let again = world.listen(&token);
    world.refusal(again, 429, "too_many_streams").await.unwrap();
}

#[tokio::test]
async fn replicas_with_one_key_take_each_others_messages() {
    let (upstream, key) = (Upstream::start().await, Key::es256("first"));
    let mut feeds = upstream.http_sse();
    let config = Config::new(&upstream.url(), &[&key]);
    let file = config.folder().join("session.key");
    e2e::certificates::write_secret(&file, "5a".repeat(32));
    let own = json!({ "url": upstream.url(), "transport": "sse" });
    let config = config
        .set("/resources/0/upstream", own)
        .set("/sessions/key_files", json!([file]));
    let replica = config.replica(port::free(), port::free());
    let (one, other) = (Gateway::start(config).await, Gateway::start(replica).await);
    let token = Token::new(&key, e2e::gateway::config::ISSUER, &one.uri("/mcp")).sign();
    let answer = tokio::spawn(one.get("/mcp").token(&token).open());
    let feed = feeds.next().await;
    let mut events = Events::new(answer.await.unwrap());
    let location = events.data().await;
    let sent = other.post_to(&location, list(1)).token(&token).send().await;
    assert_eq!(sent.status, 202);
    assert!(events.data().await.contains("list_tasks"));
    // Whether the stream is open, only its own process knows: the server decides.
    drop(events);
    feed.gone(Duration::from_secs(1)).await;
    drop(feed);
    let sent = other.post_to(&location, list(2)).token(&token);
    assert_eq!(sent.send().await.status, 404);
    assert_eq!(other.refusals("session_ended").await, 0.0);
    assert_eq!(upstream.last().json()["id"], 2);
}

#[tokio::test]
async fn messages_go_to_the_instance_that_has_their_stream() {
    let (mut several, mut streams) = Several::with_streams().await;
    let token = several.token();
    for at in [0, 1, 0, 1, 1] {
        let Stream {
            events, location, ..
        } = &mut streams[at];
        let hits = several.hits()[at];
        let call = several.gateway.post_to(location, list(1)).token(&token);
        assert_eq!(call.send().await.status, 202);
        assert_eq!(several.hits()[at], hits + 1);
        assert!(events.data().await.contains("list_tasks"));
    }
    // An instance that dies takes its own streams alone.
    several.upstreams[0].stop();
    let Stream {
        events, location, ..
    } = &mut streams[0];
    assert_eq!(events.next().await, Item::Broken);
    let call = several.gateway.post_to(location, list(2)).token(&token);
    let reply = call.send().await;
    assert_eq!((reply.status, reply.rpc_code()), (404, Some(-32001)));
    let Stream {
        events, location, ..
    } = &mut streams[1];
    let call = several.gateway.post_to(location, list(3)).token(&token);
    assert_eq!(call.send().await.status, 202);
    assert!(events.data().await.contains("list_tasks"));
}

#[tokio::test]
async fn the_status_of_a_message_is_the_servers_and_its_body_is_not_forwarded() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let stream = world.open_sse(&mut feeds, &token).await;
    for (status, content_type, body) in [
        (
            200,
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"}]}}"#,
        ),
        (
            202,
            "text/event-stream",
            "event: endpoint\ndata: https://evil.example/\n\n",
        ),
        (400, "text/plain", "Could not parse message"),
        (404, "text/plain", "Could not find session"),
        (500, "text/html", "<h1>no</h1>"),
    ] {
        world
            .upstream
            .script(move |_| Answer::Full(upstream::with(status, content_type, body)));
        let reply = stream.message(&world, &token, list(1)).send().await;
        assert_eq!((reply.status, reply.text()), (status, String::new()));
        assert_eq!(reply.header("content-type"), "");
    }
    world
        .upstream
        .script(|_| Answer::Full(upstream::with(401, "", "")));
    let reply = stream.message(&world, &token, list(1)).send().await;
    assert_eq!(
        (reply.status, &reply.json()["error"]),
        (502, &json!("upstream_auth"))
    );
}

#[tokio::test]
async fn the_example_works() {
    let (upstream, key) = (Upstream::start().await, Key::es256("first"));
    let mut feeds = upstream.http_sse();
    let url = format!("http://{}/sse", upstream.address());
    let gateway = Gateway::start(Config::example("sse.yaml", &url, &[&key])).await;
    let token = Token::new(&key, e2e::gateway::config::ISSUER, &gateway.uri("/sse"));
    let token = token.scope("tasks:read tasks:write").sign();
    let answer = tokio::spawn(gateway.get("/sse").token(&token).open());
    let _feed = feeds.next().await;
    let mut events = Events::new(answer.await.unwrap());
    let location = events.data().await;
    assert!(location.starts_with("/sse/message?session="), "{location}");
    for (name, status) in [
        ("list_tasks", 202),
        ("create_task", 202),
        ("delete_task", 403),
    ] {
        let call = gateway.post_to(&location, tool(1, name)).token(&token);
        assert_eq!(call.send().await.status, status, "{name}");
    }
    assert_eq!(upstream.seen()[0].target, "/sse");
}
