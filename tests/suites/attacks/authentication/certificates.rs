//! Numbers 299–302: tokens that are bound to a client certificate (RFC 8705).

use e2e::certificates::{Authority, Leaf};
use e2e::client::raw::{Raw, RawReply};
use e2e::client::{Call, initialize};
use e2e::gateway::config::Config;
use e2e::world::refusal::Watch;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use serde_json::json;

/// A proxy's address.
const PROXY: &str = "127.0.0.2";

/// Another address.
const OTHER: &str = "127.0.0.3";

/// Somebody with a certificate, and somebody else with another one.
struct Two {
    owner: Leaf,
    thief: Leaf,
}

impl Two {
    fn new() -> Self {
        let authority = Authority::new();
        Self {
            owner: authority.leaf(&["agent"]),
            thief: authority.leaf(&["agent"]),
        }
    }
}

async fn requesting() -> Secure {
    Secure::with(|config| config.set("/listen/0/tls/client_certificates", "request")).await
}

/// A token that is bound to this certificate.
fn bound(setting: &Secure, leaf: &Leaf) -> String {
    let confirmation = json!({ "x5t#S256": leaf.thumbprint() });
    setting.unsigned_token().claim("cnf", confirmation).sign()
}

async fn refusal(setting: &Secure, call: Call, reason: &str) -> Result<(), String> {
    let watch = Watch::begin(&setting.gateway, &setting.upstream, reason).await;
    let reply = call.send().await;
    watch.check(&reply, 401).await
}

async fn acceptance(setting: &Secure, call: Call) -> Result<(), String> {
    let hits = setting.upstream.hits();
    let reply = call.send().await;
    match (reply.status, setting.upstream.hits() - hits) {
        (200, 1) => Ok(()),
        (status, hits) => Err(format!("{status} after {hits}: {}", reply.text())),
    }
}

#[tokio::test]
async fn attack_299_a_stolen_token_is_of_no_use_without_the_certificate() {
    let (setting, two) = (requesting().await, Two::new());
    let mut table = Table::default();
    for http1 in [true, false] {
        let clients = [
            None,
            Some(&two.thief),
            Some(&setting.leaves[0]),
            Some(&two.owner),
        ];
        let [nobody, thief, server, owner] = clients.map(|own| setting.http_as(http1, own));
        let token = bound(&setting, &two.owner);
        let call = |http| setting.post(http, initialize()).token(&token);
        // First when nobody has verified it yet, then when its verdict is in the cache.
        for round in ["unknown", "known"] {
            for (name, http, reason) in [
                ("no certificate", &nobody, "certificate_missing"),
                ("another one", &thief, "other_certificate"),
                ("the server's", &server, "other_certificate"),
            ] {
                let outcome = refusal(&setting, call(http), reason).await;
                table.row(&format!("{name}, {round}, http1 {http1}"), outcome);
            }
            table.row(round, acceptance(&setting, call(&owner)).await);
        }
        // A certificate beside a token that is bound to nothing changes nothing.
        let plain = setting.post(&thief, initialize());
        table.row("not bound", acceptance(&setting, plain).await);
    }
}

#[tokio::test]
async fn attack_300_a_client_cannot_name_its_certificate_in_a_header() {
    let two = Two::new();
    let named = format!("Client-Cert: {}\r\n", two.owner.as_header());
    let mut table = Table::default();
    // Not a proxy, and a proxy where no header is configured.
    for (from, header, reason) in [
        (OTHER, "client-cert", "certificate_missing"),
        (PROXY, "none", "certificate_missing"),
    ] {
        let world = World::with(|config| behind_proxy(config, header)).await;
        let outcome = refused(&world, from, &bound_to(&world, &two.owner), &named, reason).await;
        table.row(&format!("{from}, {header}"), outcome);
    }
    // A proxy that passes the client's bytes on passes on the client's headers.
    let world = World::with(|config| {
        // Without another listener the header would have no effect, and the configuration would be refused.
        let plain = json!({ "address": "127.0.0.1:0" });
        let config = behind_proxy(config, "client-cert").set("/listen/1", plain);
        config.set("/listen/0/proxy_protocol", true)
    })
    .await;
    let speaking_for = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb],
    ];
    let request = call(&world, &bound_to(&world, &two.owner), &named);
    let bytes = [&speaking_for.concat(), request.as_bytes()].concat();
    let outcome = refused_bytes(&world, PROXY, &bytes, 401, "certificate_missing").await;
    table.row("PROXY protocol", outcome);
    // The handshake of a proxy that speaks HTTP is its own: the gateway's certificates are no client's.
    let setting = Secure::with(|config| {
        let config = config.set("/listen/0/tls/client_certificates", "request");
        behind_proxy(config, "client-cert").set("/trusted_proxies", json!(["127.0.0.1"]))
    })
    .await;
    let proxy = setting.http_as(true, Some(&two.owner));
    let token = bound(&setting, &two.owner);
    let unnamed = setting.post(&proxy, initialize()).token(&token);
    table.row(
        "its own",
        refusal(&setting, unnamed, "certificate_missing").await,
    );
    // What a client names never reaches the MCP server.
    let world = World::with(|config| behind_proxy(config, "client-cert")).await;
    for from in [PROXY, OTHER] {
        let lines = format!("{named}Client-Cert-Chain: {}\r\n", two.thief.as_header());
        let reply = once(&world, from, &call(&world, &world.reader(), &lines)).await;
        table.check(from, reply.is_some_and(|reply| reply.status == 200), || {
            "refused".to_owned()
        });
        for name in ["client-cert", "client-cert-chain"] {
            let seen = world.upstream.last();
            table.check(from, seen.header(name).is_none(), || {
                format!("{name} arrived")
            });
        }
    }
    let hop = format!("Connection: client-cert\r\n{named}");
    let bytes = call(&world, &world.reader(), &hop);
    let outcome = refused_bytes(&world, PROXY, bytes.as_bytes(), 400, "connection_option").await;
    table.row("named by Connection", outcome);
}

#[tokio::test]
async fn attack_301_a_header_that_does_not_name_exactly_one_certificate_is_refused() {
    let two = Two::new();
    let world = World::with(|config| behind_proxy(config, "client-cert")).await;
    let (own, other) = (two.owner.as_header(), two.thief.as_header());
    let token = bound_to(&world, &two.owner);
    let mut table = Table::default();
    let line = |value: &str| format!("Client-Cert: {value}\r\n");
    for (name, lines) in [
        ("twice", format!("{}{}", line(&own), line(&own))),
        ("two", format!("{}{}", line(&other), line(&own))),
        (
            "two, the own first",
            format!("{}{}", line(&own), line(&other)),
        ),
        ("a list", line(&format!("{own}, {other}"))),
        ("with a parameter", line(&format!("{own};a=1"))),
        ("without colons", line(own.trim_matches(':'))),
        ("PEM", line(&two.owner.certificate.replace('\n', " "))),
        ("empty", line("")),
        ("nothing between the colons", line("::")),
        ("cut", line(&format!("{}:", &own[..own.len() / 2]))),
        ("too long", line(&format!(":{}:", "A".repeat(24 * 1024)))),
    ] {
        for token in [&token, &world.reader()] {
            let bytes = call(&world, token, &lines);
            let outcome =
                refused_bytes(&world, PROXY, bytes.as_bytes(), 400, "client_cert_header").await;
            table.row(name, outcome);
        }
        // From anybody else it is one of many headers that nobody reads.
        let reply = once(&world, OTHER, &call(&world, &world.reader(), &lines)).await;
        let status = reply.map(|reply| reply.status);
        table.check(name, status == Some(200), || {
            format!("{status:?} from {OTHER}")
        });
    }
    for (name, lines, expected) in [
        ("the own", line(&own), None),
        ("another", line(&other), Some("other_certificate")),
        ("none", String::new(), Some("certificate_missing")),
    ] {
        let outcome = match expected {
            Some(reason) => refused(&world, PROXY, &token, &lines, reason).await,
            None => match once(&world, PROXY, &call(&world, &token, &lines)).await {
                Some(reply) if reply.status == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            },
        };
        table.row(name, outcome);
    }
}

#[tokio::test]
async fn attack_302_where_bound_tokens_are_required_no_other_is_accepted() {
    let two = Two::new();
    let setting = Secure::with(|config| {
        config
            .set("/listen/0/tls/client_certificates", "request")
            .set(
                "/resources/0/sender_constraint",
                json!({ "mutual_tls": "require" }),
            )
    })
    .await;
    let http = setting.http_as(true, Some(&two.owner));
    let mut table = Table::default();
    let post = |token: &str| setting.post(&http, initialize()).token(token);
    let good = bound(&setting, &two.owner);
    table.row("bound", acceptance(&setting, post(&good)).await);
    let with = |confirmation| setting.unsigned_token().claim("cnf", confirmation).sign();
    let (own, other) = (two.owner.thumbprint(), two.thief.thumbprint());
    for (name, token, reason) in [
        ("not bound", setting.token(), "unbound_token"),
        (
            "bound to a key",
            with(json!({ "jkt": own })),
            "sender_constrained",
        ),
        (
            "to both",
            with(json!({ "x5t#S256": own, "jkt": own })),
            "sender_constrained",
        ),
        (
            "to another",
            with(json!({ "x5t#S256": other })),
            "other_certificate",
        ),
        (
            "by SHA-1",
            with(json!({ "x5t": own })),
            "sender_constrained",
        ),
        ("to nothing", with(json!({})), "sender_constrained"),
        ("to null", with(json!(null)), "sender_constrained"),
    ] {
        table.row(name, refusal(&setting, post(&token), reason).await);
    }
    // A resource that refuses them refuses them with the certificate, too.
    let refusing = Secure::with(|config| {
        config
            .set("/listen/0/tls/client_certificates", "request")
            .set(
                "/resources/0/sender_constraint",
                json!({ "mutual_tls": "refuse" }),
            )
    })
    .await;
    let http = refusing.http_as(true, Some(&two.owner));
    let call = refusing
        .post(&http, initialize())
        .token(&bound(&refusing, &two.owner));
    table.row(
        "refused",
        refusal(&refusing, call, "sender_constrained").await,
    );
}

fn behind_proxy(config: Config, header: &str) -> Config {
    config
        .set("/trusted_proxies", json!([PROXY]))
        .set("/client_certificate_header", header)
}

fn bound_to(world: &World, leaf: &Leaf) -> String {
    let confirmation = json!({ "x5t#S256": leaf.thumbprint() });
    world.token().claim("cnf", confirmation).sign()
}

/// A good request with this token, and these lines besides.
fn call(world: &World, token: &str, lines: &str) -> String {
    let body = initialize();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        world.gateway.config.public,
        body.len()
    )
}

async fn once(world: &World, from: &str, bytes: impl AsRef<[u8]>) -> Option<RawReply> {
    let mut connection = Raw::connect_from(from, world.gateway.config.public).await;
    connection.send(bytes).await;
    connection.reply().await
}

async fn refused(
    world: &World,
    from: &str,
    token: &str,
    lines: &str,
    reason: &str,
) -> Result<(), String> {
    let bytes = call(world, token, lines);
    refused_bytes(world, from, bytes.as_bytes(), 401, reason).await
}

async fn refused_bytes(
    world: &World,
    from: &str,
    bytes: &[u8],
    status: u16,
    reason: &str,
) -> Result<(), String> {
    let watch = Watch::begin(&world.gateway, &world.upstream, reason).await;
    let reply = once(world, from, bytes).await.ok_or("no answer")?;
    watch.check(&reply.to_reply(), status).await
}
