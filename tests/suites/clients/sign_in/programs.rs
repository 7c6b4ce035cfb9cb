//! Whole programs against the built-in authorization server: mcp-remote, the scanner of PyPI `mcp-authlab`, and the authorization
//! server scenarios of the official conformance suite. Each opens a browser, or prints the URL for one.

use std::process::Stdio;

use e2e::gateway::config::resource;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::setting::built_in::{BuiltIn, PASSWORD, USER};
use crate::sign_in::caller::Caller;
use crate::sign_in::lifetimes::mcp_remote;

/// Where the conformance suite waits for the browser, and the client that it is.
const SUITE: &str = "conformance";

#[tokio::test]
async fn mcp_remote_signs_in_and_steps_up_for_a_tool_that_needs_more() {
    let built_in = BuiltIn::start().await;
    let mut caller = Caller::server(mcp_remote(&built_in.desk)).await;
    assert_eq!(caller.call().await, Ok(()));
    let created = caller.call_tool("create_task", json!({ "title": "by mcp-remote" }));
    assert_eq!(created.await, Ok(()));
    let metrics = built_in.gateway.metrics().await;
    let consents = metrics.sum(
        "mcp_gateway_oauth_consents_total",
        &[("decision", "allowed")],
    );
    assert_eq!(consents, 2.0, "the person was asked again");
}

#[tokio::test]
async fn the_scanner_signs_in_and_finds_nothing() {
    let built_in = BuiltIn::with_two_resources().await;
    let report = built_in.folder().join("report.json");
    let (url, other) = (built_in.url(), built_in.gateway.uri("/other"));
    scan(
        &built_in,
        &["login", &url, "--thorough", "--foreign-resource", &other],
    )
    .await;
    let report = report.to_str().unwrap();
    scan(
        &built_in,
        &["scan", &url, "--format", "json", "--output", report],
    )
    .await;
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 33, "{report}");
    for result in results {
        // Plain HTTP on loopback is a warning.
        let expected = if result["id"] == "TLS-01" {
            "warn"
        } else {
            "pass"
        };
        assert_eq!(result["status"], expected, "{result}");
    }
}

async fn scan(built_in: &BuiltIn, arguments: &[&str]) {
    let mut command = tool("mcp-authlab");
    built_in.with_browser(&mut command);
    let output = command
        .args(arguments)
        .env("HOME", built_in.folder())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn the_official_suite_passes() {
    let port = e2e::process::port::free().port();
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let client = json!({
        "id": SUITE, "redirect_uris": [redirect], "method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    let built_in =
        BuiltIn::changed(|config| config.set("/authorization_server/clients", json!([client])))
            .await;
    let suite = "tests/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js";
    let mut child = tool("node")
        .arg(repository(suite))
        .args([
            "authorization",
            "--url",
            &built_in.gateway.config.public_url(),
        ])
        .args(["--client-id", SUITE, "--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("/authorize?") {
            open(&line);
        }
        printed.push_str(&line);
        printed.push('\n');
    }
    assert!(child.wait().await.unwrap().success(), "{printed}");
    assert!(printed.contains("Total: 3 passed, 0 failed"), "{printed}");
}

/// Opens a URL that somebody is asked to open.
fn open(url: &str) {
    let person = repository("tests/clients/browser/person.py");
    Command::new("python3")
        .arg(person)
        .args([url.trim(), "--user", USER, "--password", PASSWORD])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
}

impl BuiltIn {
    /// The same with a second resource, `/other`.
    async fn with_two_resources() -> Self {
        Self::changed(|config| {
            let upstream = config.upstream();
            config.set("/resources/1", resource("/other", &upstream, &["built-in"]))
        })
        .await
    }
}
