//! What the operator learns of a store: that it is lost and back, full or empty, or refuses a command; and that a directory is for one gateway.

use e2e::certificates::write_secret;
use e2e::client::Reply;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::process::port;
use e2e::sign_in::store::{PROGRAMS, StoreServer, with_store};
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use e2e::{SOON, eventually};
use http::Method;
use serde_json::json;
use test_support::Key;

async fn config(upstream: &Upstream, store: &StoreServer) -> Config {
    let config = Config::new(&upstream.url(), &[]);
    with_store(with_authorization_server(config).await, store)
}

async fn register(gateway: &Gateway) -> Reply {
    let asked = json!({ "redirect_uris": ["https://client.example/cb"] });
    let request = gateway.request(Method::POST, "/register");
    let request = request.with("content-type", "application/json");
    request.body(asked.to_string()).send().await
}

/// Waits until the metric says so.
async fn connected(gateway: &Gateway, store: &str, value: f64) {
    eventually(&format!("{store}: {value}"), async || {
        let (name, labels) = ("mcp_gateway_store_connected", [("store", store)]);
        let metrics = gateway.metrics().await;
        metrics.has(name, &labels) && metrics.sum(name, &labels) == value
    })
    .await;
}

/// How many lines of this level have this text.
async fn lines(gateway: &Gateway, level: &str, text: &str) -> usize {
    let lines = gateway.log_lines().await;
    let found = lines.iter().filter(|line| {
        line["level"] == level
            && line["message"]
                .as_str()
                .is_some_and(|message| message.contains(text))
    });
    found.count()
}

#[tokio::test]
async fn the_log_and_a_metric_say_whether_the_store_is_there_full_or_empty() {
    let mut store = StoreServer::start(PROGRAMS[0]).await;
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(config(&upstream, &store).await).await;
    connected(&gateway, "authorization_server", 1.0).await;
    assert_eq!(register(&gateway).await.status, 201);

    store.tell("CONFIG SET maxmemory 1mb").await;
    for _ in 0..3 {
        assert_eq!(register(&gateway).await.status, 503);
    }
    let full = "the store refuses what it is asked: the server is full (maxmemory)";
    gateway.logged(full).await;
    assert_eq!(lines(&gateway, "ERROR", full).await, 1);
    store.tell("CONFIG SET maxmemory 0").await;
    assert_eq!(register(&gateway).await.status, 201);

    eventually("the store has a name", async || {
        let asked = "EXISTS \"mcp-gateway:name of the store\"";
        store.tell(asked).await.starts_with(":1")
    })
    .await;
    let emptied = "the store has lost its rows, or is another one";
    assert_eq!(lines(&gateway, "ERROR", emptied).await, 0);
    store.tell("FLUSHALL").await;
    gateway.logged(emptied).await;

    store.kill().await;
    gateway.logged("connection to the store lost").await;
    let place = format!("127.0.0.1:{}", store.port);
    let waits = format!("cannot connect to the store, trying again: {place}: ");
    gateway.logged(&waits).await;
    connected(&gateway, "authorization_server", 0.0).await;
    store.restart().await;
    gateway.logged("connected to the store again, after ").await;
    connected(&gateway, "authorization_server", 1.0).await;
    assert_eq!(register(&gateway).await.status, 201);
    assert_eq!(lines(&gateway, "WARN", &waits).await, 1);
}

#[tokio::test]
async fn a_command_that_the_store_refuses_is_named_with_the_store() {
    let store = StoreServer::start(PROGRAMS[1]).await;
    let upstream = Upstream::start().await;
    let rights = "~mcp-gateway:* -@all +eval +evalsha +info +get +set";
    let user = format!("ACL SETUSER counter on >correct-horse {rights}");
    store.tell(&user).await;
    let config = Config::new(&upstream.url(), &[&Key::es256("caller")]);
    let password = config.folder().join("password");
    write_secret(&password, "correct-horse");
    let mut section = store.section();
    section["redis"]["username"] = json!("counter");
    section["redis"]["password_file"] = json!(password);
    let gateway = Gateway::start(config.set("/rate_limits/store", section)).await;
    gateway.logged("it refuses the command TIME: ").await;
    assert_eq!(lines(&gateway, "WARN", "(+time)").await, 1);
    assert_eq!(lines(&gateway, "WARN", "(rate_limits.store)").await, 1);
    connected(&gateway, "rate_limits", 0.0).await;
    store.tell("ACL SETUSER counter +time").await;
    connected(&gateway, "rate_limits", 1.0).await;
    gateway
        .logged("connected to the store (rate_limits.store)")
        .await;
}

#[tokio::test]
async fn a_directory_is_used_by_one_gateway() {
    let store = StoreServer::start(PROGRAMS[0]).await;
    let upstream = Upstream::start().await;
    let config = config(&upstream, &store).await;
    let other = config.replica(port::free(), port::free());
    let directory = config.folder().join("state");
    let config = config.set("/authorization_server/directory", json!(directory));
    let users = config.folder().join("users.yaml");
    let other = other
        .set("/authorization_server/directory", json!(directory))
        .set("/authorization_server/users_file", json!(users));
    // The folder stays when the first one is gone.
    let first = Gateway::start(config.clone()).await;
    let socket = directory.join("control.sock");
    eventually("the control socket", async || socket.exists()).await;
    let mut second = Gateway::spawn(other.clone());
    assert_eq!(second.process.exit(SOON).await.code(), Some(1));
    second
        .output()
        .line("another gateway uses the directory")
        .await;
    assert!(socket.exists());
    drop(first);
    // What a killed process left is no obstacle.
    assert!(socket.exists());
    drop(Gateway::start(other).await);
}
