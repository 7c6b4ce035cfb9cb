//! The server on the wire: what is refused before MCP, what the answers look like, and the unix socket.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
};
use upstream_tasks::{Listener, ServeConfig, TaskStore, serve};

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"wire","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"wire","version":"1"}}}"#;
const MODERN: &str = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";

fn post(path: &str, host: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends one request and reads until the server closes.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .expect("closed in time")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

async fn start(listener: Listener, config: ServeConfig) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = TaskStore::open(directory.path().join("tasks.json")).unwrap();
    tokio::spawn(serve(listener, store, config, std::future::pending()));
    directory
}

async fn tcp(config: ServeConfig) -> (String, tempfile::TempDir) {
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = listener.address().to_string();
    (address, start(listener, config).await)
}

#[tokio::test]
async fn hosts_origins_and_paths_are_checked_before_mcp() {
    let config = ServeConfig {
        path: "/tasks/mcp".parse().unwrap(),
        allowed_hosts: vec!["tasks.internal".to_owned()],
        ..ServeConfig::default()
    };
    let (address, _directory) = tcp(config).await;
    let cases = [
        ("loopback", "/tasks/mcp", "127.0.0.1:9000", "", "200"),
        (
            "allowed host",
            "/tasks/mcp",
            "tasks.internal:9000",
            "",
            "200",
        ),
        ("foreign host", "/tasks/mcp", "evil.example", "", "403"),
        (
            "loopback origin",
            "/tasks/mcp",
            "localhost",
            "Origin: http://localhost:6274\r\n",
            "200",
        ),
        (
            "foreign origin",
            "/tasks/mcp",
            "localhost",
            "Origin: https://evil.example\r\n",
            "403",
        ),
        ("default path", "/mcp", "localhost", "", "404"),
        ("below the path", "/tasks/mcp/x", "localhost", "", "404"),
    ];
    for (name, path, host, headers, expected) in cases {
        let request = post(path, host, &format!("{MODERN}{headers}"), LIST);
        let answer = exchange(TcpStream::connect(&address).await.unwrap(), &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected} ")),
            "{name}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_plain_modern_answer_is_json_and_a_legacy_one_opens_a_session() {
    let (address, _directory) = tcp(ServeConfig::default()).await;
    let plain = exchange(
        TcpStream::connect(&address).await.unwrap(),
        &post("/mcp", "localhost", MODERN, LIST),
    )
    .await;
    assert!(plain.contains("content-type: application/json"), "{plain}");
    assert!(!plain.contains("mcp-session-id"), "{plain}");

    let session = exchange(
        TcpStream::connect(&address).await.unwrap(),
        &post("/mcp", "localhost", "", INITIALIZE),
    )
    .await;
    assert!(
        session.contains("content-type: text/event-stream"),
        "{session}"
    );
    assert!(session.contains("mcp-session-id: "), "{session}");
    assert!(
        session.contains(r#""protocolVersion":"2025-11-25""#),
        "{session}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let (address, _directory) = tcp(ServeConfig::default()).await;
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(300 * 1024));
    let answer = exchange(
        TcpStream::connect(&address).await.unwrap(),
        &post("/mcp", "localhost", "", &body),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tasks.sock");
    let _data = start(
        Listener::bind_unix(&path).await.unwrap(),
        ServeConfig::default(),
    )
    .await;
    let answer = exchange(
        UnixStream::connect(&path).await.unwrap(),
        &post("/mcp", "localhost", MODERN, LIST),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("create_task"),
        "{answer}"
    );
}
