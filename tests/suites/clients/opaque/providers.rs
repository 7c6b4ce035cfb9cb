//! Providers that are asked about their tokens: npm `oidc-provider`, Debian's `glewlwyd`, PyPI `canaille`.

use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::{form, query};
use e2e::sign_in::client::{VERIFIER, challenge};
use e2e::sign_in::company::person::Person;
use e2e::sign_in::company::{self, CLIENT_ID, CLIENT_SECRET, PASSWORD, Program};
use e2e::upstream::Upstream;
use e2e::{certificates, leaks};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use test_support::Key;

use crate::setting::provider::Provider;

const MACHINE: [&str; 2] = ["machine", "machine-secret"];

/// A gateway whose resource asks `provider`, and says how it authenticates there.
async fn gateway(config: Config, provider: &Provider, more: Value) -> Gateway {
    let file = config.folder().join("machine.secret");
    certificates::write_secret(&file, MACHINE[1]);
    let mut introspection = json!({ "client_id": MACHINE[0], "client_secret_file": file });
    for (name, value) in more.as_object().into_iter().flatten() {
        introspection[name] = value.clone();
    }
    let issuer = json!({ "issuer": provider.issuer, "introspection": introspection });
    let config = config
        .set("/issuers/provider", issuer)
        .set("/resources/0/issuers", json!(["provider"]));
    Gateway::start(config).await
}

#[tokio::test]
async fn a_token_of_oidc_provider_is_introspected() {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let resource = format!("{}/mcp", config.public_url());
    let provider = Provider::start_with(&resource, &["--opaque"]).await;
    let gateway = gateway(config, &provider, json!({})).await;
    let token = leaks::secret(&provider.machine_token(&resource).await);
    assert!(!token.contains('.'), "the token is opaque");
    let status = async |token: &str| gateway.post(initialize()).token(token).send().await.status;
    assert_eq!(status(&token).await, 200);
    // It names nobody: it is the machine's own.
    gateway.logged("\"subject\":\"machine\"").await;
    assert_eq!(status("invented").await, 401);

    let other = format!("{resource}/other");
    let added = json!({ "resource": other, "scopes": ["tasks:read"] });
    provider.control("resource", added).await;
    let token = provider.machine_token(&other).await;
    assert_eq!(status(&token).await, 401);
    assert_eq!(gateway.refusals("wrong_audience").await, 1.0);
}

#[tokio::test]
async fn a_provider_that_does_not_know_the_gateway_is_503() {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let resource = format!("{}/mcp", config.public_url());
    let provider = Provider::start_with(&resource, &["--opaque"]).await;
    let gateway = gateway(config, &provider, json!({ "client_id": "stranger" })).await;
    let token = provider.machine_token(&resource).await;
    let reply = gateway.post(initialize()).token(&token).send().await;
    assert_eq!(reply.status, 503);
    let line = gateway.logged("introspection failed").await;
    assert!(line.contains("client authentication"), "{line}");
}

/// The tokens of ana at a provider with one client, for these scopes.
async fn tokens(provider: &company::Provider, scope: &str) -> Value {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy();
    let http = http.build().unwrap();
    let document = format!("{}/.well-known/openid-configuration", provider.issuer);
    let document = http.get(document).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let endpoint = |name: &str| document[name].as_str().unwrap().to_owned();
    let redirect = format!("http://127.0.0.1:7777/callback/{}", provider.name);
    let asked = form([
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", redirect.as_str()),
        ("scope", scope),
        ("state", "state-of-this-test"),
        ("nonce", "nonce-of-this-test"),
        ("code_challenge", challenge().as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let url = format!("{}?{asked}", endpoint("authorization_endpoint"));
    let location = match provider.program {
        Program::Glewlwyd => signed_in_by_api(&http, provider, &url, scope).await,
        _ => {
            let mut person = Person::new();
            let place = person.open(&url).await;
            let place = person
                .sign_in_there_and_stop(place, &provider.origin, "ana")
                .await;
            place.url.to_string()
        }
    };
    let code = query(&location)["code"].clone();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", redirect.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let call = http
        .post(endpoint("token_endpoint"))
        .basic_auth(CLIENT_ID, Some(CLIENT_SECRET))
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = call.body(form(fields)).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Glewlwyd's pages need scripts; what they do is a call of its API each.
async fn signed_in_by_api(
    http: &reqwest::Client,
    provider: &company::Provider,
    url: &str,
    scope: &str,
) -> String {
    let origin = &provider.origin;
    let signed_in = http
        .post(format!("{origin}/api/auth/"))
        .json(&json!({ "username": "ana", "password": PASSWORD }))
        .send()
        .await
        .unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let granted = http
        .put(format!("{origin}/api/auth/grant/{CLIENT_ID}"))
        .header("cookie", &cookie)
        .json(&json!({ "scope": scope }))
        .send()
        .await
        .unwrap();
    assert_eq!(granted.status(), 200);
    let url = format!("{url}&g_continue");
    let answer = http
        .get(url)
        .header("cookie", &cookie)
        .send()
        .await
        .unwrap();
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// A gateway whose resource is for the client of a provider: it has no resources.
async fn before(program: Program, audience: &str, scope: &str) -> (Gateway, Value) {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let redirect = "http://127.0.0.1:7777/callback/company";
    let options = ["--redirect", redirect];
    let provider = company::Provider::start_with(program, "company", &config, &options).await;
    let file = config.folder().join("introspection.secret");
    certificates::write_secret(&file, CLIENT_SECRET);
    let introspection = json!({ "client_id": CLIENT_ID, "client_secret_file": file });
    let issuer = json!({ "issuer": provider.issuer, "introspection": introspection });
    let config = config
        .set("/issuers/company", issuer)
        .set("/resources/0/issuers", json!(["company"]))
        .set("/resources/0/audience", json!(audience))
        .set("/resources/0/scopes", json!({ "required": ["openid"] }))
        .set("/resources/0/policy", json!({ "default": "allow" }));
    let gateway = Gateway::start(config).await;
    let tokens = tokens(&provider, scope).await;
    let status = async |token: &str| gateway.post(initialize()).token(token).send().await.status;
    let token = tokens["access_token"].as_str();
    let token = token.unwrap_or_else(|| panic!("{tokens}"));
    assert_eq!(status(token).await, 200, "{}", gateway.log().await);
    assert_eq!(status("invented").await, 401);
    assert_eq!(upstream.hits(), 1);
    if let Some(refresh) = tokens["refresh_token"].as_str() {
        assert_eq!(status(refresh).await, 401);
    }
    (gateway, tokens)
}

#[tokio::test]
async fn a_token_of_canaille_is_introspected() {
    before(Program::Canaille, CLIENT_ID, "openid profile").await;
}

#[tokio::test]
async fn a_token_of_glewlwyd_is_introspected_and_its_refresh_token_is_none() {
    // Its access tokens are JWTs, which name it. Their audience are the scopes.
    let (gateway, tokens) = before(Program::Glewlwyd, "openid", "openid").await;
    assert!(tokens["access_token"].as_str().unwrap().contains('.'));
    // Asked about an access token, it does not know its refresh token.
    assert!(tokens["refresh_token"].is_string());
    assert_eq!(gateway.refusals("token_inactive").await, 2.0);
}
