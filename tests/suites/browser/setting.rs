//! A gateway with people and a client of the configuration, and the program that runs scenarios against it.

use std::path::PathBuf;
use std::process::Stdio;

use e2e::certificates::Authority;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::sign_in::{hash, with_users};
use serde_json::json;
use tokio::process::Command;

/// Seconds after which people have waited too long, where a test has that. More than a busy machine needs to sign somebody in.
pub(crate) const TOO_LONG: u64 = 15;

/// Who signs in, and somebody who may allow less.
const PEOPLE: [&str; 2] = ["carol", "dave"];
const PASSWORD: &str = "correct horse battery staple";

/// A client of the configuration. Nothing listens there.
const CONFIGURED: [&str; 2] = ["configured", "https://planner.example/callback"];

/// Somebody with the same password, whose hash takes as long as the users file allows.
const SLOW: &str = "erin";
const SLOW_HASH: &str = "$argon2id$v=19$m=8192,t=128,p=1$ytiucgmlja06ajwmNZAFpA$0eWRhmKDX/gOlmWEFDome42Q7zIsILpsqkPrcSYLE1I";

/// What the pages are called where the operator changed how they look.
const BRANDING: &str = "Example Tasks";

/// A logo that would run a script, if somebody opened it and its policy let it.
const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32"><rect width="32" height="32" rx="8" fill="#8a2be2"/><script>document.documentElement.setAttribute("data-ran", "")</script></svg>"##;

/// A running gateway. No page needs its upstream.
pub(crate) struct Setting {
    gateway: Gateway,
    /// Where screenshots go, below `target/browser`.
    results: &'static str,
    arguments: Vec<String>,
    /// The certificate of the authority that scenarios trust.
    authority: Option<PathBuf>,
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
            { "name": SLOW, "password": SLOW_HASH },
        ] });
        let config = with_users(config, &users.to_string());
        let client = json!({
            "id": CONFIGURED[0], "name": "Team planner", "redirect_uris": [CONFIGURED[1]],
            "method": "none", "grant_types": ["authorization_code"],
        });
        let mut tasks = resource("/mcp", "http://127.0.0.1:9/mcp", &["built-in"]);
        tasks["name"] = json!("Team tasks");
        tasks["scopes"]["supported"] = json!(["tasks:read", "tasks:write", "tasks:delete"]);
        tasks["scopes"]["descriptions"] = json!({
            "tasks:read": "Read your tasks",
            "tasks:write": "Create and change your tasks",
            "tasks:delete": "Delete your tasks",
        });
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
            results: "",
            arguments: Vec::new(),
            authority: None,
        }
    }

    /// A gateway that browsers reach by https, with the name, logo and colour of an operator.
    pub(crate) async fn https_and_branded() -> Self {
        let authority = Authority::new();
        let leaf = authority.leaf(&["localhost"]);
        let change = |config: Config| {
            let (certificate, private_key) = leaf.write(config.folder(), "tls");
            let files = json!([{ "certificate": certificate, "private_key": private_key }]);
            let url = format!("https://localhost:{}", config.public.port());
            let logo = config.write("logo.svg", LOGO);
            config.write("authority.pem", authority.pem());
            let branding = json!({ "name": BRANDING, "logo_file": logo, "color": "#ffd000" });
            config
                .set("/public_url", url)
                .set("/listen/0/tls", json!({ "certificates": files }))
                .set("/authorization_server/branding", branding)
        };
        let setting = Self::changed(change).await;
        Self {
            results: "https",
            arguments: vec!["--branding".to_owned(), BRANDING.to_owned()],
            authority: Some(setting.gateway.config.folder().join("authority.pem")),
            ..setting
        }
    }

    /// A gateway that serves one request at a time.
    pub(crate) async fn crowded() -> Self {
        let change = |config: Config| config.set("/authorization_server/limits/requests", 1);
        Self {
            arguments: vec!["--slow".to_owned(), SLOW.to_owned()],
            ..Self::changed(change).await
        }
    }

    /// Runs groups of scenarios; what they found is the message of the failure.
    pub(crate) async fn run(&self, groups: &[&str]) {
        let mut command = scenarios(&self.gateway, self.results);
        command
            .args(["--user", PEOPLE[0], "--other", PEOPLE[1]])
            .args(["--password", PASSWORD])
            .args(["--configured", &CONFIGURED.join("=")])
            .args(["--lifetime", &TOO_LONG.to_string()])
            .args(&self.arguments)
            .args(groups);
        if let Some(authority) = &self.authority {
            command.env("NODE_EXTRA_CA_CERTS", authority);
        }
        passes(command).await;
    }
}

/// The program that runs scenarios against this gateway; pictures go to this folder below `target/browser`.
pub(crate) fn scenarios(gateway: &Gateway, results: &str) -> Command {
    let mut command = tool("node");
    command
        .arg(repository("tests/browser/run.mjs"))
        .args(["--base", &gateway.config.public_url()])
        .arg("--results")
        .arg(repository("target/browser").join(results))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it; what it found is the message of the failure.
pub(crate) async fn passes(mut command: Command) {
    let output = command.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(!printed.contains("skipped"), "{printed}");
    println!("{printed}");
}
