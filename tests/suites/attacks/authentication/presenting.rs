//! Numbers 31–42: how a token is presented.

use e2e::client::raw::RawReply;
use e2e::client::raw_http2::{Outcome, RawHttp2};
use e2e::client::{initialize, request};
use e2e::leaks;
use e2e::world::refusal::Watch;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;
use test_support::base64url;

/// A raw POST to this target with these lines for credentials.
fn post(world: &World, target: &str, lines: impl AsRef<[u8]>) -> Vec<u8> {
    let body = initialize();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        world.gateway.config.public,
        body.len()
    );
    [head.as_bytes(), lines.as_ref(), b"\r\n", body.as_bytes()].concat()
}

/// These lines for credentials are refused.
async fn refuse(
    world: &World,
    lines: impl AsRef<[u8]>,
    status: u16,
    reason: &str,
) -> Result<RawReply, String> {
    world
        .raw_refusal(post(world, "/mcp", lines), status, reason)
        .await
}

async fn accept(world: &World, value: &str) -> Result<(), String> {
    let hits = world.upstream.hits();
    let lines = format!("Authorization:{value}\r\n");
    let reply =
        e2e::client::raw::once(world.gateway.config.public, post(world, "/mcp", lines)).await;
    match reply.map(|reply| reply.status) {
        Some(200) if world.upstream.hits() == hits + 1 => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn attack_031_no_credentials_get_a_challenge_without_an_error() {
    let world = World::start().await;
    let metadata = world
        .gateway
        .uri("/.well-known/oauth-protected-resource/mcp");
    let expected = format!("Bearer resource_metadata=\"{metadata}\", scope=\"tasks:read\"");
    let mut table = Table::default();
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let call = match method {
            Method::POST => world.gateway.post(initialize()),
            _ => world.gateway.request(method.clone(), "/mcp"),
        };
        let outcome = world.refusal(call, 401, "no_credentials").await;
        if let Some(reply) = table.row(method.as_str(), outcome) {
            let challenge = reply.challenge();
            table.check(method.as_str(), challenge == expected, || {
                challenge.to_owned()
            });
        }
    }
}

#[tokio::test]
async fn attack_032_two_sets_of_credentials_are_a_bad_request() {
    let world = World::start().await;
    let token = world.reader();
    let good = format!("Authorization: Bearer {token}\r\n");
    let mut table = Table::default();
    for (name, lines) in [
        ("two equal lines", format!("{good}{good}")),
        (
            "two different tokens",
            format!("{good}Authorization: Bearer x\r\n"),
        ),
        (
            "two schemes",
            format!("{good}authorization: Basic eA==\r\n"),
        ),
        (
            "another scheme first",
            format!("authorization: Basic eA==\r\n{good}"),
        ),
        (
            "an empty line next to it",
            format!("{good}Authorization:\r\n"),
        ),
        (
            "a pair joined by a comma",
            format!("Authorization: Bearer {token}, Bearer {token}\r\n"),
        ),
        (
            "a pair of schemes",
            format!("Authorization: Basic eA==, Bearer {token}\r\n"),
        ),
    ] {
        table.row(
            name,
            refuse(&world, lines, 400, "multiple_credentials").await,
        );
    }
}

#[tokio::test]
async fn attack_033_a_token_in_the_query_is_refused_and_never_logged() {
    let world = World::start().await;
    let canary = leaks::secret("query-canary-5f0b7d");
    let header = format!("Authorization: Bearer {}\r\n", world.reader());
    let mut table = Table::default();
    for (name, query, lines) in [
        ("without a header", "access_token=", ""),
        ("next to the header", "access_token=", header.as_str()),
        ("among others", "a=b&access_token=", header.as_str()),
        ("percent-encoded", "a=b&access%5Ftoken=", header.as_str()),
        ("its first letter encoded", "%61ccess_token=", ""),
        ("in upper-case escapes", "%61%63%63ess_token=", ""),
    ] {
        let bytes = post(&world, &format!("/mcp?{query}{canary}"), lines);
        table.row(name, world.raw_refusal(bytes, 400, "token_in_query").await);
    }
    assert!(
        !world.gateway.log().await.contains("access_token="),
        "{}",
        world.gateway.log().await
    );
}

#[tokio::test]
async fn attack_034_a_token_in_a_body_is_not_a_credential() {
    let world = World::start().await;
    let token = world.reader();
    let form = format!("access_token={token}");
    let named = |params| request(1, "tools/list", params);
    let calls = [
        (
            "form",
            world
                .gateway
                .post(form)
                .with("content-type", "application/x-www-form-urlencoded"),
        ),
        (
            "params",
            world.gateway.post(named(json!({ "access_token": token }))),
        ),
        (
            "_meta",
            world
                .gateway
                .post(named(json!({ "_meta": { "access_token": token } }))),
        ),
    ];
    let mut table = Table::default();
    for (name, call) in calls {
        table.row(name, world.refusal(call, 401, "no_credentials").await);
    }
}

#[tokio::test]
async fn attack_035_the_scheme_may_have_any_letter_case() {
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        table.row(scheme, accept(&world, &format!(" {scheme} {token}")).await);
    }
}

#[tokio::test]
async fn attack_036_spaces_around_the_token_are_accepted_and_malformed_values_are_refused() {
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for (name, value) in [
        ("several spaces", format!(" Bearer   {token}")),
        (
            "leading and trailing spaces",
            format!("   Bearer {token}  "),
        ),
        ("none after the colon", format!("Bearer {token}")),
    ] {
        table.row(name, accept(&world, &value).await);
    }
    for (name, value) in [
        ("a tab", format!("Bearer\t{token}")),
        ("no space", format!("Bearer{token}")),
        ("an empty token", "Bearer ".to_owned()),
        ("only Bearer", "Bearer".to_owned()),
        ("only padding", "Bearer ==".to_owned()),
        ("two words", format!("Bearer {token} more")),
        ("nothing", String::new()),
    ] {
        let lines = format!("Authorization: {value}\r\n");
        table.row(
            name,
            refuse(&world, lines, 400, "malformed_credentials").await,
        );
    }
}

#[tokio::test]
async fn attack_037_characters_outside_of_token68_are_refused() {
    let world = World::start().await;
    let mut table = Table::default();
    for (name, value) in [
        ("a quote", "Bearer a\"b"),
        ("a percent sign", "Bearer a%20b"),
        ("a colon", "Bearer a:b"),
        ("UTF-8", "Bearer zażółć"),
        ("padding inside", "Bearer a=b"),
    ] {
        let lines = format!("Authorization: {value}\r\n");
        table.row(
            name,
            refuse(&world, lines, 400, "malformed_credentials").await,
        );
    }
    let latin = b"Authorization: Bearer a\xfcb\r\n";
    table.row(
        "Latin-1",
        refuse(&world, latin, 400, "malformed_credentials").await,
    );
    for (name, byte) in [
        ("NUL", 0),
        ("bell", 7),
        ("bare CR", 13),
        ("escape", 27),
        ("delete", 127),
    ] {
        let lines = [b"Authorization: Bearer a", [byte].as_slice(), b"b\r\n"].concat();
        table.row(name, refuse(&world, lines, 400, "bad_framing").await);
    }
}

#[tokio::test]
async fn attack_038_other_schemes_are_not_supported() {
    // Where tokens with proofs are accepted, DPoP is a scheme: attack 171.
    let refuse = json!({ "dpop": "refuse" });
    let world = World::with(|config| config.set("/resources/0/sender_constraint", refuse)).await;
    let token = world.reader();
    let mut table = Table::default();
    for (name, value) in [
        ("Basic", format!("Basic {}", base64url("a:b"))),
        ("DPoP", format!("DPoP {token}")),
        ("Negotiate", "Negotiate YII=".to_owned()),
        ("Digest", "Digest username=\"a\"".to_owned()),
        ("a made-up one", format!("BearerToken {token}")),
    ] {
        let call = world
            .gateway
            .post(initialize())
            .with("authorization", &value);
        let reason = if name == "a made-up one" {
            None
        } else {
            Some("unsupported_scheme")
        };
        match reason {
            Some(reason) => {
                table.row(name, world.refusal(call, 401, reason).await);
            }
            // Begins like Bearer: the space is missing.
            None => {
                table.row(
                    name,
                    world.refusal(call, 400, "malformed_credentials").await,
                );
            }
        }
    }
}

#[tokio::test]
async fn attack_039_a_token_in_another_header_is_not_a_credential() {
    let world = World::start().await;
    let token = world.reader();
    let places = [
        ("proxy-authorization", format!("Bearer {token}")),
        ("x-access-token", token.clone()),
        ("x-authorization", format!("Bearer {token}")),
        ("cookie", format!("access_token={token}")),
        ("sec-websocket-protocol", format!("bearer, {token}")),
    ];
    let mut table = Table::default();
    for (name, value) in &places {
        let call = world.gateway.post(initialize()).with(name, value);
        table.row(name, world.refusal(call, 401, "no_credentials").await);
        // Next to a good one they are not forwarded: the recording upstream looks for tokens.
        let call = world
            .gateway
            .post(initialize())
            .token(&token)
            .with(name, value);
        table.row(name, world.acceptance(call).await);
        let forwarded = world.upstream.last().headers.contains_key(*name);
        table.check(name, !forwarded, || "forwarded".to_owned());
    }
}

#[tokio::test]
async fn attack_040_an_opaque_token_is_refused() {
    let world = World::start().await;
    let mut table = Table::default();
    for token in [
        "2YotnFZFEjr1zCsicMWpAA",
        "a.b",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    ] {
        let call = world.gateway.post(initialize()).token(token);
        table.row(token, world.refusal(call, 401, "malformed_token").await);
    }
}

#[tokio::test]
async fn attack_041_credentials_split_over_http_2_are_refused() {
    let secure = Secure::start().await;
    let watch = Watch::begin(&secure.gateway, &secure.upstream, "multiple_credentials").await;
    let call = secure
        .post(&secure.http(false), initialize())
        .also("authorization", "Bearer x");
    watch.check(&call.send().await, 400).await.unwrap();

    let body = initialize();
    let authority = secure.gateway.config.public_url().replace("https://", "");
    let bearer = format!("Bearer {}", secure.token());
    let head: [(&[u8], &[u8]); 5] = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
    ];
    let send = async |name: &[u8], value: &str| {
        let client = e2e::certificates::client(&secure.authority, &[b"h2"]);
        let mut connection = RawHttp2::connect(secure.gateway.config.public, client).await;
        let fields = [head.as_slice(), &[(name, value.as_bytes())]].concat();
        connection.request(&fields, body.as_bytes()).await
    };
    assert_eq!(send(b"authorization", &bearer).await, Outcome::Answered);
    assert_eq!(
        secure.upstream.hits(),
        1,
        "the good one must pass, or the others prove nothing"
    );
    for (name, value) in [
        (b"Authorization".as_slice(), bearer.as_str()),
        (b"authorization ", &bearer),
        (b"authorization", &format!("{bearer}\r\nx: y")),
    ] {
        assert_ne!(send(name, value).await, Outcome::Answered, "{value}");
    }
    assert_eq!(secure.upstream.hits(), 1);
}

#[tokio::test]
async fn attack_042_a_refreshed_token_keeps_its_session() {
    let world = World::start().await;
    world.upstream.script(e2e::upstream::sessions());
    let (first, refreshed) = (world.reader(), world.reader());
    assert_ne!(first, refreshed);
    let opened = world.gateway.post(initialize()).token(&first).send().await;
    let session = opened.header("mcp-session-id").to_owned();
    let call = world
        .gateway
        .post(request(2, "tools/list", json!({})))
        .token(&refreshed)
        .with("mcp-session-id", &session);
    let reply = world.acceptance(call).await.unwrap();
    assert_eq!(reply.header("mcp-session-id"), session);
    assert_eq!(
        world.upstream.last().header("mcp-session-id"),
        Some("upstream-session-1")
    );
}
