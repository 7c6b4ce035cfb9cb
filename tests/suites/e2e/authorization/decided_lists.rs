//! Lists and open streams of a resource with a decision point: entries that it refuses are hidden, all of them asked about in one
//! call, and a stream ends when it says no.

use std::time::{Duration, Instant};

use e2e::SOON;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, request, tool};
use e2e::eventually;
use e2e::upstream::{Answer, Chunk, feed, head, steps, with};
use e2e::world::decided::{Decided, decide, questions};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A list with spaces and a number that would change if the document were written again.
const TOOLS: &str = r#"{"jsonrpc": "2.0", "id":1,"result": {"tools":[ {"name":"list","n":1.50e0} , {"name":"create_task"},{"name":"wipe"} , {"name":"list"} ] } }"#;
/// What a reader sees of it: the policy hides `create_task`, the decision point `wipe`.
const SHOWN: &str = r#"{"jsonrpc": "2.0", "id":1,"result": {"tools":[ {"name":"list","n":1.50e0} , {"name":"list"} ],"cacheScope":"private" } }"#;
const HIDDEN: &str = "mcp_gateway_list_entries_hidden_total";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

async fn hiding(keys: Value) -> Decided {
    let decided = Decided::with_config(keys, |config| {
        config.set("/resources/0/policy/hide", "unusable")
    })
    .await;
    decided.point.script(|request| decide(request, is_allowed));
    decided
}

fn is_allowed(question: &Value) -> bool {
    question["resource"]["id"] != "wipe"
}

fn list(decided: &Decided) -> Call {
    let message = request(1, "tools/list", json!({}));
    let gateway = &decided.world.gateway;
    gateway.post(message).token(&decided.world.reader())
}

fn answers(decided: &Decided, content_type: &'static str, body: impl Into<String>) {
    let body = body.into();
    (decided.world.upstream).script(move |_| Answer::Full(with(200, content_type, body.clone())));
}

fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

#[tokio::test]
async fn entries_that_the_decision_point_refuses_are_hidden_and_asked_about_in_one_call() {
    let decided = hiding(json!({})).await;
    answers(&decided, JSON, TOOLS);
    let reply = decided.world.acceptance(list(&decided)).await.unwrap();
    assert_eq!(reply.text(), SHOWN);
    // One about the list itself, one about its entries: each name once, none that the policy hides.
    let asked = decided.point.seen();
    let targets: Vec<_> = asked.iter().map(|one| one.target.as_str()).collect();
    assert_eq!(targets, ["/access/v1/evaluation", "/access/v1/evaluations"]);
    let names: Vec<_> = (questions(&asked[1]).iter())
        .map(|one| (one["action"]["name"].clone(), one["resource"]["id"].clone()))
        .collect();
    let call = |name: &str| (json!("tools/call"), json!(name));
    assert_eq!(names, [call("list"), call("wipe")]);
    let metrics = decided.world.gateway.metrics().await;
    assert_eq!(metrics.sum(HIDDEN, &[("kind", "tools")]), 2.0);
    // All of it holds for the next list, and an entry's answer for a call of it.
    let reply = decided.world.acceptance(list(&decided)).await.unwrap();
    assert_eq!(reply.text(), SHOWN);
    let token = decided.world.reader();
    let called = decided.world.gateway.post(tool(1, "wipe")).token(&token);
    let refused = decided.world.refusal(called, 403, "decision_point_denied");
    refused.await.unwrap();
    assert_eq!(decided.point.hits(), 2);
}

#[tokio::test]
async fn lists_in_events_wait_for_the_answer_and_keep_their_order() {
    let decided = hiding(json!({ "cache": "0s" })).await;
    let other = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1.50e0}}"#;
    let text = [event(other), event(TOOLS), event(other)].concat();
    let shown = [event(other), event(SHOWN), event(other)].concat();
    for size in [1, 7, text.len()] {
        let pieces: Vec<_> = (text.as_bytes().chunks(size))
            .map(|piece| Chunk::Data(piece.to_vec().into()))
            .collect();
        let pieces = std::sync::Mutex::new(Some(pieces));
        decided.world.upstream.script(move |_| {
            let body = steps(pieces.lock().unwrap().take().unwrap_or_default());
            Answer::Stream(head(200, &[("content-type", EVENTS)]), body)
        });
        let reply = decided.world.acceptance(list(&decided)).await.unwrap();
        assert_eq!(reply.text(), shown, "{size}");
    }
    // The last event may have no blank line after it.
    let unfinished = event(TOOLS).trim_end().to_owned();
    answers(&decided, EVENTS, unfinished);
    let reply = decided.world.acceptance(list(&decided)).await.unwrap();
    assert_eq!(reply.text().trim_end(), event(SHOWN).trim_end());
}

#[tokio::test]
async fn a_batch_and_a_long_list_are_asked_about_in_parts_of_the_configured_size() {
    let decided = hiding(json!({ "batch": 3 })).await;
    let tools: Vec<_> = (0..10)
        .map(|n| json!({ "name": if n == 8 { "wipe".to_owned() } else { format!("t{n}") } }))
        .collect();
    let whole = json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } });
    answers(&decided, JSON, whole.to_string());
    let reply = decided.world.acceptance(list(&decided)).await.unwrap();
    assert_eq!(reply.json()["result"]["tools"].as_array().unwrap().len(), 9);
    let sizes: Vec<_> = (decided.point.seen().iter())
        .map(|one| questions(one).len())
        .collect();
    assert_eq!(sizes, [1, 3, 3, 3, 1]);
}

#[tokio::test]
async fn without_an_answer_about_its_entries_a_list_is_refused() {
    let decided = hiding(json!({})).await;
    answers(&decided, JSON, TOOLS);
    for answer in [
        r#"{"evaluations":[{"decision":true}]}"#,
        r#"{"evaluations":[{"decision":true},{"decision":"true"}]}"#,
        r#"{"decision":true}"#,
        "",
    ] {
        decided
            .point
            .script(move |request| match request.target.ends_with('s') {
                true => Answer::Full(with(200, JSON, answer)),
                false => decide(request, |_| true),
            });
        let reply = list(&decided).send().await;
        assert_eq!(reply.status, 503, "{answer}: {}", reply.text());
        assert_eq!(reply.header("retry-after"), "1");
        assert!(!reply.text().contains("wipe"));
    }
    // In a stream the head has been sent: it ends visibly incomplete.
    answers(&decided, EVENTS, event(TOOLS));
    let mut events = Events::new(list(&decided).open().await);
    assert!(
        matches!(events.next().await, Item::Broken | Item::End),
        "no list"
    );
    decided.world.gateway.logged("asked about a list").await;
}

#[tokio::test]
async fn the_answers_about_one_list_have_a_deadline_together() {
    const EACH: Duration = Duration::from_millis(200);
    // Without an answer calls are allowed; but there is an answer to each question.
    let decided = hiding(json!({
        "batch": 1, "timeout": "400ms", "total_timeout": "800ms", "cache": "0s",
        "without_answer": "allow_what_policy_allows",
    }))
    .await;
    let tools: Vec<_> = (0..20)
        .map(|n| json!({ "name": format!("t{n}") }))
        .collect();
    let whole = json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } });
    answers(&decided, JSON, whole.to_string());
    decided.point.script(|_| {
        let (feed, body) = feed();
        tokio::spawn(async move {
            tokio::time::sleep(EACH).await;
            feed.send(r#"{"decision":true}"#);
        });
        Answer::Stream(head(200, &[("content-type", JSON)]), body)
    });
    let begun = Instant::now();
    let reply = list(&decided).send().await;
    let taken = begun.elapsed();
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(!reply.text().contains("t1"), "{}", reply.text());
    // The question about the list itself comes before.
    let expected = 4 * EACH..20 * EACH;
    assert!(expected.contains(&taken), "{taken:?}");
    let asked = decided.point.hits();
    assert!((3..=8).contains(&asked), "{asked} questions");
    let line = decided
        .world
        .gateway
        .logged("not all answers within 800ms")
        .await;
    assert!(line.contains("decision_points.*.total_timeout"), "{line}");
}

#[tokio::test]
async fn lists_are_not_asked_about_where_nothing_is_hidden() {
    let decided = Decided::start().await;
    answers(&decided, JSON, TOOLS);
    let reply = decided.world.acceptance(list(&decided)).await.unwrap();
    assert_eq!(reply.text(), TOOLS);
    assert_eq!(decided.point.hits(), 1);
}

fn subscribe(decided: &Decided) -> Call {
    let params = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
    let body = request(1, "subscriptions/listen", params);
    let call = decided.world.gateway.post(body);
    let call = call.token(&decided.world.reader());
    call.modern("subscriptions/listen", None)
}

async fn ends(events: &mut Events) -> bool {
    let ended = async {
        loop {
            if !matches!(events.next().await, Item::Event(_) | Item::Comment(_)) {
                return;
            }
        }
    };
    timeout(SOON, ended).await.is_ok()
}

#[tokio::test]
async fn an_open_stream_is_asked_about_again_and_ends_with_a_no() {
    let decided = Decided::with(json!({ "cache": "1s" })).await;
    let mut feeds = decided.world.upstream.streams(EVENTS);
    let opening = tokio::spawn(subscribe(&decided).open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(opening.await.unwrap());
    assert_eq!(events.data().await, "first");
    decided.point.received(3).await;
    feed.event("second");
    assert_eq!(events.data().await, "second");
    decided.point.script(|request| decide(request, |_| false));
    assert!(ends(&mut events).await, "the stream is open");
    let line = decided.world.gateway.logged("the stream was ended").await;
    assert!(line.contains("decision_point_denied"), "{line}");
}

#[tokio::test]
async fn an_open_stream_survives_a_moment_without_an_answer_and_no_more_than_that() {
    let mut decided = Decided::with(json!({ "cache": "2s", "timeout": "200ms" })).await;
    let mut feeds = decided.world.upstream.streams(EVENTS);
    let opening = tokio::spawn(subscribe(&decided).open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(opening.await.unwrap());
    assert_eq!(events.data().await, "first");
    decided.point.stop();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    feed.event("second");
    assert_eq!(events.data().await, "second");
    let hits = decided.point.hits();
    decided.point.resume().await;
    eventually("another question", async || decided.point.hits() > hits).await;
    decided.point.stop();
    // A stream that never pauses ends too.
    let busy = tokio::spawn(async move {
        while !feed.is_gone() {
            feed.event("more");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    assert!(ends(&mut events).await, "the stream is open");
    let line = decided.world.gateway.logged("the stream was ended").await;
    assert!(line.contains("decision_point_unavailable"), "{line}");
    busy.abort();
}
