//! Findings about assertions: their keys, their audience and their headers.

use std::fs;

use super::super::{files::Files, *};

/// [`VALID`] with this `assertion`, and with this at the end.
fn with(assertion: &str, more: &str) -> String {
    let upstream =
        format!("upstream: {{ url: 'http://127.0.0.1:9000/mcp?key=1', assertion: {assertion} }}");
    edited("upstream: http://127.0.0.1:9000/mcp", &upstream) + more
}

/// What is found with these key files, without the directory.
fn found(files: &Files, text: &str) -> Vec<String> {
    let directory = format!("{}/", files.path().display());
    let findings = parse(text, files.path(), &Environment::default()).err();
    let found = findings.into_iter().flatten();
    found
        .map(|finding| {
            format!(
                "{} {}",
                finding.path,
                finding.problem.replace(&directory, "")
            )
        })
        .collect()
}

#[test]
fn the_defaults_are_the_url_without_its_query_and_names_of_its_own() {
    let resource = &parsed(&with("{}", "")).resources[0];
    let assertion = resource.assertion.as_ref().unwrap();
    assert_eq!(assertion.audience, "http://127.0.0.1:9000/mcp");
    assert_eq!(assertion.header, "x-gateway-assertion");
    assert_eq!(assertion.request_id_header, "x-gateway-request-id");
    assert_eq!(assertion.lifetime.as_secs(), 60);
    assert!(parsed(VALID).resources[0].assertion.is_none());
    let named =
        "{ audience: tasks, header: X-Caller, request_id_header: X-Request-Id, lifetime: 30s }";
    let assertion = parsed(&with(named, "")).resources[0]
        .assertion
        .clone()
        .unwrap();
    assert_eq!(
        (&*assertion.audience, assertion.header.as_str()),
        ("tasks", "x-caller")
    );
    assert_eq!(assertion.request_id_header, "x-request-id");
}

#[test]
fn each_mistake_is_a_finding_at_its_place() {
    for (assertion, expected) in [
        ("null", "resources[0].upstream.assertion:11:"),
        (
            "{ audience: '' }",
            "resources[0].upstream.assertion.audience:11:",
        ),
        (
            "{ audience: 'a b' }",
            "resources[0].upstream.assertion.audience:11:",
        ),
        (
            "{ header: mcp-assertion }",
            "resources[0].upstream.assertion.header:11:",
        ),
        (
            "{ header: authorization }",
            "resources[0].upstream.assertion.header:11:",
        ),
        (
            "{ header: x_assertion }",
            "resources[0].upstream.assertion.header:11:",
        ),
        (
            "{ header: x-mcp-subject }",
            "resources[0].upstream.assertion.header:11:",
        ),
        (
            "{ header: x-gateway-request-id }",
            "resources[0].upstream.assertion.request_id_header:11:",
        ),
        (
            "{ request_id_header: x-gateway-assertion }",
            "resources[0].upstream.assertion.request_id_header:11:",
        ),
        (
            "{ lifetime: 1h }",
            "resources[0].upstream.assertion.lifetime:11:",
        ),
        (
            "{ audiense: a }",
            "resources[0].upstream.assertion.audiense:11:",
        ),
    ] {
        let found = only_finding(&with(assertion, ""));
        assert!(found.starts_with(expected), "{assertion}: {found}");
    }
}

#[test]
fn a_socket_and_several_endpoints_need_an_audience() {
    let unix = |assertion: &str| {
        let upstream = format!("upstream: {{ unix: /run/tasks.sock, assertion: {assertion} }}");
        edited("upstream: http://127.0.0.1:9000/mcp", &upstream)
    };
    let found = only_finding(&unix("{}"));
    assert!(found.contains("a socket has no URL"), "{found}");
    parsed(&unix("{ audience: tasks }"));
    let several = |assertion: &str| {
        let upstream = format!(
            "upstream: {{ endpoints: ['http://127.0.0.1:9000/mcp'], assertion: {assertion} }}"
        );
        edited("upstream: http://127.0.0.1:9000/mcp", &upstream)
    };
    let found = only_finding(&several("{}"));
    assert!(found.contains("required for `endpoints`"), "{found}");
    parsed(&several("{ audience: tasks }"));
}

#[test]
fn a_client_cannot_send_a_header_of_an_assertion() {
    for (keys, expected) in [
        (
            "assertion: {}, pass_headers: [x-gateway-assertion]",
            "must not be an identity header",
        ),
        (
            "pass_headers: [x-gateway-assertion]",
            "must not be an identity header",
        ),
        (
            "pass_headers: [x-gateway-role]",
            "must not be an identity header",
        ),
        (
            "assertion: { header: x-caller }, pass_headers: [x-caller]",
            "must not be an identity header",
        ),
        (
            "assertion: { request_id_header: x-id }, pass_headers: [x-id]",
            "must not be an identity header",
        ),
        (
            "assertion: { header: x-caller }, headers: { x-caller: a }",
            "must not be an identity header",
        ),
    ] {
        let upstream = format!("upstream: {{ url: 'http://127.0.0.1:9000/mcp', {keys} }}");
        let found = only_finding(&edited("upstream: http://127.0.0.1:9000/mcp", &upstream));
        assert!(found.contains(expected), "{keys}: {found}");
    }
    // Nor through another resource of the same server.
    let more = "  - { path: /third, upstream: { url: 'http://127.0.0.1:9000/third', pass_headers: [x-caller] }, issuers: [partner], policy: { default: deny } }\n";
    let found = only_finding(&with("{ header: x-caller }", more));
    assert!(
        found.contains("/third sends x-caller to the MCP server"),
        "{found}"
    );
}

#[test]
fn keys_without_an_effect_are_a_finding() {
    let files = Files::new();
    files.certificate("a.crt", "a.pem");
    let keys = "assertions: { key_files: [a.pem] }\n";
    assert_eq!(
        found(&files, &format!("{VALID}{keys}")),
        ["assertions has no effect: no upstream has `assertion`"]
    );
    assert_eq!(found(&files, &with("{}", keys)), [""; 0]);
    let config = parse(&with("{}", keys), files.path(), &Environment::default()).unwrap();
    assert!(!config.has_lone_assertions());
    assert!(parsed(&with("{}", "")).has_lone_assertions() && !parsed(VALID).has_lone_assertions());
}

#[test]
fn a_file_that_is_no_key_and_a_key_twice_are_findings() {
    let files = Files::new();
    files.certificate("a.crt", "a.pem");
    let key = fs::read_to_string(files.path().join("a.pem")).unwrap();
    files.write("same.pem", &key, 0o600);
    files.write("exposed.pem", &key, 0o644);
    files.write("none.pem", "none", 0o600);
    let of = |names: &str| {
        found(
            &files,
            &with("{}", &format!("assertions: {{ key_files: [{names}] }}\n")),
        )
    };
    for (names, expected) in [
        (
            "a.pem, same.pem",
            "assertions.key_files[1] has the same key as another file",
        ),
        (
            "a.pem, a.pem",
            "assertions.key_files[1] has the same key as another file",
        ),
        (
            "exposed.pem",
            "assertions.key_files[0] exposed.pem must not be readable",
        ),
        (
            "none.pem",
            "assertions.key_files[0] none.pem contains no private key",
        ),
        (
            "missing.pem",
            "assertions.key_files[0] missing.pem cannot be read",
        ),
    ] {
        let found = of(names);
        assert!(found[0].starts_with(expected), "{names}: {found:?}");
    }
}
