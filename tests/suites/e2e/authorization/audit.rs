//! The audit log: one line for each decision on a request that can change something, and none for others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use e2e::client::{Call, initialize, modern, notification, request, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::upstream::{Answer, sessions};
use e2e::world::{Table, World};
use e2e::{SOON, eventually};
use http::Method;
use serde_json::{Value, json};
use test_support::Key;

const DROPPED: &str = "mcp_gateway_audit_lines_dropped_total";
const SESSION: &str = "mcp-session-id";

/// The content of the file `audit.log` next to the configuration.
fn text(world: &World) -> String {
    fs::read_to_string(path(world)).unwrap_or_default()
}

fn path(world: &World) -> PathBuf {
    world.gateway.config.folder().join("audit.log")
}

/// Its lines, once there are `count`; more are a failure.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    let what = format!("{count} audit lines");
    eventually(&what, async || text(world).lines().count() >= count).await;
    let text = text(world);
    let lines: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

fn with_file(config: Config) -> Config {
    config.set("/audit", json!({ "file": "audit.log" }))
}

fn with_rules(config: Config) -> Config {
    with_file(config).set(
        "/resources/0/policy",
        json!({
            "default": "deny",
            "rules": [
                { "method": "tools/call", "name": "create_*", "scopes": ["tasks:write"] },
                { "method": "tools/call", "name": "drop_*", "deny": "Ask the platform team." },
                { "method": "tools/call", "name": "sign", "principals": ["bob"] },
                { "method": "tools/call", "name": "broken", "condition": "claims.department == 'ops'" },
                { "method": ["tools/list", "prompts/get", "logging/setLevel", "resources/read", "completion/complete"] },
            ],
        }),
    )
}

#[tokio::test]
async fn each_decision_says_who_what_and_by_which_rule() {
    let world = World::with(with_rules).await;
    let (reader, writer) = (world.reader(), world.writer());
    let cases = [
        (
            tool(1, "create_a"),
            &writer,
            "allowed",
            "rules[0]",
            Value::Null,
            Value::Null,
        ),
        (
            tool(1, "create_a"),
            &reader,
            "refused",
            "rules[0]",
            json!("insufficient_scope"),
            json!("tasks:write"),
        ),
        (
            tool(1, "drop_b"),
            &writer,
            "refused",
            "rules[1]",
            json!("policy_denied"),
            Value::Null,
        ),
        (
            tool(1, "sign"),
            &writer,
            "refused",
            "rules[2]",
            json!("policy_denied"),
            Value::Null,
        ),
        (
            tool(1, "broken"),
            &writer,
            "refused",
            "rules[3]",
            json!("condition_failed"),
            Value::Null,
        ),
        (
            tool(1, "else"),
            &writer,
            "refused",
            "default",
            json!("policy_denied"),
            Value::Null,
        ),
        (
            request(1, "logging/setLevel", json!({ "level": "debug" })),
            &reader,
            "allowed",
            "rules[4]",
            Value::Null,
            Value::Null,
        ),
        (
            request(1, "unknown/method", json!({})),
            &reader,
            "refused",
            "default",
            json!("policy_denied"),
            Value::Null,
        ),
    ];
    let mut table = Table::default();
    for (at, (body, token, decision, rule, reason, missing)) in cases.into_iter().enumerate() {
        let sent: Value = serde_json::from_str(&body).unwrap();
        world.gateway.post(body).token(token).send().await;
        let line = lines(&world, at + 1).await.pop().unwrap();
        let expected = json!({
            "level": "INFO",
            "target": "audit",
            "message": "decision",
            "resource": "/mcp",
            "issuer": e2e::gateway::config::ISSUER,
            "subject": "alice",
            "client_id": "inspector",
            "change": "call",
            "mcp_method": sent["method"],
            "mcp_name": sent["params"]["name"],
            "decision": decision,
            "rule": rule,
            "reason": reason,
            "missing_scopes": missing,
        });
        for (name, value) in expected.as_object().unwrap() {
            table.check(name, line[name] == *value, || format!("{rule}: {line}"));
        }
        let client = line["client"].as_str().unwrap();
        table.check("client", client.starts_with("127.0.0.1:"), || {
            line.to_string()
        });
        let id = line["request_id"].as_str().unwrap();
        let access = format!(r#""message":"request","request_id":"{id}""#);
        world.gateway.logged(&access).await;
    }
}

#[tokio::test]
async fn requests_without_a_tool_call_have_no_audit_line() {
    let world = World::with(with_rules).await;
    let token = world.reader();
    for body in [
        initialize(),
        request(1, "ping", json!({})),
        request(1, "tools/list", json!({})),
        request(1, "prompts/get", json!({ "name": "p" })),
        request(1, "resources/read", json!({ "uri": "a://b" })),
        request(1, "tasks/list", json!({})),
        notification("notifications/initialized"),
        "{ no JSON".to_owned(),
    ] {
        world.gateway.post(body).token(&token).send().await;
    }
    let discover = world.gateway.post(modern(1, "server/discover", json!({})));
    discover
        .token(&token)
        .modern("server/discover", None)
        .send()
        .await;
    world
        .gateway
        .get("/mcp")
        .token(&token)
        .with("accept", "text/event-stream")
        .send()
        .await;
    // Without a token there is no decision about the call.
    world.gateway.post(tool(1, "create_a")).send().await;
    world
        .gateway
        .post(tool(1, "create_a"))
        .token(&world.writer())
        .send()
        .await;
    let line = lines(&world, 1).await.pop().unwrap();
    assert_eq!(line["mcp_name"], "create_a");
}

fn delete(world: &World, token: &str, session: &str) -> Call {
    let call = world.gateway.request(Method::DELETE, "/mcp");
    call.token(token).with(SESSION, session)
}

#[tokio::test]
async fn sessions_responses_and_rate_limits_have_audit_lines_too() {
    let limit = json!([{ "per": "principal", "calls": 1, "within": "1d", "method": "tools/call" }]);
    let world =
        World::with(|config| with_file(config).set("/resources/0/rate_limits", limit)).await;
    world.upstream.script(sessions());
    let token = world.writer();
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let session = opened.header(SESSION).to_owned();
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} }).to_string();
    for _ in 0..2 {
        let call = world.gateway.post(tool(1, "list_tasks")).token(&token);
        call.with(SESSION, &session).send().await;
    }
    let call = world.gateway.post(answer.clone()).token(&token);
    call.with(SESSION, &session).send().await;
    world.gateway.post(answer).token(&token).send().await;
    delete(&world, &token, "v1.unknown").send().await;
    delete(&world, &world.token().subject("bob").sign(), &session)
        .send()
        .await;
    delete(&world, &token, &session).send().await;

    let found: Vec<_> = lines(&world, 7).await;
    let found: Vec<_> = found
        .iter()
        .map(|line| {
            ["change", "decision", "rule", "reason"].map(|name| line[name].as_str().unwrap_or("-"))
        })
        .collect();
    let expected = [
        ["call", "allowed", "default", "-"],
        ["call", "refused", "default", "rate_limited"],
        ["answer", "allowed", "required", "-"],
        ["answer", "refused", "required", "session_required"],
        ["session_end", "refused", "required", "session_unknown"],
        ["session_end", "refused", "required", "session_mismatch"],
        ["session_end", "allowed", "required", "-"],
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_call_is_audited_once_and_before_its_upstream_answers() {
    let world = World::with(with_file).await;
    world.upstream.script(|_| Answer::Hang);
    let open = world
        .gateway
        .post(tool(1, "list_tasks"))
        .token(&world.reader());
    let call = tokio::spawn(open.attempt());
    world.upstream.received(1).await;
    assert_eq!(lines(&world, 1).await[0]["decision"], "allowed");
    assert!(!call.is_finished());
    call.abort();
    world.upstream.script(|_| Answer::Drop);
    let reply = world
        .gateway
        .post(tool(2, "list_tasks"))
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(
        reply.status, 502,
        "the failure of the upstream is not a decision"
    );
    assert_eq!(lines(&world, 2).await[1]["decision"], "allowed");
}

#[tokio::test]
async fn hostile_names_stay_on_one_line_and_secrets_stay_out() {
    let world = World::with(with_file).await;
    let secret = leaks::secret("audit-canary-5d2c90aa1b");
    let token = world.writer();
    let names = [
        "a\n{\"target\":\"audit\",\"decision\":\"allowed\"}".to_owned(),
        "\u{1b}[31m\r\u{202e}\u{0}".to_owned(),
        "x".repeat(8 << 10),
        "x".repeat(100 << 10),
        format!("mine {token}"),
    ];
    for name in &names {
        let arguments = json!({ "name": name, "arguments": { "password": secret } });
        let body = request(1, "tools/call", arguments);
        // The upstream receives the name unchanged; only the lines are checked.
        world.upstream.bodies_may_hold_tokens();
        let _ = world.gateway.post(body).token(&token).attempt().await;
    }
    let long = request(1, &"m".repeat(4 << 10), json!({}));
    world.gateway.post(long).token(&token).send().await;
    let sent = world.upstream.hits();
    let text = async || {
        eventually("the lines", async || text(&world).lines().count() >= sent).await;
        text(&world)
    };
    for line in text().await.lines() {
        let value: Value = serde_json::from_str(line).expect(line);
        assert_eq!(value["message"], "decision");
        assert!(line.len() < 4096 && !line.contains('\u{1b}'), "{line}");
        assert_eq!(leaks::find(line), None, "{line}");
    }
}

#[tokio::test]
async fn the_audit_file_is_private_and_survives_rotation_and_gets_the_last_line() {
    let mut world = World::with(with_file).await;
    let token = world.reader();
    let call = async |world: &World| {
        let call = world.gateway.post(tool(1, "list_tasks")).token(&token);
        assert_eq!(call.send().await.status, 200);
    };
    call(&world).await;
    lines(&world, 1).await;
    let mode = fs::metadata(path(&world)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::rename(path(&world), path(&world).with_extension("1")).unwrap();
    call(&world).await;
    call(&world).await;
    assert_eq!(world.gateway.stop().await, Some(0));
    lines(&world, 2).await;
    let rotated = fs::read_to_string(path(&world).with_extension("1")).unwrap();
    assert_eq!(rotated.lines().count(), 1);
    assert!(!world.gateway.log().await.contains(r#""target":"audit""#));
}

#[tokio::test]
async fn without_a_file_audit_lines_go_to_the_log_in_its_format_or_are_off() {
    for (config, needle) in [
        (
            json!({ "audit": {}, "format": "json" }),
            Some(r#""target":"audit","message":"decision""#),
        ),
        (
            json!({ "audit": {}, "format": "text" }),
            Some(
                " INFO audit refused call mcp_method=tools/call mcp_name=create_task rule=rules[0] reason=insufficient_scope",
            ),
        ),
        (
            json!({ "audit": { "enabled": false }, "format": "json" }),
            None,
        ),
    ] {
        let change = |file: Config| {
            let file = file.set("/log/format", config["format"].clone());
            file.set("/audit", config["audit"].clone())
        };
        let mut world = World::with(change).await;
        let call = world
            .gateway
            .post(tool(1, "create_task"))
            .token(&world.reader());
        assert_eq!(call.send().await.status, 403);
        match needle {
            Some(needle) => drop(world.gateway.logged(needle).await),
            None => {
                assert_eq!(world.gateway.stop().await, Some(0));
                assert!(
                    !world.gateway.log().await.contains("audit"),
                    "{}",
                    world.gateway.log().await
                );
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_loses_audit_lines_and_fails_no_request() {
    let full = json!({ "file": "/dev/full" });
    let world = World::with(|config| config.set("/audit", full)).await;
    for _ in 0..5 {
        let call = world
            .gateway
            .post(tool(1, "list_tasks"))
            .token(&world.reader());
        assert_eq!(call.send().await.status, 200);
    }
    eventually("each line is counted", async || {
        world.gateway.metrics().await.sum(DROPPED, &[]) == 5.0
    })
    .await;
}

#[tokio::test]
async fn an_audit_file_that_cannot_be_written_fails_the_start() {
    let config = Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")]);
    let config = config.set("/audit", json!({ "file": "missing/audit.log" }));
    let mut gateway = Gateway::spawn(config);
    assert_eq!(gateway.process.exit(SOON).await.code(), Some(1));
    let line = gateway.logged("audit.file").await;
    assert!(
        line.contains("missing/audit.log cannot be written"),
        "{line}"
    );
}
