//! The SDKs against the built-in authorization server, given the URL alone: discovery, registration, sign-in, consent, token, and
//! everything the task server offers. The second tool asks for one scope more (step-up), so each signs in twice.

use e2e::process::tool::tool;
use serde_json::Value;
use tokio::process::Command;

use crate::sdks::programs::{LEGACY, MODERN, STEPS, python, typescript, typescript_1};
use crate::setting::built_in::{BuiltIn, PASSWORD, USER};
use e2e::process::binary::repository;

async fn walk(mut command: Command, mode: &str, version: &str) {
    let built_in = BuiltIn::start().await;
    let person = format!("{USER}:{PASSWORD}");
    command.args([&built_in.url(), "--mode", mode, "--person", &person]);
    built_in.with_browser(&mut command);
    let findings = findings(&built_in, command).await;
    assert_eq!(findings["protocol_version"], version, "{findings}");
    let token = &findings["auth"]["token"];
    assert_eq!(token["iss"], built_in.gateway.config.public_url().as_str());
    assert_eq!(token["aud"], built_in.url().as_str(), "RFC 8707");
    assert_eq!(
        findings["subject"], token["sub"],
        "the identity reached the tool"
    );
    assert_eq!(findings["progress"], 4, "the event stream came through");
    let steps = findings["auth"]["steps"].as_array().unwrap().iter();
    let steps: Vec<_> = steps.filter_map(Value::as_str).collect();
    assert_eq!(steps, STEPS);
}

/// What the client prints when it ends well.
async fn findings(built_in: &BuiltIn, mut command: Command) -> Value {
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let person = std::fs::read_to_string(built_in.person_log()).unwrap_or_default();
    assert!(
        output.status.success(),
        "{said}\n{}\nthe person at the browser: {person}\nthe gateway: {}",
        String::from_utf8_lossy(&output.stderr),
        built_in.gateway.output().text()
    );
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn python_modern_signs_in() {
    walk(python(), "modern", MODERN).await;
}

#[tokio::test]
async fn python_legacy_signs_in() {
    walk(python(), "legacy", LEGACY).await;
}

#[tokio::test]
async fn typescript_modern_signs_in() {
    walk(typescript(), "modern", MODERN).await;
}

#[tokio::test]
async fn typescript_of_the_first_version_signs_in() {
    walk(typescript_1(), "legacy", LEGACY).await;
}

#[tokio::test]
async fn fastmcp_opens_a_browser_and_signs_in() {
    let built_in = BuiltIn::start().await;
    let mut command = tool("python");
    command
        .arg(repository("tests/clients/python/fast.py"))
        .arg(built_in.url());
    built_in.with_browser(&mut command);
    let findings = findings(&built_in, command).await;
    let tools = findings["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool == "create_task"), "{findings}");
    let subject = findings["echo"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("u:"), "{findings}");
}
