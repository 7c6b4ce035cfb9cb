//! Numbers 131 to 135 and the incidents with pages: forms, headers, foreign text, cookies, and guessed passwords.

use std::time::{Duration, Instant};

use e2e::certificates;
use e2e::client::{Call, Reply};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::{Browser, query};
use e2e::sign_in::client::{Client, REDIRECT};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use e2e::world::Table;
use http::Method;
use serde_json::json;

use super::site::{Site, answer_at, interaction, page};

/// The fields that a page's form has beside the sealed one.
type Fields<'a> = [(&'a str, &'a str)];

const CREDENTIALS: &Fields<'_> = &[("username", USER), ("password", PASSWORD)];

/// The three forms of a person who is signed in, each with its path and its own fields.
async fn forms(
    site: &mut Site,
    client: &Client,
) -> [(&'static str, Reply, &'static Fields<'static>); 3] {
    let login = site.request(&client.id, &[("prompt", Some("login"))]);
    let consent = site.request(&client.id, &[]);
    [
        ("/sign-in", site.person.open(&login).await, CREDENTIALS),
        (
            "/consent",
            site.person.open(&consent).await,
            &[("decision", "allow")],
        ),
        ("/sign-out", site.person.open("/sign-out").await, &[]),
    ]
}

#[tokio::test]
async fn attack_131_a_form_of_another_site_decides_nothing() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let all = forms(&mut site, &client).await;
    let sealed: Vec<_> = all.iter().map(|(_, reply, _)| interaction(reply)).collect();
    let mut other = site.stranger();
    let foreign = interaction(&other.open(&site.request(&client.id, &[])).await);
    for (place, (path, _, own)) in all.iter().enumerate() {
        let with = |token: Option<&str>| {
            let token = token.map(|token| ("interaction", token));
            let fields: Vec<_> = own.iter().copied().chain(token).collect();
            site.by(&site.person, path, &fields)
        };
        let good = sealed[place].as_str();
        for token in [
            None,
            Some(""),
            Some("AAAA"),
            Some(&good[1..]),
            Some(&foreign),
            Some(&sealed[(place + 1) % 3]),
            Some(&sealed[(place + 2) % 3]),
        ] {
            let name = format!(
                "{path} {:?}",
                token.map(|token| &token[..token.len().min(8)])
            );
            table.row(&name, page(&with(token).send().await, 403));
        }
        for from in ["cross-site", "same-site", "null", ""] {
            let call = with(Some(good)).with("sec-fetch-site", from);
            table.row(&format!("{path} {from:?}"), page(&call.send().await, 403));
        }
        let twice = with(Some(good)).with("sec-fetch-site", "same-origin");
        let twice = twice.also("sec-fetch-site", "cross-site");
        table.row(&format!("{path} twice"), page(&twice.send().await, 403));
        let fields: Vec<_> = own.iter().copied().chain([("interaction", good)]).collect();
        let without = site.by(&other, path, &fields);
        table.row(
            &format!("{path} other cookie"),
            page(&without.send().await, 403),
        );
        let without = site.form(path, &fields, "");
        table.row(
            &format!("{path} no cookie"),
            page(&without.send().await, 403),
        );
        let json = with(Some(good)).with("content-type", "text/plain");
        table.row(&format!("{path} not a form"), page(&json.send().await, 400));
    }
    // All of that changed nothing: the forms work where they are.
    let [_, (_, consent, fields), (_, question, _)] = all;
    let allowed = site.person.submit(&consent, fields).await;
    client.code(&site.gateway, allowed.header("location"));
    let out = site.person.submit(&question, &[]).await;
    assert!(out.text().contains("Signed out"), "{}", out.text());
}

#[tokio::test]
async fn attack_132_no_page_can_be_framed() {
    let mut site =
        Site::with(|config| config.set("/authorization_server/metadata_documents/fetch", false))
            .await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let mut stranger = site.stranger();
    let good = site.request(&client.id, &[]);
    let sign_in = stranger.open(&good).await;
    let wrong = stranger
        .submit(&sign_in, &[("username", USER), ("password", "wrong")])
        .await;
    let consent = site.person.open(&good).await;
    let foreign = stranger.submit(&consent, &[("decision", "allow")]).await;
    let incomplete = site.person.submit(&consent, &[]).await;
    let code = client.code(&site.gateway, &site.person.allow(&consent).await);
    client.redeem(&site.gateway, &code).await;
    let answered = site.person.submit(&consent, &[("decision", "allow")]).await;
    let bad = site
        .person
        .open(&site.request(&client.id, &[("redirect_uri", Some("x"))]))
        .await;
    let unknown = site.person.open(&site.request("nobody", &[])).await;
    let away = site
        .person
        .open(&site.request("https://client.example/document", &[]))
        .await;
    let question = site.person.open("/sign-out").await;
    let out = site.person.submit(&question, &[]).await;
    let nobody = stranger.open("/sign-out").await;
    for (name, reply, status) in [
        ("sign-in", sign_in, 200),
        ("wrong password", wrong, 403),
        ("consent", consent, 200),
        ("another browser", foreign, 403),
        ("incomplete", incomplete, 400),
        ("answered", answered, 200),
        ("bad request", bad, 400),
        ("unknown client", unknown, 400),
        ("client away", away, 503),
        ("sign-out", question, 200),
        ("signed out", out, 200),
        ("nobody is signed in", nobody, 200),
    ] {
        table.row(name, page(&reply, status));
    }
    // What pages load cannot be framed into a page of somebody else that runs it.
    let style = site.gateway.get("/oauth.css").send().await;
    assert_eq!(style.header("x-content-type-options"), "nosniff");
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn attack_133_text_of_others_stays_text() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><svg/onload=alert(1)>",
        "</b></bdi><form action=https://evil.example>",
        "<a href=javascript:alert(1)>x</a>",
        "{{7*7}}{% include \"x\" %}",
        "&lt;script&gt;",
        "<!--",
        "\u{202e}gnp.exe",
    ];
    for text in hostile {
        let metadata = json!({
            "client_name": text,
            "logo_uri": "https://evil.example/logo.png",
            "client_uri": "javascript:alert(1)",
            "policy_uri": "https://evil.example/policy",
            "tos_uri": "https://evil.example/tos",
            "contacts": [text],
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
        });
        let client = Client::register_as(&site.gateway, &metadata).await;
        let changes = [("state", Some(text)), ("scope", Some(text))];
        let url = site.request(&client.id, &changes);
        let mut stranger = site.stranger();
        let sign_in = stranger.open(&url).await;
        let credentials = [("username", text), ("password", "wrong")];
        let wrong = stranger.submit(&sign_in, &credentials).await;
        let consent = site.person.open(&url).await;
        let bad = site.request(&client.id, &[("redirect_uri", Some(text))]);
        let bad = site.person.open(&bad).await;
        let unknown = site.person.open(&site.request(text, &[])).await;
        for (place, reply, status) in [
            ("sign-in", &sign_in, 200),
            ("consent", &consent, 200),
            ("redirect URI", &bad, 400),
            ("client id", &unknown, 400),
            ("user name", &wrong, wrong.status),
        ] {
            let name = format!("{place} {text}");
            table.row(&name, page(reply, status));
            let html = reply.text();
            let is_raw = text.contains('<') && html.contains(text);
            let is_loaded =
                html.contains("evil.example/logo") || html.contains("href=\"javascript");
            table.check(
                &name,
                !is_raw && !is_loaded && !html.contains('\u{202e}'),
                || html.clone(),
            );
        }
        table.check(text, matches!(wrong.status, 403 | 429), || wrong.text());
        // Scripts in an answer's parameters are the client's to read: they are encoded.
        let location = site.person.allow(&consent).await;
        let outcome = answer_at(&location, REDIRECT, &site.gateway.uri(""));
        if let Some(answer) = table.row(text, outcome) {
            table.check(
                text,
                answer["state"] == text && !location.contains('<'),
                || location,
            );
        }
    }
    let plain = Client::register(&site.gateway).await;
    let consent = site.person.open(&site.request(&plain.id, &[])).await;
    assert!(
        consent.text().contains("Tester"),
        "names are shown: {}",
        consent.text()
    );
}

#[tokio::test]
async fn attack_134_a_form_is_of_one_browser_for_a_while_and_a_session_is_new_at_sign_in() {
    let site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[]);
    // A cookie that somebody planted is not taken over, and what was there before a sign-in is not signed in by it.
    for planted in [
        "planted",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "",
    ] {
        let mut victim = site.stranger();
        victim
            .cookies
            .insert("mcp-session".to_owned(), planted.to_owned());
        let asked = victim.open(&url).await;
        let given = victim.cookies["mcp-session"].clone();
        table.check(planted, given != planted && given.len() > 40, || {
            given.clone()
        });
        let mut planter = victim.clone();
        let signed_in = victim.submit(&asked, CREDENTIALS).await;
        let after = victim.cookies["mcp-session"].clone();
        table.check(planted, signed_in.status == 303 && after != given, || {
            after.clone()
        });
        let reply = planter.open(&url).await;
        table.check(planted, reply.text().contains("name=\"password\""), || {
            reply.text()
        });
        let consent = victim.follow(signed_in).await;
        client.code(&site.gateway, &victim.allow(&consent).await);
        // Signed out, the cookie is worth nothing, also for who copied it.
        let mut copied = victim.clone();
        let question = victim.open("/sign-out").await;
        victim.submit(&question, &[]).await;
        let reply = copied.open(&url).await;
        table.check(planted, reply.text().contains("name=\"password\""), || {
            reply.text()
        });
        let reply = copied.submit(&consent, &[("decision", "allow")]).await;
        let code = query(reply.header("location")).contains_key("code");
        table.check(planted, !code, || reply.header("location").to_owned());
    }
    // A form ends after a while (10 minutes by default).
    let lifetimes = json!({ "interaction": "1s" });
    let change = |config: Config| config.set("/authorization_server/lifetimes", lifetimes);
    let upstream = Upstream::start().await;
    let config = change(super::site::base(&upstream).await);
    let gateway = Gateway::start(config).await;
    let client = Client::register(&gateway).await;
    let mut browser = Browser::new(&gateway.uri(""));
    let asked = browser
        .open(&client.authorize(&gateway, "tasks:read"))
        .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let late = browser.submit(&asked, CREDENTIALS).await;
    table.row("too late", page(&late, 400));
    table.check("too late", late.text().contains("took too long"), || {
        late.text()
    });
}

/// Fails unless guesses at this name are slowed down, and then the right password is as well. On a slow machine a wait can be over
/// before the next attempt: then it begins again, with a wait that is twice as long.
async fn slowed_down(browser: &mut Browser, asked: &Reply, name: &str) -> Result<(), String> {
    for _ in 0..8 {
        let started = Instant::now();
        let wrong = browser
            .submit(asked, &[("username", name), ("password", "wrong")])
            .await;
        if wrong.status == 403 {
            continue;
        }
        page(&wrong, 429)?;
        let wait = wrong.header("retry-after").parse::<u64>();
        let wait = wait.map_err(|error| format!("{error}: {:?}", wrong.headers))?;
        let right = browser
            .submit(asked, &[("username", name), ("password", PASSWORD)])
            .await;
        if right.status == 429 {
            return page(&right, 429);
        }
        if started.elapsed() < Duration::from_secs(wait.saturating_sub(1)) {
            return Err(format!("{} before {wait} s", right.status));
        }
    }
    Err("never slowed down".to_owned())
}

#[tokio::test]
async fn attack_135_guesses_are_slowed_down_and_do_not_tell_who_exists() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[("prompt", Some("login"))]);
    let asked = site.person.open(&url).await;
    let mut seen = Vec::new();
    for name in [USER, "nobody"] {
        let (mut fastest, mut pages) = (Duration::MAX, Vec::new());
        for attempt in 0..5 {
            let guess = format!("wrong password {attempt}");
            let fields = [("username", name), ("password", guess.as_str())];
            let started = Instant::now();
            let reply = site.person.submit(&asked, &fields).await;
            fastest = fastest.min(started.elapsed());
            table.row(name, page(&reply, 403));
            pages.push(
                reply
                    .text()
                    .replace(name, "NAME")
                    .replace(&interaction(&reply), ""),
            );
        }
        table.check(name, pages.iter().all(|page| *page == pages[0]), || {
            pages.concat()
        });
        table.row(name, slowed_down(&mut site.person, &asked, name).await);
        seen.push((fastest, pages[0].clone()));
    }
    let [(known, page_of_known), (unknown, page_of_unknown)] = seen.try_into().unwrap();
    assert_eq!(page_of_known, page_of_unknown);
    // Without a hash for a name that nobody has, its answer would come in a hundredth of the time.
    let is_alike = known < unknown * 5 && unknown < known * 5;
    table.check("the time", is_alike, || format!("{known:?}, {unknown:?}"));
    // In capitals it is the same name.
    table.row("ANA", slowed_down(&mut site.person, &asked, "ANA").await);
}

#[tokio::test]
async fn attack_209_no_page_tells_another_site_its_address() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let consent = site.person.open(&site.request(&client.id, &[])).await;
    for reply in [&consent, &site.person.open("/sign-out").await] {
        table.row("the page", page(reply, 200));
        let html = reply.text();
        let leads_away = [
            "href=\"http",
            "src=\"http",
            "href=\"//",
            "src=\"//",
            "url(",
            "@import",
        ];
        let found = leads_away.iter().find(|mark| html.contains(**mark));
        table.check("the page", found.is_none(), || format!("{found:?}: {html}"));
    }
    let style = site.gateway.get("/oauth.css").send().await.text();
    table.check(
        "the style sheet",
        !style.contains("http") && !style.contains("@import"),
        || style.clone(),
    );
    let allowed = site.person.submit(&consent, &[("decision", "allow")]).await;
    let error = site
        .person
        .open(&site.request(&client.id, &[("response_type", Some("token"))]))
        .await;
    for reply in [allowed, error] {
        let found = (
            reply.status,
            reply.header("referrer-policy"),
            reply.header("cache-control"),
        );
        table.check("leaving", found == (303, "no-referrer", "no-store"), || {
            format!("{found:?}")
        });
        table.check("leaving", reply.body.is_empty(), || reply.text());
    }
}

/// A gateway behind TLS, and an HTTP client that trusts it.
async fn behind_tls() -> (Gateway, reqwest::Client, Upstream) {
    let (authority, upstream) = (certificates::Authority::new(), Upstream::start().await);
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let (certificate, private_key) = authority.leaf(&["localhost"]).write(config.folder(), "tls");
    let url = format!("https://localhost:{}", config.public.port());
    let files = json!([{ "certificate": certificate, "private_key": private_key }]);
    let config = config
        .set("/public_url", url)
        .set("/listen/0/tls", json!({ "certificates": files }));
    let gateway = Gateway::start(config).await;
    let trusted = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([trusted])
        .resolve("localhost", gateway.config.public)
        .build()
        .unwrap();
    (gateway, http, upstream)
}

#[tokio::test]
async fn attack_235_a_cookie_is_bound_to_its_host_and_works_on_plain_loopback() {
    let site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[]);
    let asked = site.gateway.get(&url).send().await;
    let set = asked.header("set-cookie");
    let (name, attributes) = set.split_once(';').unwrap();
    assert!(name.starts_with("mcp-session="), "{set}");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Lax");

    let (gateway, http, _upstream) = behind_tls().await;
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let register = Call::new(&http, Method::POST, gateway.uri("/register"))
        .with("content-type", "application/json")
        .body(metadata.to_string());
    let id = register.send().await.json()["client_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let client = Client { id, ..client };
    let open = |cookie: &str| {
        let url = gateway.uri(&client.authorize(&gateway, "tasks:read"));
        let call = Call::new(&http, Method::GET, url);
        match cookie {
            "" => call,
            cookie => call.with("cookie", cookie),
        }
    };
    let asked = open("").send().await;
    let set = asked.header("set-cookie").to_owned();
    let (pair, attributes) = set.split_once(';').unwrap();
    assert!(pair.starts_with("__Host-mcp-session="), "{set}");
    assert_eq!(attributes, " Path=/; Secure; HttpOnly; SameSite=Lax");
    // The browser keeps it; one without the prefix, which another host could set, or a second one beside it is not taken.
    assert_eq!(open(pair).send().await.header("set-cookie"), "");
    let unprefixed = pair.trim_start_matches("__Host-");
    for odd in [
        unprefixed,
        &format!("{pair}; {pair}x"),
        &pair.to_lowercase(),
        &format!("{pair}A"),
    ] {
        let reply = open(odd).send().await;
        assert!(
            reply
                .header("set-cookie")
                .starts_with("__Host-mcp-session="),
            "{odd}"
        );
    }
}

#[tokio::test]
async fn attack_237_a_form_counts_by_its_token_whatever_its_origin_says() {
    let mut site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    for origin in ["null", "", "https://webview.example"] {
        let mut browser = site.stranger();
        let asked = browser.open(&site.request(&client.id, &[])).await;
        let fields: Vec<_> = CREDENTIALS
            .iter()
            .copied()
            .map(|(name, value)| (name, value.to_owned()))
            .chain([("interaction", interaction(&asked))])
            .collect();
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let call = site.by(&browser, "/sign-in", &fields);
        let call = match origin {
            "" => call,
            origin => call.with("origin", origin),
        };
        let reply = call.send().await;
        assert_eq!(reply.status, 303, "{origin}: {}", reply.text());
    }
    let consent = site.person.open(&site.request(&client.id, &[])).await;
    client.code(&site.gateway, &site.person.allow(&consent).await);
}
