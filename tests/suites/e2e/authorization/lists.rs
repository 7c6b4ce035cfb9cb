//! Lists of the upstream are filtered by the policy, in JSON, in batches and in event streams: a caller does not see what it
//! is not allowed to use.

use std::time::Duration;

use e2e::SOON;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, Reply, initialize, modern, request, tool};
use e2e::upstream::{Answer, Chunk, head, sessions, steps, with};
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Version;
use serde_json::{Value, json};

/// A list with spaces and a number that would change if the document were written again.
const TOOLS: &str = r#"{"jsonrpc": "2.0", "id":1,"result": {"tools":[ {"name":"list_tasks","n":1.50e0} , {"name":"create_task"},{"name":"wipe"} ],"nextCursor":"p2"} }"#;
/// The list for a reader where everything it cannot use is hidden.
const READERS_TOOLS: &str = r#"{"jsonrpc": "2.0", "id":1,"result": {"tools":[ {"name":"list_tasks","n":1.50e0} ],"nextCursor":"p2","cacheScope":"private"} }"#;
/// The list for a writer.
const WRITERS_TOOLS: &str = r#"{"jsonrpc": "2.0", "id":1,"result": {"tools":[ {"name":"list_tasks","n":1.50e0} , {"name":"create_task"} ],"nextCursor":"p2","cacheScope":"private"} }"#;

/// `create_task` and everything named `secret` require `tasks:write`; `wipe` requires a scope that no token has here.
fn policy(hide: &str) -> Value {
    json!({
        "default": "allow",
        "hide": hide,
        "rules": [
            { "method": "tools/call", "name": "create_task", "scopes": ["tasks:write"] },
            { "method": "tools/call", "name": "wipe", "scopes": ["tasks:admin"] },
            { "method": "prompts/get", "name": "secret", "scopes": ["tasks:write"] },
            { "method": "resources/read", "name": ["tasks://secret", "tasks://secret/{id}"], "scopes": ["tasks:write"] },
        ],
    })
}

async fn hiding(hide: &str) -> World {
    let policy = policy(hide);
    World::with(|config| {
        config
            .set("/resources/0/policy", policy)
            .set("/resources/0/event_ids", "upstream")
            .set(
                "/resources/0/scopes/supported",
                json!(["tasks:read", "tasks:write", "tasks:admin"]),
            )
            .set("/limits/answer_bytes", "64KiB")
    })
    .await
}

fn list(world: &World) -> Call {
    let message = request(1, "tools/list", json!({}));
    world.gateway.post(message).token(&world.reader())
}

fn answers(world: &World, content_type: &'static str, body: impl Into<String>) {
    let body = body.into();
    world
        .upstream
        .script(move |_| Answer::Full(with(200, content_type, body.clone())));
}

fn listed(reply: &Reply, member: &str, key: &str) -> Vec<String> {
    let result = reply.json()["result"][member].clone();
    let entries = result.as_array().expect("a list").iter();
    entries
        .map(|entry| entry[key].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test]
async fn two_callers_see_the_same_list_except_for_hidden_entries() {
    let world = hiding("unusable").await;
    answers(&world, "application/json", TOOLS);
    let reader = world.acceptance(list(&world)).await.unwrap();
    assert_eq!(reader.text(), READERS_TOOLS);
    assert_eq!(
        reader.header("content-length"),
        READERS_TOOLS.len().to_string()
    );
    let writer = world.acceptance(list(&world).token(&world.writer()));
    assert_eq!(writer.await.unwrap().text(), WRITERS_TOOLS);
    let hidden = world.gateway.metrics().await;
    let labels = [("resource", "/mcp"), ("kind", "tools")];
    assert_eq!(
        hidden.sum("mcp_gateway_list_entries_hidden_total", &labels),
        3.0
    );
}

#[tokio::test]
async fn nothing_is_hidden_unless_the_policy_says_so() {
    let public = TOOLS.replace("nextCursor", "cacheScope");
    for world in [hiding("nothing").await, World::start().await] {
        for body in [
            TOOLS,
            &public,
            "{\"result\":{\"tools\":[],\"tools\":7}}",
            "no JSON",
        ] {
            answers(&world, "application/json", body);
            let reply = world.acceptance(list(&world)).await.unwrap();
            assert_eq!(reply.text(), body);
        }
    }
}

#[tokio::test]
async fn denied_entries_are_hidden_and_entries_that_need_a_scope_are_not() {
    let world = World::with(|config| {
        config.set(
            "/resources/0/policy",
            json!({
                "default": "deny",
                "hide": "denied",
                "rules": [
                    { "method": "tools/list" },
                    { "method": "tools/call", "name": "list_tasks" },
                    { "method": "tools/call", "name": "create_task", "scopes": ["tasks:write"] },
                ],
            }),
        )
    })
    .await;
    answers(&world, "application/json", TOOLS);
    for token in [world.reader(), world.writer()] {
        let call = list(&world).token(&token);
        let reply = world.acceptance(call).await.unwrap();
        assert_eq!(reply.text(), WRITERS_TOOLS);
    }
}

#[tokio::test]
async fn prompts_resources_and_templates_are_hidden_by_the_rules_for_using_them() {
    let world = hiding("unusable").await;
    let rows = [
        (
            "prompts/list",
            "prompts",
            "name",
            "prompts",
            ["secret", "daily"],
        ),
        (
            "resources/list",
            "resources",
            "uri",
            "resources",
            ["tasks://secret", "tasks://1"],
        ),
        (
            "resources/templates/list",
            "resourceTemplates",
            "uriTemplate",
            "templates",
            ["tasks://secret/{id}", "tasks://{id}"],
        ),
    ];
    for (method, member, key, kind, names) in rows {
        let entries = names.map(|name| json!({ key: name, "title": "secret" }));
        let body = json!({ "jsonrpc": "2.0", "id": 1, "result": { member: entries } });
        answers(&world, "application/json", body.to_string());
        let message = request(1, method, json!({}));
        let call = |token: &str| world.gateway.post(message.clone()).token(token);
        let reader = world.acceptance(call(&world.reader())).await.unwrap();
        assert_eq!(listed(&reader, member, key), names[1..], "{method}");
        let writer = world.acceptance(call(&world.writer())).await.unwrap();
        assert_eq!(listed(&writer, member, key), names, "{method}");
        let metrics = world.gateway.metrics().await;
        let labels = [("resource", "/mcp"), ("kind", kind)];
        assert_eq!(
            metrics.sum("mcp_gateway_list_entries_hidden_total", &labels),
            1.0
        );
    }
}

#[tokio::test]
async fn a_list_in_an_event_stream_is_filtered_and_everything_else_is_unchanged() {
    let world = hiding("unusable").await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(list(&world).open());
    let feed = feeds.next().await;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"tools":[{"name":"wipe"}]}}"#;
    feed.send(format!(
        "id: 1\r\ndata:\r\n\r\n: still here\n\nretry: 5\ndata: {progress}\n\nid: 7\nda"
    ));
    let mut answer = answer.await.unwrap();
    let mut came = String::new();
    let before = format!("id: 1\r\ndata:\r\n\r\n: still here\n\nretry: 5\ndata: {progress}\n\n");
    while came.len() < before.len() {
        came.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert_eq!(
        came, before,
        "complete events are sent before the list is complete"
    );
    let (first, second) = TOOLS.split_at(90);
    feed.send(format!("ta: {first}"));
    feed.send(format!("{second}\n\n"));
    drop(feed);
    let rest = answer.text().await.unwrap();
    assert_eq!(rest, format!("id: 7\ndata: {READERS_TOOLS}\n\n"));
}

#[tokio::test]
async fn every_list_of_a_legacy_batch_is_filtered_in_order() {
    let world = hiding("unusable").await;
    let other = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":1.0}}"#;
    let batch = |tools: &str| format!("[ {other},{tools} ,\n{tools}]");
    answers(&world, "application/json; charset=utf-8", batch(TOOLS));
    let reply = world.acceptance(list(&world)).await.unwrap();
    assert_eq!(reply.text(), batch(READERS_TOOLS));
    let events = |tools: &str| format!("data: {}\n\n", batch(tools).replace('\n', ""));
    answers(&world, "text/event-stream", events(TOOLS));
    let reply = world.acceptance(list(&world)).await.unwrap();
    assert_eq!(reply.text(), events(READERS_TOOLS));
}

#[tokio::test]
async fn an_answer_that_a_resumed_stream_replays_is_filtered() {
    let world = hiding("unusable").await;
    let token = world.reader();
    world.upstream.script(sessions());
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let session = opened.header("mcp-session-id").to_owned();
    let mut feeds = world.upstream.streams("text/event-stream");
    let get = world.gateway.get("/mcp").token(&token);
    let get = get
        .with("accept", "text/event-stream")
        .with("mcp-session-id", &session)
        .with("last-event-id", "6");
    let answer = tokio::spawn(get.open());
    let feed = feeds.next().await;
    assert_eq!(world.upstream.last().header("last-event-id"), Some("6"));
    let endpoint = "event: endpoint\ndata: /messages?session=1\n\n";
    feed.send(endpoint);
    feed.event(TOOLS);
    feed.event(r#"{"jsonrpc":"2.0","id":9,"result":{"content":[]}}"#);
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "/messages?session=1");
    assert_eq!(events.data().await, READERS_TOOLS);
    assert_eq!(
        events.data().await,
        r#"{"jsonrpc":"2.0","id":9,"result":{"content":[]}}"#
    );
    drop(feed);
    assert_eq!(events.next().await, Item::End);
}

#[tokio::test]
async fn a_post_does_not_resume_a_stream() {
    let world = hiding("unusable").await;
    let token = world.reader();
    world.upstream.script(sessions());
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let call = world
        .gateway
        .post(request(2, "ping", json!({})))
        .token(&token);
    let call = call
        .with("mcp-session-id", opened.header("mcp-session-id"))
        .with("last-event-id", "6");
    world.acceptance(call).await.unwrap();
    assert_eq!(world.upstream.last().header("last-event-id"), None);
}

#[tokio::test]
async fn a_page_may_become_empty_and_keeps_its_cursor() {
    let world = hiding("unusable").await;
    let page = |tools: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}],"nextCursor":"p3","cacheScope":"private"}}}}"#
        )
    };
    answers(
        &world,
        "application/json",
        page(r#"{"name":"wipe"},{"name":"create_task"}"#),
    );
    let reply = world.acceptance(list(&world)).await.unwrap();
    assert_eq!(reply.text(), page(""));
}

#[tokio::test]
async fn a_filtered_list_is_private_and_has_no_validator() {
    let world = hiding("denied").await;
    for scope in [r#""public""#, r#""private""#, "null"] {
        let body = |scope: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","ttlMs":300000,"cacheScope":{scope},"tools":[]}}}}"#
            )
        };
        let sent = body(scope);
        world.upstream.script(move |_| {
            let mut answer = with(200, "application/json", sent.clone());
            answer
                .headers_mut()
                .insert("etag", "\"all\"".parse().unwrap());
            Answer::Full(answer)
        });
        let call = world.gateway.post(modern(1, "tools/list", json!({})));
        let call = call.modern("tools/list", None).token(&world.reader());
        let reply = world.acceptance(call).await.unwrap();
        assert_eq!(reply.text(), body(r#""private""#));
        assert_eq!(reply.header("etag"), "");
    }
}

#[tokio::test]
async fn lists_are_filtered_over_http_2_too() {
    let policy = policy("unusable");
    let world = Secure::with(|config| {
        config.set("/resources/0/policy", policy).set(
            "/resources/0/scopes/supported",
            json!(["tasks:read", "tasks:write", "tasks:admin"]),
        )
    })
    .await;
    let events = |tools: &str| format!("data: {tools}\n\n");
    for (content_type, sent, expected) in [
        (
            "application/json",
            TOOLS.to_owned(),
            READERS_TOOLS.to_owned(),
        ),
        ("text/event-stream", events(TOOLS), events(READERS_TOOLS)),
    ] {
        world
            .upstream
            .script(move |_| Answer::Full(with(200, content_type, sent.clone())));
        let call = world.post(&world.http(false), request(1, "tools/list", json!({})));
        let answer = call.open().await;
        assert_eq!(
            (answer.version(), answer.status().as_u16()),
            (Version::HTTP_2, 200)
        );
        assert_eq!(answer.text().await.unwrap(), expected);
    }
}

/// The refusal of an answer: status, reason, and the failure counted against the upstream.
async fn refused(world: &World, status: u16, reason: &str, kind: &str) -> Result<(), String> {
    let errors = async || {
        let metrics = world.gateway.metrics().await;
        metrics.sum("mcp_gateway_upstream_errors_total", &[("kind", kind)])
    };
    let (refusals, before) = (world.gateway.refusals(reason).await, errors().await);
    let reply = list(world).send().await;
    world.gateway.counted(reason, refusals + 1.0).await;
    let counted = errors().await - before;
    match (reply.status, counted) {
        (seen, 1.0) if seen == status && !reply.text().contains("wipe") => Ok(()),
        _ => Err(format!("{} {} {counted}", reply.status, reply.text())),
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_refused() {
    let world = hiding("denied").await;
    let mut table = Table::default();
    for (name, content_type, body) in [
        ("no JSON", "application/json", "tools: wipe"),
        ("truncated", "application/json", &TOOLS[..90]),
        ("another type", "text/plain", TOOLS),
        ("no type", "", TOOLS),
        (
            "no list",
            "application/json",
            r#"{"id":1,"result":{"tools":{"wipe":{}}}}"#,
        ),
        (
            "two lists",
            "application/json",
            r#"{"id":1,"result":{"tools":[],"tools":[{"name":"wipe"}]}}"#,
        ),
        (
            "two results",
            "application/json",
            r#"{"id":1,"result":{},"result":{"tools":[{"name":"wipe"}]}}"#,
        ),
        (
            "a batch in a batch",
            "application/json",
            &*format!("[[{TOOLS}]]"),
        ),
        (
            "another encoding",
            "application/json; charset=utf-16",
            TOOLS,
        ),
        (
            "a list without a name",
            "application/json",
            r#"{"id":1,"result":[{"name":"wipe"}]}"#,
        ),
        (
            "look-alike",
            "application/json",
            r#"{"id":1,"result":{"Tools":[{"name":"wipe"}]}}"#,
        ),
    ] {
        answers(&world, content_type, body);
        let outcome = refused(&world, 502, "answer_unreadable", "unreadable").await;
        table.row(name, outcome);
    }
    for encoding in ["gzip", "identity, br", "x"] {
        world.upstream.script(move |_| {
            let mut answer = with(200, "application/json", TOOLS);
            let headers = answer.headers_mut();
            headers.insert("content-encoding", encoding.parse().unwrap());
            Answer::Full(answer)
        });
        let outcome = refused(&world, 502, "upstream_encoding", "encoding").await;
        table.row(encoding, outcome);
    }
}

#[tokio::test]
async fn an_error_of_the_upstream_is_filtered_and_keeps_its_body_only_if_that_can_be_read() {
    let world = hiding("unusable").await;
    let mut table = Table::default();
    let events = |tools: &str| format!("data: {tools}\n\n");
    let missing = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#;
    for (name, content_type, body, expected) in [
        (
            "JSON",
            "application/json",
            TOOLS.to_owned(),
            READERS_TOOLS.to_owned(),
        ),
        (
            "events",
            "text/event-stream",
            events(TOOLS),
            events(READERS_TOOLS),
        ),
        (
            "an error",
            "application/json",
            missing.to_owned(),
            missing.to_owned(),
        ),
        ("a text", "text/plain", TOOLS.to_owned(), String::new()),
        ("no type", "", TOOLS.to_owned(), String::new()),
        (
            "no JSON",
            "application/json",
            format!("{TOOLS}x"),
            String::new(),
        ),
        (
            "a batch in a batch",
            "application/json",
            format!("[[{TOOLS}]]"),
            String::new(),
        ),
    ] {
        for status in [400, 404, 500] {
            let body = body.clone();
            world
                .upstream
                .script(move |_| Answer::Full(with(status, content_type, body.clone())));
            let reply = list(&world).send().await;
            let is_expected = reply.status == status && reply.text() == expected;
            table.check(&format!("{status} {name}"), is_expected, || {
                format!("{} {}", reply.status, reply.text())
            });
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_to_be_read_is_refused() {
    let world = hiding("denied").await;
    let large = format!("{TOOLS}{}", " ".repeat(64 << 10));
    answers(&world, "application/json", large.clone());
    refused(&world, 502, "answer_too_large", "too_large")
        .await
        .unwrap();
    world.upstream.script(move |_| {
        let chunks = large.as_bytes().chunks(1000).map(<[u8]>::to_vec);
        let chunks = chunks.map(|chunk| Chunk::Data(chunk.into()));
        Answer::Stream(
            head(200, &[("content-type", "application/json")]),
            steps(chunks),
        )
    });
    refused(&world, 502, "answer_too_large", "too_large")
        .await
        .unwrap();
    answers(
        &world,
        "application/json",
        format!("{TOOLS}{}", " ".repeat(60 << 10)),
    );
    world.acceptance(list(&world)).await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_refused_closes_the_stream_after_the_earlier_events() {
    let world = hiding("denied").await;
    let large = format!("data: {{\"a\":\"{}", "y".repeat(65 << 10));
    let mut table = Table::default();
    for (name, last, kind) in [
        (
            "truncated",
            "data: {\"result\":{\"tools\":[\n\n",
            "unreadable",
        ),
        (
            "two results",
            "data: {\"result\":1,\"result\":{}}\n\n",
            "unreadable",
        ),
        ("no event", &format!("{TOOLS}\n\n"), "unreadable"),
        (
            "a field in capitals",
            &format!("Data: {TOOLS}\n\n"),
            "unreadable",
        ),
        (
            "a space before the colon",
            &format!("data : {TOOLS}\n\n"),
            "unreadable",
        ),
        (
            "a late byte order mark",
            &format!("\u{feff}data: {TOOLS}\n\n"),
            "unreadable",
        ),
        (
            "another line end",
            &format!("event: a\u{2028}data: {TOOLS}\n\n"),
            "unreadable",
        ),
        (
            "a batch in a batch",
            &format!("data: [[{TOOLS}]]\n\n"),
            "unreadable",
        ),
        ("large", &large, "too_large"),
    ] {
        let mut feeds = world.upstream.streams("text/event-stream");
        let answer = tokio::spawn(list(&world).open());
        let feed = feeds.next().await;
        feed.event("{}");
        let mut events = Events::new(answer.await.unwrap());
        assert_eq!(events.data().await, "{}");
        feed.send(last.to_owned());
        let next = events.next().await;
        table.check(name, next == Item::Broken, || format!("{next:?}"));
        feed.gone(SOON).await;
        let metrics = world.gateway.metrics().await;
        let counted = metrics.sum("mcp_gateway_upstream_errors_total", &[("kind", kind)]);
        table.check(name, counted >= 1.0, || "not counted".to_owned());
    }
}

#[tokio::test]
async fn other_answers_are_neither_read_nor_changed() {
    let world = hiding("unusable").await;
    let large = format!("{TOOLS}{}", " ".repeat(80 << 10));
    for body in [TOOLS, "no JSON", &large] {
        answers(&world, "application/json", body);
        let call = world.gateway.post(tool(1, "list_tasks"));
        let reply = world.acceptance(call.token(&world.reader())).await.unwrap();
        assert!(reply.text() == body);
    }
    for (status, content_type) in [(404, "application/json"), (500, "text/html")] {
        world
            .upstream
            .script(move |_| Answer::Full(with(status, content_type, "<no JSON>")));
        let call = world.gateway.post(tool(1, "list_tasks"));
        let reply = call.token(&world.reader()).send().await;
        assert_eq!((reply.status, reply.text().as_str()), (status, "<no JSON>"));
    }
    world.upstream.script(|_| Answer::Full(with(202, "", "")));
    assert_eq!(list(&world).send().await.status, 202);
}

#[tokio::test]
async fn a_list_that_never_ends_is_refused_at_the_deadline() {
    let world = World::with(|config| {
        config
            .set("/resources/0/policy/hide", "unusable")
            .set("/resources/0/response_head", "1s")
    })
    .await;
    let mut feeds = world.upstream.streams("application/json");
    let answer = tokio::spawn(list(&world).send());
    let feed = feeds.next().await;
    feed.send("{\"jsonrpc\":");
    let reply = answer.await.unwrap();
    assert_eq!(reply.status, 504, "{}", reply.text());
    feed.gone(SOON).await;
}

#[tokio::test]
async fn a_client_that_disconnects_while_its_list_is_read_is_noticed() {
    let world = hiding("unusable").await;
    let mut feeds = world.upstream.streams("application/json");
    let call = list(&world);
    let left =
        tokio::spawn(
            async move { tokio::time::timeout(Duration::from_secs(1), call.open()).await },
        );
    let feed = feeds.next().await;
    feed.send("{\"jsonrpc\":");
    assert!(left.await.unwrap().is_err());
    feed.gone(SOON).await;
}

#[tokio::test]
async fn a_truncated_list_is_a_failure_of_the_upstream() {
    let world = hiding("unusable").await;
    world.upstream.script(|_| {
        let chunks = [Chunk::Data(TOOLS[..90].into()), Chunk::Break];
        Answer::Stream(
            head(200, &[("content-type", "application/json")]),
            steps(chunks),
        )
    });
    refused(&world, 502, "upstream_broken", "broken")
        .await
        .unwrap();
}
