//! The identity provider as a process, and its controls.

use std::path::Path;

use e2e::client;
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde_json::{Value, json};

/// A running identity provider.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    http: reqwest::Client,
    _process: Process,
}

/// One decision of the user: requested and granted scopes, each separated by spaces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Consent {
    pub(crate) asked: String,
    pub(crate) granted: String,
}

impl Provider {
    /// Starts one with this resource.
    pub(crate) async fn start(resource: &str) -> Self {
        Self::run(resource, &[], client::http()).await
    }

    /// The same with TLS and this certificate, where tokens are bound to the certificates of clients. `http` is used for everything.
    pub(crate) async fn start_mutual_tls(
        resource: &str,
        (certificate, key): (&Path, &Path),
        http: reqwest::Client,
    ) -> Self {
        let [certificate, key] = [certificate, key].map(|file| file.to_str().expect("a path"));
        let options = ["--mutual-tls", "--tls-cert", certificate, "--tls-key", key];
        Self::run(resource, &options, http).await
    }

    /// Starts one with more options.
    pub(crate) async fn start_with(resource: &str, options: &[&str]) -> Self {
        Self::run(resource, options, client::http()).await
    }

    async fn run(resource: &str, options: &[&str], http: reqwest::Client) -> Self {
        let mut command = tool("node");
        command.arg(repository("tests/clients/idp/provider.mjs"));
        command.args(["--resource", &format!("{resource}=tasks:read,tasks:write")]);
        command.args(options);
        let process = Process::spawn(command);
        let line = process.handle().line("\"issuer\"").await;
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON");
        let issuer = ready["issuer"].as_str().expect("an issuer").to_owned();
        Self {
            issuer,
            http,
            _process: process,
        }
    }

    /// Uses one of its controls.
    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        let answer = self
            .http
            .post(format!("{}/__control/{path}", self.issuer))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// The number of requests to each of its endpoints.
    pub(crate) async fn stats(&self) -> Value {
        self.read("stats").await
    }

    /// Withholds these scopes from now on: a request for one is answered in this way
    /// (`narrow`, `deny`).
    pub(crate) async fn withhold(&self, scopes: &[&str], answer: &str) {
        self.control("consent", json!({ "withhold": scopes, "answer": answer }))
            .await;
    }

    /// Requested and granted scopes since the last [`Self::withhold`].
    pub(crate) async fn consents(&self) -> Vec<Consent> {
        let scopes = |list: &Value| -> Vec<String> {
            let list = list.as_array().unwrap().iter();
            list.map(|scope| scope.as_str().unwrap().to_owned())
                .collect()
        };
        let decisions = self.read("consent").await;
        let decisions = decisions.as_array().unwrap().iter();
        decisions
            .map(|decision| Consent {
                asked: scopes(&decision["asked"]).join(" "),
                granted: scopes(&decision["granted"]).join(" "),
            })
            .collect()
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}/__control/{path}", self.issuer))
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }

    /// A token by client credentials (RFC 6749 §4.4) for `resource`.
    pub(crate) async fn machine_token(&self, resource: &str) -> String {
        let resource: String = resource
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let answer = self
            .http
            .post(format!("{}/token", self.issuer))
            .basic_auth("machine", Some("machine-secret"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("grant_type=client_credentials&resource={resource}"))
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    /// Signs with this algorithm from now on.
    pub(crate) async fn sign_with(&self, algorithm: &str) {
        self.control(&format!("alg?alg={algorithm}"), json!({}))
            .await;
    }
}
