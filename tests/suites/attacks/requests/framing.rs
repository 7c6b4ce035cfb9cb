//! Numbers 86–95 and 344: requests that two parsers could read differently. Each has a good token, so that only its framing can be
//! the reason of a refusal; in 344 a request that is answered before its body was sent.

use std::time::Duration;

use e2e::SOON;
use e2e::client::raw;
use e2e::client::raw_http2::{Outcome, RawHttp2};
use e2e::client::{initialize, notification};
use e2e::world::secure::Secure;
use e2e::world::{Table, World};

/// A raw POST with these lines after a good head, and this body.
fn with_lines(world: &World, lines: &str, body: &str) -> String {
    format!("{}{lines}\r\n{body}", world.raw_head())
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Each of these is refused as framing and closes its connection.
async fn refuse(world: &World, rows: &[(&str, String)], body: &str) {
    let mut table = Table::default();
    for (name, lines) in rows {
        let bytes = with_lines(world, lines, body);
        table.row(name, world.raw_refusal(bytes, 400, "bad_framing").await);
    }
}

#[tokio::test]
async fn attack_086_two_framings_in_one_request_are_refused() {
    let world = World::start().await;
    let body = initialize();
    let (length, encoding) = (
        format!("Content-Length: {}\r\n", body.len()),
        "Transfer-Encoding: chunked\r\n",
    );
    let rows = [
        ("CL.TE", format!("{length}{encoding}")),
        ("TE.CL", format!("{encoding}{length}")),
        (
            "a length of zero",
            format!("{encoding}Content-Length: 0\r\n"),
        ),
        ("letter case", format!("content-LENGTH: 4\r\n{encoding}")),
    ];
    refuse(&world, &rows, &chunked(&body)).await;
}

#[tokio::test]
async fn attack_087_a_disguised_transfer_encoding_is_refused() {
    let world = World::start().await;
    let rows = [
        (
            "two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        ("xchunked", "Transfer-Encoding: xchunked"),
        ("chunked, identity", "Transfer-Encoding: chunked, identity"),
        ("identity, chunked", "Transfer-Encoding: identity, chunked"),
        ("chunked twice", "Transfer-Encoding: chunked, chunked"),
        ("gzip, chunked", "Transfer-Encoding: gzip, chunked"),
        ("a parameter", "Transfer-Encoding: chunked;q=1"),
        ("quoted", "Transfer-Encoding: \"chunked\""),
        ("empty", "Transfer-Encoding:"),
        ("vertical tab", "Transfer-Encoding: \u{b}chunked"),
        ("a space before the colon", "Transfer-Encoding : chunked"),
        ("a folded line", "Transfer-Encoding:\r\n chunked"),
    ]
    .map(|(name, line)| (name, format!("{line}\r\n")));
    let body = initialize();
    refuse(&world, &rows, &chunked(&body)).await;
    let plain = with_lines(&world, "Transfer-Encoding: chunked\r\n", &chunked(&body));
    assert_eq!(
        raw::once(world.gateway.config.public, plain)
            .await
            .unwrap()
            .status,
        200
    );
    let last = world.upstream.last();
    assert_eq!(
        (last.header("transfer-encoding"), last.body.len()),
        (None, body.len())
    );
}

#[tokio::test]
async fn attack_088_a_content_length_that_is_not_one_number_is_refused() {
    let world = World::start().await;
    let body = initialize();
    let length = body.len();
    let rows = [
        ("a plus", format!("+{length}")),
        ("a minus", format!("-{length}")),
        ("a list", format!("{length}, {length}")),
        ("2^64", "18446744073709551616".to_owned()),
        ("hexadecimal", format!("0x{length:x}")),
        ("a fraction", format!("{length}.0")),
        ("a space inside", "1 5".to_owned()),
        ("empty", String::new()),
        ("letters", "abc".to_owned()),
        (
            "two equal lines",
            format!("{length}\r\nContent-Length: {length}"),
        ),
        ("two lines", format!("{length}\r\nContent-Length: 0")),
    ]
    .map(|(name, value)| (name, format!("Content-Length: {value}\r\n")));
    refuse(&world, &rows, &body).await;
}

#[tokio::test]
async fn attack_089_transfer_encoding_in_http_1_0_is_refused() {
    let world = World::start().await;
    let bytes = with_lines(
        &world,
        "Transfer-Encoding: chunked\r\n",
        &chunked(&initialize()),
    );
    let bytes = bytes.replacen("HTTP/1.1", "HTTP/1.0", 1);
    world.raw_refusal(bytes, 400, "bad_framing").await.unwrap();
}

#[tokio::test]
async fn attack_090_an_upgrade_smuggles_nothing() {
    let world = World::start().await;
    let smuggled = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n",
        world.gateway.config.public
    );
    let body = format!("{}{smuggled}", initialize());
    let length = format!("Content-Length: {}\r\n", initialize().len());
    let mut table = Table::default();
    for offer in [
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: mcp\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        // The offer is ignored (RFC 9110 §7.8): one request is served, and what follows it is not.
        let hits = world.upstream.hits();
        let mut connection = world.gateway.raw().await;
        let request = with_lines(&world, &format!("{offer}{length}"), &body);
        connection.send(request).await;
        let status = connection.reply().await.map(|reply| reply.status);
        table.check(offer, status == Some(200), || format!("{status:?}"));
        let rest = connection.rest(SOON).await;
        table.check(offer, rest.as_deref() == Some(b""), || format!("{rest:?}"));
        let new = world.upstream.seen().split_off(hits);
        let [one] = new.as_slice() else {
            table.check(offer, false, || format!("{new:?}"));
            continue;
        };
        let offered = ["connection", "upgrade", "http2-settings"];
        let passed = offered.iter().any(|name| one.header(name).is_some());
        let is_whole = one.body == initialize().as_bytes() && !passed;
        table.check(offer, is_whole, || format!("{one:?}"));
    }
    drop(table);
    // An offer excuses nothing else.
    let both =
        format!("Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n{length}");
    refuse(&world, &[("two framings", both)], &body).await;
}

#[tokio::test]
async fn attack_091_a_refused_body_is_never_a_request() {
    let world = World::with(|config| config.set("/limits/body_bytes", "32KiB")).await;
    let own = world.gateway.config.public;
    let bare = |body: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {own}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let notice = notification("notifications/initialized");
    let good = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", notice.len()),
        &notice,
    );

    // The refused body holds a whole, good request. It is read to its end first: the connection stays usable.
    let mut connection = world.gateway.raw().await;
    connection.send(bare(&good)).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
    connection.send(&good).await;
    assert_eq!(
        connection.reply().await.map(|reply| reply.status),
        Some(202)
    );
    assert_eq!(world.upstream.hits(), 1);

    // A body over the limit closes the connection.
    let mut connection = world.gateway.raw().await;
    connection.send(bare(&good.repeat(300))).await;
    let first = connection.reply().await;
    assert!(first.is_none_or(|reply| reply.status == 401));
    assert!(connection.closes(Duration::from_secs(8)).await);
    assert_eq!(world.upstream.hits(), 1);
}

#[tokio::test]
async fn attack_092_refusals_are_never_cached() {
    let world = World::start().await;
    let mut table = Table::default();
    let reader = world.reader();
    for (name, call, status) in [
        ("no token", world.gateway.post(initialize()), 401),
        (
            "a bad token",
            world.gateway.post(initialize()).token("x"),
            401,
        ),
        (
            "a scope",
            world
                .gateway
                .post(e2e::client::tool(1, "create_task"))
                .token(&reader),
            403,
        ),
        (
            "an origin",
            world.gateway.get("/mcp").with("origin", "null"),
            403,
        ),
        ("a path", world.gateway.get("/nowhere"), 404),
    ] {
        let reply = call.send().await;
        let cacheable = reply.header("cache-control") != "no-store";
        table.check(name, reply.status == status && !cacheable, || {
            format!("{reply:?}")
        });
    }
    // Two equal requests are two requests, whatever the upstream's `Cache-Control` says.
    for _ in 0..2 {
        world
            .acceptance(world.gateway.post(initialize()).token(&reader))
            .await
            .unwrap();
    }
    assert_eq!(world.upstream.hits(), 2);
}

#[tokio::test]
async fn attack_093_odd_lines_and_chunks_are_refused_and_trailers_dropped() {
    let world = World::with(|config| config.set("/timeouts/body_idle", "1s")).await;
    let body = initialize();
    let length = format!("Content-Length: {}\r\n", body.len());
    let rows = [
        ("obs-fold", format!("X-A: b\r\n c\r\n{length}")),
        ("NUL", format!("X-A: b\0c\r\n{length}")),
        ("bare CR", format!("X-A: b\rc\r\n{length}")),
        ("no colon", format!("X-A\r\n{length}")),
        ("no name", format!(": b\r\n{length}")),
    ];
    refuse(&world, &rows, &body).await;
    let own = world.gateway.config.public;
    let mut table = Table::default();
    for size in [
        "zz",
        "-5",
        "+5",
        "0x5",
        "5 5",
        "ffffffffffffffffff",
        "",
        "5\r",
    ] {
        let garbage = format!("{size}\r\nhello\r\n0\r\n\r\n");
        let reply = raw::once(
            own,
            with_lines(&world, "Transfer-Encoding: chunked\r\n", &garbage),
        )
        .await;
        let status = reply.map(|reply| reply.status);
        table.check(size, matches!(status, Some(400 | 408) | None), || {
            format!("{status:?}")
        });
    }
    table.check("garbage", world.upstream.hits() == 0, || {
        format!("{:?}", world.upstream.seen())
    });
    let (one, two) = body.split_at(10);
    let (one, two) = (
        format!("{:x};x=1\r\n{one}\r\n", one.len()),
        format!("{:X}\r\n{two}\r\n", two.len()),
    );
    let trailers = "Authorization: Bearer trailer\r\nX-Mcp-Subject: root\r\n";
    for (name, text) in [
        ("an extension", format!("{one}{two}0\r\n\r\n")),
        (
            "a long extension",
            format!(
                "{}{two}0\r\n\r\n",
                one.replacen("x=1", &"x".repeat(40_000), 1)
            ),
        ),
        ("trailers", format!("{one}{two}0\r\n{trailers}\r\n")),
        (
            "bare LF",
            format!("{one}{two}0\r\n\r\n").replace("\r\n", "\n"),
        ),
    ] {
        let hits = world.upstream.hits();
        let reply = raw::once(
            own,
            with_lines(&world, "Transfer-Encoding: chunked\r\n", &text),
        )
        .await;
        let status = reply.map(|reply| reply.status);
        let new = world.upstream.seen().split_off(hits);
        let is_right = match new.as_slice() {
            [] => matches!(status, Some(400 | 408 | 413) | None),
            [one] => {
                status == Some(200)
                    && one.body == body.as_bytes()
                    && one.header("x-mcp-subject") == Some("alice")
            }
            _ => false,
        };
        table.check(name, is_right, || format!("{status:?} {new:?}"));
    }
}

#[tokio::test]
async fn attack_094_fields_that_http_2_forbids_never_reach_the_upstream() {
    let secure = Secure::start().await;
    let authority = secure.gateway.config.public_url().replace("https://", "");
    let bearer = format!("Bearer {}", secure.token());
    let body = initialize();
    let good: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"authorization", bearer.as_bytes()),
    ];
    let send = async |fields: &[(&[u8], &[u8])]| {
        let client = e2e::certificates::client(&secure.authority, &[b"h2"]);
        let mut connection = RawHttp2::connect(secure.gateway.config.public, client).await;
        connection.request(fields, body.as_bytes()).await
    };
    assert_eq!(send(&good).await, Outcome::Answered);
    assert_eq!(
        secure.upstream.hits(),
        1,
        "the good one must pass, or the others prove nothing"
    );
    let with = |name: &'static [u8], value: &'static [u8]| {
        let mut fields = good.clone();
        fields.push((name, value));
        fields
    };
    let replaced = |name: &'static [u8], value: &'static [u8]| -> Vec<(&[u8], &[u8])> {
        good.iter()
            .map(|field| {
                if field.0 == name {
                    (name, value)
                } else {
                    *field
                }
            })
            .collect()
    };
    let mut table = Table::default();
    for (name, fields) in [
        ("transfer-encoding", with(b"transfer-encoding", b"chunked")),
        ("connection", with(b"connection", b"x-mcp-subject")),
        ("upgrade", with(b"upgrade", b"websocket")),
        (
            "a new line in a value",
            with(b"x-a", b"b\r\nx-mcp-subject: root"),
        ),
        ("NUL in a value", with(b"x-a", b"b\0c")),
        ("a colon in a name", with(b"x:a", b"b")),
        ("an upper-case name", with(b"X-Upper", b"b")),
        ("a space in a name", with(b"x a", b"b")),
        ("two authorities", with(b":authority", b"evil.example")),
        ("a pseudo-header after a field", with(b":path", b"/mcp")),
        ("a wrong length", with(b"content-length", b"5")),
        ("another host", with(b"host", b"evil.example")),
        (
            "another authority",
            replaced(b":authority", b"evil.example"),
        ),
        (
            "no authority",
            good.iter()
                .filter(|field| field.0 != b":authority")
                .copied()
                .collect(),
        ),
        (
            "a request in the path",
            replaced(b":path", b"/mcp HTTP/1.1\r\nx: y"),
        ),
        ("a space in the path", replaced(b":path", b"/mcp x")),
        ("no leading slash", replaced(b":path", b"mcp")),
        ("dot segments", replaced(b":path", b"/x/../mcp")),
        (
            "an absolute path",
            replaced(b":path", b"https://evil.example/mcp"),
        ),
        ("an empty path", replaced(b":path", b"")),
        ("CONNECT", replaced(b":method", b"CONNECT")),
    ] {
        let outcome = send(&fields).await;
        let seen = secure.upstream.hits();
        table.check(name, seen == 1, || {
            format!("{outcome:?} and forwarded: {:?}", secure.upstream.last())
        });
    }
    drop(table);
    // The parser removes a fragment: the path that is checked and the path that is forwarded are the same.
    send(&replaced(b":path", b"/mcp#x")).await;
    assert!(
        secure
            .upstream
            .seen()
            .iter()
            .all(|request| request.target == "/mcp")
    );
}

#[tokio::test]
async fn attack_095_a_request_pipelined_after_another_is_never_served() {
    // RFC 9112 §9.3.2: a client repeats what was not answered. Bytes after a request are never served here.
    let world = World::start().await;
    let notice = notification("notifications/initialized");
    let good = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", notice.len()),
        &notice,
    );
    let (before, after) = good.split_once("Authorization: ").unwrap();
    let bad = format!("{before}{}", after.split_once("\r\n").unwrap().1);
    let mut hits = 0;
    for (first, status) in [(&good, 202), (&bad, 401)] {
        let mut connection = world.gateway.raw().await;
        connection.send(format!("{first}{bad}{good}{bad}")).await;
        assert_eq!(connection.reply().await.unwrap().status, status);
        assert!(connection.reply().await.is_none(), "a second answer");
        hits += usize::from(status == 202);
        assert_eq!(world.upstream.hits(), hits);
    }
}

#[tokio::test]
async fn attack_344_an_answer_before_the_body_ends_the_connection() {
    let world = World::start().await;
    let body = initialize();
    let length = format!("Content-Length: {}\r\n", body.len());
    let good = with_lines(&world, &length, &body);
    let nobody = world.raw_head().replace("Bearer ", "Bearer not-");
    let host = &world.gateway.config.public;
    let preflight = format!("OPTIONS /mcp HTTP/1.1\r\nHost: {host}\r\n");
    for waiting in [
        format!("{nobody}{length}Expect: 100-continue\r\n\r\n"),
        format!("{preflight}{length}Expect: 100-continue\r\n\r\n"),
    ] {
        let mut connection = world.gateway.raw().await;
        connection.send(&waiting).await;
        let answer = connection.reply().await.unwrap();
        assert_eq!(answer.header("connection"), "close", "{waiting}");
        // The next request of a proxy that shares the connection would be the body.
        connection.send(&good).await;
        assert!(connection.closes(SOON).await, "{waiting}");
    }
    assert_eq!(world.upstream.seen().len(), 0);
    let mut connection = world.gateway.raw().await;
    let expects = with_lines(&world, &format!("{length}Expect: 100-continue\r\n"), "");
    connection.send(&expects).await;
    assert!(connection.brings(b"HTTP/1.1 100 Continue\r\n\r\n").await);
    connection.send(&body).await;
    assert!(connection.reply().await.unwrap().header("connection") != "close");
}
