//! Findings about decision points.

use std::{collections::BTreeSet, time::Duration};

use mcp_gateway_core::policy::decision_point::{asked::Asked, asking::WithoutAnswer};

use crate::config::tests::{VALID, files::Files, findings, parsed, *};

/// [`VALID`] with this decision point, which the first resource has.
fn with_point(section: &str) -> String {
    let text = VALID.replace(
        "    scopes:\n",
        "    decision_point: company\n    scopes:\n",
    );
    format!("{text}decision_points:\n  company: {section}\n")
}

fn problems(text: &str) -> Vec<String> {
    let found = findings(text);
    let found = found.iter();
    found
        .map(|finding| format!("{} {}", finding.path, finding.problem))
        .collect()
}

#[test]
fn a_decision_point_is_told_what_its_section_names_about_the_resource_that_names_it() {
    let text = with_point(
        "{ url: 'https://pdp.example.com/one/', context: { claims: [a, b], arguments: c, client_address: true }, cache: 1m }",
    );
    let config = parsed(&text);
    let point = &config.decision_points["company"];
    assert_eq!(point.url, "https://pdp.example.com/one");
    assert_eq!(point.settings.cache, Duration::from_secs(60));
    assert_eq!(point.settings.without_answer, WithoutAnswer::Refuse);
    assert_eq!(point.total_timeout, Duration::from_secs(5));
    let [first, second] = config.resources.as_slice() else {
        panic!("two resources");
    };
    let names = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let asked = Asked {
        server: "https://mcp.example.com/mcp".into(),
        claims: names(&["a", "b"]),
        arguments: names(&["c"]),
        client_address: true,
    };
    assert_eq!(first.decision_point.as_deref(), Some("company"));
    assert_eq!(first.policy.asked, Some(asked));
    assert_eq!(
        (&second.decision_point, &second.policy.asked),
        (&None, &None)
    );
}

#[test]
fn invalid_decision_points_are_reported() {
    const AT: &str = "decision_points.company";
    for (section, expected) in [
        ("{}", format!("{AT}.url required key is missing")),
        (
            "{ url: 'http://pdp.example.com' }",
            format!(
                "{AT}.url must be https: others on the network could read and answer questions"
            ),
        ),
        (
            "{ url: 'https://pdp.example.com/?a' }",
            format!("{AT}.url must not have a query"),
        ),
        (
            "{ url: 'https://user@pdp.example.com' }",
            format!(
                "{AT}.url must have a valid host and an optional port, without user name or password"
            ),
        ),
        (
            "{ url: 'https://pdp.example.com', without_answer: allow }",
            format!("{AT}.without_answer must be `refuse` or `allow_what_policy_allows`"),
        ),
        (
            "{ url: 'https://pdp.example.com', context: { claim: a } }",
            format!("{AT}.context.claim unknown key"),
        ),
        (
            "{ url: 'https://pdp.example.com', context: { claims: [a, a] } }",
            format!("{AT}.context.claims[1] duplicate entry"),
        ),
        (
            "{ url: 'https://pdp.example.com', timeout: 1ms }",
            format!("{AT}.timeout out of range"),
        ),
        (
            "{ url: 'https://pdp.example.com', total_timeout: 999ms }",
            format!("{AT}.total_timeout must be at least twice `timeout`"),
        ),
    ] {
        assert_eq!(problems(&with_point(section)), [expected], "{section}");
    }
    let unknown = with_point("{ url: 'https://pdp.example.com' }")
        .replace("decision_point: company", "decision_point: compani");
    assert_eq!(
        problems(&unknown),
        ["resources[0].decision_point unknown decision point `compani`"]
    );
    let named = with_point("{ url: 'https://pdp.example.com' }").replace("company", "com.pany");
    assert_eq!(
        problems(&named),
        [
            "decision_points[\"com.pany\"] names of decision points must have only letters, digits, - and _"
        ]
    );
}

#[test]
fn a_loopback_decision_point_needs_no_tls_and_files_are_read() {
    parsed(&with_point("{ url: 'http://127.0.0.1:8181' }"));
    let slow = parsed(&with_point(
        "{ url: 'http://127.0.0.1:8181', timeout: 2s, total_timeout: 4s }",
    ));
    let total = slow.decision_points["company"].total_timeout;
    assert_eq!(total, Duration::from_secs(4));
    let files = Files::new();
    files.write("token", "t0ken", 0o600);
    files.write("password", "user:password", 0o600);
    files.write("open", "user:password", 0o644);
    let load = |section: &str| {
        let text = with_point(section);
        parse(&text, files.path(), &Environment::default()).map_err(|findings| {
            let found = findings.iter();
            let found = found.map(|finding| finding.path.to_string());
            found.collect::<Vec<_>>()
        })
    };
    let url = "url: 'https://pdp.example.com'";
    assert!(load(&format!("{{ {url}, bearer_file: token }}")).is_ok());
    assert!(load(&format!("{{ {url}, credentials_file: password }}")).is_ok());
    for (keys, path) in [
        ("bearer_file: missing", "bearer_file"),
        ("bearer_file: password", "bearer_file"),
        ("credentials_file: open", "credentials_file"),
        ("credentials_file: token", "credentials_file"),
        (
            "bearer_file: token, credentials_file: password",
            "credentials_file",
        ),
    ] {
        let found = load(&format!("{{ {url}, {keys} }}")).unwrap_err();
        assert_eq!(found, [format!("decision_points.company.{path}")], "{keys}");
    }
}
