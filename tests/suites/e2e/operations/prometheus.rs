//! A real Prometheus scrapes the gateway, and its linter reports no problem.

use std::process::Stdio;

use e2e::client::{initialize, tool};
use e2e::eventually;
use e2e::process::Process;
use e2e::process::port;
use e2e::world::World;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A program of Debian's `prometheus` package.
fn program(name: &str) -> Command {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).exists()));
    assert!(
        found,
        "{name} is missing: apt-get install prometheus (scripts/setup.sh does it)"
    );
    Command::new(name)
}

/// A gateway whose metrics all have a value.
async fn busy() -> World {
    let world = World::start().await;
    world
        .acceptance(
            world
                .gateway
                .post(tool(1, "create_task"))
                .token(&world.writer()),
        )
        .await
        .unwrap();
    world
        .refusal(world.gateway.post(initialize()), 401, "no_credentials")
        .await
        .unwrap();
    world
}

#[tokio::test]
async fn promtool_reports_no_problem() {
    let world = busy().await;
    let text = world.gateway.admin("/metrics").await.text();
    let mut child = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .await
        .unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

#[tokio::test]
async fn prometheus_scrapes_the_admin_listener() {
    let world = busy().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: mcp-gateway\n    static_configs: [ {{ targets: ['{}'] }} ]\n",
        world.gateway.config.admin
    );
    std::fs::write(&file, config).unwrap();
    let address = port::free();
    let mut command = program("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"));
    let prometheus = Process::spawn(command);
    let http = e2e::client::http();
    let query = async |query: &str| -> Option<f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = http
            .get(format!("http://{address}/api/v1/query?query={encoded}"))
            .send()
            .await
            .ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    };
    eventually(&format!("a scrape\n{}", prometheus.output()), async || {
        query("up{job=\"mcp-gateway\"}").await == Some(1.0)
    })
    .await;
    assert_eq!(
        query("mcp_gateway_tool_calls_total{tool=\"create_task\"}").await,
        Some(1.0)
    );
    assert_eq!(
        query("sum(mcp_gateway_refusals_total{reason=\"no_credentials\"})").await,
        Some(1.0)
    );
    assert_eq!(query("mcp_gateway_build_info").await, Some(1.0));
}
