//! Providers that people sign in with: what a preset means, and every finding.

use mcp_gateway_core::{scope::ScopeSet, token::claim_path::ClaimPath};
use mcp_gateway_oauth::federation::provider::RefreshRule;

use super::{files::Files, *};
use crate::config::authorization_server::providers::{ConfiguredProvider, ProviderProof};

const TENANT: &str = "aaaaaaaa-0000-4000-8000-00000000000a";

fn files() -> Files {
    let files = Files::new();
    files.write("secret", "hunter2hunter2\n", 0o600);
    files.write("exposed", "hunter2hunter2\n", 0o644);
    files.certificate("key.crt", "key.pem");
    files
}

/// A configuration with these keys of one provider, in flow style.
fn with(keys: &str) -> String {
    with_all(&format!("[{{ name: corporate, client_id: us, {keys} }}]"))
}

fn with_all(providers: &str) -> String {
    format!(
        "\
public_url: https://mcp.example.com
listen: [{{ address: 127.0.0.1:8080 }}]
authorization_server:
  directory: state
  providers: {providers}
resources:
  - path: /mcp
    upstream: http://127.0.0.1:9000/mcp
    scopes: {{ required: [read], supported: [read, write] }}
    policy: {{ default: allow }}
"
    )
}

/// `PATH PROBLEM` of each finding below the provider.
fn found(text: &str) -> Vec<String> {
    let files = files();
    let directory = format!("{}/", files.path().display());
    let findings = parse(text, files.path(), &Environment::default()).err();
    let each = findings.into_iter().flatten().map(|finding| {
        assert!(!finding.fix.is_empty() && !finding.fix.ends_with('.'));
        let path = finding
            .path
            .replace("authorization_server.providers[0].", "");
        format!("{path} {}", finding.problem.replace(&directory, ""))
    });
    each.collect()
}

fn read(keys: &str) -> ConfiguredProvider {
    let text = with(keys);
    let config = parse(&text, files().path(), &Environment::default());
    let config = config.unwrap_or_else(|findings| panic!("{text}\n{findings:#?}"));
    config.authorization_server.unwrap().providers.remove(0)
}

#[test]
fn five_lines_of_each_preset_are_enough() {
    let secret = "client_secret_file: secret";
    for (keys, issuer, subject) in [
        (
            format!("preset: entra, tenants: [{TENANT}]"),
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "oid",
        ),
        (
            "preset: google, may_sign_in: { domains: example.com }".to_owned(),
            "https://accounts.google.com",
            "sub",
        ),
        (
            "preset: okta, issuer: 'https://a.okta.com'".to_owned(),
            "https://a.okta.com",
            "sub",
        ),
        (
            "preset: auth0, issuer: 'https://a.auth0.com/'".to_owned(),
            "https://a.auth0.com/",
            "sub",
        ),
        (
            "preset: keycloak, issuer: 'https://k.example/realms/a'".to_owned(),
            "https://k.example/realms/a",
            "sub",
        ),
        (
            "preset: github, may_sign_in: { organizations: Acme }".to_owned(),
            "https://github.com",
            "id",
        ),
        (
            "issuer: 'https://login.example'".to_owned(),
            "https://login.example",
            "sub",
        ),
    ] {
        let read = read(&format!("{keys}, {secret}"));
        let provider = &read.provider;
        assert_eq!(provider.issuer, issuer);
        assert_eq!(provider.preset.row().subject_claim, subject);
        assert_eq!(provider.refresh, RefreshRule::Session);
        assert!(matches!(read.proof, ProviderProof::Secret(_)));
        assert!(!provider.scopes.is_empty() && provider.scope_rules.is_none());
    }
}

#[test]
fn every_key_is_read() {
    let read = read(
        "issuer: 'https://login.example', private_key_file: key.pem, private_key_id: k, certificate_file: key.crt, label: Example, \
         scopes: [openid, more], groups_claim: { path: [a, b.c] }, refresh: provider, unannounced_pkce: true, \
         may_sign_in: { domains: Example.COM, groups: [G], subjects: ['1'], condition: 'claims.x == 1' }, \
         grants: { scopes: read, by_claim: [{ claim: roles, value: w, scopes: [write] }] }",
    );
    let ProviderProof::Key {
        id, certificate, ..
    } = &read.proof
    else {
        panic!("{:?}", read.proof);
    };
    assert_eq!(id.as_deref(), Some("k"));
    assert!(certificate.is_some());
    let provider = &read.provider;
    assert_eq!(provider.label, "Example");
    assert_eq!(provider.scopes, ["openid", "more"]);
    assert_eq!(provider.groups_claim, ClaimPath::of(["a", "b.c"]).ok());
    assert_eq!(provider.refresh, RefreshRule::Provider);
    assert!(!provider.announces_pkce);
    assert_eq!(provider.may_sign_in.domains, ["example.com"]);
    assert_eq!(provider.may_sign_in.groups, ["G"]);
    let rules = provider.scope_rules.as_ref().unwrap();
    assert_eq!(rules.everybody, ScopeSet::parse("read").unwrap());
    assert_eq!(rules.by_claim[0].value, "w");
}

#[test]
fn every_mistake_is_found() {
    let good = "issuer: 'https://login.example', client_secret_file: secret";
    let other = |keys: &str| format!("client_secret_file: secret, {keys}");
    for (keys, expected) in [
        (
            "issuer: 'https://login.example'".to_owned(),
            "client_secret_file required, or `private_key_file`",
        ),
        (
            "client_secret_file: secret".to_owned(),
            "issuer required for this `preset`",
        ),
        (
            other("issuer: 'http://login.example'"),
            "issuer must be https: plain HTTP exposes codes and tokens to the network",
        ),
        (
            other("issuer: login.example"),
            "issuer must be an absolute http or https URL",
        ),
        (
            other("issuer: 'https://login.example?x=1'"),
            "issuer must not have a query",
        ),
        (
            other("issuer: 'https://login.example/{tenantid}'"),
            "issuer `tenants` needs {tenantid} in the issuer, and {tenantid} needs `tenants`",
        ),
        (
            format!("{good}, tenants: [{TENANT}]"),
            "issuer `tenants` needs {tenantid} in the issuer, and {tenantid} needs `tenants`",
        ),
        (other("preset: entra"), "tenants required for entra"),
        (
            other("preset: entra, tenants: common"),
            "tenants common stands for the tenants of everybody, which are not trusted",
        ),
        (
            other("preset: entra, tenants: example.com"),
            "tenants must be the id of a tenant: a UUID in lower case",
        ),
        (
            format!("{good}, private_key_file: key.pem"),
            "private_key_file cannot be combined with `client_secret_file`",
        ),
        (
            format!("{good}, private_key_id: k"),
            "private_key_file required for `private_key_id` and `certificate_file`",
        ),
        (
            "issuer: 'https://login.example', client_secret_file: exposed".to_owned(),
            "client_secret_file exposed must not be readable or writable by all users",
        ),
        (
            "issuer: 'https://login.example', private_key_file: secret".to_owned(),
            "private_key_file secret contains no private key in PEM: PKCS #8 with RSA (2048 bits or more), P-256 or Ed25519",
        ),
        (
            "preset: github, may_sign_in: { organizations: a }, private_key_file: key.pem"
                .to_owned(),
            "private_key_file GitHub takes no keys",
        ),
        (
            other("preset: google"),
            "may_sign_in required for this provider: everybody has an account there",
        ),
        (
            other("preset: github"),
            "may_sign_in required for this provider: everybody has an account there",
        ),
        (
            other(&format!(
                "preset: entra, tenants: [{TENANT}], may_sign_in: {{ domains: example.com }}"
            )),
            "may_sign_in.domains this provider does not verify to whom an address belongs",
        ),
        (
            other("preset: google, may_sign_in: { domains: a.example, groups: x }"),
            "may_sign_in.groups this provider has no claim with groups",
        ),
        (
            format!("{good}, may_sign_in: {{ organizations: x }}"),
            "may_sign_in.organizations only for github",
        ),
        (
            other("preset: github, may_sign_in: { teams: operations }"),
            "may_sign_in.teams a team must be written as organization/team",
        ),
        (
            format!("{good}, may_sign_in: {{ condition: 'mcp.method == \"x\"' }}"),
            "may_sign_in.condition reads something else than `claims`: there is no call yet",
        ),
        (
            format!("{good}, scopes: [profile]"),
            "scopes openid is missing: without it, the provider does not say who signed in",
        ),
        (
            format!("{good}, api_url: 'https://a.example'"),
            "api_url has no effect with this `preset`",
        ),
        (
            format!("{good}, grants: {{ scopes: reed }}"),
            "grants.scopes scope `reed` is unknown",
        ),
        (
            format!("{good}, grants: {{ by_claim: [{{ claim: exp, value: a, scopes: read }}] }}"),
            "grants.by_claim[0].claim the claim `exp` is a number",
        ),
        (
            format!("{good}, refresh: never"),
            "refresh must be `session` or `provider`",
        ),
        (
            format!("{good}, may_sign_in: {{ domains: '@example.com' }}"),
            "may_sign_in.domains a domain must have only letters, digits, - and .",
        ),
        (
            other("issuer: 'https://accounts.google.com'"),
            "may_sign_in required for this provider: everybody has an account there",
        ),
        (
            other("preset: entra, issuer: 'https://login.microsoftonline.com/common/v2.0'"),
            "issuer no token has this issuer",
        ),
        (
            other("issuer: 'https://login.example/.well-known/openid-configuration'"),
            "issuer must be the issuer identifier, not the URL of its metadata",
        ),
        (
            other("preset: auth0, issuer: 'https://a.auth0.com'"),
            "issuer must end with a slash: the issuer of Auth0 does",
        ),
        (format!("{good}, colour: red"), "colour unknown key"),
    ] {
        assert_eq!(found(&with(&keys)), [expected], "{keys}");
    }
    let twice = with_all(&format!(
        "[{{ name: a, client_id: us, {good} }}, {{ name: a, client_id: us, {good} }}]"
    ));
    assert_eq!(
        found(&twice),
        ["authorization_server.providers[1] same name as another provider"]
    );
    let name = with_all(&format!("[{{ name: 'a b', client_id: us, {good} }}]"));
    assert!(found(&name)[0].starts_with("name names of providers must have only letters"));
}

#[test]
fn what_people_may_allow_is_kept_as_clients_read_it() {
    let text = with(
        "issuer: 'https://login.example', client_secret_file: secret, \
         grants: { scopes: read, by_claim: [{ claim: roles, value: w, scopes: [write, 'api://tasks/read'] }] }",
    );
    let text = text.replace(
        "scopes: { required",
        "scopes: { prefix: 'api://tasks/', required",
    );
    let config = parse(&text, files().path(), &Environment::default()).unwrap();
    let provider = &config.authorization_server.unwrap().providers[0].provider;
    let rules = provider.scope_rules.as_ref().unwrap();
    assert_eq!(rules.everybody.to_string(), "api://tasks/read");
    assert_eq!(
        rules.by_claim[0].scopes.to_string(),
        "api://tasks/read api://tasks/write"
    );
}

#[test]
fn a_rule_that_is_written_and_empty_is_a_finding() {
    let good = "issuer: 'https://login.example', client_secret_file: secret";
    for (keys, place) in [
        ("may_sign_in: { groups: [] }", "may_sign_in.groups"),
        ("may_sign_in: { domains: }", "may_sign_in.domains"),
        (
            "may_sign_in: { groups: g, subjects: [] }",
            "may_sign_in.subjects",
        ),
        ("may_sign_in: { condition: }", "may_sign_in.condition"),
        ("may_sign_in: {}", "may_sign_in"),
        ("may_sign_in: ", "may_sign_in"),
        ("grants: ", "grants"),
        ("grants: {}", "grants"),
        ("grants: { scopes: [] }", "grants.scopes"),
        ("grants: { scopes: read, by_claim: [] }", "grants.by_claim"),
        (
            "grants: { by_claim: [{ claim: a, value: b, scopes: }] }",
            "grants.by_claim[0].scopes",
        ),
        ("tenants: []", "tenants"),
    ] {
        let expected = format!("{place} must not be empty");
        assert_eq!(
            found(&with(&format!("{good}, {keys}"))),
            [expected],
            "{keys}"
        );
    }
    let lists = "may_sign_in: { domains: [], groups: [], subjects: [] }";
    assert_eq!(found(&with(&format!("{good}, {lists}"))).len(), 3);
    let google = "preset: google, client_secret_file: secret, may_sign_in: { domains: [] }";
    assert_eq!(
        found(&with(google)),
        ["may_sign_in.domains must not be empty"]
    );
}

#[test]
fn a_key_that_is_almost_right_is_named_and_known_keys_are_named_once() {
    let fix = |keys: &str| {
        let text = with(&format!("issuer: 'https://login.example', {keys}"));
        let findings = parse(&text, files().path(), &Environment::default()).unwrap_err();
        findings
            .into_iter()
            .find(|finding| finding.problem == "unknown key")
            .unwrap()
            .fix
    };
    assert_eq!(
        fix("client_secret: hunter2"),
        "Did you mean `client_secret_file`?"
    );
    let known = fix("colour: red, client_secret_file: secret");
    assert_eq!(known.matches("issuer").count(), 1, "{known}");
    assert_eq!(known.matches("tenants").count(), 1, "{known}");
}
