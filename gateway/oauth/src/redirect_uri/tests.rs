//! Redirect URIs of `tests/corpus/redirect_uris`, and what people see of them.

use std::collections::BTreeSet;

use test_support::data_lines;

use super::*;

const HOSTILE: &str = include_str!("../../../../tests/corpus/redirect_uris/hostile.txt");
const GOOD: &str = include_str!("../../../../tests/corpus/redirect_uris/good.txt");

fn rules() -> RedirectRules {
    RedirectRules::default()
}

fn uri(text: &str) -> RedirectUri {
    RedirectUri::parse(text, &rules()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn hostile_redirect_uris_are_refused_each_for_its_reason() {
    let mut wrong = Vec::new();
    let mut reasons = BTreeSet::new();
    for fields in data_lines(HOSTILE) {
        let (reason, sent) = (&fields[0], &fields[1]);
        let found = match (RedirectUri::parse(sent, &rules()), fields.get(2)) {
            (Err(error), None) => error.reason(),
            (Ok(sent), Some(registered)) if !fits(&uri(registered), &sent) => "not_registered",
            _ => "accepted",
        };
        reasons.insert(found.to_owned());
        if found != reason {
            wrong.push(format!("{sent:?}: {found}, not {reason}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(data_lines(HOSTILE).len() >= 300);
    // All but those that no text is known for: the last comparison with the browser's parser is there for them.
    let unknown = ["parser_reads_host", "parser_reads_path"];
    for reason in reasons_of_all() {
        assert_eq!(
            reasons.contains(reason),
            !unknown.contains(&reason),
            "{reason}"
        );
    }
}

#[test]
fn good_redirect_uris_are_accepted() {
    for fields in data_lines(GOOD) {
        let sent = uri(&fields[0]);
        let registered = fields.get(1).unwrap_or(&fields[0]);
        assert!(fits(&uri(registered), &sent), "{fields:?}");
        let json = serde_json::to_string(&sent).unwrap();
        assert_eq!(serde_json::from_str::<RedirectUri>(&json).unwrap(), sent);
    }
    assert!(data_lines(GOOD).len() >= 50);
}

#[test]
fn only_loopback_redirect_uris_fit_another_text() {
    let good: Vec<_> = data_lines(GOOD)
        .iter()
        .map(|fields| uri(&fields[0]))
        .collect();
    for registered in &good {
        for sent in good.iter().filter(|sent| *sent != registered) {
            let is_loopback = |uri: &RedirectUri| uri.as_str().starts_with("http://");
            assert!(!fits(registered, sent) || (is_loopback(registered) && is_loopback(sent)));
        }
    }
}

#[test]
fn a_private_scheme_is_not_shown_like_a_web_host() {
    let shown = uri("cursor://anysphere.cursor-mcp/oauth/callback").shown();
    assert_eq!(shown.scheme, "cursor");
    assert_eq!(shown.host, "anysphere.cursor-mcp");
    assert!(shown.is_private_scheme && !shown.is_loopback);
    let error = RedirectUri::parse("cursor://claude.ai/oauth/callback", &rules()).unwrap_err();
    assert_eq!(
        error,
        RedirectUriError::LooksLikeWebHost("claude.ai".to_owned())
    );
}

#[test]
fn people_see_scheme_and_host_of_a_redirect_uri() {
    let cases = [
        (
            "https://N8N.Example.com/cb",
            "https",
            "n8n.example.com",
            false,
            false,
        ),
        (
            "https://n8n.example.com:8443/cb",
            "https",
            "n8n.example.com:8443",
            false,
            false,
        ),
        (
            "http://localhost/callback",
            "http",
            "localhost",
            true,
            false,
        ),
        (
            "http://127.0.0.1:3000/",
            "http",
            "127.0.0.1:3000",
            true,
            false,
        ),
        (
            "https://localhost:3000/",
            "https",
            "localhost:3000",
            true,
            false,
        ),
        ("cursor:/oauth/callback", "cursor", "", false, true),
        (
            "https://xn--80aswg.xn--p1ai/",
            "https",
            "xn--80aswg.xn--p1ai",
            false,
            false,
        ),
    ];
    for (text, scheme, host, is_loopback, is_private_scheme) in cases {
        let expected = ShownDestination {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            is_loopback,
            is_private_scheme,
        };
        assert_eq!(uri(text).shown(), expected, "{text}");
    }
}

#[test]
fn a_private_scheme_is_accepted_where_it_is_listed() {
    let rules = RedirectRules {
        private_schemes: vec!["com.example.app".to_owned(), "javascript".to_owned()],
        own: None,
    };
    let parse = |text| RedirectUri::parse(text, &rules);
    assert!(parse("com.example.app:/oauth2redirect").is_ok());
    assert!(parse("com.example.app://oauth/callback").is_ok());
    let not_listed = RedirectUriError::SchemeNotListed("cursor".to_owned());
    assert_eq!(parse("cursor://x-y/cb"), Err(not_listed));
    let forbidden = RedirectUriError::SchemeForbidden("javascript".to_owned());
    assert_eq!(parse("javascript:/alert(1)"), Err(forbidden));
}

#[test]
fn an_operator_cannot_list_every_scheme() {
    let cases = [
        ("cursor", None),
        ("com.example.app", None),
        ("https", Some("scheme_looks_like_web")),
        ("http", Some("scheme_looks_like_web")),
        ("https-x", Some("scheme_looks_like_web")),
        ("javascript", Some("scheme_forbidden")),
        ("data", Some("scheme_forbidden")),
        ("Cursor", Some("scheme_case")),
        ("cursor:", Some("no_scheme")),
        ("cursor://", Some("no_scheme")),
        ("", Some("no_scheme")),
    ];
    for (scheme, expected) in cases {
        let found = RedirectRules::may_list(scheme).err();
        let found = found.as_ref().map(RedirectUriError::reason);
        assert_eq!(found, expected, "{scheme}");
    }
}

#[test]
fn a_kept_redirect_uri_is_judged_again_but_for_the_list() {
    let read = |text: &str| RedirectUri::try_from(text.to_owned());
    assert!(read("com.example.app:/oauth2redirect").is_ok());
    assert_eq!(
        read("https://example.com/cb#x"),
        Err(RedirectUriError::Fragment)
    );
    let forbidden = RedirectUriError::SchemeForbidden("javascript".to_owned());
    assert_eq!(read("javascript:alert(1)"), Err(forbidden));
}

/// The reasons of the enumeration, read from its source, and the one of [`fits`]; without `own_origin`, which a corpus cannot have.
fn reasons_of_all() -> impl Iterator<Item = &'static str> {
    let source = include_str!("error.rs");
    let rows = source.lines().filter(|line| line.contains(" => \""));
    rows.map(|line| line.split('"').nth(1).unwrap())
        .filter(|reason| *reason != "own_origin")
        .chain(["not_registered"])
}

#[test]
fn the_servers_own_pages_are_no_place_to_return_to() {
    let rules = |scheme, host: &str, port| RedirectRules {
        own: Some(OwnOrigin {
            scheme,
            host: host.to_owned(),
            port,
        }),
        ..RedirectRules::default()
    };
    let (web, other) = (
        rules("https", "own.example", 443),
        rules("https", "own.example", 8443),
    );
    let local = rules("http", "127.0.0.1", 8080);
    for (rules, text, is_own) in [
        (&web, "https://own.example/consent", true),
        (&web, "https://OWN.example", true),
        (&web, "https://own.example:443/", true),
        (&web, "https://own.example:8443/", false),
        (&web, "https://app.own.example/", false),
        (&web, "http://localhost:443/", false),
        (&other, "https://own.example:8443/consent", true),
        (&other, "https://own.example/", false),
        (&local, "http://127.0.0.1:8080/consent", true),
        (&local, "http://localhost:8080/consent", true),
        (&local, "http://[::1]:8080/", true),
        (&local, "http://127.0.0.1:8081/", false),
        (&local, "http://127.0.0.1/callback", false),
    ] {
        let expected = is_own.then_some(RedirectUriError::OwnOrigin);
        assert_eq!(RedirectUri::parse(text, rules).err(), expected, "{text}");
    }
}
