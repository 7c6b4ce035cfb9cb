//! Numbers 80–85: paths, targets, methods. Every request has a good token, so that only its target can be the reason of a refusal.

use e2e::client::raw;
use e2e::client::{initialize, tool};
use e2e::world::{Table, World};
use http::Method;

const METADATA: &str = "/.well-known/oauth-protected-resource";

/// A raw POST with another request line.
fn with_line(world: &World, line: &str) -> String {
    let body = initialize();
    let head = world.raw_head();
    let (_, rest) = head.split_once("\r\n").unwrap();
    format!(
        "{line}\r\n{rest}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn to(world: &World, target: &str) -> String {
    with_line(world, &format!("POST {target} HTTP/1.1"))
}

#[tokio::test]
async fn attack_080_ambiguous_paths_are_refused_everywhere() {
    let world = World::start().await;
    let mut table = Table::default();
    for target in [
        "/mcp/..",
        "/a/../mcp",
        "/./mcp",
        "/mcp/.",
        "/%2e%2e/mcp",
        "/%2E/mcp",
        "/.%2e/mcp",
        "/..;/mcp",
        "/mcp;x",
        "/mcp/..;/mcp",
        "/%2fmcp",
        "/mcp%2F",
        "/x%5cmcp",
        "/\\mcp",
        "//mcp",
        "/mcp//",
        "/mcp%00",
        "/%c0%afmcp",
        "/%c0%ae%c0%ae/mcp",
        "/%252e%252e/mcp/..",
        "/mcp#x",
        "/.well-known/../mcp",
        "/.well-known//oauth-protected-resource",
        "/.well-known/oauth-protected-resource/..;/mcp",
        "/.well-known/oauth-protected-resource/%2e%2e/mcp",
    ] {
        table.row(
            target,
            world
                .raw_refusal(to(&world, target), 400, "ambiguous_path")
                .await,
        );
    }
}

#[tokio::test]
async fn attack_081_a_public_path_elsewhere_in_the_target_does_not_bypass_authentication() {
    let world = World::start().await;
    let mut table = Table::default();
    for target in [
        format!("/mcp?{METADATA}"),
        "/mcp?x=/livez".to_owned(),
        "/mcp?/../livez".to_owned(),
    ] {
        let call = world.gateway.post_to(&target, initialize());
        table.row(&target, world.refusal(call, 401, "no_credentials").await);
    }
    for path in [
        format!("/mcp{METADATA}"),
        "/mcp/livez".to_owned(),
        format!("{METADATA}mcp"),
    ] {
        let call = world.gateway.get(&path);
        table.row(&path, world.refusal(call, 404, "not_found").await);
    }
    let fragment = to(&world, &format!("/mcp#{METADATA}"));
    table.row(
        "a fragment",
        world.raw_refusal(fragment, 400, "ambiguous_path").await,
    );
}

#[tokio::test]
async fn attack_082_other_spellings_of_the_path_are_other_paths() {
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for path in [
        "/MCP", "/Mcp", "/Mcp/", "/mcp/x", "/mc", "/mcpx", "/mc/", "/",
    ] {
        let call = world.gateway.post_to(path, initialize()).token(&token);
        table.row(path, world.refusal(call, 404, "not_found").await);
    }
    let encoded = raw::once(world.gateway.config.public, to(&world, "/%6dcp")).await;
    let status = encoded.map(|reply| reply.status);
    table.check("%6d", matches!(status, Some(400 | 404)), || {
        format!("{status:?}")
    });
    assert_eq!(world.upstream.hits(), 0);
    // One final slash is the same resource, under the same rules.
    let slash = |body: String| world.gateway.post_to("/mcp/", body);
    world
        .refusal(slash(initialize()), 401, "no_credentials")
        .await
        .unwrap();
    let writing = slash(tool(1, "create_task")).token(&token);
    world
        .refusal(writing, 403, "insufficient_scope")
        .await
        .unwrap();
    world
        .acceptance(slash(initialize()).token(&token))
        .await
        .unwrap();
    assert_eq!(world.upstream.last().target, "/mcp");
}

#[tokio::test]
async fn attack_083_absolute_form_is_served_only_for_the_gateways_authority() {
    let world = World::start().await;
    let own = world.gateway.config.public;
    let mut table = Table::default();
    for target in [
        "http://evil.example/mcp",
        "https://user@127.0.0.1/mcp",
        "mcp",
        "*",
        "127.0.0.1:80",
        "ftp://127.0.0.1/mcp",
        "",
        "?x",
    ] {
        let reply = raw::once(own, to(&world, target)).await;
        let status = reply.as_ref().map(|reply| reply.status);
        table.check(target, status == Some(400), || format!("{status:?}"));
    }
    assert_eq!(world.upstream.hits(), 0);
    let status = raw::once(own, to(&world, &format!("http://{own}/mcp")))
        .await
        .unwrap()
        .status;
    assert_eq!(
        (status, world.upstream.last().target.as_str()),
        (200, "/mcp")
    );
}

#[tokio::test]
async fn attack_084_only_configured_documents_are_published() {
    let world = World::start().await;
    let mut table = Table::default();
    for path in [
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/extra",
        "/.well-known/oauth-protected-resource/mcp/extra/",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/MCP",
        "/mcp/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        table.row(
            path,
            world
                .refusal(world.gateway.get(path), 404, "not_found")
                .await,
        );
    }
    let document = format!("{METADATA}/mcp");
    for method in [Method::POST, Method::DELETE] {
        let call = world.gateway.request(method.clone(), &document);
        table.row(
            method.as_str(),
            world.refusal(call, 405, "method_not_allowed").await,
        );
    }
    for path in [METADATA, &document] {
        let reply = world.gateway.get(path).send().await;
        let is_ours = reply.status == 200
            && reply.header("content-type") == "application/json"
            && reply.json()["resource"] == world.gateway.uri("/mcp");
        table.check(path, is_ours, || format!("{reply:?}"));
    }
    let slash = world.gateway.get(&format!("{document}/")).send().await;
    let resource = slash.json()["resource"].clone();
    table.check(
        "a final slash",
        resource == world.gateway.uri("/mcp/"),
        || format!("{slash:?}"),
    );
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn attack_085_methods_that_no_transport_uses_are_refused() {
    let world = World::start().await;
    let mut table = Table::default();
    for method in ["TRACE", "PUT", "PATCH", "BREW", "PROPFIND", "post"] {
        let bytes = with_line(&world, &format!("{method} /mcp HTTP/1.1"));
        table.row(
            method,
            world.raw_refusal(bytes, 405, "method_not_allowed").await,
        );
    }
    let own = world.gateway.config.public;
    for line in [
        "CONNECT /mcp HTTP/1.1",
        "PRI * HTTP/2.0",
        "POST /mcp HTTP/9.9",
    ] {
        let reply = raw::once(own, with_line(&world, line)).await;
        let status = reply.map(|reply| reply.status);
        table.check(
            line,
            matches!(status, Some(400 | 405 | 501 | 505) | None),
            || format!("{status:?}"),
        );
    }
    assert_eq!(world.upstream.hits(), 0);
}
