//! Numbers 119, 121, 122 and 169: what the gateway fetches, and what it caches.

use e2e::client::initialize;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::issuer::{Fault, Issuer};
use e2e::upstream::Upstream;
use e2e::world::World;
use serde_json::json;
use test_support::Key;

const RFC8414: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

async fn world(issuer: &Issuer, change: impl FnOnce(Config) -> Config) -> World {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(change(Config::discovering(&upstream, issuer))).await;
    let key = issuer.key.clone();
    World {
        gateway,
        upstream,
        key,
    }
}

async fn status(world: &World, issuer: &Issuer) -> u16 {
    let token = issuer.token(&world.gateway.uri("/mcp")).sign();
    world
        .gateway
        .post(initialize())
        .token(&token)
        .send()
        .await
        .status
}

async fn failed_fetches(world: &World) -> f64 {
    let (name, labels) = (
        "mcp_gateway_jwks_fetches_total",
        [("issuer", "corporate"), ("result", "ok")],
    );
    let metrics = world.gateway.metrics().await;
    metrics.sum(name, &labels[..1]) - metrics.sum(name, &labels)
}

#[tokio::test]
async fn attack_119_a_redirect_is_not_followed() {
    let canary = Issuer::start().await;
    for of_metadata in [true, false] {
        let issuer = Issuer::start().await;
        let to = Fault::Redirect(canary.jwks_uri());
        if of_metadata {
            issuer.metadata(to);
        } else {
            issuer.keys(to);
        }
        let world = world(&issuer, |config| config).await;
        let token = issuer.token(&world.gateway.uri("/mcp")).sign();
        let call = world.gateway.post(initialize()).token(&token);
        world.refusal(call, 503, "keys_unavailable").await.unwrap();
        assert!(failed_fetches(&world).await >= 1.0);
    }
    assert!(canary.counts().is_empty(), "{:?}", canary.counts());
}

#[tokio::test]
async fn attack_121_proxy_settings_of_the_environment_are_ignored() {
    let (issuer, upstream, proxy) = (
        Issuer::start().await,
        Upstream::start().await,
        Upstream::start().await,
    );
    let url = format!("http://{}", proxy.address());
    let names = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let environment = names.map(|name| (name, url.as_str()));
    let gateway = Gateway::start_with(Config::discovering(&upstream, &issuer), &environment).await;
    let token = issuer.token(&gateway.uri("/mcp")).sign();
    let reply = gateway.post(initialize()).token(&token).send().await;
    assert_eq!((reply.status, proxy.accepted()), (200, 0));
}

#[tokio::test]
async fn attack_122_metadata_must_name_the_configured_issuer() {
    let issuer = Issuer::start().await;
    issuer.claim_to_be("https://evil.example");
    let world = world(&issuer, |config| config).await;
    let token = issuer.token(&world.gateway.uri("/mcp")).sign();
    let call = world.gateway.post(initialize()).token(&token);
    world.refusal(call, 503, "keys_unavailable").await.unwrap();
    assert_eq!(issuer.fetches("/jwks"), 0, "its key set was fetched");
    for form in [RFC8414, OPENID] {
        assert!(
            issuer.fetches(form) >= 1,
            "{form} was not tried: {:?}",
            issuer.counts()
        );
    }
    // Keys over plain HTTP are allowed on loopback only, unless the issuer's entry allows more.
    for (allowed, code) in [(false, Some(2)), (true, Some(0))] {
        let config = Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")]).set(
            "/issuers/corporate",
            json!({ "issuer": "https://issuer.test/", "jwks_uri": "http://keys.example/jwks", "allow_http": allowed }),
        );
        let mut check =
            e2e::process::Process::spawn(e2e::gateway::command(&["check", "--config"], &config));
        assert_eq!(
            check.exit(e2e::SOON).await.code(),
            code,
            "{}",
            check.output()
        );
    }
}

#[tokio::test]
async fn attack_169_a_cached_verification_ends_when_its_key_is_removed() {
    let issuer = Issuer::start().await;
    let world = world(&issuer, |config| {
        config
            .set("/jwks/refresh", "1s")
            .set("/jwks/cool_down", "1s")
    })
    .await;
    let token = issuer.token(&world.gateway.uri("/mcp")).sign();
    let call = || world.gateway.post(initialize()).token(&token);
    for _ in 0..3 {
        world.acceptance(call()).await.unwrap();
    }
    let metrics = world.gateway.metrics().await;
    assert!(metrics.sum("mcp_gateway_token_cache_total", &[("result", "hit")]) >= 2.0);
    // Another key with the same id: the cached verification is by the withdrawn one.
    issuer.publish(&[&Key::es256("first")]);
    eventually("the cached verification ends", async || {
        status(&world, &issuer).await == 401
    })
    .await;
    world.refusal(call(), 401, "bad_signature").await.unwrap();
}
