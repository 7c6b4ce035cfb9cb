//! Numbers 173, 178, 180, 181, 185: what a request says about itself, and what of it is judged, logged and forwarded.

use e2e::client;
use e2e::client::raw::{Raw, RawReply};
use e2e::eventually;
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
