//! Errors of a request whose redirect URI is the client's: which code, and whether they are sent there.

use super::*;
use crate::client::model::DocumentSource;

#[test]
fn every_fault_after_the_redirect_uri_is_answered_with_state_and_iss() {
    let long = "A".repeat(44);
    let cases: &[(&[(&str, &str)], ErrorCode)] = &[
        (&[("response_type", "")], ErrorCode::InvalidRequest),
        (
            &[("response_type", "token")],
            ErrorCode::UnsupportedResponseType,
        ),
        (
            &[("response_type", "code id_token")],
            ErrorCode::UnsupportedResponseType,
        ),
        (
            &[("response_type", "CODE")],
            ErrorCode::UnsupportedResponseType,
        ),
        (&[("response_mode", "fragment")], ErrorCode::InvalidRequest),
        (&[("response_mode", "form_post")], ErrorCode::InvalidRequest),
        (&[("code_challenge", "")], ErrorCode::InvalidRequest),
        (
            &[("code_challenge", &CHALLENGE[1..])],
            ErrorCode::InvalidRequest,
        ),
        (&[("code_challenge", &long)], ErrorCode::InvalidRequest),
        (
            &[(
                "code_challenge",
                "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
            )],
            ErrorCode::InvalidRequest,
        ),
        (&[("code_challenge_method", "")], ErrorCode::InvalidRequest),
        (
            &[("code_challenge_method", "plain")],
            ErrorCode::InvalidRequest,
        ),
        (
            &[("code_challenge_method", "s256")],
            ErrorCode::InvalidRequest,
        ),
        (
            &[("resource", "https://evil.example/")],
            ErrorCode::InvalidTarget,
        ),
        (
            &[("resource", "https://mcp.example.com/mcp#x")],
            ErrorCode::InvalidTarget,
        ),
        (
            &[
                ("resource", "https://mcp.example.com/mcp"),
                ("resource", "https://mcp.example.com/open"),
            ],
            ErrorCode::InvalidTarget,
        ),
        (&[("request", "eyJ")], ErrorCode::RequestNotSupported),
        (
            &[("request_uri", "urn:x")],
            ErrorCode::RequestUriNotSupported,
        ),
        (&[("prompt", "none login")], ErrorCode::InvalidRequest),
        (&[("prompt", "consent none")], ErrorCode::InvalidRequest),
        (&[("scope", "a"), ("scope", "a")], ErrorCode::InvalidRequest),
        (&[("nonce", "a"), ("nonce", "b")], ErrorCode::InvalidRequest),
    ];
    for (changes, code) in cases {
        let error = redirected(changes, &configured());
        assert_eq!(error.code, *code, "{changes:?}");
        let location = &error.location;
        assert!(location.starts_with("https://editor.example/cb?error="));
        assert_eq!(value(location, "error").as_deref(), Some(code.as_str()));
        assert_eq!(value(location, "state").as_deref(), Some("s 1&=+ä"));
        assert_eq!(value(location, "iss").as_deref(), Some(ISSUER));
        assert_eq!(
            value(location, "error_description"),
            Some(error.description)
        );
        assert!(!error.detail.is_empty());
    }
}

#[test]
fn a_state_that_was_sent_twice_is_not_given_back() {
    let error = redirected(&[("state", "a"), ("state", "b")], &configured());
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(value(&error.location, "state"), None);
}

#[test]
fn a_machine_cannot_use_the_endpoint() {
    let mut machine = configured();
    machine.grant_types = GrantTypes {
        client_credentials: true,
        ..GrantTypes::default()
    };
    assert_eq!(
        redirected(&[], &machine).code,
        ErrorCode::UnauthorizedClient
    );
}

#[test]
fn descriptions_have_only_the_characters_of_the_standard() {
    let is_allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    for code in ErrorCode::ALL {
        assert!(code.description().bytes().all(is_allowed), "{code:?}");
    }
    let redirect = RedirectUri::parse("https://editor.example/cb", &RedirectRules::default());
    let redirect = redirect.unwrap();
    let location = error_location(&redirect, ErrorCode::ServerError, "A b.", None, ISSUER);
    assert_eq!(
        location,
        "https://editor.example/cb?error=server_error&error_description=A%20b.&iss=https%3A%2F%2Fmcp.example.com"
    );
}

#[test]
fn an_error_goes_to_a_host_that_a_stranger_chose_only_after_a_person_saw_it() {
    let at = UnixTimeText(UnixTime::new(0));
    let registered = ClientOrigin::Registered { at, is_used: true };
    let document = |source| ClientOrigin::Document {
        host: "editor.example".to_owned(),
        source,
    };
    let fetched = document(DocumentSource::Fetched);
    let shipped = document(DocumentSource::Shipped("2026-01".to_owned()));
    let machine = ClientOrigin::Machine { at };
    let (configured, provisional) = (ClientOrigin::Configured, ClientOrigin::Provisional);
    let (web, device) = (
        "https://editor.example:8443/cb?t=1",
        "http://127.0.0.1:3000/cb",
    );
    let scheme = "cursor://anysphere.cursor-mcp/cb";
    for (origin, redirect, is_sent) in [
        (&registered, web, false),
        (&machine, web, false),
        (&fetched, web, false),
        (&registered, device, true),
        (&fetched, device, true),
        (&registered, scheme, true),
        (&fetched, scheme, true),
        (&configured, web, true),
        (&shipped, web, true),
        (&provisional, web, true),
    ] {
        let client = Client {
            origin: origin.clone(),
            ..client(&[redirect])
        };
        let wrong = with(&[("redirect_uri", redirect), ("response_type", "token")]);
        let unseen = accepted(&[("redirect_uri", redirect)], &client);
        let unseen = unseen.refused_unseen(&client, ErrorCode::LoginRequired, ISSUER);
        let codes = ["unsupported_response_type", "login_required"];
        for (refused, code) in [judged(&wrong, &client).unwrap_err(), unseen]
            .into_iter()
            .zip(codes)
        {
            match refused {
                Refused::Redirect(error) => {
                    assert!(is_sent, "{origin:?} {redirect}");
                    assert_eq!(value(&error.location, "error").as_deref(), Some(code));
                }
                Refused::Page(fault) => {
                    assert!(!is_sent, "{origin:?} {redirect}");
                    assert_eq!(fault.reason(), code);
                    let shown = fault.shown();
                    assert!(shown.contains("editor.example:8443") && !shown.contains("t=1"));
                    assert!(fault.to_string().contains("`editor`"), "{fault}");
                }
            }
        }
    }
}

#[test]
fn what_a_request_says_is_bounded_in_the_log() {
    let long = "x".repeat(2000);
    let prompt = format!("none {long}");
    let secret = "https://evil.example/cb?code=a-secret-code";
    for changes in [
        [("redirect_uri", secret), ("client_id", long.as_str())],
        [("response_type", long.as_str()), ("prompt", "")],
        [("prompt", prompt.as_str()), ("state", "")],
        [("code_challenge_method", long.as_str()), ("state", "")],
        [("resource", long.as_str()), ("prompt", "")],
    ] {
        let client = Client {
            id: long.clone(),
            ..configured()
        };
        let found = match judged(&with(&changes), &client).unwrap_err() {
            Refused::Page(fault) => fault.to_string(),
            Refused::Redirect(error) => error.detail,
        };
        assert!(found.len() < 600, "{}", found.len());
        assert!(!found.contains("a-secret-code"), "{found}");
    }
}
