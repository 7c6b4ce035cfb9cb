//! Policy decisions: by pattern, by argument, by caller, by condition, and for every method that uses a resource.

use e2e::client::{Call, Reply, request};
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// A world whose policy is `default` and these rules.
async fn world(default: &str, rules: Value) -> World {
    World::with(|config| {
        config
            .set(
                "/resources/0/scopes/supported",
                json!(["tasks:read", "tasks:write", "tasks:admin"]),
            )
            .set(
                "/resources/0/scopes/implies",
                json!({ "tasks:admin": "tasks:write" }),
            )
            .set(
                "/resources/0/policy",
                json!({ "default": default, "rules": rules }),
            )
    })
    .await
}

fn call(world: &World, method: &str, params: Value) -> Call {
    world
        .gateway
        .post(request(1, method, params))
        .token(&world.reader())
}

fn tool(world: &World, name: &str, arguments: Value) -> Call {
    call(
        world,
        "tools/call",
        json!({ "name": name, "arguments": arguments }),
    )
}

/// Allowed, or refused for this reason.
async fn check(world: &World, call: Call, reason: Option<&str>) -> Result<Reply, String> {
    match reason {
        None => world.acceptance(call).await,
        Some(reason) => {
            let status = if reason.starts_with("ambiguous") {
                400
            } else {
                403
            };
            world.refusal(call, status, reason).await
        }
    }
}

#[tokio::test]
async fn a_rule_matches_calls_by_pattern_and_argument() {
    let world = world(
        "allow",
        json!([
            { "method": "tools/call", "name": "report_*", "arguments": { "detail": ["full", "raw*"] }, "scopes": "tasks:write" },
            { "method": ["tools/call", "prompts/get"], "name": "team/**", "scopes": "tasks:write" },
        ]),
    )
    .await;
    let scope = Some("insufficient_scope");
    let mut table = Table::default();
    for (name, arguments, reason) in [
        ("report_day", json!({ "detail": "full" }), scope),
        ("report_day", json!({ "detail": "raw-1", "x": 1 }), scope),
        ("report_day", json!({ "detail": "brief" }), None),
        ("report_day", json!({}), None),
        (
            "report_day",
            json!({ "Detail": "full" }),
            Some("ambiguous_json"),
        ),
        ("report", json!({ "detail": "full" }), None),
        ("team/a/b", json!({}), scope),
        ("other", json!({ "Detail": 1, "detail": 2 }), None),
    ] {
        let outcome = check(&world, tool(&world, name, arguments.clone()), reason).await;
        table.row(&format!("{name} {arguments}"), outcome);
    }
}

#[tokio::test]
async fn a_broader_scope_is_accepted_and_the_narrow_one_is_requested() {
    let world = world(
        "deny",
        json!([{ "method": "tools/call", "name": "create_task", "scopes": "tasks:write" }]),
    )
    .await;
    let refused = check(
        &world,
        tool(&world, "create_task", json!({})),
        Some("insufficient_scope"),
    );
    let refused = refused.await.unwrap();
    assert!(
        refused
            .challenge()
            .contains("scope=\"tasks:read tasks:write\"")
    );
    let admin = world.token().scope("tasks:read tasks:admin").sign();
    let call = tool(&world, "create_task", json!({})).token(&admin);
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn a_rule_that_denies_returns_its_message_to_the_caller() {
    let world = world(
        "allow",
        json!([
            { "method": "tools/call", "name": "wipe", "deny": "Ask the platform team \u{2014} they wipe on Fridays." },
            { "method": "*", "clients": "agent", "deny": "The agent may do nothing." },
        ]),
    )
    .await;
    let reply = tool(&world, "wipe", json!({})).send().await;
    assert_eq!((reply.status, reply.challenge()), (403, ""));
    let message = &reply.json()["error"]["message"];
    assert_eq!(
        message,
        "Ask the platform team \u{2014} they wipe on Fridays."
    );
    assert_eq!(world.upstream.hits(), 0);

    let agent = world.token().claim("client_id", "agent").sign();
    for (method, expected) in [("tools/list", 403), ("ping", 200), ("initialize", 200)] {
        let call = call(&world, method, json!({})).token(&agent);
        assert_eq!(call.send().await.status, expected, "{method}");
    }
    world
        .acceptance(call(&world, "tools/list", json!({})))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_same_subject_of_two_issuers_is_two_principals_for_policy() {
    let world = world(
        "allow",
        json!([
            { "method": "tools/call", "name": "payroll", "principals": ["bob", { "issuer": "corporate", "subject": "carol" }] },
            { "method": "tools/call", "name": "deploy", "clients": "pipeline" },
        ]),
    )
    .await;
    let denied = Some("policy_denied");
    let mut table = Table::default();
    for (name, subject, client, reason) in [
        ("payroll", "bob", None, None),
        ("payroll", "carol", Some("x"), None),
        ("payroll", "alice", None, denied),
        ("payroll", "Bob", None, denied),
        ("deploy", "bob", Some("pipeline"), None),
        ("deploy", "pipeline", None, denied),
        ("deploy", "pipeline", Some("other"), denied),
    ] {
        let mut token = world.token().subject(subject);
        token = match client {
            Some(client) => token.claim("client_id", client),
            None => token.without("client_id"),
        };
        let call = tool(&world, name, json!({})).token(&token.sign());
        let outcome = check(&world, call, reason).await;
        table.row(&format!("{name} {subject} {client:?}"), outcome);
    }
}

#[tokio::test]
async fn a_rule_on_a_resource_applies_to_every_method_that_uses_it() {
    let world = world(
        "allow",
        json!([
            { "method": "resources/read", "name": "tasks://secret/**", "deny": "These are secret." },
            { "method": "prompts/get", "name": "plan", "scopes": "tasks:write" },
        ]),
    )
    .await;
    let listen = |uris: Value| json!({ "notifications": { "resourceSubscriptions": uris } });
    let completes = |kind: &str, key: &str, value: &str| json!({ "ref": { "type": kind, key: value }, "argument": { "name": "x", "value": "" } });
    let (secret, open) = ("tasks://secret/a", "tasks://open/a");
    let mut table = Table::default();
    for (method, params, status) in [
        ("resources/read", json!({ "uri": secret }), 403),
        ("resources/read", json!({ "uri": open }), 200),
        (
            "resources/read",
            json!({ "uri": "tasks://open/../secret/a" }),
            400,
        ),
        ("resources/subscribe", json!({ "uri": secret }), 403),
        ("resources/unsubscribe", json!({ "uri": open }), 200),
        ("subscriptions/listen", listen(json!([open, secret])), 403),
        (
            "subscriptions/listen",
            listen(json!([open, "tasks://%2e%2e/secret"])),
            400,
        ),
        ("subscriptions/listen", listen(json!([open])), 200),
        (
            "completion/complete",
            completes("ref/resource", "uri", "tasks://secret/{id}"),
            403,
        ),
        (
            "completion/complete",
            completes("ref/prompt", "name", "plan"),
            403,
        ),
        (
            "completion/complete",
            completes("ref/prompt", "name", "other"),
            200,
        ),
        (
            "completion/complete",
            completes("ref/tool", "name", "plan"),
            400,
        ),
    ] {
        let hits = world.upstream.hits();
        let reply = call(&world, method, params.clone()).send().await;
        let forwarded = world.upstream.hits() - hits;
        let right = reply.status == status && forwarded == usize::from(status == 200);
        table.check(&format!("{method} {params}"), right, || {
            format!(
                "{} after {forwarded} at the upstream: {}",
                reply.status,
                reply.text()
            )
        });
    }
}

#[tokio::test]
async fn a_condition_reads_claims_arguments_and_the_request() {
    let world = world(
        "deny",
        json!([
            { "method": "tools/call", "name": "pay", "condition": "mcp.arguments.amount <= claims.limit" },
            { "method": "tools/call", "name": "report", "condition": "claims.department == \"ops\" && request.path == \"/mcp\"" },
            { "method": "tools/call", "name": "here", "condition": "client.address == \"127.0.0.1\"" },
            { "method": "tools/call", "condition": "has(claims.suspended) && claims.suspended", "deny": "Suspended." },
            { "method": "tools/call" },
        ]),
    )
    .await;
    let (denied, failed) = (Some("policy_denied"), Some("condition_failed"));
    let limited = json!({ "limit": 100 });
    let mut table = Table::default();
    for (name, arguments, claims, reason) in [
        ("pay", json!({ "amount": 100 }), &limited, None),
        ("pay", json!({ "amount": 101 }), &limited, denied),
        ("pay", json!({ "amount": "7" }), &limited, failed),
        ("pay", json!({}), &limited, failed),
        ("pay", json!({ "amount": 1 }), &json!({}), failed),
        (
            "pay",
            json!({ "amount": 1, "Amount": 500 }),
            &limited,
            Some("ambiguous_json"),
        ),
        ("report", json!({}), &json!({ "department": "ops" }), None),
        (
            "report",
            json!({}),
            &json!({ "department": "sales" }),
            denied,
        ),
        ("here", json!({}), &json!({}), None),
        ("other", json!({}), &json!({ "suspended": false }), None),
        ("other", json!({}), &json!({}), None),
        ("other", json!({}), &json!({ "suspended": "yes" }), failed),
    ] {
        let mut token = world.token();
        for (claim, value) in claims.as_object().unwrap() {
            token = token.claim(claim, value.clone());
        }
        let call = tool(&world, name, arguments.clone()).token(&token.sign());
        let outcome = check(&world, call, reason).await;
        table.row(&format!("{name} {arguments} {claims}"), outcome);
    }
    let suspended = world.token().claim("suspended", true).sign();
    let reply = tool(&world, "other", json!({}))
        .token(&suspended)
        .send()
        .await;
    assert_eq!(reply.json()["error"]["message"], "Suspended.");
    let failures = world.gateway.metrics().await;
    let failures = failures.sum(
        "mcp_gateway_condition_failures_total",
        &[("cause", "error")],
    );
    assert!(failures >= 4.0, "{failures}");
}

#[tokio::test]
async fn the_log_names_the_rule_that_refused() {
    let world = world(
        "deny",
        json!([
            { "method": "tools/call", "name": "step", "scopes": ["tasks:write"] },
            { "method": "tools/call", "name": "purge", "deny": "Ask the platform team." },
        ]),
    )
    .await;
    for (name, detail) in [
        (
            "step",
            "policy.rules[0]: the token lacks tasks:write; its scopes: ",
        ),
        ("purge", "policy.rules[1]\""),
        ("other", "policy.default: no rule matches\""),
    ] {
        let reply = tool(&world, name, json!({})).send().await;
        assert_eq!(reply.status, 403);
        let logged = format!("\"detail\":\"{detail}");
        world.gateway.logged(&logged).await;
    }
}

#[tokio::test]
async fn the_log_names_a_condition_without_the_values_it_read() {
    let world = world(
        "deny",
        json!([{ "method": "tools/call", "condition": "claims.secret_number > mcp.arguments.guess" }]),
    )
    .await;
    let token = world.token().claim("secret_number", "canary-4711").sign();
    let call = tool(&world, "guess", json!({ "guess": 1 })).token(&token);
    world.refusal(call, 403, "condition_failed").await.unwrap();
    let log = world.gateway.log().await;
    assert!(log.contains("policy.rules[0]"), "{log}");
    assert!(!log.contains("canary-4711"), "{log}");
}
