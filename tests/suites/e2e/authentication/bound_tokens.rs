//! Tokens that are bound to a key of their client, with proofs (RFC 9449). Refused ones are in the attack suite as well.

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, initialize, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::upstream::Upstream;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;
use test_support::{ED25519, Key, KeyPair, P256, P384, Proof, RSA, Token};

/// A world whose resource has this in `sender_constraint`.
async fn world(constraint: serde_json::Value) -> World {
    World::with(|config| config.set("/resources/0/sender_constraint", constraint)).await
}

fn bound(world: &World, pair: &KeyPair) -> Token {
    let cnf = json!({ "jkt": pair.thumbprint() });
    world.token().claim("cnf", cnf)
}

fn proof(world: &World, pair: &KeyPair, token: &str) -> Proof {
    Proof::new(pair, "POST", &world.gateway.uri("/mcp")).token(token)
}

fn with_proof(call: Call, token: &str, proof: &Proof) -> Call {
    call.with("authorization", &format!("DPoP {token}"))
        .with("dpop", &proof.sign())
}

#[tokio::test]
async fn a_bound_token_is_accepted_with_a_proof_of_each_kind_of_key_again_and_again() {
    let world = World::start().await;
    let mut table = Table::default();
    for pair in [&*P256, &*P384, &*ED25519, &*RSA] {
        let token = bound(&world, pair).sign();
        for attempt in ["verified", "from the cache", "once more"] {
            let call = world.gateway.post(initialize());
            let call = with_proof(call, &token, &proof(&world, pair, &token));
            let name = format!("{} {attempt}", pair.algorithm());
            table.row(&name, world.acceptance(call).await);
        }
        let forwarded = world.upstream.last().headers;
        let leaked = ["authorization", "dpop"].map(|name| forwarded.contains_key(name));
        table.check(pair.algorithm(), leaked == [false; 2], || {
            format!("{forwarded:?}")
        });
    }
}

#[tokio::test]
async fn a_resource_accepts_bearer_and_bound_tokens_or_one_of_them() {
    let mut table = Table::default();
    for (dpop, plain, with_proof_status) in [
        ("allow", 200, 200),
        ("require", 401, 200),
        ("refuse", 200, 401),
    ] {
        let world = world(json!({ "dpop": dpop })).await;
        let call = world.gateway.post(initialize()).token(&world.reader());
        let status = call.send().await.status;
        table.check(dpop, status == plain, || format!("plain {status}"));
        let token = bound(&world, &P256).sign();
        let call = world.gateway.post(initialize());
        let reply = with_proof(call, &token, &proof(&world, &P256, &token));
        let status = reply.send().await.status;
        table.check(dpop, status == with_proof_status, || {
            format!("with a proof {status}")
        });
        // Without a proof it is refused whatever is configured.
        let call = world.gateway.post(initialize()).token(&token);
        let status = call.send().await.status;
        table.check(dpop, status == 401, || format!("without a proof {status}"));
    }
}

#[tokio::test]
async fn each_scheme_that_is_accepted_has_a_challenge() {
    let mut table = Table::default();
    for (dpop, schemes) in [
        ("allow", vec!["Bearer", "DPoP"]),
        ("require", vec!["DPoP"]),
        ("refuse", vec!["Bearer"]),
    ] {
        let world = world(json!({ "dpop": dpop })).await;
        let reply = world.gateway.post(initialize()).send().await;
        let challenges = reply.challenges();
        let found: Vec<_> = challenges
            .iter()
            .filter_map(|challenge| challenge.split(' ').next())
            .collect();
        table.check(dpop, found == schemes, || format!("{challenges:?}"));
        let algorithms = challenges
            .iter()
            .filter(|own| own.contains("algs=\"ES256 "));
        let expected = usize::from(dpop != "refuse");
        table.check(dpop, algorithms.count() == expected, || {
            format!("{challenges:?}")
        });
        let metadata = world
            .gateway
            .request(Method::GET, "/.well-known/oauth-protected-resource/mcp");
        let metadata = metadata.send().await.json();
        let required = metadata["dpop_bound_access_tokens_required"] == true;
        let algorithms = &metadata["dpop_signing_alg_values_supported"];
        let has_algorithms = algorithms
            .as_array()
            .is_some_and(|list| list.contains(&json!("ES256")));
        table.check(
            dpop,
            required == (dpop == "require") && has_algorithms == (dpop != "refuse"),
            || metadata.to_string(),
        );
    }
}

#[tokio::test]
async fn a_client_gets_a_nonce_and_repeats_its_request() {
    let world = world(json!({ "dpop": "require", "dpop_nonces": true })).await;
    let token = bound(&world, &P256).sign();
    let call = |proof: &Proof| with_proof(world.gateway.post(initialize()), &token, proof);
    let own = proof(&world, &P256, &token);
    let reply = world
        .refusal(call(&own), 401, "dpop_nonce_required")
        .await
        .unwrap();
    let nonce = reply.header("dpop-nonce").to_owned();
    assert!(!nonce.is_empty());
    // The same proof with the nonce, as a client repeats it.
    let reply = world.acceptance(call(&own.claim("nonce", nonce))).await;
    let next = reply.unwrap().header("dpop-nonce").to_owned();
    assert!(!next.is_empty(), "each answer has the next nonce");
    let again = proof(&world, &P256, &token).claim("nonce", next);
    world.acceptance(call(&again)).await.unwrap();
    let foreign = proof(&world, &P256, &token).claim("nonce", "A".repeat(32));
    world
        .refusal(call(&foreign), 401, "dpop_nonce_required")
        .await
        .unwrap();
}

#[tokio::test]
async fn the_example_requires_proofs_with_nonces() {
    let upstream = Upstream::start().await;
    let key = Key::es256("first");
    let config = Config::example("dpop.yaml", &upstream.url(), &[&key]);
    let gateway = Gateway::start(config).await;
    let world = World {
        gateway,
        upstream,
        key,
    };
    let plain = world.gateway.post(initialize()).token(&world.reader());
    world.refusal(plain, 401, "unbound_token").await.unwrap();
    let token = bound(&world, &P256).sign();
    let call = |proof: &Proof| with_proof(world.gateway.post(initialize()), &token, proof);
    let own = proof(&world, &P256, &token);
    let nonce = call(&own).send().await.header("dpop-nonce").to_owned();
    let call = call(&own.claim("nonce", nonce));
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn an_open_stream_needs_no_new_proof_and_ends_when_bound_tokens_are_refused() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = bound(&world, &P256).sign();
    let proof = Proof::new(&P256, "GET", &world.gateway.uri("/mcp")).token(&token);
    let call = with_proof(world.gateway.get("/mcp"), &token, &proof);
    let answer = tokio::spawn(call.with("accept", "text/event-stream").open());
    let feed = feeds.next().await;
    feed.event("one");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "one");
    // A reload judges the stream again.
    let config = world.gateway.config.clone();
    config.clone().set("/log/level", "info").file();
    eventually("it is reloaded", async || {
        world.gateway.log().await.contains("reloaded")
    })
    .await;
    feed.event("two");
    assert_eq!(events.data().await, "two");
    let refusing = json!({ "dpop": "refuse" });
    config
        .set("/resources/0/sender_constraint", refusing)
        .file();
    assert_eq!(events.next().await, Item::End);
}

#[tokio::test]
async fn replicas_with_the_same_keys_accept_the_nonces_of_one_another() {
    let key = "5a".repeat(32);
    let configured = |config: Config| {
        let file = config.write("session.key", &key);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        config.set("/sessions/key_files", json!([file])).set(
            "/resources/0/sender_constraint",
            json!({ "dpop_nonces": true }),
        )
    };
    let (one, other) = (World::with(configured).await, World::with(configured).await);
    let nonce = {
        let token = bound(&one, &P256).sign();
        let call = one.gateway.post(initialize());
        let reply = with_proof(call, &token, &proof(&one, &P256, &token));
        reply.send().await.header("dpop-nonce").to_owned()
    };
    let token = bound(&other, &P256).sign();
    let proof = proof(&other, &P256, &token).claim("nonce", nonce);
    let call = with_proof(other.gateway.post(initialize()), &token, &proof);
    other.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn the_scopes_and_the_policy_count_for_bound_tokens_too() {
    let world = World::start().await;
    let token = bound(&world, &P256).sign();
    let call = world.gateway.post(tool(7, "create_task"));
    let call = with_proof(call, &token, &proof(&world, &P256, &token));
    let reply = world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    let [challenge] = reply.challenges()[..] else {
        panic!("one challenge: {:?}", reply.challenges());
    };
    assert!(challenge.starts_with("DPoP "), "{challenge}");
}

#[tokio::test]
async fn a_page_may_send_a_proof_and_read_the_nonce() {
    let world = World::with(|config| {
        config.set("/origins", json!(["https://app.example"])).set(
            "/resources/0/sender_constraint",
            json!({ "dpop_nonces": true }),
        )
    })
    .await;
    let preflight = world
        .gateway
        .request(Method::OPTIONS, "/mcp")
        .with("origin", "https://app.example")
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization, dpop");
    let reply = preflight.send().await;
    assert_eq!(
        reply.header("access-control-allow-headers"),
        "authorization, dpop"
    );
    let token = bound(&world, &P256).sign();
    let call = with_proof(
        world.gateway.post(initialize()),
        &token,
        &proof(&world, &P256, &token),
    );
    let reply = call.with("origin", "https://app.example").send().await;
    assert!(!reply.header("dpop-nonce").is_empty());
    let exposed = reply.header("access-control-expose-headers");
    assert!(
        exposed.contains("DPoP-Nonce") && exposed.contains("WWW-Authenticate"),
        "{exposed}"
    );
}

#[tokio::test]
async fn one_principal_uses_up_its_share_of_the_proofs_and_no_more() {
    let world = World::with(|config| config.set("/limits/dpop_proofs", 1000)).await;
    let token = bound(&world, &P256).sign();
    let call = |token: &str| {
        let proof = proof(&world, &P256, token);
        with_proof(world.gateway.post(initialize()), token, &proof)
    };
    for _ in 0..100 {
        assert_eq!(call(&token).send().await.status, 200);
    }
    world
        .refusal(call(&token), 429, "too_many_dpop_proofs")
        .await
        .unwrap();
    // Another person is not affected.
    let other = bound(&world, &P256).subject("bob").sign();
    world.acceptance(call(&other)).await.unwrap();
    let metrics = world.gateway.metrics().await;
    assert_eq!(metrics.sum("mcp_gateway_dpop_proofs", &[]), 101.0);
}

#[tokio::test]
async fn a_resource_at_another_host_has_its_own_uri() {
    let world = World::with(|config| {
        let upstream = config.upstream();
        let mut other = resource("/other", &upstream, &["corporate"]);
        other["host"] = json!("other.example.com");
        config.set("/resources/1", other)
    })
    .await;
    let token = Token::new(&world.key, ISSUER, "http://other.example.com/other");
    let token = token
        .claim("cnf", json!({ "jkt": P256.thumbprint() }))
        .sign();
    let call = |uri: &str| {
        let proof = Proof::new(&P256, "POST", uri).token(&token);
        let call = world.gateway.request(Method::POST, "/other");
        let call = call
            .with("host", "other.example.com")
            .with("content-type", "application/json")
            .with("accept", e2e::client::ACCEPT)
            .body(initialize());
        with_proof(call, &token, &proof)
    };
    let reply = call("http://other.example.com/other").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = call(&world.gateway.uri("/other")).send().await;
    assert_eq!(reply.status, 401, "{}", reply.text());
}
