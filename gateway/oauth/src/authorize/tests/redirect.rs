//! Where answers go: the redirect URI that is sent, left out or refused, and the locations that are made of it.

use super::*;

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
        "`editor`",
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
fn a_redirect_uri_that_was_sent_twice_gets_a_page() {
    let twice = [
        ("redirect_uri", "https://editor.example/cb"),
        ("redirect_uri", "https://editor.example/cb"),
    ];
    assert_eq!(page(&twice, &editor()), PageFault::RepeatedRedirectUri);
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
