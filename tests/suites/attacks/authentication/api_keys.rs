//! Numbers 303–306: API keys.

use e2e::client::{Call, initialize};
use e2e::gateway::config::resource;
use e2e::gateway::key_file::{KEY_HEADER, KeyFile, mistyped};
use e2e::issuer::Issuer;
use e2e::world::{Table, World};
use serde_json::json;

/// The common case with two more resources: one that accepts keys as Bearer only, and one that accepts none.
async fn world() -> (World, KeyFile, Keys) {
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::beside(&config);
        let keys = Keys::make(&file);
        let upstream = config.upstream();
        let config = file
            .configure(config)
            .set(
                "/resources/1",
                resource("/plain", &upstream, &["corporate"]),
            )
            .set("/resources/1/api_keys", json!({}))
            .set(
                "/resources/2",
                resource("/tokens", &upstream, &["corporate"]),
            );
        made = Some((file, keys));
        config
    })
    .await;
    let (file, keys) = made.expect("the configuration was made");
    (world, file, keys)
}

/// Keys, each with what it is for.
struct Keys {
    every: String,
    mcp: String,
    expired: String,
}

impl Keys {
    fn make(file: &KeyFile) -> Self {
        let of = |name: &str, place: &[&str]| {
            let options = [&["--subject", "ci", "--scope", "tasks:read"], place].concat();
            file.make(name, &options)
        };
        let keys = Self {
            every: of("every", &["--all-resources"]),
            mcp: of("mcp", &["--resource", "/mcp"]),
            expired: of("expired", &["--all-resources", "--expires", "1h"]),
        };
        let lines = file.lines();
        let expired = lines.iter().find(|line| line["name"] == "expired").unwrap();
        file.edit(expired["expires"].as_str().unwrap(), "2026-01-01T00:00:00Z");
        keys
    }
}

fn post(world: &World, path: &str) -> Call {
    world.gateway.post_to(path, initialize())
}

#[tokio::test]
async fn attack_303_a_key_opens_only_what_its_line_says() {
    let (world, file, keys) = world().await;
    for path in ["/mcp", "/plain"] {
        world
            .acceptance(post(&world, path).token(&keys.every))
            .await
            .unwrap();
    }
    world
        .acceptance(post(&world, "/mcp").token(&keys.mcp))
        .await
        .unwrap();
    let mut table = Table::default();
    for (name, path, key, reason) in [
        ("another resource", "/plain", &*keys.mcp, "wrong_audience"),
        (
            "a resource without keys",
            "/tokens",
            &keys.every,
            "api_keys_not_accepted",
        ),
        (
            "the same, mistyped",
            "/tokens",
            &mistyped(&keys.every),
            "api_keys_not_accepted",
        ),
        ("expired", "/mcp", &keys.expired, "expired"),
        (
            "mistyped",
            "/mcp",
            &mistyped(&keys.every),
            "malformed_api_key",
        ),
        ("cut", "/mcp", &keys.every[..39], "malformed_api_key"),
        ("only the prefix", "/mcp", "mgw_", "malformed_api_key"),
        (
            "in another case",
            "/mcp",
            &keys.every.to_lowercase(),
            "malformed_api_key",
        ),
    ] {
        let outcome = world
            .refusal(post(&world, path).token(key), 401, reason)
            .await;
        table.row(name, outcome);
    }
    // The header of one resource is no credential at another.
    let outcome = world
        .refusal(
            post(&world, "/plain").with(KEY_HEADER, &keys.every),
            401,
            "no_credentials",
        )
        .await;
    table.row("the header where none is configured", outcome);
    file.remove("every");
    e2e::eventually("it is gone", async || {
        post(&world, "/mcp").token(&keys.every).send().await.status == 401
    })
    .await;
    let outcome = world
        .refusal(
            post(&world, "/mcp").token(&keys.every),
            401,
            "unknown_api_key",
        )
        .await;
    table.row("removed", outcome);
}

#[tokio::test]
async fn attack_304_a_key_beside_another_credential_is_a_bad_request() {
    let (world, _file, keys) = world().await;
    let (key, token) = (&keys.every, world.reader());
    let mut table = Table::default();
    let bearer = |call: Call, token: &str| call.token(token);
    for (name, call) in [
        (
            "key and token",
            bearer(post(&world, "/mcp").with(KEY_HEADER, key), &token),
        ),
        (
            "key twice",
            bearer(post(&world, "/mcp").with(KEY_HEADER, key), key),
        ),
        (
            "key and Basic",
            post(&world, "/mcp")
                .with(KEY_HEADER, key)
                .with("authorization", "Basic YTpi"),
        ),
        (
            "an empty key and a token",
            bearer(post(&world, "/mcp").with(KEY_HEADER, ""), &token),
        ),
        (
            "two keys",
            post(&world, "/mcp")
                .with(KEY_HEADER, key)
                .also(KEY_HEADER, &keys.mcp),
        ),
        (
            "two keys in one",
            post(&world, "/mcp").with(KEY_HEADER, &format!("{key}, {}", keys.mcp)),
        ),
    ] {
        let outcome = world.refusal(call, 400, "multiple_credentials").await;
        table.row(name, outcome);
    }
    for (name, value) in [
        ("a token in the header of keys", &*token),
        ("a scheme in it", &format!("Bearer {key}")),
        ("nothing in it", ""),
    ] {
        let call = post(&world, "/mcp").with(KEY_HEADER, value);
        table.row(name, world.refusal(call, 401, "malformed_api_key").await);
    }
    let query = world.gateway.post_to("/mcp?access_token=a", initialize());
    let outcome = world
        .refusal(query.with(KEY_HEADER, key), 400, "token_in_query")
        .await;
    table.row("a token in the query too", outcome);
    let removed = post(&world, "/mcp")
        .with(KEY_HEADER, key)
        .with("connection", KEY_HEADER);
    table.row(
        "a header for this hop",
        world.refusal(removed, 400, "connection_option").await,
    );
}

#[tokio::test]
async fn attack_305_guessed_keys_are_counted_against_their_address() {
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::beside(&config);
        let (known, later) = (file.reader("known"), file.reader("later"));
        let elsewhere = config.replica(config.public, config.admin);
        let stranger = KeyFile::beside(&elsewhere);
        let guessed = stranger.reader("guessed");
        made = Some((known, later, guessed));
        file.configure(config)
            .set("/limits/refusals_per_address", 3)
            .set("/limits/exempt_addresses", json!([]))
    })
    .await;
    let (known, later, guessed) = made.expect("the configuration was made");
    world
        .acceptance(post(&world, "/mcp").token(&known))
        .await
        .unwrap();
    for _ in 0..3 {
        let call = post(&world, "/mcp").with(KEY_HEADER, &guessed);
        world.refusal(call, 401, "unknown_api_key").await.unwrap();
    }
    let call = post(&world, "/mcp").with(KEY_HEADER, &guessed);
    world.refusal(call, 429, "too_many_refusals").await.unwrap();
    // Valid keys are still accepted, whether or not they were verified before.
    for valid in [&known, &later] {
        world
            .acceptance(post(&world, "/mcp").token(valid))
            .await
            .unwrap();
    }
    let call = post(&world, "/mcp").token(&guessed);
    world.refusal(call, 429, "too_many_refusals").await.unwrap();
}

#[tokio::test]
async fn attack_306_a_key_reaches_no_server_no_issuer_and_no_log() {
    let issuer = Issuer::start().await;
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::beside(&config);
        made = Some(file.reader("one"));
        file.configure(config).set(
            "/issuers/corporate",
            json!({ "issuer": issuer.identifier() }),
        )
    })
    .await;
    let key = made.expect("the configuration was made");
    let asked = issuer.counts();
    // Every answer, metric, log line and request at the upstream is searched for keys by the harness.
    for call in [
        post(&world, "/mcp").token(&key),
        post(&world, "/mcp").with(KEY_HEADER, &key),
    ] {
        world.acceptance(call).await.unwrap();
    }
    let unknown = mistyped(&key);
    let of_page = format!("https://{key}.example");
    for call in [
        world.gateway.get(&format!("/{key}")),
        world.gateway.get(&format!("/mcp/{key}")),
        world.gateway.get(&format!("/mcp?key={key}")).token(&key),
        post(&world, "/mcp").token(&key).with("origin", &of_page),
        post(&world, "/mcp").token(&unknown),
        post(&world, "/mcp").with(KEY_HEADER, &format!("Bearer {key}")),
        post(&world, "/mcp").with("authorization", &key),
        post(&world, "/mcp").with("authorization", &format!("ApiKey {key}")),
        world.gateway.request(http::Method::PUT, "/mcp").token(&key),
    ] {
        call.send().await;
    }
    assert_eq!(issuer.counts(), asked, "nobody asks an issuer about a key");
}
