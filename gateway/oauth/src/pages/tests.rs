//! What holds for all pages, with ordinary and hostile values.

use mcp_gateway_core::scope::ScopeSet;

use super::{sign_in_failed::Problem, *};
use crate::{
    client::model::{Client, ClientMethod, ClientOrigin, DocumentSource, GrantTypes},
    profile::{ResourceProfile, ScopeProfile},
    redirect_uri::ShownDestination,
    store::text::UnixTimeText,
};

/// The most bytes of a page with ordinary values.
const MAX_PAGE: usize = 20 * 1024;

const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'/><svg onload=alert(1)>",
    "</title></head><body onload=alert(1)>",
    "{{7*7}}{%raw%}",
    "javascript:alert(1)",
    "\u{202e}moc.live\u{2066}\u{200b}",
    "&lt;script&gt;&#60;b&#62;",
];

fn branding(name: &str) -> Branding {
    Branding {
        name: name.to_owned(),
        has_logo: true,
        colour: None,
    }
}

fn client(name: Option<&str>, id: &str, origin: ClientOrigin) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: id.to_owned(),
        name: name.map(str::to_owned),
        redirect_uris: vec![],
        method: ClientMethod::None,
        grant_types: GrantTypes::default(),
        scopes: None,
        origin,
    }
}

fn web(host: &str) -> ShownDestination {
    ShownDestination {
        scheme: "https".to_owned(),
        host: host.to_owned(),
        is_loopback: false,
        is_private_scheme: false,
    }
}

fn resource(text: &str) -> ResourceProfile {
    let scope = |scope: &str, description: Option<&str>| ScopeProfile {
        scope: scope.to_owned(),
        description: description.map(str::to_owned),
    };
    ResourceProfile {
        uri: format!("https://mcp.example/{text}"),
        name: Some(format!("Tasks {text}")),
        required: ScopeSet::default(),
        scopes: vec![
            scope("tasks:write", Some(&format!("Change tasks {text}"))),
            scope("tasks:read", None),
        ],
        scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
    }
}

fn consent_page(client: &Client, destination: &ShownDestination, text: &str) -> String {
    consent(&Consent {
        branding: &branding(text),
        client,
        destination,
        resource: &resource(text),
        scopes: &ScopeSet::parse("tasks:read tasks:write offline_access").unwrap(),
        stays_connected: true,
        user: text,
        another_account: "/authorize?client_id=a&prompt=login",
        interaction: "c2VhbGVk",
    })
}

fn registered() -> ClientOrigin {
    ClientOrigin::Registered {
        at: UnixTimeText::from(0),
        is_used: false,
    }
}

fn document(source: DocumentSource) -> ClientOrigin {
    let host = "claude.ai".to_owned();
    ClientOrigin::Document { host, source }
}

/// Every page, with this text wherever a text of others can be.
fn every_page(text: &str) -> Vec<(&'static str, String)> {
    let branding = &branding(text);
    let named = client(Some(text), text, registered());
    let sign_in = |error| {
        sign_in(&SignIn {
            asked_by: None,
            providers: &[],
            has_password: true,
            branding,
            client: Some(text),
            interaction: text,
            user: text,
            demo_password: Some(text),
            error,
        })
    };
    let fault = |fault: &Fault| fault_page(branding, fault, text);
    let asked_by = AskedBy::new(&named, &web(text));
    let failed = |problem| {
        sign_in_failed(&SignInFailed {
            branding,
            provider: text,
            problem,
            again: Some("/authorize?client_id=a"),
            request_id: Some(text),
        })
    };
    vec![
        (
            "providers",
            providers_page(branding, text, &asked_by, false),
        ),
        (
            "providers and password",
            providers_page(branding, text, &asked_by, true),
        ),
        ("provider unavailable", failed(Problem::Unavailable)),
        ("provider wrong", failed(Problem::Wrong)),
        ("provider denied", failed(Problem::Denied)),
        ("not allowed", failed(Problem::NotAllowed)),
        ("groups left out", failed(Problem::LeftOut)),
        ("too long", failed(Problem::TooLong)),
        ("sign-in", sign_in(None)),
        ("sign-in, wrong", sign_in(Some(SignInError::Wrong))),
        (
            "sign-in, throttled",
            sign_in(Some(SignInError::Throttled(7))),
        ),
        ("consent", consent_page(&named, &web(text), text)),
        ("fault", fault(&Fault::Request(text.to_owned()))),
        ("other browser", fault(&Fault::OtherBrowser)),
        ("too old", fault(&Fault::TooOld)),
        ("form", fault(&Fault::Form)),
        (
            "nothing to allow",
            nothing_to_allow(&NothingToAllow {
                branding,
                user: text,
                another_account: "/authorize?client_id=a&prompt=login",
                request_id: Some(text),
            }),
        ),
        (
            "client unknown",
            client_unknown(&ClientUnknown {
                branding,
                client_id: text,
                request_id: Some(text),
            }),
        ),
        (
            "unavailable",
            unavailable(&Unavailable {
                branding,
                why: &Why::Document(text.to_owned()),
                retry_after: Some(5),
                again: Some("/authorize?client_id=a"),
                request_id: Some(text),
            }),
        ),
        (
            "unavailable, not fetched",
            unavailable(&Unavailable {
                branding,
                why: &Why::NotFetched(text.to_owned()),
                retry_after: None,
                again: None,
                request_id: Some(text),
            }),
        ),
        ("completed", completed(branding)),
        ("signed out", signed_out(branding, true)),
        ("sign out", sign_out(branding, Some(text), text)),
    ]
}

fn providers_page(
    branding: &Branding,
    text: &str,
    asked_by: &AskedBy,
    has_password: bool,
) -> String {
    let label = |name| ProviderButton { name, label: text };
    sign_in(&SignIn {
        branding,
        client: Some(text),
        asked_by: Some(asked_by),
        providers: &[label("corporate"), label("github")],
        has_password,
        interaction: text,
        user: "",
        demo_password: None,
        error: None,
    })
}

fn fault_page(branding: &Branding, fault: &Fault, id: &str) -> String {
    super::fault(&FaultView {
        branding,
        fault,
        request_id: Some(id),
    })
}

#[test]
fn nothing_of_others_is_markup_on_any_page() {
    let plain: Vec<_> = every_page("plain")
        .into_iter()
        .map(|(_, page)| tags(&page))
        .collect();
    for text in HOSTILE {
        for ((name, page), plain) in every_page(text).into_iter().zip(&plain) {
            assert_eq!(&tags(&page), plain, "{name}: {text}");
            assert!(
                !page.contains(text) || !text.contains(['<', '"', '\'', '&']),
                "{name}: {text}"
            );
        }
    }
}

/// The tags of a page, without the values of attributes. There is one paragraph more where a name has hidden characters.
fn tags(page: &str) -> Vec<String> {
    let parts = page.split('<').skip(1);
    parts
        .map(|part| {
            let tag = part.split('>').next().unwrap();
            tag.split('"').step_by(2).collect::<String>()
        })
        .filter(|tag| tag != "/p" && !tag.starts_with("p class="))
        .collect()
}

#[test]
fn every_page_is_small_has_a_title_and_landmarks_and_loads_nothing_from_elsewhere() {
    for (name, page) in every_page("Ordinary text") {
        assert!(page.len() < MAX_PAGE, "{name}: {}", page.len());
        assert!(
            page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"),
            "{name}"
        );
        for part in ["<title>", "<header", "<main>", "<h1>"] {
            assert_eq!(page.matches(part).count(), 1, "{name}: {part}");
        }
        let is_error = [
            "wrong",
            "throttled",
            "fault",
            "too old",
            "form",
            "unknown",
            "unavail",
            "other",
            "nothing",
            "denied",
            "not allowed",
            "left out",
            "too long",
        ];
        let is_error = is_error.iter().any(|word| name.contains(word));
        assert_eq!(page.contains("<title>Error: "), is_error, "{name}");
        assert!(page.contains("Ordinary text</title>"), "{name}");
        let elsewhere = page
            .replace("https://mcp.example", "")
            .replace("://</span>", "");
        for word in ["<script", "style=", "//", "javascript:"] {
            assert!(!elsewhere.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn invisible_characters_and_long_names_are_visible() {
    let hidden = client(
        Some("Claude\u{202e}\u{200b}"),
        "a",
        ClientOrigin::Configured,
    );
    let page = consent_page(&hidden, &web("claude.ai"), "x");
    assert!(page.contains("Claude[U+202E][U+200B]"));
    assert!(page.contains("characters that cannot be seen"));
    let long = client(
        Some(&"long ".repeat(10_000)),
        &"i".repeat(100_000),
        registered(),
    );
    let page = consent_page(&long, &web(&"h".repeat(250)), "x");
    assert!(page.len() < MAX_PAGE, "{}", page.len());
    assert!(page.contains('…'));
    assert!(page.contains(&"h".repeat(250)), "a host is shown whole");
    let blank = client(Some(" \u{3000}"), "a", registered());
    assert!(consent_page(&blank, &web("a.example"), "x").contains("An application without a name"));
}

#[test]
fn consent_says_how_far_a_client_is_verified_and_warns_where_it_is_not() {
    let warning = "Be careful";
    for (origin, says, warns) in [
        (ClientOrigin::Configured, "Set up by the operator", false),
        (
            document(DocumentSource::Fetched),
            "<bdi>claude.ai</bdi> says that this is its application",
            false,
        ),
        (
            document(DocumentSource::Shipped("2026-03".to_owned())),
            "Known as an application of <bdi>claude.ai</bdi>, as described in <span class=\"whole\">2026-03</span>",
            false,
        ),
        (registered(), "Not verified: anybody can register", true),
        (
            ClientOrigin::Provisional,
            "Not verified: this server does not know it",
            true,
        ),
    ] {
        let client = client(Some("Claude"), "abc", origin);
        let page = consent_page(&client, &web("claude.ai"), "x");
        assert!(page.contains(says), "{says}");
        assert_eq!(page.contains(warning), warns, "{says}");
        assert!(page.contains("<span class=\"scheme\">https://</span><bdi>claude.ai</bdi>"));
    }
}

#[test]
fn a_loopback_answer_is_warned_about_and_a_private_scheme_is_not_shown_like_a_web_host() {
    let client = client(Some("Cursor"), "abc", ClientOrigin::Configured);
    let loopback = ShownDestination {
        scheme: "http".to_owned(),
        host: "127.0.0.1:3334".to_owned(),
        is_loopback: true,
        is_private_scheme: false,
    };
    let page = consent_page(&client, &loopback, "x");
    assert!(page.contains("<span class=\"scheme\">http://</span><bdi>127.0.0.1:3334</bdi>"));
    assert!(page.contains("Another program on it could pretend to be this one"));
    let private = ShownDestination {
        scheme: "cursor".to_owned(),
        host: "bank.example".to_owned(),
        is_loopback: false,
        is_private_scheme: true,
    };
    let page = consent_page(&client, &private, "x");
    assert!(!page.contains("bank.example") && !page.contains("cursor://"));
    assert!(page.contains("<p class=\"destination\"><bdi>cursor:</bdi></p>"));
    assert!(page.contains("Another app could pretend to be this one"));
}

#[test]
fn scopes_have_the_words_of_the_configuration_in_its_order() {
    let client = client(Some("Claude"), "abc", ClientOrigin::Configured);
    let page = consent_page(&client, &web("claude.ai"), "of mine");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}\n{page}"));
    assert!(place("Change tasks of mine") < place(">tasks:write<"));
    assert!(place(">tasks:write<") < place("<bdi class=\"code alone\">tasks:read</bdi>"));
    assert!(!page.contains("offline_access"));
    assert!(page.contains("Stay connected when you are away"));
}

#[test]
fn denying_is_as_easy_as_allowing() {
    let client = client(Some("Claude"), "abc", ClientOrigin::Configured);
    let page = consent_page(&client, &web("claude.ai"), "x");
    let buttons: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("<button"))
        .collect();
    assert_eq!(buttons.len(), 2);
    let [deny, allow] = [buttons[0], buttons[1]];
    assert_eq!(
        deny.replace("deny", "allow").replace("Deny", "Allow"),
        allow
    );
}

#[test]
fn an_error_is_connected_to_the_fields_and_the_name_is_kept() {
    let page = sign_in(&SignIn {
        asked_by: None,
        providers: &[],
        has_password: true,
        branding: &branding("Tasks"),
        client: None,
        interaction: "c2VhbGVk",
        user: "a\u{202e}na",
        demo_password: None,
        error: Some(SignInError::Wrong),
    });
    assert_eq!(page.matches("aria-describedby=\"error\"").count(), 2);
    assert_eq!(page.matches("aria-invalid=\"true\"").count(), 2);
    assert_eq!(page.matches("id=\"error\" role=\"alert\"").count(), 1);
    assert!(page.contains("name=\"username\" type=\"text\" value=\"ana\""));
    assert!(page.contains("name=\"password\" type=\"password\" value=\"\""));
    assert_eq!(page.matches("autofocus").count(), 1);
}

#[test]
fn what_only_the_operator_can_change_is_not_tried_again() {
    let branding = branding("Tasks");
    for (why, retry_after, says, is_again) in [
        (
            Why::Document("client.example".to_owned()),
            Some(30),
            "Please try again in 30 seconds.",
            true,
        ),
        (
            Why::NotFetched("client.example".to_owned()),
            None,
            "(metadata_documents.fetch)",
            false,
        ),
    ] {
        let page = unavailable(&Unavailable {
            branding: &branding,
            why: &why,
            retry_after,
            again: is_again.then_some("/authorize?client_id=a"),
            request_id: None,
        });
        assert!(
            page.contains(says) && page.contains("client.example"),
            "{page}"
        );
        assert_eq!(
            page.to_lowercase().contains("try again"),
            is_again,
            "{page}"
        );
    }
}

#[test]
fn who_may_allow_nothing_can_use_another_account() {
    let page = nothing_to_allow(&NothingToAllow {
        branding: &branding("Tasks"),
        user: "bo",
        another_account: "/authorize?client_id=a&prompt=login",
        request_id: None,
    });
    let link = "<a class=\"button\" href=\"/authorize?client_id=a&#38;prompt=login\">Use another account</a>";
    assert!(
        page.contains(link) && page.contains("signed in as bo."),
        "{page}"
    );
}
