//! How a token may be presented (threats 31–42): in exactly one `Authorization: Bearer` field, and nowhere else.

use e2e::client::{initialize, request};
use e2e::leaks;
use e2e::raw;
use e2e::tokens::base64;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;

/// A raw POST with these lines for credentials.
fn post(world: &World, target: &str, lines: &str) -> Vec<u8> {
    let body = initialize();
    let mut bytes = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        world.gateway.config.public,
        body.len()
    )
    .into_bytes();
    bytes.extend(lines.bytes());
    bytes.extend(b"\r\n");
    bytes.extend(body.bytes());
    bytes
}

#[tokio::test]
async fn malformed_or_repeated_credentials_are_bad_requests() {
    let world = World::start().await;
    let token = world.reader();
    let rows = [
        (
            "32: two equal lines",
            format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
            "multiple_credentials",
        ),
        (
            "32: two different lines",
            format!("Authorization: Bearer {token}\r\nauthorization: Basic eA==\r\n"),
            "multiple_credentials",
        ),
        (
            "32: a comma-joined pair",
            format!("Authorization: Bearer {token}, Bearer {token}\r\n"),
            "multiple_credentials",
        ),
        (
            "36: a tab",
            format!("Authorization: Bearer\t{token}\r\n"),
            "malformed_credentials",
        ),
        (
            "36: no space",
            format!("Authorization: Bearer{token}\r\n"),
            "malformed_credentials",
        ),
        (
            "36: an empty token",
            "Authorization: Bearer \r\n".to_owned(),
            "malformed_credentials",
        ),
        (
            "36: Bearer alone",
            "Authorization: Bearer\r\n".to_owned(),
            "malformed_credentials",
        ),
        (
            "37: outside token68",
            "Authorization: Bearer a\"b\r\n".to_owned(),
            "malformed_credentials",
        ),
        (
            "37: two words",
            format!("Authorization: Bearer {token} more\r\n"),
            "malformed_credentials",
        ),
        (
            "37: UTF-8",
            "Authorization: Bearer zażółć\r\n".to_owned(),
            "malformed_credentials",
        ),
    ];
    let mut table = Table::default();
    for (name, lines, reason) in rows {
        let reply = table.row(
            name,
            world
                .raw_refusal(post(&world, "/mcp", &lines), 400, reason)
                .await,
        );
        if let Some(reply) = reply {
            let challenge = reply.header("www-authenticate");
            table.check(
                name,
                challenge.contains("error=\"invalid_request\""),
                || challenge.to_owned(),
            );
        }
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_and_never_logged() {
    // 33
    let world = World::start().await;
    let canary = leaks::secret("query-canary-5f0b7d");
    let authorization = format!("Authorization: Bearer {}\r\n", world.reader());
    let mut table = Table::default();
    for (name, target, lines) in [
        ("alone", format!("/mcp?access_token={canary}"), ""),
        (
            "with the header",
            format!("/mcp?access_token={canary}"),
            authorization.as_str(),
        ),
        (
            "percent-encoded name",
            format!("/mcp?a=b&access%5Ftoken={canary}"),
            authorization.as_str(),
        ),
        (
            "first letter encoded",
            format!("/mcp?%61ccess_token={canary}"),
            "",
        ),
    ] {
        let outcome = world
            .raw_refusal(post(&world, &target, lines), 400, "token_in_query")
            .await;
        if let Some(reply) = table.row(name, outcome) {
            let challenge = reply.header("www-authenticate");
            table.check(
                name,
                challenge.contains("error=\"invalid_request\""),
                || challenge.to_owned(),
            );
        }
    }
}

#[tokio::test]
async fn spaces_and_letter_case_of_the_scheme_do_not_matter() {
    // 35, 36
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for value in [
        format!("bearer {token}"),
        format!("BEARER {token}"),
        format!("Bearer   {token}"),
        format!("   Bearer {token}  "),
    ] {
        let lines = format!("Authorization:{value}\r\n");
        let reply = raw::once(world.gateway.config.public, post(&world, "/mcp", &lines))
            .await
            .unwrap();
        table.check(&value[..10], reply.status == 200, || {
            format!("{} {}", reply.status, reply.text())
        });
    }
}

#[tokio::test]
async fn other_schemes_and_other_places_are_no_credentials() {
    // 34, 38, 39
    let world = World::start().await;
    world.upstream.bodies_may_hold_tokens();
    let token = world.reader();
    let mut table = Table::default();
    for (name, header, value, reason) in [
        (
            "Basic",
            "authorization",
            format!("Basic {}", base64("a:b")),
            "unsupported_scheme",
        ),
        (
            "DPoP",
            "authorization",
            format!("DPoP {token}"),
            "unsupported_scheme",
        ),
        (
            "Negotiate",
            "authorization",
            "Negotiate YII=".to_owned(),
            "unsupported_scheme",
        ),
        (
            "Proxy-Authorization",
            "proxy-authorization",
            format!("Bearer {token}"),
            "no_credentials",
        ),
        (
            "X-Access-Token",
            "x-access-token",
            token.clone(),
            "no_credentials",
        ),
        (
            "cookie",
            "cookie",
            format!("access_token={token}"),
            "no_credentials",
        ),
    ] {
        let call = world.gateway.post(initialize()).with(header, &value);
        if let Some(reply) = table.row(name, world.refusal(call, 401, reason).await) {
            table.check(name, !reply.challenge().contains("error="), || {
                reply.challenge().to_owned()
            });
        }
    }
    let meta = request(
        1,
        "tools/list",
        json!({ "access_token": token, "_meta": { "access_token": token } }),
    );
    table.row(
        "params",
        world
            .refusal(world.gateway.post(meta), 401, "no_credentials")
            .await,
    );
    let form = world
        .gateway
        .post(format!("access_token={token}"))
        .with("content-type", "application/x-www-form-urlencoded");
    table.row("form", world.refusal(form, 401, "no_credentials").await);
}

#[tokio::test]
async fn an_opaque_token_is_no_jwt() {
    // 40
    let world = World::start().await;
    let call = world
        .gateway
        .post(initialize())
        .token("2YotnFZFEjr1zCsicMWpAA");
    let reply = world.refusal(call, 401, "malformed_token").await.unwrap();
    assert!(
        reply.challenge().contains("error=\"invalid_token\""),
        "{}",
        reply.challenge()
    );
}

#[tokio::test]
async fn a_refreshed_token_of_the_same_caller_goes_on() {
    // 42
    let world = World::start().await;
    world.upstream.script(e2e::upstream::sessions());
    let opened = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    let session = opened.header("mcp-session-id").to_owned();
    let call = world
        .gateway
        .post(request(2, "tools/list", json!({})))
        .token(&world.reader())
        .with("mcp-session-id", &session);
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn credentials_are_judged_on_get_and_delete_alike() {
    let world = World::start().await;
    let mut table = Table::default();
    for method in [Method::GET, Method::DELETE] {
        let call = world
            .gateway
            .request(method.clone(), "/mcp")
            .with("authorization", "Bearer x y");
        table.row(
            method.as_str(),
            world.refusal(call, 400, "malformed_credentials").await,
        );
    }
}
