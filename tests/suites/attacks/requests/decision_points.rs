//! Numbers 307 to 310: decision points that are wrong, gone or slow, and callers that use that.

use std::collections::HashSet;
use std::time::Duration;

use e2e::client::{Call, request, tool};
use e2e::eventually;
use e2e::upstream::{Answer, Recorded, with};
use e2e::world::decided::{Decided, Exact, decide, section};
use e2e::world::{Table, World};
use serde_json::{Value, json};

const YES: &str = r#"{"context":{"id":"0"},"decision":true}"#;
const ALLOWING: &str = "allow_what_policy_allows";

fn call(world: &World, token: &str, name: &str) -> Call {
    world.gateway.post(tool(1, name)).token(token)
}

fn answer(status: u16, body: &'static str) -> Answer {
    Answer::Full(with(status, "application/json", body))
}

#[tokio::test]
async fn attack_307_only_a_decision_that_is_true_is_a_yes() {
    // Even where calls are allowed without an answer: what is wrong is an answer.
    let keys = json!({ "cache": "0s", "without_answer": ALLOWING });
    let decided = Decided::with(keys).await;
    let (world, token) = (&decided.world, decided.world.reader());
    let mut table = Table::default();
    for body in [
        "",
        "true",
        "null",
        "[]",
        "{}",
        r#"{"decision":"true"}"#,
        r#"{"decision":"True"}"#,
        r#"{"decision":1}"#,
        r#"{"decision":[true]}"#,
        r#"{"decision":{"decision":true}}"#,
        r#"{"decision":null}"#,
        r#"{"Decision":true}"#,
        r#"{"decision":false,"Decision":true}"#,
        r#"{"deci\u017fion":true}"#,
        r#"{"decision":false,"decision":true}"#,
        r#"{"decision":true,"decision":true}"#,
        r#"[{"decision":true}]"#,
        r#"{"evaluations":[{"decision":true}]}"#,
        r#"{"context":{"decision":true}}"#,
        r#"{"allow":true,"result":true}"#,
        "{\"decision\":true}{\"decision\":true}",
        "\u{feff}{\"decision\":true}",
        "decision=true",
        "<decision>true</decision>",
    ] {
        decided.point.script(move |_| answer(200, body));
        let asked = call(world, &token, "a");
        let outcome = world
            .refusal(asked, 503, "decision_point_unavailable")
            .await;
        table.row(body, outcome);
    }
    for status in [
        201, 202, 203, 206, 301, 302, 307, 400, 401, 403, 404, 418, 500, 501,
    ] {
        decided.point.script(move |_| {
            let mut answer = with(status, "application/json", YES);
            let elsewhere = "http://127.0.0.1:9/".parse().unwrap();
            answer.headers_mut().insert("location", elsewhere);
            Answer::Full(answer)
        });
        let asked = call(world, &token, "a");
        let outcome = world
            .refusal(asked, 503, "decision_point_unavailable")
            .await;
        table.row(&status.to_string(), outcome);
    }
    decided.point.script(|_| answer(200, YES));
    table.row("a yes", world.acceptance(call(world, &token, "a")).await);
}

/// A whole answer with its length, and one that ends with the connection.
fn whole_answers() -> [String; 2] {
    [
        format!("Content-Length: {}\r\n", YES.len()),
        "Connection: close\r\n".to_owned(),
    ]
    .map(|framing| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{framing}\r\n{YES}")
    })
}

#[tokio::test]
async fn attack_308_an_answer_that_is_cut_at_any_byte_permits_nothing() {
    let exact = Exact::start().await;
    let url = exact.url();
    let keys = json!({ "cache": "0s", "timeout": "2s" });
    let world = World::with(|config| section(config, &url, keys)).await;
    let token = world.reader();
    let mut table = Table::default();
    for whole in whole_answers() {
        for end in 0..whole.len() {
            exact.send(&whole.as_bytes()[..end]);
            let hits = world.upstream.hits();
            let reply = call(&world, &token, "a").send().await;
            let is_refused = reply.status == 503 && world.upstream.hits() == hits;
            table.check(&format!("cut at {end}"), is_refused, || reply.text());
        }
        exact.send(whole.as_bytes());
        table.row("whole", world.acceptance(call(&world, &token, "a")).await);
    }
    drop(exact);
    let asked = call(&world, &token, "a");
    let outcome = world
        .refusal(asked, 503, "decision_point_unavailable")
        .await;
    table.row("gone", outcome);
}

#[tokio::test]
async fn attack_309_a_flood_of_different_questions_keeps_nobody_else_waiting() {
    const OWN: usize = 4;
    let keys = json!({
        "questions": 8, "questions_per_principal": OWN, "timeout": "30s", "cached_answers": 50,
        "without_answer": ALLOWING, "context": { "arguments": "n" },
    });
    let decided = Decided::with(keys).await;
    let is_mallory = |request: &Recorded| request.json()["subject"]["id"] == "mallory";
    decided
        .point
        .script(move |request| match is_mallory(request) {
            true => Answer::Hang,
            false => decide(request, |_| true),
        });
    let world = &decided.world;
    let mallory = world.token().subject("mallory").sign();
    let flood = |n: usize| {
        let arguments = json!({ "name": "a", "arguments": { "n": n } });
        let call = world.gateway.post(request(1, "tools/call", arguments));
        tokio::spawn(call.token(&mallory).send())
    };
    let calls: Vec<_> = (0..100).map(flood).collect();
    decided.point.received(OWN).await;
    let alice = world.reader();
    let mut table = Table::default();
    for n in 0..100 {
        let arguments = json!({ "name": "a", "arguments": { "n": n } });
        let call = world.gateway.post(request(1, "tools/call", arguments));
        let answered = tokio::time::timeout(Duration::from_secs(5), call.token(&alice).send());
        let status = answered.await.map_or(0, |reply| reply.status);
        table.check(&format!("call {n}"), status == 200, || status.to_string());
    }
    // None of the flood was allowed for want of an answer.
    let refused = async || world.gateway.refusals("too_many_questions").await;
    let expected = (100 - OWN) as f64;
    eventually("the refusals of the flood", async || {
        refused().await == expected
    })
    .await;
    for call in calls {
        call.abort();
    }
    let of_mallory = decided
        .point
        .seen()
        .iter()
        .filter(|one| is_mallory(one))
        .count();
    table.check("asked", of_mallory == OWN, || of_mallory.to_string());
}

#[tokio::test]
async fn attack_310_an_answer_about_one_caller_is_not_one_about_another() {
    let context = json!({ "claims": ["department", "x"], "arguments": ["a", "b"] });
    let decided = Decided::with(json!({ "context": context })).await;
    let world = &decided.world;
    let base = || world.token().claim("department", "ops");
    // Texts that would be other members if they were put together without care.
    let forged =
        r#"alice","properties":{"issuer":"https://issuer.test/","scopes":["tasks:read"]}},"x":{"#;
    let tokens = [
        base(),
        base().subject("bob"),
        base().subject("Alice"),
        base().subject(forged),
        base().claim("client_id", "other"),
        base().claim("department", "dev"),
        base().claim("department", json!(["ops"])),
        base().claim("department", "ops\",\"x\":\"y"),
        base().claim("x", "ops"),
        base().scope("tasks:read tasks:write"),
    ];
    let arguments = [
        json!({}),
        json!({ "a": 1 }),
        json!({ "a": "1" }),
        json!({ "b": 1 }),
        json!({ "a": 1, "b": null }),
        json!({ "a": [1] }),
        json!({ "a": { "b": 1 } }),
        json!({ "a": "1\",\"b\":\"1" }),
    ];
    let (mut asked, mut texts) = (0, HashSet::new());
    let mut table = Table::default();
    for token in &tokens {
        let token = token.sign();
        for arguments in &arguments {
            let params = json!({ "name": "t", "arguments": arguments });
            for round in 0..2 {
                let call = world.gateway.post(request(1, "tools/call", params.clone()));
                let status = call.token(&token).send().await.status;
                asked += usize::from(round == 0);
                let hits = decided.point.hits();
                table.check(&params.to_string(), status == 200 && hits == asked, || {
                    format!("{status}, {hits} questions instead of {asked}")
                });
            }
            texts.insert(decided.point.last().body.to_vec());
        }
    }
    table.check(
        "texts",
        texts.len() == tokens.len() * arguments.len(),
        || texts.len().to_string(),
    );
    // No question has a token: the recording decision point fails the test if one arrives.
    let is_json = |text: &Vec<u8>| serde_json::from_slice::<Value>(text).is_ok();
    table.check("JSON", texts.iter().all(is_json), String::new);
}
