//! API keys: key files, the resources that accept them, and rules about their callers.

use mcp_gateway_core::{policy::Identity, token::api_key::entry};

use crate::config::{Config, Environment, Finding, parse, tests::files::Files};

const KEY: &str = r#"{"name":"build","sha256":"5d142d1b52e064700dbc3b9439c37334ceafe247e7ec7fe61ab235cf8d1f7a88","subject":"ci","scopes":["read"],"resources":["/mcp"],"expires":"never"}"#;

const TEXT: &str = "\
public_url: https://mcp.example.com
listen: [{ address: '127.0.0.1:8080' }]
api_keys:
  files: keys.jsonl
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    api_keys: { header: X-API-Key }
    policy:
      default: deny
      rules:
        - { method: tools/call, name: a, principals: [ci], clients: [build] }
";

const ISSUERS: (&str, &str) = (
    "resources:",
    "issuers: { corporate: { issuer: 'https://login.example.com' } }\nresources:",
);

const WITH_ISSUER: (&str, &str) = ("    policy:\n", "    issuers: [corporate]\n    policy:\n");

fn files() -> Files {
    let files = Files::new();
    files.write("keys.jsonl", KEY, 0o640);
    files
}

/// The configuration with each piece replaced.
fn text(pieces: &[(&str, &str)]) -> String {
    pieces.iter().fold(TEXT.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    })
}

fn read(files: &Files, text: &str) -> Result<Config, Vec<Finding>> {
    parse(text, files.path(), &Environment::default())
}

fn findings(files: &Files, text: &str) -> Vec<String> {
    let directory = format!("{}/", files.path().display());
    let findings = read(files, text).err().unwrap_or_default();
    let shown = findings.iter().map(|finding| {
        let problem = finding.problem.replace(&directory, "");
        format!("{}: {problem}", finding.path)
    });
    shown.collect()
}

#[test]
fn a_resource_without_issuers_has_callers_with_api_keys() {
    let files = files();
    let config = read(&files, TEXT).unwrap();
    assert_eq!(config.api_keys.files, [files.path().join("keys.jsonl")]);
    assert_eq!(config.api_keys.ring.len(), 1);
    let resource = &config.resources[0];
    let header = resource.api_keys.as_ref().unwrap().header.as_ref();
    assert_eq!(header.unwrap(), "x-api-key");
    assert!(resource.issuers.is_empty() && config.issuers.is_empty());
    let callers = &resource.policy.rules.all()[0].callers;
    let named = |id: &str| Identity {
        issuer: entry::ISSUER.into(),
        id: id.into(),
    };
    assert_eq!(callers.principals, [named("ci")]);
    assert_eq!(callers.clients, [named("build")]);
}

#[test]
fn rules_name_the_issuer_where_there_are_several() {
    let named = (
        "principals: [ci], clients: [build]",
        "principals: [{ issuer: api-keys, subject: ci }, { issuer: corporate, subject: ana }]",
    );
    let config = read(&files(), &text(&[ISSUERS, WITH_ISSUER, named])).unwrap();
    let callers = &config.resources[0].policy.rules.all()[0].callers;
    let issuers: Vec<_> = callers.principals.iter().map(|own| &*own.issuer).collect();
    assert_eq!(issuers, ["api-keys", "https://login.example.com"]);
    let found = findings(&files(), &text(&[ISSUERS, WITH_ISSUER]));
    let several = "must name the issuer, because the resource has several issuers";
    assert_eq!(
        found,
        [
            format!("resources[0].policy.rules[0].principals[0]: {several}"),
            format!("resources[0].policy.rules[0].clients[0]: {several}"),
        ]
    );
}

#[test]
fn every_mistake_is_a_finding_at_its_place() {
    let files = files();
    files.write("exposed.jsonl", KEY, 0o666);
    files.write("wrong.jsonl", "# ours\n{\"name\":\"a\"}\n", 0o640);
    files.write("same.jsonl", KEY, 0o640);
    for (from, to, expected) in [
        (
            "keys.jsonl",
            "missing.jsonl",
            "api_keys.files: missing.jsonl cannot be read: No such file or directory (os error 2)",
        ),
        (
            "keys.jsonl",
            "exposed.jsonl",
            "api_keys.files: exposed.jsonl must not be writable by all users",
        ),
        (
            "keys.jsonl",
            "wrong.jsonl",
            "api_keys.files: wrong.jsonl line 2, subject: is missing",
        ),
        (
            "keys.jsonl",
            "[keys.jsonl, same.jsonl]",
            "api_keys.files[1]: same.jsonl line 1, sha256: another entry has the same digest",
        ),
        ("keys.jsonl", "[]", "api_keys.files: must not be empty"),
        (
            "  files: keys.jsonl\n",
            "  file: keys.jsonl\n",
            "api_keys.files: required key is missing",
        ),
        (
            "api_keys:\n  files: keys.jsonl\n",
            "issuers: { a: { issuer: 'https://a.example' } }\n",
            "resources[0].api_keys: needs `api_keys` of the document",
        ),
        (
            "{ header: X-API-Key }",
            "",
            "resources[0].api_keys: must not be empty",
        ),
        (
            "{ header: X-API-Key }",
            "{ headers: X-API-Key }",
            "resources[0].api_keys.headers: unknown key",
        ),
        (
            "X-API-Key",
            "Authorization",
            "resources[0].api_keys.header: header name is reserved for another use",
        ),
        (
            "X-API-Key",
            "DPoP",
            "resources[0].api_keys.header: header name is reserved for another use",
        ),
        (
            "X-API-Key",
            "X_API_Key",
            "resources[0].api_keys.header: header name must have only letters, digits and hyphens",
        ),
        (
            "X-API-Key",
            "Mcp-Key",
            "resources[0].api_keys.header: header name is reserved for another use",
        ),
        (
            "X-API-Key",
            "X-Mcp-Subject",
            "resources[0].api_keys.header: is a header that the MCP server receives (pass_headers or identity_headers)",
        ),
        (
            "upstream: http://127.0.0.1:9000/mcp",
            "upstream: { url: 'http://127.0.0.1:9000/mcp', pass_headers: x-api-key }",
            "resources[0].api_keys.header: is a header that the MCP server receives (pass_headers or identity_headers)",
        ),
        (
            "resources:",
            "issuers: { api-keys: { issuer: 'https://a.example' } }\nresources:",
            "issuers.api-keys: the name api-keys is reserved for `api_keys`",
        ),
        (
            "principals: [ci]",
            "principals: [{ issuer: api-keys, tenant: a, subject: ci }]",
            "resources[0].policy.rules[0].principals[0].tenant: API keys have no tenant",
        ),
        (
            "principals: [ci]",
            "principals: [{ issuer: api-key, subject: ci }]",
            "resources[0].policy.rules[0].principals[0].issuer: unknown issuer `api-key` for this resource",
        ),
    ] {
        let found = findings(&files, &text(&[(from, to)]));
        assert!(
            found.iter().any(|found| found == expected),
            "{to}: {found:#?}"
        );
        assert!(
            !found.iter().any(|found| found.contains("5d142d")),
            "{found:#?}"
        );
    }
}

#[test]
fn a_header_of_the_operators_own_may_have_the_same_name() {
    let upstream = "upstream: { url: 'http://127.0.0.1:9000/mcp', headers: { X-API-Key: own } }";
    let text = text(&[("upstream: http://127.0.0.1:9000/mcp", upstream)]);
    read(&files(), &text).unwrap();
}

#[test]
fn keys_are_not_accepted_where_bound_tokens_are_required() {
    let of = |constraint: &str| {
        let with = format!("    sender_constraint: {{ {constraint} }}\n    policy:\n");
        findings(&files(), &text(&[("    policy:\n", &with)]))
    };
    assert_eq!(of("dpop: allow"), [""; 0]);
    assert_eq!(
        of("dpop: require"),
        [
            "resources[0].api_keys: has no effect where `sender_constraint` requires bound tokens: a key is bound to nothing"
        ]
    );
}

#[test]
fn a_path_of_several_resources_does_not_say_which_one_a_key_is_for() {
    let files = files();
    let other = |accepted: &str| {
        format!(
            "{TEXT}  - {{ path: /mcp, host: other.example.com, upstream: 'http://127.0.0.1:9001/mcp', {accepted}, policy: {{ default: deny }} }}\n"
        )
    };
    let both = other("api_keys: {}");
    assert_eq!(
        findings(&files, &both),
        ["api_keys.files: API key build is for /mcp, which several resources have as their path"]
    );
    for clear in [
        "https://mcp.example.com/mcp",
        "https://other.example.com/mcp",
    ] {
        files.write("keys.jsonl", &KEY.replace("/mcp", clear), 0o640);
        assert_eq!(findings(&files, &both), [""; 0]);
    }
    files.write("keys.jsonl", KEY, 0o640);
    let issuers = other("issuers: [corporate]").replace(ISSUERS.0, ISSUERS.1);
    assert_eq!(findings(&files, &issuers), [""; 0], "only one accepts keys");
}
