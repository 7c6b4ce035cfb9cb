//! Health checks of the Python SDK's server, which says how many sessions are open there.

use std::time::Duration;

use e2e::eventually;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::process::{Process, port};
use e2e::world::several::Several;
use serde_json::{Value, json};
use tokio::time::sleep;

/// How many sessions are open at the server on this port.
async fn open(port: u16) -> Option<u64> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}/sessions");
    let answer = client.get(url).send().await.ok()?;
    answer.json::<Value>().await.ok()?["open"].as_u64()
}

#[tokio::test]
async fn the_python_sdk_has_one_session_of_the_checks_until_they_end() {
    let port = port::free().port();
    let mut command = tool("python");
    command
        .arg(repository("tests/clients/python/legacy_server.py"))
        .args(["--port", &port.to_string()]);
    let server = Process::spawn(command);
    server.handle().line("Uvicorn running").await;
    let check = json!({ "kind": "mcp", "interval": "1s", "rise": 1, "fall": 1 });
    let mut several = Several::start(1, json!({ "health_check": check })).await;
    let url = format!("http://127.0.0.1:{port}/mcp");
    several
        .reload("/resources/0/upstream/endpoints", json!([url]))
        .await;
    eventually("a session of the checks", async || {
        open(port).await == Some(1)
    })
    .await;
    for _ in 0..10 {
        sleep(Duration::from_millis(400)).await;
        assert_eq!(open(port).await, Some(1));
    }
    let log = several.gateway.log().await;
    assert!(!log.contains("endpoint left out"), "{log}");
    assert_eq!(several.gateway.stop().await, Some(0));
    assert_eq!(open(port).await, Some(0));
}
