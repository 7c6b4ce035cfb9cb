//! `config/decision-point.yaml` with decision points over Cedar and Rego (`tests/providers/decision`), which have the same rules: what
//! each of them allows, refuses and hides.

use std::time::Duration;

use e2e::client::{Call, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::upstream::{Upstream, result};
use e2e::world::Table;
use serde_json::{Value, json};
use test_support::{Key, Token};
use tokio::process::Command;

/// Time for Python and the engine to start.
const START: Duration = Duration::from_secs(60);

/// A running decision point.
struct Engine {
    url: String,
    _process: Process,
}

impl Engine {
    async fn start(name: &str) -> Self {
        let python = repository(".tools/providers/bin/python");
        assert!(
            python.is_file(),
            "{} is missing: run tests/providers/setup.sh (make test does it)",
            python.display()
        );
        let mut command = Command::new(python);
        command
            .arg(repository("tests/providers/decision/point.py"))
            .args(["--engine", name]);
        let mut process = Process::spawn(command);
        let output = process.handle();
        let url = async {
            loop {
                let text = output.text();
                let line = text.lines().find(|line| line.starts_with("{\"url\""));
                if let Some(line) = line {
                    let line: Value = serde_json::from_str(line).expect("one line of JSON");
                    return line["url"].as_str().expect("a URL").to_owned();
                }
                assert!(process.runs(), "the decision point ended: {text}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let url = tokio::time::timeout(START, url).await;
        Self {
            url: url.expect("the decision point is ready in time"),
            _process: process,
        }
    }
}

/// The gateway with the example, and what a call gets.
struct Site {
    gateway: Gateway,
    _upstream: Upstream,
    key: Key,
}

impl Site {
    async fn start(engine: &Engine) -> Self {
        let key = Key::es256("first");
        let upstream = Upstream::start().await;
        upstream.script(|request| {
            let message = request.json();
            let tools = ["list_tasks", "create_task", "drop_tasks"];
            let tools: Vec<_> = tools.iter().map(|name| json!({ "name": name })).collect();
            result(&message["id"], json!({ "tools": tools }))
        });
        let config = Config::example("decision-point.yaml", &upstream.url(), &[&key])
            .set("/decision_points/company/url", engine.url.as_str())
            .set("/decision_points/company/timeout", "30s");
        Self {
            gateway: Gateway::start(config).await,
            _upstream: upstream,
            key,
        }
    }

    fn token(&self, department: &str) -> Token {
        let token = Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp"));
        token
            .scope("tasks:read tasks:write")
            .claim("department", department)
    }

    fn call(&self, department: &str, name: &str, arguments: Value) -> Call {
        let params = json!({ "name": name, "arguments": arguments });
        let call = self.gateway.post(request(1, "tools/call", params));
        call.token(&self.token(department).sign())
    }

    async fn tools(&self, department: &str) -> Vec<String> {
        let call = self.gateway.post(request(1, "tools/list", json!({})));
        let reply = call.token(&self.token(department).sign()).send().await;
        let tools = reply.json()["result"]["tools"].clone();
        let tools = tools
            .as_array()
            .unwrap_or_else(|| panic!("{}", reply.text()));
        tools
            .iter()
            .map(|tool| tool["name"].as_str().expect("a name").to_owned())
            .collect()
    }
}

async fn decides_by_its_rules(name: &str) {
    let engine = Engine::start(name).await;
    let site = Site::start(&engine).await;
    let mut table = Table::default();
    for (department, tool, arguments, status) in [
        ("ops", "list_tasks", json!({}), 200),
        ("sales", "list_tasks", json!({}), 200),
        ("ops", "create_task", json!({}), 200),
        ("ops", "create_task", json!({ "priority": "low" }), 200),
        ("ops", "create_task", json!({ "priority": "high" }), 403),
        ("sales", "create_task", json!({}), 403),
        ("ops\" || true || \"", "create_task", json!({}), 403),
        ("ops", "drop_tasks", json!({}), 403),
        ("ops", "drop\"tasks\u{e9}", json!({}), 403),
    ] {
        let reply = site.call(department, tool, arguments.clone()).send().await;
        table.check(
            &format!("{department} {tool} {arguments}"),
            reply.status == status,
            || format!("{} instead of {status}: {}", reply.status, reply.text()),
        );
    }
    for (department, expected) in [
        ("ops", &["list_tasks", "create_task"][..]),
        ("sales", &["list_tasks"]),
    ] {
        let tools = site.tools(department).await;
        table.check(department, tools == expected, || format!("{tools:?}"));
    }
}

#[tokio::test]
async fn a_decision_point_over_cedar_decides_by_its_policies() {
    decides_by_its_rules("cedar").await;
}

#[tokio::test]
async fn a_decision_point_over_rego_decides_by_its_module() {
    decides_by_its_rules("rego").await;
}
