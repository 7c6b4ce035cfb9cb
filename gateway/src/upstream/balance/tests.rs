//! Sets of endpoints with real connections: calls that wait, calls that go elsewhere, reloads, names and checks.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use mcp_gateway_core::balance::{endpoints::Denied, outcome::Outcome, waiting::Caller};
use tokio::{sync::watch, time::sleep};

use super::{
    checking,
    plan::Plan,
    probe::Sessions,
    resolving::{self, Lookup},
    set::{Call, EndpointSet, Needs, Tried},
    watch::Watch,
};
use crate::{
    config::{Environment, Timeouts, parse},
    telemetry::metrics::Metrics,
    upstream::test_server::TestServer,
};

const OK: Outcome = Outcome::Answered(StatusCode::OK);
const SECOND: Duration = Duration::from_secs(1);

/// The plan of a resource with this upstream, after another one.
fn plan_after(previous: Option<&Arc<Plan>>, upstream: &str) -> Arc<Plan> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let text = format!(
        "public_url: http://127.0.0.1:1\nlisten: [{{ address: '127.0.0.1:1' }}]\n\
         issuers: {{ a: {{ issuer: 'https://a.example' }} }}\n\
         resources: [{{ path: /mcp, upstream: {upstream}, issuers: [a], policy: {{ default: allow }} }}]\n"
    );
    let config = parse(&text, Path::new(""), &Environment::default()).unwrap();
    let (resource, timeouts) = (&config.resources[0], Timeouts::default());
    Plan::reuse_or_new(previous, resource, &timeouts, &BTreeSet::new()).unwrap()
}

/// The endpoints of a resource with this upstream, and their plan.
fn set(upstream: &str) -> (Arc<EndpointSet>, Arc<Plan>) {
    let plan = plan_after(None, upstream);
    let metrics = Arc::new(Metrics::new().unwrap());
    (EndpointSet::new(&plan, "/mcp", &metrics), plan)
}

/// Where its endpoints are.
fn shown(set: &EndpointSet) -> Vec<String> {
    let members = set.members().into_iter();
    let shown = members.map(|(_, instance)| instance.endpoint.shown().to_owned());
    shown.collect::<BTreeSet<_>>().into_iter().collect()
}

/// As a request does: it waits if all are busy.
async fn ask(set: &Arc<EndpointSet>, needs: Needs, caller: usize) -> Result<Call, Denied> {
    let caller = Caller(caller);
    match set.choose(needs, false, caller) {
        Err(Denied::Busy) => set.wait(needs, caller).await,
        chosen => chosen,
    }
}

async fn choose(set: &Arc<EndpointSet>) -> Call {
    ask(set, Needs::Any, 1).await.unwrap()
}

fn place(call: &Call) -> String {
    call.endpoint().shown().to_owned()
}

const TWO: &str = "{ endpoints: ['http://127.0.0.1:9/a', 'http://127.0.0.1:9/b'] }";
const CAPPED: &str = "{ url: 'http://127.0.0.1:9/a', max_calls: 1, queue: { calls: 8, time: 1s } }";

#[tokio::test(start_paused = true)]
async fn a_call_waits_until_another_one_ends() {
    let (set, _) = set(CAPPED);
    let first = choose(&set).await;
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { ask(&set, Needs::Any, 2).await.is_ok() }
    });
    sleep(SECOND / 2).await;
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap());
    choose(&set).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_an_end_and_the_queue_has_one_and_a_share() {
    let (set, _) = set(CAPPED);
    let _held = choose(&set).await;
    let started = tokio::time::Instant::now();
    let denied = ask(&set, Needs::Any, 1).await.err();
    assert_eq!((denied, started.elapsed()), (Some(Denied::Busy), SECOND));
    let spawn = |caller: usize| {
        let set = set.clone();
        tokio::spawn(async move { ask(&set, Needs::Any, caller).await.err() })
    };
    // Of eight places one caller has two.
    let calls: Vec<_> = [1, 1, 1, 2].map(spawn).into();
    sleep(SECOND / 2).await;
    let ended: Vec<_> = calls
        .iter()
        .map(tokio::task::JoinHandle::is_finished)
        .collect();
    assert_eq!(ended, [false, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_keeps_nobody_waiting() {
    let (set, _) = set(CAPPED);
    let first = choose(&set).await;
    let spawn = |caller: usize| {
        let set = set.clone();
        tokio::spawn(async move { ask(&set, Needs::Any, caller).await.is_ok() })
    };
    let (leaves, stays) = (spawn(2), spawn(3));
    sleep(SECOND / 4).await;
    leaves.abort();
    drop(first);
    assert!(stays.await.unwrap());
    choose(&set).await;
}

#[tokio::test]
async fn a_stream_that_only_listens_takes_no_place() {
    let (set, _) = set(CAPPED);
    let streams = [
        set.choose(Needs::Any, true, Caller(1)).unwrap(),
        set.choose(Needs::Any, true, Caller(1)).unwrap(),
    ];
    let call = choose(&set).await;
    assert!(set.choose(Needs::Any, true, Caller(1)).is_ok());
    drop(streams);
    assert_eq!(ask(&set, Needs::Any, 1).await.err(), Some(Denied::Busy));
    drop(call);
}

#[tokio::test]
async fn a_call_goes_to_each_other_endpoint_once() {
    let (set, _) = set(TWO);
    let first = choose(&set).await;
    let mut tried = Tried::default();
    let other = first.elsewhere(&mut tried).unwrap();
    assert_ne!(place(&first), place(&other));
    assert!(other.elsewhere(&mut tried).is_none());
    assert_eq!(tried.len(), 2);
    let only = Needs::Only(first.endpoint().id());
    let same = ask(&set, only, 1).await.unwrap();
    assert_eq!(place(&same), place(&first));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_left_out_until_its_time_is_over() {
    let (set, _) = set(TWO);
    let call = choose(&set).await;
    sleep(SECOND).await;
    let bad = place(&call);
    for _ in 0..5 {
        call.report(Outcome::Unconnected);
    }
    assert!(call.has_others());
    for _ in 0..50 {
        assert_ne!(place(&choose(&set).await), bad);
    }
    let id = call.endpoint().id();
    assert_eq!(
        ask(&set, Needs::Only(id), 1).await.err(),
        Some(Denied::Gone)
    );
    sleep(10 * SECOND).await;
    let back = ask(&set, Needs::Only(id), 1).await.unwrap();
    back.report(OK);
    assert_eq!(place(&back), bad);
}

#[tokio::test]
async fn a_reload_keeps_endpoints_that_stay_and_lets_calls_to_others_end() {
    let (set, plan) = set(TWO);
    let calls = [choose(&set).await, choose(&set).await, choose(&set).await];
    let next = plan_after(
        Some(&plan),
        "{ endpoints: ['http://127.0.0.1:9/b', { url: 'http://127.0.0.1:9/c', weight: 3 }] }",
    );
    let kept = |plan: &Plan, path: &str| {
        let mut endpoints = plan.endpoints.iter();
        let found = endpoints.find(|(endpoint, _)| endpoint.shown().ends_with(path));
        found.map(|(endpoint, _)| endpoint.clone())
    };
    let (old, new) = (kept(&plan, "/b").unwrap(), kept(&next, "/b").unwrap());
    assert!(Arc::ptr_eq(&old, &new), "with its connections");
    set.follow(&next);
    assert_eq!(
        shown(&set),
        ["http://127.0.0.1:9/b", "http://127.0.0.1:9/c"]
    );
    let gone = kept(&plan, "/a").unwrap().id();
    assert_eq!(
        ask(&set, Needs::Only(gone), 1).await.err(),
        Some(Denied::Gone)
    );
    for call in calls {
        call.report(Outcome::Unconnected);
    }
    set.follow(&plan);
    assert_eq!(
        shown(&set),
        ["http://127.0.0.1:9/a", "http://127.0.0.1:9/b"]
    );
    assert!(
        Arc::ptr_eq(&plan, &plan_after(Some(&plan), TWO)),
        "nothing differs"
    );
}

#[tokio::test]
async fn a_reload_that_looks_addresses_up_leaves_no_gap() {
    let (set, plan) = set("'http://tasks.internal:9/mcp'");
    let named = plan_after(Some(&plan), NAMED);
    set.follow(&named);
    assert_eq!(shown(&set), ["http://tasks.internal:9/mcp"]);
    set.looked_up(&named, Ok(vec![address(2)]));
    let at = ["http://tasks.internal:9/mcp at 127.0.0.2"];
    assert_eq!(shown(&set), at);
    // Another key of the same name keeps its addresses.
    let other = NAMED.replace("5s", "7s");
    let other = plan_after(Some(&named), &other);
    set.follow(&other);
    assert_eq!(shown(&set), at);
    // What an older configuration looked up is not used.
    set.looked_up(&named, Ok(vec![address(3)]));
    assert_eq!(shown(&set), at);
    set.follow(&plan);
    assert_eq!(shown(&set), ["http://tasks.internal:9/mcp"]);
}

const NAMED: &str = "{ url: 'http://tasks.internal:9/mcp', resolve: true, resolve_interval: 5s }";

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[tokio::test(start_paused = true)]
async fn the_addresses_of_a_name_are_endpoints_as_long_as_it_has_them() {
    let (set, plan) = set(NAMED);
    assert_eq!(
        shown(&set),
        ["http://tasks.internal:9/mcp"],
        "until the first lookup"
    );
    assert!(!set.was_tried());
    let answers: Arc<Mutex<Vec<Option<Vec<u8>>>>> = Arc::default();
    let asked = answers.clone();
    // The last answer is given again and again.
    let lookup: Lookup = Arc::new(move |host| {
        assert_eq!(host, "tasks.internal");
        let mut answers = asked.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        let answer = answer.ok_or_else(|| io::Error::other("no answer"));
        let answer = answer.map(|list| list.into_iter().map(address).collect());
        Box::pin(async move { answer })
    });
    *answers.lock().unwrap() = vec![Some(vec![2, 3]), Some(vec![3, 4]), None];
    let mut watch = Watch::new(lookup);
    watch.follow(std::iter::once((&set, &plan)));
    sleep(SECOND).await;
    assert!(set.was_tried());
    let at = |list: &[u8]| {
        let list = list
            .iter()
            .map(|last| format!("http://tasks.internal:9/mcp at 127.0.0.{last}"));
        list.collect::<Vec<_>>()
    };
    assert_eq!(shown(&set), at(&[2, 3]));
    let call = choose(&set).await;
    assert_eq!(call.endpoint().host(), "tasks.internal:9");
    sleep(5 * SECOND).await;
    assert_eq!(shown(&set), at(&[3, 4]));
    // It does not resolve any more: the last answer holds for five minutes.
    sleep(290 * SECOND).await;
    assert_eq!(shown(&set), at(&[3, 4]));
    sleep(20 * SECOND).await;
    assert!(shown(&set).is_empty());
    *answers.lock().unwrap() = vec![Some(vec![4])];
    sleep(6 * SECOND).await;
    assert_eq!(shown(&set), at(&[4]));
    watch.follow(std::iter::empty());
    *answers.lock().unwrap() = vec![Some(vec![9])];
    sleep(60 * SECOND).await;
    assert_eq!(shown(&set), at(&[4]), "nobody looks any more");
}

#[tokio::test(start_paused = true)]
async fn a_lookup_without_an_end_is_a_failure_and_the_only_one() {
    let (set, plan) = set(NAMED);
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let lookup: Lookup = Arc::new(move |_| {
        *count.lock().unwrap() += 1;
        Box::pin(std::future::pending())
    });
    let task = tokio::spawn(resolving::resolve(set.clone(), plan, lookup));
    sleep(60 * SECOND).await;
    assert!(set.was_tried() && !task.is_finished());
    assert_eq!(*asked.lock().unwrap(), 1);
    assert_eq!(
        set.choose(Needs::Any, false, Caller(1)).err(),
        Some(Denied::NoneHealthy)
    );
}

#[tokio::test]
async fn each_address_has_a_number_for_its_metrics_that_is_used_again() {
    let (set, plan) = set(NAMED);
    let labels = || {
        let members = set.members().into_iter();
        members
            .map(|(_, instance)| instance.label.clone())
            .collect::<BTreeSet<_>>()
    };
    for last in 1..100 {
        set.looked_up(&plan, Ok(vec![address(last), address(last + 1)]));
        assert_eq!(labels(), ["0", "1"].map(str::to_owned).into());
    }
}

/// Whether streams that need the endpoint of this call end, and whether they are woken since the last time.
fn noticed(set: &EndpointSet, call: &Call, replaced: &mut watch::Receiver<()>) -> (bool, bool) {
    let is_woken = replaced.has_changed().unwrap();
    replaced.mark_unchanged();
    (set.has_removed(call.endpoint().id()), is_woken)
}

#[tokio::test]
async fn what_needs_an_endpoint_notices_that_a_reload_removes_it() {
    let (set, plan) = set(TWO);
    let mut one = choose(&set).await;
    let mut other = one.elsewhere(&mut Tried::default()).unwrap();
    if place(&one).ends_with('b') {
        (one, other) = (other, one);
    }
    let mut replaced = set.replaced();
    set.follow(&plan);
    // Other connections to the same endpoints.
    set.follow(&plan_after(None, TWO));
    assert_eq!(noticed(&set, &one, &mut replaced), (false, false));
    set.follow(&plan_after(Some(&plan), "'http://127.0.0.1:9/b'"));
    assert_eq!(noticed(&set, &one, &mut replaced), (true, true));
    assert_eq!(noticed(&set, &other, &mut replaced), (false, false));
    // It is the same one when it comes back: its messages go there again.
    set.follow(&plan);
    assert_eq!(noticed(&set, &one, &mut replaced), (false, true));
}

#[tokio::test]
async fn an_address_is_removed_only_by_an_answer_of_the_name_server() {
    let (set, plan) = set(NAMED);
    let unresolved = choose(&set).await;
    let mut replaced = set.replaced();
    set.looked_up(&plan, Ok(vec![address(1)]));
    assert_eq!(noticed(&set, &unresolved, &mut replaced), (true, true));
    let first = choose(&set).await;
    set.looked_up(&plan, Ok(vec![address(1)]));
    set.looked_up(&plan, Err("no answer".to_owned()));
    set.looked_up(&plan, Ok(Vec::new()));
    assert_eq!(noticed(&set, &first, &mut replaced), (false, false));
    set.looked_up(&plan, Ok(vec![address(1), address(2)]));
    assert_eq!(noticed(&set, &first, &mut replaced), (false, true));
    set.looked_up(&plan, Ok(vec![address(2)]));
    assert_eq!(noticed(&set, &first, &mut replaced), (true, true));
}

/// Whether an endpoint at this address is in use after some checks.
async fn is_alive(url: &str, check: &str) -> bool {
    let upstream = format!(
        "{{ url: '{url}', health_check: {{ {check}, interval: 1s, fall: 1, timeout: 500ms }} }}"
    );
    let (set, plan) = set(&upstream);
    let task = tokio::spawn(checking::check(set.clone(), plan, Sessions::new().0));
    sleep(Duration::from_millis(900)).await;
    task.abort();
    ask(&set, Needs::Any, 1).await.is_ok()
}

#[tokio::test]
async fn an_endpoint_is_alive_if_it_answers_below_500() {
    let answer = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
        )
    };
    let checks = [
        ("200 OK", "kind: http", true),
        ("404 Not Found", "kind: http, path: /healthz", true),
        ("503 Service Unavailable", "kind: http", false),
        ("503 Service Unavailable", "kind: tcp", true),
        ("401 Unauthorized", "kind: mcp", true),
        ("200 OK", "kind: mcp", true),
        ("500 Internal Server Error", "kind: mcp", false),
    ];
    let checks = checks.map(|(status, check, expected)| async move {
        let server = TestServer::start(answer(status), true).await;
        let found = is_alive(&format!("http://{}/mcp", server.address()), check).await;
        assert_eq!(found, expected, "{status} {check}");
    });
    for check in checks.map(tokio::spawn) {
        check.await.unwrap();
    }
}

#[tokio::test]
async fn an_endpoint_without_a_connection_or_an_answer_is_dead() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = mute.local_addr().unwrap();
    for (address, check, expected) in [
        (closed, "kind: tcp", false),
        (silent, "kind: tcp", true),
        (silent, "kind: http", false),
        (silent, "kind: mcp", false),
    ] {
        let found = is_alive(&format!("http://{address}/mcp"), check).await;
        assert_eq!(found, expected, "{check}");
    }
}
