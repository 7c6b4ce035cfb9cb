//! Trusted issuers: what is read, and every finding.

use std::time::Duration;

use mcp_gateway_oauth::trust::model::ClaimValue;

use super::*;

/// Clients that workloads and exchanges name.
const CLIENTS: &str = "clients:
    - { id: deploy, grant_types: jwt-bearer, scopes: [read, write] }
    - { id: backend, method: client_secret_basic, secret_file: secret, grant_types: token-exchange }
    - { id: console, redirect_uris: 'https://console.example/callback' }
  trusted_issuers:
    corp: ";

const RULE: &str = "{ audience: mcp, claims: { sub: a }, client: deploy }";

fn with_trust(entry: &str) -> String {
    with(&format!("{CLIENTS}{entry}"))
}

#[test]
fn everything_that_an_issuer_is_trusted_for_is_read() {
    let config = read(&with_trust(
        "{ issuer: 'https://login.corp.example', algorithms: ES256, clock_skew: 10s, max_lifetime: 2h,
           id_jag: { clients: [console, 'https://app.example/client.json'], public_clients: true, scopes: read },
           workloads: [{ audience: mcp, claims: { repository: acme/app, attempt: 2, protected: true },
                         condition: 'has(claims.ref)', client: deploy, scopes: [read] }],
           exchange: { audiences: ['api://backend', other], clients: backend, scopes: [read] } }
    cluster: { issuer: 'https://kubernetes.default.svc', jwks_file: keys.json, workloads: [{ audience: mcp, condition: 'claims.sub == \"a\"', client: deploy }] }",
    ));
    let server = config.authorization_server.clone().unwrap();
    let [corp, cluster] = &server.trusted_issuers[..] else {
        panic!("{:?}", server.trusted_issuers)
    };
    assert!(matches!(cluster.keys.keys, KeySource::File(_)));
    assert_eq!(corp.keys.keys, KeySource::Discovery);
    assert_eq!(corp.keys.name, "trusted_issuers.corp");
    let trust = &corp.trust;
    assert_eq!(trust.issuer, "https://login.corp.example");
    assert_eq!(trust.clock_skew, Duration::from_secs(10));
    assert_eq!(trust.max_lifetime, Duration::from_secs(7200));
    // As clients read it.
    let read = Some(ScopeSet::parse("api://tasks/read").unwrap());
    let id_jag = trust.id_jag.as_ref().unwrap();
    assert!(id_jag.has_public_clients && id_jag.clients.len() == 2 && id_jag.scopes == read);
    let rule = &trust.workloads[0];
    for (name, value) in [
        ("repository", ClaimValue::Text("acme/app".to_owned())),
        ("attempt", ClaimValue::Number(2)),
        ("protected", ClaimValue::Flag(true)),
    ] {
        assert!(rule.claims.contains(&(name.to_owned(), value)), "{name}");
    }
    assert!(rule.condition.is_some() && rule.scopes == read && rule.client == "deploy");
    let exchange = trust.exchange.as_ref().unwrap();
    assert_eq!(exchange.audiences, ["api://backend", "other"]);
    assert_eq!(exchange.clients, ["backend"]);
    // Their keys are kept, and no resource accepts their tokens.
    let kept: Vec<_> = config.kept_issuers().map(|issuer| &*issuer.name).collect();
    assert_eq!(
        kept,
        [
            BUILT_IN,
            "corporate",
            "trusted_issuers.corp",
            "trusted_issuers.cluster"
        ]
    );
    assert!(!config.issuers.contains_key("trusted_issuers.corp"));
}

#[test]
fn the_defaults_trust_least() {
    let config = read(&with_trust(
        "{ issuer: 'https://login.corp.example', id_jag: {} }",
    ));
    let server = config.authorization_server.unwrap();
    let trust = &server.trusted_issuers[0].trust;
    let id_jag = trust.id_jag.as_ref().unwrap();
    assert!(!id_jag.has_public_clients && id_jag.clients.is_empty());
    assert!(trust.workloads.is_empty() && trust.exchange.is_none());
    assert_eq!(trust.max_lifetime, Duration::from_secs(24 * 60 * 60));
    assert!(
        read(FIVE)
            .authorization_server
            .unwrap()
            .trusted_issuers
            .is_empty()
    );
    // Somebody can come without a user.
    let alone = with_trust("{ issuer: 'https://login.corp.example', id_jag: {} }");
    read(&alone.replace("  users_file: users.yaml\n", ""));
}

#[test]
fn each_mistake_about_trust_is_a_finding_at_its_place() {
    let corp = "authorization_server.trusted_issuers.corp";
    let issuer = "issuer: 'https://login.corp.example'";
    let rule = |rule: &str| format!("{{ {issuer}, workloads: [{rule}] }}");
    for (entry, expected) in [
        (format!("{{ {issuer} }}"), " is trusted for nothing"),
        (
            "{ id_jag: {} }".to_owned(),
            ".issuer required key is missing",
        ),
        (
            "{ issuer: 'http://login.corp.example', id_jag: {} }".to_owned(),
            ".issuer must be https: with plain HTTP an attacker on the network can replace the keys",
        ),
        (
            "{ issuer: 'https://mcp.example.com', id_jag: {} }".to_owned(),
            " is this authorization server itself",
        ),
        (
            format!("{{ {issuer}, id_jag: {{}} }}\n    again: {{ {issuer}, id_jag: {{}} }}"),
            "!.again same issuer as another entry",
        ),
        (
            format!(
                "{{ {issuer}, id_jag: {{}} }}\n    'a b': {{ issuer: 'https://b.example', id_jag: {{}} }}"
            ),
            "![\"a b\"] issuer names must have only letters, digits, - and _",
        ),
        (
            format!("{{ {issuer}, jwks_file: keys.json, bearer_file: secret, id_jag: {{}} }}"),
            ".bearer_file has no effect with `jwks_file`",
        ),
        (
            format!("{{ {issuer}, algorithms: HS256, id_jag: {{}} }}"),
            ".algorithms HS256 is a symmetric algorithm, which is not supported",
        ),
        (
            format!("{{ {issuer}, id_jag: {{ clients: [] }} }}"),
            ".id_jag.clients must not be empty",
        ),
        (
            format!("{{ {issuer}, id_jag: {{ clients: }} }}"),
            ".id_jag.clients must not be empty",
        ),
        (
            format!("{{ {issuer}, id_jag: {{ scopes: }} }}"),
            ".id_jag.scopes must not be empty",
        ),
        (
            format!("{{ {issuer}, id_jag: }}"),
            ".id_jag must not be empty",
        ),
        (
            rule("{ audience: mcp, claims: { sub: a }, condition: , client: deploy }"),
            ".workloads[0].condition must not be empty",
        ),
        (
            rule("{ audience: mcp, claims: {}, condition: 'claims.a == 1', client: deploy }"),
            ".workloads[0].claims must not be empty",
        ),
        (
            format!("{{ {issuer}, exchange: {{ audiences: [] }} }}"),
            ".exchange.audiences must not be empty",
        ),
        (
            format!("{{ {issuer}, exchange: {{ audiences: a, clients: }} }}"),
            ".exchange.clients must not be empty",
        ),
        (
            format!("{{ {issuer}, id_jag: {{ scopes: admin }} }}"),
            ".id_jag.scopes scope `admin` is unknown",
        ),
        (
            format!("{{ {issuer}, workloads: [] }}"),
            ".workloads must list 1 to 256 rules",
        ),
        (
            rule("{ audience: mcp, client: deploy }"),
            ".workloads[0] is for everybody who gets a token of this issuer",
        ),
        (
            rule("{ claims: { sub: a }, client: deploy }"),
            ".workloads[0].audience required key is missing",
        ),
        (
            rule("{ audience: mcp, claims: { sub: a } }"),
            ".workloads[0].client required key is missing",
        ),
        (
            rule("{ audience: mcp, claims: { sub: a }, client: deplyo }"),
            ".workloads[0].client unknown client `deplyo`",
        ),
        (
            rule("{ audience: mcp, claims: { sub: a }, client: console }"),
            ".workloads[0].client the client `console` does not have the grant type jwt-bearer",
        ),
        (
            rule("{ audience: mcp, claims: { sub: [a] }, client: deploy }"),
            ".workloads[0].claims.sub must be text, found a list",
        ),
        (
            rule("{ audience: mcp, claims: { sub: a }, client: deploy, scopes: admin }"),
            ".workloads[0].scopes scope `admin` is unknown",
        ),
        (
            rule("{ audience: mcp, condition: 'mcp.name == \"x\"', client: deploy }"),
            ".workloads[0].condition reads something else than claims, which only a call has",
        ),
        (
            format!("{{ {issuer}, exchange: {{}} }}"),
            ".exchange.audiences required key is missing",
        ),
        (
            format!("{{ {issuer}, exchange: {{ audiences: a, clients: deploy }} }}"),
            ".exchange.clients the client `deploy` does not have the grant type token-exchange",
        ),
        (
            format!("{{ {issuer}, exchange: {{ audiences: [a, a] }} }}"),
            ".exchange.audiences[1] duplicate entry",
        ),
        (
            format!("{{ {issuer}, id_jag: {{ client: a }} }}"),
            ".id_jag.client unknown key",
        ),
    ] {
        let expected = match expected.strip_prefix('!') {
            Some(rest) => format!("authorization_server.trusted_issuers{rest}"),
            None => format!("{corp}{expected}"),
        };
        assert_eq!(found(&with_trust(&entry)), [expected], "{entry}");
    }
    assert_eq!(found(&with_trust(&rule(RULE))), [""; 0]);
}

#[test]
fn clients_of_these_grant_types_are_bounded_and_prove_who_they_are() {
    for (client, expected) in [
        (
            "{ id: a, grant_types: jwt-bearer }",
            "scopes required for jwt-bearer",
        ),
        (
            "{ id: a, grant_types: token-exchange }",
            "method token-exchange needs a client that authenticates",
        ),
        (
            "{ id: a, grant_types: jwt_bearer, scopes: read }",
            "grant_types must be `authorization_code`, `refresh_token`, `client_credentials`, `jwt-bearer` or `token-exchange`",
        ),
    ] {
        let findings = found(&with(&format!("clients: [{client}]")));
        let first = findings.first().unwrap();
        assert_eq!(
            first,
            &format!("authorization_server.clients[0].{expected}")
        );
    }
}
