//! Tokens of the built-in authorization server that are bound to the certificate of their client (RFC 8705). A proxy names the
//! certificate here: how it comes from a handshake is the same for every request.

use e2e::certificates::{Authority, Leaf};
use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, basic, redemption};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use serde_json::{Value, json};

/// A gateway with its authorization server, reached through a proxy that speaks for its clients.
struct Site {
    gateway: Gateway,
    _upstream: Upstream,
}

impl Site {
    async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
        Self {
            gateway: Gateway::start(change(config)).await,
            _upstream: upstream,
        }
    }
}

const HEADER: &str = "client-cert";

fn behind_proxy(config: Config) -> Config {
    config
        .set("/trusted_proxies", json!(["127.0.0.1"]))
        .set("/client_certificate_header", HEADER)
}

fn two() -> [Leaf; 2] {
    let authority = Authority::new();
    ["owner", "thief"].map(|name| authority.leaf(&[name]))
}

/// The status of a call with this token and this certificate.
async fn call(site: &Site, token: &str, leaf: Option<&Leaf>) -> u16 {
    let call = site.gateway.post(initialize()).token(token);
    let call = match leaf {
        Some(leaf) => call.with(HEADER, &leaf.as_header()),
        None => call,
    };
    call.send().await.status
}

async fn ask(site: &Site, client: &Client, fields: &[(&str, &str)], leaf: &Leaf) -> (u16, Value) {
    let named = leaf.as_header();
    client
        .ask_with(&site.gateway, fields, (HEADER, &named))
        .await
}

#[tokio::test]
async fn a_client_that_registers_so_gets_tokens_for_its_certificate_alone() {
    let site = Site::with(behind_proxy).await;
    let gateway = &site.gateway;
    let metadata = gateway.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.json();
    let announced = "tls_client_certificate_bound_access_tokens";
    assert_eq!(metadata[announced], true, "{metadata}");
    let [owner, thief] = two();
    let client = Client::register_as(
        gateway,
        &json!({
            "client_name": "Tester", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], announced: true,
        }),
    )
    .await;
    assert_eq!(client.registered[announced], true);
    let url = client.authorize(gateway, "tasks:read tasks:write");
    let mut browser = Browser::new(&site.gateway.uri(""));
    let consent = browser.sign_in(&url, USER, PASSWORD).await;
    let location = browser.allow(&consent).await;
    let code = client.code(gateway, &location);

    // Without its certificate it gets nothing, and the code stays.
    let (status, answer) = client.ask(gateway, &redemption(&code)).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")));
    let (status, answer) = ask(&site, &client, &redemption(&code), &owner).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("Bearer")));
    let tokens = Tokens::of(answer);
    assert_eq!(
        tokens.claims()["cnf"],
        json!({ "x5t#S256": owner.thumbprint() })
    );
    for (leaf, expected) in [(Some(&owner), 200), (Some(&thief), 401), (None, 401)] {
        assert_eq!(call(&site, &tokens.access, leaf).await, expected);
    }

    // The refresh token of a public client needs the same certificate (RFC 8705 §7.1).
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    let (status, answer) = ask(&site, &client, &refresh, &thief).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (status, answer) = ask(&site, &client, &refresh, &owner).await;
    assert_eq!(status, 200, "{answer}");
    let newer = Tokens::of(answer);
    assert_eq!(call(&site, &newer.access, Some(&owner)).await, 200);
    assert_eq!(call(&site, &newer.access, Some(&thief)).await, 401);
}

#[tokio::test]
async fn a_configured_machine_gets_tokens_for_the_certificate_that_it_presents() {
    let secret = e2e::leaks::secret("machine-secret-5150");
    let site = Site::with(|config| {
        let file = config.folder().join("machine.secret");
        e2e::certificates::write_secret(&file, &secret);
        behind_proxy(config).set(
            "/authorization_server/clients",
            json!([{
                "id": "machine", "method": "client_secret_basic", "secret_file": file,
                "grant_types": "client_credentials", "scopes": "tasks:read", "certificate_bound": true,
            }]),
        )
    })
    .await;
    let [one, other] = two();
    let resource = site.gateway.uri("/mcp");
    let token = async |leaf: &Leaf| {
        let fields = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("resource", &resource)
            .finish();
        let call = site.gateway.request(http::Method::POST, "/token");
        let call = call
            .with("content-type", "application/x-www-form-urlencoded")
            .with("authorization", &basic("machine", &secret))
            .with(HEADER, &leaf.as_header())
            .body(fields);
        let answer: Value = call.open().await.json().await.unwrap();
        Tokens::of(answer).access
    };
    // Another certificate, another token: each for its own.
    let [of_one, of_other] = [token(&one).await, token(&other).await];
    for (token, leaf, expected) in [
        (&of_one, &one, 200),
        (&of_one, &other, 401),
        (&of_other, &other, 200),
        (&of_other, &one, 401),
    ] {
        assert_eq!(call(&site, token, Some(leaf)).await, expected);
    }
}
