//! One strict message per request, and scopes by its exact method and name.

use e2e::client::{self, MODERN, initialize, request, tool};
use e2e::world::{Table, World};
use serde_json::{Value, json};

#[tokio::test]
async fn errors_of_the_gateway_carry_the_id_of_the_request() {
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for id in [json!("a-1"), json!(42), json!(-3)] {
        let body =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {} }).to_string();
        let reply = world.gateway.post(body).token(&token).send().await;
        table.check("no name", reply.json()["id"] == id, || reply.text());
        let modern = client::modern(id.clone(), "tools/list", json!({}));
        let reply = world
            .gateway
            .post(modern)
            .token(&token)
            .modern("tools/call", None)
            .send()
            .await;
        table.check("mismatch", reply.json()["id"] == id, || reply.text());
    }
    let reply = world.gateway.post("{").token(&token).send().await;
    table.check("unreadable", reply.json()["id"] == Value::Null, || {
        reply.text()
    });
}

#[tokio::test]
async fn legal_json_passes_byte_for_byte() {
    // 71, 73: look-alikes and unusual numbers inside arguments are not checked.
    let world = World::start().await;
    world.upstream.script(|_| {
        e2e::upstream::Answer::Full(e2e::upstream::with(200, "application/json", "{}"))
    });
    let token = world.reader();
    let mut table = Table::default();
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_tasks","arguments":{"path":1,"PATH":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_tasks","arguments":{"n":1e999,"s":"\ud800"}}}"#,
        "  {\"jsonrpc\" : \"2.0\",\n \"id\":1, \"method\":\"ping\" }\n",
        r#"{"jsonrpc":"2.0","id":"ünï","method":"ping","params":{"x":"ſK"}}"#,
    ] {
        if table
            .row(
                body,
                world
                    .acceptance(world.gateway.post(body).token(&token))
                    .await,
            )
            .is_some()
        {
            let seen = world.upstream.last().body;
            table.check(body, seen == body.as_bytes(), || format!("{seen:?}"));
        }
    }
}

/// Generated clients write null for what they leave out. The upstream receives what was sent.
#[tokio::test]
async fn an_optional_member_that_is_null_is_served_as_if_it_were_left_out() {
    let world = World::start().await;
    world.upstream.script(|_| {
        e2e::upstream::Answer::Full(e2e::upstream::with(200, "application/json", "{}"))
    });
    let token = world.reader();
    let mut table = Table::default();
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":null,"_meta":null}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":null}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_tasks","arguments":null,"task":null,"_meta":null}}"#,
    ] {
        let call = world.gateway.post(body).token(&token);
        let passed = world.acceptance(call.with("mcp-protocol-version", client::LEGACY));
        if table.row(body, passed.await).is_some() {
            let seen = world.upstream.last().body;
            table.check(body, seen == body.as_bytes(), || format!("{seen:?}"));
        }
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
        r#"{"jsonrpc":null,"id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":null}}"#,
    ] {
        let call = world.gateway.post(body).token(&token);
        table.row(body, world.refusal(call, 400, "invalid_request").await);
    }
}

#[tokio::test]
async fn well_formed_modern_requests_pass_with_their_headers() {
    let world = World::start().await;
    let token = world.reader();
    let post = |body: String| world.gateway.post(body).token(&token);
    let mut table = Table::default();
    let read = client::modern(7, "resources/read", json!({ "uri": "tasks://ünï" }));
    let sentinel = format!("=?base64?{}?=", standard("tasks://ünï"));
    for (name, call, method, mcp_name) in [
        (
            "list",
            post(client::modern(7, "tools/list", json!({}))).modern("tools/list", None),
            "tools/list",
            None,
        ),
        (
            "call",
            post(client::modern(
                7,
                "tools/call",
                json!({ "name": "list_tasks" }),
            ))
            .modern("tools/call", Some("list_tasks")),
            "tools/call",
            Some("list_tasks"),
        ),
        (
            "sentinel",
            post(read).modern("resources/read", Some(&sentinel)),
            "resources/read",
            Some(sentinel.as_str()),
        ),
    ] {
        let call = call
            .with("mcp-param-region", "eu")
            .with("mcp-param-under_score", "1")
            .with("mcp-session-id", "ignored");
        if table.row(name, world.acceptance(call).await).is_none() {
            continue;
        }
        let last = world.upstream.last();
        for (header, expected) in [
            ("mcp-protocol-version", Some(MODERN)),
            ("mcp-method", Some(method)),
            ("mcp-name", mcp_name),
            ("mcp-param-region", Some("eu")),
            ("mcp-param-under_score", Some("1")),
            ("mcp-session-id", None),
        ] {
            table.check(name, last.header(header) == expected, || {
                format!("{header}: {:?}", last.header(header))
            });
        }
    }
}

#[tokio::test]
async fn the_default_deny_allows_only_calls_that_rules_name() {
    let world = World::with(|config| {
        let config = config.set(
            "/resources/0/scopes/supported",
            json!(["tasks:list", "tasks:read"]),
        );
        config.set(
            "/resources/0/policy",
            json!({ "default": "deny", "rules": [
                { "method": "tools/call", "name": ["list_tasks"], "scopes": [] },
                { "method": "tools/list", "scopes": ["tasks:list"] },
            ] }),
        )
    })
    .await;
    let token = world.reader();
    let post = |body: String| world.gateway.post(body).token(&token);
    let mut table = Table::default();
    table.row("named", world.acceptance(post(tool(1, "list_tasks"))).await);
    table.row("initialize", world.acceptance(post(initialize())).await);
    table.row(
        "ping",
        world.acceptance(post(request(1, "ping", json!({})))).await,
    );
    for (name, body) in [
        ("another tool", tool(1, "create_task")),
        ("a longer name", tool(1, "list_tasks2")),
        ("letter case", tool(1, "LIST_TASKS")),
        ("another method", request(1, "resources/list", json!({}))),
        (
            "letter case of the method",
            request(1, "Tools/Call", json!({ "name": "list_tasks" })),
        ),
    ] {
        if let Some(reply) = table.row(name, world.refusal(post(body), 403, "policy_denied").await)
        {
            table.check(name, reply.challenge().is_empty(), || {
                reply.challenge().to_owned()
            });
        }
    }
    let missing = world
        .refusal(
            post(request(1, "tools/list", json!({}))),
            403,
            "insufficient_scope",
        )
        .await;
    if let Some(reply) = table.row("a scope", missing) {
        table.check(
            "a scope",
            reply
                .challenge()
                .contains("scope=\"tasks:list tasks:read\""),
            || reply.challenge().to_owned(),
        );
    }
}

#[tokio::test]
async fn errors_of_the_upstream_pass_unchanged() {
    let world = World::start().await;
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}"#;
    world.upstream.script(move |_| {
        e2e::upstream::Answer::Full(e2e::upstream::with(404, "application/json", error))
    });
    let reply = world
        .gateway
        .post(request(1, "nothing/here", json!({})))
        .token(&world.reader())
        .send()
        .await;
    assert_eq!((reply.status, reply.text().as_str()), (404, error));
}

fn standard(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
