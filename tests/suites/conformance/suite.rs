//! The official suite as a program: runs its server scenarios against one URL and reads the checks it wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use serde::Deserialize;
use tokio::time::timeout;

/// Timeout of all scenarios of one version, one after the other, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(150);
/// How often a scenario that fails is run again by itself. Several wait for an event for half a second and no longer.
const REPEATS: usize = 2;

/// Where to run it, and with which credential.
pub(crate) struct Target {
    /// The MCP endpoint.
    pub(crate) url: String,
    /// The bearer token for the endpoint's origin, if it requires one.
    pub(crate) token: Option<String>,
}

/// One row of a scenario's results. The same id may occur more than once.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    #[serde(skip)]
    pub(crate) scenario: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) error_message: Option<String>,
}

/// The suite's statuses, from the best to the worst.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Status {
    Success,
    Info,
    Skipped,
    Warning,
    Failure,
}

impl Check {
    /// Whether it is a failure.
    pub(crate) fn fails(&self) -> bool {
        self.status >= Status::Warning
    }
}

/// Which scenarios to run.
#[derive(Clone, Copy)]
pub(crate) enum Selection {
    /// All that apply to the version.
    Version,
    /// These scenarios, of extensions, which belong to no version.
    Extension(&'static [&'static str]),
}

impl Selection {
    /// What to print after the version.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Version => "",
            Self::Extension(_) => ", extension",
        }
    }
}

/// Runs the scenarios, and those that fail again.
pub(crate) async fn run(target: &Target, version: &str, selection: Selection) -> Vec<Check> {
    let mut checks = match selection {
        Selection::Version => attempt(target, version, &["--suite", "all"]).await,
        Selection::Extension(scenarios) => {
            let mut checks = Vec::new();
            for scenario in scenarios {
                checks.extend(one(target, version, scenario).await);
            }
            checks
        }
    };
    for _ in 0..REPEATS {
        for scenario in failing(&checks) {
            let again = one(target, version, &scenario).await;
            checks.retain(|check| check.scenario != scenario);
            checks.extend(again);
        }
    }
    checks
}

/// One scenario of any version.
async fn one(target: &Target, version: &str, scenario: &str) -> Vec<Check> {
    attempt(target, version, &["--force", "--scenario", scenario]).await
}

fn failing(checks: &[Check]) -> BTreeSet<String> {
    let failing = checks.iter().filter(|check| check.fails());
    failing.map(|check| check.scenario.clone()).collect()
}

/// One run of the program. Its exit code only says that something failed; the files have the details.
async fn attempt(target: &Target, version: &str, selection: &[&str]) -> Vec<Check> {
    let results = tempfile::tempdir().unwrap();
    let mut command = tool("node");
    if let Some(token) = &target.token {
        let origin = target.url.trim_end_matches("/mcp");
        command
            .arg("--import")
            .arg(repository("tests/conformance/bearer.mjs"))
            .envs([("MCP_ORIGIN", origin), ("MCP_TOKEN", token)]);
    }
    command
        .arg(program())
        .args(["server", "--url", &target.url, "--spec-version", version])
        .args(selection)
        .arg("--output-dir")
        .arg(results.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{version}: not done in {DEADLINE:?}"));
    let checks = read(results.path());
    let said = output.unwrap();
    assert!(
        !checks.is_empty(),
        "{version}: the suite wrote no results\n{}\n{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    checks
}

fn program() -> std::path::PathBuf {
    let path = "tests/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js";
    let path = repository(path);
    assert!(
        path.is_file(),
        "no conformance suite: run scripts/npm.sh tests/conformance (make conformance does it)"
    );
    path
}

/// The folders are named `server-SCENARIO-YYYY-MM-DDTHH-MM-SS-mmmZ`.
fn read(results: &Path) -> Vec<Check> {
    const TIME: usize = "-2026-07-28T00-00-00-000Z".len();
    let mut all = Vec::new();
    for folder in std::fs::read_dir(results).unwrap().flatten() {
        let name = folder.file_name().into_string().unwrap();
        let scenario = name.strip_prefix("server-").unwrap();
        let scenario = &scenario[..scenario.len() - TIME];
        // A scenario that does not apply leaves an empty folder.
        let Ok(text) = std::fs::read(folder.path().join("checks.json")) else {
            continue;
        };
        let mut checks: Vec<Check> = serde_json::from_slice(&text).unwrap();
        for check in &mut checks {
            scenario.clone_into(&mut check.scenario);
        }
        all.extend(checks);
    }
    all
}
