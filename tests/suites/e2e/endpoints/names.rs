//! A name whose addresses are the endpoints: it changes, has no answer, and comes back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use e2e::certificates::Authority;
use e2e::client::{request, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::process::port;
use e2e::sign_in::internet::Internet;
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::{Key, Token};
use tokio::time::sleep;

const NAME: &str = "tasks.internal";

/// Instances at several addresses of this machine, with one port.
async fn instances() -> (u16, Vec<Upstream>) {
    let port = port::free().port();
    let mut upstreams = Vec::new();
    for last in 1..=3 {
        let address = SocketAddr::from(([127, 0, 0, last], port));
        upstreams.push(Upstream::start_at(address).await);
    }
    (port, upstreams)
}

struct Setting {
    gateway: Gateway,
    token: String,
}

impl Setting {
    async fn start(internet: &Internet, port: u16) -> Self {
        Self::with(internet, |_| {
            json!({
                "url": format!("http://{NAME}:{port}/mcp"),
                "resolve": true,
                "resolve_interval": "1s",
            })
        })
        .await
    }

    async fn with(internet: &Internet, upstream: impl FnOnce(&Config) -> Value) -> Self {
        let key = Key::es256("first");
        let config = Config::new("http://127.0.0.1:9/mcp", &[&key]);
        let upstream = upstream(&config);
        let config = config.set("/resources/0/upstream", upstream);
        let gateway = internet.gateway(config).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp"));
        Self {
            token: token.scope("tasks:read tasks:write").sign(),
            gateway,
        }
    }

    async fn list(&self) -> u16 {
        let list = request(1, "tools/list", json!({}));
        self.gateway
            .post(list)
            .token(&self.token)
            .send()
            .await
            .status
    }

    async fn create(&self) -> u16 {
        let create = tool(1, "create_task");
        self.gateway
            .post(create)
            .token(&self.token)
            .send()
            .await
            .status
    }
}

fn hits(upstreams: &[Upstream]) -> Vec<usize> {
    upstreams.iter().map(Upstream::hits).collect()
}

#[tokio::test]
async fn calls_follow_the_addresses_of_a_name() {
    let (port, mut upstreams) = instances().await;
    let internet = Internet::start(&["client.example"]).await;
    internet.upstream(NAME, &["127.0.0.1", "127.0.0.2"]);
    let setting = Setting::start(&internet, port).await;
    for _ in 0..30 {
        assert_eq!(setting.list().await, 200);
    }
    let found = hits(&upstreams);
    assert!(found[0] > 3 && found[1] > 3 && found[2] == 0, "{found:?}");
    let lines = setting.gateway.log_lines().await.into_iter();
    let lines = lines.filter(|line| line["message"] == "request");
    let named: BTreeSet<_> = lines
        .map(|line| line["endpoint"].as_str().unwrap().to_owned())
        .collect();
    assert!(named.iter().eq(["127.0.0.1", "127.0.0.2"]), "{named:?}");
    let host = format!("{NAME}:{port}");
    assert_eq!(upstreams[1].last().header("host"), Some(host.as_str()));

    internet.upstream(NAME, &["127.0.0.2", "127.0.0.3"]);
    setting.gateway.logged("at 127.0.0.3").await;
    let log = setting.gateway.log().await;
    assert!(log.contains("endpoint added") && log.contains("endpoint removed"));
    let before = hits(&upstreams);
    // The third one is new: it gets its share slowly.
    eventually("the new address gets calls", async || {
        assert_eq!(setting.list().await, 200);
        upstreams[2].hits() > 0
    })
    .await;
    assert_eq!(upstreams[0].hits(), before[0], "it is gone");

    // Its last addresses are used while the name does not resolve.
    internet.forget_upstreams();
    setting.gateway.logged("name cannot be resolved").await;
    for _ in 0..10 {
        assert_eq!(setting.create().await, 200);
    }
    let failed = [("result", "failed")];
    let metrics = setting.gateway.metrics().await;
    assert!(metrics.sum("mcp_gateway_endpoint_resolutions_total", &failed) > 0.5);
    let endpoints = |label: &str| {
        let labels = [("endpoint", label)];
        metrics.has("mcp_gateway_endpoint_usable", &labels)
    };
    assert!(endpoints("0") && endpoints("1") && !endpoints("2"));

    // One of them dies: its calls go to the other.
    upstreams[1].stop();
    sleep(Duration::from_millis(50)).await;
    for _ in 0..10 {
        assert_eq!(setting.create().await, 200);
    }
    internet.upstream(NAME, &["127.0.0.1"]);
    setting.gateway.logged("name resolved again").await;
    eventually("the first one again", async || {
        assert_eq!(setting.list().await, 200);
        upstreams[0].hits() > before[0]
    })
    .await;
}

#[tokio::test]
async fn a_name_that_has_never_resolved_is_503_until_it_does() {
    let (port, upstreams) = instances().await;
    let internet = Internet::start(&["client.example"]).await;
    internet.forget_upstreams();
    let setting = Setting::start(&internet, port).await;
    assert_eq!(setting.list().await, 503);
    assert!(setting.gateway.counted("no_endpoint", 1.0).await > 0.5);
    setting.gateway.logged("there is no endpoint").await;
    internet.upstream(NAME, &["127.0.0.2"]);
    eventually("it resolves", async || setting.list().await == 200).await;
    assert_eq!(hits(&upstreams), [0, 1, 0]);
}

#[tokio::test]
async fn tls_verifies_the_name_at_each_address() {
    let authority = Authority::new();
    for (certified, expected) in [(NAME, 200), ("other.internal", 502)] {
        let upstream = Upstream::start_tls(authority.leaf(&[certified]).server()).await;
        let internet = Internet::start(&["client.example"]).await;
        internet.upstream(NAME, &["127.0.0.1"]);
        let setting = Setting::with(&internet, |config| {
            let ca_file = config.write("ca.pem", authority.pem());
            json!({
                "url": format!("https://{NAME}:{}/mcp", upstream.address().port()),
                "ca_file": ca_file,
                "resolve": true,
            })
        })
        .await;
        assert_eq!(setting.list().await, expected, "{certified}");
        assert_eq!(upstream.hits() > 0, expected == 200);
    }
}
