//! Numbers 46 to 48 and 137 and the incidents with consent: who is asked, how often, in which browser, and what the page shows.

use e2e::gateway::config::Config;
use e2e::sign_in::browser::query;
use e2e::sign_in::client::{Client, REDIRECT, redemption};
use e2e::sign_in::{PASSWORD, USER};
use e2e::world::Table;
use http::Method;
use serde_json::json;

use super::site::{ALL_SCOPES, Site, answer_at, interaction, page, refused};

/// A client that presents the URL of its document, of which the program has a copy.
const DOCUMENT: &str = "https://claude.ai/oauth/claude-code-client-metadata";

/// The redirect URI of the document's client.
const OF_DOCUMENT: &str = "http://localhost:49152/callback";

/// A gateway that knows clients in every way.
fn knowing_all(config: Config) -> Config {
    config
        .set("/authorization_server/metadata_documents/fetch", false)
        .set("/authorization_server/unknown_clients/allow", true)
        .set(
            "/authorization_server/clients",
            json!([{ "id": "configured", "redirect_uris": [REDIRECT] }]),
        )
}

#[tokio::test]
async fn attack_046_consent_to_one_client_is_none_to_another() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let honest = Client::register(&site.gateway).await;
    let granted = site.tokens(&honest, ALL_SCOPES).await;
    // The attacker's client has the same name, and its answers go to the attacker.
    let evil = "https://evil.example/callback";
    let attacker = site.client(evil, "none").await;
    let changes = [("redirect_uri", Some(evil))];
    let asked = site
        .person
        .open(&site.request(&attacker.id, &changes))
        .await;
    table.row("asked", page(&asked, 200));
    let text = asked.text();
    let shows = text.contains("evil.example") && text.contains(&attacker.id);
    table.check("shown", shows && text.contains("Not verified"), || {
        text.clone()
    });
    let silent = [changes[0], ("prompt", Some("none"))];
    let reply = site.person.open(&site.request(&attacker.id, &silent)).await;
    // Not even the error is sent to a host that a stranger chose.
    table.row("silent", page(&reply, 400));
    // The honest client's id does not lead there.
    let mixed = site.person.open(&site.request(&honest.id, &changes)).await;
    table.row("mixed", page(&mixed, 400));
    let denied = query(&site.person.decide(&asked, "deny").await);
    table.check("denied", denied["error"] == "access_denied", || {
        format!("{denied:?}")
    });
    table.row("the honest one", site.lives(&honest, &granted).await);
}

#[tokio::test]
async fn attack_047_a_sign_in_ends_in_the_browser_that_began_it() {
    let site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[]);
    let (mut attacker, mut victim) = (site.stranger(), site.stranger());
    let of_attacker = attacker.open(&url).await;
    let credentials = [("username", USER), ("password", PASSWORD)];
    // The victim's browser was never here, then it was.
    for turn in ["no cookie", "its own cookie"] {
        let reply = victim.submit(&of_attacker, &credentials).await;
        table.row(turn, page(&reply, 403));
        victim.open(&url).await;
    }
    let signed_in = victim.sign_in(&url, USER, PASSWORD).await;
    table.row("its own form", page(&signed_in, 200));
    // The attacker's page is not answered by the victim's session, and the attacker is not signed in by it.
    let reply = victim.submit(&of_attacker, &credentials).await;
    table.row("signed in", page(&reply, 403));
    let reply = attacker.submit(&signed_in, &[("decision", "allow")]).await;
    table.row("the victim's consent page", page(&reply, 403));
    let asked = attacker.open(&url).await;
    table.check(
        "the attacker",
        asked.text().contains("name=\"password\""),
        || asked.text(),
    );
    let location = victim.allow(&signed_in).await;
    client.code(&site.gateway, &location);
}

#[tokio::test]
async fn attack_048_nothing_is_allowed_without_an_answer_of_the_person() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let client = Client::register(&site.gateway).await;
    for turn in 0..3 {
        let name = format!("turn {turn}");
        let url = site.request(&client.id, &[("prompt", Some("none"))]);
        let reply = site.person.open(&url).await;
        let outcome = answer_at(reply.header("location"), REDIRECT, &issuer);
        if let Some(answer) = table.row(&name, outcome) {
            let is_refused = answer["error"] == "consent_required" && !answer.contains_key("code");
            table.check(&name, is_refused, || format!("{answer:?}"));
        }
        let consent = site.person.open(&site.request(&client.id, &[])).await;
        table.row(&name, page(&consent, 200));
        // Neither a link nor an unknown answer allows anything.
        let sealed = interaction(&consent);
        let link = format!("/consent?interaction={sealed}&decision=allow");
        let followed = site.person.open(&link).await;
        table.check(&name, followed.status == 405, || followed.text());
        for decision in ["", "yes", "Allow", "allow,deny"] {
            let reply = site
                .person
                .submit(&consent, &[("decision", decision)])
                .await;
            table.row(&format!("{name} {decision:?}"), page(&reply, 400));
        }
        let location = site.person.allow(&consent).await;
        client
            .redeem(&site.gateway, &client.code(&site.gateway, &location))
            .await;
    }
    let silent = site
        .stranger()
        .open(&site.request(&client.id, &[("prompt", Some("none"))]))
        .await;
    let answer = query(silent.header("location"));
    table.check("a stranger", answer["error"] == "login_required", || {
        format!("{answer:?}")
    });
}

#[tokio::test]
async fn attack_137_people_see_where_an_answer_goes_and_whether_anybody_vouches_for_the_client() {
    let mut site = Site::with(knowing_all).await;
    let mut table = Table::default();
    let web = "https://app.example:8443/callback";
    let registered = site.client(web, "none").await;
    let local = site.client(REDIRECT, "none").await;
    let warning = "Another program on it could pretend to be this one";
    for (id, redirect, host, shown, is_local) in [
        (
            local.id.as_str(),
            REDIRECT,
            "127.0.0.1:7777",
            "Not verified",
            true,
        ),
        (
            &registered.id,
            web,
            "app.example:8443",
            "Not verified",
            false,
        ),
        (
            DOCUMENT,
            OF_DOCUMENT,
            "localhost:49152",
            "Known as an application of",
            true,
        ),
        (
            "configured",
            REDIRECT,
            "127.0.0.1:7777",
            "Set up by the operator",
            true,
        ),
        (
            "a-stranger",
            REDIRECT,
            "127.0.0.1:7777",
            "this server does not know it",
            true,
        ),
    ] {
        let url = site.request(id, &[("redirect_uri", Some(redirect))]);
        let consent = site.person.open(&url).await;
        table.row(id, page(&consent, 200));
        let text = consent.text();
        table.check(id, text.contains(&format!("<bdi>{host}</bdi>")), || {
            text.clone()
        });
        table.check(id, text.contains(shown), || text.clone());
        table.check(id, text.contains(warning) == is_local, || text.clone());
        let refusing = text
            .find("value=\"deny\"")
            .zip(text.find("value=\"allow\""));
        table.check(
            id,
            refusing.is_some_and(|(deny, allow)| deny < allow),
            || text.clone(),
        );
    }
}

#[tokio::test]
async fn attack_188_a_consent_page_is_answered_by_the_browser_that_sees_it() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let consent = site.person.open(&site.request(&client.id, &[])).await;
    let (mut signed_in, mut stranger) = (site.stranger(), site.stranger());
    let other = signed_in
        .sign_in(&site.request(&client.id, &[]), USER, PASSWORD)
        .await;
    for decision in ["allow", "deny"] {
        let fields = [("decision", decision)];
        for (name, browser) in [
            ("the same user", &mut signed_in),
            ("a stranger", &mut stranger),
        ] {
            let reply = browser.submit(&consent, &fields).await;
            table.row(name, page(&reply, 403));
        }
    }
    // A page of before a sign-in is one of after it only for the same user: another person may sit there.
    let mut before = site.person.clone();
    let changed = site.request(&client.id, &[("prompt", Some("login"))]);
    let again = site.person.sign_in(&changed, USER, PASSWORD).await;
    table.row("signed in again", page(&again, 200));
    let location = site.person.allow(&consent).await;
    client.code(&site.gateway, &location);
    let reply = before.submit(&consent, &[("decision", "allow")]).await;
    let is_signed_out = reply.status == 303 && reply.header("location").starts_with("/authorize?");
    table.check("the cookie of before", is_signed_out, || reply.text());
    for (browser, page) in [(&mut signed_in, &other), (&mut site.person, &again)] {
        let location = browser.allow(page).await;
        client.code(&site.gateway, &location);
    }
}

#[tokio::test]
async fn attack_189_every_request_is_decided_anew_whoever_the_client_is() {
    let mut site = Site::with(knowing_all).await;
    let mut table = Table::default();
    let registered = Client::register(&site.gateway).await;
    for (id, redirect) in [
        (registered.id.as_str(), REDIRECT),
        (DOCUMENT, OF_DOCUMENT),
        ("configured", REDIRECT),
        ("a-stranger", REDIRECT),
    ] {
        for prompt in [None, Some("consent"), Some("consent unknown")] {
            let changes = [("redirect_uri", Some(redirect)), ("prompt", prompt)];
            let consent = site.person.open(&site.request(id, &changes)).await;
            table.row(id, page(&consent, 200));
            let answer = query(&site.person.allow(&consent).await);
            table.check(id, answer.contains_key("code"), || format!("{answer:?}"));
        }
    }
}

#[tokio::test]
async fn attack_190_a_consent_page_that_is_loaded_twice_gives_codes_that_work_once() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[]);
    let (one, two) = (site.person.open(&url).await, site.person.open(&url).await);
    let (first, again) = (site.person.allow(&one).await, site.person.allow(&one).await);
    let second = site.person.allow(&two).await;
    assert_eq!(first, again);
    assert_ne!(first, second);
    for (location, page_of) in [(&first, &one), (&second, &two)] {
        let code = client.code(&site.gateway, location);
        client.redeem(&site.gateway, &code).await;
        for decision in ["allow", "deny"] {
            let reply = site.person.submit(page_of, &[("decision", decision)]).await;
            table.row(decision, page(&reply, 200));
            table.check(decision, reply.text().contains("Already answered"), || {
                reply.text()
            });
        }
    }
    // Who allows and then refuses in the same page has refused.
    let third = site.person.open(&url).await;
    let code = client.code(&site.gateway, &site.person.allow(&third).await);
    let denied = query(&site.person.decide(&third, "deny").await);
    assert_eq!(denied["error"], "access_denied");
    let answer = client.ask(&site.gateway, &redemption(&code)).await;
    table.row("refused afterwards", refused(&answer, 400, "invalid_grant"));
}

#[tokio::test]
async fn attack_214_a_private_scheme_is_not_shown_like_a_web_host() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let redirect = "cursor://anysphere.cursor-mcp/oauth/callback";
    let client = site.client(redirect, "none").await;
    let url = site.request(&client.id, &[("redirect_uri", Some(redirect))]);
    let consent = site.person.open(&url).await;
    table.row("the page", page(&consent, 200));
    let text = consent.text();
    let place = text
        .split_once("id=\"where\"")
        .unwrap()
        .1
        .split("</section>")
        .next()
        .unwrap();
    let is_scheme = place.contains("<bdi>cursor:</bdi>") && !place.contains("anysphere");
    table.check("the place", is_scheme && !place.contains("://"), || {
        place.to_owned()
    });
    table.check(
        "the warning",
        text.contains("Another app could pretend"),
        || text.clone(),
    );
    let location = site.person.allow(&consent).await;
    table.row(
        "the answer",
        answer_at(&location, redirect, &site.gateway.uri("")),
    );
    for hostile in [
        "cursor://claude.ai/callback",
        "cursor://www.example.com",
        "cursor://host:443/x",
        "cursor://user@host/",
    ] {
        let reply = site.register(&json!({ "redirect_uris": [hostile] })).await;
        table.check(hostile, reply.status == 400, || reply.text());
    }
}

#[tokio::test]
async fn attack_234_prompt_shows_what_it_asks_for() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let client = Client::register(&site.gateway).await;
    for (prompt, signs_in) in [
        ("consent", false),
        ("create", false),
        ("login", true),
        ("select_account", true),
        ("consent login", true),
    ] {
        let url = site.request(&client.id, &[("prompt", Some(prompt))]);
        let mut reply = site.person.open(&url).await;
        table.row(prompt, page(&reply, 200));
        let asks = reply.text().contains("name=\"password\"");
        table.check(prompt, asks == signs_in, || reply.text());
        if asks {
            // It is asked once, not in a circle.
            let signed_in = site
                .person
                .submit(&reply, &[("username", USER), ("password", PASSWORD)])
                .await;
            reply = site.person.follow(signed_in).await;
        }
        let location = site.person.allow(&reply).await;
        table.row(prompt, answer_at(&location, REDIRECT, &issuer));
    }
    let metadata = site
        .gateway
        .request(Method::GET, "/.well-known/oauth-authorization-server");
    let known = metadata.send().await.json()["prompt_values_supported"].clone();
    assert_eq!(known, json!(["none", "login", "consent", "select_account"]));
}

#[tokio::test]
async fn attack_240_a_client_that_changes_gets_nothing_that_it_was_allowed_before() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let manage = async |site: &Site, client: &Client, metadata: serde_json::Value| {
        let token = client.registered["registration_access_token"]
            .as_str()
            .unwrap();
        let path = format!("/register/{}", client.id);
        let call = site.gateway.request(Method::PUT, &path).token(token);
        let call = call
            .with("content-type", "application/json")
            .body(metadata.to_string());
        assert_eq!(call.open().await.status(), 200);
    };
    let metadata = |client: &Client, redirect: &str, method: &str| {
        json!({
            "client_id": client.id, "client_name": "Another", "redirect_uris": [redirect],
            "token_endpoint_auth_method": method,
        })
    };
    // Its redirect URI is removed while the page is open.
    let moved = Client::register(&site.gateway).await;
    let open = site.person.open(&site.request(&moved.id, &[])).await;
    let elsewhere = "https://elsewhere.example/callback";
    manage(&site, &moved, metadata(&moved, elsewhere, "none")).await;
    let late = site.person.submit(&open, &[("decision", "allow")]).await;
    table.row("moved", page(&late, 400));
    let asked = site.person.open(&site.request(&moved.id, &[])).await;
    table.row("moved", page(&asked, 400));
    // It gets rid of its secret: what it was given with one is not for one without.
    let secretive = site.client(REDIRECT, "client_secret_post").await;
    let tokens = site.tokens(&secretive, ALL_SCOPES).await;
    let code = site.code(&secretive.id, &[]).await;
    manage(&site, &secretive, metadata(&secretive, REDIRECT, "none")).await;
    let public = Client {
        secret: None,
        ..secretive.clone()
    };
    let answer = public.refresh(&site.gateway, &tokens.refresh).await;
    table.row("refresh", refused(&answer, 400, "invalid_grant"));
    let answer = public.ask(&site.gateway, &redemption(&code)).await;
    table.row("code", refused(&answer, 400, "invalid_grant"));
    let fields = [
        ("token", tokens.refresh.as_str()),
        ("client_id", secretive.id.as_str()),
    ];
    let revoked = site.form("/revoke", &fields, "").send().await;
    table.check("revoke", revoked.status == 400, || revoked.text());
    // Without a change everything goes on.
    let same = Client::register(&site.gateway).await;
    let open = site.person.open(&site.request(&same.id, &[])).await;
    manage(&site, &same, metadata(&same, REDIRECT, "none")).await;
    let location = site.person.allow(&open).await;
    let tokens = same
        .redeem(&site.gateway, &same.code(&site.gateway, &location))
        .await;
    table.row("the same", site.lives(&same, &tokens).await);
}
