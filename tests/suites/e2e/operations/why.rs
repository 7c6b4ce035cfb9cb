//! Refusals explain themselves to the operator: at the default log level, the access line says what was found and what is
//! accepted. [`e2e::world::refusal`] checks that the client receives only the fixed text of the reason.

use e2e::client::raw::RawReply;
use e2e::client::{Call, Reply, initialize, modern, request};
use e2e::gateway::config::{Config, ISSUER};
use e2e::world::World;
use e2e::world::secure::Secure;
use http::Method;
use serde_json::{Value, json};
use test_support::Token;

/// A claim that would forge a log line and reverse the text after it.
const HOSTILE: &str = "https://a\r\n{\"level\":\"ERROR\"}\u{202e}\u{1b}[31m\u{85}";

fn configured(config: Config) -> Config {
    config
        .set("/origins", json!(["https://app.example.com"]))
        .set(
            "/resources/0/protocol_versions",
            json!(["2025-11-25", "2026-07-28"]),
        )
        .set(
            "/resources/0/policy",
            json!({ "default": "deny", "rules": [
                { "method": "tools/call", "name": "purge", "deny": "Ask the platform team." },
                { "method": "tools/call", "name": "hers", "clients": ["console"] },
                { "method": "tools/call", "name": "his", "principals": ["bob"] },
                { "method": "tools/call", "name": "free" },
            ] }),
        )
}

async fn world() -> World {
    World::with(configured).await
}

/// The detail of the access line of this answer.
async fn detail(world: &World, request_id: &str) -> String {
    world.gateway.logged(request_id).await;
    let lines = world.gateway.log_lines().await;
    let mut lines = lines.iter().filter(|line| {
        line["request_id"] == request_id && line["message"] == "request" && line["level"] == "INFO"
    });
    let line = lines.next().expect("an access line");
    line["detail"].as_str().unwrap_or_default().to_owned()
}

fn id(body: &Value) -> String {
    let id = body["request_id"].as_str();
    let id = id.or_else(|| body["error"]["data"]["request_id"].as_str());
    id.unwrap().to_owned()
}

async fn check(world: &World, call: Call, status: u16, reason: &str, text: &str) {
    let reply: Reply = match world.refusal(call, status, reason).await {
        Ok(reply) => reply,
        Err(error) => panic!("{reason}, {text}: {error}"),
    };
    let detail = detail(world, &id(&reply.json())).await;
    assert!(
        detail.contains(text),
        "{reason}: {detail:?} has no {text:?}"
    );
    for shown in [reply.text(), format!("{:?}", reply.headers)] {
        assert!(
            !shown.contains(&detail),
            "the client sees {detail:?}: {shown}"
        );
    }
}

fn tool(name: &str) -> String {
    request(1, "tools/call", json!({ "name": name, "arguments": {} }))
}

#[tokio::test]
async fn a_refused_token_is_explained_in_the_access_line() {
    let world = world().await;
    let own = world.gateway.uri("/mcp");
    let now = test_support::now();
    let cases: [(Token, &str, String); 12] = [
        (
            Token::new(&world.key, ISSUER, "https://other.example.com/mcp"),
            "wrong_audience",
            format!(
                "aud `https://other.example.com/mcp`; accepted: `{own}`, `{own}/` (resources.audience)"
            ),
        ),
        (
            world.token().claim("iss", "https://other.example.com"),
            "wrong_issuer",
            format!("iss `https://other.example.com`; accepted: `{ISSUER}` (resources.issuers)"),
        ),
        (
            world.token().without("sub"),
            "missing_claim",
            "missing or empty: `sub`; required: `iss`, `aud`, `exp`, `sub`".to_owned(),
        ),
        (
            world.token().claim("exp", now - 7260),
            "expired",
            "was 2 h 1 min ago; allowed clock difference: 30 s".to_owned(),
        ),
        (
            world.token().claim("nbf", now + 7260),
            "not_yet_valid",
            format!("nbf {} is in 2 h ", now + 7260),
        ),
        (
            world.token().claim("exp", now + 400 * 86_400),
            "lifetime_too_long",
            "; the most are 31 d 0 h (issuers.".to_owned(),
        ),
        (
            world.token().header("typ", "JWT"),
            "wrong_token_type",
            "typ `JWT`; accepted: `at+jwt` (issuers.".to_owned(),
        ),
        (
            world.token().claim("nonce", "n"),
            "wrong_token_type",
            "claim nonce, which access tokens do not have".to_owned(),
        ),
        (
            world.token().header("alg", "HS256"),
            "alg_not_allowed",
            "alg `HS256`; accepted: `RS256`, ".to_owned(),
        ),
        (
            world.token().header("crit", json!(["x"])),
            "header_not_allowed",
            "parameter crit".to_owned(),
        ),
        (
            world.token().claim("cnf", json!({ "jkt": "x" })),
            "sender_constrained",
            "claim cnf with `jkt`".to_owned(),
        ),
        (
            world.token().claim("iss", HOSTILE),
            "wrong_issuer",
            r#"iss `https://a\r\n{"level":"ERROR"}\u{202e}\u{1b}[31m\u{85}`; accepted"#.to_owned(),
        ),
    ];
    for (token, reason, text) in cases {
        let call = world.gateway.post(initialize()).token(&token.sign());
        check(&world, call, 401, reason, &text).await;
    }
    let call = world.gateway.post(initialize()).token("opaque-token");
    check(
        &world,
        call,
        401,
        "malformed_token",
        "1 part of 12 bytes (an opaque token, or a part of one?)",
    )
    .await;
    let altered = format!("{}A", world.reader());
    let call = world.gateway.post(initialize()).token(&altered);
    let reply = call.send().await;
    let detail = detail(&world, &id(&reply.json())).await;
    assert!(!detail.is_empty());
    let log = world.gateway.log().await;
    assert!(
        !log.contains('\u{202e}') && !log.contains("opaque-token"),
        "{log}"
    );
}

#[tokio::test]
async fn refused_credentials_and_heads_are_explained_in_the_access_line() {
    let world = world().await;
    let post = || world.gateway.post(initialize());
    let signed = || post().token(&world.reader());
    let host = world.gateway.config.public_url().replace("http://", "");
    for (call, status, reason, text) in [
        (post(), 401, "no_credentials", "no Authorization header"),
        (
            post().with("authorization", "Basic YTpi"),
            401,
            "unsupported_scheme",
            "scheme Basic in",
        ),
        (
            post().with("authorization", "Bearer ${TOKEN}"),
            400,
            "malformed_credentials",
            "placeholder",
        ),
        (
            signed().also("authorization", "Bearer b"),
            400,
            "multiple_credentials",
            "2 Authorization headers",
        ),
        (
            signed().with("host", "evil.example.com"),
            403,
            "host",
            "host `evil.example.com`; served: ",
        ),
        (
            signed().with("origin", "https://evil.example.com"),
            403,
            "origin",
            "`https://evil.example.com`; accepted: `http",
        ),
        (
            signed().with("content-type", "text/plain"),
            415,
            "unsupported_media_type",
            "content-type: `text/plain`; accepted: application/json",
        ),
        (
            world.gateway.request(Method::PUT, "/mcp"),
            405,
            "method_not_allowed",
            "method `PUT`; accepted: POST, GET, DELETE",
        ),
        (
            world.gateway.get("/mcp/none"),
            404,
            "not_found",
            "no resource at this path; host ",
        ),
        (
            world.gateway.get("/a//b"),
            400,
            "ambiguous_path",
            "empty segment",
        ),
    ] {
        check(&world, call, status, reason, text).await;
    }
    let query = world.gateway.post_to("/mcp?access_token=x", initialize());
    check(
        &world,
        query,
        400,
        "token_in_query",
        "parameter access_token",
    )
    .await;
    for (lines, reason, text) in [
        (
            "Expect: 200-ok\r\n",
            "bad_framing",
            "expect: `200-ok`; accepted: 100-continue",
        ),
        (
            "Connection: Mcp-Name\r\n",
            "connection_option",
            "names `mcp-name`",
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "bad_framing",
            "Transfer-Encoding and Content-Length together",
        ),
    ] {
        let head = format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        let reply: RawReply = world.raw_refusal(head, 400, reason).await.unwrap();
        let body = serde_json::from_str(&reply.text()).unwrap();
        let detail = detail(&world, &id(&body)).await;
        assert!(
            detail.contains(text),
            "{reason}: {detail:?} has no {text:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_message_or_call_is_explained_in_the_access_line() {
    let world = world().await;
    let post = |body: String| world.gateway.post(body).token(&world.reader());
    let json = |text: &str| post(text.to_owned());
    let listed = "protocol version `2099-01-01`; listed: `2025-11-25`, `2026-07-28` (resources.protocol_versions)";
    let newer = modern(1, "tools/list", json!({})).replace("2026-07-28", "2099-01-01");
    for (call, status, reason, text) in [
        (
            json("{\"a\":}"),
            400,
            "parse_error",
            "expected value at line 1 column 6",
        ),
        (json("[]"), 400, "invalid_request", "a JSON array (a batch)"),
        (
            json(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#),
            400,
            "invalid_request",
            "id is `1.5`",
        ),
        (
            json(r#"{"id":1,"id":2}"#),
            400,
            "ambiguous_json",
            "the member `id` twice",
        ),
        (
            post(request(1, "tools/call", json!({ "name": "a\0" }))),
            400,
            "ambiguous_name",
            "U+0000 as character 2",
        ),
        (
            post(initialize()).with("mcp-protocol-version", "2026-07-28"),
            400,
            "version_missing",
            "no params._meta, with mcp-protocol-version: `2026-07-28`",
        ),
        (
            post(modern(1, "tools/list", json!({}))).modern("tools/call", None),
            400,
            "header_mismatch",
            "mcp-method: `tools/call`; in the body: `tools/list`",
        ),
        (
            post(newer)
                .modern("tools/list", None)
                .with("mcp-protocol-version", "2099-01-01"),
            400,
            "unsupported_version",
            listed,
        ),
        (
            post(tool("free")),
            400,
            "unsupported_version",
            "no MCP-Protocol-Version header, which means `2025-03-26`; listed: ",
        ),
        (
            post(tool("hers")).with("mcp-protocol-version", "2025-11-25"),
            403,
            "policy_denied",
            "policy.rules[1] allows only other clients: `console`",
        ),
        (
            post(tool("his")).with("mcp-protocol-version", "2025-11-25"),
            403,
            "policy_denied",
            "policy.rules[2] allows only other principals: `bob`",
        ),
        (
            post(tool("none")).with("mcp-protocol-version", "2025-11-25"),
            403,
            "policy_denied",
            "policy.default: no rule matches",
        ),
        (
            post(tool("free"))
                .with("mcp-protocol-version", "2025-11-25")
                .with("mcp-session-id", "x"),
            404,
            "session_unknown",
            "was not sealed by a gateway",
        ),
        (
            json(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)
                .with("mcp-protocol-version", "2025-11-25"),
            400,
            "session_required",
            "no mcp-session-id header",
        ),
    ] {
        check(&world, call, status, reason, text).await;
    }
}

#[tokio::test]
async fn a_text_line_has_the_same_detail_on_one_line() {
    let world = World::with(|config| configured(config).set("/log/format", "text")).await;
    let token = world.token().claim("iss", HOSTILE).sign();
    world.gateway.post(initialize()).token(&token).send().await;
    let needle = "reason=wrong_issuer";
    let log = world.gateway.logged(needle).await;
    let line = log.lines().find(|line| line.contains(needle)).unwrap();
    assert!(line.contains(" INFO 401 POST "), "{line}");
    assert!(line.contains(r#"detail="iss `https://a\\r\\n"#), "{line}");
    assert!(line.contains("accepted: `"), "{line}");
    assert!(line.is_ascii(), "{line}");
}

#[tokio::test]
async fn a_refusal_over_http2_is_explained_too() {
    let world = Secure::start().await;
    let token = world
        .unsigned_token()
        .claim("aud", "https://other.example.com/mcp");
    for http1 in [false, true] {
        let http = world.http(http1);
        let reply = world
            .post(&http, initialize())
            .token(&token.clone().sign())
            .send()
            .await;
        assert_eq!(reply.status, 401);
        let id = id(&reply.json());
        world.gateway.logged(&id).await;
        let lines = world.gateway.log_lines().await;
        let line = lines
            .iter()
            .find(|line| line["request_id"] == id.as_str())
            .unwrap();
        let detail = line["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("aud `https://other.example.com/mcp`; accepted: `"),
            "{detail}"
        );
    }
}
