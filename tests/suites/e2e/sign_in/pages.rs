//! What people's browsers get: whose form it is, in which browser, and what comes with the pages.

use e2e::client::Reply;
use e2e::sign_in::browser::{Browser, query};
use e2e::sign_in::client::{Client, REDIRECT};
use e2e::sign_in::{PASSWORD, USER, hash, with_users};
use serde_json::json;

use super::flows::Site;

/// Somebody else, with the same password.
const OTHER: &str = "bo";

/// A gateway that both users can sign in to.
async fn site() -> Site {
    let hash = hash(PASSWORD).await;
    let users = json!({ "users": [
        { "name": USER, "password": hash },
        { "name": OTHER, "password": hash },
    ] });
    Site::with(|config| with_users(config, &users.to_string())).await
}

/// Signs in on a page that was opened before; the consent page.
async fn sign_in_on(browser: &mut Browser, page: &Reply, user: &str) -> Reply {
    let fields = [("username", user), ("password", PASSWORD)];
    let signed_in = browser.submit(page, &fields).await;
    let consent = browser.follow(signed_in).await;
    assert!(
        consent.text().contains("Allow access?"),
        "{user}: {}",
        consent.text()
    );
    consent
}

/// What comes of pressing Allow: a code for the client, the way to sign in, or a status.
async fn allow(browser: &mut Browser, page: &Reply) -> String {
    let reply = browser.submit(page, &[("decision", "allow")]).await;
    match reply.header("location") {
        "" => reply.status.to_string(),
        to if to.starts_with("/authorize?") => "starts again".to_owned(),
        to => {
            assert!(
                to.starts_with(REDIRECT) && query(to).contains_key("code"),
                "{to}"
            );
            e2e::leaks::secret(&query(to)["code"]);
            "a code".to_owned()
        }
    }
}

#[tokio::test]
async fn a_consent_page_is_answered_by_its_own_user_in_its_own_browser_only() {
    let site = site().await;
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:read");
    let another = format!("{url}&prompt=login");

    // Three tabs that show the sign-in page: each sign-in gives the browser a new cookie.
    let mut own = site.browser();
    let tabs = [
        own.open(&url).await,
        own.open(&url).await,
        own.open(&url).await,
    ];
    let mut pages = Vec::new();
    for tab in &tabs {
        pages.push(sign_in_on(&mut own, tab, USER).await);
    }
    for page in &pages {
        assert_eq!(allow(&mut own, page).await, "a code");
    }

    // Another account in the same browser, and the first one again.
    let page = own.open(&url).await;
    let tab = own.open(&another).await;
    let others = sign_in_on(&mut own, &tab, OTHER).await;
    assert_eq!(allow(&mut own, &page).await, "403");
    assert_eq!(allow(&mut own, &others).await, "a code");
    let others = own.open(&url).await;
    let tab = own.open(&another).await;
    sign_in_on(&mut own, &tab, USER).await;
    assert_eq!(allow(&mut own, &others).await, "403");
    assert_eq!(allow(&mut own, &page).await, "a code");

    // The same user in another browser, somebody else in theirs, and nobody.
    let page = own.open(&url).await;
    for user in [USER, OTHER] {
        let mut elsewhere = site.browser();
        elsewhere.sign_in(&url, user, PASSWORD).await;
        assert_eq!(allow(&mut elsewhere, &page).await, "403", "{user}");
    }
    assert_eq!(allow(&mut site.browser(), &page).await, "403");
    let mut before = site.browser();
    before.open(&url).await;
    assert_eq!(allow(&mut before, &page).await, "403");

    // Signing out ends what was open, also after the same user signed in again.
    let question = own.open("/sign-out").await;
    own.submit(&question, &[]).await;
    assert_eq!(allow(&mut own, &page).await, "403");
    own.sign_in(&url, USER, PASSWORD).await;
    assert_eq!(allow(&mut own, &page).await, "403");
}

/// Somebody brings their own cookie into another person's browser, keeps a consent page of it, and waits until that person signs in.
#[tokio::test]
async fn a_cookie_that_somebody_brought_into_a_browser_opens_nothing_of_its_user() {
    let site = site().await;
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:read");
    for is_signed_in in [true, false] {
        let mut attacker = site.browser();
        let page = match is_signed_in {
            true => attacker.sign_in(&url, OTHER, PASSWORD).await,
            false => attacker.open(&url).await,
        };
        let mut victim = site.browser();
        victim.cookies = attacker.cookies.clone();
        let tab = victim.open(&format!("{url}&prompt=login")).await;
        let own = sign_in_on(&mut victim, &tab, USER).await;
        assert_ne!(victim.cookies, attacker.cookies);
        if is_signed_in {
            // The page of the attacker, sent from the browser of the victim: not the victim's decision.
            assert_eq!(allow(&mut victim, &page).await, "403");
        }
        // The page of the victim, and the victim's session, in the browser of the attacker.
        assert_eq!(allow(&mut attacker, &own).await, "403");
        let shown = attacker.open(&url).await;
        assert!(
            shown.text().contains("name=\"password\""),
            "{}",
            shown.text()
        );
        assert_eq!(allow(&mut victim, &own).await, "a code");
    }
}

#[tokio::test]
async fn a_user_who_may_allow_nothing_is_offered_another_account() {
    let hash = hash(PASSWORD).await;
    let users = json!({ "users": [
        { "name": USER, "password": hash },
        { "name": OTHER, "password": hash, "scopes": ["tasks:read"] },
    ] });
    let site = Site::with(|config| with_users(config, &users.to_string())).await;
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:write");
    let mut browser = site.browser();
    let page = browser.sign_in(&url, OTHER, PASSWORD).await;
    assert_eq!(page.status, 403);
    let text = page.text();
    let link = text
        .split("<a class=\"button\" href=\"")
        .nth(1)
        .expect("a link");
    let link = link.split('"').next().unwrap().replace("&#38;", "&");
    let consent = browser.sign_in(&link, USER, PASSWORD).await;
    assert_eq!(allow(&mut browser, &consent).await, "a code");
}

#[tokio::test]
async fn browsers_that_ask_for_an_icon_get_none_for_a_day() {
    let site = Site::start().await;
    let icon = site.gateway.get("/favicon.ico").send().await;
    assert_eq!(
        (icon.status, icon.header("cache-control")),
        (204, "public, max-age=86400")
    );
    assert!(icon.body.is_empty());
    let found = site.gateway.metrics().await;
    assert_eq!(found.sum("mcp_gateway_refusals_total", &[]), 0.0);
}

#[tokio::test]
async fn the_page_for_a_document_that_is_not_fetched_does_not_offer_to_try_again() {
    let fetch = json!({ "fetch": false });
    let site =
        Site::with(|config| config.set("/authorization_server/metadata_documents", fetch)).await;
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:read");
    let url = url.replace(
        &client.id,
        "https%3A%2F%2Fclient.example.com%2Fmetadata.json",
    );
    let page = site.browser().open(&url).await;
    assert_eq!((page.status, page.header("retry-after")), (503, ""));
    assert!(
        page.text().contains("(metadata_documents.fetch)"),
        "{}",
        page.text()
    );
}
