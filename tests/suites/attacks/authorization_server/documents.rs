//! Numbers 117 and 120 and the incidents with metadata documents: what is fetched for a client, from where, and what people learn.
//!
//! The documents come from a server behind a forward proxy, which alone knows the names.

mod setting;

use e2e::client::Reply;
use e2e::gateway::config::Config;
use e2e::gateway::{Gateway, bare};
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::upstream::{Answer, Recorded, Upstream, head, steps, with};
use e2e::world::Table;
use http::Response;
use serde_json::{Value, json};
use test_support::{Key, Token, hmac, key_set};

use super::clients::authentication::{KIND, assertion};
use super::site::{Site, answer_at, base, changed, page, program, refused};
use setting::{Setting, document, url};

/// Fails unless a client with this id is refused for good: with a page, and with `invalid_client`.
fn invalid((person, client): &(Reply, Reply)) -> Result<(), String> {
    page(person, 400)?;
    refused(&program(client)?, 401, "invalid_client")
}

/// Fails unless the client cannot be known at the moment: 503 with `Retry-After` for both.
fn away((person, client): &(Reply, Reply)) -> Result<(), String> {
    page(person, 503)?;
    refused(&program(client)?, 503, "temporarily_unavailable")?;
    let is_known = person.text().contains("is not known here");
    let waits = [person, client].map(|reply| reply.header("retry-after").parse::<u32>());
    match waits.iter().all(|wait| matches!(wait, Ok(1..))) && !is_known {
        true => Ok(()),
        false => Err(format!("{waits:?} {}", person.text())),
    }
}

#[tokio::test]
async fn attack_117_no_client_id_leads_to_an_internal_address() {
    let canary = Upstream::start().await;
    let port = canary.address().port();
    let mut setting = Setting::start().await;
    let mut direct = Site::start().await;
    let mut table = Table::default();
    let mut ids: Vec<_> = [
        "https://127.0.0.1:PORT/c",
        "https://127.0.0.1/c",
        "https://127.1/c",
        "https://2130706433/c",
        "https://0x7f000001/c",
        "https://0x7f.1/c",
        "https://017700000001/c",
        "https://127.0.0.1./c",
        "https://0/c",
        "https://[::1]/c",
        "https://[::1]:PORT/c",
        "https://[::ffff:127.0.0.1]/c",
        "https://[::ffff:7f00:1]:PORT/c",
        "https://[64:ff9b::7f00:1]/c",
        "https://[fe80::1%25eth0]/c",
        "https://10.0.0.1/c",
        "https://192.168.1.1/c",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/c",
        "https://localhost/c",
        "https://localhost:PORT/c",
        "https://localhost./c",
        "https://LOCALHOST/c",
        "https://a.localhost/c",
        "https://localhost.localdomain/c",
        "https://metadata.google.internal/c",
        "https://printer.local/c",
        "https://x.svc.cluster.local/c",
        "https://router.lan/c",
        "https://gateway/c",
        "https://１２７.0.0.1/c",
        "https://127。0。0。1/c",
        "https://c0.example:PORT/c",
        "https://c0.example:443/c",
        "https://c0.example./c",
        "https://C0.example/c",
        "https://c0.example@127.0.0.1:PORT/c",
        "https://user:secret@c0.example/c",
        "https://127.0.0.1:PORT#@c0.example/c",
        "https://127.0.0.1:PORT\\@c0.example/c",
        "https://c0.example/",
        "https://c0.example",
        "https://c0.example/a/../c",
        "https://c0.example/a/%2e%2e/c",
        "https://c0.example/c#f",
        "https://c0.example/c d",
        "https:///c",
        "https:c0.example/c",
        "HTTPS://c0.example/c",
        "http://c0.example/c",
        "http://127.0.0.1:PORT/c",
        "ftp://127.0.0.1:PORT/c",
        "file:///etc/passwd",
    ]
    .map(|id| id.replace("PORT", &port.to_string()))
    .into();
    ids.push(format!("https://c0.example/{}", "c".repeat(600)));
    for id in &ids {
        table.row(id, invalid(&setting.both(id).await));
        let reply = direct.person.open(&direct.request(id, &[])).await;
        table.row(id, page(&reply, 400));
    }
    // The key set of a client that registers is at such an address as well.
    for id in ids
        .iter()
        .filter(|id| id.contains("://127.") || id.contains("localhost"))
    {
        let metadata = json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": id,
        });
        let reply = direct.register(&metadata).await;
        let error = reply.json()["error"].clone();
        let found = (reply.status, error.as_str());
        table.check(id, found == (400, Some("invalid_client_metadata")), || {
            reply.text()
        });
    }
    assert_eq!((canary.accepted(), setting.server.accepted()), (0, 0));
    assert_eq!(setting.proxy.asked(), Vec::<String>::new());
    let good = url(0);
    let text = document(&good).to_string();
    setting
        .server
        .script(move |_| Answer::Full(with(200, "application/json", text.clone())));
    let (person, _) = setting.both(&good).await;
    page(&person, 200).unwrap();
    assert_eq!(setting.proxy.asked(), ["c0.example:443"]);
}

/// A whole answer with a header more.
fn plus(answer: Response<bytes::Bytes>, name: &'static str, value: &'static str) -> Answer {
    let mut answer = answer;
    answer.headers_mut().insert(name, value.parse().unwrap());
    Answer::Full(answer)
}

/// A document of this many bytes.
fn padded(url: &str, bytes: usize) -> String {
    let mut text = document(url).to_string();
    text.push_str(&" ".repeat(bytes - text.len()));
    text
}

/// The hostile document of the host that is asked: its number is in its name.
fn hostile_by_host(request: &Recorded) -> Answer {
    let host = request.header("host").unwrap_or_default();
    let number = host.trim_matches(|char: char| !char.is_ascii_digit());
    hostile(number.parse().unwrap())
}

/// A hostile document, by its number.
fn hostile(number: usize) -> Answer {
    let id = url(number);
    let json = |text: String| with(200, "application/json", text);
    let but = |member: &str, value: Value| {
        let mut changed = document(&id);
        changed[member] = value;
        Answer::Full(json(changed.to_string()))
    };
    match number {
        1 => Answer::Full(json(padded(&id, 64 * 1024 + 1))),
        2 => plus(json(document(&id).to_string()), "content-encoding", "gzip"),
        3 => Answer::Full(with(200, "text/html", document(&id).to_string())),
        4 => Answer::Full(with(200, "", document(&id).to_string())),
        5 => but("client_id", json!(url(0))),
        6 => but("client_id", json!(format!("{id}?"))),
        7 => but("client_id", Value::Null),
        8 => but("client_secret", json!("shared")),
        9 => but("token_endpoint_auth_method", json!("client_secret_post")),
        10 => but("grant_types", json!(["client_credentials"])),
        11 => but("redirect_uris", json!(["javascript:alert(1)"])),
        12 => but("redirect_uris", json!([])),
        13 => Answer::Full(json("{".to_owned())),
        14 => Answer::Full(json("[]".to_owned())),
        15 => Answer::Full(json(String::new())),
        16 => Answer::Full(json(format!(
            "{{\"client_id\":\"x\",\"client_id\":\"{id}\"}}"
        ))),
        17 => Answer::Full(json("[".repeat(60_000))),
        20 => plus(
            with(302, "", ""),
            "location",
            "https://c0.example/client.json",
        ),
        21 => plus(with(308, "", ""), "location", "http://127.0.0.1/"),
        22 => Answer::Full(with(404, "application/json", document(&id).to_string())),
        23 => Answer::Full(with(500, "", "")),
        24 => Answer::Drop,
        25 => Answer::Hang,
        26 => {
            let (feed, receiver) = tokio::sync::mpsc::unbounded_channel();
            std::mem::forget(feed);
            Answer::Stream(head(200, &[("content-type", "application/json")]), receiver)
        }
        27 => {
            let part = e2e::upstream::Chunk::Data(bytes::Bytes::from_static(b"{"));
            let cut = steps([part, e2e::upstream::Chunk::Break]);
            Answer::Stream(head(200, &[("content-type", "application/json")]), cut)
        }
        30 => Answer::Full(json(padded(&id, 64 * 1024))),
        31 => Answer::Full(with(
            200,
            "application/cimd+json; charset=utf-8",
            document(&id).to_string(),
        )),
        32 => but("redirect_uris", json!(["javascript:alert(1)", REDIRECT])),
        _ => Answer::Full(json(document(&id).to_string())),
    }
}

#[tokio::test]
async fn attack_120_a_hostile_document_makes_no_client_and_is_not_kept() {
    let mut setting = Setting::start().await;
    let mut table = Table::default();
    setting.server.script(hostile_by_host);
    for number in 1..=17 {
        let id = url(number);
        table.row(&id, invalid(&setting.both(&id).await));
    }
    // Those that never end are asked for at the same time: each may take five seconds.
    let slow = [25, 26].map(|number| setting.site.request(&url(number), &[]));
    let mut browsers = [setting.site.person.clone(), setting.site.person.clone()];
    let [one, two] = &mut browsers;
    let replies = tokio::join!(one.open(&slow[0]), two.open(&slow[1]));
    for reply in [replies.0, replies.1] {
        table.row("slow", page(&reply, 503));
    }
    for number in 20..=27 {
        let id = url(number);
        table.row(&id, away(&setting.both(&id).await));
    }
    for number in [30, 31, 32, 33] {
        let id = url(number);
        let (person, _) = setting.both(&id).await;
        table.row(&id, page(&person, 200));
    }
    // A redirect leads nowhere, not even within the server of documents.
    let fetched = |number: usize| {
        let host = format!("c{number}.example:443");
        setting
            .proxy
            .asked()
            .iter()
            .filter(|asked| **asked == host)
            .count()
    };
    table.check("redirected to", fetched(0) == 0, || fetched(0).to_string());
    table.check("cached", fetched(33) == 1, || fetched(33).to_string());
    // An invalid one is not kept: its owner corrects it, and it is served.
    setting.server.script(|request| {
        let host = request.header("host").unwrap_or_default();
        let text = document(&format!("https://{host}/client.json")).to_string();
        Answer::Full(with(200, "application/json", text))
    });
    for number in [5, 11, 13] {
        let (person, _) = setting.both(&url(number)).await;
        table.row("corrected", page(&person, 200));
    }
    for request in setting.server.seen() {
        let names = ["cookie", "authorization", "referer", "origin"];
        let sent = names
            .iter()
            .find(|name| request.headers.contains_key(**name));
        table.check("sent", sent.is_none(), || format!("{request:?}"));
    }
    // The whole way of a good one ends in a call.
    let id = url(33);
    let client = Client {
        id: id.clone(),
        secret: None,
        registered: Value::Null,
    };
    let tokens = setting.site.tokens(&client, "tasks:read").await;
    table.row("a good one", setting.site.lives(&client, &tokens).await);
}

#[tokio::test]
async fn attack_194_errors_tell_nothing_about_the_network() {
    let mut setting = Setting::start().await;
    let mut table = Table::default();
    setting.server.script(hostile_by_host);
    // `c99.example` has no certificate.
    for numbers in [&[20, 22, 23, 24, 27, 99][..], &[1, 3, 5, 13]] {
        let mut shown = std::collections::BTreeSet::new();
        for number in numbers {
            let id = url(*number);
            let (person, client) = setting.both(&id).await;
            let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
            let request_id = person
                .text()
                .split("class=\"code\">")
                .last()
                .unwrap()
                .to_owned();
            let request_id = request_id.split('<').next().unwrap().to_owned();
            let html = person.text().replace(&request_id, "").replace(&encoded, "");
            let host = format!("c{number}.example");
            let text = format!("{html} {}", client.text()).replace(&host, "HOST");
            let wait = person.header("retry-after").to_owned();
            shown.insert(format!("{} {} {wait} {text}", person.status, client.status));
        }
        table.check("texts", shown.len() == 1, || format!("{shown:#?}"));
    }
}

#[tokio::test]
async fn attack_198_a_client_with_a_document_needs_pkce_and_its_own_redirect_uris() {
    let change =
        |config: Config| config.set("/authorization_server/metadata_documents/fetch", false);
    let mut site = Site::with(change).await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let id = "https://claude.ai/oauth/claude-code-client-metadata";
    let redirect = "http://localhost:50123/callback";
    let own = ("redirect_uri", Some(redirect));
    for changes in [
        &[own, ("code_challenge", None)][..],
        &[
            own,
            ("code_challenge", None),
            ("code_challenge_method", None),
        ],
        &[own, ("code_challenge_method", Some("plain"))],
    ] {
        let reply = site.person.open(&site.request(id, changes)).await;
        let outcome = answer_at(reply.header("location"), redirect, &issuer);
        if let Some(answer) = table.row("PKCE", outcome) {
            table.check("PKCE", answer["error"] == "invalid_request", || {
                format!("{answer:?}")
            });
        }
    }
    for other in [
        "https://evil.example/",
        "http://localhost:50123/other",
        "http://[::1]:1/callback",
    ] {
        let reply = site
            .person
            .open(&site.request(id, &[("redirect_uri", Some(other))]))
            .await;
        table.row(other, page(&reply, 400));
    }
    let code = site.code(id, &[own]).await;
    let client = Client {
        id: id.to_owned(),
        secret: None,
        registered: Value::Null,
    };
    let fields = |verifier| changed(&redemption(&code), &[own, ("code_verifier", verifier)]);
    let answer = client.ask(&site.gateway, &fields(None)).await;
    table.row("no verifier", refused(&answer, 400, "invalid_grant"));
    let verifier = Some(e2e::sign_in::client::VERIFIER);
    let (status, answer) = client.ask(&site.gateway, &fields(verifier)).await;
    table.check("the right one", status == 200, || {
        answer["error"].to_string()
    });
}

#[tokio::test]
async fn attack_212_ids_of_a_template_are_each_a_client_and_none_is_kept() {
    let change =
        |config: Config| config.set("/authorization_server/metadata_documents/fetch", false);
    let mut site = Site::with(change).await;
    let mut table = Table::default();
    for number in 0..100 {
        let id = format!("https://chatgpt.com/oauth/id{number}/client.json");
        let redirect = format!("https://chatgpt.com/connector/oauth/id{number}");
        let reply = site
            .person
            .open(&site.request(&id, &[("redirect_uri", Some(&redirect))]))
            .await;
        table.row(&id, page(&reply, 200));
        let other = format!("https://chatgpt.com/connector/oauth/id{}", number + 1);
        let reply = site
            .person
            .open(&site.request(&id, &[("redirect_uri", Some(&other))]))
            .await;
        table.row(&id, page(&reply, 400));
    }
    // The store has the client with which the person signed in, and no other.
    let file = site.gateway.config.file();
    let mut command = bare(&["oauth", "clients", "list", "--json", "--config"]);
    let listed = command.arg(file).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    table.check("the store", listed.lines().count() == 1, || listed.clone());
    let long = "x".repeat(65);
    for id in ["a/b", "", "a%2fb", "a.b", "{id}", "a?b", &long, "é"] {
        let id = format!("https://chatgpt.com/oauth/{id}/client.json");
        let reply = site.person.open(&site.request(&id, &[])).await;
        let is_refused = page(&reply, 503).or_else(|_| page(&reply, 400));
        table.row(&id, is_refused);
    }
}

#[tokio::test]
async fn attack_218_a_client_that_cannot_be_fetched_is_never_called_unknown() {
    let change =
        |config: Config| config.set("/authorization_server/metadata_documents/fetch", false);
    let mut site = Site::with(change).await;
    let id = "https://client.example/document.json";
    let person = site.person.open(&site.request(id, &[])).await;
    page(&person, 503).unwrap();
    // Trying again would not help: only the operator can change it.
    assert_eq!(person.header("retry-after"), "");
    assert!(!person.text().contains("is not known here"));
    for path in ["/token", "/revoke"] {
        let fields = changed(
            &redemption("AAAA"),
            &[("client_id", Some(id)), ("token", Some("x"))],
        );
        let client = site.form(path, &fields, "").send().await;
        let answer = program(&client).unwrap();
        refused(&answer, 503, "temporarily_unavailable").unwrap();
    }
    let text = person.text();
    assert!(
        text.contains("client.example"),
        "the person learns whose document it is: {text}"
    );
}

#[tokio::test]
async fn attack_219_shipped_copies_and_documents_can_be_switched_off() {
    let id = "https://claude.ai/oauth/claude-code-client-metadata";
    let changes = [("redirect_uri", Some("http://localhost:50123/callback"))];
    let mut table = Table::default();
    for (members, status, announced) in [
        (json!({ "fetch": false }), 200, true),
        (json!({ "shipped": false }), 503, true),
        (json!({ "enabled": false }), 400, false),
        (
            json!({ "fetch": false, "domains": ["claude.ai"] }),
            200,
            true,
        ),
        (
            json!({ "fetch": false, "domains": ["example.com"] }),
            400,
            true,
        ),
    ] {
        let name = members.to_string();
        let upstream = Upstream::start().await;
        // Nothing can be fetched: nobody listens there.
        let config = base(&upstream)
            .await
            .set("/outbound/proxy", "http://127.0.0.1:1");
        let config = config.set("/authorization_server/metadata_documents", members);
        let gateway = Gateway::start(config).await;
        let mut site = Site {
            person: e2e::sign_in::browser::Browser::new(&gateway.uri("")),
            gateway,
            upstream,
        };
        let reply = site.person.open(&site.request(id, &changes)).await;
        table.row(&name, page(&reply, status));
        let metadata = site
            .gateway
            .get("/.well-known/oauth-authorization-server")
            .send()
            .await;
        let found = metadata.json()["client_id_metadata_document_supported"].clone();
        table.check(&name, found == announced, || found.to_string());
    }
}

/// The answer to a token request with this assertion.
async fn asserted(site: &Site, fields: &[(&str, &str)], assertion: &str) -> (u16, Value) {
    let own = [
        ("client_assertion_type", KIND),
        ("client_assertion", assertion),
    ];
    let fields: Vec<_> = fields.iter().copied().chain(own).collect();
    let answer = site.form("/token", &fields, "").open().await;
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")),
    )
}

#[tokio::test]
async fn attack_244_the_key_set_of_a_client_is_fetched_like_its_document_and_has_no_secret_keys() {
    let mut setting = Setting::start().await;
    let mut table = Table::default();
    let (key, other) = (Key::es256("k"), Key::es256("k"));
    let (id, keys) = (url(0), "https://c1.example/jwks.json");
    let mut own = document(&id);
    own["token_endpoint_auth_method"] = json!("private_key_jwt");
    own["jwks_uri"] = json!(keys);
    let published = key_set(&[&key]).to_string();
    setting
        .server
        .script(move |request| match request.header("host") {
            Some("c0.example") => Answer::Full(with(200, "application/json", own.to_string())),
            _ => Answer::Full(with(200, "application/jwk-set+json", published.clone())),
        });
    let issuer = setting.site.gateway.uri("");
    let code = setting.site.code(&id, &[]).await;
    let asked = setting.proxy.asked();
    table.check("the page", asked == ["c0.example:443"], || {
        format!("{asked:?}")
    });
    let redeem = redemption(&code);
    let wrong = assertion(&other, &id, issuer.as_str(), "one").sign();
    let answer = asserted(&setting.site, &redeem, &wrong).await;
    table.row("another key", refused(&answer, 401, "invalid_client"));
    // The public key as the secret of an HMAC.
    let claims = assertion(&key, &id, issuer.as_str(), "two").claims_text();
    let header = "{\"alg\":\"HS256\",\"kid\":\"k\"}";
    let secret = key.jwk().to_string();
    let forged = test_support::compact(header, &claims, |text| {
        hmac("HS256", secret.as_bytes(), text)
    });
    let answer = asserted(&setting.site, &redeem, &forged).await;
    table.row("HMAC", refused(&answer, 401, "invalid_client"));
    let elsewhere = assertion(&other, &id, issuer.as_str(), "three");
    let elsewhere: Token = elsewhere.header("jku", "https://c2.example/jwks.json");
    let answer = asserted(&setting.site, &redeem, &elsewhere.sign()).await;
    table.row("jku", refused(&answer, 401, "invalid_client"));
    let good = assertion(&key, &id, issuer.as_str(), "four").sign();
    let (status, answer) = asserted(&setting.site, &redeem, &good).await;
    table.check("the right key", status == 200, || {
        answer["error"].to_string()
    });
    let tokens = Tokens::of(answer);
    table.check(
        "a call",
        setting.site.call(&tokens.access).await == 200,
        String::new,
    );
    let asked = setting.proxy.asked();
    let is_only_these = asked
        .iter()
        .all(|host| host == "c0.example:443" || host == "c1.example:443");
    table.check("fetched", is_only_these && asked.len() <= 4, || {
        format!("{asked:?}")
    });

    // Key sets that cannot be used, of clients that registered: nobody is authenticated by them.
    for (number, body) in [
        (3, "{\"keys\":[]}".to_owned()),
        (
            4,
            "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"k\"}]}".to_owned(),
        ),
        (5, "<html>".to_owned()),
        (
            6,
            format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(70_000)),
        ),
    ] {
        setting
            .server
            .script(move |_| Answer::Full(with(200, "application/json", body.clone())));
        let metadata = json!({
            "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": format!("https://c{number}.example/jwks.json"),
        });
        let client = Client::register_as(&setting.site.gateway, &metadata).await;
        let signed = assertion(&key, &client.id, issuer.as_str(), "five").sign();
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "made-up"),
        ];
        let answer = asserted(&setting.site, &fields, &signed).await;
        let outcome = refused(&answer, 503, "temporarily_unavailable");
        table.row(&format!("key set {number}"), outcome);
    }
}
