//! What each key takes and refuses, as far as no file is read.

use std::time::Duration;

use super::*;

#[test]
fn keys_that_do_not_exist_are_refused() {
    each_has_its_finding(&[
        (
            "public_url: https://mcp.example.com",
            "public_url: https://mcp.example.com\ntrusted_proxies: []",
            "trusted_proxies:2:1 is no key that is known here",
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
            "resources[1].policy.default:23:15 must be text",
        ),
    ]);
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
        "{SOUND}limits: {{ body_bytes: 1MiB, connections: 7 }}\ntimeouts: {{ sse_comment: 0s, response_head: 90s }}\nlog: {{ format: text, level: debug, access: false }}\n"
    ));
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
        ("origins: ['*']", "origins[0] is no http or https URL"),
        ("origins: ['null']", "origins[0] is no http or https URL"),
        (
            "origins: ['https://a/']",
            "origins[0] has a path with spaces, dot segments or other characters that are ambiguous",
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

#[test]
fn issuers_are_https_and_asymmetric() {
    const ISSUER: &str = "issuer: https://partner.example.com";
    each_has_its_finding(&[
        (
            ISSUER,
            "issuer: http://partner.example.com",
            "issuers.partner.issuer:8:5 is plain HTTP to another machine, where the keys can be exchanged on the way",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/?x=1",
            "issuers.partner.issuer:8:5 has a query, which is not allowed here",
        ),
        (
            ISSUER,
            "issuer: https://partner.example.com/#x",
            "issuers.partner.issuer:8:5 has a fragment (#), which is not allowed here",
        ),
        (
            ISSUER,
            "algorithms: [RS256]",
            "issuers.partner.issuer:7:3 is missing",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [HS384] }",
            "issuers.partner.algorithms[0]:8:49 HS384 is symmetric: whoever can check such a token can make one",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: None }",
            "issuers.partner.algorithms:8:36 none means that tokens are not signed",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [RS265] }",
            "issuers.partner.algorithms[0]:8:49 RS265 is no known algorithm",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', algorithms: [rot13] }",
            "issuers.partner.algorithms[0]:8:49 rot13 is no known algorithm",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', ignored_headers: [crit] }",
            "issuers.partner.ignored_headers[0]:8:54 crit cannot be ignored",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: 'http://p.example/keys' }",
            "issuers.partner.jwks_uri:8:36 is plain HTTP to another machine, where the keys can be exchanged on the way",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: keys.json }",
            "issuers.partner.jwks_uri:8:36 is no http or https URL",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', clock_skew: 1h }",
            "issuers.partner.clock_skew:8:36 is out of range",
        ),
        (
            ISSUER,
            "{ issuer: 'https://p.example', token_types: ['a b'] }",
            "issuers.partner.token_types[0]:8:50 is no media type",
        ),
    ]);
    each_is_sound(&[
        (
            ISSUER,
            "{ issuer: 'http://partner.example.com', allow_http: true }",
        ),
        (ISSUER, "issuer: http://localhost:9000/"),
        (
            ISSUER,
            "{ issuer: 'https://p.example', jwks_uri: 'https://p.example/keys?p=b2c_1' }",
        ),
    ]);
}

#[test]
fn issuers_may_shape_their_tokens() {
    let config = parsed(&edited(
        "issuer: https://partner.example.com",
        "{ issuer: 'https://p.example', token_types: [application/AT+JWT, JWT, ''], algorithms: RS256, scope_claim: [scp, roles], subject_claim: oid, ignored_headers: [jku] }",
    ));
    let issuer = &config.issuers["partner"];
    assert_eq!(issuer.token_types, ["at+jwt", "jwt", ""]);
    assert_eq!(issuer.algorithms.len(), 1);
    assert_eq!(issuer.scope_claims, ["scp", "roles"]);
    assert_eq!(
        (
            issuer.subject_claim.as_str(),
            issuer.ignored_headers.as_slice()
        ),
        ("oid", ["jku".to_owned()].as_slice())
    );
}

#[test]
fn issuer_names_are_plain_and_known() {
    each_has_its_finding(&[
        (
            "issuers: [corporate]",
            "issuers: [corporat]",
            "resources[0].issuers[0]:12:15 corporat is no issuer of this configuration",
        ),
        (
            "issuers: [corporate]",
            "issuers: [corporate, corporate]",
            "resources[0].issuers[1]:12:26 is listed twice",
        ),
    ]);
    let twins = edited("https://partner.example.com", "https://login.example.com/")
        .replace("[corporate]", "[corporate, partner]");
    assert_eq!(
        only_finding(&twins),
        "resources[0].issuers[1]:12:26 has the same issuer URL as another one here"
    );
    let spaced = SOUND
        .replace("partner:", "\"part ner\":")
        .replace("[partner]", "[\"part ner\"]");
    assert_eq!(
        only_finding(&spaced),
        "issuers[\"part ner\"]:7:3 has a name with other characters than letters, digits, - and _"
    );
}

#[test]
fn resource_paths_are_plain() {
    const PLAIN: &str = "resources[1].path:20:5 is no plain absolute path";
    for path in [
        "other", "/other/", "//other", "/a//b", "/a/../b", "/./a", "/a%2fb", "/a;b", "/a?b",
        "/a#b", "/a\\b", "/ä", "'/a b'", "'/*'",
    ] {
        assert_eq!(
            only_finding(&edited("path: /other", &format!("path: {path}"))),
            PLAIN,
            "{path}"
        );
    }
    each_has_its_finding(&[
        (
            "path: /other",
            "path: /.well-known/x",
            "resources[1].path:20:5 is below /.well-known/, where the gateway's own documents are",
        ),
        (
            "path: /other",
            "path: /mcp",
            "resources[1]:20:5 has the path and host of another resource",
        ),
        (
            "path: /other",
            "path: /mcp\n    host: mcp.example.com",
            "resources[1]:20:5 has the path and host of another resource",
        ),
        (
            "path: /other",
            "host: a.example",
            "resources[1].path:20:5 is missing",
        ),
    ]);
    each_is_sound(&[
        ("path: /other", "path: /mcp\n    host: other.example.com"),
        ("path: /other", "path: /a/b.c_d~e-F"),
    ]);
}

#[test]
fn the_root_path_is_its_own_audience_with_and_without_the_slash() {
    let config = parsed(&edited("path: /other", "path: /"));
    assert_eq!(config.resources[1].uri, "https://mcp.example.com/");
    assert_eq!(
        config.resources[1].audience,
        ["https://mcp.example.com/", "https://mcp.example.com"]
    );
}

#[test]
fn a_resource_with_a_host_has_its_uri_there() {
    let config = parsed(&edited(
        "path: /other",
        "path: /other\n    host: Other.example.com:443",
    ));
    assert_eq!(config.resources[1].uri, "https://other.example.com/other");
}

#[test]
fn resources_that_accept_the_same_token_must_say_so() {
    let shared = |one: &str, other: &str| {
        SOUND
            .replace(
                "issuers: [partner]",
                &format!("issuers: [partner, corporate]\n    audience: [b, tasks]\n    {other}"),
            )
            .replace(
                "issuers: [corporate]",
                &format!("issuers: [corporate]\n    audience: tasks\n    {one}"),
            )
    };
    const SAYS: &str = "shared_audience: true";
    const FINDING: &str =
        "resources[1]:22:5 accepts the tokens of /mcp: they share an issuer and an audience";
    for (one, other) in [("name: a", "name: b"), (SAYS, "name: b"), ("name: a", SAYS)] {
        assert_eq!(only_finding(&shared(one, other)), FINDING, "{one} {other}");
    }
    parsed(&shared(SAYS, SAYS));
    parsed(&shared("name: a", "name: b").replace("[partner, corporate]", "[partner]"));
}

#[test]
fn upstreams_are_urls_with_a_path_or_sockets() {
    const UPSTREAM: &str = "upstream: https://other.internal/mcp";
    each_has_its_finding(&[
        (
            UPSTREAM,
            "upstream: https://other.internal",
            "resources[1].upstream:21:5 has no path",
        ),
        (
            UPSTREAM,
            "upstream: other.internal:9000",
            "resources[1].upstream:21:5 is no http or https URL",
        ),
        (
            UPSTREAM,
            "upstream: https://u:p@other.internal/mcp",
            "resources[1].upstream:21:5 has no plain host and port after the scheme",
        ),
        (
            UPSTREAM,
            "upstream: https://other.internal/mcp?x=1",
            "resources[1].upstream:21:5 has a query, which is not allowed here",
        ),
        (
            UPSTREAM,
            "upstream: http://localhost:8080/mcp",
            "resources[1].upstream:21:5 is a listener of this gateway",
        ),
        (
            UPSTREAM,
            "upstream: {}",
            "resources[1].upstream:21:5 has neither url nor unix",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'http://a/mcp', unix: /a }",
            "resources[1].upstream.unix:21:38 stands beside url",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'http://a/mcp', path: /a }",
            "resources[1].upstream.path:21:38 is no key that is known here",
        ),
        (
            UPSTREAM,
            "upstream: { unix: /a, ca_file: /b }",
            "resources[1].upstream.ca_file:21:27 is no key that is known here",
        ),
        (
            UPSTREAM,
            "upstream: { unix: /a, path: mcp }",
            "resources[1].upstream.path:21:27 has a path with spaces, dot segments or other characters that are ambiguous",
        ),
        (UPSTREAM, "name: x", "resources[1].upstream:20:5 is missing"),
    ]);
    let long = format!("upstream: {{ unix: /{} }}", "a".repeat(110));
    assert_eq!(
        only_finding(&edited(UPSTREAM, &long)),
        "resources[1].upstream.unix:21:17 is longer than 107 bytes"
    );
}

#[test]
fn an_upstream_has_its_own_host_and_path() {
    const UPSTREAM: &str = "upstream: https://other.internal/mcp";
    let upstream = |to: &str| parsed(&edited(UPSTREAM, to)).resources[1].upstream.clone();
    let by_url = upstream("upstream: https://Other.internal:443/a/b");
    assert_eq!(
        (by_url.host.as_str(), by_url.path.as_str()),
        ("other.internal", "/a/b")
    );
    let by_socket = upstream("upstream: { unix: run/tasks.sock }");
    let socket = Path::new("/nonexistent/run/tasks.sock").to_owned();
    assert_eq!(by_socket.target, UpstreamTarget::Unix { socket });
    assert_eq!(
        (by_socket.host.as_str(), by_socket.path.as_str()),
        ("localhost", "/other")
    );
    assert_eq!(upstream("upstream: { unix: /a, path: /b }").path, "/b");
}

#[test]
fn rules_speak_of_calls_that_exist() {
    const RULE: &str = "{ method: tools/call, name: [create], scopes: [write] }";
    each_has_its_finding(&[
        (
            RULE,
            "{ method: tools/cal }",
            "resources[0].policy.rules[0].method:19:13 tools/cal is no MCP method",
        ),
        (
            RULE,
            "{ method: Tools/Call }",
            "resources[0].policy.rules[0].method:19:13 Tools/Call is no MCP method",
        ),
        (
            RULE,
            "{ method: '*' }",
            "resources[0].policy.rules[0].method:19:13 * is no MCP method",
        ),
        (
            RULE,
            "{ name: create }",
            "resources[0].policy.rules[0].method:19:11 is missing",
        ),
        (
            RULE,
            "{ method: ping }",
            "resources[0].policy.rules[0].method:19:13 ping takes the required scopes only: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: notifications/cancelled }",
            "resources[0].policy.rules[0].method:19:13 notifications/cancelled takes the required scopes only: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: sampling/createMessage }",
            "resources[0].policy.rules[0].method:19:13 sampling/createMessage goes from the server to the client: this rule would never be asked",
        ),
        (
            RULE,
            "{ method: tools/list, name: create }",
            "resources[0].policy.rules[0].name:19:33 stands beside a method that acts on nothing with a name",
        ),
        (
            RULE,
            "{ method: tools/call, name: 'create_*' }",
            "resources[0].policy.rules[0].name:19:33 has a *, but names are exact",
        ),
        (
            RULE,
            "{ method: tools/call, name: [a, a] }",
            "resources[0].policy.rules[0].name[1]:19:43 is listed twice",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: [admin] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 admin is not in scopes.supported",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 a b is not one scope",
        ),
        (
            RULE,
            "{ method: tools/call, scopes: ['a\"b'] }",
            "resources[0].policy.rules[0].scopes[0]:19:42 a\\\"b is not one scope",
        ),
        (
            "required: [read]",
            "required: [reed]",
            "resources[0].scopes.required[0]:14:18 reed is not in scopes.supported",
        ),
    ]);
}

#[test]
fn rules_behind_a_broader_one_are_refused() {
    let rules = |rules: &[&str]| {
        let lines: String = rules
            .iter()
            .map(|rule| format!("\n        - {rule}"))
            .collect();
        edited(
            "\n        - { method: tools/call, name: [create], scopes: [write] }",
            &lines,
        )
    };
    let hidden = rules(&[
        "{ method: tools/call, scopes: [write] }",
        "{ method: tools/call, name: create }",
    ]);
    assert_eq!(
        only_finding(&hidden),
        "resources[0].policy.rules[1]:20:11 is never reached: rules[0] matches every such call"
    );
    let repeated = rules(&[
        "{ method: tools/call, name: [a, b] }",
        "{ method: tools/call, name: [c, b] }",
    ]);
    assert_eq!(
        only_finding(&repeated),
        "resources[0].policy.rules[1]:20:11 is never reached for b: rules[0] matches it"
    );
    parsed(&rules(&[
        "{ method: tools/call, name: a }",
        "{ method: tools/call }",
        "{ method: prompts/get, name: a }",
    ]));
}

#[test]
fn scopes_that_are_not_listed_are_those_in_use() {
    let config = parsed(&edited("      supported: [read, write]\n", ""));
    assert_eq!(
        config.resources[0].scopes_supported.to_string(),
        "read write"
    );
}

#[test]
fn identity_headers_have_names_of_their_own() {
    const POLICY: &str = "policy: { default: deny }";
    let with = |headers: &str| {
        edited(
            POLICY,
            &format!("{POLICY}\n    identity_headers: {headers}"),
        )
    };
    for name in [
        "mcp-session-id",
        "Authorization",
        "cookie",
        "host",
        "content-type",
        "connection",
        "transfer-encoding",
        "proxy-authorization",
        "user-agent",
    ] {
        let finding = only_finding(&with(&format!("{{ subject: {name} }}")));
        assert_eq!(
            finding,
            "resources[1].identity_headers.subject:24:25 is a header that already means something else",
            "{name}"
        );
    }
    let cases = [
        (
            "{ subject: x_user }",
            "resources[1].identity_headers.subject:24:25 is no header name of letters, digits and hyphens",
        ),
        (
            "{ subject: 'x user' }",
            "resources[1].identity_headers.subject:24:25 is no header name of letters, digits and hyphens",
        ),
        (
            "{ subject: x-a, issuer: X-A }",
            "resources[1].identity_headers.issuer:24:39 has the same name as another identity header",
        ),
        (
            "{ issuer: x-mcp-subject }",
            "resources[1].identity_headers.issuer:24:25 has the same name as another identity header",
        ),
        ("~", "resources[1].identity_headers:24:5 is empty"),
    ];
    for (headers, expected) in cases {
        assert_eq!(only_finding(&with(headers)), expected, "{headers}");
    }
    let config = parsed(&with("{ subject: X-User, client: null }"));
    let headers = &config.resources[1].identity_headers;
    assert_eq!(headers.subject.as_ref().unwrap(), "x-user");
    assert_eq!(headers.issuer.as_ref().unwrap(), "x-mcp-issuer");
    assert_eq!(headers.client, None);
}
