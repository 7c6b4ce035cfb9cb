//! Numbers 124, 125 and the incidents with redirect URIs: where answers may go.

use e2e::process::binary::repository;
use e2e::sign_in::browser::{form, query};
use e2e::sign_in::client::{Client, REDIRECT};
use e2e::sign_in::{PASSWORD, USER};
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};

use super::site::{Change, Site, answer_at, page, program};

/// The lines of a data file of redirect URIs, each as its fields.
fn lines(name: &str) -> Vec<Vec<String>> {
    let file = repository("tests/corpus/redirect_uris").join(name);
    let text = std::fs::read_to_string(file).unwrap();
    test_support::data_lines(&text)
}

/// The beginning of a text, for the name of a row.
fn short(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

#[tokio::test]
async fn attack_124_answers_go_to_a_registered_redirect_uri_and_nowhere_else() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let tester = Client::register(&site.gateway).await;
    // The pages of this server itself, for a client that may have every port.
    let own = site.gateway.config.public.port();
    let mut hostile = lines("hostile.txt");
    hostile.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| {
        let registered = format!("http://{host}/callback");
        let sent = format!("http://{host}:{own}/callback");
        ["own_origin".to_owned(), sent, registered].into()
    }));
    assert!(hostile.len() >= 300);
    for fields in &hostile {
        // No request line is longer than this.
        let sent: &str = &fields[1].chars().take(40_000).collect::<String>();
        let client = match fields.get(2) {
            None => tester.clone(),
            Some(registered) => site.client(registered, "none").await,
        };
        let url = site.request(&client.id, &[("redirect_uri", Some(sent))]);
        let reply = site.person.open(&url).await;
        // One that was not sent is the registered one; one that fits no request line does not get as far.
        let outcome = match (sent.is_empty(), url.len() > 16 * 1024) {
            (true, _) => page(&reply, 200),
            (_, false) => page(&reply, 400),
            (_, true) if matches!(reply.status, 400 | 414 | 431) => Ok(()),
            (_, true) => Err(format!("{}", reply.status)),
        };
        table.row(&format!("{} {}", fields[0], short(sent)), outcome);
    }
    let good = lines("good.txt");
    assert!(good.len() >= 50);
    for fields in &good {
        let sent = &fields[0];
        let client = site.client(fields.last().unwrap(), "none").await;
        let url = site.request(&client.id, &[("redirect_uri", Some(sent))]);
        let consent = site.person.open(&url).await;
        let outcome = page(&consent, 200);
        if table.row(sent, outcome).is_some() {
            let location = site.person.allow(&consent).await;
            let outcome = answer_at(&location, sent, &site.gateway.uri(""));
            table.row(sent, outcome);
        }
    }
    assert_eq!(site.upstream.hits(), 0);
}

#[tokio::test]
async fn attack_125_sign_in_and_sign_out_lead_nowhere_else() {
    let site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let evil = [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/%2f%2fevil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/authorize@evil.example",
        "\u{2f}\u{2f}evil.example",
    ];
    let names = [
        "next",
        "redirect",
        "redirect_uri",
        "rd",
        "return_to",
        "continue",
        "post_logout_redirect_uri",
    ];
    for to in evil {
        let extra: Vec<_> = names.iter().map(|name| (*name, to)).collect();
        let url = site.request(&client.id, &[]);
        // Unknown parameters are not carried along; `redirect_uri` would be judged.
        let unknown = form(
            extra
                .iter()
                .copied()
                .filter(|(name, _)| *name != "redirect_uri"),
        );
        let mut browser = site.stranger();
        let asked = browser.open(&format!("{url}&{unknown}")).await;
        let mut fields = vec![("username", USER), ("password", PASSWORD)];
        fields.extend(&extra);
        let signed_in = browser.submit(&asked, &fields).await;
        let location = signed_in.header("location").to_owned();
        let is_own = signed_in.status == 303 && location.starts_with("/authorize?");
        table.check(to, is_own && !location.contains("evil"), || {
            format!("sign-in: {} {location}", signed_in.status)
        });
        let consent = browser.follow(signed_in).await;
        let mut decided = vec![("decision", "allow")];
        decided.extend(&extra);
        let allowed = browser.submit(&consent, &decided).await;
        let location = allowed.header("location").to_owned();
        table.check(
            to,
            location.starts_with(&format!("{REDIRECT}?code=")),
            || format!("consent: {} {location}", allowed.status),
        );
        let question = browser
            .open(&format!("/sign-out?{}", form(extra.iter().copied())))
            .await;
        table.row(to, page(&question, 200));
        let signed_out = browser.submit(&question, &extra).await;
        table.row(to, page(&signed_out, 200));
        let shown = format!("{}{}", question.text(), signed_out.text());
        table.check(to, !shown.contains("evil"), || shown.clone());
    }
}

#[tokio::test]
async fn attack_195_no_hostile_redirect_uri_is_registered() {
    let site = Site::start().await;
    let mut table = Table::default();
    let mut counted = 0;
    let malformed = |fields: &&Vec<String>| fields.len() == 2;
    for fields in lines("hostile.txt").iter().filter(malformed) {
        let sent = fields[1].clone();
        let name = format!("{} {}", fields[0], short(&sent));
        let is_too_large = sent.len() > 60_000;
        let good = "https://app.example/callback";
        let metadata =
            json!({ "redirect_uris": [good, sent], "token_endpoint_auth_method": "none" });
        let reply = site.register(&metadata).await;
        if is_too_large {
            table.check(&name, reply.status == 413, || reply.status.to_string());
            continue;
        }
        let outcome =
            program(&reply).and_then(
                |(status, answer)| match (status, answer["error"].as_str()) {
                    (400, Some("invalid_redirect_uri")) => Ok(answer),
                    other => Err(format!("{other:?}: {answer}")),
                },
            );
        if let Some(answer) = table.row(&name, outcome) {
            // The developer of the client learns which one it is, in characters that RFC 6749 allows.
            let text = answer["error_description"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let is_ascii = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            table.check(&name, is_ascii && !text.is_empty(), || text.clone());
        }
        counted += 1;
    }
    assert!(counted >= 300, "{counted}");
    let spellings = [
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "DATA:text/html,x",
    ];
    for sent in spellings {
        let reply = site.register(&json!({ "redirect_uris": [sent] })).await;
        table.check(sent, reply.status == 400, || reply.text());
    }
}

#[tokio::test]
async fn attack_196_a_redirect_path_is_compared_letter_by_letter() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let registered = "https://app.example/a/callback";
    let client = site.client(registered, "none").await;
    for path in [
        "/a/../a/callback",
        "/a/./callback",
        "/./a/callback",
        "/x/../a/callback",
        "/a/callback/..",
        "/a/callback/../../a/callback",
        "/a/%2e%2e/a/callback",
        "/a/%2E/callback",
        "/a/.%2e/a/callback",
        "/a/%252e%252e/a/callback",
        "/a/..%2fa/callback",
        "/a%2fcallback",
        "/a/..;/a/callback",
        "/a//callback",
        "//a/callback",
        "/a/callback/",
        "/A/callback",
        "/a/callbac%6b",
        "/a/callback%00",
        "/a/callback;x=1",
        "/a/callback?",
        "/a/callback?x=1",
        "/a/callback#",
        "/a/callback%20",
        "/a",
        "/",
        "",
    ] {
        let sent = format!("https://app.example{path}");
        let url = site.request(&client.id, &[("redirect_uri", Some(&sent))]);
        let reply = site.person.open(&url).await;
        table.row(path, page(&reply, 400));
    }
    let code = site
        .code(&client.id, &[("redirect_uri", Some(registered))])
        .await;
    assert!(!code.is_empty());
}

/// Requests that are wrong in something else than client and redirect URI, with the error that the client gets.
const FAULTS: [(&[Change<'_>], &str); 14] = [
    (
        &[("response_type", Some("token"))],
        "unsupported_response_type",
    ),
    (
        &[("response_type", Some("code id_token"))],
        "unsupported_response_type",
    ),
    (&[("response_type", None)], "invalid_request"),
    (&[("response_mode", Some("fragment"))], "invalid_request"),
    (&[("response_mode", Some("form_post"))], "invalid_request"),
    (&[("code_challenge", None)], "invalid_request"),
    (
        &[("code_challenge_method", Some("plain"))],
        "invalid_request",
    ),
    (
        &[("resource", Some("https://other.example/mcp"))],
        "invalid_target",
    ),
    (
        &[("request", Some("eyJhbGciOiJub25lIn0"))],
        "request_not_supported",
    ),
    (
        &[("request_uri", Some("https://evil.example/r"))],
        "request_uri_not_supported",
    ),
    (&[("prompt", Some("none login"))], "invalid_request"),
    (&[("prompt", Some("none"))], "consent_required"),
    (
        &[
            ("scope", Some("tasks:read")),
            ("x", Some("1")),
            ("x", Some("2")),
        ],
        "invalid_request",
    ),
    (
        &[("state", Some("one")), ("state", Some("two"))],
        "invalid_request",
    ),
];

#[tokio::test]
async fn attack_197_the_redirect_uri_is_judged_before_every_other_fault() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let client = Client::register(&site.gateway).await;
    let hostile = [
        "https://evil.example/",
        "http://127.0.0.1:7777/other",
        "javascript:alert(1)",
    ];
    for (changes, code) in FAULTS {
        for to in hostile {
            let all: Vec<_> = changes
                .iter()
                .copied()
                .chain([("redirect_uri", Some(to))])
                .collect();
            let reply = site.person.open(&site.request(&client.id, &all)).await;
            table.row(&format!("{changes:?} {to}"), page(&reply, 400));
        }
        let reply = site.person.open(&site.request(&client.id, changes)).await;
        let name = format!("{changes:?}");
        table.check(&name, reply.status == 303, || reply.text());
        let outcome = answer_at(reply.header("location"), REDIRECT, &issuer);
        if let Some(answer) = table.row(&name, outcome) {
            table.check(&name, answer["error"] == code, || format!("{answer:?}"));
            let is_repeated = changes.iter().filter(|(name, _)| *name == "state").count() > 1;
            let state = answer.get("state").map(String::as_str);
            let expected = if is_repeated { None } else { Some("a state") };
            table.check(&name, state == expected, || format!("{answer:?}"));
        }
    }
    // Without a client, or with two redirect URIs, nobody gets an answer.
    for changes in [
        &[("client_id", None)][..],
        &[
            ("client_id", Some(client.id.as_str())),
            ("client_id", Some("other")),
        ],
        &[
            ("redirect_uri", Some(REDIRECT)),
            ("redirect_uri", Some("https://evil.example/")),
        ],
        &[
            ("redirect_uri", Some(REDIRECT)),
            ("redirect_uri", Some(REDIRECT)),
        ],
    ] {
        let reply = site.person.open(&site.request(&client.id, changes)).await;
        table.row(&format!("{changes:?}"), page(&reply, 400));
    }
}

#[tokio::test]
async fn attack_210_an_answer_has_each_parameter_once() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    for name in [
        "iss",
        "state",
        "code",
        "error",
        "error_description",
        "%69ss",
        "st%61te",
    ] {
        let uri = format!("https://app.example/callback?{name}=https://evil.example");
        let reply = site.register(&json!({ "redirect_uris": [uri] })).await;
        let error = reply.json()["error"].clone();
        table.check(
            name,
            (reply.status, &error) == (400, &json!("invalid_redirect_uri")),
            || reply.text(),
        );
    }
    let redirect = "https://app.example/callback?tenant=1&next=%2Fa%3Fiss%3Dx";
    let client = site.client(redirect, "none").await;
    for state in [
        "a&iss=https://evil.example",
        "a%26iss%3Dx",
        "a+b c/=?#é\"<",
        "&",
        "=",
        "%",
        "%00",
    ] {
        let changes = [("redirect_uri", Some(redirect)), ("state", Some(state))];
        for decision in ["allow", "deny"] {
            let consent = site.person.open(&site.request(&client.id, &changes)).await;
            let location = site.person.decide(&consent, decision).await;
            if let Some(answer) = table.row(state, answer_at(&location, redirect, &issuer)) {
                table.check(state, answer["state"] == state, || location.clone());
                let whole = query(&location);
                let kept = (whole["tenant"].as_str(), whole["next"].as_str());
                table.check(state, kept == ("1", "/a?iss=x"), || location.clone());
            }
        }
    }
    let long = "s".repeat(4097);
    let reply = site
        .person
        .open(&site.request(&client.id, &[("state", Some(&long))]))
        .await;
    table.row("a state that is too long", page(&reply, 400));
}

#[tokio::test]
async fn attack_220_a_loopback_redirect_has_any_port_and_no_other_host() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    for registered in hosts {
        for at in ["", ":33418"] {
            let client = site
                .client(&format!("http://{registered}{at}/callback"), "none")
                .await;
            for sent in hosts {
                for port in ["", ":1", ":49152", ":65535"] {
                    let uri = format!("http://{sent}{port}/callback");
                    let name = format!("{registered}{at} {uri}");
                    let url = site.request(&client.id, &[("redirect_uri", Some(&uri))]);
                    let reply = site.person.open(&url).await;
                    if sent != registered {
                        table.row(&name, page(&reply, 400));
                        continue;
                    }
                    table.row(&name, page(&reply, 200));
                    let location = site.person.allow(&reply).await;
                    table.row(&name, answer_at(&location, &uri, &issuer));
                }
            }
            for other in [
                "https://{}:1/callback",
                "http://{}:1/other",
                "http://{}:1/callback?x=1",
            ] {
                let uri = other.replace("{}", registered);
                let url = site.request(&client.id, &[("redirect_uri", Some(&uri))]);
                let reply = site.person.open(&url).await;
                table.row(&format!("{registered}{at} {uri}"), page(&reply, 400));
            }
        }
    }
    // A port is free on loopback hosts only.
    let client = site.client("https://app.example/callback", "none").await;
    for uri in [
        "https://app.example:443/callback",
        "https://app.example:8443/callback",
    ] {
        let url = site.request(&client.id, &[("redirect_uri", Some(uri))]);
        table.row(uri, page(&site.person.open(&url).await, 400));
    }
}

#[tokio::test]
async fn attack_221_several_redirect_uris_register_together_and_a_refused_one_is_named() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let cursor = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ];
    let code = [
        "https://insiders.vscode.dev/redirect",
        "https://vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
    ];
    for uris in [&cursor[..], &code[..]] {
        let metadata = json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none" });
        let client = Client::register_as(&site.gateway, &metadata).await;
        table.check(
            "registered",
            client.registered["redirect_uris"] == json!(uris),
            || client.registered["redirect_uris"].to_string(),
        );
        for uri in uris {
            let url = site.request(&client.id, &[("redirect_uri", Some(uri))]);
            let consent = site.person.open(&url).await;
            table.row(uri, page(&consent, 200));
            let location = site.person.allow(&consent).await;
            table.row(uri, answer_at(&location, uri, &site.gateway.uri("")));
        }
        // Which one is meant must be said.
        let reply = site
            .person
            .open(&site.request(&client.id, &[("redirect_uri", None)]))
            .await;
        table.row("none was sent", page(&reply, 400));
    }
    for refused in [
        "notes://callback",
        "vscode://host/callback",
        "http://app.example/callback",
    ] {
        let uris: Vec<_> = cursor.iter().copied().chain([refused]).collect();
        let reply = site.register(&json!({ "redirect_uris": uris })).await;
        let answer: Value = reply.json();
        let text = answer["error_description"].as_str().unwrap_or_default();
        let is_named = text.contains(refused) && cursor.iter().all(|good| !text.contains(good));
        let found = (reply.status, answer["error"].as_str());
        table.check(
            refused,
            found == (400, Some("invalid_redirect_uri")) && is_named,
            || reply.text(),
        );
    }
    let preflight = site.gateway.request(Method::OPTIONS, "/register");
    assert_eq!(preflight.send().await.status, 204);
}
