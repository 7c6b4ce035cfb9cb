//! The pages of `docs/` have what the sources have: every metric, every reason of a refusal with its status and code.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use mcp_gateway_core::refusal::reason::{ChallengeForm, Reason};

/// The functions of `metrics.rs` whose first text is a metric's name.
const MAKERS: [&str; 8] = [
    "register.counters(",
    "register.counter(",
    "register.gauges(",
    "register.gauge(",
    "register.values(",
    "register.value(",
    "register.durations(",
    "Opts::new(",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of the metrics that are made in this source.
fn metrics(source: &str) -> Vec<String> {
    let after = MAKERS.iter().flat_map(|maker| source.split(maker).skip(1));
    let names = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    names.map(|name| format!("mcp_gateway_{name}")).collect()
}

#[test]
fn every_metric_is_in_the_page_on_operations() {
    let metrics = metrics(&read("src/telemetry/metrics.rs"));
    assert!(metrics.len() >= 23, "{metrics:?}");
    let page = read("../docs/operations.md");
    for metric in metrics {
        assert!(
            page.contains(&format!("| `{metric}` |")),
            "{metric} is missing in docs/operations.md"
        );
    }
}

#[test]
fn metrics_are_found_on_the_same_line_and_on_the_next() {
    let source = "register.counter(\n  \"a_total\", register.gauges(\"b\", Opts::new(name, help)";
    assert_eq!(metrics(source), ["mcp_gateway_a_total", "mcp_gateway_b"]);
}

#[test]
fn every_reason_is_in_the_page_on_answers() {
    let page = read("../docs/answers.md");
    for reason in Reason::ALL {
        let row = reason.row();
        let code = row
            .rpc_code
            .map(|code| format!("{code} "))
            .unwrap_or_default();
        let challenge = match row.challenge {
            ChallengeForm::None => String::new(),
            ChallengeForm::Bare => "bare ".to_owned(),
            ChallengeForm::Error(error) => format!("`{error}` "),
        };
        let cells = format!("| `{}` | {} | {code}| {challenge}| ", row.label, row.status);
        assert!(
            page.contains(&cells),
            "docs/answers.md has no row {cells:?}"
        );
    }
}
