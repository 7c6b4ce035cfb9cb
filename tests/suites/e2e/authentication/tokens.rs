//! Tokens that are accepted; the refused ones are in the attack suite.

use e2e::client::initialize;
use e2e::gateway::config::ISSUER;
use e2e::world::{Table, World};
use serde_json::json;
use test_support::now;
use test_support::{Key, Token};

struct Keys {
    es256: Key,
    rsa: Key,
    eddsa: Key,
}

async fn world() -> (World, Keys) {
    let keys = Keys {
        es256: Key::es256("ec"),
        rsa: Key::rsa("rsa"),
        eddsa: Key::eddsa("ed"),
    };
    let world = World::with_keys(&[&keys.es256, &keys.rsa, &keys.eddsa], |config| config).await;
    (world, keys)
}

#[tokio::test]
async fn good_tokens_of_every_shape_are_accepted() {
    let (world, keys) = world().await;
    let uri = world.gateway.uri("/mcp");
    let token = |key: &Key| Token::new(key, ISSUER, &uri);
    let rows = [
        ("ES256", token(&keys.es256)),
        ("RS256", token(&keys.rsa)),
        ("EdDSA", token(&keys.eddsa)),
        (
            "9: application/at+jwt",
            token(&keys.es256).header("typ", "application/at+jwt"),
        ),
        (
            "9: letter case of typ",
            token(&keys.es256).header("typ", "AT+JWT"),
        ),
        (
            "12: audience in an array",
            token(&keys.es256).claim("aud", json!(["https://other.example", uri])),
        ),
        (
            "15: fractional seconds",
            token(&keys.es256).claim("exp", json!(now() as f64 + 60.5)),
        ),
        (
            "14: just within the skew",
            token(&keys.es256).claim("exp", now() - 10),
        ),
        (
            "14: issued a little ahead",
            token(&keys.es256)
                .claim("iat", now() + 10)
                .claim("nbf", now() + 10),
        ),
        (
            "5: no kid, one fitting key",
            token(&keys.es256).without_header("kid"),
        ),
        (
            "scope as scp array",
            token(&keys.es256)
                .without("scope")
                .claim("scp", json!(["tasks:read"])),
        ),
        (
            "scope as scp text",
            token(&keys.es256)
                .without("scope")
                .claim("scp", "tasks:read x"),
        ),
        ("no client id", token(&keys.es256).without("client_id")),
    ];
    let mut table = Table::default();
    for (name, token) in rows {
        // Twice: the second is answered from the cache.
        table.row(
            name,
            world
                .acceptance(world.gateway.post(initialize()).token(&token.sign()))
                .await,
        );
        table.row(
            name,
            world
                .acceptance(world.gateway.post(initialize()).token(&token.sign()))
                .await,
        );
    }
}

#[tokio::test]
async fn an_issuer_may_allow_plain_jwts_and_another_subject_claim() {
    let world = World::with(|config| {
        config
            .set(
                "/issuers/corporate/token_types",
                json!(["at+jwt", "JWT", ""]),
            )
            .set("/issuers/corporate/subject_claim", json!("oid"))
            .set("/issuers/corporate/scope_claim", json!("permissions"))
            .set("/issuers/corporate/ignored_headers", json!(["jku"]))
            .set("/resources/0/audience", json!(["https://mcp-tasks-api"]))
    })
    .await;
    let token = world
        .token()
        .claim("aud", "https://mcp-tasks-api")
        .claim("oid", "0000-1111")
        .without("scope")
        .claim("permissions", json!(["tasks:read"]));
    let mut table = Table::default();
    for (name, token) in [
        ("typ JWT", token.clone().header("typ", "JWT")),
        ("no typ", token.clone().without_header("typ")),
        (
            "a jku that is not followed",
            token.clone().header("jku", "https://issuer.test/jwks"),
        ),
    ] {
        table.row(
            name,
            world
                .acceptance(world.gateway.post(initialize()).token(&token.sign()))
                .await,
        );
        assert_eq!(
            world.upstream.last().header("x-mcp-subject"),
            Some("0000-1111")
        );
    }
    let own = token.claim("aud", world.gateway.uri("/mcp")).sign();
    world
        .refusal(
            world.gateway.post(initialize()).token(&own),
            401,
            "wrong_audience",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cached_verification_ends_when_the_token_expires() {
    // Decision 6: a hit checks the expiry again.
    let world =
        World::with(|config| config.set("/issuers/corporate/clock_skew", json!("0s"))).await;
    let token = world.token().claim("exp", now() + 2).sign();
    world
        .acceptance(world.gateway.post(initialize()).token(&token))
        .await
        .unwrap();
    world
        .acceptance(world.gateway.post(initialize()).token(&token))
        .await
        .unwrap();
    e2e::eventually("the token expires", async || {
        world
            .gateway
            .post(initialize())
            .token(&token)
            .send()
            .await
            .status
            == 401
    })
    .await;
    let metrics = world.gateway.metrics().await;
    assert!(metrics.sum("mcp_gateway_token_cache_total", &[("result", "hit")]) >= 1.0);
}
