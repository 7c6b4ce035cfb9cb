//! One run of a client program with `--scenario step-up` through a gateway, and its effects.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::setting::Setting;
use crate::setting::provider::Consent;

/// Why the gateway refuses; its metric label.
const REASON: &str = "insufficient_scope";

/// A client program and how it is run.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    start: fn() -> Command,
    arguments: &'static [&'static str],
}

pub(crate) const fn program(start: fn() -> Command, arguments: &'static [&'static str]) -> Program {
    Program { start, arguments }
}

/// The effects of one run of a program: its own findings, and what gateway, provider and task server recorded.
pub(crate) struct Run {
    pub(crate) findings: Value,
    pub(crate) said: String,
    pub(crate) consents: Vec<Consent>,
    pub(crate) tokens: u64,
    pub(crate) created: usize,
}

impl Program {
    /// Lists tasks, creates one, and lists again, through a gateway that must refuse so many times for a missing scope.
    pub(crate) async fn run(self, setting: &Setting, refusals: u32) -> Run {
        let issued = tokens(setting).await;
        let refused = setting.gateway.refusals(REASON).await;
        let mut command = (self.start)();
        command
            .args([&setting.url(), "--scenario", "step-up"])
            .args(self.arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let counted = setting
            .gateway
            .counted(REASON, refused + f64::from(refusals))
            .await;
        let line = String::from_utf8_lossy(&output.stdout);
        let findings = serde_json::from_str(line.trim_end()).unwrap_or(Value::Null);
        let run = Run {
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            consents: setting.provider.consents().await,
            tokens: tokens(setting).await - issued,
            created: created(setting, &findings),
            findings,
        };
        assert_eq!(counted - refused, f64::from(refusals), "{run}");
        run
    }
}

/// The number of requests to the token endpoint.
async fn tokens(setting: &Setting) -> u64 {
    setting.provider.stats().await["token"].as_u64().unwrap()
}

/// How often the upstream received the call for the task of these findings.
fn created(setting: &Setting, findings: &Value) -> usize {
    let title = findings["title"].as_str().unwrap_or("no title");
    let sent = setting.tasks.relay.as_ref().unwrap().sent();
    sent.matches(title).count()
}

impl Run {
    /// Whether each call passed, and the scopes of its token.
    pub(crate) fn calls(&self) -> Vec<(bool, &str)> {
        let calls = self.findings["calls"].as_array();
        let calls = calls.unwrap_or_else(|| panic!("{self}")).iter();
        calls
            .map(|call| (call["passed"] == true, call["scope"].as_str().unwrap()))
            .collect()
    }

    /// The steps of the client to get a token, and to step up.
    pub(crate) fn steps(&self) -> Vec<&str> {
        let steps = self.findings["auth"]["steps"].as_array().unwrap().iter();
        steps.filter_map(Value::as_str).collect()
    }

    /// The error that the caller received when it could not create the task.
    pub(crate) fn error(&self) -> String {
        let call = &self.findings["calls"][1];
        let part = |name: &str| call[name].as_str().unwrap_or("nothing").to_owned();
        format!("{}: {}", part("error"), part("message"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}\n{}", self.findings, self.said)
    }
}
