//! The Python and TypeScript SDKs: programs that check their results and fail by themselves.

use std::process::Stdio;

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde_json::Value;
use tokio::process::Command;

use crate::setting::Setting;

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const LEGACY: &str = "2025-11-25";

/// The expected steps: the challenge requests the scope to read, the first changing tool one more, once.
pub(crate) const STEPS: [&str; 9] = [
    "challenge",
    "resource_metadata",
    "server_metadata",
    "registration",
    "authorization",
    "token",
    "step_up",
    "authorization",
    "token",
];

pub(crate) fn python() -> Command {
    program("python", "python/client.py")
}

pub(crate) fn typescript() -> Command {
    program("node", "typescript/modern.mjs")
}

pub(crate) fn typescript_1() -> Command {
    program("node", "typescript/legacy.mjs")
}

fn program(interpreter: &str, path: &str) -> Command {
    let mut command = tool(interpreter);
    command.arg(repository("tests/clients").join(path));
    command
}

/// Runs the program through the gateway and checks its findings.
pub(crate) async fn walk(setting: &Setting, mut command: Command, mode: &str, version: &str) {
    command
        .args([&setting.url(), "--mode", mode, "--login-hint", "carol"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let findings: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();

    assert_eq!(findings["protocol_version"], version, "{findings}");
    assert_eq!(
        findings["subject"], "carol",
        "the identity reached the tool"
    );
    assert_eq!(
        findings["auth"]["token"]["iss"],
        setting.provider.issuer.as_str()
    );
    assert_eq!(
        findings["auth"]["token"]["aud"],
        setting.url().as_str(),
        "RFC 8707"
    );
    assert_eq!(findings["progress"], 4, "the event stream came through");
    let steps: Vec<_> = findings["auth"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(steps, STEPS);
    let sent = setting.tasks.relay.as_ref().unwrap().sent();
    assert!(sent.contains("x-mcp-subject: carol") && sent.contains("generate_report"));
}

#[tokio::test]
async fn python_with_automatic_version() {
    walk(&Setting::start().await, python(), "auto", MODERN).await;
}

#[tokio::test]
async fn python_modern() {
    walk(&Setting::start().await, python(), "modern", MODERN).await;
}

#[tokio::test]
async fn python_legacy() {
    walk(&Setting::start().await, python(), "legacy", LEGACY).await;
}

#[tokio::test]
async fn typescript_modern() {
    walk(&Setting::start().await, typescript(), "modern", MODERN).await;
}

#[tokio::test]
async fn typescript_with_automatic_version() {
    walk(&Setting::start().await, typescript(), "auto", MODERN).await;
}

#[tokio::test]
async fn typescript_legacy() {
    walk(&Setting::start().await, typescript(), "legacy", LEGACY).await;
}

#[tokio::test]
async fn typescript_sdk_of_the_first_version() {
    walk(&Setting::start().await, typescript_1(), "legacy", LEGACY).await;
}

#[tokio::test]
async fn both_languages_over_tls() {
    let setting = Setting::start_tls().await;
    let ca = setting.gateway.config.folder().join("ca.pem");
    for mut command in [python(), typescript()] {
        command.arg("--ca").arg(&ca);
        walk(&setting, command, "auto", MODERN).await;
    }
}
