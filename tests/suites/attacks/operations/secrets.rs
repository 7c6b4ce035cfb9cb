//! Numbers 143 and 145–148: what logs, metrics, answers and files reveal.

use std::os::unix::fs::PermissionsExt;

use e2e::SOON;
use e2e::certificates::{Authority, Leaf};
use e2e::client::{initialize, request, tool};
use e2e::eventually;
use e2e::gateway::command;
use e2e::gateway::config::Config;
use e2e::process::Process;
use e2e::upstream::{Answer, with};
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};
use test_support::Key;

const FORGED: &str = "x\r\n{\"level\":\"ERROR\",\"message\":\"FORGED\"}\u{1b}[31m\"'";

/// Everything a client can put into a log line.
async fn hostile_texts(world: &World) {
    let token = world.token().subject(FORGED).claim("client_id", FORGED);
    let good = token.sign();
    let post = |body: String| world.gateway.post(body);
    post(request(1, FORGED, json!({})))
        .token(&good)
        .send()
        .await;
    post(tool(1, FORGED)).token(&good).send().await;
    post(initialize())
        .token(&token.clone().header("kid", FORGED).sign())
        .send()
        .await;
    post(initialize())
        .token(&token.claim("iss", FORGED).sign())
        .send()
        .await;
    post(initialize())
        .token(&good)
        .with("mcp-session-id", "a\tb\"c")
        .send()
        .await;
    world.gateway.get("/a%0a%0dFORGED\"'").send().await;
    world
        .gateway
        .get("/x")
        .with("host", "FORGED\\\"evil")
        .send()
        .await;
    world
        .gateway
        .get("/mcp")
        .with("origin", "https://FORGED\\\"evil")
        .send()
        .await;
    let raw = format!("{}X-A: b\x1b[31mFORGED\r\n c\r\n\r\n", world.raw_head());
    e2e::client::raw::once(world.gateway.config.public, raw).await;
}

#[tokio::test]
async fn attack_143_hostile_text_never_breaks_a_log_line() {
    for format in ["json", "text"] {
        let world = World::with(|config| config.set("/log/format", format)).await;
        hostile_texts(&world).await;
        eventually("nine access lines", async || {
            let log = world.gateway.log().await;
            log.lines()
                .filter(|line| line.contains("bytes_sent"))
                .count()
                >= 9
        })
        .await;
        for line in world.gateway.log().await.lines() {
            let is_whole = match format {
                "json" => serde_json::from_str::<Value>(line)
                    .is_ok_and(|line| line["message"] != "FORGED"),
                _ => line.starts_with("20") && !line.contains('\u{1b}'),
            };
            assert!(is_whole, "{format}: {line:?}");
        }
    }
}

#[tokio::test]
async fn attack_145_hostile_requests_add_no_metric_series() {
    let world = World::start().await;
    let flood = async |round: usize| {
        let token = world
            .token()
            .subject(&format!("s-{round}"))
            .claim("client_id", format!("c-{round}"));
        let good = token.sign();
        let post = |body: String| world.gateway.post(body).token(&good);
        world.gateway.get(&format!("/path-{round}")).send().await;
        let unknown = token.header("kid", format!("kid-{round}")).sign();
        world
            .gateway
            .post(initialize())
            .token(&unknown)
            .send()
            .await;
        post(request(1, &format!("method-{round}"), json!({})))
            .send()
            .await;
        post(tool(1, &format!("tool-{round}"))).send().await;
        post(initialize())
            .with("origin", &format!("https://o{round}.example"))
            .send()
            .await;
        post(initialize())
            .with("host", &format!("h{round}.example"))
            .send()
            .await;
        post(initialize())
            .with("user-agent", &format!("agent-{round}"))
            .send()
            .await;
        let method = Method::from_bytes(format!("M{round}").as_bytes()).unwrap();
        world.gateway.request(method, "/mcp").send().await;
        post(request(1, "ping", json!({})))
            .with("mcp-session-id", &format!("s-{round}"))
            .send()
            .await;
    };
    let counted = async |count: f64| {
        eventually("all are counted", async || {
            let metrics = world.gateway.metrics().await;
            metrics.sum("mcp_gateway_requests_total", &[]) >= count
        })
        .await;
        world.gateway.metrics().await
    };
    flood(0).await;
    let before = counted(9.0).await;
    for round in 1..40 {
        flood(round).await;
    }
    let after = counted(360.0).await;
    let new: Vec<_> = after
        .series()
        .filter(|new| !before.series().any(|old| old == *new))
        .collect();
    assert!(new.is_empty(), "{new:#?}");
}

#[tokio::test]
async fn attack_146_metrics_and_readiness_name_no_caller() {
    let world = World::start().await;
    world.upstream.script(e2e::upstream::sessions());
    let token = world
        .token()
        .subject("alice-4711")
        .claim("client_id", "desktop-4711")
        .sign();
    let opened = world
        .acceptance(world.gateway.post(initialize()).token(&token))
        .await
        .unwrap();
    let session = opened.header("mcp-session-id").to_owned();
    world
        .gateway
        .post(tool(1, "tool-4711"))
        .token(&token)
        .with("mcp-session-id", &session)
        .send()
        .await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let text = world.gateway.admin(path).await.text();
        for name in [
            "4711",
            "upstream-session",
            session.as_str(),
            &world.upstream.address().to_string(),
        ] {
            assert!(!text.contains(name), "{path} names {name}: {text}");
        }
    }
}

#[tokio::test]
async fn attack_147_errors_reveal_no_versions_and_addresses() {
    let mut world = World::start().await;
    let token = world.reader();
    let upstream = world.upstream.address().port().to_string();
    let mut table = Table::default();
    let mut check = |name: &str, reply: &e2e::client::Reply| {
        let all = format!("{:?} {}", reply.headers, reply.text()).to_lowercase();
        for word in [
            upstream.as_str(),
            "pingora",
            "hyper",
            "rust",
            "uvicorn",
            "express",
            env!("CARGO_PKG_VERSION"),
            ".rs:",
        ] {
            table.check(name, !all.contains(word), || format!("{word} in {all}"));
        }
        table.check(name, !reply.headers.contains_key("server"), || all.clone());
    };
    world.upstream.script(|_| {
        let mut answer = with(200, "application/json", "{}");
        for (name, value) in [
            ("server", "uvicorn"),
            ("x-powered-by", "Express"),
            ("via", "1.1 hyper"),
        ] {
            answer.headers_mut().insert(name, value.parse().unwrap());
        }
        Answer::Full(answer)
    });
    check(
        "an answer",
        &world.gateway.post(initialize()).token(&token).send().await,
    );
    check("no token", &world.gateway.post(initialize()).send().await);
    check(
        "no JSON",
        &world.gateway.post("{").token(&token).send().await,
    );
    check("no path", &world.gateway.get("/nowhere").send().await);
    let own = world.gateway.config.public;
    let unreadable = e2e::client::raw::once(own, "GET / HTTP/1.1\r\nno colon\r\n\r\n")
        .await
        .unwrap();
    check("not HTTP", &unreadable.to_reply());
    world.upstream.script(|_| Answer::Drop);
    check(
        "a broken upstream",
        &world.gateway.post(initialize()).token(&token).send().await,
    );
    world.upstream.stop();
    check(
        "no upstream",
        &world.gateway.post(initialize()).token(&token).send().await,
    );
}

/// A configuration with this certificate at its listener.
fn with_leaf(leaf: &Leaf) -> (Config, std::path::PathBuf) {
    let config = Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")]);
    let (certificate, key) = leaf.write(config.folder(), "tls");
    let files = json!([{ "certificate": certificate, "private_key": key }]);
    let config = config.set("/public_url", "https://localhost");
    (
        config.set("/listen/0/tls", json!({ "certificates": files })),
        key,
    )
}

async fn checked(config: &Config) -> (Option<i32>, String) {
    let mut process = Process::spawn(command(&["check", "--config"], config));
    (process.exit(SOON).await.code(), process.output())
}

#[tokio::test]
async fn attack_148_secret_files_that_others_can_access_are_refused() {
    let leaf = Authority::new().leaf(&["localhost"]);
    let mut table = Table::default();
    for (mode, expected) in [
        (0o600, 0),
        (0o400, 0),
        (0o440, 0),
        (0o640, 0),
        (0o644, 2),
        (0o602, 2),
        (0o604, 2),
    ] {
        let (config, key) = with_leaf(&leaf);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, output) = checked(&config).await;
        table.check(&format!("{mode:o}"), code == Some(expected), || {
            format!("{code:?}: {output}")
        });
    }
    type Change = fn(&std::path::Path);
    let changes: [(&str, i32, Change); 5] = [
        ("missing", 2, |key| std::fs::remove_file(key).unwrap()),
        ("empty", 2, |key| e2e::certificates::write_secret(key, "")),
        ("a trailing new line", 0, |key| {
            let text = std::fs::read_to_string(key).unwrap();
            e2e::certificates::write_secret(key, format!("{text}\n\n"));
        }),
        ("a link, as Kubernetes mounts it", 0, |key| {
            let data = key.with_file_name("..data");
            std::fs::create_dir(&data).unwrap();
            std::fs::rename(key, data.join("tls.key")).unwrap();
            std::os::unix::fs::symlink("..data/tls.key", key).unwrap();
        }),
        ("a link to itself", 2, |key| {
            std::fs::remove_file(key).unwrap();
            std::os::unix::fs::symlink(key, key).unwrap();
        }),
    ];
    for (name, expected, change) in changes {
        let (config, key) = with_leaf(&leaf);
        change(&key);
        let (code, output) = checked(&config).await;
        table.check(name, code == Some(expected), || {
            format!("{code:?}: {output}")
        });
    }
}
