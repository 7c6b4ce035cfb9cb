//! Opaque tokens: how their issuer is asked, and the example configurations for that. What can go wrong is in the attack list.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::certificates::{self, Authority};
use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::issuer::introspection::{Introspection, alice};
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::Client;
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use e2e::{eventually, leaks};
use serde_json::{Value, json};
use test_support::{Key, base64url_decode};

const FORM: &str = "application/x-www-form-urlencoded";

/// The common case with `issuer` as the only issuer.
async fn start(
    upstream: &Upstream,
    issuer: &Introspection,
    introspection: impl FnOnce(&Config) -> Value,
) -> Gateway {
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let asked = json!({ "issuer": issuer.identifier(), "introspection": introspection(&config) });
    let config = config
        .set("/issuers/opaque", asked)
        .set("/resources/0/issuers", json!(["opaque"]));
    Gateway::start(config).await
}

fn secret_file(config: &Config, secret: &str) -> std::path::PathBuf {
    let file = config.folder().join("introspection.secret");
    certificates::write_secret(&file, format!("{}\n", leaks::secret(secret)));
    file
}

async fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.post(initialize()).token(token).send().await.status
}

/// The value of a parameter of a form.
fn parameter(body: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(body.as_bytes());
    pairs
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn the_endpoint_is_discovered_and_asked_with_a_secret_in_the_header() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let gateway = start(&upstream, &issuer, |config| {
        let file = secret_file(config, "p:ss/w%rd+of-the-gateway");
        json!({ "client_id": "https://mcp.example.com/", "client_secret_file": file })
    })
    .await;
    let token = leaks::secret("opaque+token/of-alice==");
    issuer.issues(&token, &gateway.uri("/mcp"));
    for _ in 0..3 {
        assert_eq!(status(&gateway, &token).await, 200);
    }
    assert_eq!(status(&gateway, "another").await, 401);
    let asked = issuer.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let question = &asked[0];
    assert_eq!(question.path, "/introspect");
    assert_eq!(question.headers["content-type"], FORM);
    assert_eq!(question.headers["accept"], "application/json");
    assert_eq!(parameter(&question.body, "token"), Some(token));
    let hint = parameter(&question.body, "token_type_hint");
    assert_eq!(hint.as_deref(), Some("access_token"));
    assert_eq!(parameter(&question.body, "client_secret"), None);
    let value = question.headers["authorization"].to_str().unwrap();
    let decoded = STANDARD
        .decode(value.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(
        String::from_utf8(decoded).unwrap(),
        "https%3A%2F%2Fmcp.example.com%2F:p%3Ass%2Fw%25rd%2Bof-the-gateway"
    );
    let metrics = gateway.metrics().await;
    for (result, count) in [("active", 1.0), ("inactive", 1.0)] {
        let labels = [("issuer", "opaque"), ("result", result)];
        assert_eq!(
            metrics.sum("mcp_gateway_introspections_total", &labels),
            count
        );
    }
}

#[tokio::test]
async fn the_gateway_authenticates_in_the_form_or_with_a_key() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let gateway = start(&upstream, &issuer, |config| {
        let file = secret_file(config, "secret-in-the-form");
        json!({ "client_id": "gate", "client_secret_file": file, "client_auth": "client_secret_post" })
    })
    .await;
    issuer.issues("opaque-1", &gateway.uri("/mcp"));
    assert_eq!(status(&gateway, "opaque-1").await, 200);
    let question = issuer.asked().pop().unwrap();
    assert!(!question.headers.contains_key("authorization"));
    assert_eq!(
        parameter(&question.body, "client_id").as_deref(),
        Some("gate")
    );
    let secret = parameter(&question.body, "client_secret");
    assert_eq!(secret.as_deref(), Some("secret-in-the-form"));

    let leaf = Authority::new().leaf(&["gateway.example"]);
    let gateway = start(&upstream, &issuer, |config| {
        let (_, file) = leaf.write(config.folder(), "gateway");
        json!({ "client_id": "gate", "private_key_file": file, "private_key_id": "ours" })
    })
    .await;
    issuer.issues("opaque-2", &gateway.uri("/mcp"));
    assert_eq!(status(&gateway, "opaque-2").await, 200);
    let question = issuer.asked().pop().unwrap();
    let kind = parameter(&question.body, "client_assertion_type");
    let expected = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(kind.as_deref(), Some(expected));
    let assertion = parameter(&question.body, "client_assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&base64url_decode(claims)).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("gate"), &json!("gate"), &json!(issuer.identifier()))
    );
}

#[tokio::test]
async fn a_secret_that_is_replaced_is_used_after_a_reload() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let gateway = start(&upstream, &issuer, |config| {
        let file = secret_file(config, "the-first-secret");
        json!({ "client_id": "gate", "client_secret_file": file, "cache": "0s" })
    })
    .await;
    issuer.issues("opaque", &gateway.uri("/mcp"));
    assert_eq!(status(&gateway, "opaque").await, 200);
    secret_file(&gateway.config, "the-second-secret");
    let expected = format!("Basic {}", STANDARD.encode("gate:the-second-secret"));
    eventually("the new secret is used", async || {
        status(&gateway, "opaque").await == 200
            && issuer.asked().pop().unwrap().headers["authorization"] == *expected
    })
    .await;
}

/// An example file with its variables, before an issuer of the test.
async fn example(
    name: &str,
    upstream: &Upstream,
    variables: &[(&str, &str)],
    change: impl FnOnce(Config) -> Config,
) -> Gateway {
    let config = Config::as_shipped(name, &upstream.url());
    let folder = config.folder().join("keys");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("introspection.secret");
    certificates::write_secret(&file, "hunter2hunter2\n");
    Gateway::start_with(change(config), variables).await
}

#[tokio::test]
async fn the_examples_for_opaque_tokens_work() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let variables = [("ISSUER", issuer.identifier()), ("CLIENT", "mcp-gateway")];
    let gateway = example("introspection.yaml", &upstream, &variables, |config| config).await;
    issuer.issues("opaque", &gateway.uri("/mcp"));
    assert_eq!(status(&gateway, "opaque").await, 200);
    assert_eq!(status(&gateway, "other").await, 401);

    let endpoint = |name: &str| {
        let (pointer, endpoint) = (
            format!("/issuers/{name}/introspection/endpoint"),
            issuer.endpoint(),
        );
        move |config: Config| config.set(&pointer, endpoint)
    };
    let variables = [("GOOGLE_CLIENT", "1-a.apps.googleusercontent.com")];
    let gateway = example("google.yaml", &upstream, &variables, endpoint("google")).await;
    let answer = json!({
        "azp": variables[0].1, "aud": variables[0].1, "sub": "110169484474386276334",
        "scope": "openid https://www.googleapis.com/auth/userinfo.email",
        "exp": (test_support::now() + 600).to_string(), "expires_in": "600", "email_verified": "true",
    });
    issuer.knows("ya29.a", answer);
    assert_eq!(status(&gateway, "ya29.a").await, 200);
    let asked = issuer.asked().pop().unwrap();
    assert_eq!(asked.body, "access_token=ya29.a");
    assert!(!asked.headers.contains_key("authorization"));

    let variables = [("GITHUB_CLIENT", "Iv1.8a61f9b3a7aba766")];
    let gateway = example("github.yaml", &upstream, &variables, endpoint("github")).await;
    let answer = json!({
        "app": { "client_id": variables[0].1 }, "user": { "id": 583_231, "login": "octocat" },
        "scopes": ["read:user"], "expires_at": null,
    });
    issuer.knows("gho_a", answer);
    assert_eq!(status(&gateway, "gho_a").await, 200);
    let asked = issuer.asked().pop().unwrap();
    assert_eq!(asked.body, r#"{"access_token":"gho_a"}"#);
    let expected = STANDARD.encode(format!("{}:hunter2hunter2", variables[0].1));
    assert_eq!(asked.headers["authorization"], *format!("Basic {expected}"));
}

#[tokio::test]
async fn a_gateway_asks_the_authorization_server_of_another_gateway() {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let secret = secret_file(&config, "secret-of-the-edge");
    let listed = json!([{ "id": "edge", "secret_file": secret }]);
    let config = config.set("/authorization_server/introspection", listed);
    let server = Gateway::start(with_authorization_server(config).await).await;

    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let introspection = json!({ "client_id": "edge", "client_secret_file": secret, "cache": "1s" });
    let asked = json!({ "issuer": server.uri(""), "introspection": introspection });
    let config = config
        .set("/issuers/server", asked)
        .set("/resources/0/issuers", json!(["server"]))
        // The server knows its own resource only.
        .set("/resources/0/audience", json!(server.uri("/mcp")));
    let gateway = Gateway::start(config).await;

    let client = Client::register(&server).await;
    let mut browser = Browser::new(&server.uri(""));
    let consent = browser
        .sign_in(&client.authorize(&server, "tasks:read"), USER, PASSWORD)
        .await;
    let code = client.code(&server, &browser.allow(&consent).await);
    let tokens = client.redeem(&server, &code).await;
    assert_eq!(status(&gateway, &tokens.access).await, 200);
    assert_eq!(status(&server, &tokens.access).await, 200);

    assert_eq!(client.revoke(&server, &tokens.refresh).await, 200);
    eventually("both refuse it", async || {
        status(&gateway, &tokens.access).await == 401
            && status(&server, &tokens.access).await == 401
    })
    .await;
}

#[tokio::test]
async fn the_claims_of_an_answer_are_those_of_the_caller() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let gateway = start(&upstream, &issuer, |_| json!({ "client_auth": "none" })).await;
    issuer.issues("opaque", &gateway.uri("/mcp"));
    assert_eq!(status(&gateway, "opaque").await, 200);
    let mut machine = alice(&gateway.uri("/mcp"));
    machine.as_object_mut().unwrap().remove("sub");
    issuer.knows("opaque-machine", machine);
    assert_eq!(status(&gateway, "opaque-machine").await, 200);
    let line = gateway.logged("\"subject\":\"client\"").await;
    assert!(line.contains(issuer.identifier()), "{line}");
    let mut weak = alice(&gateway.uri("/mcp"));
    weak["scope"] = json!("other");
    issuer.knows("opaque-weak", weak);
    assert_eq!(status(&gateway, "opaque-weak").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_tokens_is_asked_about_once() {
    const TOKENS: usize = 2000;
    const AT_ONCE: usize = 16;
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let gateway = start(&upstream, &issuer, |_| json!({ "client_auth": "none" })).await;
    let audience = gateway.uri("/mcp");
    for number in 0..TOKENS {
        issuer.issues(&format!("opaque-{number}"), &audience);
    }
    let callers = (0..AT_ONCE).map(|caller| {
        let calls = (caller..TOKENS).step_by(AT_ONCE).flat_map(|number| {
            let call = || {
                gateway
                    .post(initialize())
                    .token(&format!("opaque-{number}"))
            };
            [call(), call()]
        });
        let calls: Vec<_> = calls.collect();
        tokio::spawn(async move {
            for call in calls {
                assert_eq!(call.send().await.status, 200);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    assert_eq!(issuer.questions(), TOKENS);
}
