//! Conditions of rules on the wire: they read the token's claims and the call's arguments. A call is
//! denied and counted if a condition fails.

use e2e::client::request;
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::world::{Table, World};
use serde_json::{Value, json};

const RULES: &str = "/resources/0/policy/rules";
const FAILURES: &str = "mcp_gateway_condition_failures_total";

fn rules(condition: &str) -> Value {
    json!([{ "method": "tools/call", "condition": condition }])
}

async fn world(condition: &str) -> World {
    let rules = rules(condition);
    World::with(|config: Config| config.set(RULES, rules)).await
}

fn call(arguments: Value) -> String {
    request(
        1,
        "tools/call",
        json!({ "name": "list_tasks", "arguments": arguments }),
    )
}

#[tokio::test]
async fn conditions_on_claims_and_arguments_decide() {
    let world = world(
        r#"claims.department == "ops" && ("admins" in claims.groups || mcp.arguments.limit <= 10)"#,
    )
    .await;
    let token = |department: &str, groups: Value| {
        let token = world.token().claim("department", department);
        token.claim("groups", groups).sign()
    };
    let mut table = Table::default();
    for (name, token, arguments, expected) in [
        (
            "an admin",
            token("ops", json!(["staff", "admins"])),
            json!({ "limit": 99 }),
            200,
        ),
        (
            "no admin, few",
            token("ops", json!(["staff"])),
            json!({ "limit": 9.5 }),
            200,
        ),
        (
            "no admin, many",
            token("ops", json!(["staff"])),
            json!({ "limit": 11 }),
            403,
        ),
        (
            "another department",
            token("sales", json!(["admins"])),
            json!({ "limit": 1 }),
            403,
        ),
    ] {
        for again in ["", ", its token known"] {
            let reply = world
                .gateway
                .post(call(arguments.clone()))
                .token(&token)
                .send()
                .await;
            table.check(&format!("{name}{again}"), reply.status == expected, || {
                reply.text()
            });
        }
    }
    let metrics = world.gateway.metrics().await;
    assert_eq!(metrics.sum(FAILURES, &[]), 0.0, "none failed");
}

#[tokio::test]
async fn a_condition_that_fails_denies_and_is_counted_by_its_cause() {
    let world = world(
        r#"claims.admin_override == true ? claims.department : claims.department != "sales""#,
    )
    .await;
    let mut table = Table::default();
    let large = "x".repeat(1024);
    for (name, claims, cause) in [
        (
            "a claim is missing",
            json!({ "department": "ops" }),
            "error",
        ),
        (
            "neither true nor false",
            json!({ "admin_override": true, "department": large }),
            "not_boolean",
        ),
    ] {
        let mut token = world.token();
        for (name, value) in claims.as_object().unwrap() {
            token = token.claim(name, value.clone());
        }
        let call = world.gateway.post(call(json!({}))).token(&token.sign());
        table.row(name, world.refusal(call, 403, "condition_failed").await);
        let metrics = world.gateway.metrics().await;
        let count = metrics.sum(FAILURES, &[("cause", cause)]);
        table.check(name, count == 1.0, || format!("counted {count} times"));
        assert!(
            !world.gateway.log().await.contains(&large),
            "a claim is in the log"
        );
    }
}

#[tokio::test]
async fn a_condition_that_reads_another_claim_reads_it_of_known_tokens_too() {
    let mut world = world(r#"claims.department == "ops""#).await;
    let token = world.token().claim("department", "ops");
    let token = token.claim("team", "blue").sign();
    let reply = world
        .gateway
        .post(call(json!({})))
        .token(&token)
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());

    let config = world.gateway.config.clone();
    world.gateway.config = config.set(RULES, rules(r#"claims.team == "blue" && mcp.arguments.ok"#));
    world.gateway.config.file();
    eventually("the other condition decides", async || {
        let reply = world
            .gateway
            .post(call(json!({ "ok": false })))
            .token(&token)
            .send()
            .await;
        reply.status == 403
    })
    .await;
    let reply = world
        .gateway
        .post(call(json!({ "ok": true })))
        .token(&token)
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
