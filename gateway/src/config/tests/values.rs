//! What each key takes and refuses, as far as no file is read.

use std::time::Duration;

use super::*;

#[test]
fn keys_that_do_not_exist_are_refused() {
    each_has_its_finding(&[
        (
            "public_url: https://mcp.example.com",
            "public_url: https://mcp.example.com\ntrusted_peers: []",
            "trusted_peers:2:1 is no key that is known here",
        ),
        (
            "    scopes:\n",
            "    scops: {}\n    scopes:\n",
            "resources[0].scops:13:5 is no key that is known here",
        ),
        (
            "      required: [read]",
            "      requires: [read]",
            "resources[0].scopes.requires:14:7 is no key that is known here",
        ),
        (
            "policy: { default: deny }",
            "policy: { default: deny, rule: [] }",
            "resources[1].policy.rule:23:30 is no key that is known here",
        ),
        (
            "    issuer: https://partner.example.com",
            "    issuer: https://partner.example.com\n    a.b: 1",
            "issuers.partner[\"a.b\"]:9:5 is no key that is known here",
        ),
        (
            "    issuer: https://partner.example.com",
            "    issuer: https://partner.example.com\n    1: 1",
            "issuers.partner.1:9:5 is no key that is known here",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url: https://mcp.example.com\nlog: { lvel: info }",
            "log.lvel:2:8 is no key that is known here",
        ),
    ]);
}

#[test]
fn wrong_types_are_refused() {
    each_has_its_finding(&[
        (
            "public_url: https://mcp.example.com",
            "public_url: 5",
            "public_url:1:1 must be text",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url: ''",
            "public_url:1:1 is empty",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url:",
            "public_url:1:1 is missing",
        ),
        (
            "issuers: [corporate]",
            "issuers: corporate",
            "resources[0].issuers:12:5 must be a list",
        ),
        (
            "issuers: [corporate]",
            "issuers: []",
            "resources[0].issuers:12:5 is empty",
        ),
        (
            "issuers: [corporate]",
            "issuers: [[corporate]]",
            "resources[0].issuers[0]:12:15 must be text",
        ),
        (
            "default: deny",
            "default: maybe",
            "resources[1].policy.default:23:15 is none of allow, deny",
        ),
        (
            "default: deny",
            "default: true",
            "resources[1].policy.default:23:15 is none of allow, deny",
        ),
        (
            "default: deny",
            "default: 1",
            "resources[1].policy.default:23:15 is none of allow, deny",
        ),
        (
            "required: [read]",
            "required: [tasks: write]",
            "resources[0].scopes.required[0]:14:18 must be text",
        ),
    ]);
}

#[test]
fn text_that_reads_as_a_mapping_is_mended_by_quotes() {
    let found = findings(&edited("required: [read]", "required: [tasks: write]"));
    assert!(found[0].mend.contains("in quotes"), "{found:?}");
}

#[test]
fn numbers_have_their_range_and_unit() {
    let cases = [
        (
            "limits: { body_bytes: 4194304 }",
            "limits.body_bytes is no size",
        ),
        (
            "limits: { body_bytes: 4MB }",
            "limits.body_bytes is no size",
        ),
        (
            "limits: { body_bytes: 1B }",
            "limits.body_bytes is out of range",
        ),
        (
            "limits: { answer_bytes: 63KiB }",
            "limits.answer_bytes is out of range",
        ),
        (
            "limits: { connections: 0 }",
            "limits.connections is out of range",
        ),
        (
            "limits: { connections: -1 }",
            "limits.connections must be a whole number",
        ),
        (
            "limits: { connections: 1.5 }",
            "limits.connections must be a whole number",
        ),
        (
            "limits: { connections: 18446744073709551615 }",
            "limits.connections is out of range",
        ),
        (
            "limits: { token_bytes: 64KiB }",
            "limits.token_bytes is more than header_bytes, so that no such token could arrive",
        ),
        ("timeouts: { header: 10 }", "timeouts.header is no duration"),
        (
            "timeouts: { header: 1ms }",
            "timeouts.header is out of range",
        ),
        (
            "timeouts: { header: 2h }",
            "timeouts.header is out of range",
        ),
        (
            "timeouts: { body_idle: 2m }",
            "timeouts.body_idle is longer than body_total, so that it would never be reached",
        ),
        ("jwks: { stale: 8d }", "jwks.stale is out of range"),
        (
            "shutdown: { drain: forever }",
            "shutdown.drain is no duration",
        ),
        (
            "log: { level: trace }",
            "log.level is none of error, warn, info, debug",
        ),
        ("log: { access: yes }", "log.access must be true or false"),
        (
            "audit: { enabled: sometimes }",
            "audit.enabled must be true or false",
        ),
        ("audit: { file: '' }", "audit.file is empty"),
        (
            "audit: { path: a }",
            "audit.path is no key that is known here",
        ),
        (
            "log: { access: 'true' }",
            "log.access must be true or false",
        ),
    ];
    for (line, expected) in cases {
        let findings = findings(&format!("{SOUND}{line}\n"));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(
            format!("{} {}", findings[0].path, findings[0].problem),
            expected,
            "{line}"
        );
        assert_eq!(findings[0].line, 24, "{line}");
    }
}

#[test]
fn numbers_replace_their_defaults() {
    let config = parsed(&format!(
        "{SOUND}limits: {{ body_bytes: 1MiB, connections: 7 }}\ntimeouts: {{ sse_comment: 0s, response_head: 90s }}\nlog: {{ format: text, level: debug, access: false }}\naudit: {{ enabled: false, file: audit.log }}\n"
    ));
    assert!(!config.audit.enabled);
    let file = config.audit.file.unwrap();
    assert_eq!(file, Path::new("/nonexistent/audit.log"));
    assert_eq!(
        (config.limits.body_bytes, config.limits.connections),
        (1 << 20, 7)
    );
    assert_eq!(config.timeouts.sse_comment, Duration::ZERO);
    assert_eq!(config.resources[0].response_head, Duration::from_secs(90));
    assert_eq!(
        (config.log.format, config.log.level, config.log.access),
        (LogFormat::Text, Level::Debug, false)
    );
}

#[test]
fn variables_stand_for_values_of_every_type() {
    let text = edited("https://login.example.com/", "https://${DOMAIN}/")
        + "limits: { connections: '${CONNECTIONS}', body_bytes: '${BODY}' }\nlog: { access: \"${ACCESS:-false}\" }\n";
    let environment = Environment::of([
        ("DOMAIN", "id.example"),
        ("CONNECTIONS", "12"),
        ("BODY", "1MiB"),
    ]);
    let config = parse(&text, Path::new("."), &environment).unwrap();
    assert_eq!(config.issuers["corporate"].issuer, "https://id.example/");
    assert_eq!(
        (config.limits.connections, config.limits.body_bytes),
        (12, 1 << 20)
    );
    assert!(!config.log.access);
}

#[test]
fn variables_that_are_not_set_are_told_where_they_stand() {
    each_has_its_finding(&[
        (
            "https://login.example.com/",
            "https://${DOMAIN}/",
            "issuers.corporate.issuer:6:5 uses ${DOMAIN}, which is not set",
        ),
        (
            "https://login.example.com/",
            "https://${DOMAIN/",
            "issuers.corporate.issuer:6:5 has a ${…} that names no variable",
        ),
        (
            "scopes: [write]",
            "scopes: [\"${SCOPE}\"]",
            "resources[0].policy.rules[0].scopes[0]:19:58 uses ${SCOPE}, which is not set",
        ),
    ]);
}

#[test]
fn what_a_variable_holds_is_never_told() {
    let text = edited("https://login.example.com/", "${SECRET}");
    let environment = Environment::of([("SECRET", "hunter2")]);
    let findings = parse(&text, Path::new("."), &environment).unwrap_err();
    assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
}

#[test]
fn the_public_url_is_scheme_and_host() {
    each_has_its_finding(&[
        (
            "https://mcp.example.com",
            "https://mcp.example.com/mcp",
            "public_url:1:1 has a path",
        ),
        (
            "https://mcp.example.com",
            "https://mcp.example.com?x",
            "public_url:1:1 has a query, which is not allowed here",
        ),
        (
            "https://mcp.example.com",
            "mcp.example.com",
            "public_url:1:1 is no http or https URL",
        ),
        (
            "https://mcp.example.com",
            "https://u:p@mcp.example.com",
            "public_url:1:1 has no plain host and port after the scheme",
        ),
        (
            "https://mcp.example.com",
            "http://mcp.example.com",
            "public_url:1:1 is plain HTTP to another machine, where tokens can be read on the way",
        ),
    ]);
    let config = parsed(&edited(
        "https://mcp.example.com",
        "https://MCP.example.com:443/",
    ));
    assert_eq!(config.resources[0].uri, "https://mcp.example.com/mcp");
    assert_eq!(
        config.public_url.origin().to_string(),
        "https://mcp.example.com"
    );
    let config = parsed(&edited("https://mcp.example.com", "http://localhost:8080"));
    assert_eq!(config.resources[0].uri, "http://localhost:8080/mcp");
}

#[test]
fn listeners_are_plain_on_loopback_only() {
    each_has_its_finding(&[
        (
            "address: 127.0.0.1:8080",
            "address: 0.0.0.0:8080",
            "listen[0]:3:5 speaks plain HTTP beyond this machine, where tokens can be read on the way",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 10.1.2.3:8080",
            "listen[0]:3:5 speaks plain HTTP beyond this machine, where tokens can be read on the way",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: '[::]:8080'",
            "listen[0]:3:5 speaks plain HTTP beyond this machine, where tokens can be read on the way",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: localhost:8080",
            "listen[0].address:3:5 is no IP address with a port",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1",
            "listen[0].address:3:5 is no IP address with a port",
        ),
        (
            "address: 127.0.0.1:8080",
            "plain_http: true",
            "listen[0].address:3:5 is missing",
        ),
        ("  - address: 127.0.0.1:8080", "  []", "listen:2:1 is empty"),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:8080\n  - address: 127.0.0.1:8080",
            "listen[1]:4:5 has an address that another listener takes",
        ),
        (
            "address: 127.0.0.1:8080",
            "{ address: '0.0.0.0:8080', plain_http: true }\n  - address: 127.0.0.1:8080",
            "listen[1]:4:5 has an address that another listener takes",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:9090",
            "admin:1:1 has an address that a listener takes",
        ),
    ]);
    each_is_sound(&[
        (
            "address: 127.0.0.1:8080",
            "{ address: '0.0.0.0:8080', plain_http: true }",
        ),
        ("address: 127.0.0.1:8080", "address: '[::1]:8080'"),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:0\n  - address: 127.0.0.1:0",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:8080\n  - address: '[::1]:8080'",
        ),
    ]);
}

#[test]
fn hosts_and_origins_are_named_exactly() {
    let cases = [
        (
            "hosts: ['a b']",
            "hosts[0] is no host with an optional port",
        ),
        (
            "hosts: ['https://a']",
            "hosts[0] is no host with an optional port",
        ),
        ("hosts: [a, A]", "hosts[1] is listed twice"),
        (
            "origins: ['*']",
            "origins[0] is *, which would allow everybody",
        ),
        (
            "origins: ['null']",
            "origins[0] is null, which would allow everybody",
        ),
        (
            "origins: ['https://a/']",
            "origins[0] ends with a slash, which no origin has",
        ),
        (
            "origins: ['https://a/b']",
            "origins[0] has a path, which no origin has",
        ),
        (
            "origins: ['https://a?b']",
            "origins[0] has a query, which is not allowed here",
        ),
        (
            "origins: [https://a, 'https://a:443']",
            "origins[1] is listed twice",
        ),
        ("admin: { address: 9090 }", "admin.address must be text"),
    ];
    for (line, expected) in cases {
        let findings = findings(&format!("{SOUND}{line}\n"));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(
            format!("{} {}", findings[0].path, findings[0].problem),
            expected,
            "{line}"
        );
    }
    let config = parsed(&format!(
        "{SOUND}hosts: [mcp.internal:8443]\norigins: [https://app.example.com]\n"
    ));
    assert_eq!(config.hosts[0].to_string(), "mcp.internal:8443");
    assert_eq!(config.origins[0].to_string(), "https://app.example.com");
}
