//! People who sign in with a provider: the whole way, and every way in which it must not end with somebody signed in.

use e2e::client::Reply;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, call};
use e2e::sign_in::provider::{Behaviour, CLIENT_SECRET, Provider};
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::{P256, Proof};

/// A gateway whose people sign in with a provider.
struct Site {
    gateway: Gateway,
    provider: Provider,
    upstream: Upstream,
}

impl Site {
    async fn start() -> Self {
        Self::with(|config| config.without("authorization_server/users_file")).await
    }

    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let (upstream, provider) = (Upstream::start().await, Provider::start().await);
        let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
        let config = with_secret(config).set(
            "/authorization_server/providers",
            json!([provider.configured("corporate")]),
        );
        let gateway = Gateway::start(change(config)).await;
        Self {
            gateway,
            provider,
            upstream,
        }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.gateway.uri(""))
    }

    /// The page that says who asks, for a new client.
    async fn arrived(&self, browser: &mut Browser) -> (Client, Reply) {
        let client = Client::register(&self.gateway).await;
        let url = client.authorize(&self.gateway, "tasks:read tasks:write");
        let page = browser.open(&url).await;
        assert_eq!(page.status, 200, "{}", page.text());
        (client, page)
    }

    /// Where the browser leaves for.
    async fn left(&self, browser: &mut Browser) -> (Client, String) {
        let (client, page) = self.arrived(browser).await;
        let left = browser.submit(&page, &[("provider", "corporate")]).await;
        assert_eq!(left.status, 303, "{}", left.text());
        (client, left.header("location").to_owned())
    }

    /// The page after somebody came back from the provider.
    async fn came_back(&self, browser: &mut Browser, subject: &str) -> (Client, Reply) {
        let (client, location) = self.left(browser).await;
        let back = browser
            .open(&self.provider.sign_in(&location, subject))
            .await;
        (client, browser.follow(back).await)
    }

    /// The tokens of a client whose user allowed everything.
    async fn signed_in(&self, subject: &str) -> (Client, Tokens) {
        let mut browser = self.browser();
        let (client, consent) = self.came_back(&mut browser, subject).await;
        assert_eq!(consent.status, 200, "{}", consent.text());
        let location = browser.allow(&consent).await;
        let code = client.code(&self.gateway, &location);
        let tokens = client.redeem(&self.gateway, &code).await;
        (client, tokens)
    }
}

fn with_secret(config: Config) -> Config {
    use std::os::unix::fs::PermissionsExt;
    let file = config.write("provider.secret", CLIENT_SECRET);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, private).unwrap();
    config
}

#[tokio::test]
async fn somebody_signs_in_with_the_provider_and_calls() {
    let site = Site::start().await;
    site.provider.behave(|provider| {
        provider
            .claims
            .insert("email".to_owned(), json!("ana@example.com"));
    });
    let (client, tokens) = site.signed_in("248289761001").await;
    assert_eq!(tokens.answer["scope"], "tasks:read tasks:write");
    let subject = tokens.claims()["sub"].clone();
    assert!(subject.as_str().unwrap().starts_with("f:"), "{subject}");
    assert_eq!(call(&site.gateway, &tokens.access).await.status, 200);
    assert_eq!(site.upstream.hits(), 1);
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
    // The same account is the same person, another account another one.
    let (_, again) = site.signed_in("248289761001").await;
    assert_eq!(again.claims()["sub"], subject);
    let (_, other) = site.signed_in("248289761002").await;
    assert_ne!(other.claims()["sub"], subject);
    // Nothing that the provider gave reaches a client.
    assert!(
        !tokens.answer.to_string().contains("access-of"),
        "{}",
        tokens.answer
    );
}

#[tokio::test]
async fn nobody_leaves_before_the_page_that_says_who_asks() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let (_, page) = site.arrived(&mut browser).await;
    let text = page.text();
    assert!(
        text.contains("Tester") && text.contains("127.0.0.1:7777"),
        "{text}"
    );
    assert!(
        text.contains("Continue with <bdi>Example Ltd</bdi>"),
        "{text}"
    );
    assert!(!text.contains("name=\"password\""), "{text}");
    // The form of another browser, or of another site, leads nowhere.
    let foreign = site
        .browser()
        .submit(&page, &[("provider", "corporate")])
        .await;
    assert_eq!(foreign.status, 403);
    browser.fetch_site = "cross-site";
    let cross = browser.submit(&page, &[("provider", "corporate")]).await;
    assert_eq!(cross.status, 403);
    browser.fetch_site = "same-origin";
    let unknown = browser.submit(&page, &[("provider", "other")]).await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn nobody_leaves_for_a_client_of_the_operator_before_the_page_either() {
    let site = Site::with(|config| {
        config.without("authorization_server/users_file").set(
            "/authorization_server/clients",
            json!([{ "id": "console", "redirect_uris": [REDIRECT] }]),
        )
    })
    .await;
    let client = Client {
        id: "console".to_owned(),
        secret: None,
        registered: Value::Null,
    };
    let mut browser = site.browser();
    for prompt in ["", "&prompt=login", "&prompt=consent"] {
        let url = client.authorize(&site.gateway, "tasks:read") + prompt;
        let page = browser.open(&url).await;
        assert_eq!(page.status, 200, "{prompt}: {}", page.text());
        let text = page.text();
        for part in [
            "An application without a name",
            "console",
            "Set up by the operator",
            "127.0.0.1:7777",
            "Example Ltd",
        ] {
            assert!(text.contains(part), "{prompt}: {part}: {text}");
        }
    }
    let url = client.authorize(&site.gateway, "tasks:read");
    let page = browser.open(&url).await;
    let left = browser.submit(&page, &[("provider", "corporate")]).await;
    assert_eq!(left.status, 303, "{}", left.text());
    let back = site.provider.sign_in(left.header("location"), "1");
    let back = browser.open(&back).await;
    let consent = browser.follow(back).await;
    assert!(
        consent.text().contains("Allow access?"),
        "{}",
        consent.text()
    );
    let location = browser.allow(&consent).await;
    client
        .redeem(&site.gateway, &client.code(&site.gateway, &location))
        .await;
}

#[tokio::test]
async fn local_users_and_a_provider_stand_beside_one_another() {
    let site = Site::with(|config| config).await;
    let mut browser = site.browser();
    let (_, page) = site.arrived(&mut browser).await;
    let text = page.text();
    assert!(
        text.contains("name=\"password\"") && text.contains("Example Ltd"),
        "{text}"
    );
    let own = [
        ("username", e2e::sign_in::USER),
        ("password", e2e::sign_in::PASSWORD),
    ];
    let signed_in = browser.submit(&page, &own).await;
    let consent = browser.follow(signed_in).await;
    assert!(
        consent.text().contains("Allow access?"),
        "{}",
        consent.text()
    );
    let (_, tokens) = site.signed_in("ana").await;
    assert_ne!(tokens.claims()["sub"], "u:ana");
}

/// The answer of the callback to what another browser or an attacker sends.
async fn status_of(browser: &mut Browser, url: &str) -> u16 {
    browser.open(url).await.status
}

#[tokio::test]
async fn only_the_browser_that_left_comes_back_and_only_once() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let (_, location) = site.left(&mut browser).await;
    let back = site.provider.sign_in(&location, "1");
    let before = browser.clone();
    // Another browser, also one that left itself.
    let mut other = site.browser();
    assert_eq!(status_of(&mut other, &back).await, 403);
    let (_, other_location) = site.left(&mut other).await;
    assert_eq!(status_of(&mut other, &back).await, 403);
    // Another state, none, and a repeated one.
    let (redirect, state) = site.provider.asked_for(&location);
    for query in [
        "code=x&state=y".to_owned(),
        "code=x".to_owned(),
        "code=x&state=".to_owned(),
        format!(
            "code=x&state={}",
            site.provider.asked_for(&other_location).1
        ),
    ] {
        let status = status_of(&mut browser.clone(), &format!("{redirect}?{query}")).await;
        assert_eq!(status, 403, "{query}");
    }
    let twice = format!("{redirect}?code=x&state={state}&state={state}");
    assert_eq!(status_of(&mut browser.clone(), &twice).await, 400);
    let unknown = redirect.replace("/callback/corporate", "/callback/other");
    assert_eq!(
        status_of(
            &mut browser.clone(),
            &format!("{unknown}?code=x&state={state}")
        )
        .await,
        403
    );
    // Nothing of that was in the way.
    let came = browser.open(&back).await;
    assert_eq!(came.status, 303, "{}", came.text());
    // The same cookies and a new code do not sign in again.
    let code = site.provider.code(&location, "1");
    let again = format!("{redirect}?code={code}&state={state}");
    assert_eq!(status_of(&mut before.clone(), &again).await, 403);
    // Several tabs work.
    let mut tabs = site.browser();
    let mut left = Vec::new();
    for _ in 0..4 {
        left.push(site.left(&mut tabs).await.1);
    }
    for location in left {
        let back = site.provider.sign_in(&location, "1");
        let came = tabs.open(&back).await;
        assert_eq!(came.status, 303, "{}", came.text());
    }
}

/// A way in which a provider is wrong: its name, and what is changed.
type Wrong = (&'static str, fn(&mut Behaviour), u16);

#[tokio::test]
async fn a_provider_that_is_down_or_wrong_gives_a_page_a_log_line_and_nothing_else() {
    let site = Site::start().await;
    let wrong: [Wrong; 12] = [
        (
            "(wrong_audience): aud `other`; accepted: `gateway+1` (client_id)",
            |b| _ = b.claims.insert("aud".into(), json!("other")),
            502,
        ),
        (
            "azp `other`; expected: `gateway+1` (client_id)",
            |b| _ = b.claims.insert("azp".into(), json!("other")),
            502,
        ),
        (
            "no azp beside aud `gateway+1`, `other`; expected: azp",
            |b| {
                _ = b.claims.insert(
                    "aud".into(),
                    json!([e2e::sign_in::provider::CLIENT_ID, "other"]),
                )
            },
            502,
        ),
        (
            "(wrong_issuer): iss `https://evil.example`; accepted: `http",
            |b| _ = b.claims.insert("iss".into(), json!("https://evil.example")),
            502,
        ),
        (
            "(nonce): another nonce; expected",
            |b| _ = b.claims.insert("nonce".into(), json!("other")),
            502,
        ),
        (
            "(nonce): no nonce; expected",
            |b| _ = b.claims.insert("nonce".into(), Value::Null),
            502,
        ),
        (
            "(expired): exp 1000000 was ",
            |b| _ = b.claims.insert("exp".into(), json!(1_000_000)),
            502,
        ),
        (
            "at_hash `AAAA`; expected",
            |b| _ = b.claims.insert("at_hash".into(), json!("AAAA")),
            502,
        ),
        (
            "claim typ `Bearer`; accepted: id",
            |b| _ = b.claims.insert("typ".into(), json!("Bearer")),
            502,
        ),
        (
            "(bad_signature): kid `",
            |b| b.other_key = Some(test_support::Key::es256("provider")),
            502,
        ),
        ("status 503", |b| b.token_status = Some(503), 503),
        (
            "invalid_client",
            |b| b.token_error = Some("invalid_client"),
            502,
        ),
    ];
    for (name, change, status) in wrong {
        site.provider
            .behave(|behaviour| *behaviour = Behaviour::default());
        site.provider.behave(change);
        let mut browser = site.browser();
        let (_, page) = site.came_back(&mut browser, "1").await;
        assert_eq!(page.status, status, "{name}: {}", page.text());
        let text = page.text();
        assert!(
            text.contains("Nothing was allowed") && text.contains("Request ID"),
            "{name}: {text}"
        );
        site.gateway.logged(name).await;
        // Nobody is signed in.
        let (_, page) = site.arrived(&mut browser).await;
        assert!(page.text().contains("Example Ltd"), "{name}");
    }
    site.provider
        .behave(|behaviour| *behaviour = Behaviour::default());
    site.signed_in("1").await;
}

#[tokio::test]
async fn the_operator_sees_whether_a_provider_can_be_used_before_anybody_signs_in() {
    let (upstream, provider) = (Upstream::start().await, Provider::start().await);
    provider.behave(|provider| {
        let other = json!("https://other.example");
        provider.document.insert("issuer".to_owned(), other);
    });
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let providers = json!([provider.configured("corporate")]);
    let config = with_secret(config).set("/authorization_server/providers", providers);
    let gateway = Gateway::start(config).await;
    let seen = async || {
        let page = gateway.admin("/readyz").await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page: Value = serde_json::from_str(&page.text()).unwrap();
        page["providers"].clone()
    };
    let down = "nobody can sign in with the provider now";
    gateway.logged(down).await;
    let unusable = json!([{ "name": "corporate", "keys": 0, "state": "no usable keys" }]);
    assert_eq!(seen().await, unusable);
    let (age, issuer) = (
        "mcp_gateway_jwks_age_seconds",
        ("issuer", "provider corporate"),
    );
    assert!(gateway.metrics().await.has(age, &[issuer]));
    provider.behave(|provider| provider.document.clear());
    gateway.logged("the provider answers now").await;
    let usable = json!([{ "name": "corporate", "keys": 1, "state": "ok" }]);
    assert_eq!(seen().await, usable);
    assert_eq!(gateway.log().await.matches(down).count(), 1);
    assert!(gateway.metrics().await.has(age, &[issuer]));
}

#[tokio::test]
async fn what_a_provider_writes_into_an_error_is_never_on_the_page() {
    let site = Site::start().await;
    for (error, status) in [
        ("access_denied", 403),
        ("server_error", 502),
        ("%3Cscript%3E", 502),
    ] {
        let mut browser = site.browser();
        let (_, location) = site.left(&mut browser).await;
        let (redirect, state) = site.provider.asked_for(&location);
        let hostile = "%3Cscript%3Ealert(1)%3C/script%3E%20forged";
        let back = format!("{redirect}?error={error}&error_description={hostile}&state={state}");
        let page = browser.open(&back).await;
        assert_eq!(page.status, status, "{}", page.text());
        let text = page.text();
        assert!(
            !text.contains("script") && !text.contains("forged"),
            "{text}"
        );
        let id = text.split("Request ID").nth(1).unwrap();
        let id = id.split("<bdi class=\"code\">").nth(1).unwrap();
        let id = id.split('<').next().unwrap();
        site.gateway.logged(id).await;
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_a_mix_up() {
    let site = Site::start().await;
    let back = async |iss: Option<&str>| {
        let mut browser = site.browser();
        let (_, location) = site.left(&mut browser).await;
        let back = site.provider.sign_in(&location, "1");
        let iss = iss.map(|iss| format!("&iss={iss}")).unwrap_or_default();
        browser.open(&format!("{back}{iss}")).await.status
    };
    assert_eq!(back(Some("https%3A%2F%2Fevil.example")).await, 502);
    assert_eq!(back(Some(&site.provider.issuer())).await, 303);
    assert_eq!(back(None).await, 303);
}

#[tokio::test]
async fn a_document_that_is_wrong_is_not_used_and_one_that_is_right_again_is() {
    let upstream = Upstream::start().await;
    let provider = Provider::start().await;
    let evil = json!("https://evil.example");
    provider.behave(|behaviour| _ = behaviour.document.insert("issuer".into(), evil));
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let config = with_secret(config).set(
        "/authorization_server/providers",
        json!([provider.configured("corporate")]),
    );
    let gateway = Gateway::start(config).await;
    let site = Site {
        gateway,
        provider,
        upstream,
    };
    let mut browser = site.browser();
    let (_, page) = site.arrived(&mut browser).await;
    let left = browser.submit(&page, &[("provider", "corporate")]).await;
    assert_eq!(left.status, 502, "{}", left.text());
    site.gateway.logged("names the issuer").await;
    site.provider
        .behave(|behaviour| *behaviour = Behaviour::default());
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    site.signed_in("1").await;
}

#[tokio::test]
async fn rules_say_who_may_sign_in_and_what_they_may_allow() {
    let rules = json!({
        "may_sign_in": { "domains": ["example.com"], "groups": ["staff"] },
        "grants": { "scopes": ["tasks:read"], "by_claim": [
            { "claim": "groups", "value": "writers", "scopes": ["tasks:write"] },
        ] },
    });
    let site = Site::with(|config| {
        let mut config = config.without("authorization_server/users_file");
        for (key, value) in rules.as_object().unwrap() {
            config = config.set(
                &format!("/authorization_server/providers/0/{key}"),
                value.clone(),
            );
        }
        config
    })
    .await;
    let may = |claims: Value| {
        site.provider.behave(|behaviour| {
            behaviour.claims.clear();
            behaviour.userinfo = claims.as_object().unwrap().clone();
        });
    };
    let ana = |verified: bool, groups: Value| json!({ "email": "ana@example.com", "email_verified": verified, "groups": groups });
    for (claims, status) in [
        (ana(false, json!(["staff"])), 403),
        (ana(true, json!(["other"])), 403),
        (ana(true, json!(null)), 403),
        (
            json!({ "email": "ana@evil.example", "email_verified": true, "groups": ["staff"] }),
            403,
        ),
        (ana(true, json!(["staff"])), 200),
    ] {
        may(claims.clone());
        let (_, page) = site.came_back(&mut site.browser(), "1").await;
        assert_eq!(page.status, status, "{claims}: {}", page.text());
    }
    let (_, tokens) = site.signed_in("1").await;
    assert_eq!(tokens.answer["scope"], "tasks:read");
    may(ana(true, json!(["staff", "writers"])));
    let (_, tokens) = site.signed_in("1").await;
    assert_eq!(tokens.answer["scope"], "tasks:read tasks:write");
    // Groups that are left out are not groups that are not there.
    may(json!({ "email": "ana@example.com", "email_verified": true,
        "_claim_names": { "groups": "src1" } }));
    let (_, page) = site.came_back(&mut site.browser(), "1").await;
    assert_eq!(page.status, 403);
    assert!(page.text().contains("too many"), "{}", page.text());
    site.gateway.logged("left out the claim groups").await;
}

#[tokio::test]
async fn rules_that_change_sign_out_only_those_whom_they_do_not_let_in() {
    let rules = "/authorization_server/providers/0/may_sign_in";
    let site = Site::with(|config| {
        let config = config.without("authorization_server/users_file");
        config.set(rules, json!({ "groups": "staff" }))
    })
    .await;
    site.provider.behave(|behaviour| {
        behaviour.claims.clear();
        behaviour.userinfo = json!({ "groups": ["staff", "cooks"] })
            .as_object()
            .unwrap()
            .clone();
    });
    let (client, tokens) = site.signed_in("1").await;
    let mut refresh = tokens.refresh.clone();
    for (count, changed, is_in) in [
        (1.0, json!({ "groups": ["board", "staff"] }), true),
        (
            2.0,
            json!({ "groups": "staff", "subjects": ["1", "2"] }),
            true,
        ),
        (3.0, json!({ "groups": "cooks" }), false),
        (4.0, json!({ "subjects": "2" }), false),
        (5.0, json!({ "subjects": "1" }), true),
    ] {
        let config = site.gateway.config.clone();
        config.set(rules, changed.clone()).file();
        eventually("the change is in use", async || {
            let metrics = site.gateway.metrics().await;
            let labels = [("result", "accepted")];
            metrics.sum("mcp_gateway_config_reloads_total", &labels) >= count
        })
        .await;
        let (status, answer) = client.refresh(&site.gateway, &refresh).await;
        assert_eq!(status == 200, is_in, "{changed}: {answer}");
        match is_in {
            true => refresh = answer["refresh_token"].as_str().unwrap().to_owned(),
            false => assert_eq!(answer["error"], "invalid_grant"),
        }
    }
    site.gateway
        .logged("the rules of the provider have changed")
        .await;
}

/// A site whose provider is asked again at each refresh, and gives each refresh token once.
async fn asked_again() -> Site {
    let site = Site::with(|config| {
        config
            .without("authorization_server/users_file")
            .set("/authorization_server/providers/0/refresh", "provider")
            .set(
                "/authorization_server/providers/0/grants",
                json!({ "by_claim": [
                    { "claim": "groups", "value": "readers", "scopes": ["tasks:read"] },
                    { "claim": "groups", "value": "writers", "scopes": ["tasks:write"] },
                ] }),
            )
    })
    .await;
    site.provider.behave(|behaviour| {
        behaviour.gives_refresh_tokens = true;
        let groups = json!(["readers", "writers"]);
        behaviour.claims.insert("groups".to_owned(), groups);
    });
    site
}

#[tokio::test]
async fn a_refresh_asks_the_provider_and_ends_with_the_account_there() {
    let site = asked_again().await;
    let (client, tokens) = site.signed_in("1").await;
    let (other_client, other) = site.signed_in("2").await;
    let asked = |site: &Site| {
        site.provider
            .asked()
            .iter()
            .filter(|path| *path == "/token")
            .count()
    };
    let before = asked(&site);

    // Of many at once one asks at a time, and its rotation is kept.
    let refreshes = (0..8).map(|_| client.refresh(&site.gateway, &tokens.refresh));
    let answers = futures_util::future::join_all(refreshes).await;
    let mut newest = Value::Null;
    for (status, answer) in answers {
        assert_eq!(status, 200, "{answer}");
        newest = answer;
    }
    let asked_for_all = asked(&site) - before;
    assert!((1..=8).contains(&asked_for_all), "{asked_for_all}");
    let tokens = Tokens::of(newest);

    // While the provider is down nothing is used up, and nobody is out.
    site.provider
        .behave(|behaviour| behaviour.token_status = Some(503));
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!(
        (status, &answer["error"]),
        (503, &json!("temporarily_unavailable"))
    );
    site.gateway.logged("a refresh is answered with 503").await;
    site.provider.behave(|behaviour| {
        behaviour.token_status = None;
        // The account lost a group meanwhile.
        behaviour
            .claims
            .insert("groups".to_owned(), json!(["readers"]));
    });
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["scope"], "tasks:read");
    let tokens = Tokens::of(answer);
    assert_eq!(call(&site.gateway, &tokens.access).await.status, 200);

    // The account is disabled there: the grant ends, its access tokens too. Another account is not concerned.
    site.provider
        .behave(|behaviour| behaviour.token_error = Some("invalid_grant"));
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    assert_eq!(call(&site.gateway, &tokens.access).await.status, 401);
    site.provider
        .behave(|behaviour| behaviour.token_error = None);
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (status, answer) = other_client.refresh(&site.gateway, &other.refresh).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_refresh_with_a_proof_asks_the_provider_too_and_its_proof_counts_once() {
    let site = asked_again().await;
    let gateway = &site.gateway;
    let (client, tokens) = site.signed_in("1").await;
    let proof = || Proof::new(&P256, "POST", &gateway.uri("/token")).sign();
    let refreshed = async |token: &str, proof: &str| {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        client.ask_with_proof(gateway, &fields, proof).await
    };
    // The request is judged before and after the provider was asked.
    let (status, answer) = refreshed(&tokens.refresh, &proof()).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("DPoP")));
    let tokens = Tokens::of(answer);

    // The proof of a request that the provider kept from an answer is used all the same.
    let used = proof();
    site.provider
        .behave(|behaviour| behaviour.token_status = Some(503));
    let (status, answer) = refreshed(&tokens.refresh, &used).await;
    assert_eq!(status, 503, "{answer}");
    site.provider
        .behave(|behaviour| behaviour.token_status = None);
    let (status, answer) = refreshed(&tokens.refresh, &used).await;
    let expected = (400, &json!("invalid_dpop_proof"));
    assert_eq!((status, &answer["error"]), expected);
    let (status, answer) = refreshed(&tokens.refresh, &proof()).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn an_answer_without_an_id_token_says_nothing_of_what_only_that_token_has() {
    let site = asked_again().await;
    site.provider
        .behave(|behaviour| behaviour.refreshes_without_id_token = true);
    let (client, tokens) = site.signed_in("1").await;
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!(
        (status, &answer["scope"]),
        (200, &json!("tasks:read tasks:write"))
    );
    // Where the userinfo endpoint says it, that counts; and where it said it at the sign-in, silence is a no.
    let says = |groups: Value| {
        site.provider.behave(|behaviour| {
            behaviour.claims.insert("groups".to_owned(), Value::Null);
            behaviour.userinfo.insert("groups".to_owned(), groups);
        });
    };
    says(json!(["readers"]));
    let tokens = Tokens::of(answer);
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["scope"]), (200, &json!("tasks:read")));
    let (other, tokens) = site.signed_in("2").await;
    says(Value::Null);
    let (status, answer) = other.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn signing_out_ends_what_rests_on_the_session() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let (client, consent) = site.came_back(&mut browser, "1").await;
    let location = browser.allow(&consent).await;
    let tokens = client
        .redeem(&site.gateway, &client.code(&site.gateway, &location))
        .await;
    assert_eq!(call(&site.gateway, &tokens.access).await.status, 200);
    let (kept_client, kept) = site.signed_in("1").await;
    let question = browser.open("/sign-out").await;
    let out = browser.submit(&question, &[]).await;
    assert!(out.text().contains("are disconnected"), "{}", out.text());
    assert_eq!(call(&site.gateway, &tokens.access).await.status, 401);
    let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    // The same account in another browser stays.
    assert_eq!(call(&site.gateway, &kept.access).await.status, 200);
    assert_eq!(
        kept_client.refresh(&site.gateway, &kept.refresh).await.0,
        200
    );
}
