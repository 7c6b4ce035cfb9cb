//! Numbers 332–338: HTTP+SSE (MCP 2024-11-05), where an MCP server names the URI for messages, and clients send it back.

use std::time::{Duration, Instant};

use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, list, request, tool};
use e2e::gateway::config::{Config, resource};
use e2e::upstream::http_sse::result;
use e2e::upstream::{self, Answer, Chunk, Upstream, head, steps};
use e2e::world::{Table, World};
use serde_json::json;

/// The server answers the next requests with this stream, which stays open.
fn begins(world: &World, stream: impl Into<String>) -> upstream::Feeds {
    let stream = stream.into();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    world.upstream.script(move |_| {
        let (feed, body) = upstream::feed();
        feed.send(stream.clone());
        let _ = sender.send(feed);
        Answer::Stream(head(200, &[("content-type", "text/event-stream")]), body)
    });
    upstream::Feeds::of(receiver)
}

/// Opens a stream, which is refused with this status and reason; the access line says why.
async fn refused(world: &World, status: u16, reason: &str, why: &str) -> Result<(), String> {
    let before = world.gateway.refusals(reason).await;
    let reply = world.listen(&world.reader()).send().await;
    let error = reply.json()["error"].clone();
    if (reply.status, &error) != (status, &json!(reason)) {
        return Err(format!("{} {error} {}", reply.status, reply.text()));
    }
    world.gateway.counted(reason, before + 1.0).await;
    let lines = world.gateway.log_lines().await;
    let line = lines.iter().rev().find(|line| line["reason"] == reason);
    let detail = line
        .and_then(|line| line["detail"].as_str())
        .unwrap_or_default();
    match detail.contains(why) {
        true => Ok(()),
        false => Err(format!("the access line says {detail:?}")),
    }
}

#[tokio::test]
async fn attack_332_a_server_cannot_send_messages_to_another_origin() {
    let world = World::of_sse(|config| config).await;
    let elsewhere = Upstream::start().await;
    let mut table = Table::default();
    for uri in [
        format!("http://{}/messages/", elsewhere.address()),
        format!("//{}/messages/", elsewhere.address()),
        format!("https://{}/messages/", world.upstream.address()),
        format!(
            "http://{}@{}/",
            world.upstream.address(),
            elsewhere.address()
        ),
        format!("http://{}.evil.example/", world.upstream.address()),
        "javascript:alert(1)".to_owned(),
    ] {
        let feeds = begins(&world, format!("event: endpoint\ndata: {uri}\n\n"));
        let why = "the URI of the endpoint event is of `";
        table.row(&uri, refused(&world, 502, "endpoint_origin", why).await);
        drop(feeds);
    }
    // A comment that arrives together with the event is not forwarded either.
    let evil = format!(
        ": hello\n\nevent: endpoint\ndata: http://{}/\n\n",
        elsewhere.address()
    );
    let feeds = begins(&world, evil);
    let why = "the URI of the endpoint event is of `";
    table.row(
        "comment",
        refused(&world, 502, "endpoint_origin", why).await,
    );
    drop(feeds);
    assert_eq!(elsewhere.hits(), 0);
    // Its own origin is one that it may name.
    let own = format!("http://{}/messages/?s=1", world.upstream.address());
    let mut feeds = begins(&world, format!("event: endpoint\ndata: {own}\n\n"));
    let stream = world.open_sse(&mut feeds, &world.reader()).await;
    assert!(!stream.location.contains("messages"), "{}", stream.location);
}

#[tokio::test]
async fn attack_333_a_stream_that_does_not_begin_with_one_endpoint_is_refused() {
    let world = World::of_sse(|config| config.set("/resources/0/response_head", "500ms")).await;
    let mut table = Table::default();
    let long = "x".repeat(2048);
    let comments = ": comment\n\n".repeat(2_000);
    for (name, stream, why) in [
        (
            "no event of that name",
            "event: message\ndata: {}\n\n",
            "the first one is not",
        ),
        (
            "without a name",
            "data: /messages/\n\n",
            "the first one is not",
        ),
        (
            "after another",
            "data: {}\n\nevent: endpoint\ndata: /m\n\n",
            "the first one is not",
        ),
        (
            "two names",
            "event: message\nevent: endpoint\ndata: /m\n\n",
            "several names",
        ),
        ("no data", "event: endpoint\n\n", "no data"),
        ("empty data", "event: endpoint\ndata:\n\n", "has no URI"),
        (
            "a space",
            "event: endpoint\ndata: /m x\n\n",
            "a character that URIs do not have",
        ),
        (
            "a fragment",
            "event: endpoint\ndata: /m#x\n\n",
            "or a fragment",
        ),
        (
            "two lines",
            "event: endpoint\ndata: /m\ndata: /n\n\n",
            "a character that URIs do not have",
        ),
        (
            "dots",
            "event: endpoint\ndata: /a/%2e%2e/m\n\n",
            "dot segments",
        ),
        (
            "long",
            &format!("event: endpoint\ndata: /{long}\n\n"),
            "more than 2048",
        ),
        ("many comments", &comments, "more than 8192 bytes before"),
    ] {
        let feeds = begins(&world, stream);
        table.row(name, refused(&world, 502, "upstream_endpoint", why).await);
        drop(feeds);
    }
    // Nothing is held until an event ends, and whatever comes in one piece with it counts.
    let why = "more than 8192 bytes before the end of its endpoint event";
    for (name, stream) in [
        (
            "unended data",
            format!("event: endpoint\ndata: /{}", "x".repeat(8 << 10)),
        ),
        ("unended comment", format!(":{}", " ".repeat(8 << 10))),
        ("blank lines", "\r\n".repeat(4097)),
        ("ended", format!("{comments}event: endpoint\ndata: /m\n\n")),
        ("many lines", "id: 1\n".repeat(2_000)),
    ] {
        let feeds = begins(&world, stream);
        table.row(name, refused(&world, 502, "upstream_endpoint", why).await);
        drop(feeds);
    }
    for stream in ["", ": comment\n\n", "event: endpoint\ndata: /m\n"] {
        let feeds = begins(&world, stream);
        let outcome = refused(&world, 504, "upstream_timeout", "timeouts.response_head").await;
        table.row("never", outcome);
        drop(feeds);
    }
    world.upstream.script(|_| Answer::Hang);
    let outcome = refused(&world, 504, "upstream_timeout", "timeouts.response_head").await;
    table.row("no head", outcome);
    for (end, status, reason) in [
        (None, 502, "upstream_endpoint"),
        (Some(Chunk::Break), 502, "upstream_broken"),
    ] {
        let broken = end.is_some();
        world.upstream.script(move |_| {
            let begin = Chunk::Data(": hello\n\n".into());
            let end = broken.then_some(Chunk::Break);
            let body = steps([begin].into_iter().chain(end));
            Answer::Stream(head(200, &[("content-type", "text/event-stream")]), body)
        });
        table.row(
            "it ends",
            refused(&world, status, reason, "endpoint event").await,
        );
    }
    for (status, content_type, body) in [
        (200, "text/html", "<h1>Welcome</h1>"),
        (200, "application/json", "{}"),
        (200, "", "event: endpoint\ndata: /m\n\n"),
        (201, "text/event-stream", "event: endpoint\ndata: /m\n\n"),
        (404, "text/plain", "no"),
        (405, "text/event-stream", "event: endpoint\ndata: /m\n\n"),
        (503, "", ""),
    ] {
        let answer = move |_: &_| Answer::Full(upstream::with(status, content_type, body));
        world.upstream.script(answer);
        let name = format!("{status} {content_type}");
        table.row(
            &name,
            refused(&world, 502, "upstream_stream", "text/event-stream").await,
        );
    }
    drop(table);

    // As much as there may be.
    let event = "event: endpoint\ndata: /m\n\n";
    let longest = format!(":{}\n\n{event}", " ".repeat((8 << 10) - 3 - event.len()));
    for stream in [
        longest.clone(),
        format!("{longest}{}", ": more\n\n".repeat(2_000)),
    ] {
        let mut feeds = begins(&world, stream);
        let answer = tokio::spawn(world.listen(&world.reader()).open());
        let _feed = feeds.next().await;
        let mut events = Events::new(answer.await.unwrap());
        assert!(events.data().await.starts_with("/mcp/message?session="));
    }

    // A second one ends the stream before the client sees it.
    for second in [
        "event: endpoint\ndata: https://evil.example/\n\n",
        "event: endpoint\n\n",
        "event: message\nevent: endpoint\ndata: /m\n\n",
    ] {
        let mut feeds = world.upstream.http_sse();
        let mut stream = world.open_sse(&mut feeds, &world.reader()).await;
        stream.feed.event("{}");
        assert_eq!(stream.events.data().await, "{}");
        stream.feed.send(second);
        assert_eq!(stream.events.next().await, Item::Broken, "{second:?}");
        let late = stream.message(&world, &world.reader(), list(1));
        world.refusal(late, 404, "session_ended").await.unwrap();
    }
}

#[tokio::test]
async fn attack_334_the_endpoint_of_another_caller_is_of_no_use() {
    let world = World::of_sse(|config| {
        let upstream = json!({ "url": config.upstream(), "transport": "sse" });
        let mut other = resource("/other", "", &["corporate"]);
        other["upstream"] = upstream;
        config.set("/resources/1", other)
    })
    .await;
    let mut feeds = world.upstream.http_sse();
    let owner = world.reader();
    let mut stream = world.open_sse(&mut feeds, &owner).await;
    let mut table = Table::default();
    for (name, token) in [
        ("another subject", world.token().subject("mallory").sign()),
        (
            "another client",
            world.token().claim("client_id", "other").sign(),
        ),
    ] {
        let call = stream.message(&world, &token, list(1));
        table.row(name, world.refusal(call, 404, "session_mismatch").await);
    }
    let (_, query) = stream.location.split_once('?').unwrap();
    let path = format!("/other/message?{query}");
    let token = world.token_for("/other").sign();
    let call = world.gateway.post_to(&path, list(1)).token(&token);
    table.row(
        "another resource",
        world.refusal(call, 404, "session_mismatch").await,
    );
    let call = world.gateway.post_to(&stream.location, list(1));
    table.row("no token", world.refusal(call, 401, "no_credentials").await);
    drop(table);
    // A new token of its owner continues it.
    let again = world.token().claim("jti", "another").sign();
    assert_eq!(stream.ask(&world, &again, list(2)).await["id"], 2);
}

#[tokio::test]
async fn attack_335_an_endpoint_that_is_forged_altered_or_ambiguous_is_unknown() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let stream = world.open_sse(&mut feeds, &token).await;
    let (_, sealed) = stream.location.split_once('=').unwrap();
    let (first, rest) = sealed.split_at(sealed.len() / 2);
    let other = if rest.starts_with('A') { "B" } else { "A" };
    let mut table = Table::default();
    for query in [
        String::new(),
        "?".to_owned(),
        "?session=".to_owned(),
        "?session=x".to_owned(),
        "?session_id=0".to_owned(),
        "?session=/messages/?session_id=0".to_owned(),
        format!("?session={first}{other}{}", &rest[1..]),
        format!("?session={first}"),
        format!("?session={sealed}AAAA"),
        format!("?session={sealed}&session={sealed}"),
        format!("?session={sealed}&session=x"),
        format!("?Session={sealed}"),
        format!("?session=%41{sealed}"),
    ] {
        let call = world
            .gateway
            .post_to(&format!("/mcp/message{query}"), list(1));
        let outcome = world
            .refusal(call.token(&token), 404, "session_unknown")
            .await;
        table.row(&query, outcome);
    }
    let call = world.gateway.post_to("/mcp/message", list(1)).token(&token);
    let call = call.with("mcp-session-id", sealed);
    table.row(
        "in a header",
        world.refusal(call, 404, "session_unknown").await,
    );
    let path = format!("{}&access_token=x", stream.location);
    let call = world.gateway.post_to(&path, list(1)).token(&token);
    table.row("a token", world.refusal(call, 400, "token_in_query").await);
}

#[tokio::test]
async fn attack_336_nothing_is_sent_for_a_stream_that_has_ended() {
    let world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let stream = world.open_sse(&mut feeds, &token).await;
    let (location, began) = (stream.location.clone(), Instant::now());
    drop(stream.events);
    stream.feed.gone(Duration::from_secs(1)).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    let mut table = Table::default();
    for body in [list(1), initialize(), tool(2, "list_tasks")] {
        let call = world.gateway.post_to(&location, body).token(&token);
        table.row("ended", world.refusal(call, 404, "session_ended").await);
    }
}

#[tokio::test]
async fn attack_337_messages_are_judged_like_those_of_streamable_http() {
    let world = World::of_sse(|config: Config| {
        let rules = json!([
            { "method": "tools/call", "name": "secret", "principals": ["bob"] },
            { "method": "tools/call", "name": "create_task", "scopes": ["tasks:write"] },
            { "method": "tools/call", "name": "odd", "condition": "request.path == '/mcp/message'" },
        ]);
        config
            .set("/resources/0/policy/rules", rules)
            .set("/resources/0/rate_limits", json!([{ "name": "list_*", "calls": 1, "within": "1h", "per": "principal" }]))
    })
    .await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    let mut table = Table::default();
    let batch = format!("[{}]", list(1));
    let doubled = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#;
    for (name, body, status, reason) in [
        ("a denied tool", tool(1, "secret"), 403, "policy_denied"),
        ("a scope", tool(1, "create_task"), 403, "insufficient_scope"),
        (
            "a condition on the path",
            tool(1, "odd"),
            403,
            "policy_denied",
        ),
        (
            "a task",
            request(1, "tasks/list", json!({})),
            403,
            "tasks_refused",
        ),
        ("a batch", batch, 400, "invalid_request"),
        (
            "repeated members",
            doubled.to_owned(),
            400,
            "ambiguous_json",
        ),
        ("no JSON", "{".to_owned(), 400, "parse_error"),
    ] {
        let call = stream.message(&world, &token, body);
        table.row(name, world.refusal(call, status, reason).await);
    }
    let text = stream
        .message(&world, &token, list(1))
        .with("content-type", "text/plain");
    table.row(
        "a form",
        world.refusal(text, 415, "unsupported_media_type").await,
    );
    let origin = stream
        .message(&world, &token, list(1))
        .with("origin", "https://evil.example");
    table.row("a page", world.refusal(origin, 403, "origin").await);
    drop(table);
    stream.ask(&world, &token, tool(2, "list_tasks")).await;
    let again = stream.message(&world, &token, tool(3, "list_tasks"));
    world.refusal(again, 429, "rate_limited").await.unwrap();
}

#[tokio::test]
async fn attack_338_no_list_reaches_the_client_by_another_way_than_the_filtered_stream() {
    let world = World::of_sse_hiding("secret").await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    let answer =
        json!({ "jsonrpc": "2.0", "id": 1, "result": result(&json!({ "method": "tools/list" })) });
    // In the answer to the POST.
    for (status, content_type) in [
        (200, "application/json"),
        (202, "text/event-stream"),
        (400, "application/json"),
    ] {
        let body = answer.to_string();
        world
            .upstream
            .script(move |_| Answer::Full(upstream::with(status, content_type, body.clone())));
        let reply = stream.message(&world, &token, list(1)).send().await;
        assert_eq!((reply.status, reply.text()), (status, String::new()));
    }
    // On the stream, as the answer to anything, under any name of an event.
    for event in [
        format!("data: {answer}\n\n"),
        format!("event: other\ndata: {answer}\n\n"),
        format!("event: message\ndata: [{answer}]\n\n"),
        format!("event: endpoints\ndata: {answer}\n\n"),
    ] {
        stream.feed.send(event.clone());
        let data = stream.events.data().await;
        assert!(
            data.contains("list_tasks") && !data.contains("secret"),
            "{event}: {data}"
        );
    }
    stream.feed.send(format!("Data: {answer}\n\n"));
    assert_eq!(stream.events.next().await, Item::Broken);
}
