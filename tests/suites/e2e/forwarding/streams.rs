//! Forwarding: answers and event streams are delivered promptly and never ended by the gateway; what the client sees when the
//! upstream fails (design §6, attacks 45, 54, 114–116).

use std::time::{Duration, Instant};

use e2e::client::raw::Raw;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, initialize, modern, notification, request};
use e2e::process::port;
use e2e::upstream::{Answer, Chunk, head, steps, with};
use e2e::world::World;
use e2e::world::secure::Secure;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_json_answer_comes_back_unchanged() {
    let world = World::start().await;
    let body = "{\"jsonrpc\":\"2.0\",\"id\":1,  \"result\":{\"ünï\":true}}";
    world
        .upstream
        .script(move |_| Answer::Full(with(200, "application/json", body)));
    let reply = world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert_eq!(
        (reply.text().as_str(), reply.header("content-type")),
        (body, "application/json")
    );
    assert_eq!(reply.header("content-length"), body.len().to_string());
}

#[tokio::test]
async fn a_notification_is_accepted_without_a_body() {
    let world = World::start().await;
    let reply = world
        .gateway
        .post(notification("notifications/initialized"))
        .token(&world.reader())
        .send()
        .await;
    assert_eq!((reply.status, reply.body.len()), (202, 0));
}

#[tokio::test]
async fn a_large_answer_comes_back_whole() {
    let world = World::start().await;
    let body = "y".repeat(8 << 20);
    let sent = body.clone();
    world
        .upstream
        .script(move |_| Answer::Full(with(200, "application/json", sent.clone())));
    let reply = world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert!(reply.text() == body, "{} bytes", reply.body.len());
}

#[tokio::test]
async fn a_large_request_arrives_whole() {
    let world = World::start().await;
    let body = request(1, "ping", json!({ "x": "y".repeat(3 << 20) }));
    world
        .acceptance(world.gateway.post(body.clone()).token(&world.reader()))
        .await
        .unwrap();
    assert!(world.upstream.last().body == body.as_bytes());
}

#[tokio::test]
async fn events_are_delivered_as_they_come() {
    // 115
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = world
        .gateway
        .post(request(1, "tools/call", json!({ "name": "slow" })))
        .token(&world.reader());
    let answer = tokio::spawn(answer.open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    let mut late = Vec::new();
    for index in 0..20 {
        let sent = Instant::now();
        feed.event(&format!("{index}"));
        assert_eq!(events.data().await, index.to_string());
        late.push(sent.elapsed());
    }
    late.sort();
    assert!(
        late[10] < Duration::from_millis(50),
        "median {:?}, worst {:?}",
        late[10],
        late[19]
    );
    drop(feed);
    assert_eq!(events.next().await, Item::End);
}

#[tokio::test]
async fn proxies_are_told_not_to_buffer_an_event_stream() {
    let secure = Secure::start().await;
    secure.upstream.script(|request| {
        let content_type = match request.header("mcp-method") {
            Some(_) => "application/json",
            None => "Text/Event-Stream; charset=utf-8",
        };
        let mut answer = with(200, content_type, "data: {}\n\n");
        let headers = answer.headers_mut();
        headers.append("x-accel-buffering", "yes".parse().unwrap());
        headers.append("x-accel-buffering", "yes".parse().unwrap());
        Answer::Full(answer)
    });
    let token = secure.token();
    for http1 in [true, false] {
        let http = secure.http(http1);
        let get = Call::new(&http, Method::GET, secure.gateway.uri("/mcp")).token(&token);
        let post = secure.post(&http, initialize());
        for call in [get, post] {
            let reply = call.send().await;
            assert_eq!(reply.header("x-accel-buffering"), "no");
        }
        let json = secure.post(&http, modern(1, "ping", json!({})));
        let reply = json.modern("ping", None).send().await;
        let values: Vec<_> = reply.headers.get_all("x-accel-buffering").iter().collect();
        assert_eq!(
            values,
            ["yes", "yes"],
            "the upstream's, on an answer that is no stream"
        );
    }
}

#[tokio::test]
async fn an_event_in_pieces_is_not_held_back() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(
        world
            .gateway
            .get("/mcp")
            .token(&world.reader())
            .with("accept", "text/event-stream")
            .open(),
    );
    let feed = feeds.next().await;
    feed.send("data: ha");
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "data: ha");
    feed.send("lf\n\n");
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "lf\n\n");
}

#[tokio::test]
async fn comments_are_sent_in_idle_streams_only_between_events() {
    let world = World::with(|config| config.set("/timeouts/sse_comment", "1s")).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(
        world
            .gateway
            .get("/mcp")
            .token(&world.reader())
            .with("accept", "text/event-stream")
            .open(),
    );
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    assert!(matches!(
        events.next_within(Duration::from_secs(4)).await,
        Some(Item::Comment(_))
    ));
    feed.send("data: half");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    feed.send(" and half\n\n");
    loop {
        match events.next().await {
            Item::Comment(_) => {}
            item => return assert_eq!(item, Item::Event("data: half and half".to_owned())),
        }
    }
}

#[tokio::test]
async fn comments_are_sent_only_in_event_streams() {
    let world = World::with(|config| config.set("/timeouts/sse_comment", "1s")).await;
    let mut feeds = world.upstream.streams("application/json");
    let answer = tokio::spawn(
        world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .open(),
    );
    let feed = feeds.next().await;
    feed.send("{\"jsonrpc\":\"2.0\",\n\n");
    tokio::time::sleep(Duration::from_millis(2200)).await;
    feed.send("\"id\":1}");
    drop(feed);
    assert_eq!(
        answer.await.unwrap().text().await.unwrap(),
        "{\"jsonrpc\":\"2.0\",\n\n\"id\":1}"
    );
}

#[tokio::test]
async fn no_comment_is_sent_in_an_encoded_or_sized_stream() {
    for extra in [("content-encoding", "br"), ("content-length", "21")] {
        let world = World::with(|config| config.set("/timeouts/sse_comment", "1s")).await;
        let (feed, chunks) = e2e::upstream::feed();
        let chunks = std::sync::Mutex::new(Some(chunks));
        world.upstream.script(move |_| {
            let head = head(200, &[("content-type", "text/event-stream"), extra]);
            Answer::Stream(head, chunks.lock().unwrap().take().unwrap())
        });
        let answer = tokio::spawn(
            world
                .gateway
                .post(initialize())
                .token(&world.reader())
                .open(),
        );
        feed.send("data: 345\n\n");
        tokio::time::sleep(Duration::from_millis(2200)).await;
        feed.send("data: 67\n\n");
        drop(feed);
        assert_eq!(
            answer.await.unwrap().text().await.unwrap(),
            "data: 345\n\ndata: 67\n\n",
            "{extra:?}"
        );
    }
}

#[tokio::test]
async fn buffering_headers_are_passed_on() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let head = head(
            200,
            &[
                ("content-type", "text/event-stream"),
                ("x-accel-buffering", "no"),
                ("cache-control", "no-cache"),
            ],
        );
        Answer::Stream(head, steps([Chunk::Data("data: x\n\n".into())]))
    });
    let reply = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(
        (
            reply.header("x-accel-buffering"),
            reply.header("cache-control")
        ),
        ("no", "no-store")
    );
}

#[tokio::test]
async fn a_client_that_closes_a_stream_frees_the_upstream_at_once() {
    // 116
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(
        world
            .gateway
            .get("/mcp")
            .token(&world.reader())
            .with("accept", "text/event-stream")
            .open(),
    );
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    drop(events);
    feed.gone(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_504() {
    let world = World::with(|config| config.set("/timeouts/response_head", "1s")).await;
    world.upstream.script(|_| Answer::Hang);
    let began = Instant::now();
    let reply = world
        .gateway
        .post(request(9, "tools/list", json!({})))
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(reply.status, 504);
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(world.gateway.counted("upstream_timeout", 1.0).await, 1.0);
    world.upstream.deserted(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn an_idle_stream_outlives_the_deadline_of_the_head() {
    let world = World::with(|config| config.set("/timeouts/response_head", "1s")).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(
        world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .open(),
    );
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    feed.event("second");
    assert_eq!(events.data().await, "second");
}

#[tokio::test]
async fn get_and_listen_have_no_deadline_for_the_head() {
    let world = World::with(|config| config.set("/timeouts/response_head", "1s")).await;
    world.upstream.script(|_| Answer::Hang);
    let get = tokio::spawn(
        world
            .gateway
            .get("/mcp")
            .token(&world.reader())
            .with("accept", "text/event-stream")
            .open(),
    );
    let listen = modern(1, "subscriptions/listen", json!({}));
    let listen = tokio::spawn(
        world
            .gateway
            .post(listen)
            .token(&world.reader())
            .modern("subscriptions/listen", None)
            .open(),
    );
    world.upstream.received(2).await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    assert!(
        !get.is_finished() && !listen.is_finished(),
        "closed by the deadline"
    );
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502_until_it_is_back() {
    let mut world = World::start().await;
    let token = world.reader();
    assert_eq!(
        world
            .gateway
            .post(initialize())
            .token(&token)
            .send()
            .await
            .status,
        200
    );
    world.upstream.stop();
    // The first request can still get a pooled connection that breaks.
    assert_eq!(
        world
            .gateway
            .post(initialize())
            .token(&token)
            .send()
            .await
            .status,
        502
    );
    let reply = world
        .gateway
        .post(request("x", "tools/list", json!({})))
        .token(&token)
        .send()
        .await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.json()["error"], "upstream_unreachable");
    assert!(
        !reply
            .text()
            .contains(&world.upstream.address().port().to_string()),
        "147: {}",
        reply.text()
    );
    let errors = world
        .gateway
        .metrics()
        .await
        .sum("mcp_gateway_upstream_errors_total", &[]);
    assert!(errors >= 1.0, "{errors}");
    world.upstream.resume().await;
    assert_eq!(
        world
            .gateway
            .post(initialize())
            .token(&token)
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_upstream_that_closes_without_an_answer_is_502() {
    let world = World::start().await;
    world.upstream.script(|_| Answer::Drop);
    let reply = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(reply.status, 502);
    assert_eq!(
        world.upstream.hits(),
        1,
        "a POST that may have had an effect is not repeated"
    );
}

#[tokio::test]
async fn an_upstream_without_http_is_502() {
    let listener = TcpListener::bind(port::free()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    let world =
        World::with(|config| config.set("/resources/0/upstream", format!("http://{address}/mcp")))
            .await;
    let reply = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(reply.status, 502);
}

#[tokio::test]
async fn a_client_sees_that_an_interrupted_stream_is_truncated() {
    // 114; HTTP/2 in the suite of TLS.
    let world = World::start().await;
    world.upstream.script(|_| {
        let head = head(200, &[("content-type", "text/event-stream")]);
        Answer::Stream(
            head,
            steps([Chunk::Data("data: x\n\n".into()), Chunk::Break]),
        )
    });
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    let reply = connection.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.text().as_str(), reply.complete),
        (200, "data: x\n\n", false)
    );
    let errors = world
        .gateway
        .metrics()
        .await
        .sum("mcp_gateway_upstream_errors_total", &[]);
    assert!(errors >= 1.0, "{errors}");
}

#[tokio::test]
async fn a_client_sees_that_a_body_shorter_than_its_length_is_truncated() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let head = head(
            200,
            &[
                ("content-type", "application/json"),
                ("content-length", "100"),
            ],
        );
        Answer::Stream(
            head,
            steps([Chunk::Data("{\"half\":".into()), Chunk::Break]),
        )
    });
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    // Truncated after the head, closed before it, or reported as a failure: never a complete answer.
    if let Some(reply) = connection.reply().await {
        assert!(reply.status == 502 || !reply.complete, "{reply:?}");
    }
}

#[tokio::test]
async fn a_pooled_connection_that_the_upstream_closed_causes_no_failure() {
    let world = World::start().await;
    world.upstream.script(|request| {
        let Answer::Full(mut answer) = e2e::upstream::echo(request) else {
            unreachable!()
        };
        answer
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
        Answer::Full(answer)
    });
    let token = world.reader();
    for _ in 0..20 {
        assert_eq!(
            world
                .gateway
                .post(initialize())
                .token(&token)
                .send()
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn connections_are_reused_on_both_sides() {
    let world = World::start().await;
    let body = initialize();
    let request = format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    let mut connection = Raw::connect(world.gateway.config.public).await;
    for _ in 0..10 {
        connection.send(&request).await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
    }
    assert_eq!(world.upstream.accepted(), 1);
}
