//! Authorization requests, as clients and attackers send them.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use url::{Url, form_urlencoded::parse};

use super::*;
use crate::{
    client::model::{Client, ClientMethod, ClientOrigin, GrantTypes},
    form::{Form, MOST_VALUE_BYTES},
    profile::{Lifetimes, ResourceProfile, ScopeProfile, ServerProfile},
    redirect_uri::{RedirectRules, RedirectUri},
    secret::Secret,
    store::text::{ScopeSetText, UnixTimeText},
};

const ISSUER: &str = "https://mcp.example.com";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const ORDINARY: &[(&str, &str)] = &[
    ("response_type", "code"),
    ("client_id", "editor"),
    ("redirect_uri", "https://editor.example/cb"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
    ("state", "s 1&=+ä"),
];

fn resource(uri: &str, required: &str, scopes: &[&str]) -> ResourceProfile {
    let scope = |text: &&str| ScopeProfile {
        scope: (*text).to_owned(),
        description: None,
    };
    ResourceProfile {
        uri: uri.to_owned(),
        name: None,
        required: ScopeSet::parse(required).unwrap(),
        scopes: scopes.iter().map(scope).collect(),
    }
}

fn server() -> ServerProfile {
    ServerProfile {
        issuer: ISSUER.to_owned(),
        resources: vec![
            resource(
                "https://mcp.example.com/mcp",
                "tasks:read",
                &["tasks:read", "tasks:write"],
            ),
            resource("https://mcp.example.com/open", "", &["a", "b"]),
            resource("https://mcp.example.com/plain", "", &[]),
        ],
        lifetimes: Lifetimes::default(),
    }
}

fn client(redirect_uris: &[&str]) -> Client {
    Client {
        id: "editor".to_owned(),
        name: None,
        redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
        method: ClientMethod::None,
        grant_types: GrantTypes {
            authorization_code: true,
            refresh_token: true,
            client_credentials: false,
        },
        scopes: None,
        origin: ClientOrigin::Registered {
            at: UnixTimeText(UnixTime::new(0)),
            is_used: false,
        },
    }
}

fn editor() -> Client {
    client(&["https://editor.example/cb"])
}

/// The ordinary request with other values; an empty one is left out.
fn with(changes: &[(&str, &str)]) -> Form {
    let kept = ORDINARY
        .iter()
        .filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let pairs = kept.chain(changes);
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    Form::parse_ambiguous(query.as_bytes()).unwrap()
}

fn judged(form: &Form, client: &Client) -> Result<AuthorizationRequest, Refused> {
    judge(form, client, &server(), &RedirectRules::default())
}

fn accepted(changes: &[(&str, &str)], client: &Client) -> AuthorizationRequest {
    judged(&with(changes), client).unwrap_or_else(|refused| panic!("{changes:?}: {refused:?}"))
}

fn page(changes: &[(&str, &str)], client: &Client) -> PageFault {
    match judged(&with(changes), client) {
        Err(Refused::Page(fault)) => fault,
        other => panic!("{changes:?}: {other:?}"),
    }
}

fn redirected(changes: &[(&str, &str)], client: &Client) -> AuthorizationError {
    match judged(&with(changes), client) {
        Err(Refused::Redirect(error)) => error,
        other => panic!("{changes:?}: {other:?}"),
    }
}

/// The parameters of a location.
fn answer(location: &str) -> Vec<(String, String)> {
    let url = Url::parse(location).unwrap();
    assert_eq!(url.fragment(), None);
    parse(url.query().unwrap().as_bytes())
        .into_owned()
        .collect()
}

fn value(location: &str, name: &str) -> Option<String> {
    let found: Vec<_> = answer(location)
        .into_iter()
        .filter(|(own, _)| own == name)
        .collect();
    assert!(found.len() <= 1, "{name} stands there twice: {location}");
    found.into_iter().next().map(|(_, value)| value)
}

#[test]
fn an_ordinary_request_is_accepted() {
    let request = accepted(&[("scope", "tasks:write")], &editor());
    assert_eq!(request.client_id, "editor");
    assert_eq!(request.redirect_uri.as_str(), "https://editor.example/cb");
    assert!(request.was_redirect_sent && request.wants_refresh);
    assert_eq!(request.state.as_deref(), Some("s 1&=+ä"));
    assert_eq!(request.code_challenge, CHALLENGE);
    assert_eq!(request.resource, "https://mcp.example.com/mcp");
    assert_eq!(request.scopes.0.to_string(), "tasks:write");
    assert_eq!(request.prompt, Prompt::default());
    let row = serde_json::to_string(&request).unwrap();
    assert_eq!(
        serde_json::from_str::<AuthorizationRequest>(&row).unwrap(),
        request
    );
}

#[test]
fn the_request_of_the_official_suite_has_neither_scope_nor_resource() {
    let suite = client(&["http://localhost:3000/callback"]);
    let changes = [("redirect_uri", "http://localhost:3000/callback")];
    let request = accepted(&changes, &suite);
    assert_eq!(request.resource, "https://mcp.example.com/mcp");
    assert_eq!(request.scopes.0.to_string(), "tasks:read");
}

#[test]
fn a_client_is_named_once() {
    let cases = [
        ("", PageFault::NoClientId),
        ("client_id=", PageFault::NoClientId),
        ("client_id=a&client_id=a", PageFault::RepeatedClientId),
        ("client_id=a&client_id=b", PageFault::RepeatedClientId),
    ];
    for (query, expected) in cases {
        let form = Form::parse_ambiguous(query.as_bytes()).unwrap();
        assert_eq!(client_id(&form), Err(expected), "{query}");
    }
    let of_length = |length| {
        let query = format!("client_id={}", "x".repeat(length));
        client_id(&Form::parse_ambiguous(query.as_bytes()).unwrap()).map(str::len)
    };
    assert_eq!(of_length(MOST_CLIENT_ID_BYTES), Ok(MOST_CLIENT_ID_BYTES));
    assert_eq!(
        of_length(MOST_CLIENT_ID_BYTES + 1),
        Err(PageFault::LongClientId)
    );
}

#[test]
fn a_redirect_uri_is_checked_before_any_error_is_redirected() {
    // Each request has another fault as well, which would go to the redirect URI of the sender.
    let other_faults = [
        ("response_type", "token"),
        ("code_challenge", ""),
        ("resource", "https://evil.example/"),
        ("request_uri", "https://evil.example/"),
        ("prompt", "none login"),
    ];
    for fault in other_faults {
        for (sent, reason) in [
            ("https://evil.example/cb", "redirect_uri_not_registered"),
            ("https://editor.example/cb/", "redirect_uri_not_registered"),
            (
                "https://editor.example/cb?x=1",
                "redirect_uri_not_registered",
            ),
            ("https://editor.example/a/../cb", "redirect_uri"),
            ("javascript:alert(1)", "redirect_uri"),
            ("JavaScript:alert(1)", "redirect_uri"),
            ("data:text/html,x", "redirect_uri"),
            ("https://editor.example/cb#x", "redirect_uri"),
        ] {
            let found = page(&[fault, ("redirect_uri", sent)], &editor());
            assert_eq!(found.reason(), reason, "{fault:?} {sent}");
            assert!(!found.shown().contains(sent));
        }
    }
}

#[test]
fn the_operator_learns_what_was_sent_and_what_is_registered() {
    let fault = page(&[("redirect_uri", "https://evil.example/")], &editor());
    let text = fault.to_string();
    for part in [
        "\"editor\"",
        "https://evil.example/",
        "https://editor.example/cb",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_redirect_uri_can_be_left_out_where_there_is_only_one() {
    let left_out = [("redirect_uri", "")];
    let request = accepted(&left_out, &editor());
    assert_eq!(request.redirect_uri.as_str(), "https://editor.example/cb");
    assert!(!request.was_redirect_sent);
    let with_port = client(&["http://127.0.0.1:3000/cb"]);
    let request = accepted(&left_out, &with_port);
    assert_eq!(request.redirect_uri.as_str(), "http://127.0.0.1:3000/cb");

    let cases: [(&[&str], &str); 5] = [
        (&[], "no_redirect_uri"),
        (
            &["https://a.example/", "https://b.example/"],
            "no_redirect_uri",
        ),
        (&["http://localhost/callback"], "no_port"),
        (&["http://[::1]/"], "no_port"),
        (&["unlisted:/cb"], "redirect_uri"),
    ];
    for (registered, reason) in cases {
        let found = page(&left_out, &client(registered));
        assert_eq!(found.reason(), reason, "{registered:?}");
    }
}

#[test]
fn a_loopback_redirect_has_any_port_and_the_answer_goes_to_the_one_that_was_sent() {
    let code = client(&["http://localhost/callback", "http://127.0.0.1/callback"]);
    let request = accepted(
        &[("redirect_uri", "http://127.0.0.1:51000/callback")],
        &code,
    );
    let location = success_location(&request, &Secret::new("c"), ISSUER);
    assert!(location.starts_with("http://127.0.0.1:51000/callback?code=c&"));
    let found = page(&[("redirect_uri", "http://[::1]:51000/callback")], &code);
    assert_eq!(found.reason(), "redirect_uri_not_registered");
}

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
        let error = redirected(changes, &editor());
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
    let error = redirected(&[("state", "a"), ("state", "b")], &editor());
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert_eq!(value(&error.location, "state"), None);
}

#[test]
fn a_redirect_uri_that_was_sent_twice_gets_a_page() {
    let twice = [
        ("redirect_uri", "https://editor.example/cb"),
        ("redirect_uri", "https://editor.example/cb"),
    ];
    assert_eq!(page(&twice, &editor()), PageFault::RepeatedRedirectUri);
}

#[test]
fn a_machine_cannot_use_the_endpoint() {
    let mut machine = editor();
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
fn a_client_without_the_refresh_grant_gets_no_refresh_tokens() {
    let mut client = editor();
    client.grant_types.refresh_token = false;
    assert!(!accepted(&[("scope", "offline_access")], &client).wants_refresh);
}

#[test]
fn state_is_bounded_and_given_back_unchanged() {
    let state = "ä".repeat(MOST_STATE_BYTES / 2);
    assert_eq!(state.len(), MOST_STATE_BYTES);
    let request = accepted(&[("state", &state)], &editor());
    let location = success_location(&request, &Secret::new("c"), ISSUER);
    assert_eq!(value(&location, "state"), Some(state.clone()));
    assert_eq!(
        page(&[("state", &format!("{state}x"))], &editor()),
        PageFault::LongState
    );
    let without = accepted(&[("state", "")], &editor());
    assert_eq!(without.state, None);
    assert_eq!(
        value(
            &success_location(&without, &Secret::new("c"), ISSUER),
            "state"
        ),
        None
    );
}

#[test]
fn iss_and_state_stand_once_in_every_answer_and_the_query_is_kept() {
    for (redirect, begin) in [
        ("https://editor.example/cb", "https://editor.example/cb?"),
        ("https://editor.example/cb?", "https://editor.example/cb?"),
        (
            "https://editor.example/cb?t=1",
            "https://editor.example/cb?t=1&",
        ),
        (
            "https://editor.example/cb?t=1&",
            "https://editor.example/cb?t=1&",
        ),
        (
            "cursor://anysphere.cursor-mcp/cb?t=1",
            "cursor://anysphere.cursor-mcp/cb?t=1&",
        ),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000?"),
    ] {
        let request = accepted(&[("redirect_uri", redirect)], &client(&[redirect]));
        let success = success_location(&request, &Secret::new("the code"), ISSUER);
        assert!(
            success.starts_with(&format!("{begin}code=the%20code&state=")),
            "{success}"
        );
        let denied = request.refused(ErrorCode::AccessDenied, ISSUER);
        assert!(
            denied.starts_with(&format!("{begin}error=access_denied&")),
            "{denied}"
        );
        for location in [success, denied] {
            for name in ["state", "iss"] {
                assert!(value(&location, name).is_some(), "{location}");
            }
        }
    }
    for name in ["iss", "state", "code", "error"] {
        let doubled = format!("https://editor.example/cb?{name}=1");
        let found = page(&[("redirect_uri", &doubled)], &client(&[&doubled]));
        assert_eq!(found.reason(), "redirect_uri", "{name}");
    }
}

#[test]
fn the_resource_is_compared_canonically_and_written_as_configured() {
    let (mcp, open) = (
        "https://mcp.example.com/mcp",
        "https://mcp.example.com/open",
    );
    let cases: &[(&[&str], Option<&str>)] = &[
        (&[], Some(mcp)),
        (&[mcp], Some(mcp)),
        (&["https://mcp.example.com/mcp/"], Some(mcp)),
        (&["HTTPS://MCP.Example.com:443/mcp"], Some(mcp)),
        (&[mcp, mcp], Some(mcp)),
        (&[mcp, "https://mcp.example.com/mcp/"], Some(mcp)),
        (&[open], Some(open)),
        (&[mcp, open], None),
        (&["https://mcp.example.com/MCP"], None),
        (&["https://mcp.example.com/mcp//"], None),
        (&["https://mcp.example.com:8443/mcp"], None),
        (&["http://mcp.example.com/mcp"], None),
        (&["https://mcp.example.com/x/../mcp"], None),
        (&["https://mcp.example.com/%6dcp"], None),
        (&["https://mcp.example.com/mcp?x"], None),
        (&["https://mcp.example.com@evil.example/mcp"], None),
        (&["https://mcp.example.com"], None),
        (&[" https://mcp.example.com/mcp"], None),
        (&["mcp"], None),
    ];
    let server = server();
    for (sent, expected) in cases {
        let found = find_resource(&server, sent.iter().copied()).ok();
        let found = found.map(|resource| resource.uri.as_str());
        assert_eq!(found, *expected, "{sent:?}");
    }
    assert!(is_same_resource("https://h.example", "https://h.example/"));
    let both = ServerProfile {
        resources: vec![
            resource("https://h.example/a", "", &[]),
            resource("https://h.example/a/", "", &[]),
        ],
        ..server
    };
    let found = find_resource(&both, ["https://h.example/a/"]).unwrap();
    assert_eq!(found.uri, "https://h.example/a/");
}

#[test]
fn unknown_scopes_are_dropped() {
    let cases = [
        ("", "", "tasks:read"),
        ("", "tasks:write", "tasks:write"),
        ("", " tasks:read  tasks:write ", "tasks:read tasks:write"),
        ("", "openid email profile", "tasks:read"),
        ("", "openid tasks:write offline_access", "tasks:write"),
        ("", "offline_access", "tasks:read"),
        ("", "tasks:write \"ä\"", "tasks:write"),
        ("", "a b", "tasks:read"),
        ("https://mcp.example.com/open", "openid", "a b"),
        ("https://mcp.example.com/open", "b", "b"),
        ("https://mcp.example.com/plain", "openid", ""),
    ];
    for (resource, scope, expected) in cases {
        let request = accepted(&[("resource", resource), ("scope", scope)], &editor());
        assert_eq!(request.scopes.0.to_string(), expected, "{resource} {scope}");
    }
}

#[test]
fn the_operator_bounds_the_scopes_of_a_client() {
    let configured = |scopes: &str| Client {
        scopes: Some(ScopeSetText(ScopeSet::parse(scopes).unwrap())),
        origin: ClientOrigin::Configured,
        ..editor()
    };
    let cases = [
        ("tasks:read", "tasks:read tasks:write", "tasks:read"),
        ("tasks:write", "tasks:read", "tasks:write"),
        ("tasks:write", "", "tasks:write"),
    ];
    for (most, sent, expected) in cases {
        let request = accepted(&[("scope", sent)], &configured(most));
        assert_eq!(request.scopes.0.to_string(), expected, "{most} {sent}");
    }
    for most in ["", "other"] {
        let error = redirected(&[("scope", "tasks:read")], &configured(most));
        assert_eq!(error.code, ErrorCode::InvalidScope, "{most}");
    }
}

#[test]
fn scopes_of_a_registration_do_not_bind_the_client() {
    let mut client = editor();
    client.scopes = Some(ScopeSetText(
        ScopeSet::parse("openid email profile").unwrap(),
    ));
    let request = accepted(&[("scope", "tasks:read tasks:write")], &client);
    assert_eq!(request.scopes.0.to_string(), "tasks:read tasks:write");
}

#[test]
fn prompt_is_read_and_the_query_after_the_sign_in_does_not_ask_for_it_again() {
    let cases = [
        ("", (false, false, false), None),
        ("login", (true, false, false), None),
        ("consent", (false, true, false), Some("consent")),
        ("login consent", (true, true, false), Some("consent")),
        ("select_account", (true, false, false), None),
        ("none", (false, false, true), Some("none")),
        ("create", (false, false, false), Some("create")),
        (" consent ", (false, true, false), Some("consent")),
    ];
    for (prompt, (login, consent, none), after) in cases {
        let request = accepted(&[("prompt", prompt)], &editor());
        let expected = Prompt {
            login,
            consent,
            none,
        };
        assert_eq!(request.prompt, expected, "{prompt}");
        let again = Form::parse_ambiguous(request.query.as_bytes()).unwrap();
        assert_eq!(again.get("prompt"), after, "{prompt}");
        let again = judged(&again, &editor()).unwrap();
        assert!(!again.prompt.login);
        assert_eq!(again.state, request.state);
    }
}

#[test]
fn the_query_after_the_sign_in_has_known_parameters_only_and_fits_a_sealed_field() {
    let twice = [
        ("resource", "https://mcp.example.com/mcp"),
        ("resource", "https://mcp.example.com/mcp/"),
        ("utm_source", "x"),
        ("login_hint", "alice"),
    ];
    let request = accepted(&twice, &editor());
    let query = Form::parse(request.query.as_bytes()).unwrap();
    assert_eq!(query.all("resource").count(), 2);
    assert_eq!(query.get("utm_source"), None);
    assert_eq!(query.get("login_hint"), None);

    let scope = |length: usize| "\"".repeat(length);
    let fault = page(&[("scope", &scope(MOST_QUERY_BYTES / 3))], &editor());
    assert_eq!(fault.reason(), "too_long");
    let largest = [
        ("state", "\"".repeat(MOST_STATE_BYTES)),
        ("scope", "\"".repeat(900)),
    ];
    let largest: Vec<_> = largest
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let sealed = serde_json::to_string(&accepted(&largest, &editor())).unwrap();
    assert!(
        sealed.len() * 4 / 3 + 256 < MOST_VALUE_BYTES,
        "{}",
        sealed.len()
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
fn what_a_person_allowed_is_judged_by_what_its_client_is_now() {
    let asked = accepted(&[], &editor());
    let again = |now: &Client| judge_again(&asked, now, &server(), &RedirectRules::default());
    assert_eq!(again(&editor()).as_ref(), Ok(&asked));
    let configured = Client {
        origin: ClientOrigin::Configured,
        ..editor()
    };
    assert_eq!(again(&configured).as_ref(), Ok(&asked));
    let unknown = Client {
        origin: ClientOrigin::Provisional,
        ..editor()
    };
    let other_id = Client {
        id: "other".to_owned(),
        ..editor()
    };
    let unable = Client {
        grant_types: GrantTypes::default(),
        ..editor()
    };
    let elsewhere = client(&["https://editor.example/other"]);
    for now in [unknown, other_id, unable, elsewhere] {
        let fault = again(&now).unwrap_err();
        assert_eq!(fault.reason(), "client_changed", "{now:?}");
    }
    let without_uri = accepted(&[("redirect_uri", "")], &editor());
    let now = client(&["https://editor.example/other"]);
    let fault = judge_again(&without_uri, &now, &server(), &RedirectRules::default());
    assert_eq!(fault.unwrap_err().reason(), "client_changed");
}
