//! Requests whose framing needs more than bytes to test: time, streams, other limits, and answers. The bytes
//! themselves are in `tests/corpus/http1`.

use std::time::Duration;

use e2e::client::initialize;
use e2e::upstream::{Answer, with};
use e2e::world::World;

/// A raw request with these lines after the head of [`World::raw_head`].
fn with_lines(world: &World, lines: &str, body: &str) -> String {
    format!("{}{lines}\r\n{body}", world.raw_head())
}

#[tokio::test]
async fn a_byte_after_a_request_does_not_stall_its_stream() {
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
async fn the_answer_of_an_upstream_is_framed_again() {
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
