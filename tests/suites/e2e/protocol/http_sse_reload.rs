//! Reloads while event streams of HTTP+SSE are open: a stream ends where its messages have nowhere to go any more, and no other one notices.

use std::time::Duration;

use e2e::certificates::write_secret;
use e2e::client::list;
use e2e::client::sse::Item;
use e2e::gateway::config::resource;
use e2e::world::World;
use e2e::world::several::Several;
use e2e::world::sse::Stream;
use serde_json::json;

const KEYS: &str = "/sessions/key_files";

/// The stream ends cleanly on both sides, and the log says why.
async fn ends(world: &World, stream: &mut Stream, why: &str) {
    assert_eq!(stream.events.next().await, Item::End);
    stream.feed.gone(Duration::from_secs(1)).await;
    let detail = format!("the stream was ended: {why}");
    world.gateway.logged(&detail).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_resource() {
    let mut world = World::of_sse(|config| {
        let other = resource("/other", &config.upstream(), &["corporate"]);
        config.set("/resources/1", other)
    })
    .await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    stream.ask(&world, &token, list(1)).await;
    let upstream = world.gateway.config.upstream();
    let left = json!([resource("/other", &upstream, &["corporate"])]);
    world.gateway.reload("/resources", left).await;
    ends(&world, &mut stream, "would be refused now: not_found").await;
    let late = stream.message(&world, &token, list(2));
    world.refusal(late, 404, "not_found").await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_resource_has_another_transport() {
    let mut world = World::of_sse(|config| config).await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut stream = world.open_sse(&mut feeds, &token).await;
    world
        .gateway
        .reload("/resources/0/upstream/transport", "streamable_http")
        .await;
    let why = "the resource is not of HTTP+SSE any more (resources.upstream.transport)";
    ends(&world, &mut stream, why).await;
}

#[tokio::test]
async fn a_stream_ends_with_the_key_of_its_messages() {
    let mut world = World::of_sse(|config| {
        for (name, byte) in [("old.key", "5a"), ("new.key", "a5")] {
            write_secret(&config.folder().join(name), byte.repeat(32));
        }
        let old = config.folder().join("old.key");
        config.set(KEYS, json!([old]))
    })
    .await;
    let mut feeds = world.upstream.http_sse();
    let token = world.reader();
    let mut old = world.open_sse(&mut feeds, &token).await;
    let folder = world.gateway.config.folder();
    let (first, second) = (folder.join("new.key"), folder.join("old.key"));
    world.gateway.reload(KEYS, json!([first, second])).await;
    old.ask(&world, &token, list(1)).await;
    let mut new = world.open_sse(&mut feeds, &token).await;
    world.gateway.reload(KEYS, json!([first])).await;
    let why = "the key was removed that opens the session of its messages (sessions.key_files)";
    ends(&world, &mut old, why).await;
    new.ask(&world, &token, list(2)).await;
}

#[tokio::test]
async fn a_stream_ends_with_its_endpoint_and_others_go_on() {
    let (mut several, [mut first, mut second]) = Several::with_streams().await;
    let token = several.token();
    let message = |several: &Several, stream: &Stream| {
        let call = several.gateway.post_to(&stream.location, list(1));
        call.token(&token)
    };
    // Other connections to the same endpoints: nothing ends.
    several.reload("/timeouts/upstream_connect", "7s").await;
    for stream in [&mut first, &mut second] {
        assert_eq!(message(&several, stream).send().await.status, 202);
        assert!(stream.events.data().await.contains("list_tasks"));
    }
    let left = several.upstreams[1].url();
    several
        .reload("/resources/0/upstream/endpoints", json!([left]))
        .await;
    assert_eq!(first.events.next().await, Item::End);
    first.feed.gone(Duration::from_secs(1)).await;
    let detail =
        "the stream was ended: the endpoint of its messages was removed (resources.upstream)";
    several.gateway.logged(detail).await;
    let hits = several.hits();
    let late = message(&several, &first).send().await;
    assert_eq!((late.status, late.rpc_code()), (404, Some(-32001)));
    assert_eq!(several.hits(), hits);
    assert_eq!(message(&several, &second).send().await.status, 202);
    assert!(second.events.data().await.contains("list_tasks"));
}
