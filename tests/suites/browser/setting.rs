//! A gateway with people and a client of the configuration, and the program that runs scenarios against it.

use std::process::Stdio;

use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::sign_in::{hash, with_users};
use serde_json::json;

/// Seconds after which people have waited too long, where a test has that. More than a busy machine needs to sign somebody in.
pub(crate) const TOO_LONG: u64 = 15;

/// Who signs in, and somebody who may allow less.
const PEOPLE: [&str; 2] = ["carol", "dave"];
const PASSWORD: &str = "correct horse battery staple";

/// A client of the configuration. Nothing listens there.
const CONFIGURED: [&str; 2] = ["configured", "https://planner.example/callback"];

/// A running gateway. No page needs its upstream.
pub(crate) struct Setting {
    gateway: Gateway,
}

impl Setting {
    pub(crate) async fn start() -> Self {
        Self::changed(|config| config).await
    }

    /// The same with changes to the configuration.
    pub(crate) async fn changed(change: impl FnOnce(Config) -> Config) -> Self {
        let config = Config::empty();
        let hash = hash(PASSWORD).await;
        let users = json!({ "users": [
            { "name": PEOPLE[0], "password": hash },
            { "name": PEOPLE[1], "password": hash, "scopes": ["tasks:read"] },
        ] });
        let config = with_users(config, &users.to_string());
        let client = json!({
            "id": CONFIGURED[0], "name": "Team planner", "redirect_uris": [CONFIGURED[1]],
            "method": "none", "grant_types": ["authorization_code"],
        });
        let mut tasks = resource("/mcp", "http://127.0.0.1:9/mcp", &["built-in"]);
        tasks["name"] = json!("Team tasks");
        tasks["scopes"]["descriptions"] = json!({ "tasks:read": "Read your tasks", "tasks:write": "Create and change your tasks" });
        let directory = config.folder().join("state");
        let server = json!({
            "directory": directory, "users_file": "users.yaml", "clients": [client],
            // Nothing leaves this machine.
            "metadata_documents": { "fetch": false },
        });
        let config = config
            .set("/authorization_server", server)
            .set("/resources", json!([tasks]));
        Self {
            gateway: Gateway::start(change(config)).await,
        }
    }

    /// Runs groups of scenarios; what they found is the message of the failure.
    pub(crate) async fn run(&self, groups: &[&str]) {
        let mut command = tool("node");
        command
            .arg(repository("tests/browser/run.mjs"))
            .args(["--base", &self.gateway.config.public_url()])
            .args(["--user", PEOPLE[0], "--other", PEOPLE[1]])
            .args(["--password", PASSWORD])
            .args(["--configured", &CONFIGURED.join("=")])
            .args(["--lifetime", &TOO_LONG.to_string()])
            .arg("--results")
            .arg(repository("target/browser"))
            .args(groups)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}\n{errors}");
        assert!(!printed.contains("skipped"), "{printed}");
        println!("{printed}");
    }
}
