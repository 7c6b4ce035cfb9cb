//! Exchanges: of tokens of a trusted issuer and of this server, good ones and hostile ones as data.

use std::time::Duration;

use mcp_gateway_core::{
    time::UnixTime,
    token::{algorithm::Algorithm, key_set::KeySet},
};
use serde_json::{Value, json};
use test_support::{Key, key_set, with_members as with};

use super::*;
use crate::{
    account,
    client::model::{Client, GrantTypes},
    form::Form,
    grant::{self, EndedBy, machine},
    id::Id,
    profile::ServerProfile,
    store::text::ScopeSetText,
    token::{
        access,
        error::{Refused, TokenError},
        issued::Issued,
        revoke::{self, Revocation},
        testing::{
            NOW, OTHER_RESOURCE, RESOURCE, client, confidential, keys, later, prefixed, ring,
            server, set, signed_in, transact,
        },
    },
    trust::{ExchangeTrust, TrustedIssuer, Vouched},
};

const IDP: &str = "https://login.corp.example";

const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";

fn key() -> &'static Key {
    static KEY: std::sync::LazyLock<Key> = std::sync::LazyLock::new(|| Key::es256("k1"));
    &KEY
}

fn backend() -> Client {
    Client {
        grant_types: GrantTypes {
            token_exchange: true,
            ..GrantTypes::default()
        },
        ..confidential("backend")
    }
}

fn form(fields: &[(&str, &str)]) -> Form {
    let encoded = fields.iter().map(|(name, value)| {
        let value: String = url_encoded(value);
        format!("{name}={value}")
    });
    Form::parse(encoded.collect::<Vec<_>>().join("&").as_bytes()).unwrap()
}

fn url_encoded(value: &str) -> String {
    crate::form::encoded(value)
}

fn ask(fields: &[(&str, &str)]) -> Result<Exchange, Refused> {
    read(&server(), &backend(), &form(fields))
}

#[test]
fn a_request_is_read_as_the_standard_says() {
    let asked = ask(&[
        ("subject_token", "a.b.c"),
        ("subject_token_type", JWT),
        ("requested_token_type", ACCESS),
        ("resource", &format!("{RESOURCE}/")),
        ("audience", RESOURCE),
        ("scope", "read"),
    ]);
    let asked = asked.unwrap();
    assert_eq!(asked.token_type, SubjectTokenType::Jwt);
    assert_eq!(asked.target.as_deref(), Some(RESOURCE));
    assert_eq!(asked.scope.as_deref(), Some("read"));
    let least = ask(&[("subject_token", "a.b.c"), ("subject_token_type", ID)]).unwrap();
    assert_eq!((least.target, least.scope), (None, None));
}

#[test]
fn a_request_that_asks_for_something_else_is_refused() {
    let token = ("subject_token", "a.b.c");
    let kind = ("subject_token_type", ACCESS);
    for (fields, expected) in [
        (vec![kind], TokenError::SubjectTokenMissing),
        (vec![token], TokenError::SubjectTokenType),
        (
            vec![token, ("subject_token_type", "access_token")],
            TokenError::SubjectTokenType,
        ),
        (
            vec![
                token,
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:saml2",
                ),
            ],
            TokenError::SubjectTokenType,
        ),
        (
            vec![
                token,
                (
                    "subject_token_type",
                    "urn:ietf:params:oauth:token-type:refresh_token",
                ),
            ],
            TokenError::SubjectTokenType,
        ),
        (
            vec![token, kind, ("requested_token_type", JWT)],
            TokenError::RequestedTokenType,
        ),
        (
            vec![
                token,
                kind,
                (
                    "requested_token_type",
                    "urn:ietf:params:oauth:token-type:id-jag",
                ),
            ],
            TokenError::RequestedTokenType,
        ),
        (
            vec![token, kind, ("actor_token", "a.b.c")],
            TokenError::ActorToken,
        ),
        (
            vec![token, kind, ("actor_token_type", JWT)],
            TokenError::ActorToken,
        ),
        (
            vec![token, kind, ("resource", "https://else.example")],
            TokenError::ResourceUnknown,
        ),
        (
            vec![token, kind, ("audience", "backend")],
            TokenError::ResourceUnknown,
        ),
        (
            vec![
                token,
                kind,
                ("resource", RESOURCE),
                ("audience", OTHER_RESOURCE),
            ],
            TokenError::ResourceUnknown,
        ),
    ] {
        let refused = ask(&fields).unwrap_err();
        assert_eq!(refused.error, expected, "{fields:?}");
    }
}

#[test]
fn only_a_client_of_the_operator_that_authenticates_exchanges() {
    let asked = form(&[("subject_token", "a.b.c"), ("subject_token_type", JWT)]);
    let public = Client {
        grant_types: backend().grant_types,
        ..client("backend")
    };
    let stranger = Client {
        origin: crate::client::model::ClientOrigin::Machine { at: NOW.into() },
        ..backend()
    };
    for client in [public, stranger, confidential("backend")] {
        let refused = read(&server(), &client, &asked).unwrap_err();
        assert_eq!(refused.error, TokenError::GrantTypeNotAllowed);
    }
}

fn issuer() -> TrustedIssuer {
    TrustedIssuer {
        issuer: IDP.to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        clock_skew: Duration::from_secs(30),
        max_lifetime: Duration::from_secs(24 * 60 * 60),
        id_jag: None,
        workloads: Vec::new(),
        exchange: None,
    }
}

fn trust() -> ExchangeTrust {
    ExchangeTrust {
        audiences: vec!["api://backend".to_owned(), "api://orders".to_owned()],
        ..ExchangeTrust::default()
    }
}

/// An access token of the provider.
fn foreign(typ: &str, changes: Value) -> String {
    let now = NOW.secs();
    let claims = json!({
        "iss": IDP, "sub": "U1", "aud": "api://backend", "client_id": "app",
        "scope": "read write", "jti": "t1", "iat": now - 100, "exp": now + 600,
    });
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": typ });
    key().sign(&header.to_string(), &with(claims, changes).to_string())
}

fn exchange_with(
    trust: &ExchangeTrust,
    client: &Client,
    token: (&str, &str),
    more: &[(&str, &str)],
) -> Result<Issued, Refused> {
    exchange_at(&server(), trust, client, token, more)
}

fn exchange_at(
    server: &ServerProfile,
    trust: &ExchangeTrust,
    client: &Client,
    (token, kind): (&str, &str),
    more: &[(&str, &str)],
) -> Result<Issued, Refused> {
    let mut fields = vec![("subject_token", token), ("subject_token_type", kind)];
    fields.extend(more);
    let asked = read(server, client, &form(&fields))?;
    let profile = issuer().subject_profile(
        asked.token_type.token_types(),
        asked.token_type.takes_id_tokens(),
    );
    let set = key_set(&[key()]).to_string();
    let known = KeySet::parse(set.as_bytes()).unwrap().keys;
    let named = ("corp", &profile);
    let verified = Vouched::verify(token, named, &known, &trust.audiences, NOW);
    let verified = verified.map_err(|fault| refused(&fault))?;
    let request = ForeignToken {
        client,
        exchange: &asked,
        token: &verified,
        trust,
        id: Id::new([5; 16]),
    };
    exchange_trusted(&keys(), server, &request, NOW)
}

#[test]
fn a_token_of_a_trusted_issuer_becomes_one_for_the_same_person() {
    let token = foreign("JWT", json!({}));
    let issued = exchange_with(&trust(), &backend(), (&token, ACCESS), &[]).unwrap();
    assert_eq!(issued.refresh_token, None);
    assert_eq!(issued.claims.sub, account::subject(IDP, "U1"));
    assert_eq!(issued.claims.client_id, "backend");
    assert_eq!(issued.claims.aud, RESOURCE);
    assert_eq!(issued.claims.scope.0, set("read write"));
    // It lives no longer than the other token.
    assert_eq!(issued.claims.exp.0.secs(), NOW.secs() + 600);
    let long = foreign("JWT", json!({ "exp": NOW.secs() + 3600 }));
    let issued = exchange_with(&trust(), &backend(), (&long, ACCESS), &[]).unwrap();
    assert_eq!(issued.claims.exp.0.secs(), NOW.secs() + 900);
    // It can be exchanged again.
    assert!(exchange_with(&trust(), &backend(), (&long, ACCESS), &[]).is_ok());
}

#[test]
fn a_hostile_subject_token_is_refused() {
    use TokenError::{SubjectTokenNotValid, SubjectTokenUnknown};
    let now = NOW.secs();
    for (changes, expected) in [
        (json!({ "aud": "api://other" }), SubjectTokenNotValid),
        (json!({ "aud": null }), SubjectTokenNotValid),
        (json!({ "sub": null }), SubjectTokenNotValid),
        (json!({ "sub": 7 }), SubjectTokenUnknown),
        (
            json!({ "iss": "https://login.corp.example/" }),
            SubjectTokenNotValid,
        ),
        (json!({ "exp": now - 30 }), SubjectTokenNotValid),
        (json!({ "exp": now }), SubjectTokenNotValid),
        (json!({ "exp": now - 10 }), SubjectTokenNotValid),
        (json!({ "exp": now + 90_000 }), SubjectTokenNotValid),
        (json!({ "iat": now + 60 }), SubjectTokenNotValid),
        (json!({ "cnf": { "jkt": "k" } }), SubjectTokenNotValid),
        (
            json!({ "authorization_details": [{}] }),
            SubjectTokenNotValid,
        ),
        (json!({ "act": { "sub": "a" } }), SubjectTokenNotValid),
        (json!({ "may_act": { "sub": "a" } }), SubjectTokenNotValid),
        (json!({ "events": {} }), SubjectTokenNotValid),
        (json!({ "nonce": "n" }), SubjectTokenNotValid),
        (json!({ "token_use": "refresh" }), SubjectTokenNotValid),
    ] {
        let token = foreign("at+jwt", changes.clone());
        let refused = exchange_with(&trust(), &backend(), (&token, ACCESS), &[]).unwrap_err();
        assert_eq!(refused.error, expected, "{changes}: {refused:?}");
    }
    let other = Key::es256("k1");
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }).to_string();
    let claims = json!({ "iss": IDP, "sub": "U1", "aud": "api://backend", "exp": now + 60 });
    let forged = other.sign(&header, &claims.to_string());
    let refused = exchange_with(&trust(), &backend(), (&forged, ACCESS), &[]).unwrap_err();
    assert_eq!(refused.error, SubjectTokenUnknown);
    for changes in [
        json!({ "aud": ["api://orders", "api://other"] }),
        json!({ "scope": null, "scp": ["read"] }),
        json!({ "jti": null, "iat": null, "client_id": null }),
    ] {
        let token = foreign("at+jwt", changes.clone());
        let outcome = exchange_with(&trust(), &backend(), (&token, ACCESS), &[]);
        assert!(outcome.is_ok(), "{changes}: {outcome:?}");
    }
}

#[test]
fn the_type_that_is_named_is_the_type_of_the_token() {
    let id_token = json!({ "nonce": "n", "at_hash": "h", "scope": null });
    for (typ, changes, kind, is_taken) in [
        ("JWT", json!({}), ACCESS, true),
        ("at+jwt", json!({}), ACCESS, true),
        ("JWT", id_token.clone(), ACCESS, false),
        ("JWT", id_token.clone(), ID, true),
        ("at+jwt", json!({}), ID, false),
        ("JWT", id_token.clone(), JWT, true),
        ("at+jwt", json!({}), JWT, true),
        ("oauth-id-jag+jwt", json!({}), JWT, false),
        ("logout+jwt", json!({}), JWT, false),
        ("dpop+jwt", json!({}), ID, false),
    ] {
        let token = foreign(typ, changes);
        let outcome = exchange_with(&trust(), &backend(), (&token, kind), &[]);
        assert_eq!(outcome.is_ok(), is_taken, "{typ} as {kind}: {outcome:?}");
    }
}

#[test]
fn scopes_are_never_more_than_the_token_the_trust_and_the_client_allow() {
    for (in_token, listed, own, asked, expected) in [
        (Some("read write"), None, None, None, Ok("read write")),
        (Some("read write"), None, None, Some("read"), Ok("read")),
        (
            Some("read"),
            None,
            None,
            Some("write"),
            Err(TokenError::ScopeNotGranted),
        ),
        (Some("read write"), Some("read"), None, None, Ok("read")),
        (Some("read write"), None, Some("write"), None, Ok("write")),
        (Some("access_as_user"), None, None, None, Ok("")),
        (Some("access_as_user"), Some("read"), None, None, Ok("")),
        (Some(""), Some("read"), None, None, Ok("")),
        (None, None, None, None, Ok("")),
        (
            None,
            None,
            None,
            Some("read"),
            Err(TokenError::ScopeNotGranted),
        ),
        (None, Some("read write"), None, None, Ok("read write")),
        (None, Some("read write"), Some("read"), None, Ok("read")),
    ] {
        let trust = ExchangeTrust {
            scopes: listed.map(set),
            ..trust()
        };
        let client = Client {
            scopes: own.map(|own| ScopeSetText(set(own))),
            ..backend()
        };
        let more: Vec<_> = asked.map(|asked| ("scope", asked)).into_iter().collect();
        // Entra has them in `scp`, with blanks between them; Okta in `scp`, as a list.
        let list = in_token.map(|text| text.split(' ').collect::<Vec<_>>());
        for claims in [
            json!({ "scope": in_token }),
            json!({ "scope": null, "scp": in_token }),
            json!({ "scope": null, "scp": list }),
        ] {
            let token = foreign("JWT", claims.clone());
            let given = exchange_with(&trust, &client, (&token, ACCESS), &more);
            let given = given.map(|issued| issued.claims.scope.0);
            let given = given.map_err(|refused| refused.error);
            assert_eq!(
                given,
                expected.map(set),
                "{claims} {listed:?} {own:?} {asked:?}"
            );
        }
    }
}

#[test]
fn scopes_of_a_token_count_with_the_prefix_of_the_resource_and_without() {
    let server = prefixed("api://1/");
    for (in_token, expected) in [
        ("read", "api://1/read"),
        ("api://1/read", "api://1/read"),
        ("read api://1/write", "api://1/read api://1/write"),
        ("api://2/read", ""),
    ] {
        let token = foreign("JWT", json!({ "scp": in_token, "scope": null }));
        let given = exchange_at(&server, &trust(), &backend(), (&token, ACCESS), &[]);
        assert_eq!(given.unwrap().claims.scope.0, set(expected), "{in_token}");
    }
}

#[test]
fn the_target_and_the_client_are_judged() {
    let token = foreign("JWT", json!({}));
    let ask = |trust: &ExchangeTrust, more: &[(&str, &str)]| {
        let asked = exchange_with(trust, &backend(), (&token, ACCESS), more);
        asked
            .map(|issued| issued.claims.aud)
            .map_err(|refused| refused.error)
    };
    assert_eq!(
        ask(&trust(), &[("resource", OTHER_RESOURCE)]),
        Ok(OTHER_RESOURCE.to_owned())
    );
    assert_eq!(
        ask(&trust(), &[("audience", RESOURCE)]),
        Ok(RESOURCE.to_owned())
    );
    let listed = |id: &str| ExchangeTrust {
        clients: vec![id.to_owned()],
        ..trust()
    };
    assert!(ask(&listed("backend"), &[]).is_ok());
    assert_eq!(
        ask(&listed("other"), &[]),
        Err(TokenError::GrantTypeNotAllowed)
    );
}

/// Exchanges a token of the server itself.
fn exchange_signed(
    rows: &crate::store::memory::MemoryRows,
    claims: &access::AccessClaims,
    more: &[(&str, &str)],
    now: UnixTime,
) -> Result<Issued, Refused> {
    let token = access::sign(ring().signer(NOW), claims).unwrap();
    let mut fields = vec![
        ("subject_token", token.expose()),
        ("subject_token_type", ACCESS),
    ];
    fields.extend(more);
    let client = backend();
    let asked = read(&server(), &client, &form(&fields))?;
    let request = OwnToken {
        client: &client,
        exchange: &asked,
        ring: ring(),
        id: Id::new([6; 16]),
    };
    exchange_own(rows, &server(), &request, now).unwrap()
}

#[test]
fn a_token_of_this_server_becomes_one_for_less() {
    let (rows, issued) = signed_in("console");
    let own = issued.claims;
    let now = later(60);
    let given = exchange_signed(&rows, &own, &[("scope", "read")], now)
        .unwrap()
        .claims;
    assert_eq!(given.client_id, "backend");
    assert_eq!(given.scope.0, set("read"));
    assert_eq!(
        (&given.sub, &given.aud, given.grant),
        (&own.sub, &own.aud, own.grant)
    );
    assert_eq!(given.exp, own.exp);
    assert_eq!(given.iat.0, now);
    assert_ne!(given.jti, own.jti);
    assert!(exchange_signed(&rows, &own, &[("audience", RESOURCE)], now).is_ok());
    for (more, expected) in [
        (("resource", OTHER_RESOURCE), TokenError::ResourceDiffers),
        (("audience", OTHER_RESOURCE), TokenError::ResourceDiffers),
        (("scope", "admin"), TokenError::ScopeNotGranted),
    ] {
        let refused = exchange_signed(&rows, &own, &[more], now).unwrap_err();
        assert_eq!(refused.error, expected, "{more:?}");
    }
    let token = access::sign(ring().signer(NOW), &own).unwrap();
    let as_id_token = [
        ("subject_token", token.expose()),
        ("subject_token_type", ID),
    ];
    let client = backend();
    let asked = read(&server(), &client, &form(&as_id_token)).unwrap();
    let request = OwnToken {
        client: &client,
        exchange: &asked,
        ring: ring(),
        id: Id::new([6; 16]),
    };
    let refused = exchange_own(&rows, &server(), &request, now).unwrap();
    assert_eq!(refused.unwrap_err().error, TokenError::SubjectTokenNotValid);
    let expired = exchange_signed(&rows, &own, &[], later(900)).unwrap_err();
    assert_eq!(expired.error, TokenError::SubjectTokenUnknown);
    let elsewhere = access::AccessClaims {
        iss: "https://other.example".to_owned(),
        ..own
    };
    let refused = exchange_signed(&rows, &elsewhere, &[], now).unwrap_err();
    assert_eq!(refused.error, TokenError::SubjectTokenUnknown);
}

#[test]
fn a_revoked_token_of_this_server_is_not_exchanged() {
    let (mut rows, issued) = signed_in("console");
    let own = issued.claims;
    transact(&mut rows, |rows| {
        grant::end(rows, own.grant, EndedBy::Operator, NOW)
    })
    .unwrap();
    let refused = exchange_signed(&rows, &own, &[], later(1)).unwrap_err();
    assert_eq!(refused.error, TokenError::SubjectTokenNotValid);
}

#[test]
fn who_exchanged_a_token_ends_nothing_of_others() {
    let (mut rows, issued) = signed_in("console");
    let of_person = issued.claims.clone();
    let of_machine = access::AccessClaims {
        sub: "m:robot".to_owned(),
        client_id: "robot".to_owned(),
        auth_time: None,
        grant: machine::of_token("robot", Id::new([9; 16])),
        ..issued.claims
    };
    for own in [of_person, of_machine] {
        let given = exchange_signed(&rows, &own, &[], later(1)).unwrap().claims;
        let mut revoke = |claims: &access::AccessClaims, client: &Client| {
            let token = access::sign(ring().signer(NOW), claims).unwrap();
            let revocation = Revocation {
                client,
                token: token.expose(),
                issuer: &server().issuer,
            };
            transact(&mut rows, |rows| {
                revoke::revoke(rows, &keys(), ring(), &revocation, later(2))
            })
            .unwrap()
        };
        let refused = revoke(&given, &backend()).unwrap_err();
        assert_eq!(refused.error, TokenError::RevocationUnsupported);
        // The owner ends both.
        assert!(revoke(&own, &confidential(&own.client_id)).is_ok());
        let refused = exchange_signed(&rows, &given, &[], later(3)).unwrap_err();
        assert_eq!(refused.error, TokenError::SubjectTokenNotValid);
    }
}
