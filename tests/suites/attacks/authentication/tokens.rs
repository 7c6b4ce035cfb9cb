//! Numbers 1–18, 30 and 170: what a token consists of.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::client::initialize;
use e2e::gateway::config::{ISSUER, resource};
use e2e::issuer::Issuer;
use e2e::world::{Table, World};
use serde_json::{Value, json};
use test_support::{Key, Token, base64url, compact, hmac, now, public_key_pem};

/// What is wrong, the token, and the reason of the refusal.
type Row = (&'static str, String, &'static str);

async fn refuse(world: &World, rows: impl IntoIterator<Item = Row>) {
    let mut table = Table::default();
    for (name, token, reason) in rows {
        let call = world.gateway.post(initialize()).token(&token);
        table.row(name, world.refusal(call, 401, reason).await);
    }
}

async fn accept(world: &World, tokens: impl IntoIterator<Item = (&'static str, Token)>) {
    let mut table = Table::default();
    for (name, token) in tokens {
        // Twice: the second is answered from the cache.
        for _ in 0..2 {
            let call = world.gateway.post(initialize()).token(&token.sign());
            table.row(name, world.acceptance(call).await);
        }
    }
}

/// A gateway whose issuer has a key of each kind: P-256, RSA, Ed25519.
async fn three_keys() -> (World, [Key; 3]) {
    let keys = [Key::es256("ec"), Key::rsa("rsa"), Key::eddsa("ed")];
    let world = World::with_keys(&[&keys[0], &keys[1], &keys[2]], |config| config).await;
    (world, keys)
}

fn of(key: &Key, world: &World) -> Token {
    Token::new(key, ISSUER, &world.gateway.uri("/mcp"))
}

#[tokio::test]
async fn attack_001_an_unsigned_token_is_refused_however_its_alg_is_written() {
    let world = World::start().await;
    let claims = base64url(world.token().claims_text());
    let unsigned = |alg: &str, signature: &str| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": "first" }).to_string();
        format!("{}.{claims}.{signature}", base64url(header))
    };
    let signature = base64url([7; 64]);
    let no_signature = unsigned("none", "").trim_end_matches('.').to_owned();
    let rows = [
        ("none", unsigned("none", ""), "alg_not_allowed"),
        ("None", unsigned("None", ""), "alg_not_allowed"),
        ("NONE", unsigned("NONE", &signature), "alg_not_allowed"),
        ("nOnE", unsigned("nOnE", &signature), "alg_not_allowed"),
        ("empty", unsigned("", &signature), "alg_not_allowed"),
        ("no signature part", no_signature, "alg_not_allowed"),
        (
            "an emptied signature",
            unsigned("ES256", ""),
            "bad_signature",
        ),
    ];
    refuse(&world, rows).await;
}

#[tokio::test]
async fn attack_002_a_public_key_is_not_accepted_as_hmac_secret() {
    let (world, keys) = three_keys().await;
    let forge = |key: &Key, alg: &str, secret: &[u8]| {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": key.id }).to_string();
        compact(header, of(key, &world).claims_text(), |input| {
            hmac(alg, secret, input)
        })
    };
    let mut rows = Vec::new();
    for key in &keys {
        let (der, jwk) = (key.pair.public_der(), key.jwk().to_string());
        rows.extend([
            ("DER", forge(key, "HS256", &der), "alg_not_allowed"),
            ("DER, HS512", forge(key, "HS512", &der), "alg_not_allowed"),
            (
                "PEM",
                forge(key, "HS256", public_key_pem(&der).as_bytes()),
                "alg_not_allowed",
            ),
            (
                "raw bytes",
                forge(key, "HS256", &key.pair.public_bytes()),
                "alg_not_allowed",
            ),
            (
                "JWK",
                forge(key, "HS256", jwk.as_bytes()),
                "alg_not_allowed",
            ),
        ]);
    }
    refuse(&world, rows).await;
}

#[tokio::test]
async fn attack_003_the_algorithm_must_match_the_key() {
    let (world, [ec, rsa, ed]) = three_keys().await;
    let claimed = |key: &Key, alg: &str| of(key, &world).header("alg", alg).sign();
    let rows = [
        (
            "PS256 on an RS256 key",
            claimed(&rsa, "PS256"),
            "alg_key_mismatch",
        ),
        (
            "RS512 on an RS256 key",
            claimed(&rsa, "RS512"),
            "alg_key_mismatch",
        ),
        ("ES384 on P-256", claimed(&ec, "ES384"), "alg_key_mismatch"),
        (
            "RS256 on an EC key",
            claimed(&ec, "RS256"),
            "alg_key_mismatch",
        ),
        (
            "ES256 on an RSA key",
            claimed(&rsa, "ES256"),
            "alg_key_mismatch",
        ),
        (
            "ES256 on an Ed25519 key",
            claimed(&ed, "ES256"),
            "alg_key_mismatch",
        ),
        (
            "EdDSA on an EC key",
            claimed(&ec, "EdDSA"),
            "alg_key_mismatch",
        ),
    ];
    refuse(&world, rows).await;
    accept(
        &world,
        [
            ("ES256", of(&ec, &world)),
            ("RS256", of(&rsa, &world)),
            ("EdDSA", of(&ed, &world)),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_004_a_hostile_key_id_is_only_looked_up() {
    let world = World::start().await;
    let named = |kid: Value| world.token().header("kid", kid).sign();
    let rows = [
        ("a path", named(json!("../../etc/passwd")), "unknown_key"),
        ("NUL", named(json!("first\u{0}")), "unknown_key"),
        ("SQL", named(json!("x' OR '1'='1")), "unknown_key"),
        (
            "a new line",
            named(json!("x\n{\"level\":\"ERROR\"}")),
            "unknown_key",
        ),
        ("4 KiB", named(json!("k".repeat(4096))), "unknown_key"),
        (
            "10 KiB",
            named(json!("k".repeat(10_240))),
            "token_too_large",
        ),
        ("a number", named(json!(5)), "unknown_key"),
        ("an array", named(json!(["first"])), "unknown_key"),
        ("null", named(json!(null)), "unknown_key"),
        ("empty", named(json!("")), "unknown_key"),
    ];
    refuse(&world, rows).await;
    for line in world.gateway.log().await.lines() {
        let is_json = serde_json::from_str::<Value>(line).is_ok();
        assert!(is_json, "one event, one line: {line}");
        assert!(
            !line.contains(&"k".repeat(65)),
            "over 64 characters: {line}"
        );
    }
}

#[tokio::test]
async fn attack_005_a_token_without_key_id_needs_a_single_fitting_key() {
    let (one, two) = (Key::es256("one"), Key::es256("two"));
    let world = World::with_keys(&[&one, &two, &Key::rsa("rsa")], |config| config).await;
    let nameless = |key: &Key| of(key, &world).without_header("kid");
    let rows = [
        ("two fitting keys", nameless(&one).sign(), "unknown_key"),
        (
            "two fitting keys, the other",
            nameless(&two).sign(),
            "unknown_key",
        ),
        (
            "none fits",
            nameless(&Key::eddsa("none")).sign(),
            "unknown_key",
        ),
    ];
    refuse(&world, rows).await;
    accept(&world, [("one fits", nameless(&Key::rsa("rsa")))]).await;
}

#[tokio::test]
async fn attack_007_keys_and_links_in_the_token_are_never_followed() {
    let attacker = Issuer::start().await;
    let ignoring = json!(["jku", "x5u", "jwk", "x5c"]);
    let strict = World::start().await;
    let lenient =
        World::with(|config| config.set("/issuers/corporate/ignored_headers", ignoring)).await;
    let brought = |world: &World, name: &str| {
        let value = match name {
            "jku" | "x5u" => json!(attacker.jwks_uri()),
            "jwk" => attacker.key.jwk(),
            _ => json!(["MIIB"]),
        };
        world.token().header(name, value)
    };
    for name in ["jku", "x5u", "jwk", "x5c"] {
        let forged = |world: &World| brought(world, name).signed_by(&attacker.key).sign();
        refuse(
            &strict,
            [
                (name, brought(&strict, name).sign(), "header_not_allowed"),
                (name, forged(&strict), "header_not_allowed"),
            ],
        )
        .await;
        // If an issuer puts them into every token, they can be ignored: the attacker's key is still not used.
        accept(&lenient, [(name, brought(&lenient, name))]).await;
        refuse(&lenient, [(name, forged(&lenient), "bad_signature")]).await;
    }
    assert!(attacker.counts().is_empty(), "{:?}", attacker.counts());
}

#[tokio::test]
async fn attack_008_critical_extensions_are_refused() {
    let world = World::start().await;
    let with = |name: &str, value: Value| world.token().header(name, value);
    let rows = [
        (
            "unknown",
            with("crit", json!(["exotic"])).header("exotic", 1),
        ),
        ("known", with("crit", json!(["exp"]))),
        ("empty", with("crit", json!([]))),
        ("no array", with("crit", json!("exp"))),
        ("b64 true", with("crit", json!(["b64"])).header("b64", true)),
        ("b64 false", with("b64", json!(false))),
    ];
    refuse(
        &world,
        rows.map(|(name, token)| (name, token.sign(), "header_not_allowed")),
    )
    .await;
}

#[tokio::test]
async fn attack_009_other_kinds_of_tokens_are_not_access_tokens() {
    let strict = World::start().await;
    let types = json!(["at+jwt", "JWT", ""]);
    let lenient = World::with(|config| config.set("/issuers/corporate/token_types", types)).await;
    let typed = |world: &World, typ: &str| world.token().header("typ", typ);
    let rows = [
        ("typ JWT", typed(&strict, "JWT")),
        ("no typ", strict.token().without_header("typ")),
        ("logout token", typed(&strict, "logout+jwt")),
        ("DPoP proof", typed(&strict, "dpop+jwt")),
        ("security event", typed(&strict, "secevent+jwt")),
        (
            "ID token by its nonce",
            strict.token().claim("nonce", "n-0S6"),
        ),
        (
            "logout token by its events",
            strict.token().claim("events", json!({})),
        ),
    ];
    refuse(
        &strict,
        rows.map(|(name, token)| (name, token.sign(), "wrong_token_type")),
    )
    .await;
    accept(
        &strict,
        [
            ("at+jwt", typed(&strict, "AT+jwt")),
            ("application/at+jwt", typed(&strict, "application/at+jwt")),
        ],
    )
    .await;
    // Where the issuer's access tokens are plain JWTs, claims distinguish them from other tokens.
    accept(
        &lenient,
        [
            ("JWT", typed(&lenient, "JWT")),
            ("no typ", lenient.token().without_header("typ")),
        ],
    )
    .await;
    let plain = || typed(&lenient, "JWT");
    let foreign = "wrong_token_type";
    refuse(
        &lenient,
        [
            ("ID token", plain().claim("nonce", "n").sign(), foreign),
            (
                "ID token of a hybrid flow",
                plain().claim("at_hash", "h").sign(),
                foreign,
            ),
            (
                "logout token",
                plain().claim("events", json!({})).sign(),
                foreign,
            ),
            ("DPoP proof", plain().claim("htm", "POST").sign(), foreign),
            (
                "the client as audience",
                plain().claim("aud", "inspector").sign(),
                "wrong_audience",
            ),
            (
                "typ logout+jwt",
                typed(&lenient, "logout+jwt").sign(),
                foreign,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_010_required_claims_must_be_there() {
    let world = World::start().await;
    let by_oid = World::with(|config| config.set("/issuers/corporate/subject_claim", "oid")).await;
    let rows = ["exp", "aud", "iss", "sub"]
        .map(|claim| (claim, world.token().without(claim).sign(), "missing_claim"));
    refuse(&world, rows).await;
    let empty = world.token().claim("sub", "").sign();
    refuse(&world, [("an empty subject", empty, "missing_claim")]).await;
    refuse(&by_oid, [("oid", by_oid.reader(), "missing_claim")]).await;
    accept(&by_oid, [("oid", by_oid.token().claim("oid", "0000-1111"))]).await;
}

#[tokio::test]
async fn attack_011_the_issuer_is_compared_exactly_and_has_its_own_keys() {
    const SECOND: &str = "https://second.test/";
    let second = Key::es256("first");
    let world = World::with(|config| {
        let file = config.write("second.json", test_support::key_set(&[&second]).to_string());
        config
            .set(
                "/issuers/second",
                json!({ "issuer": SECOND, "jwks_file": file }),
            )
            .set(
                "/issuers/third",
                json!({ "issuer": "https://third.test/", "jwks_file": file }),
            )
            .set("/resources/0/issuers", json!(["corporate", "second"]))
    })
    .await;
    let from = |issuer: Value| world.token().claim("iss", issuer).sign();
    let rows = [
        (
            "another issuer",
            from(json!("https://evil.example/")),
            "wrong_issuer",
        ),
        (
            "without the slash",
            from(json!("https://issuer.test")),
            "wrong_issuer",
        ),
        (
            "another slash",
            from(json!("https://issuer.test//")),
            "wrong_issuer",
        ),
        (
            "letter case",
            from(json!("https://Issuer.test/")),
            "wrong_issuer",
        ),
        ("an array", from(json!([ISSUER])), "wrong_issuer"),
        (
            "an issuer of another resource",
            from(json!("https://third.test/")),
            "wrong_issuer",
        ),
        (
            "another issuer's name, this issuer's key",
            from(json!(SECOND)),
            "bad_signature",
        ),
        (
            "this issuer's name, another issuer's key",
            world.token().signed_by(&second).sign(),
            "bad_signature",
        ),
    ];
    refuse(&world, rows).await;
    accept(
        &world,
        [
            ("the first", world.token()),
            (
                "the second",
                Token::new(&second, SECOND, &world.gateway.uri("/mcp")),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_012_the_audience_must_be_this_resource() {
    let world = World::start().await;
    let uri = world.gateway.uri("/mcp");
    let for_ = |audience: Value| world.token().claim("aud", audience).sign();
    let rows = [
        ("another resource", for_(json!("https://other.example/mcp"))),
        ("a prefix", for_(json!(uri.trim_end_matches("mcp")))),
        ("the bare origin", for_(json!(uri.trim_end_matches("/mcp")))),
        ("a longer one", for_(json!(format!("{uri}/x")))),
        ("two slashes", for_(json!(format!("{uri}//")))),
        ("a suffix", for_(json!("/mcp"))),
        ("letter case", for_(json!(uri.to_uppercase()))),
        ("an array without the resource", for_(json!(["a", "b"]))),
        ("an array with a number", for_(json!([uri, 5]))),
        ("an empty array", for_(json!([]))),
        ("an empty text", for_(json!(""))),
        ("an object", for_(json!({ "aud": uri }))),
        ("null", for_(json!(null))),
    ];
    refuse(
        &world,
        rows.map(|(name, token)| (name, token, "wrong_audience")),
    )
    .await;
    let among = world
        .token()
        .claim("aud", json!(["https://other.example", uri]));
    // The metadata names the spelling that the client asked for.
    let slash = world.token().claim("aud", json!(format!("{uri}/")));
    accept(
        &world,
        [
            ("an array with the resource", among),
            ("a final slash", slash),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_013_a_token_of_one_resource_is_refused_by_another() {
    let world = World::with(|config| {
        let upstream = config.upstream();
        config.set(
            "/resources/1",
            resource("/other", &upstream, &["corporate"]),
        )
    })
    .await;
    let mut table = Table::default();
    for (own, foreign) in [("/mcp", "/other"), ("/other", "/mcp")] {
        let token = world.token_for(own).sign();
        let post = |path: &str| world.gateway.post_to(path, initialize()).token(&token);
        table.row(own, world.acceptance(post(own)).await);
        table.row(
            foreign,
            world.refusal(post(foreign), 401, "wrong_audience").await,
        );
    }
}

#[tokio::test]
async fn attack_014_the_times_of_a_token_are_checked_within_the_skew() {
    // Tests to the second, at a given instant, are in gateway/core next to the code that reads claims.
    let world = World::start().await;
    let token = || world.token();
    let rows = [
        ("expired", token().claim("exp", now() - 35), "expired"),
        ("expired long ago", token().claim("exp", 1), "expired"),
        (
            "nbf ahead",
            token().claim("nbf", now() + 60),
            "not_yet_valid",
        ),
        (
            "iat ahead",
            token().claim("iat", now() + 60),
            "not_yet_valid",
        ),
    ];
    refuse(
        &world,
        rows.map(|(name, token, reason)| (name, token.sign(), reason)),
    )
    .await;
    accept(
        &world,
        [
            ("just expired", token().claim("exp", now() - 5)),
            ("nbf a little ahead", token().claim("nbf", now() + 25)),
            ("iat a little ahead", token().claim("iat", now() + 25)),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_015_dates_must_be_numbers_and_lifetimes_are_limited() {
    let world = World::start().await;
    let header = world.token().header_text();
    let until = |exp: &str| {
        let claims = world.token().without("exp").claims_text();
        let claims = claims.replacen('{', &format!("{{\"exp\":{exp},"), 1);
        world.key.sign(&header, &claims)
    };
    let days = |days: i64| (now() + days * 86_400).to_string();
    let rows = [
        ("a text", until("\"9999999999\""), "malformed_token"),
        ("negative", until("-1"), "malformed_token"),
        ("1e300", until("1e300"), "malformed_token"),
        ("2^64-1", until("18446744073709551615"), "malformed_token"),
        ("null", until("null"), "malformed_token"),
        ("true", until("true"), "malformed_token"),
        ("an array", until("[9999999999]"), "malformed_token"),
        ("40 days", until(&days(40)), "lifetime_too_long"),
        ("a century", until(&days(36_500)), "lifetime_too_long"),
    ];
    refuse(&world, rows).await;
    accept(
        &world,
        [
            (
                "fractional seconds",
                world.token().claim("exp", json!(now() as f64 + 60.5)),
            ),
            ("30 days", world.token().claim("exp", now() + 30 * 86_400)),
        ],
    )
    .await;
}

#[tokio::test]
async fn attack_016_repeated_member_names_are_refused_at_any_depth() {
    let world = World::start().await;
    let (header, claims) = (world.token().header_text(), world.token().claims_text());
    let also = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let in_claims = |member: &str| world.key.sign(&header, &also(&claims, member));
    let in_header = |member: &str| world.key.sign(&also(&header, member), &claims);
    let rows = [
        ("scope", in_claims("\"scope\":\"admin\"")),
        ("aud", in_claims("\"aud\":\"x\"")),
        ("sub", in_claims("\"sub\":\"root\"")),
        ("exp", in_claims("\"exp\":1")),
        ("equal values", in_claims("\"sub\":\"alice\"")),
        ("in a nested object", in_claims("\"x\":{\"a\":1,\"a\":2}")),
        ("in an array", in_claims("\"x\":[{\"a\":1,\"a\":2}]")),
        (
            "written with an escape",
            in_claims("\"sc\\u006fpe\":\"admin\""),
        ),
        ("kid", in_header("\"kid\":\"x\"")),
        ("alg", in_header("\"alg\":\"none\"")),
    ];
    refuse(
        &world,
        rows.map(|(name, token)| (name, token, "malformed_token")),
    )
    .await;
}

#[tokio::test]
async fn attack_017_oversized_tokens_are_refused_before_they_are_read() {
    let world = World::start().await;
    let (header, claims) = (world.token().header_text(), world.token().claims_text());
    let nested = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let nested = claims.replacen('{', &format!("{{\"x\":{nested},"), 1);
    let rows = [
        (
            "9 KiB, well signed",
            world.token().claim("x", "y".repeat(9000)).sign(),
            "token_too_large",
        ),
        ("9 KiB of nothing", "A".repeat(9000), "token_too_large"),
        ("9,000 dots", ".".repeat(9000), "token_too_large"),
        ("8,000 dots", ".".repeat(8000), "malformed_token"),
        (
            "2,000 levels",
            world.key.sign(&header, &nested),
            "malformed_token",
        ),
    ];
    refuse(&world, rows).await;
    let dots = world.gateway.post(initialize()).token(&".".repeat(100_000));
    world.refusal(dots, 431, "headers_too_large").await.unwrap();
}

#[tokio::test]
async fn attack_018_encrypted_and_nested_tokens_are_refused() {
    let world = World::start().await;
    let inner = world.reader();
    let jwe = json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "kid": "first" }).to_string();
    let text = base64url("sixteen bytes...");
    let rows = [
        (
            "five parts",
            format!("{}.{text}.{text}.{text}.{text}", base64url(jwe)),
            "malformed_token",
        ),
        (
            "five parts, signed",
            format!("{inner}.{text}.{text}"),
            "malformed_token",
        ),
        (
            "a token inside",
            world.key.sign(&world.token().header_text(), &inner),
            "malformed_token",
        ),
        (
            "cty JWT",
            world.token().header("cty", "JWT").sign(),
            "malformed_token",
        ),
        (
            "cty jwt",
            world.token().header("cty", "application/jwt").sign(),
            "malformed_token",
        ),
        (
            "zip",
            world.token().header("zip", "DEF").sign(),
            "header_not_allowed",
        ),
    ];
    refuse(&world, rows).await;
}

#[tokio::test]
async fn attack_030_only_canonical_base64url_is_read() {
    let world = World::start().await;
    let good = world.reader();
    let parts: Vec<_> = good.split('.').collect();
    let standard = format!("{}.{}.{}", parts[0], parts[1], STANDARD.encode([251; 64]));
    let rows = [
        ("padding", format!("{good}="), "malformed_token"),
        ("double padding", format!("{good}=="), "malformed_token"),
        ("a trailing dot", format!("{good}."), "malformed_token"),
        ("a leading dot", format!(".{good}"), "malformed_token"),
        ("stray bits", stray_bits(&good), "malformed_token"),
        ("the standard alphabet", standard, "malformed_token"),
        (
            "an empty header",
            format!(".{}.{}", parts[1], parts[2]),
            "malformed_token",
        ),
        (
            "empty claims",
            format!("{}..{}", parts[0], parts[2]),
            "malformed_token",
        ),
    ];
    refuse(&world, rows).await;
    // Characters outside of token68 are refused earlier: there is no token to verify.
    let mut table = Table::default();
    for (name, token) in [
        ("white space inside", good.replacen('.', " .", 1)),
        ("padding inside", good.replacen('.', "=.", 1)),
    ] {
        let call = world.gateway.post(initialize()).token(&token);
        table.row(
            name,
            world.refusal(call, 400, "malformed_credentials").await,
        );
    }
    let call = world.gateway.post(initialize());
    let call = call.with_bytes("authorization", format!("Bearer {good}ü").as_bytes());
    table.row(
        "not ASCII",
        world.refusal(call, 400, "malformed_credentials").await,
    );
}

/// Sets bits of the last character that a decoder ignores: 64 bytes leave four of them.
fn stray_bits(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let index = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[index + 1..=index + 1])
}

#[tokio::test]
async fn attack_170_a_sender_constrained_token_is_refused() {
    let world = World::start().await;
    let bound = |confirmation: Value| world.token().claim("cnf", confirmation).sign();
    let rows = [
        (
            "to a DPoP key",
            bound(json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" })),
            "bound_token_as_bearer",
        ),
        (
            "to a certificate",
            bound(json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0" })),
            "certificate_missing",
        ),
        ("to nothing", bound(json!({})), "sender_constrained"),
        ("to null", bound(json!(null)), "sender_constrained"),
    ];
    refuse(&world, rows).await;
}
