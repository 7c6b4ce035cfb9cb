//! Calls to several instances: how they are spread, and what happens to them when an instance fails.

use std::cell::RefCell;
use std::time::Duration;

use e2e::client::LEGACY;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::upstream::{Answer, Chunk, Recorded, Upstream, echo, head, sessions, steps, with};
use e2e::world::several::{SESSION, Several};
use serde_json::json;
use test_support::{Key, Token};
use tokio::time::{Instant, sleep};

fn answers(status: u16) -> impl Fn(&Recorded) -> Answer + Send + Sync {
    move |_| Answer::Full(with(status, "application/json", "{}"))
}

/// Sends calls one after the other, and returns their statuses without repetitions.
async fn statuses(count: usize, call: impl Fn() -> e2e::client::Call) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(call().send().await.status);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

#[tokio::test]
async fn calls_go_to_every_instance() {
    let several = Several::start(3, json!({})).await;
    assert_eq!(statuses(60, || several.list()).await, [200]);
    let hits = several.hits();
    assert!(hits.iter().all(|hits| *hits > 5), "{hits:?}");
    assert_eq!(hits.iter().sum::<usize>(), 60);
    for upstream in &several.upstreams {
        let labels = [
            ("endpoint", upstream.url()),
            ("outcome", "answered".to_owned()),
        ];
        let labels = labels
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let counted = several
            .metric("mcp_gateway_endpoint_calls_total", &labels)
            .await;
        assert!((counted - upstream.hits() as f64).abs() < 0.5, "{counted}");
    }
}

#[tokio::test]
async fn an_instance_that_dies_costs_no_call_and_gets_none_until_it_is_back() {
    let mut several = Several::start(2, json!({ "ejection": { "first": "3s" } })).await;
    several.upstreams[0].stop();
    assert_eq!(statuses(40, || several.create()).await, [200]);
    assert_eq!(several.hits()[1], 40, "each of them once");
    several.gateway.logged("endpoint ejected").await;
    let retries = several
        .metric("mcp_gateway_endpoint_retries_total", &[])
        .await;
    assert!((5.0..10.0).contains(&retries), "{retries}");
    let ejections = several
        .metric("mcp_gateway_endpoint_ejections_total", &[])
        .await;
    assert!((ejections - 1.0).abs() < 0.5, "{ejections}");
    let usable = several.metric("mcp_gateway_endpoint_usable", &[]).await;
    assert!((usable - 1.0).abs() < 0.5, "{usable}");
    several.upstreams[0].resume().await;
    several.gateway.logged("its ejection is over").await;
    eventually("it gets calls again", async || {
        several.list().send().await;
        several.hits()[0] > 0
    })
    .await;
}

/// The endpoints that the last `count` lines of this kind about tool calls name, once there are `all` of them.
async fn named(gateway: &Gateway, message: &str, (all, count): (usize, usize)) -> Vec<String> {
    let lines = async || {
        let lines = gateway.log_lines().await.into_iter();
        let of_calls =
            lines.filter(|line| line["message"] == message && line["mcp_method"] == "tools/call");
        let endpoints = of_calls.map(|line| line["endpoint"].as_str().unwrap().to_owned());
        endpoints.collect::<Vec<_>>()
    };
    eventually("a line for each call", async || lines().await.len() >= all).await;
    let mut endpoints = lines().await;
    assert_eq!(endpoints.len(), all, "{message}");
    endpoints.split_off(all - count)
}

#[tokio::test]
async fn access_and_audit_lines_name_the_instance_that_got_the_call() {
    let mut several = Several::start(2, json!({ "ejection": { "enabled": false } })).await;
    assert_eq!(statuses(20, || several.create()).await, [200]);
    let urls: Vec<_> = several.upstreams.iter().map(Upstream::url).collect();
    for message in ["request", "decision"] {
        let named = named(&several.gateway, message, (20, 20)).await;
        let count = |url: &String| named.iter().filter(|named| *named == url).count();
        let counted: Vec<_> = urls.iter().map(count).collect();
        assert_eq!(counted, several.hits(), "{message}");
    }
    // The first choice cannot be reached at times: the access line names where the call went after that.
    several.upstreams[0].stop();
    assert_eq!(statuses(20, || several.create()).await, [200]);
    let access = named(&several.gateway, "request", (40, 20)).await;
    assert!(access.iter().all(|named| *named == urls[1]), "{access:?}");
    let audit = named(&several.gateway, "decision", (40, 20)).await;
    assert!(audit.contains(&urls[0]), "{audit:?}");
}

#[tokio::test]
async fn what_an_instance_may_have_processed_is_repeated_only_if_it_reads() {
    let several = Several::start(2, json!({ "ejection": { "enabled": false } })).await;
    for (status, script) in [
        (502, None),
        (503, Some(503)),
        (502, Some(502)),
        (504, Some(504)),
        (500, Some(500)),
    ] {
        let before = several.hits();
        several.upstreams[0].script(move |_| match script {
            Some(status) => Answer::Full(with(status, "application/json", "{}")),
            None => Answer::Drop,
        });
        let expected = match status {
            500 => vec![200, 500],
            _ => vec![200],
        };
        assert_eq!(
            statuses(20, || several.list()).await,
            expected,
            "{script:?}"
        );
        assert_eq!(
            statuses(20, || several.create()).await,
            [200, status],
            "{script:?}"
        );
        let creating = |upstream: &Upstream| {
            let seen = upstream.seen();
            seen.iter()
                .filter(|seen| seen.json()["method"] == "tools/call")
                .count()
        };
        let after = several.hits();
        assert!(after[0] > before[0], "it got some");
        let calls: usize = several.upstreams.iter().map(creating).sum();
        assert_eq!(
            calls % 20,
            0,
            "each call that changes something was sent once"
        );
    }
}

#[tokio::test]
async fn an_instance_that_answers_503_is_left_out() {
    let several = Several::start(2, json!({})).await;
    several.upstreams[1].script(answers(503));
    eventually("it is ejected", async || {
        several.create().send().await;
        several
            .metric("mcp_gateway_endpoint_ejections_total", &[])
            .await
            > 0.5
    })
    .await;
    let hits = several.hits()[1];
    assert_eq!(statuses(30, || several.create()).await, [200]);
    assert_eq!(several.hits()[1], hits);
    // The last one stays in use, whatever it answers.
    several.upstreams[0].script(answers(503));
    assert_eq!(statuses(20, || several.create()).await, [503]);
    assert_eq!(several.hits()[1], hits);
    several.upstreams[0].script(echo);
    assert_eq!(statuses(20, || several.create()).await, [200]);
}

#[tokio::test]
async fn half_answers_and_slow_heads_eject_nobody() {
    let mut several = Several::start(2, json!({})).await;
    several.upstreams[0].script(|_| {
        let json = [
            ("content-type", "application/json"),
            ("content-length", "50"),
        ];
        let body = steps([Chunk::Data("{\"half\":".into()), Chunk::Break]);
        Answer::Stream(head(200, &json), body)
    });
    for _ in 0..30 {
        let answer = several.list().attempt().await;
        // The head came: what follows is not repeated.
        assert_eq!(answer.unwrap().status().as_u16(), 200);
    }
    assert!(several.hits()[0] > 0);
    several.reload("/resources/0/response_head", "300ms").await;
    for upstream in &several.upstreams {
        let legacy = sessions();
        upstream.script(
            move |request| match request.json()["method"] == "tools/call" {
                true => Answer::Hang,
                false => legacy(request),
            },
        );
    }
    let session = several.open().await;
    let of_session = |call: e2e::client::Call| {
        let call = call.with(SESSION, &session);
        call.with("mcp-protocol-version", LEGACY)
    };
    // Every tool call is too slow, and other calls are answered meanwhile.
    let lists = async {
        loop {
            let status = of_session(several.list()).send().await.status;
            assert_eq!(status, 200);
        }
    };
    let slow = tokio::select! {
        slow = statuses(8, || of_session(several.create())) => slow,
        () = lists => unreachable!("it goes on"),
    };
    assert_eq!(slow, [504]);
    let ejections = several
        .metric("mcp_gateway_endpoint_ejections_total", &[])
        .await;
    assert!(ejections < 0.5, "{ejections}");
}

/// A gateway before two instances, the first of which accepts calls and never answers.
async fn with_a_silent_instance(response_head: &str) -> Several {
    let mut several = Several::start(2, json!({})).await;
    several
        .reload("/resources/0/response_head", response_head)
        .await;
    several.upstreams[0].script(|_| Answer::Hang);
    several
}

/// Sends calls until an instance is ejected, and returns their statuses.
async fn until_ejected(several: &Several, call: impl Fn() -> e2e::client::Call) -> Vec<u16> {
    let statuses = RefCell::new(Vec::new());
    eventually("it is ejected", async || {
        let status = call().send().await.status;
        statuses.borrow_mut().push(status);
        several
            .metric("mcp_gateway_endpoint_ejections_total", &[])
            .await
            > 0.5
    })
    .await;
    statuses.into_inner()
}

#[tokio::test]
async fn an_instance_that_never_answers_costs_no_call_that_reads_and_is_left_out() {
    let several = with_a_silent_instance("2s").await;
    let started = Instant::now();
    let found = until_ejected(&several, || several.list()).await;
    assert!(found.iter().all(|status| *status == 200), "{found:?}");
    assert_eq!(several.hits(), [5, found.len()]);
    // Its turn is half of the deadline.
    assert!(started.elapsed() >= Duration::from_secs(5));
    let retries = several
        .metric("mcp_gateway_endpoint_retries_total", &[])
        .await;
    assert!((retries - 5.0).abs() < 0.5, "{retries}");
    // It gets no calls, and the other one serves all of them.
    assert_eq!(statuses(20, || several.list()).await, [200]);
    assert_eq!(statuses(20, || several.create()).await, [200]);
    assert_eq!(several.hits(), [5, found.len() + 40]);
}

#[tokio::test]
async fn calls_that_change_something_show_that_an_instance_is_silent_and_are_sent_once() {
    let several = with_a_silent_instance("300ms").await;
    let found = until_ejected(&several, || several.create()).await;
    let late = found.iter().filter(|status| **status == 504).count();
    assert_eq!(several.hits(), [5, found.len() - 5]);
    assert_eq!(late, 5, "{found:?}");
    assert_eq!(statuses(20, || several.create()).await, [200]);
}

#[tokio::test]
async fn a_call_that_reads_waits_for_the_only_instance_as_long_as_it_may() {
    let mut several = Several::start(1, json!({})).await;
    several.reload("/resources/0/response_head", "1s").await;
    several.upstreams[0].script(|_| Answer::Hang);
    let started = Instant::now();
    assert_eq!(several.list().send().await.status, 504);
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(several.hits(), [1]);
}

#[tokio::test]
async fn calls_above_the_limit_wait_and_then_get_503() {
    let keys = json!({ "max_calls": 1, "queue": { "calls": 4, "time": "300ms" } });
    let several = Several::start(1, keys).await;
    several.upstreams[0].script(|_| Answer::Hang);
    let held = tokio::spawn(several.list().attempt());
    several.upstreams[0].received(1).await;
    let started = Instant::now();
    let reply = several.list().send().await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(reply.header("retry-after"), "1");
    assert!((several.gateway.counted("endpoints_busy", 1.0).await - 1.0).abs() < 0.5);
    // One caller has one of four places in the queue; another one is not kept out.
    let (own, second) = (several.list(), several.list());
    let list = e2e::client::request(2, "tools/list", json!({}));
    let other = several.gateway.post(list).token(&several.token_of("bob"));
    let (waits, refused, others) = tokio::join!(
        timed(own),
        async {
            sleep(Duration::from_millis(50)).await;
            timed(second).await
        },
        async {
            sleep(Duration::from_millis(50)).await;
            timed(other).await
        },
    );
    assert!(waits > Duration::from_millis(290), "{waits:?}");
    assert!(refused < Duration::from_millis(250), "{refused:?}");
    assert!(others > Duration::from_millis(290), "{others:?}");
    // A call that ends makes room.
    let waiting = tokio::spawn(several.list().send());
    sleep(Duration::from_millis(50)).await;
    several.upstreams[0].script(echo);
    held.abort();
    assert_eq!(waiting.await.unwrap().status, 200);
}

/// How long a call takes that gets 503.
async fn timed(call: e2e::client::Call) -> Duration {
    let started = Instant::now();
    assert_eq!(call.send().await.status, 503);
    started.elapsed()
}

#[tokio::test]
async fn without_a_healthy_instance_calls_get_503_with_retry_after() {
    let check = json!({ "kind": "http", "path": "/up", "interval": "1s", "rise": 1, "fall": 1 });
    let several = Several::start(2, json!({ "health_check": check })).await;
    let is_check = |request: &Recorded| request.target == "/up";
    for upstream in &several.upstreams {
        upstream.script(move |request| match is_check(request) {
            true => Answer::Full(with(500, "", "")),
            false => echo(request),
        });
    }
    several
        .gateway
        .logged("endpoint left out: health checks failed")
        .await;
    eventually("both are left out", async || {
        several.list().send().await.status == 503
    })
    .await;
    let reply = several.list().send().await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(several.gateway.counted("no_endpoint", 1.0).await > 0.5);
    // 404 is a sign of life.
    several.upstreams[1].script(move |request| match is_check(request) {
        true => Answer::Full(with(404, "", "")),
        false => echo(request),
    });
    several
        .gateway
        .logged("endpoint back: health checks succeed")
        .await;
    let before = several.hits();
    assert_eq!(statuses(10, || several.list()).await, [200]);
    assert!(several.hits()[1] >= before[1] + 10);
    for seen in several.upstreams.iter().flat_map(Upstream::seen) {
        let names = ["authorization", "x-mcp-subject", "cookie"];
        let is_plain = names.iter().all(|name| !seen.headers.contains_key(*name));
        assert!(!is_check(&seen) || is_plain, "{seen:?}");
    }
}

#[tokio::test]
async fn the_example_works_with_two_instances() {
    let (one, other) = (Upstream::start().await, Upstream::start().await);
    let key = Key::es256("first");
    let config = Config::shipped("endpoints.yaml");
    let file = config.write("jwks.json", test_support::key_set(&[&key]).to_string());
    let issuer = json!({ "issuer": e2e::gateway::config::ISSUER, "jwks_file": file });
    let config = config
        .set("/issuers/corporate", issuer)
        .set("/resources/0/upstream/endpoints/0", one.url())
        .set("/resources/0/upstream/endpoints/1/url", other.url());
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, e2e::gateway::config::ISSUER, &gateway.uri("/mcp"));
    let token = token.scope("tasks:read tasks:write").sign();
    let create = || {
        gateway
            .post(e2e::client::tool(1, "create_task"))
            .token(&token)
    };
    assert_eq!(statuses(30, create).await, [200]);
    let creations = |upstream: &Upstream| {
        let seen = upstream.seen();
        seen.iter()
            .filter(|seen| seen.json()["method"] == "tools/call")
            .count()
    };
    assert!(creations(&one) > 3 && creations(&other) > 3);
    eventually("both are checked", async || {
        let is_checked = |upstream: &Upstream| {
            let seen = upstream.seen();
            seen.iter()
                .any(|seen| seen.json()["method"] == "server/discover")
        };
        is_checked(&one) && is_checked(&other)
    })
    .await;
}
