//! Numbers 43–54, 164–167, 172 and 186: what is forwarded in both directions, and the owner of a session.

use e2e::client::{Call, LEGACY, Reply, initialize, modern, request};
use e2e::gateway::config::resource;
use e2e::leaks;
use e2e::upstream::{Answer, Chunk, head, sessions, steps, with};
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token, key_set};

const SESSION: &str = "mcp-session-id";

/// A world whose upstream keeps sessions.
async fn with_sessions() -> World {
    let world = World::start().await;
    world.upstream.script(sessions());
    world
}

/// Opens a session and returns the sealed id.
async fn open(world: &World, token: &str) -> String {
    let call = world.gateway.post(initialize()).token(token);
    world
        .acceptance(call)
        .await
        .unwrap()
        .header(SESSION)
        .to_owned()
}

fn list(world: &World, token: &str, session: &str) -> Call {
    let call = world
        .gateway
        .post(request(2, "tools/list", json!({})))
        .token(token);
    call.with(SESSION, session)
        .with("mcp-protocol-version", LEGACY)
}

/// A refusal without the parts that differ each time: its header names and its text.
fn anonymous(reply: &Reply) -> String {
    let mut body = reply.json();
    body["error"]["data"]["request_id"] = json!(null);
    let mut names: Vec<_> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    format!("{names:?} {body}")
}

#[tokio::test]
async fn attack_043_no_credential_reaches_the_upstream() {
    let world = World::start().await;
    let token = world.reader();
    let canary = leaks::secret("passthrough-canary-3c11");
    let mut table = Table::default();
    for (name, call) in [
        ("POST", world.gateway.post(initialize())),
        (
            "GET",
            world
                .gateway
                .get("/mcp")
                .with("accept", "text/event-stream"),
        ),
        ("DELETE", world.gateway.request(Method::DELETE, "/mcp")),
    ] {
        let call = call
            .token(&token)
            .with("cookie", &format!("sid={canary}"))
            .with("proxy-authorization", &format!("Basic {canary}"))
            .with("x-api-key", &canary);
        let hits = world.upstream.hits();
        let reply = call.send().await;
        let arrived = world.upstream.hits() == hits + 1 && reply.status < 300;
        table.check(name, arrived, || format!("{}", reply.status));
        let last = world.upstream.last();
        for header in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "x-api-key",
        ] {
            table.check(name, !last.headers.contains_key(header), || {
                header.to_owned()
            });
        }
    }
}

#[tokio::test]
async fn attack_044_the_response_of_an_echoing_upstream_holds_no_token() {
    let world = World::start().await;
    let mut table = Table::default();
    for status in [200, 400, 500] {
        world.upstream.script(move |request| {
            let seen = format!("{} {:?}", request.target, request.headers);
            let mut answer = with(status, "text/html", format!("<h1>{seen}</h1>"));
            for (name, value) in [
                ("set-cookie", "sid=1"),
                ("location", "http://127.0.0.1:9/?token=1"),
                ("www-authenticate", "Basic"),
                ("x-echo", "1"),
            ] {
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            Answer::Full(answer)
        });
        // `send` looks for tokens in head and body of the answer.
        let reply = world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .send()
            .await;
        let name = status.to_string();
        table.check(&name, reply.text().contains("x-mcp-subject"), || {
            reply.text()
        });
        for header in ["set-cookie", "location", "www-authenticate"] {
            table.check(&name, !reply.headers.contains_key(header), || {
                format!("{:?}", reply.headers)
            });
        }
    }
}

#[tokio::test]
async fn attack_045_a_challenge_of_the_upstream_is_not_passed_on() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let mut answer = with(401, "application/json", "{\"upstream\":\"its reason\"}");
        let challenge = "Bearer resource_metadata=\"https://evil.example/\"";
        answer
            .headers_mut()
            .insert("www-authenticate", challenge.parse().unwrap());
        Answer::Full(answer)
    });
    let reply = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!((reply.status, reply.challenge()), (502, ""));
    assert_eq!(reply.json()["error"], "upstream_auth");
    assert!(!format!("{reply:?}").contains("its reason"), "{reply:?}");
    assert_eq!(world.gateway.counted("upstream_auth", 1.0).await, 1.0);
    assert_eq!(world.upstream.hits(), 1, "requested once");
}

#[tokio::test]
async fn attack_049_a_session_is_valid_only_for_its_principal() {
    let world = with_sessions().await;
    let alice = world.reader();
    let sealed = open(&world, &alice).await;
    let unknown = list(&world, &alice, "0f8fad5b-d9cb-469f-a165-70867728950e");
    let unknown = world
        .refusal(unknown, 404, "session_unknown")
        .await
        .unwrap();
    let mut table = Table::default();
    for (name, thief) in [
        ("another subject", world.token().subject("bob")),
        (
            "another client",
            world.token().claim("client_id", "another"),
        ),
        ("no client", world.token().without("client_id")),
        ("letter case", world.token().subject("Alice")),
    ] {
        let call = list(&world, &thief.sign(), &sealed);
        if let Some(reply) = table.row(name, world.refusal(call, 404, "session_mismatch").await) {
            let (seen, same) = (anonymous(&reply), anonymous(&unknown));
            table.check(name, seen == same, || format!("{seen} and {same}"));
        }
    }
    for method in [Method::GET, Method::DELETE] {
        let bob = world.token().subject("bob").sign();
        let call = world
            .gateway
            .request(method.clone(), "/mcp")
            .token(&bob)
            .with(SESSION, &sealed);
        table.row(
            method.as_str(),
            world.refusal(call, 404, "session_mismatch").await,
        );
    }
    table.row(
        "the owner",
        world.acceptance(list(&world, &alice, &sealed)).await,
    );
}

#[tokio::test]
async fn attack_050_a_session_of_one_resource_is_unknown_to_another() {
    let world = World::with(|config| {
        let upstream = config.upstream();
        config
            .set("/resources/0/shared_audience", true)
            .set("/resources/0/audience", json!(["https://tasks"]))
            .set(
                "/resources/1",
                resource("/other", &upstream, &["corporate"]),
            )
            .set("/resources/1/shared_audience", true)
            .set("/resources/1/audience", json!(["https://tasks"]))
    })
    .await;
    world.upstream.script(sessions());
    // One token for both, so that only the resource differs.
    let token = world.token().claim("aud", "https://tasks").sign();
    let sealed = open(&world, &token).await;
    let list = |path: &str| {
        let call = world
            .gateway
            .post_to(path, request(2, "tools/list", json!({})));
        call.token(&token).with(SESSION, &sealed)
    };
    world
        .refusal(list("/other"), 404, "session_mismatch")
        .await
        .unwrap();
    world.acceptance(list("/mcp")).await.unwrap();
}

#[tokio::test]
async fn a_session_is_unknown_to_the_same_subject_of_another_issuer() {
    const SECOND: &str = "https://second.test/";
    let key = Key::es256("second");
    let world = World::with(|config| {
        let file = config.write("second.json", key_set(&[&key]).to_string());
        config
            .set(
                "/issuers/second",
                json!({ "issuer": SECOND, "jwks_file": file }),
            )
            .set("/resources/0/issuers", json!(["corporate", "second"]))
    })
    .await;
    world.upstream.script(sessions());
    let sealed = open(&world, &world.reader()).await;
    // Only the issuer differs.
    let namesake = Token::new(&key, SECOND, &world.gateway.uri("/mcp")).sign();
    let call = list(&world, &namesake, &sealed);
    world.refusal(call, 404, "session_mismatch").await.unwrap();
}

#[tokio::test]
async fn attack_051_a_flood_of_sessions_uses_no_storage() {
    // The default of the limit, which other tests raise.
    let limit = "/limits/initializations_per_principal";
    let world = World::with(|config| config.set(limit, 60)).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let mut table = Table::default();
    // Before authentication and the check of the host, a session has no effect.
    let anonymous = list(&world, &token, "guess").without("authorization");
    table.row(
        "no token",
        world.refusal(anonymous, 401, "no_credentials").await,
    );
    let elsewhere = list(&world, &token, "guess").with("host", "evil.example");
    table.row("another host", world.refusal(elsewhere, 403, "host").await);
    for index in 0..50 {
        let guess = list(
            &world,
            &token,
            &format!("00000000-0000-4000-8000-{index:012}"),
        );
        assert_eq!(guess.send().await.status, 404);
    }
    let mut opened = std::collections::HashSet::new();
    for _ in 0..50 {
        opened.insert(open(&world, &token).await);
    }
    assert_eq!(opened.len(), 50);
    // Every id holds its whole state, so each of them opens, in any order, after all the others.
    for sealed in opened.iter().take(5) {
        table.row(
            "opened",
            world.acceptance(list(&world, &token, sealed)).await,
        );
    }
    table.row("over the limit", flood(&world, &token).await);
    // Open sessions still work, and other callers can open theirs.
    let sealed = opened.iter().next().unwrap();
    table.row("open", world.acceptance(list(&world, &token, sealed)).await);
    open(&world, &world.token().subject("bob").sign()).await;
}

/// Opens sessions until the gateway refuses, which it must.
async fn flood(world: &World, token: &str) -> Result<(), String> {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let call = world.gateway.post(initialize()).token(token);
        calls.spawn(call.send());
    }
    let statuses: Vec<_> = calls
        .join_all()
        .await
        .iter()
        .map(|reply| reply.status)
        .collect();
    let opened = statuses.iter().filter(|status| **status == 200).count();
    if opened > 500 || !statuses.iter().all(|status| matches!(status, 200 | 429)) {
        return Err(format!("{opened} sessions: {statuses:?}"));
    }
    // One per second is granted again, and a busy machine can be slow: then the next one is refused.
    let mut last = Ok(());
    for _ in 0..10 {
        let call = world.gateway.post(initialize()).token(token);
        last = world.refusal(call, 429, "rate_limited").await.map(drop);
        if last.is_ok() {
            break;
        }
    }
    last
}

#[tokio::test]
async fn attack_052_a_session_id_that_cannot_be_opened_is_unknown() {
    let world = with_sessions().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    let mut altered = sealed.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    // Sealed before this gateway was started: by another key.
    let earlier = with_sessions().await;
    let foreign = open(&earlier, &earlier.reader()).await;
    let mut table = Table::default();
    let mut texts = Vec::new();
    for (name, session) in [
        ("altered", altered.as_str()),
        ("truncated", &sealed[..sealed.len() - 4]),
        ("longer", &format!("{sealed}AAAA")),
        ("of another gateway", &foreign),
        ("the upstream's own", "upstream-session-1"),
        ("random", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ("malformed", "!!!"),
        ("8 KiB", &"x".repeat(8000)),
    ] {
        let call = list(&world, &token, session);
        if let Some(reply) = table.row(name, world.refusal(call, 404, "session_unknown").await) {
            texts.push(anonymous(&reply));
        }
    }
    let equal = texts.windows(2).all(|pair| pair[0] == pair[1]);
    table.check("text", equal, || format!("{texts:#?}"));
    // On initialize, and in the modern revision, a session id is ignored and not forwarded.
    let left_over = world
        .gateway
        .post(initialize())
        .token(&token)
        .with(SESSION, &altered);
    table.row("initialize", world.acceptance(left_over).await);
    table.check(
        "initialize",
        world.upstream.last().header(SESSION).is_none(),
        || "forwarded".to_owned(),
    );
    world.upstream.script(e2e::upstream::echo);
    let modern = world
        .gateway
        .post(modern(1, "tools/list", json!({})))
        .token(&token);
    let modern = modern.modern("tools/list", None).with(SESSION, &altered);
    table.row("modern", world.acceptance(modern).await);
    table.check(
        "modern",
        world.upstream.last().header(SESSION).is_none(),
        || "forwarded".to_owned(),
    );
}

#[tokio::test]
async fn attack_053_get_and_delete_are_authenticated_first() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let mut answer = with(405, "", "");
        answer
            .headers_mut()
            .insert("allow", "POST".parse().unwrap());
        Answer::Full(answer)
    });
    let mut table = Table::default();
    for method in [Method::GET, Method::DELETE] {
        let name = method.as_str();
        let call = || world.gateway.request(method.clone(), "/mcp");
        table.row(name, world.refusal(call(), 401, "no_credentials").await);
        let bad = call().with("authorization", "Bearer x y");
        table.row(name, world.refusal(bad, 400, "malformed_credentials").await);
        let stranger = call().token(&world.token().claim("aud", "x").sign());
        table.row(name, world.refusal(stranger, 401, "wrong_audience").await);
        let reply = call().token(&world.reader()).send().await;
        let passed = (reply.status, reply.header("allow")) == (405, "POST");
        table.check(name, passed && reply.challenge().is_empty(), || {
            format!("{reply:?}")
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_054_no_answer_reaches_another_client() {
    let world = World::start().await;
    world.upstream.script(|request| {
        let id = request.json()["id"].clone();
        let subject = request
            .header("x-mcp-subject")
            .unwrap_or_default()
            .to_owned();
        let body = json!({ "jsonrpc": "2.0", "id": id, "result": { "subject": subject } });
        let data = format!("data: {body}\n\n");
        let head = head(200, &[("content-type", "text/event-stream")]);
        Answer::Stream(head, steps([Chunk::Data(data.into())]))
    });
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..1000 {
        let token = world
            .token()
            .subject(&format!("caller-{}", index % 100))
            .sign();
        let body = request(format!("nonce-{index}"), "tools/list", json!({}));
        let call = world.gateway.post(body).token(&token);
        calls.spawn(async move { (index, call.send().await) });
    }
    while let Some(outcome) = calls.join_next().await {
        let (index, reply) = outcome.unwrap();
        let text = reply.text();
        let is_own = text.contains(&format!("\"nonce-{index}\""))
            && text.contains(&format!("\"caller-{}\"", index % 100));
        assert!(reply.status == 200 && is_own, "{index}: {text}");
    }
}

#[tokio::test]
async fn attack_164_last_event_id_is_forwarded_only_with_a_session() {
    let world = World::with(|config| config.set("/resources/0/event_ids", "upstream")).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let sealed = open(&world, &token).await;
    let get = || {
        let call = world.gateway.get("/mcp").token(&token);
        call.with("accept", "text/event-stream")
            .with("last-event-id", "41")
    };
    assert_eq!(get().with(SESSION, &sealed).send().await.status, 200);
    assert_eq!(world.upstream.last().header("last-event-id"), Some("41"));
    world
        .refusal(get().with(SESSION, "guess"), 404, "session_unknown")
        .await
        .unwrap();
    world.upstream.script(e2e::upstream::echo);
    assert_eq!(get().send().await.status, 200);
    assert_eq!(world.upstream.last().header("last-event-id"), None);
    let modern = get().with("mcp-protocol-version", e2e::client::MODERN);
    modern.with(SESSION, &sealed).send().await;
    for body in [initialize(), request(2, "tools/list", json!({}))] {
        let call = world.gateway.post(body).token(&token);
        world
            .acceptance(call.with("last-event-id", "41"))
            .await
            .unwrap();
    }
    let seen = world.upstream.seen();
    let carried = seen
        .iter()
        .filter(|request| request.headers.contains_key("last-event-id"));
    assert_eq!(carried.count(), 1);
}

#[tokio::test]
async fn attack_186_an_event_of_another_session_is_not_asked_for() {
    let world = World::with(|config| config.set("/resources/0/event_ids", "drop")).await;
    world.upstream.script(sessions());
    let (alice, bob) = (world.reader(), world.token().subject("bob").sign());
    let (victim, own) = (open(&world, &alice).await, open(&world, &bob).await);
    let get = |token: &str, session: &str| {
        let call = world.gateway.get("/mcp").token(token);
        call.with("accept", "text/event-stream")
            .with(SESSION, session)
    };
    // Alice gets an event whose id is known by all sessions of the server.
    let mut feeds = world.upstream.streams("text/event-stream");
    let stream = tokio::spawn(get(&alice, &victim).open());
    let feed = feeds.next().await;
    feed.send("id: 41\ndata: private\n\n");
    let mut events = e2e::client::sse::Events::new(stream.await.unwrap());
    assert_eq!(events.data().await, "private");
    world.upstream.script(sessions());
    let mut table = Table::default();
    for (name, token, session) in [
        ("another caller", &bob, &own),
        (
            "another session of the caller",
            &alice,
            &open(&world, &alice).await,
        ),
        ("the same session", &alice, &victim),
    ] {
        let reply = get(token, session).with("last-event-id", "41").send().await;
        let last = world.upstream.last();
        let asked = (
            reply.status,
            last.method.as_str(),
            last.header("last-event-id"),
        );
        table.check(name, asked == (200, "GET", None), || format!("{asked:?}"));
    }
    let hits = world.upstream.hits();
    let stolen = get(&bob, &victim).with("last-event-id", "41").send().await;
    assert_eq!((stolen.status, world.upstream.hits()), (404, hits));
    world.gateway.logged("Last-Event-ID was removed").await;
}

/// A task server that does not know principals, and that asks for input before it pays.
fn binds_no_caller(request: &e2e::upstream::Recorded) -> e2e::upstream::Answer {
    let message = request.json();
    let params = &message["params"];
    let answer = match (message["method"].as_str(), &params["requestState"]) {
        (Some("tasks/get"), _) => json!({ "taskId": params["taskId"], "status": "working" }),
        (_, Value::Null) => json!({ "task": { "taskId": "1" }, "requestState": "asked" }),
        (_, state) => json!({ "paid": state }),
    };
    e2e::upstream::result(&message["id"], answer)
}

/// A call of `pay`; a repeated call has a state.
fn pay(to: &str, state: Option<&str>) -> String {
    let mut params = json!({ "name": "pay", "arguments": { "to": to } });
    if let Some(state) = state {
        params["requestState"] = json!(state);
    }
    request(7, "tools/call", params)
}

#[tokio::test]
async fn attack_165_a_task_of_another_caller_is_refused() {
    let get = |task: &str| request(8, "tasks/get", json!({ "taskId": task }));
    let refusing = World::start().await;
    refusing.upstream.script(binds_no_caller);
    let guess = refusing.gateway.post(get("1")).token(&refusing.reader());
    refusing.refusal(guess, 403, "tasks_refused").await.unwrap();

    let world = World::with(|config| config.set("/resources/0/tasks", "seal")).await;
    world.upstream.script(binds_no_caller);
    let (alice, mallory) = (world.reader(), world.token().subject("mallory").sign());
    let post = |body: String, token: &str| world.gateway.post(body).token(token);
    let created = world
        .acceptance(post(pay("bob", None), &alice))
        .await
        .unwrap()
        .json();
    let sealed = created["result"]["task"]["taskId"].as_str().unwrap();
    world.acceptance(post(get(sealed), &alice)).await.unwrap();
    assert_eq!(world.upstream.last().json()["params"]["taskId"], "1");
    let mut table = Table::default();
    let list = request(8, "tasks/list", json!({}));
    for (name, call, reason) in [
        ("another's", post(get(sealed), &mallory), "task_mismatch"),
        ("guessed", post(get("1"), &mallory), "task_unknown"),
        ("the list of all", post(list, &mallory), "tasks_method"),
    ] {
        table.row(name, world.refusal(call, 400, reason).await);
    }
}

#[tokio::test]
async fn attack_166_a_request_state_is_valid_only_for_its_caller_and_call() {
    let world = World::with(|config| config.set("/resources/0/request_state", "seal")).await;
    world.upstream.script(binds_no_caller);
    let (alice, mallory) = (world.reader(), world.token().subject("mallory").sign());
    let post = |body: String, token: &str| world.gateway.post(body).token(token);
    let asked = world
        .acceptance(post(pay("bob", None), &alice))
        .await
        .unwrap()
        .json();
    let sealed = asked["result"]["requestState"].as_str();
    let paid = world
        .acceptance(post(pay("bob", sealed), &alice))
        .await
        .unwrap();
    assert_eq!(paid.json()["result"]["paid"], "asked");
    let mut table = Table::default();
    for (name, call) in [
        ("another's", post(pay("bob", sealed), &mallory)),
        ("another call's", post(pay("mallory", sealed), &alice)),
        ("invented", post(pay("bob", Some("asked")), &alice)),
    ] {
        table.row(name, world.refusal(call, 400, "request_state").await);
    }
}

#[tokio::test]
async fn attack_167_a_client_and_a_user_with_the_same_name_are_two_principals() {
    let world = with_sessions().await;
    let user = world
        .token()
        .subject("inspector")
        .claim("client_id", "desktop")
        .sign();
    let machine = world
        .token()
        .subject("inspector")
        .claim("client_id", "inspector")
        .sign();
    let nameless = world
        .token()
        .subject("inspector")
        .without("client_id")
        .sign();
    let sealed = open(&world, &user).await;
    let mut table = Table::default();
    for (name, other) in [("client credentials", &machine), ("no client", &nameless)] {
        let call = list(&world, other, &sealed);
        table.row(name, world.refusal(call, 404, "session_mismatch").await);
        let call = world.gateway.post(initialize()).token(other);
        table.row(name, world.acceptance(call).await);
        let client = world
            .upstream
            .last()
            .header("x-mcp-client")
            .map(str::to_owned);
        table.check(name, client.as_deref() != Some("desktop"), || {
            format!("{client:?}")
        });
    }
}

#[tokio::test]
async fn attack_172_an_upstream_cannot_change_the_session() {
    let world = with_sessions().await;
    let token = world.reader();
    let sealed = open(&world, &token).await;
    world.upstream.script(|_| {
        let mut answer = with(200, "application/json", "{}");
        answer
            .headers_mut()
            .insert(SESSION, "upstream-session-evil".parse().unwrap());
        Answer::Full(answer)
    });
    let reply = list(&world, &token, &sealed).send().await;
    assert_eq!(
        (reply.status, reply.json()["error"].as_str()),
        (502, Some("upstream_session"))
    );
    assert!(!format!("{reply:?}").contains("evil"), "{reply:?}");
    assert_eq!(world.gateway.counted("upstream_session", 1.0).await, 1.0);
    world.upstream.script(sessions());
    let reply = world
        .acceptance(list(&world, &token, &sealed))
        .await
        .unwrap();
    assert_eq!(reply.header(SESSION), sealed, "the id the client sent");
}
