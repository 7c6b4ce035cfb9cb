//! Numbers 6, 19–29 and 183: fetching keys, and what happens when that fails.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::client::initialize;
use e2e::client::raw::{Raw, RawReply};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::issuer::{Fault, Issuer};
use e2e::leaks;
use e2e::upstream::Upstream;
use e2e::world::{Table, World};
use serde_json::{Value, json};
use test_support::{Key, Token, base64url, key_set};

/// Fetches that unknown key ids cause at once, before the cool-down limits them.
const FETCHES_AT_ONCE: usize = 4;

/// A gateway that discovers the keys of an issuer with configurable faults.
struct Setting {
    world: World,
    issuer: Issuer,
}

impl Setting {
    /// One that a test can make fetch keys at any time.
    async fn refreshing(change: impl FnOnce(Config) -> Config) -> Self {
        Self::start(|config| {
            change(
                config
                    .set("/jwks/refresh", "1s")
                    .set("/jwks/cool_down", "10ms"),
            )
        })
        .await
    }

    async fn start(change: impl FnOnce(Config) -> Config) -> Self {
        let (issuer, upstream) = (Issuer::start().await, Upstream::start().await);
        let gateway = Gateway::start(change(Config::discovering(&upstream, &issuer))).await;
        let key = issuer.key.clone();
        Self {
            world: World {
                gateway,
                upstream,
                key,
            },
            issuer,
        }
    }

    /// A token of the issuer's first key.
    fn token(&self) -> Token {
        self.issuer.token(&self.world.gateway.uri("/mcp"))
    }

    /// A token of another key.
    fn by(&self, key: &Key) -> Token {
        Token::new(
            key,
            &self.issuer.identifier(),
            &self.world.gateway.uri("/mcp"),
        )
    }

    async fn status(&self, token: &Token) -> u16 {
        let call = self.world.gateway.post(initialize());
        call.token(&token.sign()).send().await.status
    }

    async fn refused(&self, token: &Token, status: u16, reason: &str) -> Result<(), String> {
        let call = self.world.gateway.post(initialize()).token(&token.sign());
        self.world.refusal(call, status, reason).await.map(drop)
    }

    /// Publishes the first key and these, and waits until the gateway has read them.
    async fn publish(&self, others: &[Value]) {
        let mut keys = vec![self.issuer.key.jwk()];
        keys.extend(others.iter().cloned());
        self.issuer.publish_set(json!({ "keys": keys }));
        self.fetched_again().await;
    }

    /// Waits until a fetch that begins after this call has ended; an unknown key id triggers one.
    async fn fetched_again(&self) {
        let before = self.issuer.fetches("/jwks");
        eventually("two more fetches", async || {
            let stranger = self.token().header("kid", "of no key");
            assert!([401, 503].contains(&self.status(&stranger).await));
            self.issuer.fetches("/jwks") >= before + 2
        })
        .await;
    }

    async fn rejected(&self, reason: &str) -> f64 {
        let labels = [("issuer", "corporate"), ("reason", reason)];
        let metrics = self.world.gateway.metrics().await;
        metrics.sum("mcp_gateway_jwks_keys_rejected_total", &labels)
    }

    /// These keys are published next to the good one; each is left out for this reason, counted and logged, and verifies
    /// no token; the good one serves.
    async fn leaves_out(&self, rows: &[(&str, Value)]) {
        let published: Vec<_> = rows.iter().map(|(_, jwk)| jwk.clone()).collect();
        self.publish(&published).await;
        let mut table = Table::default();
        for (reason, jwk) in rows {
            let kid = jwk["kid"].as_str().unwrap_or_default();
            table.check(kid, self.rejected(reason).await >= 1.0, || {
                format!("not counted as {reason}")
            });
            let token = self.token().header("kid", kid);
            table.row(kid, self.refused(&token, 401, "unknown_key").await);
            let warned = self.world.gateway.log_lines().await.iter().any(|line| {
                line.to_string().contains(kid)
                    && ["WARN", "ERROR"].contains(&line["level"].as_str().unwrap_or_default())
            });
            table.check(kid, warned, || "no warning".to_owned());
        }
        table.check(
            "the good key",
            self.status(&self.token()).await == 200,
            || "does not serve".to_owned(),
        );
    }
}

#[tokio::test]
async fn attack_006_a_storm_of_unknown_key_ids_costs_few_fetches() {
    let setting = Setting::start(|config| config).await;
    assert_eq!(setting.status(&setting.token()).await, 200);
    setting.issuer.keys(Fault::Slow(Duration::from_millis(50)));
    let before = setting.issuer.fetches("/jwks");
    let mut storm = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let stranger = |index| {
            setting
                .token()
                .header("kid", format!("unknown-{worker}-{index}"))
        };
        let gateway = &setting.world.gateway;
        let call = |token: Token| gateway.post(initialize()).token(&token.sign());
        let strangers: Vec<_> = (0..25).map(|index| call(stranger(index))).collect();
        let good = call(setting.token());
        storm.spawn(async move {
            for stranger in strangers {
                let reply = stranger.send().await;
                assert!([401, 503].contains(&reply.status), "{}", reply.status);
            }
            assert_eq!(good.send().await.status, 200, "a valid request failed");
        });
    }
    storm.join_all().await;
    let fetches = setting.issuer.fetches("/jwks") - before;
    assert!(fetches <= FETCHES_AT_ONCE, "{fetches} fetches");
    let stranger = setting.token().header("kid", "unknown");
    setting
        .refused(&stranger, 503, "unknown_key_pending")
        .await
        .unwrap();

    // An issuer without any key is requested no more often.
    let empty = Setting::start(|config| config.set("/jwks/wait", "50ms")).await;
    empty.issuer.publish(&[]);
    let barren = Setting::start(|config| config.set("/jwks/wait", "50ms")).await;
    barren.issuer.keys(Fault::Body(
        "application/json",
        Bytes::from_static(b"{\"keys\":[]}"),
    ));
    for setting in [&empty, &barren] {
        let before = setting.issuer.fetches("/jwks");
        for index in 0..30 {
            let stranger = setting.token().header("kid", format!("unknown-{index}"));
            assert_eq!(setting.status(&stranger).await, 503);
        }
        let fetches = setting.issuer.fetches("/jwks") - before;
        // Those on demand, and the scheduled ones after a failure, at least half a second apart.
        assert!(fetches <= FETCHES_AT_ONCE + 3, "{fetches} fetches");
        assert_eq!(
            setting.status(&setting.token()).await,
            200,
            "the known key still serves"
        );
    }
}

#[tokio::test]
async fn attack_019_weak_and_broken_keys_are_not_loaded() {
    let setting = Setting::refreshing(|config| config).await;
    let (rsa, ec) = (Key::rsa("rsa").jwk(), Key::es256("ec").jwk());
    let modulus = |bits: usize| base64url(vec![0xff; bits / 8]);
    let with_rsa =
        |kid: &str, n: Value, e: &str| json!({ "kty": "RSA", "kid": kid, "n": n, "e": e });
    let with_ec = |kid: &str, x: Value, y: Value| json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y });
    setting
        .leaves_out(&[
            ("weak_key", with_rsa("rsa-512", json!(modulus(512)), "AQAB")),
            (
                "weak_key",
                with_rsa("rsa-1024", json!(modulus(1024)), "AQAB"),
            ),
            (
                "weak_key",
                with_rsa("rsa-2040", json!(modulus(2040)), "AQAB"),
            ),
            ("weak_key", with_rsa("exponent-1", rsa["n"].clone(), "AQ")),
            ("weak_key", with_rsa("exponent-2", rsa["n"].clone(), "Ag")),
            ("invalid_key", with_rsa("no-modulus", json!(""), "AQAB")),
            (
                "invalid_key",
                with_ec("off-curve", ec["x"].clone(), ec["x"].clone()),
            ),
            (
                "invalid_key",
                with_ec("short", json!("AAAA"), ec["y"].clone()),
            ),
        ])
        .await;
}

#[tokio::test]
async fn attack_020_a_published_secret_is_not_loaded() {
    let setting = Setting::refreshing(|config| config).await;
    let secret = leaks::secret("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0");
    let oct = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": secret });
    setting.leaves_out(&[("symmetric", oct)]).await;
    let line = setting.world.gateway.logged("symmetric").await;
    assert!(line.contains("ERROR"), "{line}");
}

#[tokio::test]
async fn attack_021_a_published_private_key_is_not_loaded() {
    let setting = Setting::refreshing(|config| config).await;
    let secret = leaks::secret("cHJpdmF0ZS1wcml2YXRlLXByaXZhdGUtcHJpdmF0ZQ");
    let mut rows = Vec::new();
    for (kid, key) in [
        ("ec-d", Key::es256("ec-d")),
        ("rsa-d", Key::rsa("rsa-d")),
        ("ed-d", Key::eddsa("ed-d")),
    ] {
        let mut jwk = key.jwk();
        jwk["kid"] = json!(kid);
        jwk["d"] = json!(secret);
        rows.push(("private", jwk));
    }
    setting.leaves_out(&rows).await;
    let line = setting.world.gateway.logged("private").await;
    assert!(line.contains("ERROR"), "{line}");
}

#[tokio::test]
async fn attack_022_an_unknown_key_does_not_affect_the_other_keys() {
    let setting = Setting::refreshing(|config| config).await;
    setting
        .leaves_out(&[
            ("unknown_type", json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "ml-dsa", "pub": "AAAA" })),
            ("unknown_type", json!({ "kid": "no-type" })),
            ("unknown_curve", json!({ "kty": "EC", "crv": "secp256k1", "kid": "secp256k1", "x": "AAAA", "y": "AAAA" })),
            ("unknown_curve", json!({ "kty": "EC", "crv": "P-521", "kid": "p-521", "x": "AAAA", "y": "AAAA" })),
            ("unknown_curve", json!({ "kty": "OKP", "crv": "Ed448", "kid": "ed448", "x": "AAAA" })),
            ("unknown_curve", json!({ "kty": "OKP", "crv": "X25519", "kid": "x25519", "x": "AAAA" })),
        ])
        .await;
}

#[tokio::test]
async fn attack_023_keys_for_other_uses_or_with_a_repeated_id_are_not_used() {
    let setting = Setting::refreshing(|config| config).await;
    let other_use = |kid: &str, member: &str, value: Value| {
        let mut jwk = Key::es256(kid).jwk();
        jwk[member] = value;
        jwk
    };
    let doubled = [Key::es256("doubled").jwk(), Key::es256("doubled").jwk()];
    setting
        .leaves_out(&[
            ("not_for_signatures", other_use("enc", "use", json!("enc"))),
            (
                "not_for_signatures",
                other_use("sign-only", "key_ops", json!(["sign"])),
            ),
            ("duplicate_key_id", doubled[0].clone()),
            ("duplicate_key_id", doubled[1].clone()),
        ])
        .await;
    // The same key twice is one key; an encryption key with the id of a good one is not used.
    let good = setting.issuer.key.jwk();
    let mut for_encryption = Key::es256("first").jwk();
    for_encryption["use"] = json!("enc");
    setting.publish(&[good, for_encryption]).await;
    assert_eq!(setting.status(&setting.token()).await, 200);
}

#[tokio::test]
async fn attack_024_a_hostile_key_document_never_replaces_good_keys() {
    let setting = Setting::refreshing(|config| config.set("/jwks/bytes", "64KiB")).await;
    let stranger = Issuer::start().await;
    let json =
        |text: &'static str| Fault::Body("application/json", Bytes::from_static(text.as_bytes()));
    let padded = format!("{{\"keys\":[],\"x\":\"{}\"}}", "y".repeat(50 << 20));
    let big = format!(
        "{{\"keys\":[{}],\"x\":\"{}\"}}",
        stranger.key.jwk(),
        "y".repeat(70 << 10)
    );
    let mut table = Table::default();
    for (name, fault) in [
        (
            "HTML",
            Fault::Body("text/html", Bytes::from_static(b"<html>sign in</html>")),
        ),
        ("truncated", json("{\"keys\":[{\"kty\":")),
        ("no set", json("[]")),
        ("no keys", json("{}")),
        ("keys no array", json("{\"keys\":{}}")),
        ("an empty set", json("{\"keys\":[]}")),
        ("nothing", json("")),
        (
            "50 MiB",
            Fault::Body("application/json", Bytes::from(padded)),
        ),
        (
            "just over the limit",
            Fault::Body("application/json", Bytes::from(big)),
        ),
        (
            "gzip",
            Fault::Body(
                "application/gzip",
                Bytes::from_static(b"\x1f\x8b\x08\0\0\0\0\0\0\xff"),
            ),
        ),
        ("500", Fault::Status(500)),
        ("404", Fault::Status(404)),
        ("204", Fault::Status(204)),
    ] {
        let failed = async || {
            let metrics = setting.world.gateway.metrics().await;
            let sum = |labels: &[_]| metrics.sum("mcp_gateway_jwks_fetches_total", labels);
            sum(&[("issuer", "corporate")]) - sum(&[("issuer", "corporate"), ("result", "ok")])
        };
        let before = failed().await;
        setting.issuer.keys(fault);
        setting.fetched_again().await;
        eventually(name, async || failed().await >= before + 1.0).await;
        let status = setting.status(&setting.token()).await;
        table.check(name, status == 200, || format!("{status}"));
        let token = setting.by(&stranger.key);
        table.check(name, setting.status(&token).await == 401, || {
            "a new key".to_owned()
        });
    }
}

#[tokio::test]
async fn attack_025_a_rotated_key_is_used_at_once() {
    let setting = Setting::start(|config| config).await;
    let (old, next) = (setting.token(), Key::eddsa("second"));
    assert_eq!(setting.status(&old).await, 200);
    setting.issuer.publish(&[&setting.issuer.key, &next]);
    let before = setting.issuer.fetches("/jwks");
    let new = setting.by(&next);
    let (one, two, three, old) = tokio::join!(
        setting.status(&new),
        setting.status(&new),
        setting.status(&new),
        setting.status(&old)
    );
    assert_eq!([one, two, three, old], [200; 4]);
    assert_eq!(
        setting.issuer.fetches("/jwks") - before,
        1,
        "one fetch in flight"
    );
    // A second rotation that the issuer is slow to publish: the request waits for `jwks.wait` at most, and tokens of old
    // keys are not affected.
    let waiting = Setting::start(|config| config.set("/jwks/wait", "300ms")).await;
    waiting.issuer.keys(Fault::Slow(Duration::from_secs(4)));
    waiting
        .refused(&waiting.by(&next), 503, "unknown_key_pending")
        .await
        .unwrap();
    assert_eq!(waiting.status(&waiting.token()).await, 200);
}

#[tokio::test]
async fn attack_026_a_removed_key_is_refused_after_the_refresh() {
    let setting = Setting::refreshing(|config| config).await;
    let token = setting.token();
    assert_eq!(setting.status(&token).await, 200);
    setting.issuer.publish(&[&Key::es256("second")]);
    setting.fetched_again().await;
    eventually("the old key is refused", async || {
        setting.status(&token).await == 401
    })
    .await;
    setting.refused(&token, 401, "unknown_key").await.unwrap();
    setting
        .refused(&setting.token(), 401, "unknown_key")
        .await
        .unwrap();
}

#[tokio::test]
async fn attack_027_tokens_verify_in_the_stale_window_while_the_issuer_is_down() {
    let mut setting = Setting::refreshing(|config| config.set("/jwks/stale", "3s")).await;
    let token = setting.token();
    assert_eq!(setting.status(&token).await, 200);
    setting.issuer.stop();
    let down = Instant::now();
    while down.elapsed() < Duration::from_millis(1500) {
        assert_eq!(
            setting.status(&setting.token()).await,
            200,
            "new tokens verify too"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("stale keys are no longer used", async || {
        setting.status(&token).await == 503
    })
    .await;
    setting
        .refused(&token, 503, "keys_unavailable")
        .await
        .unwrap();
    setting
        .refused(&setting.token(), 503, "keys_unavailable")
        .await
        .unwrap();
    let labels = [("issuer", "corporate")];
    let metrics = setting.world.gateway.metrics().await;
    let age = metrics.sum("mcp_gateway_jwks_age_seconds", &labels);
    assert!(age >= 3.0, "{age}");
    setting.issuer.resume().await;
    eventually("the issuer is back", async || {
        setting.status(&token).await == 200
    })
    .await;
}

#[tokio::test]
async fn attack_028_an_issuer_that_is_down_at_start_does_not_affect_other_resources() {
    let (mut down, up, upstream) = (
        Issuer::start().await,
        Issuer::start().await,
        Upstream::start().await,
    );
    down.stop();
    let config = Config::discovering(&upstream, &down)
        .set("/issuers/other", json!({ "issuer": up.identifier() }))
        .set(
            "/resources/1",
            resource("/other", &upstream.url(), &["other"]),
        )
        .set("/jwks/cool_down", "1s");
    let (gateway, key) = (Gateway::start(config).await, down.key.clone());
    let world = World {
        gateway,
        upstream,
        key,
    };
    let good = up.token(&world.gateway.uri("/other")).sign();
    let other = world.gateway.post_to("/other", initialize()).token(&good);
    world.acceptance(other).await.unwrap();
    let token = down.token(&world.gateway.uri("/mcp")).sign();
    let call = || world.gateway.post(initialize()).token(&token);
    world
        .refusal(call(), 503, "keys_unavailable")
        .await
        .unwrap();
    let ready = world.gateway.admin("/readyz").await.text();
    assert!(
        ready.contains("corporate"),
        "an issuer without keys shows: {ready}"
    );
    down.resume().await;
    eventually("its keys are fetched", async || {
        call().send().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn attack_029_a_hanging_issuer_delays_requests_only_for_a_bounded_time() {
    for fault in [Fault::Hang, Fault::Drip] {
        let setting =
            Setting::start(|config| config.set("/jwks/wait", "250ms").set("/jwks/fetch", "4s"))
                .await;
        setting.issuer.keys(fault);
        let before = setting.issuer.fetches("/jwks");
        let began = Instant::now();
        let stranger = |index: u32| setting.token().header("kid", format!("unknown-{index}"));
        setting
            .refused(&stranger(0), 503, "unknown_key_pending")
            .await
            .unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "held for {:?}",
            began.elapsed()
        );
        for index in 1..5 {
            assert_eq!(setting.status(&stranger(index)).await, 503);
            assert_eq!(
                setting.status(&setting.token()).await,
                200,
                "known keys still serve"
            );
        }
        assert_eq!(
            setting.issuer.fetches("/jwks") - before,
            1,
            "one fetch in flight"
        );
        // The fetch itself has a deadline.
        let failed = async || {
            let labels = [("issuer", "corporate"), ("result", "ok")];
            let metrics = setting.world.gateway.metrics().await;
            let name = "mcp_gateway_jwks_fetches_total";
            metrics.sum(name, &labels[..1]) - metrics.sum(name, &labels)
        };
        eventually("the fetch times out", async || failed().await >= 1.0).await;
    }
}

/// The address of the storm.
const STORMER: &str = "127.0.0.3";

/// The answer to a call with this token from the storm's address.
async fn stormed(setting: &Setting, token: &Token) -> RawReply {
    let (gateway, body) = (&setting.world.gateway, initialize());
    let call = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        gateway.config.public,
        token.sign(),
        body.len()
    );
    let mut connection = Raw::connect_from(STORMER, gateway.config.public).await;
    connection.send(call).await;
    connection.reply().await.expect("an answer")
}

/// Seconds of `Retry-After`.
fn seconds(text: &str) -> u64 {
    text.parse().expect("whole seconds")
}

#[tokio::test]
async fn attack_183_random_key_ids_do_not_have_tokens_of_a_rotated_key_thrown_away() {
    let setting = Setting::start(|config| {
        config
            .set("/jwks/cool_down", "5s")
            .set("/jwks/wait", "1s")
            .set("/limits/exempt_addresses", json!([]))
            .set("/limits/refusals_per_address", 20)
    })
    .await;
    assert_eq!(setting.status(&setting.token()).await, 200);
    let before = setting.issuer.fetches("/jwks");
    let mut statuses = Vec::new();
    for index in 0..30 {
        let stranger = setting.token().header("kid", format!("random-{index}"));
        let reply = stormed(&setting, &stranger).await;
        if reply.status == 503 {
            assert!((1..=5).contains(&seconds(reply.header("retry-after"))));
            assert_eq!(reply.header("www-authenticate"), "");
        }
        statuses.push(reply.status);
    }
    // Each fetch answers one token for good; then none may be made, and then the address may cause none.
    assert_eq!(statuses[..FETCHES_AT_ONCE], [401; FETCHES_AT_ONCE]);
    assert!(statuses[FETCHES_AT_ONCE..20].contains(&503), "{statuses:?}");
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused >= 5, "{statuses:?}");
    let fetches = setting.issuer.fetches("/jwks") - before;
    assert!(fetches <= FETCHES_AT_ONCE + 1, "{fetches} fetches");

    // A rotation just now: the new key serves as soon as the answer says.
    let next = Key::eddsa("second");
    setting.issuer.publish(&[&setting.issuer.key, &next]);
    served_in_time(&setting, &next).await;
    assert_eq!(setting.status(&setting.token()).await, 200);

    // Another, while the issuer cannot be reached: nothing is known about the key.
    let third = Key::es256("third");
    setting.issuer.keys(Fault::Status(500));
    setting.issuer.publish(&[&setting.issuer.key, &third]);
    setting
        .refused(&setting.by(&third), 503, "unknown_key_pending")
        .await
        .unwrap();
    setting.issuer.keys(Fault::None);
    eventually("the third key", async || {
        let status = setting.status(&setting.by(&third)).await;
        assert_ne!(status, 401);
        tokio::time::sleep(Duration::from_secs(1)).await;
        status == 200
    })
    .await;
    a_file_is_read_again_whatever_came_before().await;
}

/// Tokens of this key are served, at once or after the time that a 503 names.
async fn served_in_time(setting: &Setting, key: &Key) {
    let call = || {
        let token = setting.by(key).sign();
        setting.world.gateway.post(initialize()).token(&token)
    };
    let reply = call().send().await;
    if reply.status != 200 {
        assert_eq!(reply.status, 503, "{}", reply.text());
        let wait = seconds(reply.header("retry-after"));
        assert!((1..=5).contains(&wait), "{wait}");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(call().send().await.status, 200);
    }
}

async fn a_file_is_read_again_whatever_came_before() {
    let world = World::start().await;
    let status = async |token: Token| {
        let call = world.gateway.post(initialize()).token(&token.sign());
        call.send().await.status
    };
    for index in 0..20 {
        let stranger = world.token().header("kid", format!("random-{index}"));
        assert_eq!(status(stranger).await, 401);
    }
    let next = Key::es256("second");
    let set = key_set(&[&world.key, &next]).to_string();
    world.gateway.config.write("jwks.json", set);
    let token = Token::new(&next, ISSUER, &world.gateway.uri("/mcp"));
    eventually("the new key", async || {
        let status = status(token.clone()).await;
        assert_ne!(status, 401);
        status == 200
    })
    .await;
}
