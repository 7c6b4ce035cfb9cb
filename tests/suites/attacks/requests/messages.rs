//! Numbers 67–79 and 174: messages, and the headers that mirror them.

use e2e::client::{self, Call, MODERN, initialize, notification, request, tool};
use e2e::upstream::sessions;
use e2e::world::{Table, World};
use serde_json::{Value, json};

const UNSUPPORTED: (i64, &str) = (-32022, "unsupported_version");
const SESSION: &str = "mcp-session-id";
const MISMATCH: (i64, &str) = (-32020, "header_mismatch");

/// These calls are refused with 400, this code and this reason.
async fn refuse<'a>(
    world: &World,
    rows: impl IntoIterator<Item = (&'a str, Call)>,
    as_: (i64, &str),
) {
    let (code, reason) = as_;
    let mut table = Table::default();
    for (name, call) in rows {
        if let Some(reply) = table.row(name, world.refusal(call, 400, reason).await) {
            table.check(name, reply.rpc_code() == Some(code), || reply.text());
        }
    }
}

/// The same for bodies of legacy calls.
async fn refuse_bodies<'a>(
    world: &World,
    rows: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
    as_: (i64, &str),
) {
    let token = world.reader();
    let calls = rows
        .into_iter()
        .map(|(name, body)| (name, world.gateway.post(body).token(&token)));
    refuse(world, calls, as_).await;
}

/// A request of id 7 with the rest of its members as written.
fn written(rest: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":7,{rest}}}").into_bytes()
}

fn list() -> String {
    client::modern(7, "tools/list", json!({}))
}

fn call() -> String {
    client::modern(
        7,
        "tools/call",
        json!({ "name": "list_tasks", "arguments": {} }),
    )
}

fn task(method: &str) -> String {
    client::modern(7, method, json!({ "taskId": "task-1" }))
}

fn read() -> String {
    client::modern(7, "resources/read", json!({ "uri": "tasks://ünï" }))
}

#[tokio::test]
async fn attack_067_mirror_headers_must_agree_with_the_body() {
    let world = World::start().await;
    let token = world.reader();
    let post = |body: String| world.gateway.post(body).token(&token);
    let rows = [
        ("the method differs", post(list()).modern("ping", None)),
        (
            "letter case of the method",
            post(list()).modern("Tools/List", None),
        ),
        (
            "the name differs",
            post(call()).modern("tools/call", Some("create_task")),
        ),
        (
            "letter case of the name",
            post(call()).modern("tools/call", Some("List_Tasks")),
        ),
        (
            "a name with a tail",
            post(call()).modern("tools/call", Some("list_tasks2")),
        ),
        (
            "allowed in the header, not in the body",
            post(client::modern(
                7,
                "tools/call",
                json!({ "name": "create_task" }),
            ))
            .modern("tools/call", Some("list_tasks")),
        ),
        (
            "another URI",
            post(read()).modern("resources/read", Some("tasks://all")),
        ),
    ];
    refuse(&world, rows, MISMATCH).await;
    let paying = |arguments: Value| {
        let params = json!({ "name": "list_tasks", "arguments": arguments });
        post(client::modern(7, "tools/call", params)).modern("tools/call", Some("list_tasks"))
    };
    let params = [
        (
            "another argument",
            paying(json!({ "region": "eu" })).with("mcp-param-region", "us"),
        ),
        (
            "an argument of another case",
            paying(json!({ "Region": "eu" })).with("mcp-param-region", "us"),
        ),
        (
            "an encoded argument",
            paying(json!({ "region": "eu" })).with("mcp-param-region", "=?base64?dXM=?="),
        ),
        (
            "an argument twice",
            paying(json!({ "region": "eu" }))
                .with("mcp-param-region", "eu")
                .also("mcp-param-region", "us"),
        ),
        (
            "null",
            paying(json!({ "region": null })).with("mcp-param-region", "us"),
        ),
    ];
    refuse(&world, params, MISMATCH).await;
    let same = paying(json!({ "region": "eu", "n": 5 }));
    let same = same.with("mcp-param-region", "eu").with("mcp-param-n", "5");
    world.acceptance(same).await.unwrap();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let other = post(task(method)).modern(method, Some("task-2"));
        refuse(&world, [(method, other)], MISMATCH).await;
    }
    let good = post(call()).modern("tools/call", Some("list_tasks"));
    world.acceptance(good).await.unwrap();
}

#[tokio::test]
async fn attack_068_mirror_headers_must_have_one_value_that_is_well_encoded() {
    let world = World::start().await;
    let token = world.reader();
    let post = |body: String| world.gateway.post(body).token(&token);
    let named = |name: &str| post(read()).modern("resources/read", Some(name));
    let literal = || client::modern(7, "resources/read", json!({ "uri": "=?base64?eA==?=" }));
    let rows = [
        (
            "no method",
            post(list()).with("mcp-protocol-version", MODERN),
        ),
        ("no name", post(call()).modern("tools/call", None)),
        (
            "two methods",
            post(list())
                .modern("tools/list", None)
                .also("mcp-method", "tools/call"),
        ),
        (
            "two names",
            post(call())
                .modern("tools/call", Some("list_tasks"))
                .also("mcp-name", "create_task"),
        ),
        ("no base64", named("=?base64?%%%?=")),
        ("base64 that is not UTF-8", named("=?base64?//8=?=")),
        (
            "base64 without padding",
            named("=?base64?dGFza3M6Ly/DvG7Drw?="),
        ),
        ("in upper case", named("=?BASE64?dGFza3M6Ly/DvG7Drw==?=")),
        (
            "a name that looks encoded",
            post(literal()).modern("resources/read", Some("=?base64?eA==?=")),
        ),
        ("no task", post(task("tasks/get")).modern("tasks/get", None)),
        (
            "no task to update",
            post(task("tasks/update")).modern("tasks/update", None),
        ),
        (
            "no task to cancel",
            post(task("tasks/cancel")).modern("tasks/cancel", None),
        ),
    ];
    refuse(&world, rows, MISMATCH).await;
    world
        .acceptance(named("=?base64?dGFza3M6Ly/DvG7Drw==?="))
        .await
        .unwrap();
    // Equal copies are one value: it is judged, and forwarded once.
    let twice = post(call())
        .modern("tools/call", Some("list_tasks"))
        .also("mcp-name", "list_tasks")
        .also("mcp-method", "tools/call");
    world.acceptance(twice).await.unwrap();
    let seen = world.upstream.last();
    for (name, value) in [("mcp-name", "list_tasks"), ("mcp-method", "tools/call")] {
        let lines: Vec<_> = seen.headers.get_all(name).iter().collect();
        assert_eq!(lines, [value], "{name}");
    }
    // A literal name that looks encoded must be encoded.
    let encoded = "=?base64?PT9iYXNlNjQ/ZUE9PT89?=";
    world
        .acceptance(post(literal()).modern("resources/read", Some(encoded)))
        .await
        .unwrap();
}

#[tokio::test]
async fn attack_069_the_protocol_version_must_agree_in_header_and_body() {
    let world = World::start().await;
    let token = world.reader();
    let post = |body: String| world.gateway.post(body).token(&token);
    let plain = request(7, "tools/list", json!({}));
    let missing = [(
        "in the header only",
        post(plain.clone()).modern("tools/list", None),
    )];
    refuse(&world, missing, (-32602, "version_missing")).await;
    let rows = [
        (
            "in the body only",
            post(list()).with("mcp-method", "tools/list"),
        ),
        (
            "another one",
            post(list())
                .modern("tools/list", None)
                .with("mcp-protocol-version", "2027-01-01"),
        ),
        (
            "two",
            post(list())
                .modern("tools/list", None)
                .also("mcp-protocol-version", "2027-01-01"),
        ),
        (
            "two, joined",
            post(list())
                .modern("tools/list", None)
                .with("mcp-protocol-version", &format!("{MODERN}, 2027-01-01")),
        ),
        (
            "a legacy header over a modern body",
            post(list()).with("mcp-protocol-version", "2025-11-25"),
        ),
    ];
    refuse(&world, rows, MISMATCH).await;
    world.acceptance(unknown(&world)).await.unwrap();
    assert_eq!(
        world.upstream.last().header("mcp-protocol-version"),
        Some("2027-01-01")
    );
    let listing = World::with(|config| {
        config.set(
            "/resources/0/protocol_versions",
            json!(["2025-11-25", MODERN]),
        )
    });
    let listing = listing.await;
    refuse(&listing, [("not listed", unknown(&listing))], UNSUPPORTED).await;
    // Without any version the request is a legacy one, and its body is checked.
    world.acceptance(post(plain)).await.unwrap();
    let writing = post(tool(7, "create_task"));
    world
        .refusal(writing, 403, "insufficient_scope")
        .await
        .unwrap();
}

/// A modern request of an unknown, later version.
fn unknown(world: &World) -> Call {
    let body = list().replace(MODERN, "2027-01-01");
    let call = world.gateway.post(body).token(&world.reader());
    call.modern("tools/list", None)
        .with("mcp-protocol-version", "2027-01-01")
}

#[tokio::test]
async fn attack_070_an_old_version_does_not_avoid_any_rule() {
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for (version, status, reason) in [
        ("2024-11-05", 403, "insufficient_scope"),
        ("2025-03-26", 403, "insufficient_scope"),
        ("2025-06-18", 403, "insufficient_scope"),
        ("2025-11-25", 403, "insufficient_scope"),
        // The rules of the newest version apply to unknown versions.
        ("1.0", 400, "version_missing"),
        ("", 400, "version_missing"),
    ] {
        let call = world.gateway.post(tool(7, "create_task")).token(&token);
        let call = call
            .with("mcp-protocol-version", version)
            .with("mcp-method", "tools/call")
            .with("mcp-name", "list_tasks");
        table.row(version, world.refusal(call, status, reason).await);
    }
    let call = world.gateway.post(tool(7, "list_tasks")).token(&token);
    table.row(
        "mirrors",
        world
            .acceptance(call.with("mcp-method", "ping").with("mcp-name", "x"))
            .await,
    );
    let last = world.upstream.last();
    assert_eq!(
        (last.header("mcp-method"), last.header("mcp-name")),
        (None, None)
    );
    drop(table);

    let modern_only =
        World::with(|config| config.set("/resources/0/protocol_versions", json!([MODERN]))).await;
    let token = modern_only.reader();
    let old = |body: String, version: &str| {
        let call = modern_only.gateway.post(body).token(&token);
        call.with("mcp-protocol-version", version)
    };
    let rows = [
        ("a tool", old(tool(7, "list_tasks"), "2025-11-25")),
        ("initialize", old(initialize(), "2025-11-25")),
        (
            "without a header",
            old(initialize(), "").without("mcp-protocol-version"),
        ),
    ];
    refuse(&modern_only, rows, UNSUPPORTED).await;
}

#[tokio::test]
async fn attack_071_ambiguous_member_names_are_refused() {
    let world = World::start().await;
    let rows = [
        (
            "method twice",
            written(r#""method":"ping","method":"tools/call""#),
        ),
        (
            "equal values",
            written(r#""method":"ping","method":"ping""#),
        ),
        ("Method", written(r#""method":"ping","Method":"x""#)),
        (
            "name twice",
            written(r#""method":"tools/call","params":{"name":"a","name":"b"}"#),
        ),
        (
            "Name",
            written(r#""method":"tools/call","params":{"name":"a","Name":"b"}"#),
        ),
        (
            "NUL",
            written(r#""method":"tools/call","params":{"name":"a","name\u0000":"b"}"#),
        ),
        (
            "long s",
            written("\"method\":\"tools/call\",\"param\u{17f}\":{},\"params\":{\"name\":\"a\"}"),
        ),
        (
            "kelvin sign",
            written("\"method\":\"ping\",\"params\":{\"k\":1,\"\u{212a}\":2}"),
        ),
        (
            "in _meta",
            written(r#""method":"ping","params":{"_meta":{"a":1,"A":2}}"#),
        ),
        (
            "deep inside",
            written(
                r#""method":"tools/call","params":{"name":"a","arguments":{"x":{"y":1,"y":2}}}"#,
            ),
        ),
        (
            "in an array",
            written(r#""method":"tools/call","params":{"name":"a","arguments":[{"y":1,"y":2}]}"#),
        ),
        (
            "an escape",
            written(r#""method":"ping","m\u0065thod":"tools/call""#),
        ),
    ];
    refuse_bodies(&world, rows, (-32600, "ambiguous_json")).await;
    let legal = written(
        r#""method":"tools/call","params":{"name":"list_tasks","arguments":{"path":1,"PATH":2}}"#,
    );
    world
        .acceptance(world.gateway.post(legal.clone()).token(&world.reader()))
        .await
        .unwrap();
    assert_eq!(world.upstream.last().body, legal);
}

#[tokio::test]
async fn attack_072_a_batch_is_refused() {
    let world = World::start().await;
    let one = request(7, "ping", json!({}));
    let rows = [
        ("of one", format!("[{one}]")),
        (
            "of two",
            format!("[{one},{}]", request(8, "ping", json!({}))),
        ),
        ("of none", "[]".to_owned()),
        (
            "of notifications",
            format!("[{}]", notification("notifications/initialized")),
        ),
    ];
    let rows = rows.map(|(name, body)| (name, body.into_bytes()));
    refuse_bodies(&world, rows, (-32600, "invalid_request")).await;
}

#[tokio::test]
async fn attack_073_a_body_is_one_document_in_utf_8() {
    let world = World::start().await;
    let ping = request(7, "ping", json!({}));
    let utf16 = |bytes: fn(u16) -> [u8; 2]| ping.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    let rows = [
        (
            "a BOM",
            [b"\xef\xbb\xbf".as_slice(), ping.as_bytes()].concat(),
        ),
        ("UTF-16LE", utf16(u16::to_le_bytes)),
        ("UTF-16BE", utf16(u16::to_be_bytes)),
        (
            "no UTF-8",
            written("\"method\":\"ping\",\"x\":\"\u{1}\"")
                .iter()
                .map(|byte| if *byte == 1 { 0xff } else { *byte })
                .collect(),
        ),
        (
            "a control byte",
            written("\"method\":\"ping\",\"params\":{\"x\":\"\u{1}\"}"),
        ),
        ("two documents", format!("{ping}{ping}").into_bytes()),
        ("trailing bytes", format!("{ping} x").into_bytes()),
        ("a trailing NUL", format!("{ping}\0").into_bytes()),
        ("NaN", written(r#""method":"ping","params":{"x":NaN}"#)),
        ("a comment", written(r#""method":"ping"/**/"#)),
        ("nothing", Vec::new()),
        ("truncated", b"{\"jsonrpc\":\"2.0\",\"id\":7".to_vec()),
    ];
    refuse_bodies(&world, rows, (-32700, "parse_error")).await;
    let odd = written(
        r#""method":"tools/call","params":{"name":"list_tasks","arguments":{"n":1e999,"s":"\ud800"}}"#,
    );
    let call = world.gateway.post(odd.clone()).token(&world.reader());
    assert_eq!(call.send().await.status, 202, "what this upstream answers");
    assert_eq!(world.upstream.last().body, odd);
}

#[tokio::test]
async fn attack_074_deep_wide_and_large_bodies_are_refused() {
    let world = World::with(|config| config.set("/limits/body_bytes", "256KiB")).await;
    let deep = |levels: usize| {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        written(&format!("\"method\":\"ping\",\"params\":{nested}"))
    };
    let wide = |members: usize| {
        let members: Vec<_> = (0..members).map(|index| format!("\"{index}\":1")).collect();
        written(&format!(
            "\"method\":\"ping\",\"params\":{{{}}}",
            members.join(",")
        ))
    };
    let rows = [
        ("100 levels", deep(100)),
        ("100,000 levels", deep(100_000)),
        ("12,000 members", wide(12_000)),
    ];
    refuse_bodies(&world, rows, (-32700, "json_limit")).await;
    // Patterns are matched against names.
    let named = |length: usize| tool(7, &"x".repeat(length)).into_bytes();
    let long = [("a long name", named(8 * 1024 + 1))];
    refuse_bodies(&world, long, (-32600, "invalid_request")).await;
    let longest = world.gateway.post(named(8 * 1024)).token(&world.reader());
    world.acceptance(longest).await.unwrap();
    let large = request(1, "ping", json!({ "x": "y".repeat(300 << 10) }));
    let framings = [
        (
            "announced",
            format!("Content-Length: {}\r\n\r\n{large}", large.len()),
        ),
        (
            "in chunks",
            format!(
                "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
                large.len()
            ),
        ),
    ];
    let mut table = Table::default();
    for (name, rest) in framings {
        let bytes = format!("{}{rest}", world.raw_head());
        if let Some(reply) = table.row(name, world.raw_refusal(bytes, 413, "body_too_large").await)
        {
            table.check(name, reply.header("connection") == "close", || {
                format!("{reply:?}")
            });
        }
    }
}

#[tokio::test]
async fn attack_075_only_plain_json_is_read() {
    let world = World::start().await;
    let token = world.reader();
    let post = || world.gateway.post(initialize()).token(&token);
    let mut table = Table::default();
    for (name, call) in [
        ("none", post().without("content-type")),
        ("text", post().with("content-type", "text/plain")),
        (
            "multipart",
            post().with("content-type", "multipart/form-data; boundary=x"),
        ),
        (
            "a look-alike",
            post().with("content-type", "application/jsonp"),
        ),
        ("two", post().also("content-type", "text/plain")),
        (
            "two, joined",
            post().with("content-type", "application/json, text/plain"),
        ),
        ("gzip", post().with("content-encoding", "gzip")),
        (
            "br, identity",
            post().with("content-encoding", "br, identity"),
        ),
    ] {
        table.row(
            name,
            world.refusal(call, 415, "unsupported_media_type").await,
        );
    }
    for (name, call) in [
        (
            "a charset",
            post().with("content-type", "application/json; charset=utf-8"),
        ),
        (
            "letter case",
            post().with("content-type", "Application/JSON"),
        ),
        ("identity", post().with("content-encoding", "identity")),
    ] {
        table.row(name, world.acceptance(call).await);
    }
}

#[tokio::test]
async fn attack_076_an_incomplete_accept_is_forwarded() {
    let world = World::start().await;
    let mut table = Table::default();
    for accept in ["application/json", "text/event-stream", "*/*", "text/html"] {
        let call = world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .with("accept", accept);
        table.row(accept, world.acceptance(call).await);
        let seen = world.upstream.last().header("accept").map(str::to_owned);
        table.check(accept, seen.as_deref() == Some(accept), || {
            format!("{seen:?}")
        });
    }
}

#[tokio::test]
async fn attack_077_responses_pass_only_in_a_legacy_session() {
    let world = World::with(|config| config.set("/resources/0/policy/default", "deny")).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let session = opened.header(SESSION);
    let bob = world.token().subject("bob").sign();
    let narrow = world.token().scope("other").sign();
    let mut table = Table::default();
    let answers = [
        json!({ "jsonrpc": "2.0", "id": 3, "result": { "roots": [] } }),
        json!({ "jsonrpc": "2.0", "id": "a", "error": { "code": -1, "message": "no" } }),
    ];
    for answer in &answers {
        let name = answer.to_string();
        let hits = world.upstream.hits();
        let answer = |token: &str| world.gateway.post(name.clone()).token(token);
        let reply = answer(&token).with(SESSION, session).send().await;
        let passed = reply.status == 202 && world.upstream.hits() == hits + 1;
        table.check(&name, passed, || format!("{reply:?}"));
        let last = world.upstream.last();
        let arrived = last.body == name && last.header(SESSION) == Some("upstream-session-1");
        table.check(&name, arrived, || format!("{last:?}"));
        // No client answers for another: not without a session, not in another's session, not with a guessed one.
        let outcome = world.refusal(answer(&token), 400, "session_required").await;
        if let Some(reply) = table.row(&name, outcome) {
            let id = &serde_json::from_str::<Value>(&name).unwrap()["id"];
            let is_answered = reply.rpc_code() == Some(-32600) && reply.json()["id"] == *id;
            table.check(&name, is_answered, || reply.text());
        }
        let stolen = answer(&bob).with(SESSION, session);
        table.row(&name, world.refusal(stolen, 404, "session_mismatch").await);
        let guessed = answer(&token).with(SESSION, "guess");
        table.row(&name, world.refusal(guessed, 404, "session_unknown").await);
        // Policy rules do not apply to responses, but the required scopes do.
        let narrow = answer(&narrow).with(SESSION, session);
        table.row(
            &name,
            world.refusal(narrow, 403, "insufficient_scope").await,
        );
        let bare = world.gateway.post(name.clone());
        table.row(&name, world.refusal(bare, 401, "no_credentials").await);
        let modern = world
            .gateway
            .post(name.clone())
            .token(&token)
            .with(SESSION, session)
            .modern("tools/list", None);
        table.row(&name, world.refusal(modern, 400, "invalid_request").await);
    }
    drop(table);
    let rows = ["null", "1.5", "{}", "[]", "true", "1e3"].map(|id| {
        (
            id,
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}").into_bytes(),
        )
    });
    refuse_bodies(&world, rows, (-32600, "invalid_request")).await;
}

#[tokio::test]
async fn attack_078_a_missing_scope_is_named_and_a_better_token_passes() {
    let world = World::start().await;
    let call = || world.gateway.post(tool(1, "create_task"));
    let reader = call().token(&world.reader());
    let reply = world
        .refusal(reader, 403, "insufficient_scope")
        .await
        .unwrap();
    assert!(
        reply
            .challenge()
            .contains("scope=\"tasks:read tasks:write\""),
        "{}",
        reply.challenge()
    );
    world
        .acceptance(call().token(&world.writer()))
        .await
        .unwrap();
    let other = world
        .gateway
        .post(tool(1, "list_tasks"))
        .token(&world.reader());
    world.acceptance(other).await.unwrap();
}

#[tokio::test]
async fn attack_079_an_unknown_notification_is_forwarded() {
    let world = World::with(|config| config.set("/resources/0/policy/default", "deny")).await;
    let body = notification("notifications/never/heard/of");
    let reply = world
        .gateway
        .post(body.clone())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!((reply.status, reply.body.len()), (202, 0));
    assert_eq!(
        world.upstream.last().json(),
        serde_json::from_str::<Value>(&body).unwrap()
    );
    let bare = world.gateway.post(body);
    world.refusal(bare, 401, "no_credentials").await.unwrap();
}

#[tokio::test]
async fn attack_174_no_spelling_of_a_resource_uri_passes_a_rule() {
    // What the answer to every denial says.
    const TEXT: &str = "This call is not allowed.";
    let denied = json!({ "method": "resources/read", "deny": TEXT, "name": [
        "note:///my%20secret", "note:///gr%C3%BCn", "https://host.example", "file:///C:/secret/*", "http://127.0.0.1/**",
    ] });
    let rules = json!([denied, { "method": "tools/call", "name": "wipe", "deny": TEXT }]);
    let world = World::with(|config| config.set("/resources/0/policy/rules", rules)).await;
    let token = world.reader();
    let read = |uri: &str| {
        let body = request(7, "resources/read", json!({ "uri": uri }));
        world.gateway.post(body).token(&token)
    };
    let mut table = Table::default();
    for uri in [
        "note:///my secret",
        "NOTE:///my%20secret",
        "note:///m%79%20secret",
        "note:////my%20secret ",
        "note:///gr\u{fc}n",
        "https://host.example/",
        "https://@ho\u{ff53}t.example:443",
        "https:\\\\ho\u{ad}st.example",
        "file:C|/secret/a",
        "file:///C:/secret%2Fa",
        "http://2130706433/a",
        "http://0x7f.1/a",
    ] {
        table.row(uri, world.refusal(read(uri), 403, "policy_denied").await);
    }
    for uri in [
        "note:///a/../b",
        "note:///a/%2E./b",
        "https://h:99999/",
        "file:///a%00",
    ] {
        table.row(uri, world.refusal(read(uri), 400, "ambiguous_uri").await);
    }
    for uri in [
        "note:///my%20notes",
        "note:///my notes",
        "https://host.example/a",
        "urn:a:b",
    ] {
        table.row(uri, world.acceptance(read(uri)).await);
    }
    let call = |name: &str| {
        let body = request(7, "tools/call", json!({ "name": name, "arguments": {} }));
        world.gateway.post(body).token(&token)
    };
    for name in ["wipe\0", "wi\u{85}pe", "\u{202e}epiw"] {
        table.row(name, world.refusal(call(name), 400, "ambiguous_name").await);
    }
    for name in [" wipe", "wipe\u{a0}"] {
        table.row(name, world.refusal(call(name), 403, "policy_denied").await);
    }
    for name in ["gr\u{f6}\u{df}e", "\u{524a}\u{9664}"] {
        table.row(name, world.acceptance(call(name)).await);
    }
    drop(table);
}
