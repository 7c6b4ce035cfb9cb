//! A final slash more or less: the same resource in another spelling, with metadata of its own (RFC 9728 §3.3).

use e2e::client::{Call, initialize, request};
use e2e::gateway::config::{Config, resource};
use e2e::upstream::{Answer, sessions, with};
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;

const METADATA: &str = "/.well-known/oauth-protected-resource";

/// The common case with the resource at this path.
async fn at(path: &str) -> World {
    World::with(|config| config.set("/resources/0/path", path)).await
}

#[tokio::test]
async fn both_spellings_are_challenged_and_served_each_under_its_own_name() {
    for configured in ["/mcp", "/mcp/"] {
        let world = at(configured).await;
        let mut table = Table::default();
        for path in ["/mcp", "/mcp/"] {
            let name = format!("{path} at {configured}");
            for method in [Method::POST, Method::GET, Method::DELETE] {
                let call = world.gateway.request(method, path);
                let reply = world.refusal(call, 401, "no_credentials").await;
                if let Some(reply) = table.row(&name, reply) {
                    let url = world.gateway.uri(&format!("{METADATA}{path}"));
                    let expected =
                        format!("Bearer resource_metadata=\"{url}\", scope=\"tasks:read\"");
                    table.check(&name, reply.challenge() == expected, || {
                        reply.challenge().to_owned()
                    });
                }
            }
            let document = world.gateway.get(&format!("{METADATA}{path}")).send().await;
            let own = world.gateway.uri(path);
            let resource = &document.json()["resource"];
            table.check(&name, *resource == own, || document.text());
            // A token for either spelling opens both.
            for audience in ["/mcp", "/mcp/"] {
                let token = world.token_for(audience).sign();
                let call = world.gateway.post_to(path, initialize()).token(&token);
                table.row(&name, world.acceptance(call).await);
                table.check(&name, world.upstream.last().target == "/mcp", || {
                    format!("{:?}", world.upstream.last())
                });
            }
            let other = world.token_for("/other").sign();
            let call = world.gateway.post_to(path, initialize()).token(&other);
            table.row(&name, world.refusal(call, 401, "wrong_audience").await);
        }
    }
}

#[tokio::test]
async fn a_session_opened_by_one_spelling_is_used_by_the_other() {
    let world = World::start().await;
    world.upstream.script(sessions());
    let token = world.reader();
    let opened = world
        .gateway
        .post_to("/mcp/", initialize())
        .token(&token)
        .send()
        .await;
    let id = opened.header("mcp-session-id");
    let call = world
        .gateway
        .get("/mcp")
        .token(&token)
        .with("mcp-session-id", id);
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn preflights_and_conditions_do_not_see_the_slash() {
    let rules =
        json!([{ "method": "tools/list", "condition": "request.path != '/mcp'", "scopes": [] }]);
    let world = World::with(|config| {
        config.set("/origins", json!(["https://app.example"])).set(
            "/resources/0/policy",
            json!({ "default": "deny", "rules": rules }),
        )
    })
    .await;
    for path in ["/mcp", "/mcp/"] {
        let call = world
            .gateway
            .post_to(path, request(1, "tools/list", json!({})))
            .token(&world.reader());
        world.refusal(call, 403, "policy_denied").await.unwrap();
        let preflight = world.gateway.request(Method::OPTIONS, path);
        let preflight = preflight.with("origin", "https://app.example");
        let reply = preflight
            .with("access-control-request-method", "POST")
            .send()
            .await;
        assert_eq!(reply.status, 204, "{path}");
    }
}

#[tokio::test]
async fn resources_that_differ_only_in_the_slash_are_two() {
    let world = World::with(|config| {
        let upstream = config.upstream().replace("/mcp", "/slash");
        config.set("/resources/1", resource("/mcp/", &upstream, &["corporate"]))
    })
    .await;
    let mut table = Table::default();
    for (path, target) in [("/mcp", "/mcp"), ("/mcp/", "/slash")] {
        let document = world.gateway.get(&format!("{METADATA}{path}")).send().await;
        let own = world.gateway.uri(path);
        table.check(path, document.json()["resource"] == own, || document.text());
        for audience in ["/mcp", "/mcp/"] {
            let token = world.token_for(audience).sign();
            let call = world.gateway.post_to(path, initialize()).token(&token);
            if audience == path {
                table.row(path, world.acceptance(call).await);
                table.check(path, world.upstream.last().target == target, || {
                    format!("{:?}", world.upstream.last())
                });
            } else {
                table.row(path, world.refusal(call, 401, "wrong_audience").await);
            }
        }
    }
}

#[tokio::test]
async fn the_root_has_metadata_with_and_without_the_slash() {
    let world = at("/").await;
    for path in [METADATA.to_owned(), format!("{METADATA}/")] {
        let document = world.gateway.get(&path).send().await;
        assert_eq!(
            document.json()["resource"],
            world.gateway.uri("/"),
            "{path}"
        );
    }
    for audience in ["/", ""] {
        let token = world.token_for(audience).sign();
        let call = world.gateway.post_to("/", initialize()).token(&token);
        world.acceptance(call).await.unwrap();
    }
}

#[tokio::test]
async fn the_messages_of_a_server_of_2024_11_05_are_reached() {
    // Its event stream names the endpoint of messages, with a final slash.
    let world = World::with(messages).await;
    world.upstream.script(|request| match request.method {
        Method::GET => Answer::Full(with(
            200,
            "text/event-stream",
            "event: endpoint\ndata: /messages/?session_id=1\n\n",
        )),
        _ => Answer::Full(with(202, "", "")),
    });
    let token = world.token_for("/sse").sign();
    let events = world.gateway.get("/sse").token(&token).send().await;
    assert_eq!(events.header("x-accel-buffering"), "no");
    let text = events.text();
    let endpoint = text
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .unwrap();
    let call: Call = world.gateway.post_to(endpoint, initialize()).token(&token);
    let reply = call.send().await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(world.upstream.last().target, "/messages/?session_id=1");
}

/// A server of MCP 2024-11-05: two endpoints, one for events and one for messages.
fn messages(config: Config) -> Config {
    let upstream = config.upstream();
    let audience = format!("{}/sse", config.public_url());
    let at = |path: &str| {
        let upstream = upstream.replace("/mcp", path);
        let mut resource = resource(path, &upstream, &["corporate"]);
        resource["query"] = json!("pass");
        resource["audience"] = json!(audience);
        resource["shared_audience"] = json!(true);
        resource
    };
    config.set("/resources", json!([at("/sse"), at("/messages/")]))
}
