//! The official conformance suite, directly at the server of [`fixture`] and through the gateway in front of the same server: no
//! check is allowed to end worse behind the gateway. Needs what `tests/clients/setup.sh` and `scripts/npm.sh tests/conformance` install.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![allow(
    deprecated,
    reason = "2026-07-28 deprecates sampling, roots and logging, and legacy clients use them"
)]

mod fixture;
mod suite;
mod verdict;

use std::io::Write;

use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use test_support::{Key, Token};

use fixture::Server;
use suite::{Selection, Target};
use verdict::Verdicts;

/// The scenarios of the tasks extension (SEP-2663).
const TASKS: [&str; 10] = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-status-notifications",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
];

/// The least results of a run of the suite, so that a run that does nothing does not pass.
struct Floor {
    scenarios: usize,
    passed: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_to_2025_06_18_is_kept_behind_the_gateway() {
    let floor = Floor {
        scenarios: 27,
        passed: 56,
    };
    compare("2025-06-18", Selection::Version, &floor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_to_2025_11_25_is_kept_behind_the_gateway() {
    let floor = Floor {
        scenarios: 33,
        passed: 84,
    };
    compare("2025-11-25", Selection::Version, &floor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_to_2026_07_28_is_kept_behind_the_gateway() {
    let floor = Floor {
        scenarios: 40,
        passed: 151,
    };
    compare("2026-07-28", Selection::Version, &floor).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_of_tasks_is_kept_behind_the_gateway() {
    let floor = Floor {
        scenarios: 10,
        passed: 44,
    };
    compare("2026-07-28", Selection::Extension(&TASKS), &floor).await;
}

async fn compare(version: &str, selection: Selection, floor: &Floor) {
    let (straight, through) =
        tokio::join!(straight(version, selection), through(version, selection));
    // Not through the capture of the test runner: the run is for this figure.
    let _ = writeln!(
        std::io::stderr(),
        "conformance {version}{}: {} scenarios; checks passed straight: {}, through the gateway: {}",
        selection.suffix(),
        straight.scenarios(),
        straight.passed(),
        through.passed()
    );
    let worse = straight.worse_in(&through);
    assert!(
        worse.is_empty(),
        "worse behind the gateway:\n  {}",
        worse.join("\n  ")
    );
    // The server itself passes every check, so the comparison misses nothing.
    assert_eq!(straight.faults(), [""; 0], "straight at the server");
    assert!(
        straight.scenarios() >= floor.scenarios,
        "{} scenarios",
        straight.scenarios()
    );
    assert!(
        straight.passed() >= floor.passed,
        "{} checks passed",
        straight.passed()
    );
}

async fn straight(version: &str, selection: Selection) -> Verdicts {
    let server = Server::start().await;
    let target = Target {
        url: server.url(),
        token: None,
    };
    Verdicts::new(suite::run(&target, version, selection).await)
}

async fn through(version: &str, selection: Selection) -> Verdicts {
    let server = Server::start().await;
    let key = Key::es256("first");
    // Sealing must not change the result.
    let config = Config::new(&server.url(), &[&key])
        .set("/resources/0/tasks", "seal")
        .set("/resources/0/request_state", "seal")
        .set("/resources/0/event_ids", "upstream");
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
    let target = Target {
        url: gateway.uri("/mcp"),
        token: Some(token),
    };
    Verdicts::new(suite::run(&target, version, selection).await)
}
