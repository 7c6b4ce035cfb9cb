//! The command line of the Inspector against the built-in authorization server, given the URL alone. It runs once for each call and
//! keeps its tokens in files between them. `make acceptance ARGS=inspector` installs and runs it.

use std::process::Output;

use e2e::process::binary::repository;
use e2e::process::port;
use e2e::process::tool::tool;
use serde_json::Value;

use crate::setting::built_in::{BuiltIn, USER};
use crate::setting::desk::Desk;
use crate::sign_in::ledger::{self, EXPIRED};

const PROGRAM: &str = "tests/clients/inspector/node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js";

/// It never opens a browser: where its tokens are not accepted it fails.
const WITHOUT_BROWSER: &str = "--stored-auth-only";

/// Its exit code where somebody has to sign in.
const AUTH_REQUIRED: i32 = 3;

const ECHO: [&str; 6] = [
    "--method",
    "tools/call",
    "--tool-name",
    "secure_echo",
    "--tool-arg",
    "message=hello",
];

/// The Inspector, with files of its own.
pub(crate) struct Inspector {
    desk: Desk,
    callback: String,
}

impl Inspector {
    /// One of the person at this desk.
    pub(crate) fn of(desk: &Desk) -> Self {
        Self {
            desk: desk.clone(),
            callback: format!("http://{}/oauth/callback", port::free()),
        }
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = tool("node");
        self.desk.with_browser(&mut command);
        command
            .arg(repository(PROGRAM))
            .args(["--server-url", &self.desk.url])
            .args(["--transport", "http", "--format", "json"])
            .args(["--callback-url", &self.callback])
            .args(arguments)
            .env("HOME", &self.desk.folder)
            .env("MCP_INSPECTOR_SECRET_STORE", "file")
            // It opens a browser without a terminal too.
            .env("MCP_AUTO_OPEN_ENABLED", "true");
        command.output().await.unwrap()
    }

    /// The result that it prints.
    async fn result(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        let person = std::fs::read_to_string(self.desk.person_log()).unwrap_or_default();
        assert!(output.status.success(), "{output:?}\n{person}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        printed["result"].clone()
    }

    /// Who the task server says that the caller is.
    pub(crate) async fn subject(&self, arguments: &[&str]) -> Value {
        let result = self.result(&[&ECHO, arguments].concat()).await;
        result["structuredContent"]["subject"].clone()
    }
}

#[tokio::test]
#[ignore = "make acceptance ARGS=inspector installs the Inspector"]
async fn the_inspector_signs_in_refreshes_and_asks_again_after_a_revocation() {
    let built_in = BuiltIn::changed(ledger::short).await;
    let inspector = Inspector::of(&built_in.desk);
    let gateway = &built_in.gateway;
    let listed = inspector.result(&["--method", "tools/list"]).await;
    let tools = listed["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "secure_echo"));
    let ids = ledger::clients(gateway).await;
    assert_eq!(ids.len(), 1, "{ids:?}");

    tokio::time::sleep(EXPIRED).await;
    let user = format!("u:{USER}");
    for era in ["legacy", "modern"] {
        let arguments = [WITHOUT_BROWSER, "--protocol-era", era];
        assert_eq!(inspector.subject(&arguments).await, user.as_str());
    }
    ledger::more(gateway, &ids[0], ("refresh_token", "issued"), 0).await;

    ledger::revoke(gateway, &ids[0]).await;
    let refused = inspector
        .run(&[&ECHO[..], &[WITHOUT_BROWSER]].concat())
        .await;
    assert_eq!(refused.status.code(), Some(AUTH_REQUIRED), "{refused:?}");
    ledger::more(gateway, &ids[0], ("refresh_token", "invalid_grant"), 0).await;
    let code = ("authorization_code", "issued");
    let before = ledger::tokens(gateway, &ids[0], code);
    assert_eq!(inspector.subject(&[]).await, user.as_str());
    ledger::more(gateway, &ids[0], code, before).await;
}
