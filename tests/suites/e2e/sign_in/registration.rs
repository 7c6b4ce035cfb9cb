//! The client configuration endpoint (RFC 7592) over HTTP: reads, updates and deletes, and what a deletion ends.

use e2e::certificates;
use e2e::client::{Call, Reply};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, call};
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use http::{Method, Version};
use serde_json::{Value, json};

use super::flows::Site;

/// A request to the URL of a registered client, with its token.
fn manage(http: &reqwest::Client, method: Method, registered: &Value) -> Call {
    let member = |name: &str| registered[name].as_str().expect("text").to_owned();
    let url = member("registration_client_uri");
    Call::new(http, method, url).token(&member("registration_access_token"))
}

async fn json_of(answer: reqwest::Response) -> Value {
    let text = answer.text().await.expect("text");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
}

/// Updates, reads and deletes a client over this connection.
async fn is_managed(http: &reqwest::Client, origin: &str, version: Version) {
    let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let register = Call::new(http, Method::POST, format!("{origin}/register"))
        .with("content-type", "application/json")
        .body(metadata.to_string());
    let answer = register.open().await;
    assert_eq!((answer.status().as_u16(), answer.version()), (201, version));
    let registered = json_of(answer).await;
    leaks::secret(
        registered["registration_access_token"]
            .as_str()
            .expect("a token"),
    );

    let update = json!({
        "client_id": registered["client_id"],
        "client_name": "Renamed",
        "redirect_uris": ["http://127.0.0.1:7777/other"],
        "token_endpoint_auth_method": "none",
    });
    let put = manage(http, Method::PUT, &registered).with("content-type", "application/json");
    let updated = put.body(update.to_string()).open().await;
    assert_eq!(updated.status(), 200);
    let updated = json_of(updated).await;
    let read = manage(http, Method::GET, &registered).open().await;
    let read = json_of(read).await;
    for answer in [&updated, &read] {
        assert_eq!(answer["client_name"], "Renamed", "{answer}");
        assert_eq!(answer["redirect_uris"], update["redirect_uris"], "{answer}");
    }
    let deleted = manage(http, Method::DELETE, &registered).open().await;
    assert_eq!(deleted.status(), 204);
    let gone = manage(http, Method::PUT, &registered).with("content-type", "application/json");
    assert_eq!(gone.body(update.to_string()).open().await.status(), 401);
}

#[tokio::test]
async fn a_client_is_updated_read_and_deleted_over_http_1() {
    let site = Site::start().await;
    let http = e2e::client::http();
    is_managed(&http, &site.gateway.uri(""), Version::HTTP_11).await;
}

#[tokio::test]
async fn a_client_is_updated_read_and_deleted_over_http_2() {
    let (authority, upstream) = (certificates::Authority::new(), Upstream::start().await);
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let (certificate, private_key) = authority.leaf(&["localhost"]).write(config.folder(), "tls");
    let files = json!([{ "certificate": certificate, "private_key": private_key }]);
    let url = format!("https://localhost:{}", config.public.port());
    let config = config
        .set("/public_url", url)
        .set("/listen/0/tls", json!({ "certificates": files }));
    let gateway = Gateway::start(config).await;
    let trusted = reqwest::Certificate::from_pem(authority.pem().as_bytes()).expect("PEM");
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .resolve("localhost", gateway.config.public)
        .build()
        .expect("a client");
    is_managed(&http, &gateway.uri(""), Version::HTTP_2).await;
}

#[tokio::test]
async fn every_path_names_its_own_methods() {
    let site = Site::start().await;
    let request = |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        site.gateway.request(method, path)
    };
    let client = "/register/AAAAAAAAAAAAAAAAAAAAAA";
    for (path, method, allowed) in [
        ("/mcp", "PUT", "POST, GET, DELETE"),
        ("/mcp", "PATCH", "POST, GET, DELETE"),
        ("/token", "PUT", "POST, OPTIONS"),
        ("/token", "PATCH", "POST, OPTIONS"),
        ("/token", "TRACE", "POST, OPTIONS"),
        ("/jwks.json", "PUT", "GET, HEAD, OPTIONS"),
        ("/sign-in", "PUT", "POST"),
        (client, "POST", "GET, PUT, DELETE, OPTIONS"),
        (client, "PATCH", "GET, PUT, DELETE, OPTIONS"),
    ] {
        let reply = request(method, path).send().await;
        assert_eq!(reply.status, 405, "{method} {path}");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
    }
    let preflight = request("OPTIONS", client)
        .with("origin", "https://inspector.example")
        .with("access-control-request-method", "PUT")
        .send()
        .await;
    let methods = preflight.header("access-control-allow-methods");
    assert_eq!(
        (preflight.status, methods),
        (204, "GET, PUT, DELETE, OPTIONS")
    );
}

/// A machine that registered itself, and two of its access tokens.
async fn machine(gateway: &Gateway) -> (Client, [String; 2]) {
    let metadata = json!({
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let client = Client::register_as(gateway, &metadata).await;
    let mut tokens = [String::new(), String::new()];
    for token in &mut tokens {
        let fields = [("grant_type", "client_credentials")];
        let (status, answer) = client.ask(gateway, &fields).await;
        assert_eq!(status, 200, "{answer}");
        *token = Tokens::of(answer).access;
    }
    (client, tokens)
}

async fn status(gateway: &Gateway, token: &str) -> u16 {
    let reply: Reply = call(gateway, token).await;
    reply.status
}

#[tokio::test]
async fn the_tokens_of_a_machine_end_with_its_registration_and_one_by_one_when_revoked() {
    let machines = json!({ "enabled": true, "scopes": ["tasks:read"] });
    let site = Site::with(|config| config.set("/authorization_server/machines", machines)).await;
    let gateway = &site.gateway;
    let (client, [revoked, kept]) = machine(gateway).await;
    let (_, [of_another, _]) = machine(gateway).await;
    assert_eq!(status(gateway, &revoked).await, 200);
    assert_eq!(client.revoke(gateway, &revoked).await, 200);
    assert_eq!(status(gateway, &revoked).await, 401);
    assert_eq!(status(gateway, &kept).await, 200);
    let http = e2e::client::http();
    let deleted = manage(&http, Method::DELETE, &client.registered)
        .open()
        .await;
    assert_eq!(deleted.status(), 204);
    assert_eq!(status(gateway, &kept).await, 401);
    assert_eq!(status(gateway, &of_another).await, 200);
}
