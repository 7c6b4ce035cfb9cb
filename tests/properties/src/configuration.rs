//! The configuration: never a panic, and every finding points to a place in the file.

use std::path::Path;

use mcp_gateway::config::{Environment, Finding, parse};

/// The text of a configuration file.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let base = Path::new("/nonexistent");
    let environment = Environment::of([("NAME", "value"), ("PORT", "8080")]);
    let Err(findings) = parse(text, base, &environment) else {
        return;
    };
    assert!(!findings.is_empty(), "refused without saying why");
    // A single carriage return ends a line too (YAML 1.2 §5.4).
    let text_only = text.strip_prefix('\u{feff}').unwrap_or(text);
    let unix = text_only.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<usize> = unix.split('\n').map(|line| line.chars().count()).collect();
    for finding in &findings {
        in_file(finding, &lines);
    }
    assert_eq!(
        Err(findings),
        parse(text, base, &environment).map(drop),
        "another time, other findings"
    );
}

fn in_file(finding: &Finding, lines: &[usize]) {
    let length = finding.line.checked_sub(1).and_then(|at| lines.get(at));
    let length = length.unwrap_or_else(|| panic!("no such line: {finding:?}"));
    assert!(
        (1..=length + 1).contains(&finding.column),
        "no such column: {finding:?}"
    );
    for text in [&finding.problem, &finding.fix] {
        assert!(
            !text.is_empty() && !text.contains(char::is_control),
            "no line of a log: {finding:?}"
        );
    }
}
