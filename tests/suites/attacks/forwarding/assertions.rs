//! Numbers 320–324 and 342: assertions about callers, which an upstream trusts.

use std::time::Duration;

use e2e::client::{Call, LEGACY, http, initialize, modern, request};
use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::issuer::tokens::TokenEndpoint;
use e2e::upstream::assertion::{HEADER, KEYS, REQUEST_ID, part, signing, verified};
use e2e::upstream::tasks::Tasks;
use e2e::world::{Table, World};
use serde_json::{Value, json};
use test_support::{Key, Token, base64url, compact, hmac, key_set, now};

/// The type of an assertion.
const TYPE: &str = "mcp-assertion+jwt";

async fn world() -> World {
    World::with(|config| signing(config, json!({}))).await
}

/// The assertion that arrives with a call of this token.
async fn asserted(world: &World, token: &Token) -> String {
    let call = world.gateway.post(initialize()).token(&token.sign());
    world.acceptance(call).await.unwrap();
    world.upstream.last().header(HEADER).unwrap().to_owned()
}

#[tokio::test]
async fn attack_320_a_client_cannot_send_an_assertion_or_the_headers_beside_it() {
    let mut table = Table::default();
    for settings in [
        json!({}),
        json!({ "header": "x-caller", "request_id_header": "x-id" }),
    ] {
        let world = World::with(|config| signing(config, settings.clone())).await;
        let own = |key: &str, default: &str| settings[key].as_str().unwrap_or(default).to_owned();
        let header = own("header", HEADER);
        let names = [
            header.clone(),
            own("request_id_header", REQUEST_ID),
            header.replace('-', "_"),
            HEADER.to_owned(),
            REQUEST_ID.to_owned(),
        ];
        let listed = json!({});
        for (era, call) in [
            (
                "legacy",
                world
                    .gateway
                    .post(request(1, "tools/list", listed.clone()))
                    .with("mcp-protocol-version", LEGACY)
                    .with("mcp-method", "tools/call")
                    .with("mcp-name", "root"),
            ),
            (
                "modern",
                world
                    .gateway
                    .post(modern(1, "tools/list", listed.clone()))
                    .modern("tools/list", None),
            ),
        ] {
            let call = names.iter().fold(call, |call, name| {
                call.with(name, "clients").also(name, "clients-second")
            });
            let sent = world.acceptance(call.token(&world.reader())).await;
            table.row(era, sent);
            let last = world.upstream.last();
            let arrived = format!("{:?}", last.headers);
            table.check(era, !arrived.contains("clients"), || arrived.clone());
            table.check(era, last.header("mcp-method") == Some("tools/list"), || {
                arrived.clone()
            });
            table.check(era, last.header("mcp-name").is_none(), || arrived.clone());
            let assertion = last.header(&header).unwrap_or_default();
            let is_ours = verified(&world.gateway, assertion, &world.upstream.url()).await;
            table.row(era, is_ours);
        }
    }
}

/// A task server that requires assertions for `tasks`, which this key signs.
async fn requiring(key: &Key, config: &Config) -> Tasks {
    let file = config.write("gateway-keys.json", key_set(&[key]).to_string());
    Tasks::start_with(&[
        "--require-assertion",
        &file.to_string_lossy(),
        "--assertion-audience",
        "tasks",
    ])
    .await
}

fn good(key: &Key) -> Token {
    Token::new(key, "https://mcp.example.com", "tasks")
        .header("typ", TYPE)
        .claim("token_iss", "https://login.example.com/")
        .claim("exp", now() + 60)
}

fn direct(tasks: &Tasks) -> Call {
    Call::post(&http(), tasks.own_url(), initialize()).with("x-mcp-subject", "root")
}

#[tokio::test]
async fn attack_321_a_forged_assertion_is_refused_by_the_upstream() {
    let (key, config) = (Key::es256("first"), Config::empty());
    let tasks = requiring(&key, &config).await;
    let assertion = good(&key);
    let header =
        |algorithm: &str| json!({ "alg": algorithm, "typ": TYPE, "kid": "first" }).to_string();
    let claims = assertion.claims_text();
    let signed = assertion.sign();
    let public = key.jwk()["x"].as_str().unwrap().to_owned();
    let changed = {
        let (input, signature) = signed.rsplit_once('.').unwrap();
        let (header, _) = input.split_once('.').unwrap();
        let root = base64url(assertion.clone().subject("root").claims_text());
        format!("{header}.{root}.{signature}")
    };
    let mut table = Table::default();
    for (name, forged) in [
        ("unsigned", compact(header("none"), &claims, |_| Vec::new())),
        ("NONE", compact(header("NONE"), &claims, |_| Vec::new())),
        (
            "the public key as a secret",
            compact(header("HS256"), &claims, |input| {
                hmac("HS256", public.as_bytes(), input)
            }),
        ),
        ("another key", good(&Key::es256("first")).sign()),
        ("an unknown key", good(&Key::es256("second")).sign()),
        ("an access token", good(&key).header("typ", "at+jwt").sign()),
        ("changed claims", changed),
        (
            "no signature",
            signed.rsplit_once('.').unwrap().0.to_owned() + ".",
        ),
        ("nothing", String::new()),
    ] {
        let reply = direct(&tasks).with(HEADER, &forged).send().await;
        table.check(name, reply.status == 401, || reply.text());
    }
    let twice = direct(&tasks).with(HEADER, &signed).also(HEADER, &signed);
    let none = direct(&tasks);
    for (name, call) in [("twice", twice), ("none", none)] {
        let reply = call.send().await;
        table.check(name, reply.status == 401, || reply.text());
    }
    let reply = direct(&tasks).with(HEADER, &signed).send().await;
    table.check("a good one", reply.status == 200, || reply.text());
    eventually("each is logged", async || {
        tasks.output().matches("no valid assertion").count() == 11
    })
    .await;
}

#[tokio::test]
async fn attack_322_an_assertion_that_was_seen_is_of_no_use_elsewhere_or_later() {
    let (key, config) = (Key::es256("first"), Config::empty());
    let tasks = requiring(&key, &config).await;
    let mut table = Table::default();
    for (name, seen) in [
        ("another upstream", good(&key).claim("aud", "notes")),
        (
            "several audiences without it",
            good(&key).claim("aud", json!(["notes", "task"])),
        ),
        ("expired", good(&key).claim("exp", now() - 10)),
        ("expired long ago", good(&key).claim("exp", 1)),
        ("without an end", good(&key).without("exp")),
        ("without an audience", good(&key).without("aud")),
    ] {
        let reply = direct(&tasks).with(HEADER, &seen.sign()).send().await;
        table.check(name, reply.status == 401, || reply.text());
    }
    // As a token of the gateway: its issuer signs other tokens.
    let world = world().await;
    let assertion = asserted(&world, &world.token()).await;
    let call = world.gateway.post(initialize()).token(&assertion);
    table.row(
        "at the gateway",
        world.refusal(call, 401, "wrong_issuer").await,
    );
    // Even where the issuer's key signed it.
    let typed = world.token().header("typ", TYPE).sign();
    let call = world.gateway.post(initialize()).token(&typed);
    table.row(
        "of an issuer",
        world.refusal(call, 401, "wrong_token_type").await,
    );
}

#[tokio::test]
async fn attack_323_no_caller_is_sent_with_the_assertion_of_another() {
    let world = world().await;
    let mut table = Table::default();
    let callers = [
        ("a", Some("b"), "tasks:read c"),
        ("a", Some("b c"), "tasks:read"),
        ("a", Some("b\",\"scope\":\"c"), "tasks:read"),
        ("a\u{0}b", None, "tasks:read c"),
        ("ab", None, "tasks:read c"),
        ("a", None, "tasks:read c"),
        ("a\",\"sub\":\"ab", None, "tasks:read c"),
        ("A", Some("b"), "tasks:read c"),
        ("a", Some("B"), "tasks:read c"),
        ("a", Some("b"), "tasks:read C"),
    ];
    for round in 0..2 {
        for (subject, client, scope) in callers {
            let name = format!("{round}: {subject:?} {client:?} {scope:?}");
            let token = world.token().subject(subject).scope(scope);
            let token = match client {
                Some(client) => token.claim("client_id", client),
                None => token.without("client_id"),
            };
            let call = world.gateway.post(initialize()).token(&token.sign());
            if table.row(&name, world.acceptance(call).await).is_none() {
                continue;
            }
            let assertion = world.upstream.last().header(HEADER).unwrap().to_owned();
            let claims = part(&assertion, 1);
            let mut scopes: Vec<_> = scope.split(' ').collect();
            scopes.sort_unstable();
            let expected = (json!(subject), json!(client), json!(scopes.join(" ")));
            let found = |name: &str| claims.get(name).cloned().unwrap_or(Value::Null);
            let found = (found("sub"), found("client_id"), found("scope"));
            table.check(&name, found == expected, || format!("{found:?}"));
        }
    }
}

#[tokio::test]
async fn attack_324_nothing_is_asserted_with_a_removed_key_or_beyond_the_token() {
    let world = World::with(|config| {
        let leaked = config.write_key("leaked.pem");
        let keys = json!({ "key_files": [leaked] });
        signing(config, json!({})).set("/assertions", keys)
    })
    .await;
    let before = asserted(&world, &world.token()).await;
    let config = world.gateway.config.clone();
    let new = config.write_key("new.pem");
    config.set("/assertions/key_files", json!([new])).file();
    let leaked = part(&before, 0)["kid"].clone();
    eventually("the leaked key is withdrawn", async || {
        let keys = world.gateway.get(KEYS).send().await.json();
        keys["keys"][0]["kid"] != leaked
    })
    .await;
    // The caller had an assertion that would be sent for most of a minute.
    let after = asserted(&world, &world.token()).await;
    assert_ne!(part(&after, 0)["kid"], leaked);
    let audience = world.upstream.url();
    assert!(verified(&world.gateway, &before, &audience).await.is_err());
    assert!(verified(&world.gateway, &after, &audience).await.is_ok());

    for left in [5, 20, 45] {
        let end = now() + left;
        let assertion = asserted(&world, &world.token().claim("exp", end)).await;
        assert_eq!(part(&assertion, 1)["exp"], end);
    }
}

#[tokio::test]
async fn attack_342_a_call_that_waited_is_not_sent_with_an_assertion_of_a_removed_key() {
    let mut table = Table::default();
    for keys_are_left in [true, false] {
        // A token endpoint that answers when the configuration has changed.
        let endpoint = TokenEndpoint::start().await;
        endpoint.delays(Duration::from_secs(3));
        let target = |config: &Config, signs: bool| {
            let credentials = json!({ "client_credentials": {
                "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
            } });
            let mut target = json!({ "url": config.upstream(), "credentials": credentials });
            if signs {
                target["assertion"] = json!({});
            }
            target
        };
        let world = World::with(|config| {
            let leaked = config.write_key("leaked.pem");
            let upstream = target(&config, true);
            config
                .set("/resources/0/upstream", upstream)
                .set("/assertions", json!({ "key_files": [leaked] }))
        })
        .await;
        world.upstream.has_credential("Bearer issued-for-gateway");
        let published = async || {
            let set = world.gateway.get(KEYS).send().await;
            (set.status == 200).then(|| set.json()["keys"][0]["kid"].clone())
        };
        let leaked = published().await.unwrap();
        let call = world.gateway.post(initialize()).token(&world.reader());
        let call = tokio::spawn(call.send());
        eventually("the call waits", async || !endpoint.asked().is_empty()).await;
        let config = world.gateway.config.clone();
        if keys_are_left {
            let new = config.write_key("new.pem");
            config.set("/assertions/key_files", json!([new])).file();
        } else {
            let upstream = target(&config, false);
            let config = config.set("/resources/0/upstream", upstream);
            config.without("/assertions").file();
        }
        eventually("the leaked key is withdrawn", async || {
            published().await.as_ref() != Some(&leaked)
        })
        .await;
        let reply = call.await.unwrap();
        if keys_are_left {
            table.check("sent", reply.status == 200, || reply.text());
            let assertion = world.upstream.last().header(HEADER).unwrap().to_owned();
            let kid = part(&assertion, 0)["kid"].clone();
            table.check("signed", Some(kid) == published().await, || assertion);
        } else {
            table.check("refused", reply.status == 503, || reply.text());
            let hits = world.upstream.hits();
            table.check("nothing is sent", hits == 0, || hits.to_string());
            let refusals = world.gateway.refusals("assertion_withdrawn").await;
            table.check("reason", refusals == 1.0, || refusals.to_string());
        }
    }
}
