//! Health checks of instances: what they send, and the sessions of the gateway's own that they open and close.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::client::{Call, LEGACY};
use e2e::eventually;
use e2e::process::port;
use e2e::upstream::tasks::Tasks;
use e2e::upstream::{Answer, Recorded, Upstream, feed, head, sessions, with};
use e2e::world::several::{SESSION, Several};
use http::Method;
use serde_json::json;
use tokio::time::sleep;

/// One instance that is checked each second.
async fn checked() -> Several {
    let check = json!({ "kind": "mcp", "interval": "1s", "rise": 1, "fall": 1 });
    Several::start(1, json!({ "health_check": check })).await
}

fn in_session(several: &Several, session: &str) -> Call {
    let call = several.list().with(SESSION, session);
    call.with("mcp-protocol-version", LEGACY)
}

/// The sessions that an instance has open, and the most that it ever had.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<(BTreeSet<String>, usize)>>);

impl Open {
    /// Answers as a server of the legacy era does, and others by `change`.
    fn serve(
        &self,
        upstream: &Upstream,
        change: impl Fn(&Recorded) -> Option<Answer> + Send + Sync + 'static,
    ) {
        let (legacy, open) = (sessions(), self.clone());
        upstream.script(move |request| {
            if request.method == Method::DELETE {
                open.0
                    .lock()
                    .unwrap()
                    .0
                    .remove(request.header(SESSION).unwrap());
                return Answer::Full(with(200, "", ""));
            }
            if let Some(answer) = change(request) {
                return answer;
            }
            if request.json()["method"] == "server/discover" {
                return Answer::Full(with(400, "application/json", "{}"));
            }
            let answer = legacy(request);
            if request.json()["method"] == "initialize"
                && let Answer::Full(answer) = &answer
            {
                open.note(answer.headers()[SESSION].to_str().unwrap());
            }
            answer
        });
    }

    fn note(&self, id: &str) {
        let mut known = self.0.lock().unwrap();
        known.0.insert(id.to_owned());
        known.1 = known.1.max(known.0.len());
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().0.len()
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

/// The requests of checks with this method that an instance received.
fn seen(upstream: &Upstream, method: &str) -> Vec<Recorded> {
    let seen = upstream.seen().into_iter();
    seen.filter(|seen| seen.json()["method"] == method)
        .collect()
}

async fn several_checks(upstream: &Upstream, method: &str) {
    let before = seen(upstream, method).len();
    eventually("four checks", async || {
        seen(upstream, method).len() >= before + 4
    })
    .await;
}

#[tokio::test]
async fn a_legacy_instance_is_checked_in_one_session_which_a_reload_closes() {
    let mut several = checked().await;
    let (upstream, open) = (&several.upstreams[0], Open::default());
    open.serve(upstream, |_| None);
    several_checks(upstream, "ping").await;
    let pings = seen(upstream, "ping");
    let own = pings[0].header(SESSION).unwrap().to_owned();
    assert!(own.starts_with("upstream-session-"), "{own}");
    assert!(
        pings
            .iter()
            .all(|ping| ping.header(SESSION) == Some(own.as_str()))
    );
    assert_eq!(seen(upstream, "initialize").len(), 1);
    assert!(!seen(upstream, "notifications/initialized").is_empty());
    // A caller gets another session.
    let session = several.open().await;
    in_session(&several, &session).send().await;
    assert_eq!(open.count(), 2);
    several
        .reload(
            "/resources/0/upstream/health_check",
            json!({ "kind": "tcp" }),
        )
        .await;
    eventually("that of the checks is closed", async || open.count() == 1).await;
    assert!(!open.0.lock().unwrap().0.contains(&own));
}

#[tokio::test]
async fn the_end_of_the_gateway_closes_the_session_of_its_checks() {
    let mut several = checked().await;
    let (upstream, open) = (&several.upstreams[0], Open::default());
    open.serve(upstream, |_| None);
    several_checks(upstream, "ping").await;
    assert_eq!(open.count(), 1);
    assert_eq!(several.gateway.stop().await, Some(0));
    assert_eq!(open.count(), 0);
}

#[tokio::test]
async fn an_instance_that_forgets_sessions_has_none_open_after_many_checks() {
    let several = checked().await;
    let (upstream, open) = (&several.upstreams[0], Open::default());
    open.serve(upstream, |request| {
        let is_ping = request.json()["method"] == "ping";
        is_ping.then(|| Answer::Full(with(404, "application/json", "{}")))
    });
    several_checks(upstream, "server/discover").await;
    several_checks(upstream, "server/discover").await;
    assert_eq!(seen(upstream, "initialize").len(), 1);
    assert_eq!((open.count(), open.most()), (0, 1));
    assert_ne!(several.list().send().await.status, 503, "it is in use");
}

#[tokio::test]
async fn an_instance_that_leaves_its_answers_open_is_alive() {
    let several = checked().await;
    let (upstream, open) = (&several.upstreams[0], Open::default());
    let feeds = Mutex::new(Vec::new());
    let noted = open.clone();
    open.serve(upstream, move |request| {
        if request.json()["method"] != "initialize" {
            return None;
        }
        let headers = [
            ("content-type", "text/event-stream"),
            (SESSION, "upstream-session-9"),
        ];
        noted.note("upstream-session-9");
        let (feed, body) = feed();
        feed.event(
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\"}}",
        );
        feeds.lock().unwrap().push(feed);
        Some(Answer::Stream(head(200, &headers), body))
    });
    several_checks(upstream, "ping").await;
    assert_eq!((open.count(), open.most()), (1, 1));
    let log = several.gateway.log().await;
    assert!(!log.contains("endpoint left out"), "{log}");
}

#[tokio::test]
async fn a_real_server_is_alive_as_long_as_it_runs() {
    let check = json!({ "kind": "mcp", "interval": "1s", "rise": 1, "fall": 1 });
    let mut several = Several::start(1, json!({ "health_check": check })).await;
    let address = port::free();
    let tasks = Tasks::start_at(address).await;
    let url = format!("http://{address}/mcp");
    let endpoints = json!([url]);
    several
        .reload("/resources/0/upstream/endpoints", endpoints)
        .await;
    let session = several.open().await;
    assert_eq!(in_session(&several, &session).send().await.status, 200);
    // Two checks, at least.
    sleep(Duration::from_millis(2500)).await;
    let log = several.gateway.log().await;
    assert!(!log.contains("health check failed"), "{log}");
    tasks.kill().await;
    let left_out = "endpoint left out: health checks failed";
    several.gateway.logged(left_out).await;
    let _tasks = Tasks::start_at(address).await;
    let back = "endpoint back: health checks succeed";
    several.gateway.logged(back).await;
    several.open().await;
}
