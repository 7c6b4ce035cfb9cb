//! API keys: made by the command, presented in either header, judged like tokens, and gone when the file changes.

use std::time::{Duration, Instant};

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, request, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::gateway::key_file::{KEY_HEADER, KeyFile, mistyped};
use e2e::upstream::Upstream;
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};

/// The time in which a change of the file takes effect, at the default `reload.settle`.
const GONE: Duration = Duration::from_secs(1);

/// The common case with a key file, whose keys this makes before the start.
async fn world<T>(keys: impl FnOnce(&KeyFile) -> T) -> (World, KeyFile, T) {
    with(keys, |config| config).await
}

async fn with<T>(
    keys: impl FnOnce(&KeyFile) -> T,
    change: impl FnOnce(Config) -> Config,
) -> (World, KeyFile, T) {
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::beside(&config);
        let keys = keys(&file);
        let config = change(file.configure(config));
        made = Some((file, keys));
        config
    })
    .await;
    let (file, keys) = made.expect("the configuration was made");
    (world, file, keys)
}

fn call(world: &World) -> Call {
    world.gateway.post(tool(1, "list_tasks"))
}

async fn status(world: &World, key: &str) -> u16 {
    call(world).token(key).send().await.status
}

#[tokio::test]
async fn a_key_is_a_principal_in_either_header_and_reaches_nobody() {
    let (world, _file, key) = with(
        |file| file.reader("build-server"),
        |config| config.set("/audit", json!({ "file": "audit.log" })),
    )
    .await;
    for call in [
        call(&world).token(&key),
        call(&world).with(KEY_HEADER, &key),
        // From the cache now.
        call(&world).with(KEY_HEADER, &key),
    ] {
        world.acceptance(call).await.unwrap();
        let seen = world.upstream.last();
        for (header, expected) in [
            ("x-mcp-subject", "ci"),
            ("x-mcp-issuer", "api-keys"),
            ("x-mcp-client", "build-server"),
            ("x-mcp-scope", "tasks:read"),
        ] {
            assert_eq!(seen.header(header), Some(expected), "{header}");
        }
        assert_eq!(seen.header(KEY_HEADER), None);
    }
    // Lines of calls that were answered, each with the caller.
    eventually("three audit lines", async || {
        world.gateway.config.audit().lines().count() == 3
    })
    .await;
    for line in world.gateway.config.audit().lines() {
        caller(&serde_json::from_str(line).unwrap());
    }
    let lines = world.gateway.log_lines().await;
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "request")
        .collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    lines.into_iter().for_each(caller);
}

/// The line names the principal of the key.
fn caller(line: &Value) {
    let found = [&line["issuer"], &line["subject"], &line["client_id"]];
    assert_eq!(found, ["api-keys", "ci", "build-server"], "{line:#}");
}

#[tokio::test]
async fn scopes_and_rules_decide_about_a_key_as_about_a_token() {
    let rules = json!([
        { "method": "tools/call", "name": "create_task", "scopes": ["tasks:write"] },
        { "method": "tools/call", "name": "deploy", "principals": [{ "issuer": "api-keys", "subject": "ci" }] },
        { "method": "tools/call", "name": "release", "clients": [{ "issuer": "api-keys", "client": "release" }] },
        { "method": "tools/call", "name": "report", "condition": "claims.client_id == 'build' && claims.iss == 'api-keys'" },
        { "method": "tools/call", "name": "people", "principals": [{ "issuer": "corporate", "subject": "ci" }] },
    ]);
    let (world, _file, [build, release, other, none]) = with(
        |file| {
            let of = |name, subject| {
                let options = [
                    "--subject",
                    subject,
                    "--scope",
                    "tasks:read",
                    "--resource",
                    "/mcp",
                ];
                file.make(name, &options)
            };
            let none = file.make("none", &["--subject", "ci", "--resource", "/mcp"]);
            [
                of("build", "ci"),
                of("release", "ci"),
                of("other", "ana"),
                none,
            ]
        },
        |config| config.set("/resources/0/policy/rules", rules),
    )
    .await;
    let mut table = Table::default();
    for (key, name, expected) in [
        (&build, "list_tasks", 200),
        (&build, "create_task", 403),
        (&build, "deploy", 200),
        (&build, "release", 403),
        (&build, "report", 200),
        // The same subject of another issuer is another principal.
        (&build, "people", 403),
        (&release, "release", 200),
        (&release, "report", 403),
        (&other, "deploy", 403),
        (&none, "list_tasks", 403),
    ] {
        let call = world.gateway.post(tool(1, name)).token(key);
        let found = call.send().await.status;
        table.check(name, found == expected, || {
            format!("{found}, not {expected}")
        });
    }
    let refused = world.gateway.post(tool(1, "list_tasks")).token(&none);
    let reply = world
        .refusal(refused, 403, "insufficient_scope")
        .await
        .unwrap();
    assert!(
        reply.challenge().contains("scope=\"tasks:read\""),
        "{}",
        reply.challenge()
    );
    // The tokens of issuers are accepted beside keys.
    world
        .acceptance(call(&world).token(&world.reader()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_that_is_removed_is_refused_within_a_second_and_its_streams_end() {
    let (world, file, [gone, stays]) =
        world(|file| [file.reader("gone"), file.reader("stays")]).await;
    for key in [&gone, &stays] {
        assert_eq!(status(&world, key).await, 200);
    }
    let mut feeds = world.upstream.streams("text/event-stream");
    let mut streams = Vec::new();
    for (header, key) in [
        ("authorization", &gone),
        (KEY_HEADER, &gone),
        (KEY_HEADER, &stays),
    ] {
        let value = match header {
            "authorization" => format!("Bearer {key}"),
            _ => key.clone(),
        };
        let listen = world.gateway.get("/mcp").with(header, &value);
        let answer = tokio::spawn(listen.with("accept", "text/event-stream").open());
        let feed = feeds.next().await;
        feed.event("x");
        let mut events = Events::new(answer.await.unwrap());
        assert_eq!(events.data().await, "x");
        streams.push((feed, events));
    }
    world.upstream.script(e2e::upstream::echo);
    let began = Instant::now();
    file.remove("gone");
    while status(&world, &gone).await == 200 {
        assert!(began.elapsed() < GONE, "still accepted after {GONE:?}");
    }
    let refused = call(&world).token(&gone);
    let reply = world
        .refusal(refused, 401, "unknown_api_key")
        .await
        .unwrap();
    assert!(reply.challenge().contains("The API key is unknown."));
    for (_feed, events) in streams.iter_mut().take(2) {
        assert_eq!(events.next().await, Item::End);
    }
    assert!(began.elapsed() < 2 * GONE, "{:?}", began.elapsed());
    assert_eq!(status(&world, &stays).await, 200);
    let (feed, events) = streams.last_mut().unwrap();
    feed.event("y");
    assert_eq!(events.data().await, "y");
    // A key that is made while the gateway runs is accepted.
    let new = file.reader("new");
    eventually("the new key", async || status(&world, &new).await == 200).await;
}

#[tokio::test]
async fn a_key_that_is_restricted_has_only_what_is_left() {
    let (world, file, key) = world(|file| {
        file.make(
            "one",
            &[
                "--subject",
                "ci",
                "--scope",
                "tasks:read",
                "--resource",
                "/mcp",
            ],
        )
    })
    .await;
    assert_eq!(status(&world, &key).await, 200);
    let reasons = async |reason: &str| {
        eventually(reason, async || {
            world.gateway.refusals(reason).await > 0.0 || {
                status(&world, &key).await;
                false
            }
        })
        .await;
    };
    file.edit("\"/mcp\"", "\"/other\"");
    reasons("wrong_audience").await;
    file.edit("\"/other\"", "\"/mcp\"");
    eventually("it is back", async || status(&world, &key).await == 200).await;
    file.edit("\"tasks:read\"", "\"tasks:other\"");
    reasons("insufficient_scope").await;
    let line = &file.lines()[0];
    file.edit(line["expires"].as_str().unwrap(), "2026-01-01T00:00:00Z");
    reasons("expired").await;
    let expired = call(&world).token(&key);
    world.refusal(expired, 401, "expired").await.unwrap();
    let log = world.gateway.log().await;
    assert!(log.contains("key `one` expired "), "{log}");
}

#[tokio::test]
async fn a_key_file_is_made_and_changed_by_its_bare_name() {
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::bare(&config);
        let key = file.reader("one");
        let config = file.configure(config);
        made = Some((file, key));
        config
    })
    .await;
    let (file, one) = made.expect("the configuration was made");
    assert!(world.gateway.config.folder().join("bare.jsonl").exists());
    assert_eq!(status(&world, &one).await, 200);
    let two = file.reader("two");
    eventually("the second key", async || status(&world, &two).await == 200).await;
    file.remove("one");
    eventually("the first key is gone", async || {
        status(&world, &one).await == 401
    })
    .await;
    assert_eq!(status(&world, &two).await, 200);
}

#[tokio::test]
async fn a_key_for_a_path_on_one_host_is_refused_on_the_other() {
    const OTHER: &str = "other.example";
    let mut made = None;
    let world = World::with(|config| {
        let file = KeyFile::beside(&config);
        let of = |name: &str, uri: &str| {
            let caller = ["--subject", "ci", "--scope", "tasks:read"];
            file.make(name, &[&caller[..], &["--resource", uri]].concat())
        };
        let here = of("here", &format!("{}/mcp", config.public_url()));
        let there = of("there", &format!("http://{OTHER}/mcp"));
        let upstream = config.upstream();
        let config = file
            .configure(config)
            .set("/resources/1", resource("/mcp", &upstream, &["corporate"]))
            .set("/resources/1/host", OTHER)
            .set("/resources/1/api_keys", json!({ "header": KEY_HEADER }));
        made = Some((file, here, there));
        config
    })
    .await;
    let (file, here, there) = made.expect("the configuration was made");
    let own = world.gateway.config.public.to_string();
    let at = |host: &str, key: &str| call(&world).with("host", host).with(KEY_HEADER, key);
    let mut table = Table::default();
    for (name, place, elsewhere, key) in [
        ("here", &*own, OTHER, &here),
        ("there", OTHER, &*own, &there),
    ] {
        table.row(name, world.acceptance(at(place, key)).await);
        let refused = world.refusal(at(elsewhere, key), 401, "wrong_audience");
        table.row(name, refused.await);
    }
    // The path alone would mean both.
    file.edit(&format!("\"http://{OTHER}/mcp\""), "\"/mcp\"");
    let line = world.gateway.logged("configuration reload rejected").await;
    assert!(line.contains("API key there is for /mcp"), "{line}");
    let refused = world.refusal(at(&own, &there), 401, "wrong_audience");
    table.row("after an ambiguous change", refused.await);
}

#[tokio::test]
async fn the_header_for_keys_reaches_no_upstream_whatever_it_has() {
    let (world, _file, key) = with(
        |file| file.reader("one"),
        |config| {
            let upstream = config.upstream();
            let passing = json!({ "url": upstream, "pass_headers": [KEY_HEADER] });
            config
                .set(
                    "/resources/1",
                    resource("/tokens", &upstream, &["corporate"]),
                )
                .set(
                    "/resources/2",
                    resource("/passing", &upstream, &["corporate"]),
                )
                .set("/resources/2/upstream", passing)
        },
    )
    .await;
    let unknown = mistyped(&key);
    let tokens = ["/mcp", "/tokens", "/passing"].map(|path| world.token_for(path).sign());
    let (mut accepted, mut table) = (0, Table::default());
    for (path, header, token, status) in [
        ("/mcp", Some(&key), None, 200),
        ("/mcp", Some(&unknown), None, 401),
        ("/mcp", Some(&key), Some(&key), 400),
        ("/mcp", Some(&unknown), Some(&key), 400),
        ("/mcp", Some(&key), Some(&tokens[0]), 400),
        ("/mcp", Some(&unknown), Some(&unknown), 400),
        ("/mcp", None, Some(&key), 200),
        // Elsewhere it is a header like others, and not passed on; where one of that name is, no key is.
        ("/tokens", Some(&key), Some(&tokens[1]), 200),
        ("/tokens", Some(&unknown), Some(&tokens[1]), 200),
        ("/tokens", Some(&key), None, 401),
        ("/passing", Some(&key), Some(&tokens[2]), 200),
        ("/passing", Some(&unknown), Some(&tokens[2]), 200),
    ] {
        for method in [Method::POST, Method::GET] {
            let mut call = match method {
                Method::POST => world.gateway.post_to(path, tool(1, "list_tasks")),
                _ => world.gateway.get(path).with("accept", "text/event-stream"),
            };
            if let Some(key) = header {
                call = call.with(KEY_HEADER, key);
            }
            if let Some(token) = token {
                call = call.token(token);
            }
            let found = call.send().await.status;
            accepted += usize::from(status == 200);
            table.check(path, found == status, || {
                format!("{method}: {found}, not {status}")
            });
        }
    }
    let seen = world.upstream.seen();
    table.check("forwarded", seen.len() == accepted, || {
        seen.len().to_string()
    });
    for request in seen {
        let values: Vec<_> = request.headers.get_all(KEY_HEADER).iter().collect();
        table.check("the header", values.is_empty(), || format!("{values:?}"));
    }
}

#[tokio::test]
async fn a_broken_key_file_changes_nothing() {
    let (world, file, key) = world(|file| file.reader("one")).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    std::fs::write(file.path(), format!("{text}{{\"name\":\"two\"}}\n")).unwrap();
    let line = world.gateway.logged("configuration reload rejected").await;
    assert!(line.contains("keys.jsonl line 3"), "{line}");
    assert_eq!(status(&world, &key).await, 200);
    let metrics = world.gateway.metrics().await;
    let last = "mcp_gateway_config_last_reload_successful";
    assert_eq!(metrics.sum(last, &[]), 0.0);
}

#[tokio::test]
async fn each_key_has_its_rate_limit_and_a_subject_shares_one() {
    let limits = json!([
        { "per": "client", "calls": 2, "within": "1h" },
        { "per": "subject", "calls": 3, "within": "1h" },
    ]);
    let (world, _file, [one, two, other]) = with(
        |file| {
            let ana = [
                "--subject",
                "ana",
                "--scope",
                "tasks:read",
                "--all-resources",
            ];
            [
                file.reader("one"),
                file.reader("two"),
                file.make("other", &ana),
            ]
        },
        |config| config.set("/resources/0/rate_limits", limits),
    )
    .await;
    let mut found = Vec::new();
    for key in [&one, &one, &one, &two, &two, &other] {
        found.push(status(&world, key).await);
    }
    assert_eq!(found, [200, 200, 429, 200, 429, 200]);
}

#[tokio::test]
async fn a_resource_without_issuers_names_no_authorization_server() {
    let upstream = Upstream::start().await;
    let config = Config::empty().set(
        "/resources",
        json!([resource("/mcp", &upstream.url(), &[])]),
    );
    let file = KeyFile::beside(&config);
    let key = file.reader("one");
    let gateway = Gateway::start(file.configure(config).without("/resources/0/issuers")).await;
    let document = gateway
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await;
    assert_eq!(document.json()["authorization_servers"], Value::Null);
    assert_eq!(
        document.json()["scopes_supported"],
        json!(["tasks:read", "tasks:write"])
    );
    let without = gateway.post(tool(1, "list_tasks")).send().await;
    assert_eq!(without.status, 401);
    let with = gateway.post(tool(1, "list_tasks")).token(&key).send().await;
    assert_eq!((with.status, upstream.hits()), (200, 1));
    // A token has no issuer here.
    let signed = test_support::Token::new(
        &test_support::Key::es256("a"),
        "https://issuer.test/",
        &gateway.uri("/mcp"),
    );
    let token = gateway.post(tool(1, "list_tasks")).token(&signed.sign());
    assert_eq!(token.send().await.status, 401);
    assert_eq!(gateway.refusals("wrong_issuer").await, 1.0);
}

#[tokio::test]
async fn the_example_works_as_its_comments_say() {
    let upstream = Upstream::start().await;
    let config = Config::as_shipped("api-keys.yaml", &upstream.url());
    let file = KeyFile::beside(&config);
    let scopes = [
        "--scope",
        "tasks:read",
        "--scope",
        "tasks:write",
        "--resource",
        "/mcp",
    ];
    let of = |name, subject| {
        let options = [&["--subject", subject][..], &scopes].concat();
        file.make(name, &options)
    };
    let (build, other) = (of("build-server", "ci"), of("laptop", "ana"));
    let gateway = Gateway::start(config).await;
    for (key, name, expected) in [
        (&build, "list_tasks", 200),
        (&build, "create_task", 200),
        (&build, "delete_task", 403),
        (&other, "get_task", 200),
        (&other, "create_task", 403),
    ] {
        for (header, value) in [
            ("authorization", format!("Bearer {key}")),
            ("x-api-key", key.clone()),
        ] {
            let call = gateway.post(tool(1, name)).with(header, &value);
            let found = call.send().await.status;
            assert_eq!(found, expected, "{name} with {header}");
        }
    }
    let listed = gateway
        .post(request(1, "tools/list", json!({})))
        .token(&build);
    assert_eq!(listed.send().await.status, 403);
    let options = gateway.request(Method::GET, "/mcp").send().await;
    assert_eq!(options.status, 401);
}
