//! Which tokens are believed (threats 1–30): one gateway with three keys, one row for each way to be wrong.

use aws_lc_rs::hmac;
use e2e::client::initialize;
use e2e::config::ISSUER;
use e2e::now;
use e2e::tokens::{Key, Token, base64};
use e2e::world::{Table, World};
use serde_json::{Value, json};

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

/// One refused token: what is wrong, the token, and the reasons that tell it.
type Row<'a> = (&'a str, String, &'a [&'a str]);

/// Every row must be a 401 `invalid_token` for one of its reasons.
async fn refuse_all(world: &World, rows: Vec<Row<'_>>) {
    let mut table = Table::default();
    for (name, token, reasons) in rows {
        let mut before = Vec::new();
        for reason in reasons {
            before.push(world.gateway.refusals(reason).await);
        }
        let hits = world.upstream.hits();
        let reply = world.gateway.post(initialize()).token(&token).send().await;
        table.check(name, reply.status == 401, || {
            format!("{} {}", reply.status, reply.text())
        });
        table.check(
            name,
            reply.challenge().contains("error=\"invalid_token\""),
            || reply.challenge().to_owned(),
        );
        table.check(name, world.upstream.hits() == hits, || {
            "the upstream saw it".to_owned()
        });
        let mut counted = false;
        for (reason, before) in reasons.iter().zip(before) {
            counted |= world
                .gateway
                .counted(
                    reason,
                    if reasons.len() > 1 {
                        before
                    } else {
                        before + 1.0
                    },
                )
                .await
                == before + 1.0;
        }
        table.check(name, counted, || {
            format!("not counted as {reasons:?}: {}", reply.text())
        });
    }
}

#[tokio::test]
async fn good_tokens_of_every_shape_are_believed() {
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
async fn algorithms_are_those_of_the_key() {
    // 1–3
    let (world, keys) = world().await;
    let uri = world.gateway.uri("/mcp");
    let good = |key: &Key| Token::new(key, ISSUER, &uri);
    let claims = good(&keys.es256).claims_text();
    let none = |alg: &str, signature: &str| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "ec" }).to_string();
        format!("{}.{}.{signature}", base64(header), base64(&claims))
    };
    let hs256 = |key: &Key| {
        let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": key.id }).to_string();
        let input = format!("{}.{}", base64(header), base64(&claims));
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &key.public_der());
        format!("{input}.{}", base64(hmac::sign(&secret, input.as_bytes())))
    };
    let rows: Vec<Row<'_>> = vec![
        ("1: none", none("none", ""), &["alg_not_allowed"]),
        (
            "1: None with a signature",
            none("None", "AAAA"),
            &["alg_not_allowed"],
        ),
        ("1: NONE", none("NONE", ""), &["alg_not_allowed"]),
        (
            "1: no signature part",
            none("none", "").trim_end_matches('.').to_owned(),
            &["alg_not_allowed", "malformed_token"],
        ),
        (
            "2: HS256 by the RSA public key",
            hs256(&keys.rsa),
            &["alg_not_allowed"],
        ),
        (
            "2: HS256 by the EC public key",
            hs256(&keys.es256),
            &["alg_not_allowed"],
        ),
        (
            "3: PS256 on an RS256 key",
            good(&keys.rsa).header("alg", "PS256").sign(),
            &["alg_key_mismatch"],
        ),
        (
            "3: ES384 on P-256",
            good(&keys.es256).header("alg", "ES384").sign(),
            &["alg_key_mismatch"],
        ),
        (
            "3: RS256 on an EC key",
            good(&keys.es256).header("alg", "RS256").sign(),
            &["alg_key_mismatch"],
        ),
        (
            "no alg",
            good(&keys.es256).without_header("alg").sign(),
            &["malformed_token", "alg_not_allowed"],
        ),
        (
            "alg is no text",
            good(&keys.es256).header("alg", json!(["ES256"])).sign(),
            &["malformed_token", "alg_not_allowed"],
        ),
    ];
    refuse_all(&world, rows).await;
}

#[tokio::test]
async fn keys_are_found_by_id_alone() {
    // 4, 5, 11
    let second = Key::es256("ec2");
    let key = Key::es256("ec");
    let world = World::with_keys(&[&key, &second], |config| config).await;
    let good = || world.token();
    let rows: Vec<Row<'_>> = vec![
        (
            "4: a path",
            good().header("kid", "../../etc/passwd").sign(),
            &["unknown_key"],
        ),
        (
            "4: NUL",
            good().header("kid", "ec\u{0}").sign(),
            &["unknown_key"],
        ),
        (
            "4: SQL",
            good().header("kid", "x' OR '1'='1").sign(),
            &["unknown_key"],
        ),
        (
            "4: a new line",
            good().header("kid", "x\n{\"level\":\"ERROR\"}").sign(),
            &["unknown_key"],
        ),
        (
            "4: 4 KiB",
            good().header("kid", "k".repeat(4096)).sign(),
            &["unknown_key", "malformed_token"],
        ),
        (
            "4: a number",
            good().header("kid", 5).sign(),
            &["unknown_key", "malformed_token"],
        ),
        (
            "5: no kid, two fitting keys",
            good().without_header("kid").sign(),
            &["unknown_key"],
        ),
        (
            "signed by another key",
            good().signed_by(&second).sign(),
            &["bad_signature"],
        ),
        (
            "signed by a stranger",
            good().signed_by(&Key::es256("ec")).sign(),
            &["bad_signature"],
        ),
    ];
    refuse_all(&world, rows).await;
    for line in world.gateway.log().lines() {
        assert!(
            !line.contains(&"k".repeat(80)),
            "a key id over 64 characters was logged: {line}"
        );
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("143: {error}: {line}"));
    }
}

#[tokio::test]
async fn headers_that_bring_keys_or_extensions_are_refused() {
    // 7, 8, 9, 18
    let (world, keys) = world().await;
    let good = || world.token();
    let rows: Vec<Row<'_>> = vec![
        (
            "7: jku",
            good().header("jku", "https://evil.example/jwks").sign(),
            &["header_not_allowed"],
        ),
        (
            "7: x5u",
            good().header("x5u", "https://evil.example/cert").sign(),
            &["header_not_allowed"],
        ),
        (
            "7: jwk",
            good().header("jwk", keys.es256.jwk()).sign(),
            &["header_not_allowed"],
        ),
        (
            "7: x5c",
            good().header("x5c", json!(["MIIB"])).sign(),
            &["header_not_allowed"],
        ),
        (
            "8: crit unknown",
            good()
                .header("crit", json!(["exotic"]))
                .header("exotic", 1)
                .sign(),
            &["header_not_allowed"],
        ),
        (
            "8: crit known",
            good().header("crit", json!(["exp"])).sign(),
            &["header_not_allowed"],
        ),
        (
            "8: crit empty",
            good().header("crit", json!([])).sign(),
            &["header_not_allowed"],
        ),
        (
            "8: b64 false",
            good().header("b64", false).sign(),
            &["header_not_allowed"],
        ),
        (
            "18: zip",
            good().header("zip", "DEF").sign(),
            &["header_not_allowed", "malformed_token"],
        ),
        (
            "18: cty JWT",
            good().header("cty", "JWT").sign(),
            &["malformed_token", "header_not_allowed"],
        ),
        (
            "9: typ JWT",
            good().header("typ", "JWT").sign(),
            &["wrong_token_type"],
        ),
        (
            "9: no typ",
            good().without_header("typ").sign(),
            &["wrong_token_type"],
        ),
        (
            "9: logout token",
            good().header("typ", "logout+jwt").sign(),
            &["wrong_token_type"],
        ),
        (
            "9: DPoP proof",
            good().header("typ", "dpop+jwt").sign(),
            &["wrong_token_type"],
        ),
    ];
    refuse_all(&world, rows).await;
}

#[tokio::test]
async fn claims_must_be_there_and_fit() {
    // 10–12, 14, 15, 170
    let (world, _) = world().await;
    let uri = world.gateway.uri("/mcp");
    let good = || world.token();
    let rows: Vec<Row<'_>> = vec![
        (
            "10: no exp",
            good().without("exp").sign(),
            &["missing_claim"],
        ),
        (
            "10: no aud",
            good().without("aud").sign(),
            &["missing_claim"],
        ),
        (
            "10: no iss",
            good().without("iss").sign(),
            &["missing_claim"],
        ),
        (
            "10: no sub",
            good().without("sub").sign(),
            &["missing_claim"],
        ),
        (
            "11: another issuer",
            good().claim("iss", "https://evil.example/").sign(),
            &["wrong_issuer"],
        ),
        (
            "11: without the slash",
            good().claim("iss", ISSUER.trim_end_matches('/')).sign(),
            &["wrong_issuer"],
        ),
        (
            "11: letter case",
            good().claim("iss", "https://Issuer.test/").sign(),
            &["wrong_issuer"],
        ),
        (
            "11: an array",
            good().claim("iss", json!([ISSUER])).sign(),
            &["wrong_issuer", "malformed_token"],
        ),
        (
            "12: another resource",
            good().claim("aud", "https://other.example/mcp").sign(),
            &["wrong_audience"],
        ),
        (
            "12: a prefix",
            good().claim("aud", uri.trim_end_matches("mcp")).sign(),
            &["wrong_audience"],
        ),
        (
            "12: a longer one",
            good().claim("aud", format!("{uri}/")).sign(),
            &["wrong_audience"],
        ),
        (
            "12: array without ours",
            good().claim("aud", json!(["a", "b"])).sign(),
            &["wrong_audience"],
        ),
        (
            "12: array with a number",
            good().claim("aud", json!([uri, 5])).sign(),
            &["wrong_audience", "malformed_token"],
        ),
        (
            "12: empty",
            good().claim("aud", json!([])).sign(),
            &["wrong_audience"],
        ),
        (
            "12: an object",
            good().claim("aud", json!({})).sign(),
            &["wrong_audience", "malformed_token"],
        ),
        (
            "14: expired",
            good()
                .claim("exp", now() - 120)
                .claim("iat", now() - 600)
                .sign(),
            &["expired"],
        ),
        (
            "14: nbf ahead",
            good().claim("nbf", now() + 120).sign(),
            &["not_yet_valid"],
        ),
        (
            "14: iat ahead",
            good().claim("iat", now() + 120).sign(),
            &["not_yet_valid"],
        ),
        (
            "15: exp a text",
            good().claim("exp", "9999999999").sign(),
            &["malformed_token"],
        ),
        (
            "15: exp negative",
            good().claim("exp", -1).sign(),
            &["malformed_token"],
        ),
        (
            "15: exp 1e300",
            good().claim("exp", 1e300).sign(),
            &["malformed_token"],
        ),
        (
            "15: exp 2^64-1",
            good().claim("exp", u64::MAX).sign(),
            &["malformed_token"],
        ),
        (
            "15: a lifetime of 40 days",
            good().claim("exp", now() + 40 * 86400).sign(),
            &["lifetime_too_long"],
        ),
        (
            "170: bound to a sender",
            good().claim("cnf", json!({ "jkt": "x" })).sign(),
            &["sender_constrained"],
        ),
        (
            "65: a subject that fits no header",
            good().subject(&"s".repeat(4200)).sign(),
            &["unusable_subject"],
        ),
    ];
    refuse_all(&world, rows).await;
}

#[tokio::test]
async fn a_token_is_three_canonical_parts_of_strict_json() {
    // 16–18, 30
    let (world, keys) = world().await;
    let header = world.token().header_text();
    let claims = world.token().claims_text();
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let sign = |header: &str, claims: &str| keys.es256.sign(header, claims);
    let good = sign(&header, &claims);
    let rows: Vec<Row<'_>> = vec![
        (
            "16: scope twice",
            sign(&header, &twice(&claims, "\"scope\":\"admin\"")),
            &["malformed_token"],
        ),
        (
            "16: aud twice",
            sign(&header, &twice(&claims, "\"aud\":\"x\"")),
            &["malformed_token"],
        ),
        (
            "16: kid twice",
            sign(&twice(&header, "\"kid\":\"x\""), &claims),
            &["malformed_token"],
        ),
        (
            "16: nested twice",
            sign(&header, &twice(&claims, "\"x\":{\"a\":1,\"a\":2}")),
            &["malformed_token"],
        ),
        (
            "16: escaped twice",
            sign(&header, &twice(&claims, "\"sc\\u006fpe\":\"admin\"")),
            &["malformed_token"],
        ),
        (
            "17: 9 KiB",
            format!("{}.{}", "A".repeat(9000), &good),
            &["token_too_large"],
        ),
        ("17: 4,000 dots", ".".repeat(4000), &["malformed_token"]),
        (
            "17: nested deeply",
            sign(
                &header,
                &format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)),
            ),
            &["malformed_token"],
        ),
        (
            "18: five parts",
            format!("{good}.AAAA.AAAA"),
            &["malformed_token"],
        ),
        ("30: padding", format!("{good}="), &["malformed_token"]),
        (
            "30: a trailing dot",
            format!("{good}."),
            &["malformed_token"],
        ),
        (
            "30: not canonical",
            not_canonical(&good),
            &["malformed_token"],
        ),
        (
            "30: standard alphabet",
            good.replacen('.', "+.", 1),
            &["malformed_token"],
        ),
        (
            "claims are no object",
            sign(&header, "[]"),
            &["malformed_token"],
        ),
        (
            "header is no JSON",
            sign("{alg:ES256}", &claims),
            &["malformed_token"],
        ),
        (
            "claims end in a comma",
            sign(&header, &claims.replace('}', ",}")),
            &["malformed_token"],
        ),
    ];
    refuse_all(&world, rows).await;
}

/// Sets bits of the last character that a decoder throws away: 64 bytes leave four of them.
fn not_canonical(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let index = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[index + 1..=index + 1])
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
            "a jku nobody follows",
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
async fn a_cached_verdict_ends_with_the_token() {
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
