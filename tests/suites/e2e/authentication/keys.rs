//! Fetching keys, and what happens when that fails (attacks 6, 19–29, 122), with an issuer with configurable faults.

use std::time::{Duration, Instant};

use e2e::certificates::Authority;
use e2e::client::initialize;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::issuer::{Fault, Issuer};
use e2e::upstream::Upstream;
use e2e::world::Table;
use serde_json::json;
use test_support::{Key, Token, key_set};

const RFC8414: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

struct Setting {
    gateway: Gateway,
    upstream: Upstream,
    issuer: Issuer,
}

impl Setting {
    async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        Self::with(Issuer::start().await, change).await
    }

    async fn with(issuer: Issuer, change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = change(Config::discovering(&upstream, &issuer));
        Self {
            gateway: Gateway::start(config).await,
            upstream,
            issuer,
        }
    }

    /// A token of the issuer's first key.
    fn token(&self) -> Token {
        self.issuer.token(&self.gateway.uri("/mcp"))
    }

    async fn status(&self, token: &Token) -> u16 {
        self.gateway
            .post(initialize())
            .token(&token.sign())
            .send()
            .await
            .status
    }
}

#[tokio::test]
async fn keys_are_found_by_each_form_of_discovery() {
    // RFC 8414 §3.1 first, then both forms of OpenID Connect Discovery.
    let mut table = Table::default();
    for (path, document) in [
        ("", RFC8414.to_owned()),
        ("/", RFC8414.to_owned()),
        ("", OPENID.to_owned()),
        ("/", OPENID.to_owned()),
        ("/tenant", format!("{RFC8414}/tenant")),
        ("/tenant", format!("{OPENID}/tenant")),
        ("/tenant", format!("/tenant{OPENID}")),
        ("/tenant/", format!("/tenant{OPENID}")),
    ] {
        let name = format!("{path:?} at {document}");
        let issuer = Issuer::start_at(path, &[&document]).await;
        let setting = Setting::with(issuer, |config| config).await;
        let status = setting.status(&setting.token()).await;
        table.check(&name, status == 200, || {
            format!("{status}: {:?}", setting.issuer.counts())
        });
    }
}

#[tokio::test]
async fn an_explicit_key_set_needs_no_discovery() {
    let issuer = Issuer::start_at("", &[]).await;
    let uri = issuer.jwks_uri();
    let setting = Setting::with(issuer, |config| {
        config.set("/issuers/corporate/jwks_uri", uri)
    })
    .await;
    assert_eq!(setting.status(&setting.token()).await, 200);
    assert_eq!(setting.issuer.fetches(RFC8414), 0);
}

#[tokio::test]
async fn a_private_authority_is_trusted_for_the_issuer() {
    // Split horizon: the public name is not reachable from here, the key set inside the cluster is.
    let authority = Authority::new();
    let issuer = Issuer::start_tls(&authority.leaf(&["localhost"])).await;
    let upstream = Upstream::start().await;
    let start = async |trusted: bool| {
        let config = Config::discovering(&upstream, &issuer).set(
            "/issuers/corporate",
            json!({ "issuer": ISSUER, "jwks_uri": issuer.jwks_uri() }),
        );
        let ca = config.write("ca.pem", authority.pem());
        let gateway = Gateway::start(if trusted {
            config.set("/issuers/corporate/ca_file", json!(ca))
        } else {
            config
        })
        .await;
        let token = Token::new(&issuer.key, ISSUER, &gateway.uri("/mcp")).sign();
        gateway.post(initialize()).token(&token).send().await.status
    };
    assert_eq!(start(true).await, 200);
    assert_eq!(
        start(false).await,
        503,
        "a certificate of an unknown authority was trusted"
    );
}

#[tokio::test]
async fn an_error_names_a_final_slash_as_the_only_difference() {
    let issuer = Issuer::start().await;
    let claimed = format!("{}/", issuer.identifier());
    issuer.claim_to_be(&claimed);
    let setting = Setting::with(issuer, |config| config).await;
    assert_eq!(setting.status(&setting.token()).await, 503);
    let log = setting.gateway.log().await.to_lowercase();
    assert!(log.contains("slash"), "{log}");
}

#[tokio::test]
async fn unknown_keys_are_requested_again_after_the_cool_down() {
    let setting = Setting::start(|config| config.set("/jwks/cool_down", "1s")).await;
    assert_eq!(
        setting
            .status(&setting.token().header("kid", "unknown"))
            .await,
        401
    );
    let next = Key::es256("second");
    setting.issuer.publish(&[&setting.issuer.key, &next]);
    let token = Token::new(
        &next,
        &setting.issuer.identifier(),
        &setting.gateway.uri("/mcp"),
    );
    eventually("the new key is fetched", async || {
        setting.status(&token).await == 200
    })
    .await;
}

#[tokio::test]
async fn the_gateway_is_ready_when_every_issuer_was_tried_once() {
    let issuer = Issuer::start().await;
    issuer.metadata(Fault::Hang);
    let upstream = Upstream::start().await;
    let began = Instant::now();
    let gateway = Gateway::spawn(Config::discovering(&upstream, &issuer).set("/jwks/fetch", "2s"));
    gateway.serves_admin().await;
    assert_eq!(gateway.admin("/readyz").await.status, 503);
    gateway.readiness(200).await;
    assert!(
        began.elapsed() > Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn the_age_of_keys_is_a_metric() {
    let setting = Setting::start(|config| config).await;
    let labels = [("issuer", "corporate")];
    let age = setting
        .gateway
        .metrics()
        .await
        .sum("mcp_gateway_jwks_age_seconds", &labels);
    assert!(age > 0.0 && age < 30.0, "{age}");
    let fetched = [("issuer", "corporate"), ("result", "ok")];
    assert_eq!(
        setting
            .gateway
            .metrics()
            .await
            .sum("mcp_gateway_jwks_fetches_total", &fetched),
        1.0
    );
}

#[tokio::test]
async fn no_request_is_sent_to_an_unknown_issuer() {
    let setting = Setting::start(|config| config).await;
    let stranger = Issuer::start().await;
    assert_eq!(
        setting
            .status(&stranger.token(&setting.gateway.uri("/mcp")))
            .await,
        401
    );
    assert_eq!(stranger.counts().len(), 0);
    assert_eq!(setting.upstream.hits(), 0);
}

#[tokio::test]
async fn keys_from_a_file_need_no_request() {
    let upstream = Upstream::start().await;
    let key = Key::rsa("file");
    let config = Config::new(&upstream.url(), &[&key]);
    config.write("jwks.json", key_set(&[&key]).to_string());
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
    assert_eq!(
        gateway.post(initialize()).token(&token).send().await.status,
        200
    );
}
