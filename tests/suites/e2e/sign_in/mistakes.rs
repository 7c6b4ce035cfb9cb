//! What goes wrong at the built-in authorization server, and who learns what of it: errors that go back to the client or stay on a page,
//! what the logs show, and limits of one address and one user.

use e2e::sign_in::browser::{Browser, form, query};
use e2e::sign_in::client::{Client, REDIRECT, call};
use e2e::sign_in::{PASSWORD, USER};
use e2e::{eventually, leaks};
use http::Method;
use serde_json::{Value, json};

use super::flows::Site;

const WEB: &str = "https://evil.example/cb?t=1";

/// The same request with another redirect URI.
fn redirected(asked: &str, redirect: &str) -> String {
    asked.replace(
        &form([("redirect_uri", REDIRECT)]),
        &form([("redirect_uri", redirect)]),
    )
}

#[tokio::test]
async fn a_link_does_not_lead_through_this_server_to_a_host_that_a_stranger_chose() {
    let operators = json!([{ "id": "operators", "redirect_uris": [WEB] }]);
    let site = Site::with(|config| config.set("/authorization_server/clients", operators)).await;
    let gateway = &site.gateway;
    let metadata = json!({
        "redirect_uris": [WEB, REDIRECT],
        "token_endpoint_auth_method": "none",
    });
    let stranger = Client::register_as(gateway, &metadata).await;
    let known = Client {
        id: "operators".to_owned(),
        secret: None,
        registered: Value::Null,
    };
    let mut visitor = Browser::new(&gateway.uri(""));
    let mut signed_in = Browser::new(&gateway.uri(""));
    let asked = stranger.authorize(gateway, "tasks:read");
    let consent = signed_in.sign_in(&asked, USER, PASSWORD).await;
    assert_eq!(consent.status, 200);
    for browser in [&mut visitor, &mut signed_in] {
        for (client, redirect, goes_back) in [
            (&stranger, WEB, false),
            (&stranger, REDIRECT, true),
            (&known, WEB, true),
        ] {
            let asked = redirected(&client.authorize(gateway, "tasks:read"), redirect);
            for wrong in [
                asked.replace("response_type=code", "response_type=token"),
                asked.replace("S256", "plain"),
                format!("{asked}&prompt=none"),
            ] {
                let reply = browser.open(&wrong).await;
                if goes_back {
                    assert_eq!(reply.status, 303, "{wrong}");
                    let location = reply.header("location");
                    assert!(location.starts_with(redirect), "{location}");
                    assert_eq!(query(location)["iss"], gateway.uri(""));
                } else {
                    assert_eq!(reply.status, 400, "{wrong}");
                    assert_eq!(reply.header("location"), "");
                    assert!(reply.text().contains("evil.example"), "{}", reply.text());
                }
            }
        }
    }
    // Who has seen where the answer goes is sent there.
    let asked = redirected(&stranger.authorize(gateway, "tasks:read"), WEB);
    let consent = signed_in.open(&asked).await;
    assert!(
        consent.text().contains("evil.example"),
        "{}",
        consent.text()
    );
    let denied = signed_in.decide(&consent, "deny").await;
    assert!(denied.starts_with(WEB), "{denied}");
    assert_eq!(query(&denied)["error"], "access_denied");
}

#[tokio::test]
async fn a_form_that_is_posted_to_the_authorization_endpoint_is_asked_for_again() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let asked = client.authorize(gateway, "tasks:read");
    let (path, body) = asked.split_once('?').unwrap();
    let post = |body: String| {
        gateway
            .request(Method::POST, path)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let reply = post(body.to_owned()).send().await;
    assert_eq!((reply.status, reply.header("location")), (303, &*asked));
    let consent = Browser::new(&gateway.uri(""))
        .sign_in(reply.header("location"), USER, PASSWORD)
        .await;
    assert_eq!(consent.status, 200, "{}", consent.text());
    for wrong in [
        "",
        "a=b#c",
        "a=\n",
        "a=ä",
        &format!("a={}", "b".repeat(17_000)),
    ] {
        let reply = post(wrong.to_owned()).send().await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (400, ""),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_failed_sign_in_is_logged_with_the_user_and_a_mistake_without_what_may_be_secret() {
    let site = Site::with(|config| config.set("/audit", json!({ "file": "audit.log" }))).await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let asked = client.authorize(gateway, "tasks:read");
    let mut browser = Browser::new(&gateway.uri(""));
    let page = browser.open(&asked).await;
    // A password in the field of the name is a name that nobody has.
    let long = "n".repeat(2000);
    for name in [USER, "password-as-a-name", &long] {
        let fields = [("username", name), ("password", "wrong-password-1")];
        assert_eq!(browser.submit(&page, &fields).await.status, 403, "{name}");
    }
    // The page shows the name again, and no log does.
    for text in ["wrong-password-1", "password-as-a-name", "code-of-somebody"] {
        leaks::secret(text);
    }
    let secret = redirected(&asked, "https://evil.example/cb?code=code-of-somebody");
    assert_eq!(browser.open(&secret).await.status, 400);
    let unknown = asked.replace(&client.id, &long);
    assert_eq!(browser.open(&unknown).await.status, 400);
    let lines = || {
        let audit = gateway.config.audit();
        let lines = audit
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    eventually("six lines", async || lines().len() >= 6).await;
    let failed: Vec<_> = lines()
        .into_iter()
        .filter(|line| line["outcome"] == "wrong_password")
        .collect();
    let subjects: Vec<_> = failed.iter().map(|line| line["subject"].clone()).collect();
    assert_eq!(
        subjects,
        [json!(format!("u:{USER}")), Value::Null, Value::Null]
    );
    let refused = &lines()[4];
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("https://evil.example/cb"), "{reason}");
    let both = [gateway.config.audit(), gateway.log().await].concat();
    for line in both.lines().filter(|line| line.starts_with('{')) {
        assert_eq!(leaks::find(line), None, "{line}");
        assert!(!line.contains(&long[..300]), "{line}");
    }
}

#[tokio::test]
async fn wrong_secrets_and_invalid_tokens_of_an_address_have_limits_of_their_own() {
    let site = Site::with(|config| {
        config
            .set("/trusted_proxies", json!(["127.0.0.1"]))
            .set("/limits/refusals_per_address", 3)
            .set(
                "/authorization_server/limits",
                json!({ "refusals_per_address": 3 }),
            )
    })
    .await;
    let gateway = &site.gateway;
    let (client, tokens) = site.signed_in().await;
    // Local addresses are not counted, so the requests come from others.
    let wrong = async |address: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "AAAA"),
            ("client_id", client.id.as_str()),
        ];
        let call = gateway
            .request(Method::POST, "/token")
            .with("content-type", "application/x-www-form-urlencoded")
            .with("x-forwarded-for", address)
            .body(form(fields));
        call.send().await.status
    };
    let forged = format!("{}AAAA", tokens.access);
    let invalid = async |address: &str| {
        let call = gateway.post(e2e::client::tool(1, "list_tasks"));
        let call = call.with("x-forwarded-for", address).token(&forged);
        call.send().await.status
    };
    for _ in 0..3 {
        assert_eq!(wrong("192.0.2.1").await, 400);
        assert_eq!(invalid("192.0.2.2").await, 401);
    }
    assert_eq!(
        (wrong("192.0.2.1").await, invalid("192.0.2.1").await),
        (429, 401)
    );
    assert_eq!(
        (invalid("192.0.2.2").await, wrong("192.0.2.2").await),
        (429, 400)
    );
    let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_user_has_so_many_sessions_and_grants_and_the_oldest_make_room() {
    let limits = json!({ "sessions_per_user": 2, "grants_per_user": 2 });
    let site = Site::with(|config| config.set("/authorization_server/limits", limits)).await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let url = client.authorize(gateway, "tasks:read");
    let mut signed_in = Vec::new();
    for _ in 0..3 {
        let mut browser = Browser::new(&gateway.uri(""));
        let consent = browser.sign_in(&url, USER, PASSWORD).await;
        let location = browser.allow(&consent).await;
        let code = client.code(gateway, &location);
        let tokens = client.redeem(gateway, &code).await;
        signed_in.push((browser, tokens));
        // Sessions and grants are told apart by the second.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    for (number, (browser, tokens)) in signed_in.iter_mut().enumerate() {
        let is_kept = number > 0;
        let page = browser.open(&url).await;
        let asks_for_password = page.text().contains("name=\"password\"");
        assert_eq!(asks_for_password, !is_kept, "{number}");
        let expected = if is_kept { 200 } else { 401 };
        assert_eq!(
            call(gateway, &tokens.access).await.status,
            expected,
            "{number}"
        );
    }
    let (status, answer) = client.refresh(gateway, &signed_in[0].1.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}
