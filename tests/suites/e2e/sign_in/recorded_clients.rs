//! Each recorded client, in each way in which it comes, from the URL alone to a proxied call: metadata, registration or document,
//! authorization request, sign-in and consent, token request, calls, refresh, revocation. One gateway serves all of them.

mod corpus;
mod walk;

use std::sync::Arc;

use e2e::certificates::{Authority, write_secret};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::proxy::{Conduct, Proxy};
use e2e::serve::{Server, full};
use e2e::sign_in::browser::Browser;
use e2e::sign_in::with_authorization_server;
use e2e::upstream::tasks::Tasks;
use http::Response;
use serde_json::json;
use test_support::{Key, key_set};

use self::corpus::{CONFIGURED_SECRET, Flow, RecordedClient};
use self::walk::Walk;

/// How many clients the corpus has, and how many ways in which they come. More are welcome, fewer are not.
const CLIENTS: usize = 28;
const FLOWS: usize = 61;

/// The one host that answers: its clients authenticate with keys that are published there.
const KEYS_HOST: &str = "chatgpt.com";

/// A gateway that lets every recorded client in, before the task server.
struct Site {
    gateway: Gateway,
    tasks: Tasks,
    key: Key,
    _proxy: Proxy,
    _keys: Server,
}

impl Site {
    async fn start(clients: &[RecordedClient]) -> Self {
        let (tasks, proxy) = (Tasks::start().await, Proxy::start().await);
        let (authority, key) = (Authority::new(), Key::rsa("assertions"));
        let keys = publish(&authority, &key).await;
        proxy.conduct(Conduct::Only("chatgpt.com:443", keys.address()));
        let config = with_authorization_server(Config::new(&tasks.url(), &[])).await;
        let config = open_to(config, clients).set("/outbound/proxy", proxy.url());
        let trusted = config.write("ca.pem", authority.pem());
        let trusted = trusted.to_str().expect("UTF-8");
        // The system's CA certificates, as OpenSSL finds them.
        let gateway = Gateway::start_with(config, &[("SSL_CERT_FILE", trusted)]).await;
        Self {
            gateway,
            tasks,
            key,
            _proxy: proxy,
            _keys: keys,
        }
    }
}

/// Serves the public half of `key` where the clients of [`KEYS_HOST`] have theirs, and nothing else.
async fn publish(authority: &Authority, key: &Key) -> Server {
    let keys = key_set(&[key]).to_string();
    let tls = authority.leaf(&[KEYS_HOST]).server();
    let handler: e2e::serve::Handler = Arc::new(move |request| {
        let is_found = request.uri().path() == "/oauth/jwks.json";
        let answer = Response::builder()
            .status(if is_found { 200 } else { 503 })
            .header("content-type", "application/json")
            .body(full(keys.clone()));
        Box::pin(async move { answer.map_err(std::io::Error::other) })
    });
    Server::tls(([127, 0, 0, 1], 0).into(), tls, handler).await
}

/// With the clients that the operator configures, and everything that some client needs switched on.
fn open_to(config: Config, clients: &[RecordedClient]) -> Config {
    let secret = config.folder().join("configured.secret");
    write_secret(&secret, CONFIGURED_SECRET);
    let secret = secret.to_str().expect("UTF-8");
    let entries = clients.iter().flat_map(|client| {
        let flows = client.flows.iter();
        flows.filter_map(|flow| flow.entry(&client.name, secret))
    });
    let entries: Vec<_> = entries.collect();
    config
        .set("/authorization_server/clients", entries)
        .set("/authorization_server/unknown_clients/allow", true)
        .set(
            "/authorization_server/machines",
            json!({ "enabled": true, "scopes": ["tasks:read"] }),
        )
        .set(
            "/authorization_server/registration/per_address_per_minute",
            1000,
        )
}

/// Everything that a person's client does.
async fn of_a_person(walk: &Walk<'_>, browser: &mut Browser, scopes: &str) {
    let code = walk.authorize(browser).await;
    let tokens = walk.redeem(&code).await;
    assert_eq!(tokens.answer["scope"], scopes);
    assert_eq!(tokens.answer["token_type"], "Bearer");
    walk.is_for_the_resource(&tokens);
    let session = walk.session(&tokens.access).await;
    let tools = session.tools(&tokens.access).await;
    assert!(tools.iter().any(|tool| tool == "secure_echo"), "{tools:?}");

    let newer = walk.refresh(&tokens.refresh).await;
    assert_ne!(newer.access, tokens.access);
    walk.is_for_the_resource(&newer);
    assert_eq!(session.subject(&newer.access).await, walk.subject());

    assert_eq!(walk.revoke(&newer.refresh).await.status, 200);
    assert_eq!(session.echo(&newer.access).await.status, 401);
    let (status, answer) = walk.refused_refresh(&newer.refresh).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

/// Everything that a machine does.
async fn of_a_machine(walk: &Walk<'_>) {
    let tokens = walk.client_credentials().await;
    assert_eq!(tokens.answer["refresh_token"], json!(null));
    walk.is_for_the_resource(&tokens);
    let session = walk.session(&tokens.access).await;
    let tools = session.tools(&tokens.access).await;
    assert!(tools.iter().any(|tool| tool == "secure_echo"), "{tools:?}");

    let newer = walk.client_credentials().await;
    assert_eq!(session.subject(&newer.access).await, walk.subject());

    assert_eq!(walk.revoke(&newer.access).await.status, 200);
    assert_eq!(session.echo(&newer.access).await.status, 401);
}

/// The scopes that the tokens of a flow have: those that the client asked for, as far as the resource has them, or else those
/// that every call requires.
fn expected_scopes(flow: &Flow) -> &'static str {
    let scope = flow.scope.as_deref().unwrap_or_default();
    match scope.contains("{scopes}") {
        true => "tasks:read tasks:write",
        false => "tasks:read",
    }
}

#[tokio::test]
async fn every_recorded_client_gets_from_the_url_to_a_proxied_call() {
    let clients = corpus::all();
    let site = Site::start(&clients).await;
    let mut browser = Browser::new(&site.gateway.uri(""));
    let (mut people, mut machines) = (0, 0);
    for client in &clients {
        for flow in &client.flows {
            // Shown where the test fails.
            println!("{}, {}", client.name, flow.name);
            let walk = Walk::begin(&site.gateway, client, flow, &site.key).await;
            if flow.is_machine() {
                of_a_machine(&walk).await;
                machines += 1;
            } else {
                of_a_person(&walk, &mut browser, expected_scopes(flow)).await;
                people += 1;
            }
        }
    }
    assert!(clients.len() >= CLIENTS, "{}", clients.len());
    assert!(people + machines >= FLOWS, "{people} and {machines}");
    counts(&site, &clients, (people, machines)).await;
}

/// What the gateway and the task server counted.
async fn counts(site: &Site, clients: &[RecordedClient], (people, machines): (usize, usize)) {
    let flows = || clients.iter().flat_map(|client| &client.flows);
    let registered = flows().filter(|flow| flow.registration.is_some()).count();
    let twice = clients
        .iter()
        .filter(|client| client.habits.refreshes_twice);
    let repeated: usize = twice.map(|client| client.flows.len()).sum();
    let metrics = site.gateway.metrics().await;
    let count = |name: &str, labels: &[(&str, &str)]| {
        metrics.sum(&format!("mcp_gateway_oauth_{name}_total"), labels)
    };
    let tokens = |grant_type: &str, outcome: &str| {
        let labels = [("grant_type", grant_type), ("outcome", outcome)];
        count("tokens", &labels)
    };
    let number = |count: usize| f64::from(u32::try_from(count).expect("a small number"));
    for (found, expected) in [
        (
            count("registrations", &[("outcome", "registered")]),
            registered,
        ),
        (count("sign_ins", &[("outcome", "signed_in")]), 1),
        (count("consents", &[("decision", "allowed")]), people),
        (tokens("authorization_code", "issued"), people),
        (tokens("refresh_token", "issued"), people),
        (tokens("refresh_token", "repeated"), repeated),
        (tokens("client_credentials", "issued"), 2 * machines),
        (
            count("revocations", &[("outcome", "revoked")]),
            people + machines,
        ),
    ] {
        assert_eq!(found, number(expected));
    }
    let sent = site.tasks.relay.as_ref().expect("a relay").sent();
    for method in ["tools/list", "tools/call"] {
        let calls = sent.matches(&format!(r#""method":"{method}""#)).count();
        assert_eq!(calls, people + machines, "{method}");
    }
}
