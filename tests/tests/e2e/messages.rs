//! One strict message per request (threats 67–79), and scopes by its exact method and name.

use e2e::client::{self, MODERN, initialize, notification, request, tool};
use e2e::world::{Table, World};
use serde_json::{Value, json};

#[tokio::test]
async fn unreadable_messages_are_answered_in_json_rpc() {
    // 71–74, 77
    let world = World::start().await;
    let token = world.reader();
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{}{}}}",
        "[".repeat(100),
        "]".repeat(100)
    );
    let call = |rest: &str| format!("{{\"jsonrpc\":\"2.0\",\"id\":7,{rest}}}").into_bytes();
    let rows: Vec<(&str, Vec<u8>, i64, &str)> = vec![
        (
            "71: method twice",
            call(r#""method":"ping","method":"tools/call""#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: Method beside method",
            call(r#""method":"ping","Method":"x""#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: name twice",
            call(r#""method":"tools/call","params":{"name":"list_tasks","name":"create_task"}"#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: Name beside name",
            call(r#""method":"tools/call","params":{"name":"a","Name":"b"}"#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: NUL",
            call(r#""method":"tools/call","params":{"name":"a","name\u0000":"b"}"#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: long s",
            call("\"method\":\"tools/call\",\"param\u{17f}\":{},\"params\":{\"name\":\"a\"}"),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: duplicate deep inside",
            call(r#""method":"tools/call","params":{"name":"a","arguments":{"x":{"y":1,"y":2}}}"#),
            -32600,
            "ambiguous_json",
        ),
        (
            "71: escaped duplicate",
            call(r#""method":"ping","m\u0065thod":"tools/call""#),
            -32600,
            "ambiguous_json",
        ),
        (
            "72: batch",
            b"[{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}]".to_vec(),
            -32600,
            "invalid_request",
        ),
        ("72: empty batch", b"[]".to_vec(), -32600, "invalid_request"),
        (
            "73: BOM",
            [
                b"\xef\xbb\xbf".as_slice(),
                request(7, "ping", json!({})).as_bytes(),
            ]
            .concat(),
            -32700,
            "parse_error",
        ),
        (
            "73: UTF-16",
            request(7, "ping", json!({}))
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            -32700,
            "parse_error",
        ),
        (
            "73: a control byte",
            call("\"method\":\"ping\",\"params\":{\"x\":\"\u{1}\"}"),
            -32700,
            "parse_error",
        ),
        (
            "73: invalid UTF-8",
            [
                b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"p".as_slice(),
                b"\xff",
                b"\"}",
            ]
            .concat(),
            -32700,
            "parse_error",
        ),
        (
            "73: two documents",
            [request(7, "ping", json!({})), request(8, "ping", json!({}))]
                .concat()
                .into_bytes(),
            -32700,
            "parse_error",
        ),
        (
            "73: trailing bytes",
            format!("{} x", request(7, "ping", json!({}))).into_bytes(),
            -32700,
            "parse_error",
        ),
        (
            "73: NaN",
            call(r#""method":"ping","params":{"x":NaN}"#),
            -32700,
            "parse_error",
        ),
        ("73: nothing", Vec::new(), -32700, "parse_error"),
        (
            "73: cut",
            b"{\"jsonrpc\":\"2.0\",\"id\":7".to_vec(),
            -32700,
            "parse_error",
        ),
        ("74: 100 deep", deep.into_bytes(), -32700, "parse_error"),
        (
            "77: id null",
            br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(),
            -32600,
            "invalid_request",
        ),
        (
            "77: id a fraction",
            br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.to_vec(),
            -32600,
            "invalid_request",
        ),
        (
            "77: id an object",
            br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.to_vec(),
            -32600,
            "invalid_request",
        ),
        (
            "not 2.0",
            br#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#.to_vec(),
            -32600,
            "invalid_request",
        ),
        (
            "no jsonrpc",
            br#"{"id":7,"method":"ping"}"#.to_vec(),
            -32600,
            "invalid_request",
        ),
        (
            "method no text",
            call(r#""method":5"#),
            -32600,
            "invalid_request",
        ),
        (
            "a tool without a name",
            call(r#""method":"tools/call","params":{}"#),
            -32600,
            "invalid_request",
        ),
        (
            "a tool with a number for a name",
            call(r#""method":"tools/call","params":{"name":5}"#),
            -32600,
            "invalid_request",
        ),
        ("a text", b"\"ping\"".to_vec(), -32600, "invalid_request"),
    ];
    let mut table = Table::default();
    for (name, body, code, reason) in rows {
        let outcome = world
            .refusal(world.gateway.post(body).token(&token), 400, reason)
            .await;
        if let Some(reply) = table.row(name, outcome) {
            let body = reply.json();
            table.check(
                name,
                reply.rpc_code() == Some(code) && body["jsonrpc"] == "2.0",
                || body.to_string(),
            );
        }
    }
}

#[tokio::test]
async fn errors_of_the_gateway_carry_the_id_they_answer() {
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
    // 71, 73: look-alikes and odd numbers inside arguments are the tool's business.
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

#[tokio::test]
async fn only_plain_json_is_read() {
    // 75
    let world = World::start().await;
    let token = world.reader();
    let post = || world.gateway.post(initialize()).token(&token);
    let mut table = Table::default();
    for (name, call) in [
        ("no content type", post().without("content-type")),
        ("text/plain", post().with("content-type", "text/plain")),
        (
            "multipart",
            post().with("content-type", "multipart/form-data; boundary=x"),
        ),
        ("two", post().also("content-type", "application/json")),
        ("gzip", post().with("content-encoding", "gzip")),
        (
            "look-alike",
            post().with("content-type", "application/jsonp"),
        ),
    ] {
        table.row(
            name,
            world.refusal(call, 415, "unsupported_media_type").await,
        );
    }
    table.row(
        "with a charset",
        world
            .acceptance(post().with("content-type", "application/json; charset=utf-8"))
            .await,
    );
    table.row(
        "letter case",
        world
            .acceptance(post().with("content-type", "Application/JSON"))
            .await,
    );
    table.row(
        "identity",
        world
            .acceptance(post().with("content-encoding", "identity"))
            .await,
    );
}

#[tokio::test]
async fn headers_and_body_of_a_modern_request_agree() {
    // 67–69
    let world = World::start().await;
    let token = world.reader();
    let list = || client::modern(7, "tools/list", json!({}));
    let call = || {
        client::modern(
            7,
            "tools/call",
            json!({ "name": "list_tasks", "arguments": {} }),
        )
    };
    let read = || client::modern(7, "resources/read", json!({ "uri": "tasks://ünï" }));
    let post = |body: String| world.gateway.post(body).token(&token);
    let plain = request(7, "tools/list", json!({}));
    let rows = [
        (
            "67: method differs",
            post(list()).modern("ping", None),
            -32020,
            "header_mismatch",
        ),
        (
            "67: name differs",
            post(call()).modern("tools/call", Some("create_task")),
            -32020,
            "header_mismatch",
        ),
        (
            "67: name in another case",
            post(call()).modern("tools/call", Some("List_Tasks")),
            -32020,
            "header_mismatch",
        ),
        (
            "68: method missing",
            post(list()).with("mcp-protocol-version", MODERN),
            -32020,
            "header_mismatch",
        ),
        (
            "68: name missing",
            post(call()).modern("tools/call", None),
            -32020,
            "header_mismatch",
        ),
        (
            "68: method doubled",
            post(list())
                .modern("tools/list", None)
                .also("mcp-method", "tools/list"),
            -32020,
            "header_mismatch",
        ),
        (
            "68: name doubled",
            post(call())
                .modern("tools/call", Some("list_tasks"))
                .also("mcp-name", "list_tasks"),
            -32020,
            "header_mismatch",
        ),
        (
            "68: bad base64",
            post(read()).modern("resources/read", Some("=?base64?%%%?=")),
            -32020,
            "header_mismatch",
        ),
        (
            "68: sentinel in upper case",
            post(read()).modern("resources/read", Some("=?BASE64?dGFza3M6Ly/DvG7Drw==?=")),
            -32020,
            "header_mismatch",
        ),
        (
            "69: version in the header only",
            post(plain.clone()).modern("tools/list", None),
            -32602,
            "version_missing",
        ),
        (
            "69: version in the body only",
            post(list()).with("mcp-method", "tools/list"),
            -32020,
            "header_mismatch",
        ),
        (
            "69: versions differ",
            post(list())
                .modern("tools/list", None)
                .with("mcp-protocol-version", "2027-01-01"),
            -32020,
            "header_mismatch",
        ),
        (
            "69: version doubled",
            post(list())
                .modern("tools/list", None)
                .also("mcp-protocol-version", MODERN),
            -32020,
            "header_mismatch",
        ),
        (
            "69: a legacy header over a modern body",
            post(list()).with("mcp-protocol-version", "2025-11-25"),
            -32020,
            "header_mismatch",
        ),
        (
            "77: a response",
            post(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.to_owned()).modern("tools/list", None),
            -32600,
            "invalid_request",
        ),
    ];
    let mut table = Table::default();
    for (name, call, code, reason) in rows {
        if let Some(reply) = table.row(name, world.refusal(call, 400, reason).await) {
            table.check(name, reply.rpc_code() == Some(code), || reply.text());
        }
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
async fn mirror_headers_mean_nothing_in_the_legacy_era_and_are_removed() {
    // 70: the body alone is judged.
    let world = World::start().await;
    let call = world
        .gateway
        .post(tool(7, "create_task"))
        .token(&world.reader())
        .with("mcp-protocol-version", "2025-11-25");
    let call = call
        .with("mcp-method", "tools/call")
        .with("mcp-name", "list_tasks");
    world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    let call = world
        .gateway
        .post(tool(7, "list_tasks"))
        .token(&world.reader());
    world
        .acceptance(call.with("mcp-method", "ping").with("mcp-name", "x"))
        .await
        .unwrap();
    let last = world.upstream.last();
    assert_eq!(
        (last.header("mcp-method"), last.header("mcp-name")),
        (None, None)
    );
}

#[tokio::test]
async fn an_unknown_version_is_the_upstreams_to_judge() {
    let world = World::start().await;
    let mut body: Value =
        serde_json::from_str(&client::modern(7, "tools/list", json!({}))).unwrap();
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2027-01-01");
    let call = world.gateway.post(body.to_string()).token(&world.reader());
    let call = call
        .modern("tools/list", None)
        .with("mcp-protocol-version", "2027-01-01");
    world.acceptance(call).await.unwrap();
    assert_eq!(
        world.upstream.last().header("mcp-protocol-version"),
        Some("2027-01-01")
    );
}

#[tokio::test]
async fn notifications_and_answers_of_a_legacy_client_pass_without_a_rule() {
    // 77, 79
    let world = World::with(|config| config.set("/resources/0/policy/default", "deny")).await;
    let token = world.reader();
    let mut table = Table::default();
    for body in [
        notification("notifications/initialized"),
        notification("notifications/never/heard/of"),
        json!({ "jsonrpc": "2.0", "id": 3, "result": { "roots": [] } }).to_string(),
        json!({ "jsonrpc": "2.0", "id": 4, "error": { "code": -1, "message": "no" } }).to_string(),
    ] {
        let hits = world.upstream.hits();
        let reply = world.gateway.post(body.clone()).token(&token).send().await;
        table.check(&body, reply.status == 202 && reply.body.is_empty(), || {
            format!("{reply:?}")
        });
        table.check(&body, world.upstream.hits() == hits + 1, || {
            "not forwarded".to_owned()
        });
    }
}

#[tokio::test]
async fn a_default_of_deny_lets_only_what_rules_name_pass() {
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
async fn an_upstreams_own_errors_pass_unchanged() {
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
