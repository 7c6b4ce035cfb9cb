//! A decision point after the policy: what it is asked, what its answers do, and what holds without them.

use std::fs;
use std::time::{Duration, Instant};

use e2e::client::{Call, request, tool};
use e2e::upstream::{Answer, feed, head, with};
use e2e::world::Table;
use e2e::world::decided::{Decided, decide};
use e2e::{SOON, eventually};
use serde_json::{Value, json};

const QUESTIONS: &str = "mcp_gateway_decision_point_questions_total";

fn call(decided: &Decided, token: &str, name: &str) -> Call {
    decided.world.gateway.post(tool(1, name)).token(token)
}

async fn status(decided: &Decided, token: &str, name: &str) -> u16 {
    call(decided, token, name).send().await.status
}

#[tokio::test]
async fn a_permitted_call_is_asked_about_and_forwarded_after_a_yes() {
    let context =
        json!({ "claims": ["department"], "arguments": "priority", "client_address": true });
    let decided = Decided::with(json!({ "context": context })).await;
    let world = &decided.world;
    let token = world.token().claim("department", "ops").sign();
    let arguments =
        json!({ "name": "list_tasks", "arguments": { "priority": "high", "other": 1 } });
    let call = world.gateway.post(request(1, "tools/call", arguments));
    world.acceptance(call.token(&token)).await.unwrap();
    let asked = decided.point.last();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.target, "/access/v1/evaluation");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("authorization"), None);
    let question = asked.json();
    let subject = &question["subject"];
    assert_eq!(subject["type"], "user");
    assert_eq!(subject["id"], "alice");
    assert_eq!(
        subject["properties"]["claims"],
        json!({ "department": "ops" })
    );
    assert_eq!(subject["properties"]["scopes"], json!(["tasks:read"]));
    assert_eq!(question["action"], json!({ "name": "tools/call" }));
    assert_eq!(
        question["resource"],
        json!({ "type": "tool", "id": "list_tasks", "properties": { "server": world.gateway.uri("/mcp") } })
    );
    assert_eq!(
        question["context"],
        json!({ "arguments": { "priority": "high" }, "client_address": "127.0.0.1" })
    );
}

#[tokio::test]
async fn a_no_is_a_refusal_and_a_no_of_the_policy_is_asked_about_by_nobody() {
    let decided = Decided::with_config(json!({}), |config| {
        config.set("/audit", json!({ "file": "audit.log" }))
    })
    .await;
    decided
        .point
        .script(|request| decide(request, |question| question["resource"]["id"] != "drop"));
    let world = &decided.world;
    let reader = world.reader();
    for (round, how) in [(1, "says no"), (2, "says no (its cached answer)")] {
        let refused = call(&decided, &reader, "drop");
        let reply = world.refusal(refused, 403, "decision_point_denied").await;
        assert_eq!(reply.unwrap().challenge(), "");
        assert_eq!(decided.point.hits(), 1, "round {round}");
        world
            .gateway
            .logged(&format!("\"detail\":\"the decision point company {how}\""))
            .await;
    }
    world
        .acceptance(call(&decided, &reader, "list"))
        .await
        .unwrap();
    // It lacks the scope.
    let refused = call(&decided, &reader, "create_task");
    world
        .refusal(refused, 403, "insufficient_scope")
        .await
        .unwrap();
    assert_eq!(decided.point.hits(), 2);
    let audit = world.gateway.config.folder().join("audit.log");
    let lines = async || fs::read_to_string(&audit).unwrap_or_default();
    eventually("four audit lines", async || {
        lines().await.lines().count() == 4
    })
    .await;
    let answers: Vec<_> = lines()
        .await
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (
                line["decision_point"].clone(),
                line["decision_point_answer"].clone(),
            )
        })
        .collect();
    let of_company = |answer: &str| (json!("company"), json!(answer));
    let expected = [
        of_company("no"),
        of_company("cached_no"),
        of_company("yes"),
        (Value::Null, Value::Null),
    ];
    assert_eq!(answers, expected);
    let metrics = world.gateway.metrics().await;
    for (outcome, count) in [("yes", 1.0), ("no", 1.0), ("cached", 1.0)] {
        let labels = [("decision_point", "company"), ("outcome", outcome)];
        assert_eq!(metrics.sum(QUESTIONS, &labels), count, "{outcome}");
    }
}

#[tokio::test]
async fn an_answer_holds_for_its_time_and_for_its_principal() {
    let decided = Decided::with(json!({ "cache": "700ms" })).await;
    let alice = decided.world.reader();
    let bob = decided.world.token().subject("bob").sign();
    assert_eq!(status(&decided, &alice, "a").await, 200);
    assert_eq!(status(&decided, &alice, "a").await, 200);
    assert_eq!(decided.point.hits(), 1);
    assert_eq!(status(&decided, &bob, "a").await, 200);
    assert_eq!(status(&decided, &alice, "b").await, 200);
    assert_eq!(decided.point.hits(), 3);
    decided.point.script(|request| decide(request, |_| false));
    eventually("the answer to be asked for again", async || {
        status(&decided, &alice, "a").await == 403
    })
    .await;
    assert_eq!(decided.point.hits(), 4);
}

#[tokio::test]
async fn without_a_cache_every_call_is_asked_about() {
    let decided = Decided::with(json!({ "cache": "0s" })).await;
    let alice = decided.world.reader();
    for count in 1..=3 {
        assert_eq!(status(&decided, &alice, "a").await, 200);
        assert_eq!(decided.point.hits(), count);
    }
}

#[tokio::test]
async fn many_calls_with_one_question_ask_once() {
    let decided = Decided::start().await;
    decided.point.script(|_| Answer::Hang);
    let alice = decided.world.reader();
    let waiting: Vec<_> = (0..20)
        .map(|_| tokio::spawn(call(&decided, &alice, "a").send()))
        .collect();
    decided.point.received(1).await;
    for call in waiting {
        assert_eq!(call.await.unwrap().status, 503);
    }
    // Calls that came after the first answer had failed began again.
    assert!(decided.point.hits() <= 2, "{}", decided.point.hits());
}

/// What a decision point does, and whether it is no answer at all.
type Failing = (&'static str, fn() -> Answer, bool);

fn failures() -> Vec<Failing> {
    vec![
        ("hangs", || Answer::Hang, true),
        ("drops the connection", || Answer::Drop, false),
        ("503", || Answer::Full(with(503, "", "")), true),
        ("429", || Answer::Full(with(429, "", "")), true),
        ("500", || Answer::Full(with(500, "", "")), false),
        ("401", || Answer::Full(with(401, "", "")), false),
        (
            "400",
            || Answer::Full(with(400, "", "{\"decision\":true}")),
            false,
        ),
        (
            "201",
            || Answer::Full(with(201, "", "{\"decision\":true}")),
            false,
        ),
        ("nothing", || Answer::Full(with(200, "", "")), false),
        ("no decision", || Answer::Full(with(200, "", "{}")), false),
        (
            "a text",
            || Answer::Full(with(200, "", "{\"decision\":\"true\"}")),
            false,
        ),
    ]
}

#[tokio::test]
async fn without_an_answer_calls_are_refused_and_nothing_goes_upstream() {
    let decided = Decided::with(json!({ "cache": "1m", "timeout": "300ms" })).await;
    let alice = decided.world.reader();
    let mut table = Table::default();
    for (name, answer, _) in failures() {
        decided.point.script(move |_| answer());
        let refused = call(&decided, &alice, "a");
        let outcome = decided
            .world
            .refusal(refused, 503, "decision_point_unavailable")
            .await;
        table.row(name, outcome);
    }
    decided.point.script(|request| decide(request, |_| true));
    // No failure is cached.
    let outcome = decided.world.acceptance(call(&decided, &alice, "a")).await;
    table.row("afterwards", outcome);
    let metrics = decided.world.gateway.metrics().await;
    for (outcome, count) in [("no_answer", 3.0), ("wrong_answer", 8.0)] {
        let labels = [("decision_point", "company"), ("outcome", outcome)];
        let counted = metrics.sum(QUESTIONS, &labels);
        table.check(outcome, counted == count, || counted.to_string());
    }
}

/// An answer whose body comes byte by byte, in two seconds and more.
fn dripping() -> Answer {
    const YES: &str = r#"{"context":{"id":"0"},"decision":true}"#;
    let (feed, body) = feed();
    tokio::spawn(async move {
        for byte in YES.bytes() {
            feed.send(vec![byte]);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    });
    Answer::Stream(head(200, &[("content-type", "application/json")]), body)
}

#[tokio::test]
async fn an_answer_that_comes_too_slowly_is_no_answer_at_the_deadline() {
    let decided = Decided::with(json!({ "timeout": "300ms" })).await;
    let alice = decided.world.reader();
    let slow: [fn() -> Answer; 2] = [dripping, || Answer::Hang];
    for slow in slow {
        decided.point.script(move |_| slow());
        let begun = Instant::now();
        let asked = call(&decided, &alice, "a");
        let refused = (decided.world).refusal(asked, 503, "decision_point_unavailable");
        refused.await.unwrap();
        let taken = begun.elapsed();
        let expected = Duration::from_millis(300)..Duration::from_millis(1800);
        assert!(expected.contains(&taken), "{taken:?}");
    }
    let line = decided.world.gateway.logged("no answer within 300ms").await;
    assert!(line.contains("decision_points.*.timeout"), "{line}");
}

#[tokio::test]
async fn where_the_configuration_says_so_calls_are_allowed_without_an_answer_and_not_after_a_wrong_one()
 {
    let keys = json!({ "timeout": "300ms", "without_answer": "allow_what_policy_allows" });
    let decided = Decided::with(keys).await;
    let (alice, world) = (decided.world.reader(), &decided.world);
    let mut table = Table::default();
    for (name, answer, is_none) in failures() {
        decided.point.script(move |_| answer());
        let asked = call(&decided, &alice, "a");
        match is_none {
            true => drop(table.row(name, world.acceptance(asked).await)),
            false => {
                let outcome = world
                    .refusal(asked, 503, "decision_point_unavailable")
                    .await;
                table.row(name, outcome);
            }
        }
    }
    let refused = call(&decided, &alice, "create_task");
    let outcome = world.refusal(refused, 403, "insufficient_scope").await;
    table.row("what the policy refuses", outcome);
    let line = world
        .gateway
        .logged("calls are allowed without an answer of the decision point")
        .await;
    table.check("a line", line.contains("company"), || line.clone());
}

#[tokio::test]
async fn a_decision_point_that_is_gone_and_returns_is_asked_again() {
    let mut decided = Decided::start().await;
    let alice = decided.world.reader();
    assert_eq!(status(&decided, &alice, "a").await, 200);
    decided.point.stop();
    // What it has said holds.
    assert_eq!(status(&decided, &alice, "a").await, 200);
    let refused = call(&decided, &alice, "b");
    let reply = decided
        .world
        .refusal(refused, 503, "decision_point_unavailable")
        .await;
    assert_eq!(reply.unwrap().header("retry-after"), "1");
    decided.point.resume().await;
    assert_eq!(status(&decided, &alice, "b").await, 200);
}

#[tokio::test]
async fn the_gateway_proves_who_it_is_with_a_token_or_a_password_that_change_with_their_files() {
    for (key, first, second, headers) in [
        (
            "bearer_file",
            "first-token",
            "second-token",
            ["Bearer first-token", "Bearer second-token"],
        ),
        (
            "credentials_file",
            "gateway:first",
            "gateway:second",
            ["Basic Z2F0ZXdheTpmaXJzdA==", "Basic Z2F0ZXdheTpzZWNvbmQ="],
        ),
    ] {
        let decided =
            Decided::with_config(json!({ key: "point.secret", "cache": "0s" }), |config| {
                secret(&config.write("point.secret", first));
                config
            })
            .await;
        let alice = decided.world.reader();
        headers
            .iter()
            .for_each(|value| decided.point.has_credential(value));
        assert_eq!(status(&decided, &alice, "a").await, 200);
        assert_eq!(
            decided.point.last().header("authorization"),
            Some(headers[0])
        );
        let path = decided.world.gateway.config.write("new.secret", second);
        secret(&path);
        fs::rename(&path, path.with_file_name("point.secret")).unwrap();
        eventually("the new credential", async || {
            status(&decided, &alice, "a").await;
            decided.point.last().header("authorization") == Some(headers[1])
        })
        .await;
    }
}

fn secret(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn one_subject_does_not_take_the_places_of_others() {
    let keys = json!({ "questions": 4, "questions_per_principal": 2, "timeout": "20s" });
    let decided = Decided::with(keys).await;
    decided
        .point
        .script(|request| match questions_of(request) == "alice" {
            true => Answer::Hang,
            false => decide(request, |_| true),
        });
    let alice = decided.world.reader();
    let bob = decided.world.token().subject("bob").sign();
    let held: Vec<_> = ["a", "b"]
        .map(|name| tokio::spawn(call(&decided, &alice, name).send()))
        .into();
    decided.point.received(2).await;
    let third = call(&decided, &alice, "c");
    let outcome = decided
        .world
        .refusal(third, 429, "too_many_questions")
        .await;
    assert_eq!(outcome.unwrap().rpc_code(), Some(429));
    let answered = tokio::time::timeout(SOON, call(&decided, &bob, "a").send());
    assert_eq!(answered.await.unwrap().status, 200);
    for call in held {
        call.abort();
    }
}

fn questions_of(request: &e2e::upstream::Recorded) -> String {
    let subject = &request.json()["subject"]["id"];
    subject.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_reload_keeps_the_answers_of_an_unchanged_point_and_none_of_a_changed_one() {
    let decided = Decided::start().await;
    let (alice, gateway) = (decided.world.reader(), &decided.world.gateway);
    assert_eq!(status(&decided, &alice, "a").await, 200);
    gateway.config.clone().set("/log/level", "info").file();
    gateway.logged("configuration reloaded").await;
    assert_eq!(status(&decided, &alice, "a").await, 200);
    assert_eq!(decided.point.hits(), 1);
    let changed = gateway.config.clone().set("/log/level", "info");
    changed.set("/decision_points/company/cache", "30s").file();
    eventually("the point to be asked again", async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(status(&decided, &alice, "a").await, 200);
        decided.point.hits() == 2
    })
    .await;
}
