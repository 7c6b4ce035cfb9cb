//! Writes every page with ordinary and hostile values into a folder, to look at them in a browser:
//! `cargo run -p mcp-gateway-oauth --example pages -- FOLDER`.

use std::{error::Error, fs, path::PathBuf};

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::{
    client::model::{Client, ClientMethod, ClientOrigin, DocumentSource, GrantTypes},
    pages::{
        AskedBy, Branding, ClientUnknown, Colour, Consent, Fault, FaultView, NothingToAllow,
        ProviderButton, SignIn, SignInError, SignInFailed, Unavailable, Why, client_unknown,
        completed, consent, fault, nothing_to_allow, sign_in, sign_in_failed,
        sign_in_failed::Problem, sign_out, signed_out, style::style_sheet, unavailable,
    },
    profile::{ResourceProfile, ScopeProfile},
    redirect_uri::ShownDestination,
    store::text::UnixTimeText,
};

const HOSTILE: &str =
    "Claude\u{202e}<script>alert(1)</script>\"'&e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let colour = std::env::args().nth(2);
    let branding = Branding {
        name: "Example Tasks".to_owned(),
        has_logo: colour.is_some(),
        colour: colour.map(|text| Colour::parse(&text)).transpose()?,
    };
    fs::write(folder.join("oauth.css"), style_sheet(&branding))?;
    for (name, page) in pages(&branding)? {
        fs::write(folder.join(format!("{name}.html")), page)?;
    }
    Ok(())
}

fn pages(branding: &Branding) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut pages = vec![
        ("completed", completed(branding)),
        ("signed-out", signed_out(branding, true)),
        ("sign-out", sign_out(branding, Some("ana"), "c2VhbGVk")),
        ("sign-out-nobody", sign_out(branding, None, "")),
    ];
    pages.extend(sign_in_pages(branding));
    pages.extend(provider_pages(branding));
    pages.extend(messages(branding));
    pages.extend(consent_pages(branding)?);
    Ok(pages)
}

fn sign_in_pages(branding: &Branding) -> Vec<(&'static str, String)> {
    let page = |client, user, demo_password, error| {
        sign_in(&SignIn {
            asked_by: None,
            providers: &[],
            has_password: true,
            branding,
            client: Some(client),
            interaction: "c2VhbGVk",
            user,
            demo_password,
            error,
        })
    };
    vec![
        ("sign-in", page("Claude", "", None, None)),
        (
            "sign-in-demo",
            page("Claude", "demo_user", Some("demo_password"), None),
        ),
        (
            "sign-in-wrong",
            page("Claude", "ana", None, Some(SignInError::Wrong)),
        ),
        (
            "sign-in-throttled",
            page("Claude", "ana", None, Some(SignInError::Throttled(900))),
        ),
        (
            "sign-in-hostile",
            page(HOSTILE, HOSTILE, None, Some(SignInError::Busy(1))),
        ),
    ]
}

fn provider_pages(branding: &Branding) -> Vec<(&'static str, String)> {
    let request_id = Some("01JE3V7Q2K8D5M4N");
    let providers = [("corporate", "Example Ltd"), ("github", "GitHub")];
    let providers = providers.map(|(name, label)| ProviderButton { name, label });
    let origin = ClientOrigin::Registered {
        at: UnixTimeText::from(0),
        is_used: false,
    };
    let client = client("Tester", "AAAAAAAAAAAAAAAAAAAAAA", origin);
    let asked_by = AskedBy::new(&client, &destination("http", "127.0.0.1:7777"));
    let page = |has_password| {
        sign_in(&SignIn {
            branding,
            client: Some("Tester"),
            asked_by: Some(&asked_by),
            providers: &providers,
            has_password,
            interaction: "c2VhbGVk",
            user: "",
            demo_password: None,
            error: None,
        })
    };
    let failed = |problem| {
        sign_in_failed(&SignInFailed {
            branding,
            provider: "Example Ltd",
            problem,
            again: Some("/authorize?client_id=a"),
            request_id,
        })
    };
    vec![
        ("sign-in-providers", page(false)),
        ("sign-in-providers-and-password", page(true)),
        ("provider-unavailable", failed(Problem::Unavailable)),
        ("provider-wrong", failed(Problem::Wrong)),
        ("provider-denied", failed(Problem::Denied)),
        ("provider-not-allowed", failed(Problem::NotAllowed)),
        ("provider-groups-left-out", failed(Problem::LeftOut)),
    ]
}

fn messages(branding: &Branding) -> Vec<(&'static str, String)> {
    let request_id = Some("01JE3V7Q2K8D5M4N");
    let fault = |fault: &Fault| fault_page(branding, fault, request_id);
    let unavailable = |why: &Why, retry_after, again| {
        unavailable(&Unavailable {
            branding,
            why,
            retry_after,
            again,
            request_id,
        })
    };
    let unknown = |client_id| {
        client_unknown(&ClientUnknown {
            branding,
            client_id,
            request_id,
        })
    };
    let wrong = "redirect_uri is not one that the client registered";
    vec![
        ("fault", fault(&Fault::Request(wrong.to_owned()))),
        ("fault-hostile", fault(&Fault::Request(HOSTILE.repeat(3)))),
        ("fault-other-browser", fault(&Fault::OtherBrowser)),
        ("fault-too-old", fault(&Fault::TooOld)),
        ("fault-form", fault(&Fault::Form)),
        (
            "nothing-to-allow",
            nothing_to_allow(&NothingToAllow {
                branding,
                user: "ana",
                another_account: "/authorize?client_id=a&prompt=login",
                request_id,
            }),
        ),
        ("unavailable", unavailable(&Why::Server, Some(2), None)),
        (
            "unavailable-busy",
            unavailable(&Why::Busy, Some(2), Some("/authorize?client_id=a")),
        ),
        (
            "unavailable-document",
            unavailable(
                &Why::Document("client.example".to_owned()),
                Some(30),
                Some("/authorize?client_id=a"),
            ),
        ),
        (
            "unavailable-not-fetched",
            unavailable(&Why::NotFetched("client.example".to_owned()), None, None),
        ),
        ("client-unknown", unknown("b1946ac9-2492-4d23")),
        ("client-unknown-hostile", unknown(HOSTILE)),
    ]
}

fn fault_page(branding: &Branding, what: &Fault, request_id: Option<&str>) -> String {
    fault(&FaultView {
        branding,
        fault: what,
        request_id,
    })
}

fn consent_pages(branding: &Branding) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let document = |host: &str, source| ClientOrigin::Document {
        host: host.to_owned(),
        source,
    };
    let registered = || ClientOrigin::Registered {
        at: UnixTimeText::from(0),
        is_used: false,
    };
    let claude = "https://claude.ai/oauth/mcp-oauth-client-metadata";
    let shipped = DocumentSource::Shipped("2026-11".to_owned());
    let cases = [
        (
            "consent",
            client(
                "Claude",
                claude,
                document("claude.ai", DocumentSource::Fetched),
            ),
            destination("https", "claude.ai"),
        ),
        (
            "consent-shipped",
            client("Claude Code", claude, document("claude.ai", shipped)),
            destination("http", "localhost:54321"),
        ),
        (
            "consent-configured",
            client("Time sheets", "time-sheets", ClientOrigin::Configured),
            destination("https", "sheets.example.com"),
        ),
        (
            "consent-registered",
            client("Cursor", "KkYbN2vFQ1q8nH5cQm0b6A", registered()),
            destination("cursor", "anysphere.cursor-mcp"),
        ),
        (
            "consent-provisional",
            client("", "dyn-0123456789", ClientOrigin::Provisional),
            destination("http", "127.0.0.1:33418"),
        ),
        (
            "consent-hostile",
            client(&HOSTILE.repeat(2), &"x".repeat(300), registered()),
            destination(
                "https",
                "claude.ai.a-very-long-name-of-a-host.login.attacker-with-a-long-name.example",
            ),
        ),
    ];
    let scopes = ScopeSet::parse("tasks:read tasks:write admin")?;
    let resource = resource();
    let page = |(name, client, destination): &(&'static str, Client, ShownDestination)| {
        let page = consent(&Consent {
            branding,
            client,
            destination,
            resource: &resource,
            scopes: &scopes,
            stays_connected: true,
            user: "ana",
            another_account: "/authorize?client_id=a&prompt=login",
            interaction: "c2VhbGVk",
        });
        (*name, page)
    };
    Ok(cases.iter().map(page).collect())
}

fn client(name: &str, id: &str, origin: ClientOrigin) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: id.to_owned(),
        name: Some(name.to_owned()),
        redirect_uris: Vec::new(),
        method: ClientMethod::None,
        grant_types: GrantTypes::default(),
        scopes: None,
        origin,
    }
}

fn destination(scheme: &str, host: &str) -> ShownDestination {
    ShownDestination {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        is_loopback: host.starts_with("localhost") || host.starts_with("127."),
        is_private_scheme: !scheme.starts_with("http"),
    }
}

fn resource() -> ResourceProfile {
    let scope = |scope: &str, description: Option<&str>| ScopeProfile {
        scope: scope.to_owned(),
        description: description.map(str::to_owned),
    };
    ResourceProfile {
        uri: "https://mcp.example.com/mcp".to_owned(),
        name: Some("Tasks".to_owned()),
        required: ScopeSet::default(),
        scopes: vec![
            scope("tasks:read", Some("See your tasks and their history")),
            scope("tasks:write", Some("Create, change and delete tasks")),
            scope("admin", None),
        ],
        scope_prefixes: mcp_gateway_core::scope_prefix::ScopePrefixes::default(),
    }
}
