//! What is asked for: the resource and its scopes.

use super::*;

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
