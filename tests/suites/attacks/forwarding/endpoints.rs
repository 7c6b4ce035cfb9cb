//! Numbers 315, 317, 319, 339 and 340: several instances of one MCP server.

use std::time::Duration;

use e2e::client::{LEGACY, tool};
use e2e::eventually;
use e2e::upstream::{Answer, Recorded, echo, sessions, with};
use e2e::world::Table;
use e2e::world::several::{SESSION, Several};
use serde_json::json;
use tokio::time::sleep;

/// A tool that each instance answers with 503 to every caller, and other calls as one of `others` does.
fn let_creations_fail<S>(several: &Several, others: impl Fn() -> S)
where
    S: Fn(&Recorded) -> Answer + Send + Sync + 'static,
{
    for upstream in &several.upstreams {
        let other = others();
        upstream.script(move |request: &Recorded| {
            match request.json()["params"]["name"] == "create_task" {
                true => Answer::Full(with(503, "application/json", "{}")),
                false => other(request),
            }
        });
    }
}

/// Calls that tool with one token after the other.
async fn create(several: &Several, tokens: &[&str], count: usize) {
    for token in tokens.iter().cycle().take(count) {
        let call = several.gateway.post(tool(3, "create_task")).token(token);
        assert_eq!(call.send().await.status, 503);
    }
}

const EJECTIONS: &str = "mcp_gateway_endpoint_ejections_total";

#[tokio::test]
async fn attack_315_calls_that_make_an_instance_fail_take_no_session_and_not_the_last_instance() {
    let several = Several::start(2, json!({})).await;
    let_creations_fail(&several, sessions);
    let victims = [
        several.open().await,
        several.open().await,
        several.open().await,
    ];
    for _ in 0..60 {
        several.create().send().await;
    }
    let ejected = several
        .metric("mcp_gateway_endpoint_ejections_total", &[])
        .await;
    assert!((ejected - 1.0).abs() < 0.5, "{ejected}");
    for session in &victims {
        let call = several.list().with(SESSION, session);
        let reply = call.with("mcp-protocol-version", LEGACY).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    several.open().await;
}

#[tokio::test]
async fn attack_317_a_session_of_one_instance_reaches_no_other() {
    let mut several = Several::start(3, json!({})).await;
    let mut table = Table::default();
    // The instances give the same ids: only the sealed text says whose session it is.
    for upstream in &several.upstreams {
        upstream.script(sessions());
    }
    let mut opened = Vec::new();
    while !(0..3).all(|at| opened.iter().any(|(_, instance)| *instance == at)) {
        let before = several.hits();
        let session = several.open().await;
        let after = several.hits();
        opened.push((session, (0..3).find(|at| after[*at] > before[*at]).unwrap()));
    }
    for (session, instance) in &opened {
        let before = several.hits();
        let call = several.list().with(SESSION, session);
        let status = call
            .with("mcp-protocol-version", LEGACY)
            .send()
            .await
            .status;
        let mut expected = before.clone();
        expected[*instance] += 1;
        table.check("own", status == 200 && several.hits() == expected, || {
            format!("{status}: {before:?} {:?}", several.hits())
        });
    }
    // Its instance is removed: it is unknown, and nobody is asked.
    let left: Vec<_> = several.upstreams[1..].iter().map(|one| one.url()).collect();
    several
        .reload("/resources/0/upstream/endpoints", left)
        .await;
    let lost = opened.iter().filter(|(_, instance)| *instance == 0);
    for (session, _) in lost {
        let before = several.hits();
        let call = several.list().with(SESSION, session);
        let reply = call.with("mcp-protocol-version", LEGACY).send().await;
        let is_unknown = (reply.status, reply.rpc_code()) == (404, Some(-32001));
        table.check("removed", is_unknown && several.hits() == before, || {
            format!("{} {}", reply.status, reply.text())
        });
    }
}

#[tokio::test]
async fn attack_319_a_call_that_changes_something_is_made_once() {
    let mut several = Several::start(2, json!({ "ejection": { "enabled": false } })).await;
    type Script = fn(&Recorded) -> Answer;
    let failures: [(&str, Script); 5] = [
        ("a connection that is closed", |_| Answer::Drop),
        ("502", |_| Answer::Full(with(502, "", ""))),
        ("503", |_| Answer::Full(with(503, "", ""))),
        ("504", |_| Answer::Full(with(504, "", ""))),
        ("500", |_| Answer::Full(with(500, "", ""))),
    ];
    let mut table = Table::default();
    for (name, script) in failures {
        several.upstreams[0].script(script);
        for _ in 0..10 {
            let before: usize = several.hits().iter().sum();
            several.create().send().await;
            let sent = several.hits().iter().sum::<usize>() - before;
            table.check(name, sent == 1, || format!("sent {sent} times"));
        }
    }
    // Nothing was sent to an instance that is gone: the other one gets the call, once.
    several.upstreams[0].stop();
    // The gateway notices that its kept connections are closed.
    sleep(Duration::from_millis(100)).await;
    several.upstreams[1].script(echo);
    eventually("the first one is tried", async || {
        let before = several.hits()[1];
        let status = several.create().send().await.status;
        assert_eq!((status, several.hits()[1]), (200, before + 1));
        several
            .metric("mcp_gateway_endpoint_retries_total", &[])
            .await
            > 0.5
    })
    .await;
}

#[tokio::test]
async fn attack_339_callers_who_make_instances_fail_have_at_most_half_of_them_left_out() {
    let several = Several::start(4, json!({ "ejection": { "first": "5m" } })).await;
    let_creations_fail(&several, || echo);
    let (one, other) = (several.token_of("mallory"), several.token_of("trudy"));
    create(&several, &[&one, &other], 120).await;
    let ejections = several.metric(EJECTIONS, &[]).await;
    assert!((ejections - 2.0).abs() < 0.5, "{ejections}");
    // Half of the instances serve the others.
    let before = several.hits();
    for _ in 0..40 {
        assert_eq!(several.list().send().await.status, 200);
    }
    let after = several.hits();
    let serving = before.iter().zip(&after);
    assert_eq!(serving.filter(|(before, after)| before < after).count(), 2);
    create(&several, &[&one, &other], 60).await;
    let ejections = several.metric(EJECTIONS, &[]).await;
    assert!((ejections - 2.0).abs() < 0.5, "{ejections}");
}

#[tokio::test]
async fn attack_340_one_caller_alone_has_no_instance_left_out_that_answers_others() {
    let several = Several::start(2, json!({ "ejection": { "within": "2m" } })).await;
    let_creations_fail(&several, || echo);
    eventually("both instances answer a caller", async || {
        assert_eq!(several.list().send().await.status, 200);
        several.hits().iter().all(|hits| *hits > 0)
    })
    .await;
    let (one, other) = (several.token_of("mallory"), several.token_of("trudy"));
    create(&several, &[&one], 60).await;
    let ejections = several.metric(EJECTIONS, &[]).await;
    assert!(ejections < 0.5, "{ejections}");
    // What fails for two callers is more than the calls of one.
    create(&several, &[&one, &other], 60).await;
    let ejections = several.metric(EJECTIONS, &[]).await;
    assert!((ejections - 1.0).abs() < 0.5, "{ejections}");
}
