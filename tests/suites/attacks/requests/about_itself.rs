//! Numbers 173, 178, 180, 181, 185: what a request says about itself, and what of it is judged, logged and forwarded.

use e2e::client;
use e2e::client::raw::{Raw, RawReply};
use e2e::eventually;
use e2e::upstream;
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// A load balancer's address.
const PROXY: &str = "127.0.0.2";

/// Conditions on the address that hold for the load balancer, or for an address that is not a value.
const CONDITIONS: &[&str] = &[
    r#"client.address.startsWith("127.")"#,
    r#"client.address != "203.0.113.66""#,
    r#"!client.address.startsWith("203.")"#,
    r#"client.address == """#,
    r#"client.address < "9""#,
];

/// Behind a load balancer: each tool `allowN` is allowed and each tool `denyN` denied by a rule with a condition.
async fn behind_balancer(header: &str) -> World {
    let rules = CONDITIONS.iter().enumerate().flat_map(|(at, condition)| {
        let of =
            |tool: String| json!({ "method": "tools/call", "name": tool, "condition": condition });
        let mut denies = of(format!("deny{at}"));
        denies["condition"] = format!("!({condition})").into();
        denies["deny"] = "No.".into();
        [of(format!("allow{at}")), denies]
    });
    let rules: Vec<Value> = rules.collect();
    World::with(|config| {
        config
            .set("/trusted_proxies", json!([PROXY]))
            .set("/forwarded_header", header)
            .set("/limits/refusals_per_address", 2)
            .set(
                "/resources/0/policy",
                json!({ "default": "allow", "rules": rules }),
            )
    })
    .await
}

/// The answer to a call that the load balancer forwards with these lines.
async fn through_balancer(
    world: &World,
    token: &str,
    tool: &str,
    lines: &[u8],
) -> Option<RawReply> {
    let body = client::tool(1, tool);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
        world.gateway.config.public,
        body.len()
    );
    let mut connection = Raw::connect_from(PROXY, world.gateway.config.public).await;
    let request = [head.as_bytes(), lines, b"\r\n", body.as_bytes()];
    connection.send(request.concat()).await;
    connection.reply().await
}

/// The client of the last access line, once there are `count` of them.
async fn client_of(world: &World, count: usize) -> String {
    let mut clients = Vec::new();
    eventually("the access line", async || {
        let lines = world.gateway.log_lines().await;
        let lines = lines.iter().filter(|line| line["message"] == "request");
        clients = lines.map(|line| line["client"].clone()).collect();
        clients.len() >= count
    })
    .await;
    clients.pop().unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn attack_173_a_forwarded_line_that_cannot_be_read_is_never_the_proxys_address() {
    let unreadable: [(&str, &[&[u8]]); 2] = [
        (
            "x-forwarded-for",
            &[
                b"X-Forwarded-For: 203.0.113.9, \xe9\r\n",
                b"X-Forwarded-For: \xe9\r\n",
                b"X-Forwarded-For:\r\n",
                b"X-Forwarded-For: 203.0.113.9,\r\n",
                b"X-Forwarded-For: unknown\r\n",
                b"X-Forwarded-For: 127.0.0.2\r\n",
                b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: \xe9\r\n",
                b"X-Forwarded-For: 127.0.0.1.1, 127.0.0.2\r\n",
            ],
        ),
        (
            "forwarded",
            &[
                b"Forwarded: for=203.0.113.9, for=\xe9\r\n",
                b"Forwarded: for=unknown\r\n",
                b"Forwarded: by=127.0.0.2\r\n",
                b"Forwarded: for=127.0.0.2\r\n",
                b"Forwarded: for=127.0.0.1;x=\", for=203.0.113.9\"\r\n",
                b"Forwarded:\r\n",
            ],
        ),
    ];
    let readable: [(&str, &[&[u8]]); 2] = [
        (
            "x-forwarded-for",
            &[
                b"X-Forwarded-For: \xe9, 203.0.113.66\r\n",
                b"X-Forwarded-For: \xff\xfe\r\nX-Forwarded-For: 203.0.113.66, 127.0.0.2\r\n",
            ],
        ),
        (
            "forwarded",
            &[
                b"Forwarded: \xe9\"\\, for=203.0.113.66\r\n",
                b"Forwarded: for=127.0.0.1;x=\"\r\nForwarded: for=203.0.113.66;host=\"a\\\"b\"\r\n",
            ],
        ),
    ];
    let mut table = Table::default();
    for ((header, unreadable), (_, readable)) in unreadable.into_iter().zip(readable) {
        let world = behind_balancer(header).await;
        let mut count = 0;
        for line in unreadable {
            let name = line.escape_ascii().to_string();
            for at in 0..CONDITIONS.len() {
                for tool in [format!("allow{at}"), format!("deny{at}")] {
                    let hits = world.upstream.hits();
                    let reply = through_balancer(&world, &world.reader(), &tool, line).await;
                    let status = reply.map(|reply| reply.status);
                    let forwarded = world.upstream.hits() - hits;
                    table.check(&name, status == Some(403) && forwarded == 0, || {
                        format!("{tool}: {status:?}")
                    });
                    count += 1;
                }
            }
            let client = client_of(&world, count).await;
            table.check(&name, client == "unknown", || client.clone());
        }
        for line in readable {
            let name = line.escape_ascii().to_string();
            through_balancer(&world, &world.reader(), "allow0", line).await;
            count += 1;
            let client = client_of(&world, count).await;
            table.check(&name, client == "203.0.113.66", || client.clone());
        }
        // Bad tokens of unknown clients are counted together, though the proxy itself is exempt.
        let forged = format!("{}AAAA", world.reader());
        for expected in [401, 401, 429, 429] {
            let reply = through_balancer(&world, &forged, "a", unreadable[0])
                .await
                .unwrap();
            table.check(header, reply.status == expected, || {
                format!("{} instead of {expected}", reply.status)
            });
        }
        // Those whose address is known, and the proxy's own requests, are counted apart.
        for line in [readable[0], b""] {
            let reply = through_balancer(&world, &forged, "a", line).await.unwrap();
            table.check(header, reply.status == 401, || reply.text());
        }
    }
}

/// A modern call with these lines. Without its version it would be a legacy call that creates a task.
fn modern_task(world: &World, lines: &str) -> String {
    let params = json!({ "name": "a", "arguments": {}, "task": {} });
    let body = client::modern(1, "tools/call", params);
    format!(
        "{}MCP-Protocol-Version: {}\r\nMcp-Method: tools/call\r\nMcp-Name: a\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        client::MODERN,
        body.len()
    )
}

#[tokio::test]
async fn attack_178_a_connection_option_cannot_remove_a_field_that_is_used() {
    let world = World::start().await;
    let mut table = Table::default();
    for lines in [
        "Connection: mcp-protocol-version\r\n",
        "Connection: MCP-Protocol-Version , close\r\n",
        "Connection: keep-alive\r\nConnection: ,,mcp-method\r\n",
        "Connection: mcp-name\r\n",
        "Connection: mcp-param-region\r\n",
        "Connection: mcp-session-id\r\n",
        "Connection: content-type\r\n",
        "Connection: accept\r\n",
        "Connection: authorization\r\n",
        "Connection: origin\r\n",
        "Connection: last-event-id\r\n",
        "Connection: content-length\r\n",
        "Connection: x-forwarded-for\r\n",
        "Connection: baggage\r\n",
        "Proxy-Connection: mcp-protocol-version\r\n",
    ] {
        let bytes = modern_task(&world, lines);
        table.row(
            lines,
            world.raw_refusal(bytes, 400, "connection_option").await,
        );
    }
    let mut connection = world.gateway.raw().await;
    connection.send(modern_task(&world, "")).await;
    let status = connection.reply().await.map(|reply| reply.status);
    table.check("no option", status == Some(200), || format!("{status:?}"));
    for lines in [
        "Connection: keep-alive\r\n",
        "Connection: close\r\n",
        "Connection: TE\r\nTE: trailers\r\n",
        "Connection: x-own\r\nX-Own: 1\r\n",
    ] {
        let body = client::modern(1, "tools/list", json!({}));
        let bytes = format!(
            "{}MCP-Protocol-Version: {}\r\nMcp-Method: tools/list\r\nBaggage: a=b\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            client::MODERN,
            body.len()
        );
        let mut connection = world.gateway.raw().await;
        connection.send(bytes).await;
        let status = connection.reply().await.map(|reply| reply.status);
        table.check(lines, status == Some(200), || format!("{status:?}"));
        let seen = world.upstream.last();
        for (name, expected) in [
            ("mcp-protocol-version", Some(client::MODERN)),
            ("mcp-method", Some("tools/list")),
            ("content-type", Some("application/json")),
            ("accept", Some(client::ACCEPT)),
            ("baggage", Some("a=b")),
            ("x-own", None),
            ("te", None),
        ] {
            table.check(lines, seen.header(name) == expected, || {
                format!("{name}: {seen:?}")
            });
        }
    }
}

#[tokio::test]
async fn attack_180_no_cache_stores_what_depends_on_a_caller() {
    let world = World::start().await;
    let mut table = Table::default();
    for (content_type, cache_control) in [
        ("application/json", "public, max-age=3600"),
        ("application/json", "s-maxage=60"),
        ("application/json", "private=\"set-cookie\", max-age=60"),
        ("text/event-stream", "public, no-transform"),
    ] {
        for status in [200, 404, 500] {
            world.upstream.script(move |_| {
                let mut answer = upstream::with(status, content_type, "{}");
                for (name, value) in [
                    ("cache-control", cache_control),
                    ("etag", "\"1\""),
                    ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
                    ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
                    ("vary", "accept"),
                ] {
                    answer.headers_mut().insert(name, value.parse().unwrap());
                }
                upstream::Answer::Full(answer)
            });
            let call = world.gateway.post(client::initialize());
            let reply = call.token(&world.reader()).send().await;
            let name = format!("{content_type} {cache_control} {status}");
            let kept = reply.header("cache-control");
            table.check(
                &name,
                kept == "no-store" || kept == "no-store, no-transform",
                || kept.to_owned(),
            );
            for header in ["etag", "last-modified", "expires"] {
                table.check(&name, reply.header(header).is_empty(), || header.to_owned());
            }
        }
    }
    let document = "/.well-known/oauth-protected-resource/mcp";
    let document = world.gateway.get(document).send().await;
    let kept = document.header("cache-control");
    table.check("document", kept.contains("max-age"), || kept.to_owned());
}

#[tokio::test]
async fn attack_181_the_query_of_a_client_is_dropped_unless_the_resource_passes_it() {
    let mut table = Table::default();
    for (own, passes, sent, expected) in [
        ("", false, "?debug=1", Some("/mcp")),
        ("", false, "?", Some("/mcp")),
        ("", true, "?debug=1", Some("/mcp?debug=1")),
        ("?tenant=a", false, "?tenant=b", Some("/mcp?tenant=a")),
        ("?tenant=a", false, "", Some("/mcp?tenant=a")),
        ("?tenant=a", true, "?x=1", Some("/mcp?tenant=a&x=1")),
        ("?tenant=a", true, "?x=1&%54enant=b", None),
    ] {
        let world = World::with(|config| {
            let upstream = format!("{}{own}", config.upstream());
            let config = config.set("/resources/0/upstream", upstream);
            match passes {
                true => config.set("/resources/0/query", "pass"),
                false => config,
            }
        })
        .await;
        let name = format!("{own} {passes} {sent}");
        let call = world
            .gateway
            .post_to(&format!("/mcp{sent}"), client::initialize());
        let call = call.token(&world.reader());
        match expected {
            Some(target) => {
                table.row(&name, world.acceptance(call).await);
                let seen = world.upstream.last().target;
                table.check(&name, seen == target, || seen.clone());
            }
            None => {
                table.row(&name, world.refusal(call, 400, "ambiguous_query").await);
            }
        }
    }
}

#[tokio::test]
async fn attack_185_the_admin_listener_serves_no_other_host() {
    let world = World::with(|config| config.set("/admin/hosts", json!(["gateway.mcp.svc"]))).await;
    let admin = world.gateway.config.admin;
    let mut table = Table::default();
    for path in ["/metrics", "/livez", "/readyz", "/nowhere"] {
        let found = if path == "/nowhere" { 404 } else { 200 };
        for (host, expected) in [
            (admin.to_string(), found),
            ("10.1.2.3:9090".to_owned(), found),
            ("localhost".to_owned(), found),
            ("gateway.mcp.svc:9090".to_owned(), found),
            ("evil.example".to_owned(), 421),
            (format!("{admin}.evil.example"), 421),
            (format!("{admin}\r\nHost: evil.example"), 421),
        ] {
            let bytes = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let reply = client::raw::once(admin, bytes).await.unwrap();
            table.check(&format!("{path} {host}"), reply.status == expected, || {
                format!("{} instead of {expected}", reply.status)
            });
        }
    }
}
