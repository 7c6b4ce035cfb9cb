//! The pages of `docs/` have what the sources have: every metric, every log line. The pages that are generated are compared where
//! they are made (`src/config/reference`).

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

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

/// The log lines in the table of the page on operations, split where a value is.
fn log_lines(page: &str) -> Vec<Vec<String>> {
    let table = page.split("| log line |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|row| row.starts_with("| `"));
    let lines = rows.filter_map(|row| row.split('`').nth(1));
    let parts = |line: &str| -> Vec<String> {
        let parts = line
            .split('…')
            .map(|part| part.trim().trim_end_matches(':'));
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    };
    lines.map(parts).collect()
}

/// The sources below a folder, with the lines of each literal joined.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else {
            let source = fs::read_to_string(&path).unwrap();
            let mut pieces = source.split("\\\n");
            text.push_str(pieces.next().unwrap_or_default());
            pieces.for_each(|piece| text.push_str(piece.trim_start()));
        }
    }
    text
}

#[test]
fn every_log_line_in_the_page_on_operations_is_one_of_the_gateway() {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let lines = log_lines(&read("../docs/operations.md"));
    assert!(lines.len() > 10, "{lines:?}");
    for part in lines.into_iter().flatten() {
        assert!(
            sources.contains(&part),
            "docs/operations.md has a log line that the gateway never writes: {part:?}"
        );
    }
}

#[test]
fn log_lines_are_split_at_their_values() {
    let page =
        "| log line | x |\n|---|---|\n| `expires in … days` | |\n| `failed: …` | |\n\n| `other` |";
    assert_eq!(
        log_lines(page),
        [vec!["expires in", "days"], vec!["failed"]]
    );
}
