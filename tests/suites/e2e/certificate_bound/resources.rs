//! Tokens that are bound to a client certificate, beside the attacks on them (299–302): what is announced, listening streams, the
//! example.

use e2e::certificates::{Authority, Leaf};
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, initialize};
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::process::binary::repository;
use e2e::upstream::{Feed, Feeds};
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};

const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

const ANNOUNCED: &str = "tls_client_certificate_bound_access_tokens";

fn requesting(config: Config) -> Config {
    config.set("/listen/0/tls/client_certificates", "request")
}

fn agent() -> Leaf {
    Authority::new().leaf(&["agent"])
}

/// A token that is bound to this certificate.
fn bound(setting: &Secure, leaf: &Leaf) -> String {
    let confirmation = json!({ "x5t#S256": leaf.thumbprint() });
    setting.unsigned_token().claim("cnf", confirmation).sign()
}

#[tokio::test]
async fn bound_tokens_are_announced_where_clients_can_present_a_certificate() {
    let demanding = |demand: &'static str| {
        move |config: Config| {
            requesting(config).set("/resources/0/sender_constraint/mutual_tls", demand)
        }
    };
    let mut table = Table::default();
    let mut note = |name: &str, document: Value, expected: Option<bool>| {
        let found = document.get(ANNOUNCED).map(|found| found == true);
        table.check(name, found == expected, || document.to_string());
    };
    for (demand, expected) in [
        ("allow", Some(true)),
        ("require", Some(true)),
        ("refuse", None),
    ] {
        let setting = Secure::with(demanding(demand)).await;
        let call = Call::new(
            &setting.http(true),
            Method::GET,
            setting.gateway.uri(METADATA),
        );
        note(demand, call.send().await.json(), expected);
    }
    for (header, expected) in [("client-cert", Some(true)), ("none", None)] {
        let world = World::with(|config| {
            config
                .set("/trusted_proxies", json!(["127.0.0.2"]))
                .set("/client_certificate_header", header)
        })
        .await;
        note(
            header,
            world.gateway.get(METADATA).send().await.json(),
            expected,
        );
    }
}

#[tokio::test]
async fn the_example_accepts_bound_tokens_alone() {
    let text = std::fs::read_to_string(repository("config/mutual-tls.yaml")).unwrap();
    let example: Value = serde_yaml::from_str(&text).unwrap();
    let setting = Secure::with(|config| {
        // All of it but addresses, files, and the provider.
        let mut resource = example["resources"][0].clone();
        resource["upstream"] = json!(config.upstream());
        let asks = &example["listen"][0]["tls"]["client_certificates"];
        config
            .set("/resources", json!([resource]))
            .set("/listen/0/tls/client_certificates", asks.clone())
    })
    .await;
    let leaf = agent();
    let (own, nobody) = (setting.http_as(false, Some(&leaf)), setting.http(false));
    let token = bound(&setting, &leaf);
    let status = async |http, token: &str| {
        let call = setting.post(http, initialize()).token(token);
        call.send().await.status
    };
    assert_eq!(status(&own, &token).await, 200);
    assert_eq!(status(&nobody, &token).await, 401);
    assert_eq!(status(&own, &setting.token()).await, 401);
}

/// A listening stream, from both sides.
struct Open {
    feed: Feed,
    events: Events,
}

async fn listen(setting: &Secure, feeds: &mut Feeds, http: &reqwest::Client, token: &str) -> Open {
    let call = Call::new(http, Method::GET, setting.gateway.uri("/mcp")).token(token);
    let answer = tokio::spawn(call.with("accept", "text/event-stream").open());
    let feed = feeds.next().await;
    feed.event("x");
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut events = Events::new(answer);
    assert_eq!(events.data().await, "x");
    Open { feed, events }
}

/// Exchanges the configuration, and waits until it is in use.
async fn reload(setting: &mut Secure, count: f64, change: impl FnOnce(Config) -> Config) {
    setting.gateway.config = change(setting.gateway.config.clone());
    setting.gateway.config.file();
    eventually("the reload", async || {
        let metrics = setting.gateway.metrics().await;
        let reloads = "mcp_gateway_config_reloads_total";
        metrics.sum(reloads, &[("result", "accepted")]) >= count
    })
    .await;
}

#[tokio::test]
async fn a_listening_stream_keeps_the_certificate_with_which_it_was_opened() {
    let mut setting = Secure::with(requesting).await;
    let mut feeds = setting.upstream.streams("text/event-stream");
    let leaf = agent();
    let (own, nobody) = (setting.http_as(true, Some(&leaf)), setting.http(true));
    let (token, plain) = (bound(&setting, &leaf), setting.token());
    let mut kept = listen(&setting, &mut feeds, &own, &token).await;
    let mut open = listen(&setting, &mut feeds, &nobody, &plain).await;

    let demand = "/resources/0/sender_constraint/mutual_tls";
    reload(&mut setting, 1.0, |config| config.set(demand, "require")).await;
    assert_eq!(open.events.next().await, Item::End);
    let line = setting.gateway.logged("unbound_token").await;
    assert!(line.contains("would be refused now"), "{line}");
    kept.feed.event("y");
    assert_eq!(kept.events.data().await, "y");

    reload(&mut setting, 2.0, |config| config.set(demand, "refuse")).await;
    assert_eq!(kept.events.next().await, Item::End);
}
