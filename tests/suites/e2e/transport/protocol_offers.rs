//! Offers to change the protocol on plain HTTP (RFC 9110 §7.8): real clients make them by default, and the gateway ignores them.
//! Their bytes one by one are in `tests/corpus/http1/connections.yaml`.

use std::time::Duration;

use e2e::client::initialize;
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::world::World;
use e2e::world::secure::Secure;
use tokio::process::Command;

/// The start of the JDK takes seconds on a busy machine.
const JDK: Duration = Duration::from_secs(60);

/// What the JDK's HTTP client prints, one line for each answer.
async fn java(arguments: &[&str]) -> Vec<String> {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("java").exists())
    });
    assert!(
        found,
        "java is missing: apt-get install default-jdk-headless (scripts/setup.sh does it)"
    );
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(repository("tests/clients/java/Post.java"))
        .args(arguments);
    let mut process = Process::spawn(command);
    let status = process.exit(JDK).await;
    let output = process.output();
    assert!(status.success(), "{output}");
    output.lines().map(str::to_owned).collect()
}

/// The answers to two POSTs and a GET.
fn assert_served(lines: &[String], version: &str) {
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, method) in lines.iter().zip(["POST", "POST", "GET"]) {
        let begin = format!("{method} 200 {version} ");
        assert!(line.starts_with(&begin), "{line}");
    }
}

#[tokio::test]
async fn the_http_client_of_the_jdk_is_served_over_plain_http() {
    let world = World::start().await;
    let lines = java(&[&world.gateway.url("/mcp"), &world.reader()]).await;
    assert_served(&lines, "HTTP_1_1");
    assert_eq!(world.upstream.hits(), 3);
    for request in world.upstream.seen() {
        for name in ["connection", "upgrade", "http2-settings"] {
            assert_eq!(request.header(name), None, "{request:?}");
        }
    }
}

#[tokio::test]
async fn the_http_client_of_the_jdk_is_served_over_tls() {
    let secure = Secure::with(|config| config.set("/timeouts/handshake", "30s")).await;
    let config = &secure.gateway.config;
    let authority = config.write("authority.pem", secure.authority.pem());
    let url = secure.gateway.uri("/mcp");
    let lines = java(&[&url, &secure.token(), &authority.to_string_lossy()]).await;
    assert_served(&lines, "HTTP_2");
    assert_eq!(secure.upstream.hits(), 3);
}

#[tokio::test]
async fn curl_that_offers_http_2_is_served_over_plain_http() {
    let world = World::start().await;
    let mut command = Command::new("curl");
    let token = format!("Authorization: Bearer {}", world.reader());
    command.args(["--silent", "--noproxy", "*", "--http2", "--fail"]);
    command.args([
        "--header",
        &token,
        "--header",
        "Content-Type: application/json",
    ]);
    command.args(["--data", &initialize(), &world.gateway.url("/mcp")]);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(world.upstream.hits(), 1);
    let seen = world.upstream.last();
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
}
