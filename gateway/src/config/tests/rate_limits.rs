//! Findings about rate limits.

use std::time::Duration;

use mcp_gateway_core::{
    policy::Pattern,
    rate::{Per, RateLimit, token_bucket::Rate},
};

use super::*;

/// [`VALID`] with these rate limits in its first resource.
fn limited(limits: &str) -> String {
    edited(
        "    policy:\n",
        &format!("    rate_limits: [{limits}]\n    policy:\n"),
    )
}

#[test]
fn a_limit_is_read_with_its_defaults() {
    let text = limited(
        "{ per: principal, calls: 60, within: 1m }, \
         { per: client, calls: 1000000, within: 1d, burst: 1, method: [tools/call, prompts/get], name: ['report_*', x] }, \
         { per: tool, calls: 1, within: 1s, name: x }, \
         { per: resource, calls: 1, within: 1s, method: tools/list }",
    );
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| Pattern::parse(name).unwrap())
            .collect::<Vec<_>>()
            .into()
    };
    let limit = |per, (calls, within, burst), methods: &[&str], own: &[&str]| RateLimit {
        per,
        rate: Rate::new(calls, Duration::from_secs(within), burst),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        names: names(own),
    };
    assert_eq!(
        parsed(&text).resources[0].rate_limits,
        [
            limit(Per::Principal, (60, 60, 60), &[], &[]),
            limit(
                Per::Client,
                (1_000_000, 86_400, 1),
                &["tools/call", "prompts/get"],
                &["report_*", "x"]
            ),
            limit(Per::Tool, (1, 1, 1), &["tools/call"], &["x"]),
            limit(Per::Resource, (1, 1, 1), &["tools/list"], &[]),
        ]
    );
    assert_eq!(parsed(VALID).resources[0].rate_limits, []);
}

#[test]
fn invalid_limits_are_reported() {
    for (limit, path, problem) in [
        ("{ calls: 1, within: 1s }", "per", "required key is missing"),
        (
            "{ per: principal, within: 1s }",
            "calls",
            "required key is missing",
        ),
        (
            "{ per: principal, calls: 1 }",
            "within",
            "required key is missing",
        ),
        (
            "{ per: everybody, calls: 1, within: 1s }",
            "per",
            "must be `principal`, `subject`, `client`, `tool` or `resource`",
        ),
        (
            "{ per: client, calls: 0, within: 1s }",
            "calls",
            "out of range",
        ),
        (
            "{ per: client, calls: 1000001, within: 1s }",
            "calls",
            "out of range",
        ),
        (
            "{ per: client, calls: 1, within: 999ms }",
            "within",
            "out of range",
        ),
        (
            "{ per: client, calls: 1, within: 2d }",
            "within",
            "out of range",
        ),
        (
            "{ per: client, calls: 1, within: 60 }",
            "within",
            "must be a duration, found a number",
        ),
        (
            "{ per: client, calls: 1, within: 1s, burst: 0 }",
            "burst",
            "out of range",
        ),
        (
            "{ per: client, calls: 1, within: 1s, bursts: 1 }",
            "bursts",
            "unknown key",
        ),
        (
            "{ per: client, calls: 1, within: 1s, method: tools/cal }",
            "method",
            "unknown MCP method `tools/cal`",
        ),
        (
            "{ per: client, calls: 1, within: 1s, method: [tools/call, initialize] }",
            "method[1]",
            "rate limits do not apply to `initialize`",
        ),
        (
            "{ per: client, calls: 1, within: 1s, method: roots/list }",
            "method",
            "`roots/list` is sent by servers, not by clients",
        ),
        (
            "{ per: client, calls: 1, within: 1s, method: [tools/call, tools/call] }",
            "method[1]",
            "duplicate entry",
        ),
        (
            "{ per: client, calls: 1, within: 1s, method: [tools/call, tools/list], name: x }",
            "name",
            "cannot be combined with tools/list, which has no name",
        ),
        (
            "{ per: client, calls: 1, within: 1s, name: 'a***' }",
            "name",
            "has more than two * in a row",
        ),
        (
            "{ per: tool, calls: 1, within: 1s }",
            "name",
            "must list exact tool names with `per: tool`",
        ),
        (
            "{ per: tool, calls: 1, within: 1s, name: [x, 'y*'] }",
            "name",
            "must list exact tool names with `per: tool`",
        ),
        (
            "{ per: tool, calls: 1, within: 1s, name: x, method: prompts/get }",
            "method",
            "must be tools/call with `per: tool`",
        ),
    ] {
        let findings = findings(&limited(limit));
        let reported: Vec<_> = findings
            .iter()
            .map(|finding| (finding.path.as_str(), finding.problem.as_str()))
            .collect();
        let path = format!("resources[0].rate_limits[0].{path}");
        assert_eq!(reported, [(path.as_str(), problem)], "{limit}");
    }
}

#[test]
fn a_duplicate_limit_is_reported() {
    let limit = "{ per: client, calls: 60, within: 1m }";
    let finding = only_finding(&limited(&format!("{limit}, {limit}")));
    assert_eq!(finding, "resources[0].rate_limits[1]:16:59 duplicate entry");
}
