//! DPoP proofs (RFC 9449 §11): used twice, for another request or token, of another key, forged, and without end. 150 more are data
//! files (`tests/corpus/proofs`).

use e2e::client::{Call, initialize};
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;
use test_support::{ED25519, KeyPair, P256, P384, Proof};

/// A token that is bound to this key.
fn bound(world: &World, pair: &KeyPair) -> String {
    let cnf = json!({ "jkt": pair.thumbprint() });
    world.token().claim("cnf", cnf).sign()
}

/// A good proof for the resource with this token.
fn proof(world: &World, pair: &KeyPair, token: &str) -> Proof {
    Proof::new(pair, "POST", &world.gateway.uri("/mcp")).token(token)
}

fn call(world: &World, token: &str, proof: &str) -> Call {
    let call = world.gateway.post(initialize());
    call.with("authorization", &format!("DPoP {token}"))
        .with("dpop", proof)
}

#[tokio::test]
async fn attack_171_a_proof_is_good_for_one_request() {
    let world = World::start().await;
    let token = bound(&world, &P256);
    let mut table = Table::default();
    let used = proof(&world, &P256, &token).sign();
    table.row("first", world.acceptance(call(&world, &token, &used)).await);
    for attempt in ["again", "and again"] {
        let call = call(&world, &token, &used);
        let refused = world.refusal(call, 401, "dpop_proof_replayed").await;
        table.row(attempt, refused);
    }
    // With another signature it is the same proof: `jti` and key count.
    let own = proof(&world, &P256, &token).claim("jti", "mine");
    table.row(
        "first of another",
        world.acceptance(call(&world, &token, &own.sign())).await,
    );
    let call = call(&world, &token, &own.sign());
    let refused = world.refusal(call, 401, "dpop_proof_replayed").await;
    table.row("signed again", refused);
    // Nobody keeps somebody else's `jti` from counting.
    let other = bound(&world, &P384);
    let same = proof(&world, &P384, &other).claim("jti", "mine").sign();
    let accepted = world.acceptance(self::call(&world, &other, &same)).await;
    table.row("the same jti of another key", accepted);
    for (name, seconds) in [("old", -400), ("ahead", 400)] {
        let iat = test_support::now() + seconds;
        let own = proof(&world, &P256, &token).claim("iat", iat).sign();
        let call = self::call(&world, &token, &own);
        table.row(name, world.refusal(call, 401, "dpop_proof_time").await);
    }
}

#[tokio::test]
async fn attack_293_a_proof_for_another_request_or_token_is_refused() {
    let world = World::start().await;
    let token = bound(&world, &P256);
    let uri = world.gateway.uri("/mcp");
    let of = |method: &str, uri: &str| Proof::new(&P256, method, uri).token(&token).sign();
    let another_token = proof(&world, &P256, "another.token.here").sign();
    let mut table = Table::default();
    for (name, proof) in [
        ("another method", of("GET", &uri)),
        ("another path", of("POST", &world.gateway.uri("/other"))),
        ("another host", of("POST", "https://evil.example/mcp")),
        ("another token", another_token),
    ] {
        let call = call(&world, &token, &proof);
        let refused = world.refusal(call, 401, "dpop_proof_mismatch").await;
        table.row(name, refused);
    }
    // What the client says about its host does not change what is expected.
    let forged = of("POST", "https://evil.example/mcp");
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "https://evil.example/mcp"),
    ] {
        let call = call(&world, &token, &forged).with(name, value);
        let refused = world.refusal(call, 401, "dpop_proof_mismatch").await;
        table.row(name, refused);
    }
    let get = world
        .gateway
        .request(Method::GET, "/mcp")
        .with("authorization", &format!("DPoP {token}"))
        .with("dpop", &of("POST", &uri));
    table.row(
        "a proof for POST with GET",
        world.refusal(get, 401, "dpop_proof_mismatch").await,
    );
    let without = proof(&world, &P256, &token).without("ath").sign();
    let call = call(&world, &token, &without);
    table.row(
        "no digest of the token",
        world.refusal(call, 401, "invalid_dpop_proof").await,
    );
}

#[tokio::test]
async fn attack_294_a_stolen_token_is_of_no_use_without_its_key() {
    let world = World::start().await;
    let token = bound(&world, &P256);
    let mut table = Table::default();
    // The owner uses it first: the verdict on the token is in the cache.
    let own = proof(&world, &P256, &token).sign();
    table.row(
        "the owner",
        world.acceptance(call(&world, &token, &own)).await,
    );
    for (name, pair) in [
        ("P-384", &*P384),
        ("Ed25519", &*ED25519),
        ("P-256", &KeyPair::p256()),
    ] {
        let forged = proof(&world, pair, &token).sign();
        let call = call(&world, &token, &forged);
        table.row(name, world.refusal(call, 401, "dpop_other_key").await);
    }
    // With the owner's public key in the header, and somebody else's signature.
    let forged = proof(&world, &KeyPair::p256(), &token).header("jwk", P256.public_jwk());
    let call = call(&world, &token, &forged.sign());
    table.row(
        "the owner's public key",
        world.refusal(call, 401, "invalid_dpop_proof").await,
    );
    let bearer = world.gateway.post(initialize()).token(&token);
    table.row(
        "as a bearer token",
        world.refusal(bearer, 401, "bound_token_as_bearer").await,
    );
    let bearer = world.gateway.post(initialize()).token(&token);
    let bearer = bearer.with("dpop", &proof(&world, &P256, &token).sign());
    table.row(
        "as a bearer token with a proof",
        world.refusal(bearer, 401, "bound_token_as_bearer").await,
    );
    // An unbound token does not become a bound one.
    let plain = world.reader();
    let own = proof(&world, &P256, &plain).sign();
    let call = self::call(&world, &plain, &own);
    table.row(
        "an unbound token with a proof",
        world.refusal(call, 401, "unbound_token").await,
    );
}

#[tokio::test]
async fn attack_295_a_key_that_is_no_public_key_proves_nothing() {
    let world = World::start().await;
    let token = bound(&world, &P256);
    let own = || proof(&world, &P256, &token);
    let mut private = P256.public_jwk();
    private["d"] = json!("AQAB");
    let mut table = Table::default();
    for (name, proof) in [
        ("a private key", own().header("jwk", private)),
        (
            "a symmetric key",
            own().header("jwk", json!({ "kty": "oct", "k": "AQAB" })),
        ),
        ("no key", own().header("jwk", json!(null))),
        ("unsigned", own().header("alg", "none")),
        ("symmetric", own().header("alg", "HS256")),
        ("an access token", own().header("typ", "at+jwt")),
        (
            "certificates beside it",
            own().header("x5c", json!(["MIIB"])),
        ),
        (
            "a URL of keys beside it",
            own().header("jku", "https://evil.example/keys"),
        ),
        ("critical parameters", own().header("crit", json!(["x"]))),
        ("no jti", own().without("jti")),
        ("a long jti", own().claim("jti", "a".repeat(300))),
    ] {
        let call = call(&world, &token, &proof.sign());
        table.row(name, world.refusal(call, 401, "invalid_dpop_proof").await);
    }
}

#[tokio::test]
async fn attack_296_several_proofs_are_none() {
    let world = World::start().await;
    let token = bound(&world, &P256);
    let own = || proof(&world, &P256, &token).sign();
    let with = |lines: &[String]| {
        let call = world.gateway.post(initialize());
        let call = call.with("authorization", &format!("DPoP {token}"));
        lines
            .iter()
            .fold(call, |call, line| call.also("dpop", line))
    };
    let same = own();
    let mut table = Table::default();
    for (name, lines) in [
        ("none", vec![]),
        ("two", vec![own(), own()]),
        ("the same twice", vec![same.clone(), same.clone()]),
        ("two in one line", vec![format!("{same}, {same}")]),
        ("an empty one", vec![String::new()]),
        ("the token", vec![token.clone()]),
        ("text without end", vec!["a".repeat(9000)]),
    ] {
        let refused = world.refusal(with(&lines), 401, "invalid_dpop_proof").await;
        table.row(name, refused);
    }
}

#[tokio::test]
async fn attack_297_nobody_uses_up_the_proofs_of_others() {
    let world = World::with(|config| config.set("/limits/dpop_proofs", 1000)).await;
    let token = bound(&world, &P256);
    for _ in 0..100 {
        let own = proof(&world, &P256, &token).sign();
        assert_eq!(call(&world, &token, &own).send().await.status, 200);
    }
    let mut table = Table::default();
    let own = proof(&world, &P256, &token).sign();
    let refused = world.refusal(call(&world, &token, &own), 429, "too_many_dpop_proofs");
    table.row("beyond its share", refused.await);
    // Another client, another key and another token of the same person count together.
    let cnf = json!({ "jkt": P384.thumbprint() });
    let again = world
        .token()
        .claim("cnf", cnf)
        .claim("client_id", "another");
    let again = again.sign();
    let own = proof(&world, &P384, &again).sign();
    let refused = world.refusal(call(&world, &again, &own), 429, "too_many_dpop_proofs");
    table.row("with another key", refused.await);
    let cnf = json!({ "jkt": P384.thumbprint() });
    let other = world.token().claim("cnf", cnf).subject("bob").sign();
    let own = proof(&world, &P384, &other).sign();
    let accepted = world.acceptance(call(&world, &other, &own)).await;
    table.row("somebody else", accepted);
    // A dozen accounts do what they can, and somebody who was not here before is served.
    let of = |subject: &str| {
        let cnf = json!({ "jkt": P256.thumbprint() });
        world.token().claim("cnf", cnf).subject(subject).sign()
    };
    for number in 0..12 {
        let token = of(&format!("account {number}"));
        let mut status = 200;
        while status == 200 {
            let own = proof(&world, &P256, &token).sign();
            status = call(&world, &token, &own).send().await.status;
        }
        assert_eq!(status, 429, "account {number}");
    }
    let late = of("late");
    let own = proof(&world, &P256, &late).sign();
    let accepted = world.acceptance(call(&world, &late, &own)).await;
    table.row("after a dozen accounts", accepted);
}

#[tokio::test]
async fn attack_298_forged_proofs_count_against_their_address() {
    const MOST: usize = 20;
    let world = World::with(|config| {
        config
            .set("/limits/exempt_addresses", json!([]))
            .set("/limits/refusals_per_address", MOST)
    })
    .await;
    let token = bound(&world, &P256);
    let forged = || {
        let forged = proof(&world, &KeyPair::p256(), &token).header("jwk", P256.public_jwk());
        call(&world, &token, &forged.sign())
    };
    let mut statuses = Vec::new();
    for _ in 0..MOST + 5 {
        statuses.push(forged().send().await.status);
    }
    assert_eq!(statuses, [401; MOST + 5]);
    // The owner of the token, which was verified before, is not kept out by them.
    let own = proof(&world, &P256, &token).sign();
    let accepted = world.acceptance(call(&world, &token, &own)).await;
    accepted.unwrap();
    // No signature of a token that is not known is verified for this address now, and none of its proof.
    let new = bound(&world, &P384);
    let own = proof(&world, &P384, &new).sign();
    let refused = world.refusal(call(&world, &new, &own), 429, "too_many_refusals");
    refused.await.unwrap();
}
