//! Request states: where the resource seals them, a state is valid only for its call and its caller.

use e2e::client::sse::Events;
use e2e::client::{Call, modern};
use e2e::gateway::config::resource;
use e2e::upstream::{Answer, Recorded, result, with};
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// The upstream's own state: it must never reach a client.
const STATE: &str = "upstream-state: \"asked\" ✓";

/// Requires input once, and accepts its own states.
fn asks(request: &Recorded) -> Answer {
    let message = request.json();
    let answer = match message["params"]["requestState"].as_str() {
        None => {
            json!({ "resultType": "input_required", "requestState": STATE, "inputRequests": {} })
        }
        Some(STATE) => json!({ "resultType": "complete", "content": [] }),
        Some(other) => json!({ "resultType": "complete", "foreign": other }),
    };
    result(&message["id"], answer)
}

async fn world(mode: &str) -> World {
    let world = World::with(|config| {
        let other = resource("/other", &config.upstream(), &["corporate"]);
        config
            .set("/resources/1", other)
            .set("/resources/0/request_state", mode)
            .set("/resources/1/request_state", mode)
    })
    .await;
    world.upstream.script(asks);
    world
}

/// A call of `tool` with these arguments, and what the client adds when it repeats it.
fn call(tool: &str, arguments: Value, state: Option<&str>) -> String {
    let mut params = json!({ "name": tool, "arguments": arguments });
    if let Some(state) = state {
        params["inputResponses"] = json!({ "confirm": { "action": "accept" } });
        params["requestState"] = json!(state);
    }
    modern(7, "tools/call", params)
}

fn send(world: &World, body: String, tool: &str) -> Call {
    world.gateway.post(body).modern("tools/call", Some(tool))
}

fn arguments() -> Value {
    json!({ "to": "bob", "amount": 5 })
}

async fn begin(world: &World, token: &str) -> String {
    let first = send(world, call("pay", arguments(), None), "pay").token(token);
    let reply = world.acceptance(first).await.unwrap().json();
    assert_eq!(reply["result"]["resultType"], "input_required");
    reply["result"]["requestState"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sealed_state_is_valid_for_the_repeated_call() {
    let world = world("seal").await;
    let token = world.reader();
    let sealed = begin(&world, &token).await;
    assert!(!sealed.contains("upstream"), "{sealed}");
    assert_ne!(begin(&world, &token).await, sealed);
    let again = send(&world, call("pay", arguments(), Some(&sealed)), "pay").token(&token);
    let reply = world.acceptance(again).await.unwrap();
    assert_eq!(reply.json()["result"]["content"], json!([]));
    let last = world.upstream.last();
    let expected = call("pay", arguments(), Some(STATE));
    assert_eq!(
        String::from_utf8_lossy(&last.body),
        expected,
        "nothing else changes"
    );
    // The same arguments in another order, with white space.
    let otherwise = call("pay", arguments(), Some(&sealed)).replace(
        r#"{"amount":5,"to":"bob"}"#,
        r#"{ "to" : "b\u006fb" , "amount" : 5 }"#,
    );
    assert!(otherwise.contains("\\u006f"), "{otherwise}");
    let again = send(&world, otherwise, "pay").token(&token);
    let reply = world.acceptance(again).await.unwrap();
    assert_eq!(reply.json()["result"]["content"], json!([]));
}

#[tokio::test]
async fn a_sealed_state_is_refused_for_other_calls_and_callers() {
    let world = world("seal").await;
    let token = world.reader();
    let mallory = world.token().subject("mallory").sign();
    let sealed = begin(&world, &token).await;
    let state = Some(sealed.as_str());
    let eve = json!({ "to": "eve", "amount": 5 });
    let prompt = json!({ "name": "pay", "arguments": arguments(), "requestState": sealed });
    let prompt = world.gateway.post(modern(7, "prompts/get", prompt));
    let rows = [
        (
            "another principal",
            send(&world, call("pay", arguments(), state), "pay").token(&mallory),
        ),
        (
            "other arguments",
            send(&world, call("pay", eve, state), "pay").token(&token),
        ),
        (
            "no arguments",
            send(&world, call("pay", json!({}), state), "pay").token(&token),
        ),
        (
            "another tool",
            send(&world, call("refund", arguments(), state), "refund").token(&token),
        ),
        (
            "another method",
            prompt.modern("prompts/get", Some("pay")).token(&token),
        ),
        (
            "altered",
            send(
                &world,
                call("pay", arguments(), Some(&format!("{sealed}-"))),
                "pay",
            )
            .token(&token),
        ),
        (
            "the upstream's",
            send(&world, call("pay", arguments(), Some(STATE)), "pay").token(&token),
        ),
        (
            "empty",
            send(&world, call("pay", arguments(), Some("")), "pay").token(&token),
        ),
    ];
    let mut table = Table::default();
    for (name, call) in rows {
        if let Some(reply) = table.row(name, world.refusal(call, 400, "request_state").await) {
            table.check(name, reply.rpc_code() == Some(-32602), || reply.text());
        }
    }
    let elsewhere = world.token_for("/other").sign();
    let there = world
        .gateway
        .post_to("/other", call("pay", arguments(), state));
    let there = there.modern("tools/call", Some("pay")).token(&elsewhere);
    table.row(
        "another resource",
        world.refusal(there, 400, "request_state").await,
    );
}

#[tokio::test]
async fn a_state_is_sealed_in_a_stream_too() {
    let world = world("seal").await;
    let token = world.reader();
    let mut feeds = world.upstream.streams("text/event-stream");
    let first = send(&world, call("pay", arguments(), None), "pay").token(&token);
    let mut events = Events::new(first.open().await);
    let feed = feeds.next().await;
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {} });
    feed.event(&progress.to_string());
    assert_eq!(events.data().await, progress.to_string());
    let answer = json!({ "jsonrpc": "2.0", "id": 7, "result": { "requestState": STATE } });
    feed.event(&answer.to_string());
    let event: Value = serde_json::from_str(&events.data().await).unwrap();
    let sealed = event["result"]["requestState"].as_str().unwrap();
    world.upstream.script(asks);
    let again = send(&world, call("pay", arguments(), Some(sealed)), "pay").token(&token);
    let reply = world.acceptance(again).await.unwrap();
    assert_eq!(reply.json()["result"]["content"], json!([]));
}

#[tokio::test]
async fn a_state_too_long_to_be_sealed_is_refused() {
    let world = world("seal").await;
    let token = world.reader();
    let answer = |length: usize| {
        let state = "x".repeat(length);
        let body = json!({ "jsonrpc": "2.0", "id": 7, "result": { "requestState": state } });
        world
            .upstream
            .script(move |_| Answer::Full(with(200, "application/json", body.to_string())));
        send(&world, call("pay", arguments(), None), "pay")
            .token(&token)
            .send()
    };
    assert_eq!(answer(16 * 1024).await.status, 200);
    let reply = answer(16 * 1024 + 1).await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(world.gateway.counted("answer_unreadable", 1.0).await, 1.0);
}

#[tokio::test]
async fn states_pass_unsealed_unless_the_resource_seals_them() {
    let world = World::start().await;
    world.upstream.script(asks);
    let token = world.reader();
    assert_eq!(begin(&world, &token).await, STATE);
    let again = send(&world, call("pay", arguments(), Some(STATE)), "pay").token(&token);
    let reply = world.acceptance(again).await.unwrap();
    assert_eq!(reply.json()["result"]["content"], json!([]));
}
