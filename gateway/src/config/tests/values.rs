//! The values that each key accepts and refuses, without those that name files.

use std::time::Duration;

use super::*;

#[test]
fn unknown_keys_are_refused() {
    each_has_its_finding(&[
        (
            "public_url: https://mcp.example.com",
            "public_url: https://mcp.example.com\ntrusted_peers: []",
            "trusted_peers:2:1 unknown key",
        ),
        (
            "    scopes:\n",
            "    scops: {}\n    scopes:\n",
            "resources[0].scops:13:5 unknown key",
        ),
        (
            "      required: [read]",
            "      requires: [read]",
            "resources[0].scopes.requires:14:7 unknown key",
        ),
        (
            "policy: { default: deny }",
            "policy: { default: deny, rule: [] }",
            "resources[1].policy.rule:23:30 unknown key",
        ),
        (
            "    issuer: https://partner.example.com",
            "    issuer: https://partner.example.com\n    a.b: 1",
            "issuers.partner[\"a.b\"]:9:5 unknown key",
        ),
        (
            "    issuer: https://partner.example.com",
            "    issuer: https://partner.example.com\n    1: 1",
            "issuers.partner.1:9:5 unknown key",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url: https://mcp.example.com\nlog: { lvel: info }",
            "log.lvel:2:8 unknown key",
        ),
    ]);
}

#[test]
fn wrong_types_are_refused() {
    each_has_its_finding(&[
        (
            "public_url: https://mcp.example.com",
            "public_url: 5",
            "public_url:1:1 must be text, found a number",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url: ''",
            "public_url:1:1 must not be empty",
        ),
        (
            "public_url: https://mcp.example.com",
            "public_url:",
            "public_url:1:1 required key is missing",
        ),
        (
            "issuers: [corporate]",
            "issuers: corporate",
            "resources[0].issuers:12:5 must be a list, found text",
        ),
        (
            "issuers: [corporate]",
            "issuers: []",
            "resources[0].issuers:12:5 must not be empty",
        ),
        (
            "issuers: [corporate]",
            "issuers: [[corporate]]",
            "resources[0].issuers[0]:12:15 must be text, found a list",
        ),
        (
            "default: deny",
            "default: maybe",
            "resources[1].policy.default:23:15 must be `allow` or `deny`",
        ),
        (
            "default: deny",
            "default: true",
            "resources[1].policy.default:23:15 must be `allow` or `deny`",
        ),
        (
            "default: deny",
            "default: 1",
            "resources[1].policy.default:23:15 must be `allow` or `deny`",
        ),
        (
            "required: [read]",
            "required: [tasks: write]",
            "resources[0].scopes.required[0]:14:18 must be text, found a mapping",
        ),
    ]);
}

#[test]
fn text_that_reads_as_a_mapping_needs_quotes() {
    let found = findings(&edited("required: [read]", "required: [tasks: write]"));
    assert!(found[0].fix.contains("in quotes"), "{found:?}");
}

#[test]
fn numbers_have_their_range_and_unit() {
    let cases = [
        (
            "limits: { body_bytes: 4194304 }",
            "limits.body_bytes must be a size, found a number",
        ),
        (
            "limits: { body_bytes: 4MB }",
            "limits.body_bytes must be a size",
        ),
        (
            "limits: { body_bytes: 1B }",
            "limits.body_bytes out of range",
        ),
        (
            "limits: { answer_bytes: 63KiB }",
            "limits.answer_bytes out of range",
        ),
        (
            "limits: { connections: 0 }",
            "limits.connections out of range",
        ),
        (
            "limits: { connections: -1 }",
            "limits.connections must be a whole number, found a negative number",
        ),
        (
            "limits: { connections: 1.5 }",
            "limits.connections must be a whole number, found a decimal number",
        ),
        (
            "limits: { connections: 18446744073709551615 }",
            "limits.connections out of range",
        ),
        (
            "limits: { token_bytes: 64KiB }",
            "limits.token_bytes must not exceed `header_bytes`, because the token is part of the header",
        ),
        (
            "timeouts: { header: 10 }",
            "timeouts.header must be a duration, found a number",
        ),
        ("timeouts: { header: 1ms }", "timeouts.header out of range"),
        ("timeouts: { header: 2h }", "timeouts.header out of range"),
        (
            "timeouts: { body_idle: 2m }",
            "timeouts.body_idle must not exceed `body_total`",
        ),
        ("jwks: { stale: 8d }", "jwks.stale out of range"),
        (
            "shutdown: { drain: forever }",
            "shutdown.drain must be a duration",
        ),
        (
            "log: { level: trace }",
            "log.level must be `error`, `warn`, `info` or `debug`",
        ),
        (
            "log: { access: yes }",
            "log.access must be true or false, found text",
        ),
        (
            "audit: { enabled: sometimes }",
            "audit.enabled must be true or false, found text",
        ),
        ("audit: { file: '' }", "audit.file must not be empty"),
        ("audit: { path: a }", "audit.path unknown key"),
        (
            "log: { access: 'true' }",
            "log.access must be true or false, found text",
        ),
    ];
    for (line, expected) in cases {
        let findings = findings(&format!("{VALID}{line}\n"));
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
        "{VALID}limits: {{ body_bytes: 1MiB, connections: 7 }}\ntimeouts: {{ sse_comment: 0s, response_head: 90s }}\nlog: {{ format: text, level: debug, access: false }}\naudit: {{ enabled: false, file: audit.log }}\n"
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
fn variables_can_have_values_of_every_type() {
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
fn unset_variables_are_reported_at_their_key() {
    each_has_its_finding(&[
        (
            "https://login.example.com/",
            "https://${DOMAIN}/",
            "issuers.corporate.issuer:6:5 variable ${DOMAIN} is not set",
        ),
        (
            "https://login.example.com/",
            "https://${DOMAIN/",
            "issuers.corporate.issuer:6:5 invalid variable: expected ${NAME} or ${NAME:-default}",
        ),
        (
            "scopes: [write]",
            "scopes: [\"${SCOPE}\"]",
            "resources[0].policy.rules[0].scopes[0]:19:58 variable ${SCOPE} is not set",
        ),
    ]);
}

#[test]
fn the_value_of_a_variable_is_never_reported() {
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
            "public_url:1:1 must not have a path",
        ),
        (
            "https://mcp.example.com",
            "https://mcp.example.com?x",
            "public_url:1:1 must not have a query",
        ),
        (
            "https://mcp.example.com",
            "mcp.example.com",
            "public_url:1:1 must be an absolute http or https URL",
        ),
        (
            "https://mcp.example.com",
            "https://u:p@mcp.example.com",
            "public_url:1:1 must have a valid host and an optional port, without user name or password",
        ),
        (
            "https://mcp.example.com",
            "http://mcp.example.com",
            "public_url:1:1 must be https: plain HTTP exposes tokens to the network",
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
            "listen[0]:3:5 plain HTTP on a non-loopback address exposes tokens to the network",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 10.1.2.3:8080",
            "listen[0]:3:5 plain HTTP on a non-loopback address exposes tokens to the network",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: '[::]:8080'",
            "listen[0]:3:5 plain HTTP on a non-loopback address exposes tokens to the network",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: localhost:8080",
            "listen[0].address:3:5 must be an IP address with a port",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1",
            "listen[0].address:3:5 must be an IP address with a port",
        ),
        (
            "address: 127.0.0.1:8080",
            "plain_http: true",
            "listen[0].address:3:5 required key is missing",
        ),
        (
            "  - address: 127.0.0.1:8080",
            "  []",
            "listen:2:1 must not be empty",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:8080\n  - address: 127.0.0.1:8080",
            "listen[1]:4:5 address 127.0.0.1:8080 is already used by another listener",
        ),
        (
            "address: 127.0.0.1:8080",
            "{ address: '0.0.0.0:8080', plain_http: true }\n  - address: 127.0.0.1:8080",
            "listen[1]:4:5 address 127.0.0.1:8080 is already used by another listener",
        ),
        (
            "address: 127.0.0.1:8080",
            "address: 127.0.0.1:9090",
            "admin:1:1 address 127.0.0.1:9090 is already used by a listener",
        ),
    ]);
    each_is_valid(&[
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
            "hosts[0] must be a host name with an optional port",
        ),
        (
            "hosts: ['https://a']",
            "hosts[0] must be a host name with an optional port",
        ),
        ("hosts: [a, A]", "hosts[1] duplicate entry"),
        (
            "origins: ['*']",
            "origins[0] must not be *, which would allow every website",
        ),
        (
            "origins: ['null']",
            "origins[0] must not be null, which would allow every website",
        ),
        (
            "origins: ['https://a/']",
            "origins[0] must not end with a slash",
        ),
        (
            "origins: ['https://a/b']",
            "origins[0] must not have a path",
        ),
        (
            "origins: ['https://a?b']",
            "origins[0] must not have a query",
        ),
        (
            "origins: ['https://*']",
            "origins[0] must not have * in place of a host, which would allow every website",
        ),
        (
            "origins: ['http://*']",
            "origins[0] must not have * in place of a host, which would allow every website",
        ),
        (
            "origins: ['https://*.example.com']",
            "origins[0] must have a valid host and an optional port, without user name or password",
        ),
        (
            "origins: ['moz-extension://*/']",
            "origins[0] must not end with a slash",
        ),
        (
            "origins: ['moz-extension://a*']",
            "origins[0] must have a host of letters, digits, -, ., _ and ~, and an optional port",
        ),
        (
            "origins: ['*://a']",
            "origins[0] must begin with a scheme in lower case and ://",
        ),
        (
            "origins: [app.example.com]",
            "origins[0] must begin with a scheme in lower case and ://",
        ),
        (
            "origins: [https://a, 'https://a:443']",
            "origins[1] duplicate entry",
        ),
        (
            "origins: ['app://*', 'app://*']",
            "origins[1] duplicate entry",
        ),
        (
            "admin: { address: 9090 }",
            "admin.address must be text, found a number",
        ),
    ];
    for (line, expected) in cases {
        let findings = findings(&format!("{VALID}{line}\n"));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(
            format!("{} {}", findings[0].path, findings[0].problem),
            expected,
            "{line}"
        );
    }
    let config = parsed(&format!(
        "{VALID}hosts: [mcp.internal:8443]\norigins: [https://app.example.com]\n"
    ));
    assert_eq!(config.hosts[0].to_string(), "mcp.internal:8443");
    assert_eq!(config.origins[0].to_string(), "https://app.example.com");
    for origin in [
        "chrome-extension://abcdef",
        "moz-extension://*",
        "vscode-webview://*",
        "tauri://localhost",
        "app://.",
        "capacitor://localhost",
    ] {
        let config = parsed(&format!("{VALID}origins: ['{origin}']\n"));
        assert_eq!(config.origins[0].to_string(), origin);
    }
}
