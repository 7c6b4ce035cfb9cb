//! Programs that stand for a company's identity provider (`tests/providers`), and a person who signs in there without a browser.

pub mod person;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::client;
use crate::gateway::config::Config;
use crate::leaks;
use crate::process::binary::repository;
use crate::process::tool::{node_that_runs, tool};
use crate::process::{Process, port};

/// The password of everybody at a provider (`people.mjs`).
pub const PASSWORD: &str = "provider password";

/// The gateway's `client_id` at each provider.
pub const CLIENT_ID: &str = "gateway";

/// Its secret there.
pub const CLIENT_SECRET: &str = "the-secret-of-the-gateway-at-its-provider";

/// The company's tenant at Entra, and another company's.
pub const TENANTS: [&str; 2] = [
    "4a1dc3f0-7c1b-4c0a-9d7e-0f3a51d2a001",
    "4a1dc3f0-7c1b-4c0a-9d7e-0f3a51d2a002",
];

/// How long a busy machine may take to start one.
const START: Duration = Duration::from_secs(120);

/// Which program stands for the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// npm `oidc-provider` with the ways of this preset.
    Company(&'static str),
    /// Debian's `glewlwyd`. Its pages need scripts.
    Glewlwyd,
    /// PyPI `canaille`.
    Canaille,
    /// The fake of GitHub's OAuth.
    GitHub,
}

/// A running provider with one client: the gateway.
pub struct Provider {
    /// Which one it is.
    pub program: Program,
    /// Its name in the gateway's configuration.
    pub name: String,
    /// Its issuer; the site where it is GitHub's fake.
    pub issuer: String,
    /// Scheme, host and port of its pages.
    pub origin: String,
    http: reqwest::Client,
    process: Process,
}

impl Provider {
    /// Starts one to which the gateway of this configuration sends people as `name`.
    pub async fn start(program: Program, name: &str, config: &Config) -> Self {
        Self::start_with(program, name, config, &[]).await
    }

    /// The same with more options of its program.
    pub async fn start_with(
        program: Program,
        name: &str,
        config: &Config,
        options: &[&str],
    ) -> Self {
        let redirect = format!("{}/callback/{name}", config.public_url());
        let mut command = program.command();
        command
            .args(["--redirect", &redirect])
            .args(["--client-id", CLIENT_ID])
            .args(["--client-secret", &leaks::secret(CLIENT_SECRET)])
            .args(options);
        let mut process = Process::spawn(command);
        let line = ready(&mut process).await;
        let text = |member: &str| line[member].as_str().expect("a text").to_owned();
        Self {
            program,
            name: name.to_owned(),
            issuer: text("issuer"),
            origin: text("origin"),
            http: client::http(),
            process,
        }
    }

    /// Its entry in `authorization_server.providers`, with the file of the secret next to the configuration. Members of `more` are added.
    pub fn entry(&self, config: &Config, more: &Value) -> Value {
        let file = config.write(&format!("{}.secret", self.name), CLIENT_SECRET);
        let private = Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, private).expect("the file is ours");
        let mut entry = json!({
            "name": self.name,
            "preset": self.program.preset(),
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret_file": file,
        });
        if self.program == Program::Company("entra") {
            entry["issuer"] = json!(format!("{}/{{tenantid}}/v2.0", self.origin));
            entry["tenants"] = json!([TENANTS[0]]);
        }
        for (name, value) in more.as_object().into_iter().flatten() {
            entry[name] = value.clone();
        }
        entry
    }

    /// Uses one of its controls (README.md beside the programs).
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/__control/{path}", self.origin);
        let answer = self.http.post(url).json(&body).send().await;
        let answer = answer.expect("the provider answers");
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        answer.json().await.expect("JSON")
    }

    /// Does something wrong from now on.
    pub async fn fault(&self, fault: Value) {
        self.control("fault", fault).await;
    }

    /// Does nothing wrong any more.
    pub async fn recover(&self) {
        self.control("clear", json!({})).await;
    }

    /// How often an endpoint was asked since the last time that this was reset, and the last authorization request.
    pub async fn stats(&self) -> Value {
        let url = format!("{}/__control/stats", self.origin);
        let answer = self.http.get(url).send().await;
        answer
            .expect("the provider answers")
            .json()
            .await
            .expect("JSON")
    }

    /// How often this endpoint was asked.
    pub async fn asked(&self, endpoint: &str) -> u64 {
        self.stats().await["counts"][endpoint]
            .as_u64()
            .unwrap_or_default()
    }

    /// What the program printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

impl Program {
    /// The preset for it.
    pub const fn preset(self) -> &'static str {
        match self {
            Self::Company(preset) => preset,
            Self::Glewlwyd | Self::Canaille => "oidc",
            Self::GitHub => "github",
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Company(preset) => {
                let mut command = script("company/main.mjs");
                command.args(["--preset", preset]);
                command
            }
            Self::GitHub => script("github/main.mjs"),
            Self::Glewlwyd => {
                let mut command = script("glewlwyd/main.mjs");
                command.args(["--port", &port::free().port().to_string()]);
                command
            }
            Self::Canaille => canaille(),
        }
    }
}

fn script(path: &str) -> Command {
    let mut command = tool("node");
    command.arg(repository("tests/providers").join(path));
    command
}

fn canaille() -> Command {
    let python: PathBuf = repository(".tools/providers/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: run tests/providers/setup.sh (make test does it)",
        python.display()
    );
    let people = repository("tests/providers/people.mjs");
    let people =
        format!("import({people:?}).then(({{ PEOPLE }}) => console.log(JSON.stringify(PEOPLE)))");
    let mut command = Command::new(python);
    command
        .arg(repository("tests/providers/canaille/main.py"))
        .args(["--port", &port::free().port().to_string()])
        .args(["--people", &node_that_runs(&people)])
        .args(["--password", PASSWORD]);
    command
}

/// The line that says that it is ready.
async fn ready(process: &mut Process) -> Value {
    let output = process.handle();
    let line = async {
        loop {
            let text = output.text();
            let line = text.lines().find(|line| line.starts_with("{\"issuer\""));
            if let Some(line) = line {
                return serde_json::from_str(line).expect("one line of JSON");
            }
            assert!(process.runs(), "the provider ended: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START, line)
        .await
        .expect("the provider is ready in time")
}
