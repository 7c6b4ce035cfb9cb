//! Kinds of upstreams: over HTTPS with a private certificate authority, on a unix socket, by name, at another path.

use std::time::{Duration, Instant};

use e2e::certificates::Authority;
use e2e::client::{initialize, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::Upstream;
use e2e::upstream::tasks::Tasks;
use e2e::world::World;
use serde_json::json;
use test_support::{Key, Token};

struct Setting {
    gateway: Gateway,
    key: Key,
}

impl Setting {
    async fn start(upstream: serde_json::Value, ca: Option<String>) -> Self {
        let key = Key::es256("first");
        let mut config =
            Config::new("http://127.0.0.1:1/mcp", &[&key]).set("/resources/0/upstream", upstream);
        if let Some(pem) = ca {
            let file = config.write("ca.pem", pem);
            config = config.set("/resources/0/upstream/ca_file", json!(file));
        }
        Self {
            gateway: Gateway::start(config).await,
            key,
        }
    }

    async fn status(&self) -> u16 {
        let token = Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp")).sign();
        self.gateway
            .post(initialize())
            .token(&token)
            .send()
            .await
            .status
    }
}

#[tokio::test]
async fn https_with_a_configured_certificate_authority() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.leaf(&["localhost"]).server()).await;
    let url = json!({ "url": format!("https://localhost:{}/mcp", upstream.address().port()) });
    let trusting = Setting::start(url.clone(), Some(authority.pem())).await;
    assert_eq!(trusting.status().await, 200);
    assert_eq!(
        upstream
            .last()
            .headers
            .get("host")
            .map_or("", |host| host.to_str().unwrap())
            .split(':')
            .next(),
        Some("localhost")
    );
    let stranger = Setting::start(url.clone(), Some(Authority::new().pem())).await;
    assert_eq!(stranger.status().await, 502);
    let public = Setting::start(url, None).await;
    assert_eq!(public.status().await, 502);
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn https_for_another_name_is_refused() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.leaf(&["other.example"]).server()).await;
    let url = json!({ "url": format!("https://localhost:{}/mcp", upstream.address().port()) });
    assert_eq!(
        Setting::start(url, Some(authority.pem()))
            .await
            .status()
            .await,
        502
    );
    assert_eq!(upstream.hits(), 0);
}

#[tokio::test]
async fn an_upstream_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tasks.sock");
    let upstream = Upstream::start_unix(&socket);
    let setting = Setting::start(json!({ "unix": socket, "path": "/inner" }), None).await;
    assert_eq!(setting.status().await, 200);
    let last = upstream.last();
    assert_eq!(
        (last.target.as_str(), last.header("host")),
        ("/inner", Some("localhost"))
    );
}

#[tokio::test]
async fn the_real_task_server_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("tasks.sock");
    let _tasks = Tasks::start_unix(&socket).await;
    let setting = Setting::start(json!({ "unix": socket }), None).await;
    assert_eq!(setting.status().await, 200);
}

#[tokio::test]
async fn a_name_is_resolved_when_it_is_needed() {
    // 60: the unchanged server accepts loopback names only; it must receive its own.
    let tasks = Tasks::start().await;
    let setting = Setting::start(json!(tasks.url().replace("127.0.0.1", "localhost")), None).await;
    assert_eq!(setting.status().await, 200);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_502_and_other_resources_work() {
    let world = World::with(|config| {
        let nowhere = e2e::gateway::config::resource(
            "/nowhere",
            "http://nowhere.invalid:9000/mcp",
            &["corporate"],
        );
        config.set("/resources/1", nowhere)
    })
    .await;
    let token = world.token_for("/nowhere").sign();
    let began = Instant::now();
    let reply = world
        .gateway
        .post_to("/nowhere", initialize())
        .token(&token)
        .send()
        .await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_path_of_the_upstream_is_configured_separately() {
    let world = World::with(|config| {
        let upstream = config.upstream().replace("/mcp", "/v1/rpc");
        config.set("/resources/0/upstream", upstream)
    })
    .await;
    world
        .acceptance(
            world
                .gateway
                .post(request(1, "ping", json!({})))
                .token(&world.reader()),
        )
        .await
        .unwrap();
    assert_eq!(world.upstream.last().target, "/v1/rpc");
}
