//! Tasks: refused by default; where their ids are sealed, a task is accessible only to its caller.

use aws_lc_rs::rand;
use e2e::certificates::write_secret;
use e2e::client::sse::Events;
use e2e::client::{Call, LEGACY, Reply, modern, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::upstream::{Answer, Recorded, Upstream, echo, result, with};
use e2e::world::{Table, World};
use serde_json::{Value, json};
use test_support::{Key, Token};

/// The upstream's own id: it must never reach a client.
const TASK: &str = "upstream-task-1";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// Answers as a task server in the era of the request; has one task, and returns it to every caller with the id.
fn tasks(request: &Recorded) -> Answer {
    let message = request.json();
    let (id, params) = (&message["id"], &message["params"]);
    let task = json!({ "taskId": params["taskId"], "status": "working", "ttl": null });
    match message["method"].as_str() {
        Some("tools/call") if params["_meta"][VERSION].is_string() => {
            let created = json!({ "resultType": "task", "taskId": TASK, "status": "working" });
            result(id, created)
        }
        Some("tools/call") => result(
            id,
            json!({ "task": { "taskId": TASK, "status": "working" } }),
        ),
        Some("tasks/get" | "tasks/cancel") => result(id, task),
        Some("tasks/result") => {
            let meta = json!({ RELATED: { "taskId": params["taskId"] } });
            result(id, json!({ "content": [], "_meta": meta }))
        }
        _ => echo(request),
    }
}

/// Two resources, `/mcp` and `/other`, in front of one task server.
async fn world(mode: &str) -> World {
    let world = World::with(|config| {
        let other = resource("/other", &config.upstream(), &["corporate"]);
        config
            .set("/resources/1", other)
            .set("/resources/0/tasks", mode)
            .set("/resources/1/tasks", mode)
    })
    .await;
    world.upstream.script(tasks);
    world
}

fn call(world: &World, era: Era, method: &str, params: Value) -> Call {
    match era {
        Era::Legacy => world
            .gateway
            .post(request(7, method, params))
            .with("mcp-protocol-version", LEGACY),
        Era::Modern => {
            let name = params["taskId"].as_str().or(params["name"].as_str());
            let name = name.map(str::to_owned);
            let call = world.gateway.post(modern(7, method, params));
            call.modern(method, name.as_deref())
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// Begins a task and returns its id as the client sees it.
async fn begin(world: &World, era: Era, token: &str) -> String {
    let params = json!({ "name": "slow", "arguments": {}, "task": { "ttl": 60000 } });
    let reply = call(world, era, "tools/call", params)
        .token(token)
        .send()
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let result = &reply.json()["result"];
    let task = match era {
        Era::Legacy => &result["task"]["taskId"],
        Era::Modern => &result["taskId"],
    };
    task.as_str().unwrap().to_owned()
}

fn get(world: &World, era: Era, task: &str) -> Call {
    call(world, era, "tasks/get", json!({ "taskId": task }))
}

#[tokio::test]
async fn a_sealed_task_is_valid_for_its_caller() {
    let world = world("seal").await;
    let token = world.reader();
    for era in ERAS {
        let sealed = begin(&world, era, &token).await;
        assert!(!sealed.contains("upstream-task"), "{sealed}");
        assert_eq!(
            begin(&world, era, &token).await,
            sealed,
            "one id for one task"
        );
        let get = get(&world, era, &sealed).token(&token);
        let reply = world.acceptance(get).await.unwrap();
        assert_eq!(reply.json()["result"]["taskId"], sealed, "{era:?}");
        let last = world.upstream.last();
        assert_eq!(last.json()["params"]["taskId"], TASK, "{era:?}");
        let mirrored = (era == Era::Modern).then_some(TASK);
        assert_eq!(last.header("mcp-name"), mirrored, "{era:?}");
        assert_eq!(
            last.header("content-length"),
            Some(&*last.body.len().to_string())
        );
    }
    let result = call(
        &world,
        Era::Legacy,
        "tasks/result",
        json!({ "taskId": begin(&world, Era::Legacy, &token).await }),
    );
    let reply = world.acceptance(result.token(&token)).await.unwrap();
    let related = &reply.json()["result"]["_meta"][RELATED]["taskId"];
    assert_eq!(*related, begin(&world, Era::Legacy, &token).await);
    assert!(
        !world.gateway.log().await.contains("upstream-task"),
        "the log has what the client sent"
    );
}

#[tokio::test]
async fn a_sealed_task_is_refused_to_other_callers() {
    let world = world("seal").await;
    let token = world.reader();
    let mallory = world.token().subject("mallory").sign();
    let elsewhere = world.token_for("/other").sign();
    let mut table = Table::default();
    for era in ERAS {
        let sealed = begin(&world, era, &token).await;
        let other_client = world.token().claim("client_id", "other").sign();
        let mut altered = sealed.clone().into_bytes();
        let last = altered.len() - 2;
        altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let rows = [
            (
                "another principal",
                get(&world, era, &sealed).token(&mallory),
                "task_mismatch",
            ),
            (
                "another client",
                get(&world, era, &sealed).token(&other_client),
                "task_mismatch",
            ),
            (
                "altered",
                get(&world, era, &altered).token(&token),
                "task_unknown",
            ),
            (
                "the upstream's",
                get(&world, era, TASK).token(&token),
                "task_unknown",
            ),
            (
                "truncated",
                get(&world, era, &sealed[..20]).token(&token),
                "task_unknown",
            ),
            ("empty", get(&world, era, "").token(&token), "task_unknown"),
        ];
        let mut said = Vec::new();
        for (name, call, reason) in rows {
            let name = format!("{name}, {era:?}");
            // A modern client that does not declare tasks is refused for that first.
            let (code, reason) = match era {
                Era::Legacy => (-32602, reason),
                Era::Modern => (-32021, "tasks_undeclared"),
            };
            if let Some(reply) = table.row(&name, world.refusal(call, 400, reason).await) {
                table.check(&name, reply.rpc_code() == Some(code), || reply.text());
                said.push(reply.json()["error"]["message"].clone());
            }
        }
        assert!(said.windows(2).all(|pair| pair[0] == pair[1]), "{said:?}");
    }
    let sealed = begin(&world, Era::Legacy, &token).await;
    let there = request(7, "tasks/get", json!({ "taskId": sealed }));
    let there = world.gateway.post_to("/other", there).token(&elsewhere);
    table.row(
        "another resource",
        world.refusal(there, 400, "task_mismatch").await,
    );
}

/// A modern request of a client that declares the extension.
fn declaring(world: &World, method: &str, mut params: Value, name: Option<&str>) -> Call {
    params["_meta"] = json!({
        VERSION: e2e::client::MODERN,
        "io.modelcontextprotocol/clientCapabilities": {
            "extensions": { "io.modelcontextprotocol/tasks": {} },
        },
    });
    world
        .gateway
        .post(request(7, method, params))
        .modern(method, name)
}

#[tokio::test]
async fn a_modern_client_with_tasks_gets_an_unknown_task_error() {
    let world = world("seal").await;
    let sealed = begin(&world, Era::Modern, &world.reader()).await;
    let mallory = world.token().subject("mallory").sign();
    for (task, reason) in [(&*sealed, "task_mismatch"), ("x", "task_unknown")] {
        let get = declaring(&world, "tasks/get", json!({ "taskId": task }), Some(task));
        let reply = world
            .refusal(get.token(&mallory), 400, reason)
            .await
            .unwrap();
        assert_eq!(reply.rpc_code(), Some(-32602));
        assert_eq!(reply.json()["id"], 7);
    }
    let undeclared = get(&world, Era::Modern, "x").token(&mallory);
    let reply = world
        .refusal(undeclared, 400, "tasks_undeclared")
        .await
        .unwrap();
    let required = &reply.json()["error"]["data"]["requiredCapabilities"];
    assert_eq!(
        *required,
        json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } })
    );
}

#[tokio::test]
async fn only_tasks_of_the_caller_are_watched() {
    let world = world("seal").await;
    let token = world.reader();
    let sealed = begin(&world, Era::Modern, &token).await;
    let listen = |ids: &[&str]| {
        let params = json!({ "notifications": { "taskIds": ids } });
        declaring(&world, "subscriptions/listen", params, None)
    };
    let mallory = world.token().subject("mallory").sign();
    let refused = world.refusal(listen(&[&sealed]).token(&mallory), 400, "task_mismatch");
    refused.await.unwrap();
    let refused = world.refusal(listen(&[&sealed, TASK]).token(&token), 400, "task_unknown");
    refused.await.unwrap();

    let mut feeds = world.upstream.streams("text/event-stream");
    let mut events = Events::new(listen(&[&sealed]).token(&token).open().await);
    let feed = feeds.next().await;
    let asked = world.upstream.last().json();
    assert_eq!(asked["params"]["notifications"]["taskIds"], json!([TASK]));
    let acknowledged = json!({
        "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": { "notifications": { "taskIds": [TASK] } },
    });
    let done = json!({
        "jsonrpc": "2.0", "method": "notifications/tasks",
        "params": { "taskId": TASK, "status": "completed", "result": { "content": [] } },
    });
    for message in [acknowledged, done] {
        feed.event(&message.to_string());
        let expected = message.to_string().replace(TASK, &sealed);
        assert_eq!(events.data().await, expected);
    }
}

#[tokio::test]
async fn ids_are_sealed_in_streams_and_batches_too() {
    let world = world("seal").await;
    let token = world.reader();
    let sealed = begin(&world, Era::Legacy, &token).await;
    let created = json!({ "jsonrpc": "2.0", "id": 7, "result": { "task": { "taskId": TASK } } });
    let status = json!({
        "jsonrpc": "2.0", "method": "notifications/tasks/status", "params": { "taskId": TASK },
    });
    let asks = json!({
        "jsonrpc": "2.0", "id": "s1", "method": "elicitation/create",
        "params": { "message": "?", "_meta": { RELATED: { "taskId": TASK } } },
    });

    let batch = format!("[{created}, {status}]");
    let sent = batch.clone();
    world
        .upstream
        .script(move |_| Answer::Full(with(200, "application/json", sent.clone())));
    let slow = || call(&world, Era::Legacy, "tools/call", json!({ "name": "slow" })).token(&token);
    assert_eq!(slow().send().await.text(), batch.replace(TASK, &sealed));

    let mut feeds = world.upstream.streams("text/event-stream");
    let listening = world.gateway.get("/mcp").token(&token);
    let listening = listening.with("accept", "text/event-stream");
    for opened in [slow(), listening] {
        let mut events = Events::new(opened.open().await);
        let feed = feeds.next().await;
        for message in [&asks, &status, &created] {
            feed.event(&message.to_string());
            let expected = message.to_string().replace(TASK, &sealed);
            assert_eq!(events.data().await, expected);
        }
    }
}

#[tokio::test]
async fn the_answer_to_an_input_request_of_a_task_goes_back_to_that_task() {
    let world = world("seal").await;
    let token = world.reader();
    let sealed = begin(&world, Era::Legacy, &token).await;
    world.upstream.script(e2e::upstream::sessions());
    let opened = world
        .gateway
        .post(e2e::client::initialize())
        .token(&token)
        .send()
        .await;
    let session = opened.header("mcp-session-id").to_owned();
    let answer = |task: &str| {
        let answer = format!(
            r#"{{"jsonrpc":"2.0", "id":"s1","result":{{"action":"accept","_meta":{{"{RELATED}":{{"taskId":"{task}"}}}}}}}}"#
        );
        let call = world.gateway.post(answer).token(&token);
        call.with("mcp-session-id", &session)
    };
    assert_eq!(answer(&sealed).send().await.status, 202);
    let arrived = String::from_utf8(world.upstream.last().body.to_vec()).unwrap();
    assert!(
        arrived.starts_with(r#"{"jsonrpc":"2.0", "id""#),
        "{arrived}"
    );
    assert!(
        arrived.contains(&format!(r#"{{"taskId":"{TASK}"}}"#)),
        "{arrived}"
    );
    let refused = world.refusal(answer(TASK), 400, "task_unknown").await;
    refused.unwrap();
}

#[tokio::test]
async fn a_resource_with_sealed_tasks_lists_no_tasks() {
    let world = world("seal").await;
    let token = world.reader();
    for (era, method) in [
        (Era::Legacy, "tasks/list"),
        (Era::Modern, "tasks/list"),
        (Era::Modern, "tasks/result"),
        (Era::Legacy, "tasks/more"),
    ] {
        let call = call(&world, era, method, json!({ "taskId": "x" })).token(&token);
        let reply = world.refusal(call, 400, "tasks_method").await;
        assert_eq!(reply.unwrap().rpc_code(), Some(-32601), "{era:?} {method}");
    }
}

#[tokio::test]
async fn tasks_are_refused_by_default() {
    let world = World::start().await;
    world.upstream.script(tasks);
    let token = world.reader();
    let mut table = Table::default();
    for era in ERAS {
        for method in [
            "tasks/get",
            "tasks/update",
            "tasks/cancel",
            "tasks/result",
            "tasks/list",
        ] {
            let call = call(&world, era, method, json!({ "taskId": TASK })).token(&token);
            table.row(method, world.refusal(call, 403, "tasks_refused").await);
        }
    }
    let asks = json!({ "name": "slow", "task": { "ttl": 1 } });
    let legacy = call(&world, Era::Legacy, "tools/call", asks.clone()).token(&token);
    table.row(
        "asks for a task",
        world.refusal(legacy, 403, "tasks_refused").await,
    );
    let watches = json!({ "notifications": { "taskIds": [TASK] } });
    let watches = call(&world, Era::Modern, "subscriptions/listen", watches).token(&token);
    table.row(
        "watches a task",
        world.refusal(watches, 403, "tasks_refused").await,
    );
    // Modern servers ignore the member (SEP-2663), so it has no effect.
    let modern = call(&world, Era::Modern, "tools/call", asks).token(&token);
    table.row("says nothing", world.acceptance(modern).await);
    world
        .gateway
        .logged("tasks are refused (resources.tasks: refuse)")
        .await;
}

#[tokio::test]
async fn tasks_pass_unsealed_where_the_upstream_binds_them() {
    let world = world("upstream").await;
    let token = world.reader();
    for era in ERAS {
        assert_eq!(begin(&world, era, &token).await, TASK);
        let get = get(&world, era, TASK).token(&token);
        let reply: Reply = world.acceptance(get).await.unwrap();
        assert_eq!(reply.json()["result"]["taskId"], TASK);
        let list = call(&world, era, "tasks/list", json!({})).token(&token);
        world.acceptance(list).await.unwrap();
    }
}

#[tokio::test]
async fn a_sealed_task_survives_a_restart_and_a_change_of_keys() {
    let upstream = Upstream::start().await;
    upstream.script(tasks);
    let key = Key::es256("first");
    let mut secrets = [[0; 32]; 2];
    for secret in &mut secrets {
        rand::fill(secret).unwrap();
    }
    let start = |sealing: &[usize]| {
        let config = Config::new(&upstream.url(), &[&key]);
        let files = sealing.iter().map(|at| {
            let file = config.folder().join(format!("session-{at}.key"));
            write_secret(&file, secrets[*at]);
            json!(file)
        });
        let files: Vec<_> = files.collect();
        let config = config
            .set("/public_url", "http://127.0.0.1:8080")
            .set("/resources/0/tasks", "seal")
            .set("/sessions/key_files", files);
        Gateway::start(config)
    };
    let token = Token::new(&key, ISSUER, "http://127.0.0.1:8080/mcp").sign();
    let ask = async |gateway: &Gateway, method: &str, params: Value| {
        let call = gateway.post(request(7, method, params)).token(&token);
        call.with("host", "127.0.0.1:8080").send().await
    };
    let first = start(&[0]).await;
    let call = json!({ "name": "slow", "task": {} });
    let created = ask(&first, "tools/call", call).await.json();
    let sealed = created["result"]["task"]["taskId"].as_str().unwrap();
    drop(first);
    for keys in [&[0][..], &[1, 0]] {
        let next = start(keys).await;
        let reply = ask(&next, "tasks/get", json!({ "taskId": sealed })).await;
        assert_eq!(reply.json()["result"]["taskId"], sealed, "{keys:?}");
        assert_eq!(upstream.last().json()["params"]["taskId"], TASK);
    }
    let stranger = start(&[1]).await;
    let reply = ask(&stranger, "tasks/get", json!({ "taskId": sealed })).await;
    assert_eq!((reply.status, reply.rpc_code()), (400, Some(-32602)));
}
