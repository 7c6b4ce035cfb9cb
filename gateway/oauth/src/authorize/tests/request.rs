//! The request itself: its client, its state, its prompt, and what of it travels on.

use super::*;

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
