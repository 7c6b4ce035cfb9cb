//! The walk through the Python SDK's example `simple-auth`: its authorization server issues opaque tokens, and its resource server asks it
//! about each (`--oauth-strict`). A script goes the same way at that resource server and at the gateway, and their log lines are compared.

use e2e::client::{self, initialize};
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::process::{Output, Process, port};
use e2e::sign_in::browser::{form, query};
use e2e::sign_in::client::{VERIFIER, challenge};
use e2e::upstream::Upstream;
use e2e::{eventually, leaks};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use test_support::Key;

/// Where the browser of the script ends.
const REDIRECT: &str = "http://127.0.0.1:33418/";

/// A program of the example, whose log lines are those of uvicorn.
struct Example {
    process: Process,
    base: String,
}

impl Example {
    async fn start(module: &str, options: &[&str]) -> Self {
        let port = port::free().port();
        let mut command = tool("python");
        command
            .current_dir(repository(".tools/simple-auth"))
            .args([
                "-m",
                &format!("mcp_simple_auth.{module}"),
                "--port",
                &port.to_string(),
            ])
            .args(options);
        let process = Process::spawn(command);
        process.handle().line("Uvicorn running").await;
        Self {
            process,
            base: format!("http://localhost:{port}"),
        }
    }

    fn output(&self) -> Output {
        self.process.handle()
    }

    /// Method, path and status of each request so far.
    fn requests(&self) -> Vec<String> {
        let text = self.output().text();
        let lines = text.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" - \"")?;
            let (request, status) = rest.split_once(" HTTP/1.1\" ")?;
            Some(format!("{request} {}", status.split(' ').next()?))
        });
        lines.collect()
    }
}

/// An authorization server of the example.
async fn authorization_server() -> Example {
    Example::start("auth_server", &[]).await
}

/// What was found on the way to a call.
struct Walk {
    token: String,
    status: u16,
}

/// The steps of the walk: a call without a token, the metadata, registration, sign-in, the token, the call again.
async fn walk(server: &str) -> Walk {
    let http = client::http();
    let call = |token: Option<&str>| {
        let call = http
            .post(format!("{server}/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(initialize());
        match token {
            Some(token) => call.bearer_auth(token),
            None => call,
        }
    };
    let refused = call(None).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
    let (_, url) = challenge
        .split_once("resource_metadata=\"")
        .expect(challenge);
    let metadata = http
        .get(url.split('"').next().unwrap())
        .send()
        .await
        .unwrap();
    let metadata: Value = metadata.json().await.unwrap();
    let issuer = metadata["authorization_servers"][0].as_str().unwrap();
    let token = sign_in(issuer, metadata["resource"].as_str().unwrap()).await;
    let status = call(Some(&token)).send().await.unwrap().status().as_u16();
    Walk { token, status }
}

/// A token of the demo user for this resource.
async fn sign_in(issuer: &str, resource: &str) -> String {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy();
    let http = http.build().unwrap();
    let base = issuer.trim_end_matches('/');
    let document = format!("{base}/.well-known/oauth-authorization-server");
    let document: Value = http
        .get(document)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let endpoint = |name: &str| document[name].as_str().unwrap().to_owned();
    let client = json!({ "redirect_uris": [REDIRECT], "scope": "user", "client_name": "walk" });
    let client = http.post(endpoint("registration_endpoint")).json(&client);
    let client: Value = client.send().await.unwrap().json().await.unwrap();
    let id = client["client_id"]
        .as_str()
        .expect("a client id")
        .to_owned();
    let asked = form([
        ("response_type", "code"),
        ("client_id", id.as_str()),
        ("redirect_uri", REDIRECT),
        ("scope", "user"),
        ("state", "7OWewmH"),
        ("code_challenge", challenge().as_str()),
        ("code_challenge_method", "S256"),
        ("resource", resource),
    ]);
    let url = format!("{}?{asked}", endpoint("authorization_endpoint"));
    let login = location(http.get(url).send().await.unwrap());
    let state = query(&login)["state"].clone();
    let fields = [
        ("state", state.as_str()),
        ("username", "demo_user"),
        ("password", "demo_password"),
    ];
    let posted = post(&http, &format!("{base}/login/callback"), &fields).await;
    let code = query(&location(posted))["code"].clone();
    let secret = client["client_secret"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
        ("resource", resource),
    ];
    let answer = post(&http, &endpoint("token_endpoint"), &fields).await;
    let answer: Value = answer.json().await.unwrap();
    let token = answer["access_token"].as_str();
    leaks::secret(token.unwrap_or_else(|| panic!("{answer}")))
}

async fn post(http: &reqwest::Client, url: &str, fields: &[(&str, &str)]) -> reqwest::Response {
    let call = http
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded");
    let call = call.body(form(fields.iter().copied()));
    call.send().await.unwrap()
}

fn location(answer: reqwest::Response) -> String {
    let value = answer.headers().get("location");
    let value = value.unwrap_or_else(|| panic!("{}", answer.status()));
    value.to_str().unwrap().to_owned()
}

/// The gateway in place of the example's resource server.
async fn gateway(upstream: &Upstream, server: &Example) -> Gateway {
    let introspection = json!({
        "client_auth": "none", "endpoint": format!("{}/introspect", server.base), "cache": "1s",
    });
    // The example spells its issuer with a slash.
    let issuer = json!({ "issuer": format!("{}/", server.base), "introspection": introspection });
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")])
        .set("/issuers/simple", issuer)
        .set("/resources/0/issuers", json!(["simple"]))
        .set("/resources/0/scopes", json!({ "required": ["user"] }))
        .set("/resources/0/policy", json!({ "default": "allow" }));
    Gateway::start(config).await
}

/// Method, path and status of each request so far.
async fn requests(gateway: &Gateway) -> Vec<String> {
    let lines = gateway.log_lines().await;
    let lines = lines.iter().filter(|line| line["http_method"].is_string());
    lines
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} {}",
                text("http_method"),
                text("path"),
                line["status"]
            )
        })
        .collect()
}

#[tokio::test]
async fn the_gateway_goes_the_way_of_the_sdks_resource_server() {
    let server = authorization_server().await;
    let options = [
        "--auth-server",
        &server.base,
        "--transport=streamable-http",
        "--oauth-strict",
    ];
    let theirs = Example::start("server", &options).await;
    assert_eq!(walk(&theirs.base).await.status, 200);
    let asked = |server: &Example| {
        let asked = server.requests().into_iter();
        asked.filter(|line| line == "POST /introspect 200").count()
    };
    assert_eq!(asked(&server), 1);
    let wanted = [
        "POST /mcp 401",
        "GET /.well-known/oauth-protected-resource/mcp 200",
        "POST /mcp 200",
    ];
    eventually("their lines", async || {
        theirs.requests().len() >= wanted.len()
    })
    .await;
    assert_eq!(theirs.requests(), wanted);

    let upstream = Upstream::start().await;
    let ours = gateway(&upstream, &server).await;
    let walked = walk(&ours.uri("")).await;
    assert_eq!(walked.status, 200);
    assert_eq!(asked(&server), 2);
    eventually("our lines", async || {
        requests(&ours).await.len() >= wanted.len()
    })
    .await;
    assert_eq!(requests(&ours).await, wanted);
    let line = ours.logged("\"subject\":\"demo_user\"").await;
    assert!(!line.contains(&walked.token), "{line}");
}

#[tokio::test]
async fn a_token_of_simple_auth_for_another_server_is_refused() {
    let (server, upstream) = (authorization_server().await, Upstream::start().await);
    let ours = gateway(&upstream, &server).await;
    for resource in ["http://localhost:1/mcp", &ours.uri("/other")] {
        let token = sign_in(&server.base, resource).await;
        let call = ours.post(initialize()).token(&token).send().await;
        assert_eq!(call.status, 401, "{resource}");
    }
    assert_eq!(ours.refusals("wrong_audience").await, 2.0);
    assert_eq!(upstream.hits(), 0);
}
