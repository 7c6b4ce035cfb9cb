//! Sessions and open streams of several instances: each stays with its own, and ends with it alone.

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, LEGACY};
use e2e::upstream::{Answer, feed, head, sessions};
use e2e::world::several::{SESSION, Several};
use serde_json::json;

fn in_session(several: &Several, session: &str) -> Call {
    let call = several.list().with(SESSION, session);
    call.with("mcp-protocol-version", LEGACY)
}

/// Opens sessions until each of two instances has one, and returns one of each.
async fn one_of_each(several: &Several) -> [String; 2] {
    let mut found = [None, None];
    while found.iter().any(Option::is_none) {
        let before = several.hits();
        let session = several.open().await;
        let after = several.hits();
        let at = (0..2).find(|at| after[*at] > before[*at]).unwrap();
        found[at] = Some(session);
    }
    found.map(Option::unwrap)
}

#[tokio::test]
async fn a_session_stays_with_its_instance_and_ends_with_it_alone() {
    let mut several = Several::start(2, json!({})).await;
    for upstream in &several.upstreams {
        upstream.script(sessions());
    }
    let [first, second] = one_of_each(&several).await;
    let before = several.hits();
    for _ in 0..20 {
        for session in [&first, &second] {
            let reply = in_session(&several, session).send().await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
    assert_eq!(several.hits(), [before[0] + 20, before[1] + 20]);
    several.upstreams[0].stop();
    for _ in 0..10 {
        let reply = in_session(&several, &first).send().await;
        assert_eq!(
            (reply.status, reply.rpc_code()),
            (404, Some(-32001)),
            "{}",
            reply.text()
        );
        assert_eq!(in_session(&several, &second).send().await.status, 200);
    }
    // The client opens another one, which is with the instance that is left.
    let third = several.open().await;
    assert_eq!(in_session(&several, &third).send().await.status, 200);
}

#[tokio::test]
async fn an_instance_that_a_reload_removes_ends_its_calls_by_itself() {
    let mut several = Several::start(2, json!({})).await;
    for upstream in &several.upstreams {
        upstream.script(sessions());
    }
    let [first, second] = one_of_each(&several).await;
    let (feed, body) = feed();
    let body = std::sync::Mutex::new(Some(body));
    several.upstreams[0].script(move |_| {
        let head = head(200, &[("content-type", "text/event-stream")]);
        match body.lock().unwrap().take() {
            Some(body) => Answer::Stream(head, body),
            None => Answer::Drop,
        }
    });
    let opening = tokio::spawn(in_session(&several, &first).open());
    feed.event("first");
    let mut events = Events::new(opening.await.unwrap());
    assert_eq!(events.data().await, "first");
    let left = several.upstreams[1].url();
    several
        .reload("/resources/0/upstream/endpoints", json!([left]))
        .await;
    several.gateway.logged("endpoint removed").await;
    let reply = in_session(&several, &first).send().await;
    assert_eq!((reply.status, reply.rpc_code()), (404, Some(-32001)));
    assert_eq!(in_session(&several, &second).send().await.status, 200);
    feed.event("later");
    assert_eq!(events.data().await, "later");
    drop(feed);
    assert_eq!(events.next().await, Item::End);
    let accepted = several.upstreams[1].accepted();
    in_session(&several, &second).send().await;
    assert_eq!(
        several.upstreams[1].accepted(),
        accepted,
        "its connections are kept"
    );
}
