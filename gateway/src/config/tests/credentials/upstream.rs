//! The gateway's own credentials for an upstream: what each kind requires, and what cannot be combined.

use mcp_gateway_core::token::acquired::request::{TokenType, Wanted};

use crate::config::{
    ClientProofFile, Config, Demand, TokenSource, UpstreamCredentials,
    tests::{VALID, edited, files::Files, only_finding, parsed},
};

const UPSTREAM: &str = "upstream: https://other.internal/mcp";

/// The second resource with these credentials, and more keys of it.
fn with(credentials: &str, more: &str) -> String {
    let upstream = format!(
        "upstream: {{ url: 'https://other.internal/mcp', credentials: {{ {credentials} }} }}{more}"
    );
    edited(UPSTREAM, &upstream)
}

/// A finding without the column.
fn without_column(finding: &str) -> String {
    let (place, problem) = finding.split_once(' ').unwrap();
    let (place, _) = place.rsplit_once(':').unwrap();
    format!("{place} {problem}")
}

fn source(config: &Config) -> &TokenSource {
    match &config.resources[1].upstream_credentials {
        Some(UpstreamCredentials::Token(source)) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn there_are_none_by_default_and_one_kind_otherwise() {
    assert_eq!(parsed(VALID).resources[1].upstream_credentials, None);
    for (credentials, expected) in [
        (
            "",
            "resources[1].upstream.credentials:21 must have exactly one of `basic`, `client_credentials` and `token_exchange`",
        ),
        (
            "basic: { username: a, password_file: b }, client_credentials: { client_id: c }",
            "resources[1].upstream.credentials:21 must have exactly one of `basic`, `client_credentials` and `token_exchange`",
        ),
        (
            "client_credentials: { client_id: a, client_auth: none }",
            "resources[1].upstream.credentials.client_credentials:21 must have `issuer` or `token_endpoint`",
        ),
        (
            "client_credentials: { token_endpoint: 'http://a.example/token', client_id: a, client_auth: none }",
            "resources[1].upstream.credentials.client_credentials.token_endpoint:21 must be https: others on the network could read tokens and secrets",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', token_endpoint: 'https://a.example/token', client_id: a, client_auth: none }",
            "resources[1].upstream.credentials.client_credentials.issuer:21 has no effect with `token_endpoint` unless `private_key_jwt` is used",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', client_auth: none }",
            "resources[1].upstream.credentials.client_credentials.client_id:21 required key is missing",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', client_id: a }",
            "resources[1].upstream.credentials.client_credentials.client_secret_file:21 required, or `private_key_file`, or `client_auth: none`",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', client_id: a, client_auth: none, scope: 'a b' }",
            "resources[1].upstream.credentials.client_credentials.scope:21 must be one scope, without spaces",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', client_id: a, client_auth: none, resource: mcp }",
            "resources[1].upstream.credentials.client_credentials.resource:21 must be an absolute URI without fragment",
        ),
        (
            "client_credentials: { issuer: 'https://a.example', client_id: a, client_auth: none, calls: 5 }",
            "resources[1].upstream.credentials.client_credentials.calls:21 unknown key",
        ),
    ] {
        assert_eq!(
            without_column(&only_finding(&with(credentials, ""))),
            expected
        );
    }
}

#[test]
fn a_source_of_tokens_is_read_with_its_defaults() {
    let text = "token_exchange: { issuer: 'https://a.example', client_id: gate, client_auth: none, scope: [a, b], resource: 'https://b.example/mcp', audience: api }";
    let config = parsed(&with(text, ""));
    let source = source(&config);
    assert_eq!(source.issuer.as_deref(), Some("https://a.example"));
    assert_eq!((&source.endpoint, &*source.client_id), (&None, "gate"));
    assert_eq!(source.proof, ClientProofFile::None);
    let wanted = Wanted {
        scopes: vec!["a".to_owned(), "b".to_owned()],
        resources: vec!["https://b.example/mcp".to_owned()],
        audiences: vec!["api".to_owned()],
    };
    assert_eq!(source.wanted, wanted);
    let exchange = source.exchange.as_ref().unwrap();
    assert_eq!(exchange.subject_type, TokenType::AccessToken);
    assert_eq!(exchange.requested, TokenType::AccessToken);
    assert_eq!(exchange.settings.calls, 100);
    // Nobody proves to the token endpoint to have the key of a bound token.
    let bound = &config.resources[1].sender_constraint;
    assert_eq!(
        (bound.dpop, bound.mutual_tls),
        (Demand::Refuse, Demand::Refuse)
    );
    let first = &config.resources[0].sender_constraint;
    assert_eq!(
        (first.dpop, first.mutual_tls),
        (Demand::Allow, Demand::Allow)
    );
}

#[test]
fn what_cannot_be_exchanged_is_not_accepted() {
    let exchange =
        "token_exchange: { issuer: 'https://a.example', client_id: gate, client_auth: none }";
    for (more, expected) in [
        (
            "\n    sender_constraint: { dpop: allow }",
            "resources[1].sender_constraint.dpop:22:26 must be refuse with `token_exchange` of the upstream: a bound token cannot be exchanged",
        ),
        (
            "\n    sender_constraint: { mutual_tls: require }",
            "resources[1].sender_constraint.mutual_tls:22:26 must be refuse with `token_exchange` of the upstream: a bound token cannot be exchanged",
        ),
    ] {
        assert_eq!(only_finding(&with(exchange, more)), expected);
    }
    parsed(&with(exchange, "\n    sender_constraint: { dpop: refuse }"));
    let files = Files::new();
    files.write("keys.jsonl", "", 0o640);
    let text = with(exchange, "\n    api_keys: {}") + "api_keys: { files: keys.jsonl }\n";
    assert_eq!(
        files.finding(&text).as_deref(),
        Some(
            "resources[1].api_keys:22 cannot be combined with `token_exchange` of the upstream: an API key is no token that somebody could exchange"
        )
    );
}

#[test]
fn nothing_else_may_write_the_same_header() {
    let upstream = "upstream: { url: 'https://other.internal/mcp', headers: { Authorization: Bearer x }, credentials: { client_credentials: { issuer: 'https://a.example', client_id: gate, client_auth: none } } }";
    let found = only_finding(&edited(UPSTREAM, upstream));
    assert!(
        found.ends_with("cannot be combined with the header Authorization in `headers`"),
        "{found}"
    );
}

#[test]
fn a_password_is_one_line_of_a_file_that_others_cannot_read() {
    let files = Files::new();
    files.write("good", "pass word\n", 0o600);
    files.write("open", "password\n", 0o644);
    files.write("lines", "pass\nword\n", 0o600);
    let basic = |name: &str, user: &str| {
        with(
            &format!("basic: {{ username: '{user}', password_file: {name} }}"),
            "",
        )
    };
    assert_eq!(files.finding(&basic("good", "gate way")), None);
    for (file, user, expected) in [
        (
            "open",
            "gateway",
            "resources[1].upstream.credentials.basic.password_file:21 open must not be readable or writable by all users",
        ),
        (
            "lines",
            "gateway",
            "resources[1].upstream.credentials.basic.password_file:21 lines must be one line of text, of at most 1024 bytes",
        ),
        (
            "good",
            "gate:way",
            "resources[1].upstream.credentials.basic.username:21 must have no colon and no control characters, and at most 256 bytes",
        ),
    ] {
        assert_eq!(files.finding(&basic(file, user)).as_deref(), Some(expected));
    }
}
