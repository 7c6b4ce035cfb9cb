//! Three clients of HTTP+SSE at three servers of it, through the gateway: each gets from the challenge to a token, lists the tools
//! that the policy shows, and calls one twice.

use std::process::Stdio;

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde_json::{Value, json};
use tokio::process::Command;

use super::servers::{KINDS, Kind, Server};
use crate::setting::Setting;
use crate::sign_in::caller::Caller;

/// The gateway before a server of this kind. Its policy hides a tool.
async fn setting(kind: Kind, server: &Server) -> Setting {
    let policy = json!({
        "default": "allow",
        "hide": "denied",
        "rules": [{ "method": "tools/call", "name": kind.hidden(), "deny": "not here" }],
    });
    Setting::changed(|config| {
        config
            .set("/resources/0/upstream", server.upstream())
            .set("/resources/0/policy", policy)
    })
    .await
}

/// Runs a program of `tests/clients` at each kind of server, and checks its findings.
async fn walk(command: fn() -> Command, arguments: &[&str]) {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let setting = setting(kind, &server).await;
        let findings = findings(command(), &setting, arguments, &server).await;
        check(kind, &findings);
        if arguments.contains(&"--fallback") {
            assert_eq!(findings["fallback"], 405, "{kind:?}: {findings}");
        }
    }
}

async fn findings(
    mut command: Command,
    setting: &Setting,
    arguments: &[&str],
    server: &Server,
) -> Value {
    command
        .arg(setting.url())
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\n{errors}\n{}",
        server.said()
    );
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

fn check(kind: Kind, findings: &Value) {
    let tools = findings["tools"].as_array().unwrap();
    assert!(tools.contains(&json!("echo")), "{kind:?}: {findings}");
    let hidden = json!(kind.hidden());
    assert!(!tools.contains(&hidden), "{kind:?}: {findings}");
    let echoes = json!(["Echo: hello", "Echo: again"]);
    assert_eq!(findings["echoes"], echoes, "{kind:?}: {findings}");
}

fn python() -> Command {
    program("python", "python/sse.py")
}

fn typescript() -> Command {
    program("node", "typescript/sse.mjs")
}

fn program(interpreter: &str, path: &str) -> Command {
    let mut command = tool(interpreter);
    command.arg(repository("tests/clients").join(path));
    command
}

#[tokio::test]
async fn the_python_sdk_works_with_each_server() {
    walk(python, &["--mode", "legacy"]).await;
}

#[tokio::test]
async fn the_python_sdk_that_looks_for_a_newer_revision_first_works_with_each_server() {
    walk(python, &["--mode", "auto"]).await;
}

#[tokio::test]
async fn the_typescript_sdk_works_with_each_server() {
    walk(typescript, &[]).await;
}

#[tokio::test]
async fn the_typescript_sdk_that_begins_with_streamable_http_falls_back() {
    walk(typescript, &["--fallback"]).await;
}

#[tokio::test]
async fn mcp_remote_works_with_each_server() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let setting = setting(kind, &server).await;
        let token = setting.provider.machine_token(&setting.url()).await;
        let folder = setting.gateway.config.folder().join("mcp-remote");
        let mut command = tool("node");
        command
            .arg(repository(
                "tests/clients/node_modules/mcp-remote/dist/proxy.js",
            ))
            .arg(setting.url())
            .args(["--transport", "sse-only", "--header"])
            .arg(format!("Authorization: Bearer {token}"))
            .env("MCP_REMOTE_CONFIG_DIR", folder);
        let mut caller = Caller::server(command).await;
        for word in ["hello", "again"] {
            let called = caller.call_tool("echo", json!({ "message": word })).await;
            assert_eq!(called, Ok(()), "{kind:?}: {}", server.said());
        }
    }
}
