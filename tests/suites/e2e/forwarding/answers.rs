//! Answers of upstreams that are not what was hoped for: redirects and refusals, which the access log explains, and bodies that
//! are compressed though nothing was asked for.

use std::io::Write;

use bytes::Bytes;
use e2e::client::{Call, Reply, initialize, request};
use e2e::upstream::{Answer, Chunk, Recorded, head, steps, with};
use e2e::world::{Table, World};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

const TOOLS: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"list_tasks"},{"name":"wipe"}]}}"#;
const HIDDEN: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"list_tasks"}],"cacheScope":"private"}}"#;

/// The access line of the last request, as JSON.
async fn line(world: &World) -> Value {
    let lines = world.gateway.log_lines().await;
    let mut lines = lines.into_iter().rev();
    lines
        .find(|line| line["http_method"].is_string())
        .expect("an access line")
}

/// Sends a call whose answer is refused with 502 and this reason.
async fn refused(world: &World, call: Call, reason: &str) -> Result<Reply, String> {
    let reply = call.send().await;
    let error = reply.json()["error"].clone();
    match reply.status == 502 && error == reason {
        true => Ok(reply),
        false => Err(format!(
            "{} {error} {:?}",
            reply.status,
            world.upstream.last()
        )),
    }
}

fn list(world: &World) -> Call {
    let message = request(1, "tools/list", json!({}));
    world.gateway.post(message).token(&world.reader())
}

fn answers(world: &World, status: u16, headers: &'static [(&str, &str)], body: impl Into<Bytes>) {
    let body = body.into();
    world.upstream.script(move |_| {
        let mut answer = with(status, "", body.clone());
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        Answer::Full(answer)
    });
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_log_says_what_to_write() {
    let world = World::start().await;
    let mut table = Table::default();
    let address = world.upstream.address();
    for status in [300, 301, 302, 303, 307, 308] {
        for location in [
            "/mcp/".to_owned(),
            format!("http://{address}/mcp/?next=secret"),
        ] {
            let name = format!("{status} {location}");
            world.upstream.script(move |_| {
                let mut answer = with(status, "text/plain", "moved");
                let headers = answer.headers_mut();
                headers.insert("location", location.parse().unwrap());
                Answer::Full(answer)
            });
            let outcome = refused(
                &world,
                world.gateway.post(initialize()).token(&world.reader()),
                "upstream_redirect",
            );
            let reply = table.row(&name, outcome.await);
            table.check(
                &name,
                reply.is_some_and(|reply| !reply.text().contains("mcp/")),
                || "the client learns the location".to_owned(),
            );
            let detail = line(&world).await["detail"].clone();
            let detail = detail.as_str().unwrap_or_default();
            let found = format!("the MCP server answered {status} with Location ");
            let instead = format!("write resources.upstream.url: http://{address}/mcp/");
            let says = detail.contains(&found) && detail.contains(&instead);
            table.check(&name, says && !detail.contains("secret"), || {
                detail.to_owned()
            });
        }
    }
    let metrics = world.gateway.metrics().await;
    let kind = [("kind", "redirect")];
    assert_eq!(
        metrics.sum("mcp_gateway_upstream_errors_total", &kind),
        12.0
    );
}

#[tokio::test]
async fn a_redirect_without_a_usable_location_is_named_too() {
    let world = World::start().await;
    for (headers, expected) in [
        (&[][..], "302 without Location"),
        (&[("location", "http://[")], "set resources.upstream.url"),
        (&[("location", "/mcp")], "leads back to the same URL"),
    ] {
        answers(&world, 302, headers, "");
        let call = world.gateway.post(initialize()).token(&world.reader());
        refused(&world, call, "upstream_redirect").await.unwrap();
        let line = line(&world).await;
        assert!(
            line["detail"].as_str().unwrap().contains(expected),
            "{line}"
        );
    }
}

#[tokio::test]
async fn an_error_of_the_upstream_is_forwarded_and_named() {
    let world = World::start().await;
    let host = world.upstream.address().to_string();
    for (status, content_type, expected) in [
        (
            421,
            "text/plain",
            format!("421: it may refuse the Host that it was sent, {host}"),
        ),
        (403, "text/plain", "set resources.upstream.host".to_owned()),
        (400, "text/plain", "set resources.upstream.host".to_owned()),
        (400, "application/json", "answered 400".to_owned()),
        (404, "application/json", "404 at /mcp: the path".to_owned()),
        (405, "application/json", "405 to POST".to_owned()),
        (503, "text/html", "answered 503".to_owned()),
    ] {
        world
            .upstream
            .script(move |_| Answer::Full(with(status, content_type, "Invalid Host header")));
        let reply = list(&world).send().await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.text(), "Invalid Host header");
        let line = line(&world).await;
        let detail = line["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(&expected), "{status}: {line}");
        assert!(line["reason"].is_null(), "{line}");
        assert_eq!(
            detail.contains("upstream.host"),
            expected.contains("ost"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn an_upstream_that_wants_credentials_is_explained() {
    let world = World::start().await;
    for (status, name, expected) in [
        (
            401,
            "www-authenticate",
            "answered 401 (www-authenticate: Basic realm=",
        ),
        (
            407,
            "proxy-authenticate",
            "answered 407 (proxy-authenticate: Basic realm=",
        ),
    ] {
        world.upstream.script(move |_| {
            let mut answer = with(status, "text/plain", "");
            let value = "Basic realm=x".parse().unwrap();
            answer.headers_mut().insert(name, value);
            Answer::Full(answer)
        });
        refused(&world, list(&world), "upstream_auth")
            .await
            .unwrap();
        let line = line(&world).await;
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{detail}");
        assert!(detail.contains("resources.upstream.headers"), "{detail}");
    }
}

fn gzip(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn deflated(data: &str, is_raw: bool) -> Vec<u8> {
    let (mut raw, mut zlib) = (
        DeflateEncoder::new(Vec::new(), Compression::default()),
        ZlibEncoder::new(Vec::new(), Compression::default()),
    );
    raw.write_all(data.as_bytes()).unwrap();
    zlib.write_all(data.as_bytes()).unwrap();
    match is_raw {
        true => raw.finish().unwrap(),
        false => zlib.finish().unwrap(),
    }
}

/// A resource whose lists are filtered.
async fn filtering() -> World {
    World::with(|config| {
        config
            .set("/limits/answer_bytes", "64KiB")
            .set("/resources/0/policy/hide", "denied")
            .set(
                "/resources/0/policy/rules/0",
                json!({ "method": "tools/call", "name": "wipe", "deny": "no" }),
            )
    })
    .await
}

#[tokio::test]
async fn a_compressed_list_is_decoded_and_filtered() {
    let world = filtering().await;
    let mut table = Table::default();
    let events = format!("data: {TOOLS}\n\n");
    let (json, stream) = ("application/json", "text/event-stream");
    for (coding, content_type, body) in [
        ("gzip", json, gzip(TOOLS)),
        ("x-gzip", json, gzip(TOOLS)),
        ("GZIP", json, gzip(TOOLS)),
        ("deflate", json, deflated(TOOLS, false)),
        ("deflate", json, deflated(TOOLS, true)),
        ("gzip", stream, gzip(&events)),
        ("deflate", stream, deflated(&events, false)),
    ] {
        world.upstream.script(move |request: &Recorded| {
            assert_eq!(request.header("accept-encoding"), Some("identity"));
            let mut answer = with(200, content_type, body.clone());
            let headers = answer.headers_mut();
            headers.insert("content-encoding", coding.parse().unwrap());
            Answer::Full(answer)
        });
        for accepted in [None, Some("gzip, deflate, br")] {
            let call = match accepted {
                Some(accepted) => list(&world).with("accept-encoding", accepted),
                None => list(&world),
            };
            let name = format!("{coding} {content_type} {accepted:?}");
            let reply = table.row(&name, world.acceptance(call).await);
            let Some(reply) = reply else { continue };
            let text = reply.text();
            let expected = match content_type == json {
                true => HIDDEN.to_owned(),
                false => format!("data: {HIDDEN}\n\n"),
            };
            table.check(&name, text == expected, || text.clone());
            table.check(
                &name,
                !reply.headers.contains_key("content-encoding"),
                || format!("{:?}", reply.headers),
            );
        }
    }
}

#[tokio::test]
async fn events_of_a_compressed_stream_arrive_one_by_one() {
    let world = World::start().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let (feed, chunks) = e2e::upstream::feed();
    let chunks = std::sync::Mutex::new(Some(chunks));
    world.upstream.script(move |_| {
        let headers = [
            ("content-type", "text/event-stream"),
            ("content-encoding", "gzip"),
        ];
        Answer::Stream(head(200, &headers), chunks.lock().unwrap().take().unwrap())
    });
    let call = world.gateway.post(initialize()).token(&world.reader());
    let call = call.with("accept-encoding", "gzip");
    let opened = tokio::spawn(call.open());
    world.upstream.received(1).await;
    let mut answer = None;
    let mut opened = Some(opened);
    for number in 0..3 {
        let event = format!("data: {number}\n\n");
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        feed.send(std::mem::take(encoder.get_mut()));
        if let Some(opened) = opened.take() {
            answer = Some(opened.await.unwrap());
        }
        let answer = answer.as_mut().unwrap();
        assert!(!answer.headers().contains_key("content-encoding"));
        let part = tokio::time::timeout(e2e::SOON, answer.chunk()).await;
        assert_eq!(part.unwrap().unwrap().unwrap(), event);
    }
    feed.send(encoder.finish().unwrap());
    drop(feed);
    assert_eq!(answer.unwrap().text().await.unwrap(), "");
}

#[tokio::test]
async fn a_bomb_meets_the_limit_on_answers() {
    let world = filtering().await;
    let body = gzip(vec![b' '; 8 << 20]);
    assert!(body.len() < 16 << 10);
    world.upstream.script(move |_| {
        let mut answer = with(200, "application/json", body.clone());
        let headers = answer.headers_mut();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        Answer::Full(answer)
    });
    refused(&world, list(&world), "answer_too_large")
        .await
        .unwrap();
    let line = line(&world).await;
    assert!(
        line["detail"]
            .as_str()
            .unwrap()
            .contains("limits.answer_bytes"),
        "{line}"
    );
}

#[tokio::test]
async fn a_coding_that_cannot_be_decoded_is_named() {
    let world = filtering().await;
    let mut table = Table::default();
    for (coding, body, expected) in [
        ("br", Bytes::from_static(b"x"), "Content-Encoding br"),
        ("zstd", Bytes::from_static(b"x"), "Content-Encoding zstd"),
        (
            "gzip, br",
            Bytes::from_static(b"x"),
            "Content-Encoding gzip, br",
        ),
        (
            "gzip",
            Bytes::from_static(TOOLS.as_bytes()),
            "does not begin",
        ),
        (
            "gzip",
            gzip(TOOLS)[..30].to_vec().into(),
            "before it is complete",
        ),
    ] {
        world.upstream.script(move |_| {
            let mut answer = with(200, "application/json", body.clone());
            let headers = answer.headers_mut();
            headers.insert("content-encoding", coding.parse().unwrap());
            Answer::Full(answer)
        });
        let outcome = refused(&world, list(&world), "upstream_encoding").await;
        table.row(coding, outcome);
        let line = line(&world).await;
        let detail = line["detail"].as_str().unwrap_or_default();
        table.check(coding, detail.contains(expected), || detail.to_owned());
    }
}

#[tokio::test]
async fn what_need_not_be_read_is_forwarded_as_the_client_accepts_it() {
    let world = World::start().await;
    let mut table = Table::default();
    let body = gzip("{}");
    for (coding, accepted, expected) in [
        ("gzip", Some("gzip"), Some("gzip")),
        ("gzip", None, None),
        ("gzip", Some("identity"), None),
        ("gzip", Some("gzip;q=0"), None),
        ("br", Some("br"), Some("br")),
    ] {
        for status in [200, 500] {
            let body = body.clone();
            world.upstream.script(move |_| {
                let mut answer = with(status, "application/json", body.clone());
                let headers = answer.headers_mut();
                headers.insert("content-encoding", coding.parse().unwrap());
                Answer::Full(answer)
            });
            let call = match accepted {
                Some(accepted) => list(&world).with("accept-encoding", accepted),
                None => list(&world),
            };
            let name = format!("{coding} {accepted:?} {status}");
            let reply = call.send().await;
            let sent = reply.headers.get("content-encoding");
            let sent = sent.map(|value| value.to_str().unwrap());
            let is_right = match expected {
                Some(_) => reply.body == self::gzip("{}"),
                None => reply.text() == "{}",
            };
            table.check(
                &name,
                reply.status == status && sent == expected && is_right,
                || format!("{reply:?}"),
            );
        }
    }
    answers(
        &world,
        200,
        &[
            ("content-encoding", "br"),
            ("content-type", "application/json"),
        ],
        "x",
    );
    let call = list(&world).with("accept-encoding", "gzip");
    let outcome = refused(&world, call, "upstream_encoding").await;
    table.row("br for a client that reads gzip", outcome);
}

#[tokio::test]
async fn a_compressed_stream_that_breaks_off_ends_visibly_incomplete() {
    let world = World::start().await;
    let encoded = gzip("data: 1\n\n");
    let cut: Bytes = encoded[..encoded.len() - 4].to_vec().into();
    world.upstream.script(move |_| {
        let headers = [
            ("content-type", "text/event-stream"),
            ("content-encoding", "gzip"),
        ];
        Answer::Stream(head(200, &headers), steps([Chunk::Data(cut.clone())]))
    });
    let answer = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .open()
        .await;
    assert!(answer.text().await.is_err());
    let line = world.gateway.logged("ends before it is complete").await;
    assert!(line.contains("\"broken_by\":\"gateway\""), "{line}");
}
