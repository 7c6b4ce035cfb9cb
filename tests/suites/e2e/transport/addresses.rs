//! Clients by their address (attacks 61, 101, 104): who is trusted to name it, and limits per address.

use std::time::Duration;

use e2e::certificates::{self, Authority};
use e2e::client::initialize;
use e2e::client::raw::{Raw, RawReply};
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// A load balancer's address, where one is listed.
const PROXY: &str = "127.0.0.2";

/// What logs say of a client whose address cannot be read.
const UNKNOWN: &str = "unknown";

/// Another address.
const OTHER: &str = "127.0.0.3";

/// Timeout of a connection that is closed at once.
const CLOSED: Duration = Duration::from_secs(5);

const CLOSED_TOTAL: &str = "mcp_gateway_connections_closed_total";

fn behind_proxy(config: Config) -> Config {
    config.set("/trusted_proxies", json!([PROXY]))
}

fn with_proxy_protocol(config: Config) -> Config {
    behind_proxy(config).set("/listen/0/proxy_protocol", true)
}

/// No address is exempt, so that loopback counts.
fn limiting(config: Config) -> Config {
    config.set("/limits/exempt_addresses", json!([]))
}

/// A complete good request, with further header lines.
fn call(world: &World, lines: &str) -> String {
    call_with(world, &world.reader(), lines)
}

fn call_with(world: &World, token: &str, lines: &str) -> String {
    let body = initialize();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        world.gateway.config.public,
        body.len()
    )
}

async fn once_from(world: &World, from: &str, bytes: impl AsRef<[u8]>) -> Option<RawReply> {
    let mut connection = Raw::connect_from(from, world.gateway.config.public).await;
    connection.send(bytes).await;
    connection.reply().await
}

async fn status_from(world: &World, from: &str, bytes: impl AsRef<[u8]>) -> Option<u16> {
    once_from(world, from, bytes)
        .await
        .map(|reply| reply.status)
}

/// The client of the last request in the access log, once there are `count` of them.
async fn client_of(world: &World, count: usize) -> String {
    let mut clients = Vec::new();
    eventually("the access line", async || {
        clients = world
            .gateway
            .log_lines()
            .await
            .into_iter()
            .filter(|line| line["message"] == "request")
            .filter_map(|line| line["client"].as_str().map(str::to_owned))
            .collect();
        clients.len() >= count
    })
    .await;
    clients.pop().unwrap()
}

async fn closed(world: &World, cause: &str) -> f64 {
    let metrics = world.gateway.metrics().await;
    metrics.sum(CLOSED_TOTAL, &[("cause", cause)])
}

/// PROXY protocol, version 2: command, family, and what follows.
fn proxy_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend((rest.len() as u16).to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// One that names 198.51.100.`host`, port 4711.
fn speaking_for(host: u8) -> Vec<u8> {
    let rest = [198, 51, 100, host, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];
    proxy_header(0x21, 0x11, &rest)
}

#[tokio::test]
async fn only_a_listed_proxy_is_trusted_and_only_its_configured_header() {
    // 61
    let mut table = Table::default();
    let cases = [
        (
            "x-forwarded-for",
            PROXY,
            "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n",
            "198.51.100.7",
        ),
        (
            "x-forwarded-for",
            PROXY,
            "X-Forwarded-For: 198.51.100.7, 127.0.0.2\r\n",
            "198.51.100.7",
        ),
        (
            "x-forwarded-for",
            PROXY,
            "X-Forwarded-For: nobody\r\n",
            UNKNOWN,
        ),
        (
            "x-forwarded-for",
            PROXY,
            "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n",
            PROXY,
        ),
        (
            "x-forwarded-for",
            OTHER,
            "X-Forwarded-For: 6.6.6.6\r\n",
            OTHER,
        ),
        (
            "forwarded",
            PROXY,
            "Forwarded: for=\"[2001:db8::7]:80\"\r\n",
            "2001:db8::7",
        ),
        ("forwarded", PROXY, "X-Forwarded-For: 6.6.6.6\r\n", PROXY),
        ("forwarded", OTHER, "Forwarded: for=6.6.6.6\r\n", OTHER),
    ];
    for header in ["x-forwarded-for", "forwarded"] {
        let world =
            World::with(|config| behind_proxy(config).set("/forwarded_header", header)).await;
        let cases = cases.iter().filter(|case| case.0 == header);
        for (index, (_, from, lines, expected)) in cases.enumerate() {
            let status = status_from(&world, from, call(&world, lines)).await;
            let client = client_of(&world, index + 1).await;
            let address = client.split_once(':').filter(|_| client.contains('.'));
            let address = address.map_or(client.as_str(), |(address, _)| address);
            table.check(lines, status == Some(200) && address == *expected, || {
                format!("{status:?} from {client}")
            });
            let seen = world.upstream.last();
            for name in ["x-forwarded-for", "forwarded", "x-real-ip"] {
                table.check(lines, seen.header(name).is_none(), || {
                    format!("{name} reached the upstream")
                });
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_protocol_header_names_the_client() {
    // 61, 101
    let world = World::with(with_proxy_protocol).await;
    let mut table = Table::default();
    let v6 = [
        &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7][..],
        &[0; 16],
        &[0x12, 0x67, 0x01, 0xbb],
    ];
    let extended = [
        &[198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb][..],
        &[0x04, 0, 2, 9, 9],
    ];
    let cases = [
        ("IPv4", speaking_for(7), "198.51.100.7:4711"),
        (
            "IPv6",
            proxy_header(0x21, 0x21, &v6.concat()),
            "[2001:db8::7]:4711",
        ),
        (
            "extensions",
            proxy_header(0x21, 0x11, &extended.concat()),
            "198.51.100.7:4711",
        ),
        ("LOCAL", proxy_header(0x20, 0, &[]), PROXY),
        ("UNSPEC", proxy_header(0x21, 0, &[1, 2, 3]), UNKNOWN),
    ];
    for (index, (name, header, expected)) in cases.into_iter().enumerate() {
        let request = call(&world, "X-Forwarded-For: 6.6.6.6\r\n");
        let status = status_from(&world, PROXY, [header, request.into()].concat()).await;
        let client = client_of(&world, index + 1).await;
        table.check(
            name,
            status == Some(200) && client.starts_with(expected),
            || format!("{status:?} from {client}"),
        );
    }
    // An idle connection keeps its client.
    let mut connection = Raw::connect_from(PROXY, world.gateway.config.public).await;
    connection.send(speaking_for(8)).await;
    for index in 6..8 {
        connection.send(call(&world, "")).await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
        assert_eq!(client_of(&world, index).await, "198.51.100.8:4711");
    }
}

#[tokio::test]
async fn without_a_proxy_protocol_header_from_a_listed_proxy_no_client_is_served() {
    // 61
    let world =
        World::with(|config| with_proxy_protocol(config).set("/timeouts/handshake", "1s")).await;
    let request = call(&world, "");
    let mut table = Table::default();
    let with = |header: &[u8]| [header, request.as_bytes()].concat();
    let cases = [
        ("not listed", OTHER, with(&speaking_for(7))),
        ("none at all", PROXY, with(b"")),
        (
            "version 1",
            PROXY,
            with(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
        ),
        ("over UDP", PROXY, with(&proxy_header(0x21, 0x12, &[0; 12]))),
        (
            "too short",
            PROXY,
            with(&proxy_header(0x21, 0x11, &[0; 11])),
        ),
        ("too long", PROXY, with(&proxy_header(0x20, 0, &[0; 4097]))),
        ("half of it", PROXY, speaking_for(7)[..20].to_vec()),
        ("silence", PROXY, Vec::new()),
    ];
    let hits = world.upstream.hits();
    for (index, (name, from, bytes)) in cases.into_iter().enumerate() {
        let mut connection = Raw::connect_from(from, world.gateway.config.public).await;
        connection.send(bytes).await;
        let mut brought = false;
        let ends = async {
            brought = connection.brings(b"HTTP").await;
            brought
        };
        let _ = tokio::time::timeout(CLOSED, ends).await;
        table.check(name, !brought, || "it was answered".to_owned());
        let count = (index + 1) as f64;
        eventually(name, async || closed(&world, "proxy_header").await >= count).await;
    }
    assert_eq!(world.upstream.hits(), hits);
}

#[tokio::test]
async fn a_proxy_protocol_header_comes_before_tls() {
    let authority = Authority::new();
    let leaf = authority.leaf(&["localhost"]);
    let world = World::with(|config| {
        let (certificate, private_key) = leaf.write(config.folder(), "tls");
        let files = json!([{ "certificate": certificate, "private_key": private_key }]);
        with_proxy_protocol(config)
            .set("/public_url", "https://localhost")
            .set("/listen/0/tls", json!({ "certificates": files }))
    })
    .await;
    let mut connection = Raw::connect_from(PROXY, world.gateway.config.public).await;
    connection.send(speaking_for(9)).await;
    let config = certificates::client(&authority, &[b"http/1.1"]);
    let mut connection = connection.secure(config, "localhost").await;
    let request = call(&world, "").replace(&world.gateway.config.public.to_string(), "localhost");
    connection.send(request).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    assert_eq!(client_of(&world, 1).await, "198.51.100.9:4711");
}

#[tokio::test]
async fn the_connections_of_one_address_are_limited() {
    // 101
    let world =
        World::with(|config| limiting(config).set("/limits/connections_per_address", 3)).await;
    let request = call(&world, "");
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = Raw::connect_from(OTHER, world.gateway.config.public).await;
        connection.send(&request).await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
        held.push(connection);
    }
    for _ in 0..50 {
        let mut excess = Raw::connect_from(OTHER, world.gateway.config.public).await;
        assert!(excess.closes(CLOSED).await);
    }
    assert_eq!(status_from(&world, PROXY, &request).await, Some(200));
    eventually("they are counted", async || {
        closed(&world, "address_limit").await == 50.0
    })
    .await;
    let is_limit = |line: &Value| line["cause"] == "address_limit";
    let lines = world.gateway.log_lines().await;
    let lines: Vec<_> = lines.iter().filter(|line| is_limit(line)).collect();
    assert!((1..10).contains(&lines.len()), "{lines:?}");
    held.pop();
    eventually("there is room again", async || {
        let mut connection = Raw::connect_from(OTHER, world.gateway.config.public).await;
        connection.send(&request).await;
        let reply = tokio::time::timeout(CLOSED, connection.reply()).await;
        reply
            .ok()
            .flatten()
            .is_some_and(|reply| reply.status == 200)
    })
    .await;
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_connection_limit() {
    // 101
    let world = World::with(|config| {
        limiting(with_proxy_protocol(config)).set("/limits/connections_per_address", 2)
    })
    .await;
    let connect = async |host: u8| {
        let mut connection = Raw::connect_from(PROXY, world.gateway.config.public).await;
        connection.send(speaking_for(host)).await;
        connection.send(call(&world, "")).await;
        let status = connection.reply().await.map(|reply| reply.status);
        (connection, status)
    };
    let mut held = Vec::new();
    for host in [1, 1, 2, 2, 3] {
        let (connection, status) = connect(host).await;
        assert_eq!(status, Some(200), "{host}");
        held.push(connection);
    }
    assert_eq!(connect(1).await.1, None);
    assert_eq!(connect(3).await.1, Some(200));
    eventually("it is counted", async || {
        closed(&world, "address_limit").await == 1.0
    })
    .await;
}

#[tokio::test]
async fn an_address_with_too_many_refusals_gets_429_and_known_callers_do_not() {
    // 104
    let world = World::with(|config| limiting(config).set("/limits/refusals_per_address", 2)).await;
    let known = world.reader();
    let known = call_with(&world, &known, "");
    assert_eq!(status_from(&world, OTHER, &known).await, Some(200));
    let forged = format!("{}AAAA", world.reader());
    let forged = call_with(&world, &forged, "");
    for _ in 0..2 {
        assert_eq!(status_from(&world, OTHER, &forged).await, Some(401));
    }
    let hits = world.upstream.hits();
    let mut connection = Raw::connect_from(OTHER, world.gateway.config.public).await;
    connection.send(&forged).await;
    let reply = connection.reply().await.unwrap();
    assert_eq!(reply.status, 429, "{}", reply.text());
    let seconds: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert!(
        reply.text().contains("too_many_refusals"),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("www-authenticate"), "");
    // Its body was read: the connection stays usable, and a token that was verified before passes.
    connection.send(&known).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    // An unknown token would cost a signature; a challenge and a document cost nothing.
    let unseen = call(&world, "");
    assert_eq!(status_from(&world, OTHER, &unseen).await, Some(429));
    let bare = format!(
        "GET /mcp HTTP/1.1\r\nHost: {}\r\n\r\n",
        world.gateway.config.public
    );
    assert_eq!(status_from(&world, OTHER, &bare).await, Some(401));
    let document = bare.replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
    assert_eq!(status_from(&world, OTHER, &document).await, Some(200));
    // Other addresses are served as before.
    assert_eq!(status_from(&world, PROXY, &unseen).await, Some(200));
    assert_eq!(world.upstream.hits(), hits + 2);
    assert_eq!(world.gateway.counted("too_many_refusals", 2.0).await, 2.0);
}

#[tokio::test]
async fn ordinary_refusals_are_not_counted() {
    // 104
    let world = World::with(|config| limiting(config).set("/limits/refusals_per_address", 1)).await;
    let gateway = &world.gateway;
    let expired = world
        .token()
        .claim("exp", test_support::now() - 3600)
        .sign();
    let cases = [
        ("no credentials", gateway.post(initialize()), 401),
        ("expired", gateway.post(initialize()).token(&expired), 401),
        (
            "scope",
            gateway
                .post(e2e::client::request(
                    1,
                    "tools/call",
                    json!({ "name": "create_task" }),
                ))
                .token(&world.reader()),
            403,
        ),
        ("nothing there", gateway.get("/nothing"), 404),
        // Requests that any web page can make browsers send.
        ("in the URL", gateway.get("/mcp?access_token=x"), 400),
        ("an odd path", gateway.get("/mcp//x"), 400),
        ("a host", gateway.get("/mcp").with("host", "a.example"), 403),
        ("no JSON", gateway.post("{").token(&world.reader()), 400),
    ];
    let mut table = Table::default();
    for (name, call, expected) in cases {
        let status = call.send().await.status;
        table.check(name, status == expected, || status.to_string());
    }
    let accepted = world.acceptance(gateway.post(initialize()).token(&world.reader()));
    table.row("a new token", accepted.await);
}

#[tokio::test]
async fn behind_a_proxy_refusals_count_against_the_named_client() {
    // 104
    let world =
        World::with(|config| limiting(behind_proxy(config)).set("/limits/refusals_per_address", 2))
            .await;
    let forged = format!("{}AAAA", world.reader());
    let from = |host: u8| format!("X-Forwarded-For: 198.51.100.{host}\r\n");
    for _ in 0..2 {
        let call = call_with(&world, &forged, &from(1));
        assert_eq!(status_from(&world, PROXY, call).await, Some(401));
    }
    assert_eq!(
        status_from(&world, PROXY, call(&world, &from(1))).await,
        Some(429)
    );
    assert_eq!(
        status_from(&world, PROXY, call(&world, &from(2))).await,
        Some(200)
    );
    // For an address that is not listed, its headers do not change the client.
    assert_eq!(
        status_from(&world, OTHER, call(&world, &from(1))).await,
        Some(200)
    );
}

#[tokio::test]
async fn a_proxy_that_names_no_client_is_not_locked_out() {
    // 104
    let world =
        World::with(|config| limiting(behind_proxy(config)).set("/limits/refusals_per_address", 1))
            .await;
    let forged = format!("{}AAAA", world.reader());
    for lines in ["", "X-Forwarded-For: unknown\r\n", ""] {
        let call = call_with(&world, &forged, lines);
        assert_eq!(status_from(&world, PROXY, call).await, Some(401));
    }
    let call = call(&world, "");
    assert_eq!(status_from(&world, PROXY, call).await, Some(200));
}

#[tokio::test]
async fn local_addresses_are_exempt_by_default() {
    // 101, 104
    let world = World::with(|config| {
        config
            .set("/limits/refusals_per_address", 1)
            .set("/limits/connections_per_address", 1)
    })
    .await;
    let forged = call_with(&world, &format!("{}AAAA", world.reader()), "");
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = Raw::connect_from(OTHER, world.gateway.config.public).await;
        connection.send(&forged).await;
        assert_eq!(connection.reply().await.unwrap().status, 401);
        held.push(connection);
    }
    assert_eq!(
        status_from(&world, OTHER, call(&world, "")).await,
        Some(200)
    );
}
