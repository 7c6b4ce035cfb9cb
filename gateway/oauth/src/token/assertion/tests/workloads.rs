//! Tokens of workloads, and the rules that map them to clients.

use mcp_gateway_core::cel::Condition;

use super::{
    super::workload::{self, Mapped, WorkloadRequest},
    *,
};
use crate::{
    client::model::GrantTypes,
    store::text::ScopeSetText,
    token::testing::{OTHER_RESOURCE, client, provisional, set},
};

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
fn a_refused_workload_is_told_why_each_rule_does_not_fit() {
    let text_for_flag = WorkloadRule {
        claims: vec![("protected".to_owned(), ClaimValue::Text("true".to_owned()))],
        ..rule("deploy", "mcp", &[])
    };
    let condition = |source: &str| WorkloadRule {
        condition: Some(Condition::compile(source).unwrap()),
        ..rule("deploy", "mcp", &[("repository_owner", "acme")])
    };
    for (rules, expected) in [
        (
            vec![
                rule("deploy", "elsewhere", &[]),
                rule("deploy", "mcp", &[("repository", "acme/other")]),
                rule("deploy", "mcp", &[("environment", "production")]),
            ],
            "workloads[1]: repository `acme/app`, not `acme/other`; workloads[2]: environment none, not `production`",
        ),
        (
            vec![text_for_flag, condition("claims.run_attempt == 1")],
            "workloads[0]: protected true, not `true`; workloads[1]: the condition is false",
        ),
        (
            vec![rule("deploy", "mcp", &[("groups", "a")]); 200],
            "workloads[2]: groups a list or an object, not `a`; and 197 more",
        ),
    ] {
        let refused = mapped(&with_rules(rules), &build(json!({}))).unwrap_err();
        assert!(refused.found.ends_with(expected), "{}", refused.found);
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
