//! Findings of invalid configurations; and that declarations, checks, schema and example files have the same keys.

mod addresses;
mod authorization_server;
/// Credentials other than tokens of issuers: of callers, and for upstreams.
mod credentials {
    mod api_keys;
    mod assertions;
    mod bound;
    mod upstream;
}
mod declarations;
mod examples;
mod files;
mod issuers;
mod providers;
mod rate_limits;
mod resources;
mod rules;
mod values;

use std::path::Path;

use mcp_gateway_core::token::claim_path::ClaimPath;

use super::*;

/// A valid configuration with one key per line, so that a test can replace one and name its position.
const VALID: &str = "\
public_url: https://mcp.example.com
listen:
  - address: 127.0.0.1:8080
issuers:
  corporate:
    issuer: https://login.example.com/
  partner:
    issuer: https://partner.example.com
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporate]
    scopes:
      required: [read]
      supported: [read, write]
    policy:
      default: allow
      rules:
        - { method: tools/call, name: [create], scopes: [write] }
  - path: /other
    upstream: https://other.internal/mcp
    issuers: [partner]
    policy: { default: deny }
";

/// [`VALID`] with one piece replaced.
fn edited(from: &str, to: &str) -> String {
    assert_eq!(
        VALID.matches(from).count(),
        1,
        "{from:?} must be there once"
    );
    VALID.replace(from, to)
}

fn parsed(text: &str) -> Config {
    parse(text, Path::new("/nonexistent"), &Environment::default())
        .unwrap_or_else(|findings| panic!("{text}\n{findings:#?}"))
}

fn findings(text: &str) -> Vec<Finding> {
    match parse(text, Path::new("/nonexistent"), &Environment::default()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(findings) => findings,
    }
}

/// `PATH:LINE:COLUMN problem` of the only finding in `text`.
fn only_finding(text: &str) -> String {
    let findings = findings(text);
    assert_eq!(findings.len(), 1, "{findings:#?}\n{text}");
    let Finding {
        path,
        line,
        column,
        problem,
        fix,
    } = &findings[0];
    assert!(
        !fix.is_empty() && !fix.ends_with('.') && !problem.ends_with('.'),
        "{findings:?}"
    );
    format!("{path}:{line}:{column} {problem}")
}

/// One piece of [`VALID`], its replacement, and the only finding.
type Row = (&'static str, &'static str, &'static str);

fn each_has_its_finding(rows: &[Row]) {
    for (from, to, expected) in rows {
        assert_eq!(
            only_finding(&edited(from, to)),
            *expected,
            "{from:?} -> {to:?}"
        );
    }
}

/// Each replacement in [`VALID`] gives a valid configuration.
fn each_is_valid(rows: &[(&str, &str)]) {
    for (from, to) in rows {
        parsed(&edited(from, to));
    }
}

#[test]
fn a_valid_configuration_has_its_defaults() {
    let config = parsed(VALID);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.addresses, Addresses::default());
    assert_eq!(config.timeouts, Timeouts::default());
    assert_eq!(config.jwks, Jwks::default());
    assert_eq!(config.shutdown, Shutdown::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.audit, Audit::default());
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9090");
    let resource = &config.resources[0];
    assert_eq!(resource.uri, "https://mcp.example.com/mcp");
    assert_eq!(
        resource.audience,
        [
            "https://mcp.example.com/mcp",
            "https://mcp.example.com/mcp/"
        ]
    );
    assert_eq!(resource.identity_headers, IdentityHeaders::default());
    assert_eq!(resource.response_head, config.timeouts.response_head);
    let names = &resource.policy.rules.all()[0].names;
    assert_eq!(names[0].as_str(), "create");
    let issuer = &config.issuers["corporate"];
    assert_eq!(issuer.token_types, ["at+jwt"]);
    assert_eq!(issuer.algorithms.len(), 9);
    assert_eq!(issuer.scope_claims, ["scope", "scp"].map(ClaimPath::named));
    assert_eq!(
        issuer.client_claims,
        ["client_id", "azp"].map(ClaimPath::named)
    );
    assert_eq!(issuer.authorization_servers, ["https://login.example.com/"]);
    assert_eq!(issuer.keys, KeySource::Discovery);
}

#[test]
fn all_findings_are_reported_at_once_and_in_order() {
    let text = "\
public_url: http://mcp.example.com
lisen: []
listen:
  - address: 0.0.0.0:8080
issuers:
  corporate:
    issuer: login.example.com
    algorithms: [HS256, none]
resources:
  - path: mcp/
    upstream: http://127.0.0.1:9000/mcp
    issuers: [corporat]
    policy:
      rules:
        - { method: tools/cal, scopes: write read }
limits: { body_bytes: 4MB, json_depth: \"64\" }
";
    let reported: Vec<_> = findings(text)
        .iter()
        .map(|f| f.in_file(Path::new("g.yaml")).to_string())
        .collect();
    assert_eq!(
        reported,
        [
            "g.yaml:1:1: public_url: must be https: plain HTTP exposes tokens to the network. Write an https URL, or set `plain_http: true` at a listener.",
            "g.yaml:2:1: lisen: unknown key. Did you mean `listen`?",
            "g.yaml:4:5: listen[0]: plain HTTP on a non-loopback address exposes tokens to the network. Add `tls`, or set `plain_http: true` if a proxy in front terminates TLS.",
            "g.yaml:7:5: issuers.corporate.issuer: must be an absolute http or https URL. Write the exact `iss` value of its tokens, such as https://login.example.com/.",
            "g.yaml:8:18: issuers.corporate.algorithms[0]: HS256 is a symmetric algorithm, which is not supported. Configure the issuer to sign with RS256 or ES256: every service that verifies HMAC tokens could also issue them.",
            "g.yaml:8:25: issuers.corporate.algorithms[1]: none means unsigned tokens, which are not supported. Configure the issuer to sign with RS256 or ES256.",
            "g.yaml:10:5: resources[0].path: must be an absolute path of plain segments. Use letters, digits, -, ., _ and ~ after each slash, such as /mcp or /mcp/.",
            "g.yaml:12:15: resources[0].issuers[0]: unknown issuer `corporat`. Did you mean `corporate`?",
            "g.yaml:13:5: resources[0].policy.default: required key is missing. Set it to deny, or to allow: then the required scopes are enough for calls that no rule matches.",
            "g.yaml:15:13: resources[0].policy.rules[0].method: unknown MCP method `tools/cal`. Did you mean `tools/call`?",
            "g.yaml:15:32: resources[0].policy.rules[0].scopes: `write read` is not a valid scope. Write a list, such as [a, b]. A scope has no spaces, quotes and backslashes.",
            "g.yaml:16:11: limits.body_bytes: must be a size. Write a whole number with B, KiB, MiB or GiB, such as 4MiB.",
            "g.yaml:16:28: limits.json_depth: must be a whole number, found text. Write only digits, without quotes.",
        ]
    );
}

#[test]
fn an_empty_file_has_a_finding_for_each_required_key() {
    for text in ["", "# nothing\n", "---\n", "~\n", "{}\n"] {
        let paths: Vec<_> = findings(text)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(
            paths,
            ["issuers", "listen", "public_url", "resources"],
            "{text:?}"
        );
    }
}

#[test]
fn a_document_must_be_a_mapping() {
    for (text, found) in [("[]\n", "a list"), ("text\n", "text"), ("1\n", "a number")] {
        assert_eq!(
            findings(text)[0].problem,
            format!("must be a mapping, found {found}"),
            "{text:?}"
        );
    }
}

#[test]
fn a_refused_configuration_always_has_a_finding() {
    let lines: Vec<_> = VALID.lines().collect();
    for left_out in 0..lines.len() {
        let rest = lines
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != left_out);
        let text: Vec<_> = rest.map(|(_, line)| *line).collect();
        if let Err(findings) = parse(&text.join("\n"), Path::new("."), &Environment::default()) {
            assert!(!findings.is_empty(), "without line {}", left_out + 1);
        }
    }
}

#[test]
fn nonsense_in_any_place_is_a_finding() {
    for nonsense in [
        "~",
        "[]",
        "{}",
        "[[1]]",
        "{a: b}",
        "1",
        "true",
        "''",
        "\"\\0\"",
        "${NOT_SET}",
    ] {
        for (index, line) in VALID.lines().enumerate() {
            let Some((key, value)) = line
                .split_once(": ")
                .filter(|(_, value)| *value != nonsense)
            else {
                continue;
            };
            let text = VALID.replacen(line, &format!("{key}: {nonsense}"), 1);
            if let Err(findings) = parse(&text, Path::new("."), &Environment::default()) {
                assert!(
                    !findings.is_empty(),
                    "{nonsense} for {value} in line {}",
                    index + 1
                );
            }
        }
    }
}
