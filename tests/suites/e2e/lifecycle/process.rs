//! The gateway as a process (attacks 148, 149, 154, 155, 157, 158): start, failed start, exit.

use std::time::{Duration, Instant};

use e2e::SOON;
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, request};
use e2e::gateway::config::Config;
use e2e::gateway::{Gateway, bare, command};
use e2e::process::Process;
use e2e::process::port;
use e2e::upstream::Answer;
use e2e::world::{Table, World};
use serde_json::json;
use test_support::Key;

/// Runs the binary until it exits: exit code and everything it printed.
async fn run(arguments: &[&str], config: &Config) -> (Option<i32>, String) {
    let mut process = Process::spawn(command(arguments, config));
    let code = process.exit(SOON).await.code();
    // The output can be read completely only shortly after the exit.
    tokio::time::sleep(Duration::from_millis(50)).await;
    (code, process.output())
}

fn good() -> Config {
    Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")])
}

#[tokio::test]
async fn check_rejects_every_kind_of_broken_file() {
    let mut table = Table::default();
    let config = good();
    let rows = [
        ("no YAML", "listen: [\n"),
        ("nothing", ""),
        ("a list", "- a\n- b\n"),
        (
            "a duplicate key",
            "public_url: http://127.0.0.1:1\npublic_url: http://127.0.0.1:2\n",
        ),
    ];
    for (name, text) in rows {
        let file = config.write("broken.yaml", text);
        let mut command = bare(&["check"]);
        command.arg(file);
        let mut process = Process::spawn(command);
        let code = process.exit(SOON).await.code();
        table.check(name, code == Some(2), || {
            format!("{code:?}: {}", process.output())
        });
    }
    let mut command = bare(&["check", "--config", "/nowhere/at/all.yaml"]);
    command.env_clear();
    let mut process = Process::spawn(command);
    let code = process.exit(SOON).await.code();
    table.check("no file", matches!(code, Some(1 | 2)), || {
        format!("{code:?}: {}", process.output())
    });
}

#[tokio::test]
async fn check_reports_a_good_configuration() {
    let (code, output) = run(&["check"], &good()).await;
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test]
async fn a_call_is_explained_without_a_running_gateway() {
    let config = good().set(
        "/resources/0/policy",
        json!({ "default": "deny", "rules": [{ "method": "tools/call", "name": "create_task" }] }),
    );
    let token = config.write("token", "no-token\n");
    let token = token.to_string_lossy().into_owned();
    let claims = r#"{"sub":"alice","scope":"tasks:read tasks:write"}"#;
    for (who, name, expected, text) in [
        (
            ["--claims", claims],
            "create_task",
            0,
            "rules[0]  decides: allows",
        ),
        (["--claims", claims], "wipe", 1, "default   decides: deny"),
        (
            ["--token-file", token.as_str()],
            "create_task",
            1,
            "401 malformed_token",
        ),
        (
            ["--claims", "{}"],
            "create_task",
            2,
            "--claims has no subject",
        ),
    ] {
        let call = [
            "check",
            "--explain",
            "--method",
            "tools/call",
            "--name",
            name,
        ];
        let typed: Vec<_> = call.into_iter().chain(who).chain(["--config"]).collect();
        let (code, output) = run(&typed, &config).await;
        assert_eq!(code, Some(expected), "{output}");
        assert!(output.contains(text), "{text}: {output}");
    }
}

#[tokio::test]
async fn the_schema_for_editors_is_printed() {
    let mut process = Process::spawn(bare(&["schema"]));
    assert_eq!(process.exit(SOON).await.code(), Some(0));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let schema: serde_json::Value = serde_json::from_str(&process.output()).unwrap();
    assert!(schema["properties"]["resources"].is_object(), "{schema}");
}

#[tokio::test]
async fn values_come_from_the_environment_and_a_file() {
    let config = good()
        .set("/issuers/corporate/issuer", "https://${AUTH0_DOMAIN}/")
        .set("/public_url", "${PUBLIC:-http://127.0.0.1:1}");
    let (code, output) = run(&["check", "--config"], &config).await;
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("AUTH0_DOMAIN"), "{output}");
    let env = config.write(".env", "# comment\nAUTH0_DOMAIN=tenant.example\n");
    let env = env.to_string_lossy().into_owned();
    let (code, output) = run(&["check", "--env-file", &env, "--config"], &config).await;
    assert_eq!(code, Some(0), "{output}");
    let mut command = command(&["check", "--config"], &config);
    command.env("AUTH0_DOMAIN", "other.example");
    let mut process = Process::spawn(command);
    assert_eq!(
        process.exit(SOON).await.code(),
        Some(0),
        "{}",
        process.output()
    );
}

#[tokio::test]
async fn several_listeners_serve_the_same() {
    let second = port::free();
    let world =
        World::with(|config| config.set("/listen/1", json!({ "address": second.to_string() })))
            .await;
    let host = world.gateway.config.public.to_string();
    let url = format!("http://{second}/mcp");
    let http = e2e::client::http();
    let call = e2e::client::Call::post(&http, url, initialize())
        .with("host", &host)
        .token(&world.reader());
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn an_idle_gateway_exits_at_once_on_sigterm_and_sigint() {
    // 154
    for signal in ["TERM", "INT"] {
        let mut world = World::start().await;
        world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .send()
            .await;
        let began = Instant::now();
        world.gateway.process.signal(signal);
        let status = world.gateway.process.exit(SOON).await;
        assert_eq!(status.code(), Some(0), "SIG{signal}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "SIG{signal}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn requests_in_flight_are_finished() {
    // 154
    let mut world = World::start().await;
    let mut feeds = world.upstream.streams("application/json");
    let call = tokio::spawn(
        world
            .gateway
            .post(request(1, "tools/call", json!({ "name": "slow" })))
            .token(&world.reader())
            .send(),
    );
    let feed = feeds.next().await;
    world.gateway.process.signal("TERM");
    refuses_connections(&world.gateway).await;
    assert!(world.gateway.process.runs(), "it did not wait");
    feed.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    drop(feed);
    let reply = call.await.unwrap();
    assert_eq!((reply.status, reply.json()["id"].as_i64()), (200, Some(1)));
    assert_eq!(world.gateway.process.exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn open_streams_are_ended_cleanly() {
    // 154; never a JSON-RPC message, only the framing.
    let mut world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let answer = tokio::spawn(
        world
            .gateway
            .get("/mcp")
            .token(&world.reader())
            .with("accept", "text/event-stream")
            .open(),
    );
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    world.gateway.process.signal("TERM");
    loop {
        match events.next().await {
            Item::Comment(_) => {}
            end => break assert_eq!(end, Item::End),
        }
    }
    assert_eq!(world.gateway.process.exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    let mut world = World::with(|config| config.set("/shutdown/drain", "1s")).await;
    world.upstream.script(|_| Answer::Hang);
    let call = tokio::spawn(
        world
            .gateway
            .post(request(1, "tools/list", json!({})))
            .token(&world.reader())
            .attempt(),
    );
    world.upstream.received(1).await;
    let began = Instant::now();
    world.gateway.process.signal("TERM");
    world.gateway.process.exit(SOON).await;
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    drop(call);
}

#[tokio::test]
async fn during_the_delay_the_gateway_is_unready_and_still_serves() {
    // 154
    let mut world = World::with(|config| config.set("/shutdown/delay", "2s")).await;
    world.gateway.process.signal("TERM");
    world.gateway.readiness(503).await;
    assert_eq!(world.gateway.admin("/livez").await.status, 200);
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert_eq!(world.gateway.process.exit(SOON).await.code(), Some(0));
}

#[tokio::test]
async fn sighup_does_not_stop_the_gateway() {
    let mut world = World::start().await;
    for _ in 0..3 {
        world.gateway.process.signal("HUP");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert!(world.gateway.process.runs());
}

#[tokio::test]
async fn the_admin_listener_answers_and_names_no_caller() {
    // 146, 158
    let world = World::start().await;
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    for path in ["/livez", "/readyz", "/metrics"] {
        let reply = world.gateway.admin(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(!reply.text().contains("alice"), "{path}: {}", reply.text());
    }
    assert!(
        world
            .gateway
            .admin("/metrics")
            .await
            .header("content-type")
            .starts_with("text/plain")
    );
    for path in ["/mcp", "/.well-known/oauth-protected-resource/mcp", "/"] {
        assert_eq!(world.gateway.admin(path).await.status, 404, "{path}");
    }
}

async fn refuses_connections(gateway: &Gateway) {
    e2e::eventually("the listener closes", async || {
        tokio::net::TcpStream::connect(gateway.config.public)
            .await
            .is_err()
    })
    .await;
}
