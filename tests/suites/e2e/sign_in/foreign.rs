//! Clients that publish a metadata document: the gateway fetches it, and their keys, from an internet of the test. What strangers can
//! do with a URL that they choose.

use std::time::Duration;

use e2e::client::Reply;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::{Browser, form};
use e2e::sign_in::client::{Client, REDIRECT, Tokens, call, redemption};
use e2e::sign_in::internet::{Internet, PUBLIC, Page};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use e2e::{certificates, leaks};
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token, key_set};

/// What the type of an assertion is called (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A gateway in an internet of the test.
struct Site {
    gateway: Gateway,
    upstream: Upstream,
}

impl Site {
    async fn start(internet: &Internet) -> Self {
        Self::with(internet, |config| config).await
    }

    async fn with(internet: &Internet, change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
        let gateway = internet.gateway(change(config)).await;
        Self { gateway, upstream }
    }

    /// What a browser sees that this client sends.
    async fn opened(&self, url: &str) -> Reply {
        let client = client(url);
        let query = client.authorize(&self.gateway, "tasks:read");
        Browser::new(&self.gateway.uri("")).open(&query).await
    }
}

fn client(url: &str) -> Client {
    Client {
        id: url.to_owned(),
        secret: None,
        registered: Value::Null,
    }
}

fn document(url: &str) -> Value {
    json!({
        "client_id": url,
        "client_name": "Published",
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    })
}

fn is_sign_in(reply: &Reply) -> bool {
    reply.status == 200 && reply.text().contains("name=\"password\"")
}

/// An assertion of this client for this gateway (RFC 7523 §3).
fn assertion(key: &Key, client: &Client, gateway: &Gateway) -> String {
    Token::new(key, &client.id, &gateway.uri(""))
        .header("typ", "JWT")
        .subject(&client.id)
        .claim("exp", test_support::now() + 60)
        .without("client_id")
        .without("scope")
        .sign()
}

/// The fields with an assertion.
fn signed<'a>(fields: &[(&'a str, &'a str)], assertion: &'a str) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ];
    fields.iter().copied().chain(own).collect()
}

async fn introspected(gateway: &Gateway, token: &str) -> Value {
    let fields = [
        ("client_id", "reports"),
        ("client_secret", "secret-of-reports"),
        ("token", token),
    ];
    let call = gateway
        .request(Method::POST, "/introspect")
        .with("content-type", "application/x-www-form-urlencoded")
        .body(form(fields));
    let reply = call.send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_client_with_a_document_and_keys_calls_and_each_of_its_assertions_works_once() {
    let internet = Internet::start(&["client.example"]).await;
    let (url, key) = ("https://client.example/client.json", Key::es256("one"));
    let mut published = document(url);
    published["token_endpoint_auth_method"] = json!("private_key_jwt");
    published["jwks_uri"] = json!("https://client.example/jwks");
    let cached = "max-age=600";
    internet.publish("/client.json", Page::Json(published, cached));
    internet.publish("/jwks", Page::Json(key_set(&[&key]), cached));
    let site = Site::with(&internet, |config| {
        let file = config.folder().join("reports.secret");
        certificates::write_secret(&file, "secret-of-reports\n");
        leaks::secret("secret-of-reports");
        let server = json!([{ "id": "reports", "secret_file": file }]);
        config.set("/authorization_server/introspection", server)
    })
    .await;
    let (gateway, client) = (&site.gateway, client(url));
    let discovered = gateway
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let methods = discovered["token_endpoint_auth_methods_supported"].to_string();
    assert!(methods.contains("private_key_jwt"), "{methods}");

    let mut browser = Browser::new(&gateway.uri(""));
    let asked = client.authorize(gateway, "tasks:read");
    let consent = browser.sign_in(&asked, USER, PASSWORD).await;
    assert!(
        consent.text().contains("client.example"),
        "the host vouches"
    );
    let code = client.code(gateway, &browser.allow(&consent).await);

    let (status, unsigned) = client.ask(gateway, &redemption(&code)).await;
    assert_eq!(
        (status, &unsigned["error"]),
        (401, &json!("invalid_client"))
    );
    let first = assertion(&key, &client, gateway);
    let (status, answer) = client
        .ask(gateway, &signed(&redemption(&code), &first))
        .await;
    assert_eq!(status, 200, "{answer}");
    let tokens = Tokens::of(answer);
    assert_eq!(call(gateway, &tokens.access).await.status, 200);
    assert_eq!(site.upstream.hits(), 1);

    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    let (status, again) = client.ask(gateway, &signed(&refresh, &first)).await;
    assert_eq!((status, &again["error"]), (401, &json!("invalid_client")));
    let stranger = assertion(&Key::es256("one"), &client, gateway);
    let (status, _) = client.ask(gateway, &signed(&refresh, &stranger)).await;
    assert_eq!(status, 401);
    let second = assertion(&key, &client, gateway);
    let (status, answer) = client.ask(gateway, &signed(&refresh, &second)).await;
    assert_eq!(status, 200, "{answer}");
    let newer = Tokens::of(answer);

    let found = introspected(gateway, &newer.access).await;
    assert_eq!(
        (&found["active"], &found["client_id"]),
        (&json!(true), &json!(url))
    );
    let revoke = [("token", newer.refresh.as_str()), ("client_id", url)];
    let third = assertion(&key, &client, gateway);
    let revoked = gateway
        .request(Method::POST, "/revoke")
        .with("content-type", "application/x-www-form-urlencoded")
        .body(form(signed(&revoke, &third)))
        .send()
        .await;
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    let found = introspected(gateway, &newer.access).await;
    assert_eq!(found["active"], json!(false));
    assert_eq!(call(gateway, &newer.access).await.status, 401);

    assert_eq!(internet.requests("/client.json"), 1, "it is cached");
    assert_eq!(internet.canary(), 0);
}

#[tokio::test]
async fn a_name_that_leads_into_the_network_of_the_gateway_gets_a_page_and_no_connection() {
    let internet = Internet::start(&["good.example"]).await;
    let cases: &[&[&str]] = &[
        &["127.0.0.1"],
        &["0.0.0.0"],
        &["10.0.0.1"],
        &["172.16.0.1"],
        &["192.168.1.1"],
        &["100.64.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::"],
        &["fe80::1"],
        &["fd00::1"],
        &["::ffff:127.0.0.1"],
        &["::ffff:10.0.0.1"],
        &["64:ff9b::a9fe:a9fe"],
        &["2002:7f00:1::"],
        &[PUBLIC, "127.0.0.1"],
        &["::ffff:169.254.169.254", PUBLIC],
        &[],
    ];
    let site = Site::start(&internet).await;
    for (number, addresses) in cases.iter().enumerate() {
        let name = format!("n{number}.example");
        internet.name(&name, addresses);
        let page = site.opened(&format!("https://{name}/c.json")).await;
        assert_eq!(page.status, 503, "{addresses:?}");
        assert_eq!(page.header("location"), "");
        assert!(!page.header("retry-after").is_empty());
        // The gateway of the test is itself at this one.
        for address in addresses.iter().filter(|address| **address != "127.0.0.1") {
            assert!(!page.text().contains(address), "{}", page.text());
        }
    }
    for url in [
        "https://127.0.0.1/c.json",
        "https://[::1]/c.json",
        "https://localhost/c.json",
        "https://metadata.internal/c.json",
        "http://good.example/c.json",
        "https://good.example:8443/c.json",
        "https://user@good.example/c.json",
    ] {
        assert_eq!(site.opened(url).await.status, 400, "{url}");
    }
    assert_eq!((internet.canary(), internet.connections()), (0, 0));
    let good = "https://good.example/c.json";
    internet.publish("/c.json", Page::Json(document(good), "no-store"));
    let page = site.opened(good).await;
    assert!(is_sign_in(&page), "{}", page.text());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_again_and_what_was_fetched_before_is_used() {
    let internet = Internet::start(&["client.example"]).await;
    let site = Site::start(&internet).await;
    let [first, second] = ["/first.json", "/second.json"].map(|path| {
        let url = format!("https://client.example{path}");
        internet.publish(path, Page::Json(document(&url), "max-age=3600"));
        url
    });
    assert!(is_sign_in(&site.opened(&first).await));
    internet.name("client.example", &["127.0.0.1"]);
    assert_eq!(site.opened(&second).await.status, 503);
    assert!(is_sign_in(&site.opened(&first).await));
    assert_eq!(internet.requests("/first.json"), 1);
    assert_eq!((internet.connections(), internet.canary()), (1, 0));
}

#[tokio::test]
async fn a_wrong_document_gets_a_page_is_not_kept_and_a_right_one_is_used_at_once() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| format!("{name}.example"));
    let internet = Internet::start(&names.each_ref().map(String::as_str)).await;
    let site = Site::start(&internet).await;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
    let other = document("https://somebody.example/c.json");
    let mut secret = document("https://e.example/e.json");
    secret["client_secret"] = json!("everybody reads it");
    let json = "application/json";
    let cases = [
        ("a", Page::Other(200, json, large), 400),
        ("b", Page::Other(200, "text/html", "<p>".to_owned()), 400),
        ("c", Page::Other(200, json, "{".to_owned()), 400),
        ("d", Page::Json(other, "max-age=3600"), 400),
        ("e", Page::Json(secret, "max-age=3600"), 400),
        ("f", Page::Other(404, json, "{}".to_owned()), 503),
        (
            "g",
            Page::Redirect("https://a.example/a.json".to_owned()),
            503,
        ),
        ("h", Page::Redirect("http://127.0.0.1/".to_owned()), 503),
    ];
    for (name, page, status) in cases {
        let (path, url) = (
            format!("/{name}.json"),
            format!("https://{name}.example/{name}.json"),
        );
        internet.publish(&path, page);
        let reply = site.opened(&url).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        assert_eq!(reply.header("location"), "", "{name}");
        assert_eq!(internet.requests(&path), 1, "{name}");
        internet.publish(&path, Page::Json(document(&url), "max-age=3600"));
        // The owner of a JSON document has spoken. Anything else may be a proxy or a guard against robots, and rests for a while.
        if ["c", "d", "e"].contains(&name) {
            assert!(is_sign_in(&site.opened(&url).await), "{name}");
            assert!(is_sign_in(&site.opened(&url).await), "{name}");
            assert_eq!(internet.requests(&path), 2, "{name}");
        }
    }
    assert_eq!(internet.canary(), 0);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_five_seconds() {
    let internet = Internet::start(&["client.example"]).await;
    internet.publish("/c.json", Page::Silence);
    let site = Site::start(&internet).await;
    let began = std::time::Instant::now();
    let page = site.opened("https://client.example/c.json").await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert!(began.elapsed() >= Duration::from_secs(5));
    let line = site.gateway.logged("there was no complete answer").await;
    assert!(line.contains("client.example"), "{line}");
}

#[tokio::test]
async fn without_fetching_only_shipped_documents_are_known_and_nothing_is_connected_to() {
    let internet = Internet::start(&["client.example", "claude.ai"]).await;
    let url = "https://client.example/c.json";
    internet.publish("/c.json", Page::Json(document(url), "max-age=3600"));
    let site = Site::with(&internet, |config| {
        config
            .set("/authorization_server/metadata_documents/fetch", false)
            .set("/authorization_server/registration/enabled", false)
    })
    .await;
    let page = site.opened(url).await;
    assert_eq!(page.status, 503, "{}", page.text());
    assert_eq!(page.header("retry-after"), "", "it would not help");
    assert!(page.text().contains("client.example"), "{}", page.text());
    let shipped = client("https://claude.ai/oauth/mcp-oauth-client-metadata");
    let asked = shipped.authorize(&site.gateway, "tasks:read").replace(
        &form([("redirect_uri", REDIRECT)]),
        &form([("redirect_uri", "https://claude.ai/api/mcp/auth_callback")]),
    );
    let page = Browser::new(&site.gateway.uri("")).open(&asked).await;
    assert!(is_sign_in(&page), "{}", page.text());
    let discovered = site
        .gateway
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let methods = discovered["token_endpoint_auth_methods_supported"].to_string();
    assert!(!methods.contains("private_key_jwt"), "{methods}");
    assert_eq!((internet.connections(), internet.canary()), (0, 0));
}
