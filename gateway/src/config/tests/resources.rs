//! Findings about resources: paths, audiences, upstreams, identity headers.

use std::time::Duration;

use mcp_gateway_core::mcp::tasks::Tasks;

use super::*;

#[test]
fn resource_paths_are_plain() {
    const PLAIN: &str = "resources[1].path:20:5 must be an absolute path of plain segments";
    for path in [
        "other", "/other//", "//", "//other", "/a//b", "/a/../b", "/./a", "/a%2fb", "/a;b", "/a?b",
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
            "resources[1].path:20:5 must not be below /.well-known/, which is reserved for metadata",
        ),
        (
            "path: /other",
            "path: /mcp",
            "resources[1]:20:5 same path and host as another resource",
        ),
        (
            "path: /other",
            "path: /mcp\n    host: mcp.example.com",
            "resources[1]:20:5 same path and host as another resource",
        ),
        (
            "path: /other",
            "host: a.example",
            "resources[1].path:20:5 required key is missing",
        ),
    ]);
    each_is_valid(&[
        ("path: /other", "path: /mcp\n    host: other.example.com"),
        ("path: /other", "path: /a/b.c_d~e-F"),
        ("path: /other", "path: /other/"),
        ("path: /other", "path: /mcp/"),
    ]);
}

#[test]
fn a_resource_accepts_tokens_for_its_uri_with_and_without_the_slash() {
    const BARE: &str = "https://mcp.example.com/other";
    const SLASH: &str = "https://mcp.example.com/other/";
    let audience = |lines: &str| {
        parsed(&edited("path: /other", lines)).resources[1]
            .audience
            .clone()
    };
    for (lines, expected) in [
        ("path: /other", &[BARE, SLASH][..]),
        ("path: /other/", &[SLASH, BARE]),
        (
            &format!("path: /other\n    audience: [a, '{BARE}']"),
            &["a", BARE, SLASH],
        ),
        (
            &format!("path: /other\n    audience: '{SLASH}'"),
            &[SLASH, BARE],
        ),
        ("path: /other\n    audience: a", &["a"]),
    ] {
        assert_eq!(audience(lines), expected, "{lines}");
    }
}

#[test]
fn resources_that_differ_in_the_final_slash_accept_their_own_tokens_only() {
    let config = parsed(&edited("path: /other", "path: /mcp/"));
    let audiences = config.resources.iter().map(|resource| &*resource.audience);
    let expected = [
        ["https://mcp.example.com/mcp"],
        ["https://mcp.example.com/mcp/"],
    ];
    assert_eq!(audiences.collect::<Vec<_>>(), expected);
    // A spelling that another resource lists is that one's.
    let lines = "path: /other\n    audience: https://mcp.example.com/mcp/";
    let config = parsed(&edited("path: /other", lines));
    assert_eq!(
        config.resources[0].audience,
        ["https://mcp.example.com/mcp"]
    );
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
fn the_uri_of_a_resource_with_a_host_has_that_host() {
    let config = parsed(&edited(
        "path: /other",
        "path: /other\n    host: Other.example.com:443",
    ));
    assert_eq!(config.resources[1].uri, "https://other.example.com/other");
}

#[test]
fn resources_that_accept_the_same_token_must_set_shared_audience() {
    let shared = |one: &str, other: &str| {
        VALID
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
        "resources[1]:22:5 accepts the same tokens as /mcp: both have the same issuer and audience";
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
            "resources[1].upstream:21:5 must have a path",
        ),
        (
            UPSTREAM,
            "upstream: other.internal:9000",
            "resources[1].upstream:21:5 must be an absolute http or https URL",
        ),
        (
            UPSTREAM,
            "upstream: https://u:p@other.internal/mcp",
            "resources[1].upstream:21:5 must have a valid host and an optional port, without user name or password",
        ),
        (
            UPSTREAM,
            "upstream: http://localhost:8080/mcp",
            "resources[1].upstream:21:5 must not be a listener of this gateway",
        ),
        (
            UPSTREAM,
            "upstream: {}",
            "resources[1].upstream:21:5 must have `url`, `unix` or `endpoints`",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'http://a/mcp', unix: /a }",
            "resources[1].upstream.unix:21:38 cannot be combined with `url`",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'http://a/mcp', path: /a }",
            "resources[1].upstream.path:21:38 unknown key",
        ),
        (
            UPSTREAM,
            "upstream: { unix: /a, ca_file: /b }",
            "resources[1].upstream.ca_file:21:27 has no effect: the upstream is reached without TLS",
        ),
        (
            UPSTREAM,
            "upstream: { unix: /a, server_name: b }",
            "resources[1].upstream.server_name:21:27 has no effect: the upstream is reached without TLS",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'http://a/mcp', pins: sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E= }",
            "resources[1].upstream.pins:21:38 has no effect: the upstream is reached without TLS",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'https://a/mcp', server_name: 'a:1' }",
            "resources[1].upstream.server_name:21:39 must be a host name or an IP address, without port",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'https://a/mcp', pins: sha256/AAAA }",
            "resources[1].upstream.pins:21:39 must be sha256/ and the base64 of a SHA-256, 44 characters",
        ),
        (
            UPSTREAM,
            "upstream: { url: 'https://a/mcp', pins: [] }",
            "resources[1].upstream.pins:21:39 must not be empty",
        ),
        (
            UPSTREAM,
            "upstream: { unix: /a, path: mcp }",
            "resources[1].upstream.path:21:27 must be an absolute path",
        ),
        (
            UPSTREAM,
            "name: x",
            "resources[1].upstream:20:5 required key is missing",
        ),
    ]);
    let long = format!("upstream: {{ unix: /{} }}", "a".repeat(110));
    assert_eq!(
        only_finding(&edited(UPSTREAM, &long)),
        "resources[1].upstream.unix:21:17 path of the socket must not be longer than 107 bytes"
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
fn endpoints_are_instances_of_one_server() {
    const UPSTREAM: &str = "upstream: https://other.internal/mcp";
    each_has_its_finding(&[
        (
            UPSTREAM,
            "upstream: { endpoints: [] }",
            "resources[1].upstream.endpoints:21:17 must have an endpoint",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [http://a/mcp], url: 'http://b/mcp' }",
            "resources[1].upstream.endpoints:21:17 cannot be combined with `url` or `unix`",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [http://a/mcp, { url: 'http://a/mcp', weight: 2 }] }",
            "resources[1].upstream.endpoints[1]:21:43 is listed twice",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [http://a] }",
            "resources[1].upstream.endpoints[0]:21:29 must have a path",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [http://localhost:8080/mcp] }",
            "resources[1].upstream.endpoints[0]:21:29 must not be a listener of this gateway",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [http://a/mcp, 'http://b/mcp?c=d'] }",
            "resources[1].upstream.endpoints[1]:21:43 must have the same query as the first endpoint",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [{ weight: 2 }] }",
            "resources[1].upstream.endpoints[0].url:21:29 required key is missing",
        ),
        (
            UPSTREAM,
            "upstream: { endpoints: [{ url: 'http://a/mcp', weight: 0 }] }",
            "resources[1].upstream.endpoints[0].weight:21:52 out of range",
        ),
    ]);
    let many = |count: usize| {
        let urls: Vec<_> = (0..count).map(|n| format!("http://a{n}/mcp")).collect();
        edited(
            UPSTREAM,
            &format!("upstream: {{ endpoints: [{}] }}", urls.join(", ")),
        )
    };
    assert_eq!(
        parsed(&many(100)).resources[1].balancing.endpoints.len(),
        100
    );
    assert_eq!(
        only_finding(&many(101)),
        "resources[1].upstream.endpoints:21:17 must not have more than 100 endpoints"
    );
    let read = "upstream: { endpoints: [https://a/x, { url: 'https://b/y', weight: 7 }], host: h.test, http2: false }";
    let resource = parsed(&edited(UPSTREAM, read)).resources[1].clone();
    let found: Vec<_> = (resource.balancing.endpoints.iter())
        .map(|one| {
            (
                one.upstream.path.as_str(),
                one.upstream.host.as_str(),
                one.weight,
            )
        })
        .collect();
    assert_eq!(found, [("/x", "h.test", 1), ("/y", "h.test", 7)]);
    assert_eq!(resource.upstream, resource.balancing.endpoints[0].upstream);
    assert!(resource.upstreams().all(|upstream| !upstream.http2));
}

#[test]
fn keys_about_endpoints_without_an_effect_are_findings() {
    for (keys, expected) in [
        (
            "resolve_interval: 9s",
            "resolve_interval has no effect without `resolve: true`",
        ),
        (
            "queue: { calls: 5 }",
            "queue has no effect without `max_calls`",
        ),
        (
            "health_check: { path: /up }",
            "health_check.path has no effect with this `kind`",
        ),
        (
            "health_check: { kind: http, path: up }",
            "health_check.path must be an absolute path",
        ),
        ("ejection: { after: 5 }", "ejection.after unknown key"),
    ] {
        assert_eq!(finding_of_upstream(keys), expected);
    }
    for (upstream, expected) in [
        (
            "{ url: 'http://127.0.0.1/mcp', resolve: true }",
            "resources[1].upstream.resolve:21:46 has no effect: the host of `url` is an address",
        ),
        (
            "{ unix: /a, resolve: true }",
            "resources[1].upstream.resolve:21:27 has no effect without `url`",
        ),
    ] {
        let edited = edited(
            "upstream: https://other.internal/mcp",
            &format!("upstream: {upstream}"),
        );
        assert_eq!(only_finding(&edited), expected);
    }
}

#[test]
fn how_calls_are_spread_has_defaults() {
    let plain = parsed(VALID).resources[1].balancing.clone();
    assert!(!plain.has_several() && plain.resolve.is_none() && plain.health_check.is_none());
    assert!(plain.ejection.enabled && plain.max_calls.is_none());
    let keys = "resolve: true\n      health_check: {}\n      max_calls: 9";
    let read = upstream_with(keys).resources[1].balancing.clone();
    assert!(read.has_several());
    assert_eq!(read.resolve, Some(Duration::from_secs(5)));
    assert_eq!(
        read.health_check.unwrap().settings,
        HealthCheckSettings::default()
    );
    assert_eq!((read.max_calls, read.queue.calls), (Some(9), 100));
}

#[test]
fn http2_is_used_over_tls_unless_it_is_off_and_without_tls_only_if_it_is_on() {
    const UPSTREAM: &str = "upstream: https://other.internal/mcp";
    for (to, expected) in [
        ("https://a/mcp", true),
        ("http://a/mcp", false),
        ("{ url: https://a/mcp }", true),
        ("{ url: https://a/mcp, http2: false }", false),
        ("{ url: http://a/mcp }", false),
        ("{ url: http://a/mcp, http2: true }", true),
        ("{ unix: /a }", false),
        ("{ unix: /a, http2: true }", true),
    ] {
        let document = edited(UPSTREAM, &format!("upstream: {to}"));
        assert_eq!(
            parsed(&document).resources[1].upstream.http2,
            expected,
            "{to}"
        );
    }
    assert_eq!(
        only_finding(&edited(UPSTREAM, "upstream: { unix: /a, http2: h2c }")),
        "resources[1].upstream.http2:21:27 must be true or false, found text"
    );
}

#[test]
fn protocol_versions_are_revisions_of_mcp() {
    const POLICY: &str = "policy: { default: deny }";
    let with = |versions: &str| {
        edited(
            POLICY,
            &format!("{POLICY}\n    protocol_versions: {versions}"),
        )
    };
    for (versions, expected) in [
        ("[]", ":24:5 must not be empty"),
        ("~", ":24:5 must not be empty"),
        (
            "[2025-11-25, 2025-11-24]",
            "[1]:24:37 unknown MCP version `2025-11-24`",
        ),
        ("'2026'", ":24:5 unknown MCP version `2026`"),
        ("[latest]", "[0]:24:25 unknown MCP version `latest`"),
        (
            "[2026-07-28, 2025-11-25, 2026-07-28]",
            "[2]:24:49 duplicate entry",
        ),
        ("[2026]", "[0]:24:25 must be text, found a number"),
    ] {
        let expected = format!("resources[1].protocol_versions{expected}");
        assert_eq!(only_finding(&with(versions)), expected, "{versions}");
    }
    let near = findings(&with("[2025-11-26]"));
    assert_eq!(near[0].fix, "Did you mean `2025-11-25`?");
    let supported = |text: &str| parsed(text).resources[1].supported.clone();
    assert_eq!(supported(VALID), None);
    let listed = supported(&with("[2026-07-28, 2025-11-25, 2027-01-31]")).unwrap();
    assert_eq!(
        listed.versions(),
        ["2026-07-28", "2025-11-25", "2027-01-31"]
    );
    assert_eq!(
        supported(&with("2026-07-28")).unwrap().versions(),
        ["2026-07-28"]
    );
}

#[test]
fn identity_headers_have_distinct_names_that_are_not_reserved() {
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
            "resources[1].identity_headers.subject:24:25 header name is reserved for another use",
            "{name}"
        );
    }
    let cases = [
        (
            "{ subject: x_user }",
            "resources[1].identity_headers.subject:24:25 header name must have only letters, digits and hyphens",
        ),
        (
            "{ subject: 'x user' }",
            "resources[1].identity_headers.subject:24:25 header name must have only letters, digits and hyphens",
        ),
        (
            "{ subject: x-a, issuer: X-A }",
            "resources[1].identity_headers.issuer:24:39 same header name as another identity header",
        ),
        (
            "{ issuer: x-mcp-subject }",
            "resources[1].identity_headers.issuer:24:25 same header name as another identity header",
        ),
        ("~", "resources[1].identity_headers:24:5 must not be empty"),
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

#[test]
fn bound_tokens_are_accepted_by_default_beside_others() {
    const POLICY: &str = "policy: { default: deny }";
    let with = |keys: &str| edited(POLICY, &format!("{POLICY}\n    sender_constraint: {keys}"));
    let of = |keys: &str| {
        let read = parsed(&with(keys)).resources[1].sender_constraint;
        (read.dpop, read.dpop_nonces)
    };
    assert_eq!(of("{}"), (Demand::Allow, false));
    assert_eq!(of("{ dpop: require }"), (Demand::Require, false));
    assert_eq!(of("{ dpop_nonces: true }"), (Demand::Allow, true));
    assert_eq!(of("{ dpop: refuse }"), (Demand::Refuse, false));
    let finding = only_finding(&with("{ dpop: refuse, dpop_nonces: true }"));
    assert_eq!(
        finding,
        "resources[1].sender_constraint.dpop_nonces:24:40 has no effect where DPoP is refused, or `mutual_tls` is required"
    );
    let finding = only_finding(&with("{ dpop: never }"));
    assert!(
        finding.starts_with("resources[1].sender_constraint.dpop:24:26 "),
        "{finding}"
    );
}

#[test]
fn http_sse_has_a_second_path_that_no_other_resource_has() {
    const OTHER: &str = "upstream: https://other.internal/mcp";
    let sse = |lines: &str| {
        let text = edited(
            OTHER,
            "upstream: { url: 'https://other.internal/mcp', transport: sse }",
        );
        text.replace("path: /other", lines)
    };
    assert_eq!(
        parsed(&sse("path: /other")).resources[1].transport,
        Transport::Sse
    );
    assert_eq!(
        parsed(VALID).resources[0].transport,
        Transport::StreamableHttp
    );
    let both = |first: &str, second: &str| sse(second).replacen("path: /mcp", first, 1);
    for (first, second) in [
        ("path: /other/message", "path: /other"),
        ("path: /other/message/", "path: /other/"),
        ("path: /message", "path: /"),
        (
            "path: /other/message",
            "path: /other\n    host: b.example.com",
        ),
    ] {
        let finding = only_finding(&both(first, second));
        let problem = "is the path of messages of a resource with `upstream.transport: sse`";
        assert!(
            finding.starts_with("resources[1]:") && finding.ends_with(problem),
            "{finding}"
        );
    }
    for (first, second) in [
        ("path: /other/messages", "path: /other"),
        ("path: /message", "path: /other"),
        ("path: /other", "path: /other\n    host: b.example.com"),
        (
            "path: /other/message\n    host: a.example.com",
            "path: /other\n    host: b.example.com",
        ),
    ] {
        assert_eq!(parsed(&both(first, second)).resources.len(), 2);
    }
    let of_both = |second: &str| {
        let first = "upstream: { url: 'http://127.0.0.1:9000/mcp', transport: sse }";
        let text = both("path: /other", second);
        text.replace("upstream: http://127.0.0.1:9000/mcp", first)
    };
    let finding = only_finding(&of_both("path: /other/"));
    assert!(finding.contains("/other/message is the path"), "{finding}");
    let other_host = of_both("path: /other\n    host: b.example.com");
    assert_eq!(parsed(&other_host).resources.len(), 2);
    for (line, problem) in [
        ("tasks: seal", "tasks"),
        ("request_state: seal", "request_state"),
        ("protocol_versions: [2026-07-28]", "protocol_versions"),
    ] {
        let finding = only_finding(&sse(&format!("path: /other\n    {line}")));
        assert!(
            finding.starts_with(&format!("resources[1].{problem}:")),
            "{finding}"
        );
        assert!(
            finding.contains("where `upstream.transport` is sse"),
            "{finding}"
        );
    }
}

#[test]
fn event_ids_are_left_to_the_upstream_by_default() {
    const POLICY: &str = "policy: { default: deny }";
    let with = |keys: &str| edited(POLICY, &format!("{POLICY}\n    {keys}"));
    let of = |keys: &str| parsed(&with(keys)).resources[1].event_ids;
    assert_eq!(of("name: a"), EventIds::Upstream);
    assert_eq!(of("event_ids: drop"), EventIds::Drop);
    assert_eq!(of("event_ids: upstream"), EventIds::Upstream);
    let finding = only_finding(&with("event_ids: seal"));
    assert!(
        finding.starts_with("resources[1].event_ids:24:5 "),
        "{finding}"
    );
}

#[test]
fn tasks_are_refused_and_request_states_forwarded_by_default() {
    const POLICY: &str = "policy: { default: deny }";
    let with = |keys: &str| edited(POLICY, &format!("{POLICY}\n    {keys}"));
    let of = |keys: &str| {
        let config = parsed(&with(keys));
        (config.resources[1].tasks, config.resources[1].request_state)
    };
    assert_eq!(of("name: a"), (Tasks::Refuse, RequestState::Upstream));
    assert_eq!(
        of("tasks: refuse\n    request_state: upstream"),
        (Tasks::Refuse, RequestState::Upstream)
    );
    assert_eq!(
        of("tasks: seal\n    request_state: seal"),
        (Tasks::Seal, RequestState::Seal)
    );
    assert_eq!(
        of("tasks: upstream"),
        (Tasks::Upstream, RequestState::Upstream)
    );
    for (keys, expected) in [
        ("tasks: allow", "resources[1].tasks:24:5 "),
        ("tasks: true", "resources[1].tasks:24:5 "),
        ("request_state: refuse", "resources[1].request_state:24:5 "),
    ] {
        let finding = only_finding(&with(keys));
        assert!(finding.starts_with(expected), "{keys}: {finding}");
    }
}

/// The only finding about an upstream with these keys, without its position.
fn finding_of_upstream(keys: &str) -> String {
    let upstream = format!("upstream:\n      url: https://other.internal/mcp\n      {keys}");
    let found = only_finding(&edited("upstream: https://other.internal/mcp", &upstream));
    let (path, problem) = found.split_once(' ').unwrap();
    let path = path.split(':').next().unwrap();
    format!(
        "{} {problem}",
        path.strip_prefix("resources[1].upstream.").unwrap()
    )
}

fn upstream_with(keys: &str) -> Config {
    let upstream = format!("upstream:\n      url: https://other.internal/mcp\n      {keys}");
    parsed(&edited("upstream: https://other.internal/mcp", &upstream))
}

#[test]
fn headers_of_clients_are_passed_on_by_harmless_names_only() {
    for (names, problem) in [
        ("Authorization", "must not be authorization"),
        ("COOKIE", "must not be cookie"),
        (
            "X-Mcp-Subject, X-MCP-Role",
            "must not be an identity header",
        ),
        (
            "Host, Connection, TE, Transfer-Encoding, Content-Length, Keep-Alive, Upgrade, Proxy-Authorization, Mcp-Session-Id, Mcp-Name, Last-Event-ID, Accept-Encoding, If-Match, Expect",
            "must not be a header of the connection",
        ),
        (
            "User-Agent, traceparent, Accept-Language",
            "is forwarded already",
        ),
        (
            "X-Forwarded-For, Forwarded, X-Real-IP, Origin, Sec-Fetch-Site, X-Forwarded-User, True-Client-IP, Proxy, \
             X-Forwarded, DPoP, Client-Cert, X-Remote-User, X-Amzn-Oidc-Identity, Early-Data, X-Accel-Mapping",
            "must not be a header in which browsers and proxies",
        ),
        (
            "X-HTTP-Method-Override, X-Rewrite-URL, X-Middleware-Subrequest",
            "must not be a header that replaces the method",
        ),
        (
            "x_tenant, 'x tenant', 'x:y', 'ä'",
            "header name must have only letters, digits and hyphens",
        ),
    ] {
        for name in names.split(", ") {
            let found = finding_of_upstream(&format!("pass_headers: {name}"));
            assert!(
                found.starts_with(&format!("pass_headers {problem}")),
                "{name}: {found}"
            );
        }
    }
    let found = finding_of_upstream("pass_headers: [X-Tenant-Id, x-tenant-id]");
    assert_eq!(found, "pass_headers[1] duplicate entry");
    let many: Vec<_> = (0..33).map(|number| format!("x-{number}")).collect();
    let found = finding_of_upstream(&format!("pass_headers: [{}]", many.join(", ")));
    assert_eq!(found, "pass_headers must not have more than 32 headers");
    let config = upstream_with("pass_headers: [X-Tenant-Id, x-api-key]");
    let passed = &config.resources[1].upstream_headers.passed;
    assert_eq!(passed, &["x-tenant-id", "x-api-key"]);
}

#[test]
fn fixed_headers_have_one_line_and_a_harmless_name() {
    for (headers, expected) in [
        ("{ Host: a }", "headers.Host must not be host"),
        (
            "{ X-Mcp-Subject: a }",
            "headers.X-Mcp-Subject must not be an identity header, which has the caller's identity",
        ),
        (
            "{ Content-Length: a }",
            "headers.Content-Length must not be a header of the connection, the body or MCP, which the gateway sets itself",
        ),
        (
            "{ Mcp-Method: a }",
            "headers.Mcp-Method must not be a header of the connection, the body or MCP, which the gateway sets itself",
        ),
        (
            "{ x_key: a }",
            "headers.x_key header name must have only letters, digits and hyphens",
        ),
        (
            "{ X-A: a, x-a: b }",
            "headers.x-a same header name as another",
        ),
        ("{ X-A: \"a\\nb\" }", "headers.X-A must be one line of text"),
        ("{ X-A: 1 }", "headers.X-A must be text, found a number"),
        ("{ X-A: { } }", "headers.X-A.file required key is missing"),
        (
            "{ X-A: { file: /nonexistent/key } }",
            "headers.X-A.file /nonexistent/key cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(
            finding_of_upstream(&format!("headers: {headers}")),
            expected
        );
    }
    let config = upstream_with(
        "headers: { Authorization: Bearer hunter2, Cookie: a=b, X-Forwarded-Proto: https }",
    );
    assert_eq!(config.resources[1].upstream_headers.fixed.len(), 3);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_upstream_may_be_sent_another_host() {
    let config = upstream_with("host: Tasks.example.com:443");
    assert_eq!(config.resources[1].upstream.host, "tasks.example.com");
    let config = upstream_with("host: tasks.example.com:8443");
    assert_eq!(config.resources[1].upstream.host, "tasks.example.com:8443");
    assert_eq!(parsed(VALID).resources[1].upstream.host, "other.internal");
    let found = finding_of_upstream("host: https://tasks.example.com");
    assert_eq!(found, "host must be a host name with an optional port");
}

#[test]
fn a_resource_sends_no_identity_header_of_another_one_to_the_same_server() {
    let with = |port: u16, headers: &str| {
        let text = VALID.replace(
            "    upstream: http://127.0.0.1:9000/mcp\n",
            "    upstream: http://127.0.0.1:9000/mcp\n    identity_headers: { subject: X-User }\n",
        );
        assert_ne!(text, VALID);
        format!(
            "{text}  - path: /third\n    upstream: {{ url: 'http://127.0.0.1:{port}/third', {headers} }}\n    issuers: [partner]\n    policy: {{ default: allow }}\n"
        )
    };
    for headers in ["pass_headers: [x-user]", "headers: { X-User: root }"] {
        let found = only_finding(&with(9000, headers));
        assert!(
            found.ends_with("/third sends x-user to the MCP server for which /mcp sends it as an identity header"),
            "{found}"
        );
        parsed(&with(9009, headers));
    }
    parsed(&with(9000, "pass_headers: [x-tenant-id]"));
}

#[test]
fn certificate_bound_tokens_are_required_only_where_clients_can_present_certificates() {
    let with = |constraint: &str, root: &str| {
        let text = edited(
            "public_url: https://mcp.example.com",
            &format!("public_url: https://mcp.example.com\n{root}"),
        );
        text.replacen(
            "    policy:",
            &format!("    sender_constraint: {{ {constraint} }}\n    policy:"),
            1,
        )
    };
    let proxy = "trusted_proxies: [10.0.0.1]\nclient_certificate_header: client-cert\n";
    let read = |text: &str| parsed(text).resources[0].sender_constraint;
    assert_eq!(read(VALID).mutual_tls, Demand::Allow);
    assert_eq!(
        read(&with("mutual_tls: refuse", "")).mutual_tls,
        Demand::Refuse
    );
    let required = with("mutual_tls: require", proxy);
    assert_eq!(read(&required).mutual_tls, Demand::Require);
    assert!(
        parsed(&required).takes_client_certificates() && !parsed(VALID).takes_client_certificates()
    );
    let problem = |text: &str| {
        let found = only_finding(text);
        let (place, problem) = found.split_once(' ').unwrap();
        assert!(
            place.starts_with("resources[0].sender_constraint.mutual_tls:"),
            "{found}"
        );
        problem.to_owned()
    };
    assert_eq!(
        problem(&with("mutual_tls: require", "")),
        "must not be required where no client can present a certificate"
    );
    assert_eq!(
        problem(&with("mutual_tls: require, dpop: require", proxy)),
        "cannot be required together with `dpop`: a token is bound in one way"
    );
}
