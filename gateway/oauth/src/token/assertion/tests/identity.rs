//! What an identity assertion gives, and to whom.

use super::*;
use crate::{
    account,
    client::model::GrantTypes,
    grant::machine,
    store::text::ScopeSetText,
    token::testing::{client, prefixed, provisional, set},
};

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
    for (grant_types, expected) in [
        (
            GrantTypes {
                token_exchange: true,
                ..GrantTypes::default()
            },
            refused,
        ),
        (
            GrantTypes {
                client_credentials: true,
                ..GrantTypes::default()
            },
            refused,
        ),
        (
            GrantTypes {
                jwt_bearer: true,
                ..GrantTypes::default()
            },
            Ok(()),
        ),
    ] {
        let client = Client {
            grant_types,
            ..console()
        };
        assert_eq!(
            ask(IdJagTrust::default(), &client),
            expected,
            "{grant_types:?}"
        );
    }
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
