//! Requests two readers could understand differently (threats 57, 58, 80–96), byte by byte. Every one carries a good token,
//! so that nothing but its framing can be the reason.

use std::time::Duration;

use e2e::client::{initialize, notification};
use e2e::raw;
use e2e::upstream::{Answer, with};
use e2e::world::{Table, World};

/// A raw request with these lines after the head of [`World::raw_head`].
fn with_lines(world: &World, lines: &str, body: &str) -> String {
    format!("{}{lines}\r\n{body}", world.raw_head())
}

/// A raw POST with another request line or Host.
fn with_target(world: &World, line: &str, host: &str) -> String {
    let body = initialize();
    let head = world.raw_head();
    let (_, rest) = head.split_once("\r\n").unwrap();
    let (_, rest) = rest.split_once("\r\n").unwrap();
    format!(
        "{line}\r\n{host}{rest}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_well_framed_raw_request_passes() {
    let world = World::start().await;
    let body = initialize();
    let sized = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", body.len()),
        &body,
    );
    assert_eq!(
        raw::once(world.gateway.config.public, sized)
            .await
            .unwrap()
            .status,
        200
    );
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = with_lines(&world, "Transfer-Encoding: chunked\r\n", &chunked);
    assert_eq!(
        raw::once(world.gateway.config.public, chunked)
            .await
            .unwrap()
            .status,
        200
    );
    let last = world.upstream.last();
    assert_eq!(
        (
            last.header("content-length"),
            last.header("transfer-encoding")
        ),
        (Some(body.len().to_string().as_str()), None)
    );
}

#[tokio::test]
async fn ambiguous_lengths_are_refused_and_close_the_connection() {
    // 86–90
    let world = World::start().await;
    let body = initialize();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let rows = [
        (
            "86: CL.TE",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            &chunked,
        ),
        (
            "86: TE.CL",
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            &chunked,
        ),
        (
            "87: two TE lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: xchunked",
            "Transfer-Encoding: xchunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: chunked, identity",
            "Transfer-Encoding: chunked, identity\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: identity, chunked",
            "Transfer-Encoding: identity, chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: gzip, chunked",
            "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: vertical tab",
            "Transfer-Encoding: \u{b}chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "87: space before the colon",
            "Transfer-Encoding : chunked\r\n".to_owned(),
            &chunked,
        ),
        (
            "88: +length",
            format!("Content-Length: +{length}\r\n"),
            &body,
        ),
        (
            "88: a list",
            format!("Content-Length: {length}, {length}\r\n"),
            &body,
        ),
        (
            "88: two equal lines",
            format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
            &body,
        ),
        (
            "88: two different lines",
            format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
            &body,
        ),
        (
            "88: negative",
            format!("Content-Length: -{length}\r\n"),
            &body,
        ),
        (
            "88: 2^64",
            "Content-Length: 18446744073709551616\r\n".to_owned(),
            &body,
        ),
        (
            "90: Upgrade",
            format!("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: {length}\r\n"),
            &body,
        ),
        (
            "93: obs-fold",
            format!("X-A: b\r\n c\r\nContent-Length: {length}\r\n"),
            &body,
        ),
        (
            "93: NUL in a value",
            format!("X-A: b\0c\r\nContent-Length: {length}\r\n"),
            &body,
        ),
        (
            "93: bare CR in a value",
            format!("X-A: b\rc\r\nContent-Length: {length}\r\n"),
            &body,
        ),
    ];
    let mut table = Table::default();
    for (name, lines, body) in rows {
        let before = world.gateway.refusals("bad_framing").await;
        let mut connection = world.gateway.raw().await;
        connection.send(with_lines(&world, &lines, body)).await;
        let reply = connection.reply().await;
        let status = reply.as_ref().map(|reply| reply.status);
        table.check(name, status == Some(400), || format!("{status:?}"));
        let counted = world.gateway.counted("bad_framing", before + 1.0).await - before;
        table.check(name, counted == 1.0, || format!("counted {counted} times"));
        table.check(
            name,
            connection.closes(Duration::from_secs(2)).await,
            || "still open".to_owned(),
        );
    }
    assert_eq!(world.upstream.hits(), 0, "{:?}", world.upstream.seen());
}

#[tokio::test]
async fn transfer_encoding_on_http_1_0_is_refused() {
    // 89
    let world = World::start().await;
    let body = initialize();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let request = with_lines(&world, "Transfer-Encoding: chunked\r\n", &chunked)
        .replacen("HTTP/1.1", "HTTP/1.0", 1);
    assert_eq!(
        raw::once(world.gateway.config.public, request)
            .await
            .unwrap()
            .status,
        400
    );
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn ambiguous_paths_are_refused_for_resources_and_documents() {
    // 80, 83
    let world = World::start().await;
    let host = format!("Host: {}\r\n", world.gateway.config.public);
    let mut table = Table::default();
    for target in [
        "/mcp/..",
        "/a/../mcp",
        "/%2e%2e/mcp",
        "/..;/mcp",
        "/%2fmcp",
        "/x%5cmcp",
        "/\\mcp",
        "//mcp",
        "/mcp//",
        "/mcp;x",
        "/mcp%00",
        "/%c0%afmcp",
        "/./mcp",
        "/mcp/.",
        "/%2E/mcp",
        "mcp",
        "*",
        "/mcp#x",
        "/.well-known/../mcp",
        "/.well-known//oauth-protected-resource",
        "/.well-known/oauth-protected-resource/..;/mcp",
    ] {
        let request = with_target(&world, &format!("POST {target} HTTP/1.1"), &host);
        let reply = raw::once(world.gateway.config.public, request).await;
        let status = reply.as_ref().map(|reply| reply.status);
        table.check(target, status == Some(400), || format!("{status:?}"));
    }
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn other_spellings_of_the_path_are_other_paths() {
    // 81, 82
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for path in ["/MCP", "/mcp/", "/mcp/x", "/Mcp", "/mc", "/%6dcp"] {
        let reply = world
            .gateway
            .post_to(path, initialize())
            .token(&token)
            .send()
            .await;
        let expected: &[u16] = if path.contains('%') {
            &[400, 404]
        } else {
            &[404]
        };
        table.check(path, expected.contains(&reply.status), || {
            format!("{}", reply.status)
        });
    }
    for path in [
        "/mcp?/.well-known/oauth-protected-resource",
        "/mcp?x=/livez",
    ] {
        let reply = world.gateway.post_to(path, initialize()).send().await;
        table.check(path, reply.status == 401, || format!("{}", reply.status));
    }
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn absolute_form_is_taken_for_our_own_authority_only() {
    // 83
    let world = World::start().await;
    let address = world.gateway.config.public;
    let host = format!("Host: {address}\r\n");
    let own = with_target(
        &world,
        &format!("POST http://{address}/mcp HTTP/1.1"),
        &host,
    );
    let status = raw::once(address, own).await.unwrap().status;
    if status == 200 {
        assert_eq!(world.upstream.last().target, "/mcp");
    } else {
        assert_eq!(status, 400);
    }
    let hits = world.upstream.hits();
    for line in [
        "POST http://evil.example/mcp HTTP/1.1",
        "POST https://user@127.0.0.1/mcp HTTP/1.1",
    ] {
        assert_eq!(
            raw::once(address, with_target(&world, line, &host))
                .await
                .unwrap()
                .status,
            400,
            "{line}"
        );
    }
    assert_eq!(world.upstream.hits(), hits);
}

#[tokio::test]
async fn exactly_one_known_host_is_demanded() {
    // 57
    let world =
        World::with(|config| config.set("/hosts", serde_json::json!(["gateway.example"]))).await;
    let address = world.gateway.config.public;
    let port = address.port();
    let rows = [
        ("missing", String::new(), 400),
        (
            "doubled",
            format!("Host: {address}\r\nHost: {address}\r\n"),
            400,
        ),
        (
            "two different",
            format!("Host: {address}\r\nHost: evil.example\r\n"),
            400,
        ),
        ("unknown", "Host: evil.example\r\n".to_owned(), 403),
        ("another port", "Host: 127.0.0.1:1\r\n".to_owned(), 403),
        ("without the port", "Host: 127.0.0.1\r\n".to_owned(), 403),
        (
            "a rebinding name",
            format!("Host: rebind.127.0.0.1.example:{port}\r\n"),
            403,
        ),
        ("ours", format!("Host: {address}\r\n"), 200),
        ("listed", "Host: gateway.example\r\n".to_owned(), 200),
        ("letter case", "Host: Gateway.EXAMPLE\r\n".to_owned(), 200),
        (
            "the default port",
            "Host: gateway.example:80\r\n".to_owned(),
            200,
        ),
    ];
    let mut table = Table::default();
    for (name, host, expected) in rows {
        let reply = raw::once(address, with_target(&world, "POST /mcp HTTP/1.1", &host)).await;
        let status = reply.map(|reply| reply.status);
        table.check(name, status == Some(expected), || {
            format!("{status:?} instead of {expected}")
        });
    }
    // A trailing dot is refused, whatever the reason given.
    let reply = raw::once(
        address,
        with_target(&world, "POST /mcp HTTP/1.1", "Host: gateway.example.\r\n"),
    )
    .await
    .unwrap();
    table.check("a trailing dot", matches!(reply.status, 400 | 403), || {
        format!("{}", reply.status)
    });
    assert_eq!(world.upstream.hits(), 4);
}

#[tokio::test]
async fn methods_no_transport_uses_are_refused() {
    // 85
    let world = World::start().await;
    let host = format!("Host: {}\r\n", world.gateway.config.public);
    let mut table = Table::default();
    for method in ["TRACE", "CONNECT", "PUT", "PATCH", "BREW", "post"] {
        let request = with_target(&world, &format!("{method} /mcp HTTP/1.1"), &host);
        let reply = raw::once(world.gateway.config.public, request).await;
        let status = reply.as_ref().map(|reply| reply.status);
        table.check(method, matches!(status, Some(400 | 405 | 501)), || {
            format!("{status:?}")
        });
    }
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn header_blocks_are_limited() {
    // 102
    let world = World::start().await;
    let body = initialize();
    let length = format!("Content-Length: {}\r\n", body.len());
    let many: String = (0..120).map(|index| format!("X-{index}: y\r\n")).collect();
    let mut table = Table::default();
    for (name, lines) in [
        ("a long value", format!("X-A: {}\r\n", "y".repeat(40_000))),
        ("many fields", many),
    ] {
        let request = with_lines(&world, &format!("{lines}{length}"), &body);
        table.row(
            name,
            world.raw_refusal(request, 431, "headers_too_large").await,
        );
    }
}

#[tokio::test]
async fn a_head_without_end_is_cut_long_before_it_is_a_megabyte() {
    // 102
    let world = World::start().await;
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "POST /mcp HTTP/1.1\r\nX-Long: {}",
            "x".repeat(100_000)
        ))
        .await;
    assert_eq!(
        connection.reply().await.map(|reply| reply.status),
        Some(431)
    );
}

#[tokio::test]
async fn no_second_request_is_parsed_from_a_body() {
    // 91, 95
    let world = World::start().await;
    let inner = "POST /mcp HTTP/1.1\r\nHost: smuggled\r\nContent-Length: 0\r\n\r\n";
    let refused = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{inner}",
        world.gateway.config.public,
        inner.len()
    );
    let body = notification("notifications/initialized");
    let second = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", body.len()),
        &body,
    );
    let mut connection = world.gateway.raw().await;
    connection.send(format!("{refused}{second}")).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
    // Either the second request has its own decision, or the connection ends here; never is the body taken for a request.
    match connection.reply().await {
        Some(reply) => assert_eq!((reply.status, world.upstream.hits()), (202, 1)),
        None => assert_eq!(world.upstream.hits(), 0),
    }
}

#[tokio::test]
async fn requests_behind_a_request_are_dropped_with_the_connection() {
    // 95; RFC 9112 §9.3.2: a client repeats what was not answered, on a connection of its own.
    let world = World::start().await;
    let body = notification("notifications/initialized");
    let good = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", body.len()),
        &body,
    );
    let bad = good
        .replace("Authorization: Bearer ", "X-Ignored: ")
        .replace(&world.reader(), "x");
    let bad = bad
        .lines()
        .filter(|line| !line.starts_with("X-Ignored"))
        .collect::<Vec<_>>()
        .join("\r\n");
    let mut connection = world.gateway.raw().await;
    connection.send(format!("{good}{bad}{good}")).await;
    assert_eq!(connection.reply().await.unwrap().status, 202);
    assert!(connection.reply().await.is_none());
    assert_eq!(world.upstream.hits(), 1);
    let mut connection = world.gateway.raw().await;
    connection.send(format!("{bad}{good}")).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
    assert!(connection.reply().await.is_none());
    assert_eq!(world.upstream.hits(), 1);
}

#[tokio::test]
async fn a_byte_behind_a_request_does_not_freeze_its_stream() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let body = initialize();
    let lines = format!("Content-Length: {}\r\n", body.len());
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!("{}\r\n", with_lines(&world, &lines, &body)))
        .await;
    let feed = feeds.next().await;
    feed.event("first");
    assert!(connection.brings(b"first").await);
    drop(connection);
    feed.gone(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn chunks_are_reframed_and_trailers_dropped() {
    // 93
    let world = World::start().await;
    let body = initialize();
    let (one, two) = body.split_at(10);
    let chunked = format!(
        "{:x};ext=1\r\n{one}\r\n{:X}\r\n{two}\r\n0\r\nAuthorization: Bearer trailer\r\nX-Mcp-Subject: root\r\n\r\n",
        one.len(),
        two.len()
    );
    let reply = raw::once(
        world.gateway.config.public,
        with_lines(&world, "Transfer-Encoding: chunked\r\n", &chunked),
    )
    .await;
    let last = match reply.unwrap().status {
        200 => world.upstream.last(),
        status => return assert_eq!(status, 400),
    };
    assert_eq!(
        (last.body.as_ref(), last.header("x-mcp-subject")),
        (body.as_bytes(), Some("alice"))
    );
}

#[tokio::test]
async fn garbage_for_chunk_sizes_never_reaches_the_upstream() {
    // 93
    let world = World::start().await;
    let mut table = Table::default();
    for size in ["zz", "-5", "0x5", "5 5", "ffffffffffffffffff", ""] {
        let request = with_lines(
            &world,
            "Transfer-Encoding: chunked\r\n",
            &format!("{size}\r\nhello\r\n0\r\n\r\n"),
        );
        let status = raw::once(world.gateway.config.public, request)
            .await
            .map(|reply| reply.status);
        table.check(size, matches!(status, Some(400) | None), || {
            format!("{status:?}")
        });
    }
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn a_large_body_is_cut_at_its_limit() {
    // 74
    let world = World::with(|config| config.set("/limits/body_bytes", "64KiB")).await;
    let large = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"x\":\"{}\"}}}}",
        "y".repeat(70_000)
    );
    let announced = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", large.len()),
        &large,
    );
    let reply = world
        .raw_refusal(announced, 413, "body_too_large")
        .await
        .unwrap();
    assert_eq!(reply.header("connection"), "close");
    let chunked = with_lines(
        &world,
        "Transfer-Encoding: chunked\r\n",
        &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
    );
    world
        .raw_refusal(chunked, 413, "body_too_large")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_expected_100_continue_is_answered() {
    let world = World::start().await;
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(with_lines(
            &world,
            &format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len()),
            "",
        ))
        .await;
    assert_eq!(connection.reply().await.unwrap().status, 100);
    connection.send(&body).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    assert_eq!(world.upstream.last().header("expect"), None);
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut() {
    // 97, 98
    let world = World::with(|config| {
        config
            .set("/timeouts/header", "1s")
            .set("/timeouts/body_idle", "1s")
            .set("/timeouts/body_total", "2s")
    })
    .await;
    let mut silent = world.gateway.raw().await;
    assert!(
        silent.closes(Duration::from_secs(4)).await,
        "a silent connection stays open"
    );
    let mut half = world.gateway.raw().await;
    half.send("POST /mcp HTTP/1.1\r\nHost: x\r\n").await;
    assert!(
        half.closes(Duration::from_secs(4)).await,
        "half a head stays open"
    );
    let mut body = world.gateway.raw().await;
    body.send(with_lines(&world, "Content-Length: 500\r\n", "{"))
        .await;
    match body.reply_within(Duration::from_secs(5)).await {
        Some(reply) => assert_eq!(reply.status, 408),
        None => assert_eq!(world.upstream.hits(), 0),
    }
}

#[tokio::test]
async fn refusals_wait_for_the_body_so_that_clients_read_them() {
    // 91: several clients lose an answer that comes before they have sent their body.
    let world = World::start().await;
    let body = "x".repeat(30_000);
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        world.gateway.config.public,
        body.len()
    );
    let mut connection = world.gateway.raw().await;
    connection.send(&request).await;
    connection.send(&body).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
    connection.send(format!("{request}{body}")).await;
    assert_eq!(
        connection.reply().await.map(|reply| reply.status),
        Some(401),
        "the connection did not go on"
    );
}

#[tokio::test]
async fn an_upstream_answer_is_reframed() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let mut answer = with(200, "application/json", "{}");
        for (name, value) in [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x"),
        ] {
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        Answer::Full(answer)
    });
    let reply = world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    for name in ["x-hop", "keep-alive", "trailer"] {
        assert!(
            !reply.headers.contains_key(name),
            "{name} passed: {:?}",
            reply.headers
        );
    }
}
