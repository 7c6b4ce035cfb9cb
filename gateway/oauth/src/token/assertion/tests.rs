//! Assertions: good ones, and hostile ones as data.

use mcp_gateway_core::{cel::Condition, token::key_set::KeySet};
use serde_json::{Value, json};
use test_support::{Key, base64url, key_set, with_members as with};

use super::{
    id_jag::{self, IdJagRequest},
    workload::{self, Mapped, WorkloadRequest},
    *,
};
use crate::{
    account,
    client::{
        authentication::{MAX_ASSERTIONS_PER_CLIENT, OnceOnly, use_once},
        model::{Client, GrantTypes},
    },
    grant::machine,
    id::Id,
    store::{memory::MemoryRows, text::ScopeSetText},
    token::{
        give_back::give_back,
        issued::Issued,
        testing::{
            NOW, OTHER_RESOURCE, RESOURCE, all_rows, client, confidential, fails_with_each_access,
            keys, prefixed, provisional, server, set, transact,
        },
    },
    trust::{IdJagTrust, TrustedIssuer, Vouched, WorkloadRule, claimed, model::ClaimValue},
};

const IDP: &str = "https://login.corp.example";
const OWN: &str = "https://mcp.example";

fn issuer() -> TrustedIssuer {
    TrustedIssuer {
        issuer: IDP.to_owned(),
        algorithms: mcp_gateway_core::token::algorithm::Algorithm::ALL.to_vec(),
        clock_skew: std::time::Duration::from_secs(30),
        max_lifetime: std::time::Duration::from_secs(24 * 60 * 60),
        id_jag: Some(IdJagTrust::default()),
        workloads: Vec::new(),
        exchange: None,
    }
}

fn key() -> &'static Key {
    static KEY: std::sync::LazyLock<Key> = std::sync::LazyLock::new(|| Key::es256("k1"));
    &KEY
}

fn known_keys() -> KeySet {
    let set = key_set(&[key()]).to_string();
    KeySet::parse(set.as_bytes()).unwrap().keys
}

fn id_jag_header() -> Value {
    json!({ "alg": "ES256", "kid": "k1", "typ": "oauth-id-jag+jwt" })
}

fn id_jag_claims() -> Value {
    let now = NOW.secs();
    json!({
        "iss": IDP, "sub": "U1", "aud": OWN, "client_id": "console", "resource": RESOURCE,
        "scope": "read write", "jti": "j1", "iat": now - 10, "exp": now + 290,
        "auth_time": now - 600, "email": "a@corp.example", "amr": ["mfa"],
    })
}

fn signed(header: Value, claims: Value) -> String {
    key().sign(&header.to_string(), &claims.to_string())
}

fn id_jag(changes: Value) -> String {
    signed(id_jag_header(), with(id_jag_claims(), changes))
}

fn verified(issuer: &TrustedIssuer, token: &str) -> Result<Vouched, Refused> {
    let fault = |fault| refused(&fault);
    let said = claimed(token).map_err(fault)?;
    if said.issuer != issuer.issuer {
        return Err(refused(&TrustFault::Issuer(said.issuer)));
    }
    let (profile, audiences) = match Kind::of(&said) {
        Kind::IdJag => (issuer.id_jag_profile(), vec![OWN.to_owned()]),
        Kind::Workload => (issuer.workload_profile(), issuer.workload_audiences()),
    };
    Vouched::verify(token, ("corp", &profile), &known_keys(), &audiences, NOW).map_err(fault)
}

/// What a client asks with.
#[derive(Clone, Copy, Default)]
struct With<'a> {
    scope: Option<&'a str>,
    resource: Option<&'a str>,
}

fn present(
    rows: &mut MemoryRows,
    (issuer, client): (&TrustedIssuer, &Client),
    token: &str,
    with: With<'_>,
) -> Result<Issued, Refused> {
    let assertion = verified(issuer, token)?;
    let request = IdJagRequest {
        client,
        assertion: &assertion,
        issuer,
        scope: with.scope,
        resource: with.resource,
        id: Id::new([5; 16]),
    };
    transact(rows, |rows| {
        id_jag::issue(rows, &keys(), &server(), &request, NOW)
    })
    .unwrap()
}

fn console() -> Client {
    confidential("console")
}

/// Presents it to a store in which nothing was used.
fn present_new(token: &str) -> Result<Issued, Refused> {
    let mut rows = MemoryRows::default();
    present(&mut rows, (&issuer(), &console()), token, With::default())
}

#[test]
fn an_identity_assertion_becomes_an_access_token_of_the_person() {
    let issued = present_new(&id_jag(json!({}))).unwrap();
    assert_eq!(issued.refresh_token, None);
    let claims = issued.claims;
    assert_eq!(claims.sub, account::subject(IDP, "U1"));
    assert_eq!(claims.client_id, "console");
    assert_eq!(claims.aud, RESOURCE);
    assert_eq!(claims.scope.0, set("read write"));
    assert_eq!(claims.exp.0.since(claims.iat.0).as_secs(), 900);
    assert_eq!(claims.grant, machine::of_token("console", Id::new([5; 16])));
}

#[test]
fn what_is_unusual_and_harmless_is_taken() {
    for changes in [
        json!({ "aud": [OWN] }),
        json!({ "resource": [RESOURCE] }),
        json!({ "resource": format!("{RESOURCE}/") }),
        json!({ "resource": "HTTPS://MCP.example:443/mcp" }),
        json!({ "nonce": "n", "acr": "x", "of-tomorrow": { "a": 1 } }),
        json!({ "auth_time": null, "email": null, "amr": null }),
        json!({ "exp": NOW.secs() + 5 }),
        json!({ "exp": NOW.secs() - 20, "iat": NOW.secs() - 200 }),
        json!({ "iat": NOW.secs() + 20 }),
        json!({ "jti": "x".repeat(256) }),
        json!({ "nbf": NOW.secs() }),
    ] {
        let outcome = present_new(&id_jag(changes.clone()));
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
    let types = ["OAUTH-ID-JAG+JWT", "application/oauth-id-jag+jwt"];
    for name in types {
        let token = signed(
            with(id_jag_header(), json!({ "typ": name })),
            id_jag_claims(),
        );
        assert!(present_new(&token).is_ok(), "{name}");
    }
}

#[test]
fn a_hostile_assertion_is_refused_and_changes_nothing() {
    use TokenError::{AssertionNotValid, AssertionOfAnotherClient, AssertionUnknown};
    let now = NOW.secs();
    for (changes, expected) in [
        // A claim that is missing.
        (json!({ "iss": null }), AssertionNotValid),
        (json!({ "sub": null }), AssertionNotValid),
        (json!({ "aud": null }), AssertionNotValid),
        (json!({ "exp": null }), AssertionNotValid),
        (json!({ "iat": null }), AssertionNotValid),
        (json!({ "jti": null }), AssertionNotValid),
        (json!({ "resource": null }), AssertionNotValid),
        (json!({ "client_id": null }), AssertionOfAnotherClient),
        // A claim of another type.
        (json!({ "iss": [IDP] }), AssertionNotValid),
        (json!({ "sub": 7 }), AssertionUnknown),
        (json!({ "sub": "" }), AssertionNotValid),
        (json!({ "aud": { "a": OWN } }), AssertionNotValid),
        (json!({ "exp": (now + 60).to_string() }), AssertionUnknown),
        (json!({ "exp": -1 }), AssertionUnknown),
        (json!({ "iat": "now" }), AssertionUnknown),
        (json!({ "jti": 7 }), AssertionNotValid),
        (json!({ "jti": "" }), AssertionNotValid),
        (json!({ "jti": "x".repeat(257) }), AssertionNotValid),
        (json!({ "client_id": ["console"] }), AssertionUnknown),
        (json!({ "resource": 7 }), AssertionNotValid),
        (json!({ "resource": {} }), AssertionNotValid),
        (json!({ "scope": { "read": true } }), AssertionUnknown),
        // Another audience, or several.
        (json!({ "aud": "https://other.example" }), AssertionNotValid),
        (json!({ "aud": format!("{OWN}/") }), AssertionNotValid),
        (json!({ "aud": format!("{OWN}/token") }), AssertionNotValid),
        (json!({ "aud": "HTTPS://mcp.example" }), AssertionNotValid),
        (json!({ "aud": [OWN, OWN] }), AssertionNotValid),
        (
            json!({ "aud": [OWN, "https://other.example"] }),
            AssertionNotValid,
        ),
        (json!({ "aud": [] }), AssertionNotValid),
        (json!({ "aud": RESOURCE }), AssertionNotValid),
        // Another client, resource or issuer.
        (json!({ "client_id": "Console" }), AssertionOfAnotherClient),
        (
            json!({ "client_id": "other", "azp": "console" }),
            AssertionOfAnotherClient,
        ),
        (
            json!({ "resource": "https://mcp.example/absent" }),
            AssertionNotValid,
        ),
        (
            json!({ "resource": [RESOURCE, OTHER_RESOURCE] }),
            AssertionNotValid,
        ),
        (json!({ "resource": [] }), AssertionNotValid),
        (json!({ "resource": "" }), AssertionNotValid),
        (json!({ "iss": format!("{IDP}/") }), AssertionUnknown),
        (json!({ "iss": OWN }), AssertionUnknown),
        // Times.
        (json!({ "exp": now - 30 }), AssertionNotValid),
        (json!({ "exp": now + 321 }), AssertionNotValid),
        (json!({ "exp": now + 3600 }), AssertionNotValid),
        (
            json!({ "exp": now + 4000, "iat": now + 3900 }),
            AssertionNotValid,
        ),
        (json!({ "iat": now + 31 }), AssertionNotValid),
        (json!({ "nbf": now + 31 }), AssertionNotValid),
        // What an access token could not say.
        (json!({ "cnf": { "jkt": "k" } }), AssertionNotValid),
        (json!({ "authorization_details": [] }), AssertionNotValid),
        (json!({ "act": { "sub": "agent" } }), AssertionNotValid),
        (json!({ "may_act": {} }), AssertionNotValid),
        (json!({ "tenant": "t1" }), AssertionNotValid),
        (json!({ "aud_tenant": "t1" }), AssertionNotValid),
        // Another kind of token.
        (json!({ "events": {} }), AssertionNotValid),
        (json!({ "htm": "POST" }), AssertionNotValid),
    ] {
        let refused = present_new(&id_jag(changes.clone())).unwrap_err();
        assert_eq!(refused.error, expected, "{changes}: {refused:?}");
        assert!(!refused.found.is_empty(), "{changes}");
    }
}

#[test]
fn a_forged_assertion_is_refused() {
    let claims = id_jag_claims;
    let header = |changes| with(id_jag_header(), changes);
    let other = Key::es256("k1");
    let public = key().jwk();
    let good = id_jag(json!({}));
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let changed = base64url(
        with(claims(), json!({ "sub": "U2" }))
            .to_string()
            .as_bytes(),
    );
    let twice = claims().to_string().replacen('{', r#"{"sub":"U2","#, 1);
    let none = base64url(header(json!({ "alg": "none" })).to_string().as_bytes());
    let cases = [
        (
            "another key under the same id",
            other.sign(&id_jag_header().to_string(), &claims().to_string()),
        ),
        (
            "an unknown key id",
            signed(header(json!({ "kid": "k2" })), claims()),
        ),
        (
            "a path as key id",
            signed(header(json!({ "kid": "../../k1" })), claims()),
        ),
        (
            "a number as key id",
            signed(header(json!({ "kid": 1 })), claims()),
        ),
        (
            "another algorithm",
            signed(header(json!({ "alg": "RS256" })), claims()),
        ),
        ("HMAC", signed(header(json!({ "alg": "HS256" })), claims())),
        ("unsigned", format!("{none}.{body}.")),
        (
            "unsigned with a signature",
            format!("{none}.{body}.{signature}"),
        ),
        ("other claims", format!("{head}.{changed}.{signature}")),
        ("no signature", format!("{head}.{body}.")),
        (
            "a claim twice",
            key().sign(&id_jag_header().to_string(), &twice),
        ),
        ("no claims", key().sign(&id_jag_header().to_string(), "[]")),
        ("padding", format!("{good}=")),
        ("a blank", format!(" {good}")),
        ("half", format!("{head}.{body}")),
        ("empty", String::new()),
        ("huge", id_jag(json!({ "x": "x".repeat(20_000) }))),
        ("not a token", "a".repeat(100)),
    ];
    for (name, token) in cases {
        let refused = present_new(&token).unwrap_err();
        assert_eq!(
            refused.error,
            TokenError::AssertionUnknown,
            "{name}: {refused:?}"
        );
    }
    for (name, changes) in [
        ("crit", json!({ "crit": ["exp"] })),
        ("jku", json!({ "jku": "https://evil.example/keys" })),
        ("x5u", json!({ "x5u": "https://evil.example/keys" })),
        ("jwk", json!({ "kid": "x", "jwk": public })),
    ] {
        let refused = present_new(&signed(header(changes), claims())).unwrap_err();
        assert_eq!(refused.error, TokenError::AssertionNotValid, "{name}");
    }
    assert!(present_new(&good).is_ok());
}

#[test]
fn no_other_token_of_the_issuer_is_taken_for_an_identity_assertion() {
    let trusted = TrustedIssuer {
        workloads: vec![rule("deploy", OWN, &[("sub", "U1")])],
        ..issuer()
    };
    for name in [
        "JWT",
        "at+jwt",
        "id-jag+jwt",
        "oauth-id-jag",
        "",
        "x/oauth-id-jag+jwt",
    ] {
        let token = signed(
            with(id_jag_header(), json!({ "typ": name })),
            id_jag_claims(),
        );
        assert_eq!(
            Kind::of(&claimed(&token).unwrap()),
            Kind::Workload,
            "{name}"
        );
    }
    // And a person's assertion is no workload, whatever the rules say.
    let token = id_jag(json!({}));
    assert_eq!(Kind::of(&claimed(&token).unwrap()), Kind::IdJag);
    let profile = trusted.workload_profile();
    let audiences = trusted.workload_audiences();
    let taken = Vouched::verify(&token, ("corp", &profile), &known_keys(), &audiences, NOW);
    assert!(taken.is_err());
}

#[test]
fn an_assertion_counts_once() {
    let mut rows = MemoryRows::default();
    let (trusted, client) = (issuer(), console());
    let token = id_jag(json!({}));
    let mut ask = |token: &str| {
        let with = With::default();
        present(&mut rows, (&trusted, &client), token, with).map_err(|refused| refused.error)
    };
    assert!(ask(&token).is_ok());
    for _ in 0..3 {
        assert_eq!(ask(&token), Err(TokenError::AssertionReplayed));
    }
    // The id alone decides: the signature of the same assertion differs each time.
    assert_eq!(ask(&id_jag(json!({}))), Err(TokenError::AssertionReplayed));
    assert!(ask(&id_jag(json!({ "jti": "j2" }))).is_ok());
    assert!(ask(&id_jag(json!({ "sub": "U2" }))).is_ok());
}

#[test]
fn an_assertion_that_is_refused_is_not_used_up() {
    let mut rows = MemoryRows::default();
    let (trusted, client) = (issuer(), console());
    let token = id_jag(json!({}));
    let before = all_rows(&rows);
    for (with, expected) in [
        (
            With {
                scope: Some("admin"),
                resource: None,
            },
            TokenError::ScopeNotGranted,
        ),
        (
            With {
                scope: Some("a\"b"),
                resource: None,
            },
            TokenError::ScopeMalformed,
        ),
        (
            With {
                scope: None,
                resource: Some(OTHER_RESOURCE),
            },
            TokenError::ResourceDiffers,
        ),
    ] {
        let refused = present(&mut rows, (&trusted, &client), &token, with).unwrap_err();
        assert_eq!(refused.error, expected);
        assert_eq!(all_rows(&rows), before);
    }
    let with = With {
        scope: Some("read"),
        resource: Some(RESOURCE),
    };
    let issued = present(&mut rows, (&trusted, &client), &token, with).unwrap();
    assert_eq!(issued.claims.scope.0, set("read"));
    // Nobody got the answer: then it counts anew.
    transact(&mut rows, |rows| give_back(rows, &issued)).unwrap();
    assert!(present(&mut rows, (&trusted, &client), &token, with).is_ok());
    assert!(present(&mut rows, (&trusted, &client), &token, with).is_err());
}

#[test]
fn each_failure_of_the_store_fails_the_whole_change() {
    let (trusted, client, token) = (issuer(), console(), id_jag(json!({})));
    let assertion = verified(&trusted, &token).unwrap();
    let request = IdJagRequest {
        client: &client,
        assertion: &assertion,
        issuer: &trusted,
        scope: None,
        resource: None,
        id: Id::new([5; 16]),
    };
    let accesses = fails_with_each_access(&MemoryRows::default(), |rows| {
        id_jag::issue(rows, &keys(), &server(), &request, NOW)
    });
    assert!(accesses >= 3, "{accesses}");
}

#[test]
fn scopes_are_those_of_everybody() {
    for (in_assertion, listed, own, asked, expected) in [
        (Some("read write"), None, None, None, Ok("read write")),
        (Some("read write"), None, None, Some("read"), Ok("read")),
        (Some("read"), None, None, Some("read admin"), Ok("read")),
        (
            Some("read"),
            None,
            None,
            Some("admin"),
            Err(TokenError::ScopeNotGranted),
        ),
        (Some("read write"), Some("write"), None, None, Ok("write")),
        (Some("read write"), Some("admin"), None, None, Ok("")),
        (Some("read write"), None, Some("read"), None, Ok("read")),
        (Some("read root"), None, None, None, Ok("read")),
        (Some("root"), None, None, Some("openid"), Ok("")),
        (Some(""), None, None, None, Ok("")),
        (None, None, None, None, Ok("")),
        (None, Some("read"), None, None, Ok("")),
        (
            None,
            None,
            None,
            Some("read"),
            Err(TokenError::ScopeNotGranted),
        ),
    ] {
        let mut trusted = issuer();
        trusted.id_jag.as_mut().unwrap().scopes = listed.map(set);
        let client = Client {
            scopes: own.map(|own| ScopeSetText(set(own))),
            ..console()
        };
        let token = id_jag(json!({ "scope": in_assertion }));
        let with = With {
            scope: asked,
            resource: None,
        };
        let mut rows = MemoryRows::default();
        let given = present(&mut rows, (&trusted, &client), &token, with);
        let given = given.map(|issued| issued.claims.scope.0);
        let given = given.map_err(|refused| refused.error);
        assert_eq!(
            given,
            expected.map(set),
            "{in_assertion:?} {listed:?} {asked:?}"
        );
    }
}

#[test]
fn scopes_of_an_assertion_count_with_the_prefix_of_the_resource_and_without() {
    let server = prefixed("api://1/");
    for (in_assertion, expected) in [
        ("read", "api://1/read"),
        ("api://1/read write", "api://1/read api://1/write"),
        ("api://2/read", ""),
    ] {
        let token = id_jag(json!({ "scope": in_assertion }));
        let (issuer, client) = (issuer(), console());
        let assertion = verified(&issuer, &token).unwrap();
        let request = IdJagRequest {
            client: &client,
            assertion: &assertion,
            issuer: &issuer,
            scope: None,
            resource: None,
            id: Id::new([5; 16]),
        };
        let given = transact(&mut MemoryRows::default(), |rows| {
            id_jag::issue(rows, &keys(), &server, &request, NOW)
        });
        let given = given.unwrap().unwrap();
        assert_eq!(given.claims.scope.0, set(expected), "{in_assertion}");
    }
}

#[test]
fn the_operator_says_which_clients_present_assertions() {
    let ask = |trust: IdJagTrust, client: &Client| {
        let trusted = TrustedIssuer {
            id_jag: Some(trust),
            ..issuer()
        };
        let mut rows = MemoryRows::default();
        let token = id_jag(json!({}));
        let asked = present(&mut rows, (&trusted, client), &token, With::default());
        asked.map(drop).map_err(|refused| refused.error)
    };
    let refused = Err(TokenError::GrantTypeNotAllowed);
    let listed = |id: &str| IdJagTrust {
        clients: vec![id.to_owned()],
        ..IdJagTrust::default()
    };
    let public = || IdJagTrust {
        has_public_clients: true,
        ..IdJagTrust::default()
    };
    assert_eq!(ask(IdJagTrust::default(), &console()), Ok(()));
    assert_eq!(ask(listed("console"), &console()), Ok(()));
    assert_eq!(ask(listed("other"), &console()), refused);
    assert_eq!(ask(IdJagTrust::default(), &client("console")), refused);
    assert_eq!(ask(public(), &client("console")), Ok(()));
    assert_eq!(ask(public(), &provisional("console")), refused);
    let untrusted = TrustedIssuer {
        id_jag: None,
        ..issuer()
    };
    let mut rows = MemoryRows::default();
    let token = id_jag(json!({}));
    let asked = present(&mut rows, (&untrusted, &console()), &token, With::default());
    assert_eq!(asked.unwrap_err().error, TokenError::AssertionUnknown);
}

#[test]
fn one_account_cannot_use_up_what_all_share() {
    let mut rows = MemoryRows::default();
    let account = account::subject(IDP, "U1");
    for number in 0..MAX_ASSERTIONS_PER_CLIENT {
        let once = OnceOnly {
            id: number.to_string(),
            ends: NOW,
        };
        use_once(&mut rows, &account, &once).unwrap();
    }
    let mut ask = |subject: &str| {
        let token = id_jag(json!({ "sub": subject }));
        let asked = present(&mut rows, (&issuer(), &console()), &token, With::default());
        asked.map(drop).map_err(|refused| refused.error)
    };
    assert_eq!(ask("U1"), Err(TokenError::Busy));
    assert_eq!(ask("U2"), Ok(()));
}

fn rule(client: &str, audience: &str, claims: &[(&str, &str)]) -> WorkloadRule {
    let text =
        |(name, value): &(&str, &str)| ((*name).to_owned(), ClaimValue::Text((*value).to_owned()));
    WorkloadRule {
        audience: audience.to_owned(),
        claims: claims.iter().map(text).collect(),
        condition: None,
        client: client.to_owned(),
        scopes: None,
    }
}

/// What a build of a repository presents.
fn build(changes: Value) -> String {
    let now = NOW.secs();
    let claims = json!({
        "iss": IDP, "sub": "repo:acme/app:ref:refs/heads/main", "aud": "mcp", "jti": "b1",
        "iat": now - 10, "nbf": now - 10, "exp": now + 3590,
        "repository": "acme/app", "repository_owner": "acme", "ref": "refs/heads/main",
        "run_attempt": 2, "protected": true, "groups": ["a", "b"],
    });
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" });
    signed(header, with(claims, changes))
}

fn mapped<'a>(trusted: &'a TrustedIssuer, token: &str) -> Result<Mapped<'a>, Refused> {
    let token = verified(trusted, token)?;
    workload::map(&trusted.workloads, &token)
}

fn with_rules(workloads: Vec<WorkloadRule>) -> TrustedIssuer {
    TrustedIssuer {
        workloads,
        ..issuer()
    }
}

#[test]
fn a_rule_fits_by_audience_claims_and_condition() {
    let value = |name: &str, value| vec![(name.to_owned(), value)];
    let with_claims = |claims| WorkloadRule {
        claims,
        ..rule("deploy", "mcp", &[])
    };
    let with_condition = |source: &str| WorkloadRule {
        condition: Some(Condition::compile(source).unwrap()),
        ..rule("deploy", "mcp", &[("repository_owner", "acme")])
    };
    for (rule, fits) in [
        (rule("deploy", "mcp", &[("repository", "acme/app")]), true),
        (
            rule(
                "deploy",
                "mcp",
                &[("repository", "acme/app"), ("ref", "refs/heads/main")],
            ),
            true,
        ),
        (
            rule(
                "deploy",
                "mcp",
                &[("repository", "acme/app"), ("ref", "refs/heads/dev")],
            ),
            false,
        ),
        (rule("deploy", "mcp", &[("repository", "acme/app2")]), false),
        (rule("deploy", "mcp", &[("repository", "ACME/app")]), false),
        (rule("deploy", "mcp", &[("absent", "")]), false),
        (rule("deploy", "mcp", &[("groups", "a")]), false),
        (rule("deploy", "mcp", &[("run_attempt", "2")]), false),
        (
            with_claims(value("run_attempt", ClaimValue::Number(2))),
            true,
        ),
        (
            with_claims(value("run_attempt", ClaimValue::Number(3))),
            false,
        ),
        (
            with_claims(value("protected", ClaimValue::Flag(true))),
            true,
        ),
        (
            with_claims(value("protected", ClaimValue::Flag(false))),
            false,
        ),
        (with_claims(value("sub", ClaimValue::Flag(true))), false),
        (
            with_condition(r#"claims.ref.startsWith("refs/heads/")"#),
            true,
        ),
        (
            with_condition(r#""a" in claims.groups && claims.run_attempt < 3"#),
            true,
        ),
        (with_condition(r#"claims.ref == "refs/heads/dev""#), false),
        (
            with_condition(r#"claims.environment == "production""#),
            false,
        ),
        (
            with_condition(r#"has(claims.environment) || claims.protected"#),
            true,
        ),
    ] {
        let shown = format!("{rule:?}");
        let trusted = with_rules(vec![rule]);
        let mapped = mapped(&trusted, &build(json!({})));
        let expected = match fits {
            true => Ok("deploy"),
            false => Err(TokenError::WorkloadUnmatched),
        };
        let found = mapped
            .map(|mapped| mapped.client)
            .map_err(|refused| refused.error);
        assert_eq!(found, expected, "{shown}");
    }
}

#[test]
fn rules_of_several_clients_for_one_workload_are_refused() {
    let scoped = |client: &str, scopes: Option<&str>| WorkloadRule {
        scopes: scopes.map(set),
        ..rule(client, "mcp", &[("repository_owner", "acme")])
    };
    let token = build(json!({}));
    let ambiguous = with_rules(vec![scoped("deploy", None), scoped("report", None)]);
    let refused = mapped(&ambiguous, &token).unwrap_err();
    assert_eq!(refused.error, TokenError::WorkloadUnmatched);
    assert!(refused.found.contains("deploy and report"), "{refused:?}");
    // Two rules of one client add up; the first limit that is missing is none.
    for (one, other, expected) in [
        (Some("read"), Some("write"), Some("read write")),
        (Some("read"), None, None),
    ] {
        let trusted = with_rules(vec![scoped("deploy", one), scoped("deploy", other)]);
        let mapped = mapped(&trusted, &token).unwrap();
        assert_eq!(mapped.scopes, expected.map(set));
    }
    // A rule for another audience does not count.
    let other = WorkloadRule {
        audience: "elsewhere".to_owned(),
        ..scoped("report", None)
    };
    let trusted = with_rules(vec![other, scoped("deploy", None)]);
    assert_eq!(mapped(&trusted, &token).unwrap().client, "deploy");
    let elsewhere = mapped(&trusted, &build(json!({ "aud": "elsewhere" })));
    assert_eq!(elsewhere.unwrap().client, "report");
}

#[test]
fn a_hostile_token_is_no_workload() {
    let now = NOW.secs();
    let trusted = with_rules(vec![rule("deploy", "mcp", &[("repository", "acme/app")])]);
    for changes in [
        json!({ "aud": "other" }),
        json!({ "aud": ["mcp", "other"] }),
        json!({ "aud": ["mcp", "mcp"] }),
        json!({ "aud": null }),
        json!({ "exp": now - 31 }),
        json!({ "exp": now + 90_000 }),
        json!({ "exp": null }),
        json!({ "iat": now + 60 }),
        json!({ "nbf": now + 60 }),
        json!({ "sub": null }),
        json!({ "iss": "https://other.example" }),
        json!({ "cnf": { "x5t#S256": "a" } }),
        json!({ "nonce": "n" }),
        json!({ "events": {} }),
        json!({ "repository": ["acme/app"] }),
        json!({ "repository": null, "Repository": "acme/app" }),
        json!({ "repository": "evil/app", "repository_owner": "acme" }),
    ] {
        let outcome = mapped(&trusted, &build(changes.clone()));
        assert!(outcome.is_err(), "{changes}");
    }
    for changes in [
        json!({}),
        json!({ "aud": ["mcp"] }),
        json!({ "jti": null }),
        json!({ "iat": null, "nbf": null }),
        json!({ "exp": now - 20 }),
    ] {
        let outcome = mapped(&trusted, &build(changes.clone()));
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
    // Service accounts of Kubernetes have no type, SPIFFE's documents may be of the type JOSE.
    let claims = || json!({ "iss": IDP, "sub": "spiffe://corp/a", "aud": ["mcp"], "exp": now + 60, "repository": "acme/app" });
    for (header, is_taken) in [
        (json!({ "alg": "ES256", "kid": "k1" }), true),
        (json!({ "alg": "ES256", "kid": "k1", "typ": "JOSE" }), true),
        (
            json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }),
            false,
        ),
        (
            json!({ "alg": "ES256", "kid": "k1", "typ": "logout+jwt" }),
            false,
        ),
    ] {
        let outcome = mapped(&trusted, &signed(header.clone(), claims()));
        assert_eq!(outcome.is_ok(), is_taken, "{header}");
    }
}

#[test]
fn a_workload_gets_what_its_client_would_get_for_itself() {
    let deploy = Client {
        grant_types: GrantTypes {
            jwt_bearer: true,
            ..GrantTypes::default()
        },
        scopes: Some(ScopeSetText(set("read write"))),
        ..client("deploy")
    };
    let ask = |client: &Client, client_id, scopes: Option<&str>, scope, resource| {
        let mapped = Mapped {
            client: "deploy",
            scopes: scopes.map(set),
        };
        let request = WorkloadRequest {
            client,
            mapped: &mapped,
            client_id,
            scope,
            resource,
            id: Id::new([5; 16]),
        };
        workload::issue(&keys(), &server(), &request, NOW)
    };
    let issued = ask(&deploy, None, None, None, None).unwrap();
    assert_eq!(issued.claims.sub, "m:deploy");
    assert_eq!(issued.claims.client_id, "deploy");
    assert_eq!(issued.claims.aud, RESOURCE);
    assert_eq!(issued.claims.scope.0, set("read write"));
    assert_eq!(issued.refresh_token, None);
    for (client_id, scopes, scope, resource, expected) in [
        (Some("deploy"), Some("read"), None, None, Ok("read")),
        (None, Some("admin"), None, None, Ok("")),
        (None, None, Some("write"), Some(OTHER_RESOURCE), Ok("write")),
        (
            None,
            Some("read"),
            Some("write"),
            None,
            Err(TokenError::ScopeNotGranted),
        ),
        (
            Some("other"),
            None,
            None,
            None,
            Err(TokenError::AssertionOfAnotherClient),
        ),
        (
            None,
            None,
            None,
            Some("https://else.example"),
            Err(TokenError::ResourceUnknown),
        ),
    ] {
        let given = ask(&deploy, client_id, scopes, scope, resource);
        let given = given.map(|issued| issued.claims.scope.0);
        let given = given.map_err(|refused| refused.error);
        assert_eq!(
            given,
            expected.map(set),
            "{client_id:?} {scopes:?} {scope:?}"
        );
    }
    for other in [
        client("deploy"),
        provisional("deploy"),
        confidential("deploy"),
    ] {
        let refused = ask(&other, None, None, None, None).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantTypeNotAllowed);
    }
}
