//! Rate limits: by principal, client, tool and resource, and how often a session can be opened (attack 51).

use std::time::Duration;

use e2e::client::{Call, Reply, initialize, modern, request, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::upstream::Upstream;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use serde_json::{Value, json};
use test_support::{Key, Token, key_set};

const LIMITS: &str = "/resources/0/rate_limits";

/// A limit that refills so slowly that no call is granted again while a test runs.
fn limit(per: &str, calls: u32) -> Value {
    json!({ "per": per, "calls": calls, "within": "1d" })
}

async fn world(limits: Value) -> World {
    World::with(|config| config.set(LIMITS, limits)).await
}

fn call(world: &World, token: &str, name: &str) -> Call {
    world.gateway.post(tool(1, name)).token(token)
}

/// The statuses of `count` calls of a tool, one after the other.
async fn statuses(world: &World, token: &str, name: &str, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(call(world, token, name).send().await.status);
    }
    statuses
}

fn retry_after(reply: &Reply) -> u64 {
    reply.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn a_principal_is_limited_to_its_number_of_calls() {
    let world = world(json!([limit("principal", 3)])).await;
    let alice = world.reader();
    assert_eq!(statuses(&world, &alice, "x", 3).await, [200; 3]);
    let reply = world
        .refusal(call(&world, &alice, "x"), 429, "rate_limited")
        .await
        .unwrap();
    // One call is granted again every eight hours.
    assert!(
        (28_000..=28_800).contains(&retry_after(&reply)),
        "{reply:?}"
    );
    let log = world.gateway.log().await;
    assert!(log.contains("\"detail\":\"rate_limits[0]\""), "{log}");
    assert_eq!(reply.rpc_code(), Some(429));
    assert_eq!(reply.json()["id"], 1);

    let mut table = Table::default();
    // Another token or another method does not avoid the limit; another principal is not affected.
    let again = world
        .token()
        .claim("jti", "another")
        .scope("tasks:read tasks:write");
    for (name, token, expected) in [
        ("another token", again, 429),
        ("another subject", world.token().subject("bob"), 200),
        (
            "another client",
            world.token().claim("client_id", "agent"),
            200,
        ),
        ("no client", world.token().without("client_id"), 200),
    ] {
        let status = call(&world, &token.sign(), "x").send().await.status;
        table.check(name, status == expected, || status.to_string());
    }
    for (name, body, expected) in [
        ("tools/list", request("a", "tools/list", json!({})), 429),
        (
            "an unknown method",
            request(2, "of/tomorrow", json!({})),
            429,
        ),
        ("ping", request(2, "ping", json!({})), 200),
        ("initialize", initialize(), 200),
        (
            "a notification",
            e2e::client::notification("notifications/initialized"),
            202,
        ),
    ] {
        let reply = world.gateway.post(body).token(&alice).send().await;
        table.check(name, reply.status == expected, || reply.text());
    }
    let get = world
        .gateway
        .get("/mcp")
        .token(&alice)
        .with("accept", "text/event-stream");
    let status = get.send().await.status;
    table.check("GET", status == 200, || status.to_string());
}

#[tokio::test]
async fn calls_that_policy_denies_are_not_counted() {
    let world = world(json!([limit("principal", 2)])).await;
    let reader = world.reader();
    assert_eq!(statuses(&world, &reader, "create_task", 5).await, [403; 5]);
    assert_eq!(statuses(&world, &reader, "x", 3).await, [200, 200, 429]);
}

#[tokio::test]
async fn each_kind_of_limit_counts_by_itself() {
    let mut table = Table::default();
    let tools = json!({
        "per": "tool", "calls": 1, "within": "1d", "name": ["x", "y"],
    });
    // Which calls pass, each of them the first after one of alice's console to x.
    for (limit, bob, agent, other_tool, made_up) in [
        (limit("principal", 1), 200, 200, 429, 429),
        (limit("client", 1), 429, 200, 429, 429),
        (tools, 429, 429, 200, 200),
        (limit("resource", 1), 429, 429, 429, 429),
    ] {
        let world = world(json!([limit])).await;
        let alice = world.reader();
        assert_eq!(statuses(&world, &alice, "x", 2).await, [200, 429]);
        let bobs = world.token().subject("bob").sign();
        let agents = world.token().claim("client_id", "agent").sign();
        for (name, token, tool, expected) in [
            ("another subject", &bobs, "x", bob),
            ("another client", &agents, "x", agent),
            ("another tool", &alice, "y", other_tool),
            ("a tool that is not named", &alice, "z", made_up),
        ] {
            // One call shows whether each has its own limit.
            let status = call(&world, token, tool).send().await.status;
            let name = format!("{}: {name}", limit["per"]);
            table.check(&name, status == expected, || status.to_string());
        }
    }
}

#[tokio::test]
async fn a_limit_matches_methods_and_names() {
    let world = world(json!([
        { "per": "principal", "calls": 1, "within": "1d", "method": "tools/call", "name": ["report_*", "wipe"] },
        { "per": "resource", "calls": 1, "within": "1d", "method": ["tools/list", "prompts/list"] },
    ]))
    .await;
    let token = world.reader();
    assert_eq!(statuses(&world, &token, "x", 3).await, [200; 3]);
    assert_eq!(statuses(&world, &token, "report_a", 1).await, [200]);
    for name in ["report_b", "wipe"] {
        assert_eq!(statuses(&world, &token, name, 1).await, [429], "{name}");
    }
    let list = async |method| {
        let call = world.gateway.post(request(1, method, json!({})));
        call.token(&token).send().await.status
    };
    assert_eq!(list("prompts/list").await, 200);
    assert_eq!(list("tools/list").await, 429);
    assert_eq!(list("resources/list").await, 200);
}

#[tokio::test]
async fn a_call_that_one_limit_refuses_is_not_counted_by_the_others() {
    let world = world(json!([limit("resource", 3), limit("principal", 1)])).await;
    let alice = world.reader();
    assert_eq!(
        statuses(&world, &alice, "x", 6).await,
        [200, 429, 429, 429, 429, 429]
    );
    for (subject, expected) in [("bob", 200), ("carol", 200), ("dan", 429)] {
        let token = world.token().subject(subject).sign();
        assert_eq!(
            statuses(&world, &token, "x", 1).await,
            [expected],
            "{subject}"
        );
    }
}

#[tokio::test]
async fn after_a_burst_calls_pass_again_once_retry_after_is_over() {
    let world = world(json!([
        { "per": "principal", "calls": 1, "within": "3s", "burst": 4 },
    ]))
    .await;
    let token = world.reader();
    assert_eq!(statuses(&world, &token, "x", 4).await, [200; 4]);
    for _ in 0..2 {
        // On a slow machine some calls are granted again meanwhile; then a few more calls are needed.
        let mut reply = call(&world, &token, "x").send().await;
        for _ in 0..50 {
            if reply.status == 429 {
                break;
            }
            reply = call(&world, &token, "x").send().await;
        }
        assert_eq!(reply.status, 429);
        let wait = retry_after(&reply);
        assert!((1..=3).contains(&wait), "{wait}");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(statuses(&world, &token, "x", 1).await, [200]);
    }
}

#[tokio::test]
async fn concurrent_calls_do_not_exceed_the_limit() {
    let world = world(json!([limit("principal", 20), limit("resource", 30)])).await;
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..100 {
        let token = world.token().subject(["alice", "bob"][index % 2]).sign();
        let call = call(&world, &token, "x");
        calls.spawn(async move { (index % 2, call.send().await.status) });
    }
    let answers = calls.join_all().await;
    let passed = |who: Option<usize>| {
        let passed = answers.iter().filter(|(_, status)| *status == 200);
        passed
            .filter(|(own, _)| who.is_none_or(|who| who == *own))
            .count()
    };
    assert_eq!(passed(None), 30);
    assert!(
        passed(Some(0)) <= 20 && passed(Some(1)) <= 20,
        "{answers:?}"
    );
    assert_eq!(world.upstream.hits(), 30);
}

#[tokio::test]
async fn the_same_subject_of_two_issuers_is_two_callers() {
    const OTHER: &str = "https://partner.test/";
    let (upstream, first, second) = (Upstream::start().await, Key::es256("a"), Key::es256("b"));
    let config = Config::new(&upstream.url(), &[&first]);
    let file = config.write("partner.json", key_set(&[&second]).to_string());
    let mut served = resource("/mcp", &upstream.url(), &["corporate", "partner"]);
    served["rate_limits"] = json!([limit("principal", 1), limit("client", 1)]);
    let config = config
        .set(
            "/issuers/partner",
            json!({ "issuer": OTHER, "jwks_file": file }),
        )
        .set("/resources", json!([served]));
    let gateway = Gateway::start(config).await;
    for (key, issuer) in [(&first, ISSUER), (&second, OTHER)] {
        let token = Token::new(key, issuer, &gateway.uri("/mcp")).sign();
        for expected in [200, 429] {
            let call = gateway.post(tool(1, "x")).token(&token);
            assert_eq!(call.send().await.status, expected, "{issuer}");
        }
    }
}

#[tokio::test]
async fn a_reload_keeps_what_was_counted_unless_the_limit_changed() {
    let mut world = world(json!([limit("principal", 2), limit("resource", 50)])).await;
    let token = world.reader();
    assert_eq!(statuses(&world, &token, "x", 3).await, [200, 200, 429]);
    let mut accepted = 0.0;
    let mut reload = async |world: &mut World, change: &dyn Fn(Config) -> Config| {
        world.gateway.config = change(world.gateway.config.clone());
        world.gateway.config.file();
        accepted += 1.0;
        eventually("the reload", async || {
            let metrics = world.gateway.metrics().await;
            let label = [("result", "accepted")];
            metrics.sum("mcp_gateway_config_reloads_total", &label) >= accepted
        })
        .await;
    };
    // Something else changes, and the position of the limit in the list.
    reload(&mut world, &|config| {
        config.set("/timeouts/sse_comment", "24s").set(
            LIMITS,
            json!([
                limit("client", 40),
                limit("resource", 50),
                limit("principal", 2)
            ]),
        )
    })
    .await;
    assert_eq!(statuses(&world, &token, "x", 1).await, [429]);
    // Another number is another limit.
    reload(&mut world, &|config| {
        config.set(LIMITS, json!([limit("principal", 3)]))
    })
    .await;
    assert_eq!(statuses(&world, &token, "x", 4).await, [200, 200, 200, 429]);
    reload(&mut world, &|config| config.set(LIMITS, json!([]))).await;
    assert_eq!(statuses(&world, &token, "x", 5).await, [200; 5]);
}

#[tokio::test]
async fn a_new_caller_is_refused_when_the_table_of_callers_is_full() {
    let world = World::with(|config| {
        config
            .set(LIMITS, json!([limit("principal", 2)]))
            .set("/limits/rate_limited_callers", 2)
    })
    .await;
    let token = |subject: &str| world.token().subject(subject).sign();
    for subject in ["alice", "bob"] {
        assert_eq!(statuses(&world, &token(subject), "x", 1).await, [200]);
    }
    let late = call(&world, &token("carol"), "x");
    let reply = world
        .refusal(late, 503, "rate_limits_exhausted")
        .await
        .unwrap();
    assert_eq!(retry_after(&reply), 5);
    // Callers in the table keep their place and their count.
    assert_eq!(statuses(&world, &token("alice"), "x", 2).await, [200, 429]);
    assert_eq!(statuses(&world, &token("bob"), "x", 2).await, [200, 429]);
    // A call that no limit counts needs no place.
    let ping = world.gateway.post(request(1, "ping", json!({})));
    assert_eq!(ping.token(&token("carol")).send().await.status, 200);
}

#[tokio::test]
async fn the_number_of_opened_sessions_is_limited() {
    let world = World::with(|config| {
        // The default: 60 a minute.
        config.set("/limits/initializations_per_principal", Value::Null)
    })
    .await;
    let alice = world.reader();
    let open = |token: &str| world.gateway.post(initialize()).token(token);
    let mut passed = 0;
    let refused = loop {
        let reply = open(&alice).send().await;
        match reply.status {
            200 => passed += 1,
            _ => break reply,
        }
    };
    assert!((60..200).contains(&passed), "{passed}");
    assert_eq!((refused.status, refused.rpc_code()), (429, Some(429)));
    assert_eq!(retry_after(&refused), 1);
    // Other callers, and other calls of the same principal, are not affected.
    let bob = world.token().subject("bob").sign();
    assert_eq!(open(&bob).send().await.status, 200);
    assert_eq!(statuses(&world, &alice, "x", 3).await, [200; 3]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open(&alice).send().await.status, 200);
}

#[tokio::test]
async fn an_initialize_of_any_revision_counts_as_one() {
    let world = World::with(|config| config.set("/limits/initializations_per_principal", 1)).await;
    let token = world.reader();
    let opening = || {
        let call = world.gateway.post(modern(1, "initialize", json!({})));
        call.modern("initialize", None).token(&token)
    };
    assert_eq!(opening().send().await.status, 200);
    assert_eq!(opening().send().await.status, 429);
    let legacy = world.gateway.post(initialize()).token(&token);
    assert_eq!(legacy.send().await.status, 429);
}

#[tokio::test]
async fn limits_apply_over_http_2_and_in_the_modern_revision() {
    let setting = Secure::with(|config| config.set(LIMITS, json!([limit("principal", 1)]))).await;
    let http = setting.http(false);
    let body = modern(
        "seven",
        "tools/call",
        json!({ "name": "x", "arguments": {} }),
    );
    let call = || {
        let call = setting.post(&http, body.clone());
        call.modern("tools/call", Some("x"))
    };
    assert_eq!(call().send().await.status, 200);
    let reply = call().send().await;
    assert_eq!((reply.status, reply.rpc_code()), (429, Some(429)));
    assert_eq!(reply.json()["id"], "seven");
    assert!(retry_after(&reply) > 80_000, "{reply:?}");
    assert_eq!(setting.upstream.hits(), 1);
}
