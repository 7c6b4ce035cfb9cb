//! The whole way of a client that knows the URL alone: metadata, registration, sign-in, consent, tokens, calls, revocation.

use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::{Browser, query};
use e2e::sign_in::client::{Client, Tokens, call, redemption};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use serde_json::{Value, json};

/// A gateway with the built-in authorization server before a recording upstream.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    pub(super) upstream: Upstream,
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::with(|config| config).await
    }

    pub(super) async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
        let gateway = Gateway::start(change(config)).await;
        Self { gateway, upstream }
    }

    pub(super) fn browser(&self) -> Browser {
        Browser::new(&self.gateway.uri(""))
    }

    /// The tokens of a client whose user allowed everything.
    pub(super) async fn signed_in(&self) -> (Client, Tokens) {
        let client = Client::register(&self.gateway).await;
        let url = client.authorize(&self.gateway, "tasks:read tasks:write");
        let mut browser = self.browser();
        let consent = browser.sign_in(&url, USER, PASSWORD).await;
        let location = browser.allow(&consent).await;
        let code = client.code(&self.gateway, &location);
        let tokens = client.redeem(&self.gateway, &code).await;
        (client, tokens)
    }
}

#[tokio::test]
async fn a_client_with_the_url_alone_signs_its_user_in_calls_refreshes_and_is_revoked() {
    let site = Site::start().await;
    let gateway = &site.gateway;

    let refused = gateway
        .post(e2e::client::tool(1, "list_tasks"))
        .send()
        .await;
    assert_eq!(refused.status, 401);
    let resource = gateway
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await
        .json();
    assert_eq!(resource["authorization_servers"][0], gateway.uri(""));
    for path in ["oauth-authorization-server", "openid-configuration"] {
        let reply = gateway.get(&format!("/.well-known/{path}")).send().await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        let server = reply.json();
        assert_eq!(server["issuer"], gateway.uri(""));
        assert_eq!(server["registration_endpoint"], gateway.uri("/register"));
    }
    let keys = gateway.get("/jwks.json").send().await.json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1), "{keys}");

    let (client, tokens) = site.signed_in().await;
    assert_eq!(tokens.answer["scope"], "tasks:read tasks:write");
    assert_eq!(tokens.answer["token_type"], "Bearer");
    assert_eq!(call(gateway, &tokens.access).await.status, 200);
    assert_eq!(site.upstream.hits(), 1);

    let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
    let newer = Tokens::of(answer);
    assert_ne!(newer.refresh, tokens.refresh);
    assert_eq!(call(gateway, &newer.access).await.status, 200);
    // Two clients that share a token file refresh at once: both get the same.
    let (status, again) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(
        (status, &again["refresh_token"]),
        (200, &newer.answer["refresh_token"])
    );

    assert_eq!(client.revoke(gateway, &newer.refresh).await, 200);
    for token in [&tokens.access, &newer.access] {
        assert_eq!(call(gateway, token).await.status, 401);
    }
    let (status, answer) = client.refresh(gateway, &newer.refresh).await;
    assert_eq!(
        (status, answer["error"].as_str()),
        (400, Some("invalid_grant"))
    );
}

#[tokio::test]
async fn a_user_may_refuse_and_mistype_and_another_browser_cannot_consent() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let url = client.authorize(gateway, "tasks:read");
    let mut browser = site.browser();

    let page = browser.open(&url).await;
    let before = browser.cookies.clone();
    let wrong = browser
        .submit(&page, &[("username", USER), ("password", "wrong password")])
        .await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.text().contains("not correct"), "{}", wrong.text());
    let signed_in = browser
        .submit(&wrong, &[("username", "ANA"), ("password", PASSWORD)])
        .await;
    let consent = browser.follow(signed_in).await;
    assert_eq!(consent.status, 200);
    assert!(
        consent.text().contains("See your tasks"),
        "{}",
        consent.text()
    );
    assert_ne!(browser.cookies, before, "a sign-in makes a new cookie");

    let mut other = site.browser();
    let stolen = other.submit(&consent, &[("decision", "allow")]).await;
    assert_eq!(stolen.status, 403);
    let denied = query(&browser.decide(&consent, "deny").await);
    assert_eq!(denied["error"], "access_denied");
    assert_eq!(denied["state"], "a state");
    assert_eq!(denied["iss"], gateway.uri(""));

    // A second request of a signed-in user asks for consent at once, and a double click gets the same code.
    let consent = browser.open(&url).await;
    let first = browser.allow(&consent).await;
    assert_eq!(browser.allow(&consent).await, first);
    let code = client.code(gateway, &first);
    client.redeem(gateway, &code).await;
    let done = browser.submit(&consent, &[("decision", "allow")]).await;
    assert_eq!(done.status, 200);
    assert!(done.text().contains("Already answered"), "{}", done.text());

    let question = browser.open("/sign-out").await;
    let signed_out = browser.submit(&question, &[]).await;
    assert!(
        signed_out.text().contains("Signed out"),
        "{}",
        signed_out.text()
    );
    let page = browser.open(&url).await;
    assert!(page.text().contains("name=\"password\""), "{}", page.text());
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused() {
    let site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let url = client.authorize(&site.gateway, "tasks:read");
    let mut browser = site.browser();
    let page = browser.open(&url).await;
    let credentials = [("username", USER), ("password", PASSWORD)];
    browser.fetch_site = "cross-site";
    assert_eq!(browser.submit(&page, &credentials).await.status, 403);
    browser.fetch_site = "same-origin";
    let signed_in = browser.submit(&page, &credentials).await;
    let consent = browser.follow(signed_in).await;
    let question = browser.open("/sign-out").await;
    browser.fetch_site = "cross-site";
    for (page, fields) in [(&consent, &[("decision", "allow")][..]), (&question, &[])] {
        let refused = browser.submit(page, fields).await;
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("<html"), "{}", refused.text());
    }
    browser.fetch_site = "same-origin";
    let location = browser.allow(&consent).await;
    client.code(&site.gateway, &location);
}

#[tokio::test]
async fn of_many_redemptions_of_a_code_one_succeeds_and_its_grant_is_then_ended() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let url = client.authorize(gateway, "tasks:read");
    let mut browser = site.browser();
    let consent = browser.sign_in(&url, USER, PASSWORD).await;
    let location = browser.allow(&consent).await;
    let code = client.code(gateway, &location);
    let asked = redemption(&code);
    let all = (0..50).map(|_| client.ask(gateway, &asked));
    let answers = futures_util::future::join_all(all).await;
    let good: Vec<&Value> = answers
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, answer)| answer)
        .collect();
    assert_eq!(good.len(), 1, "{answers:?}");
    let tokens = Tokens::of(good[0].clone());
    assert_eq!(call(gateway, &tokens.access).await.status, 401);
    let (status, _) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_request_that_names_no_trustworthy_redirect_gets_a_page_and_is_never_redirected() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let good = client.authorize(gateway, "tasks:read");
    let mut browser = site.browser();
    for (sent, instead, status) in [
        (client.id.as_str(), "somebody-else", 400),
        (
            "127.0.0.1%3A7777%2Fcallback",
            "127.0.0.1%3A7777%2Fother",
            400,
        ),
        ("redirect_uri=http", "redirect_uri=javascript", 400),
    ] {
        let page = browser.open(&good.replace(sent, instead)).await;
        assert_eq!(page.status, status, "{instead}");
        assert_eq!(page.header("location"), "");
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
    }
    let redirected = browser
        .open(&good.replace("response_type=code", "response_type=token"))
        .await;
    assert_eq!(redirected.status, 303);
    let error = query(redirected.header("location"));
    assert_eq!(error["error"], "unsupported_response_type");
}

#[tokio::test]
async fn every_step_has_an_audit_line_with_client_user_and_outcome() {
    let site = Site::with(|config| config.set("/audit", json!({ "file": "audit.log" }))).await;
    let gateway = &site.gateway;
    let (client, tokens) = site.signed_in().await;
    let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(status, 200);
    let newer = Tokens::of(answer);
    assert_eq!(client.revoke(gateway, &newer.refresh).await, 200);
    let (status, _) = client.refresh(gateway, &newer.refresh).await;
    assert_eq!(status, 400);
    let lines = || {
        let audit = gateway.config.audit();
        let lines = audit
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    eventually("seven lines", async || lines().len() >= 7).await;
    let outcomes: Vec<_> = lines()
        .iter()
        .map(|line| format!("{} {}", text(line, "event"), text(line, "outcome")))
        .collect();
    let expected = [
        "registration registered",
        "sign_in signed_in",
        "consent allowed",
        "token issued",
        "token issued",
        "revocation revoked",
        "token invalid_grant",
    ];
    assert_eq!(outcomes, expected);
    let lines = lines();
    assert!(
        lines
            .iter()
            .all(|line| !text(line, "request_id").is_empty())
    );
    assert!(
        lines[2..]
            .iter()
            .all(|line| text(line, "client_id") == client.id)
    );
    assert_eq!(text(&lines[3], "subject"), format!("u:{USER}"));
    assert_eq!(text(&lines[3], "resource"), gateway.uri("/mcp"));
    assert_eq!(text(&lines[3], "grant"), text(&lines[5], "grant"));
    assert!(
        text(&lines[6], "reason").contains("grant_ended"),
        "{}",
        lines[6]
    );
}

fn text(line: &Value, field: &str) -> String {
    line[field].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_was_granted_survives_a_restart_and_so_does_what_was_revoked() {
    let mut site = Site::start().await;
    let (client, tokens) = site.signed_in().await;
    let (revoked_client, revoked) = site.signed_in().await;
    assert_eq!(
        revoked_client.revoke(&site.gateway, &revoked.refresh).await,
        200
    );
    site.gateway.stop().await;
    let config = site.gateway.config.clone();
    let gateway = Gateway::start(config).await;
    assert_eq!(call(&gateway, &tokens.access).await.status, 200);
    assert_eq!(call(&gateway, &revoked.access).await.status, 401);
    let (status, _) = client.refresh(&gateway, &tokens.refresh).await;
    assert_eq!(status, 200);
    let (status, _) = revoked_client.refresh(&gateway, &revoked.refresh).await;
    assert_eq!(status, 400);
}
