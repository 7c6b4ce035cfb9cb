//! Issuers that the authorization server trusts come and go with the configuration; their keys are fetched like a cluster wants it.

use std::time::Duration;

use e2e::client::Call;
use e2e::gateway::config::Config;
use e2e::gateway::{Gateway, command};
use e2e::issuer::Issuer;
use e2e::process::Process;
use e2e::sign_in::browser::form;
use e2e::sign_in::client::call;
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use e2e::{eventually, leaks};
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, KeyPair, P256, Proof, Token};
use tokio::net::TcpListener;

/// What a pod presents.
fn pod(issuer: &Issuer, key: &Key) -> String {
    let claims = json!({
        "iss": issuer.identifier(), "sub": "system:serviceaccount:agents:planner", "aud": ["mcp-gateway"],
        "kubernetes.io": { "namespace": "agents", "serviceaccount": { "name": "planner" } },
    });
    Token::exactly(key, json!({}), claims).sign()
}

/// The answer to a token request of a pod.
async fn ask(gateway: &Gateway, assertion: &str) -> (u16, Value) {
    answered(request(gateway, assertion)).await
}

/// The same with a DPoP proof.
async fn ask_with(gateway: &Gateway, assertion: &str, proof: &str) -> (u16, Value) {
    answered(request(gateway, assertion).with("dpop", proof)).await
}

fn request(gateway: &Gateway, assertion: &str) -> Call {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion),
        ("client_id", "planner"),
    ];
    let call = gateway.request(Method::POST, "/token");
    let call = call.with("content-type", "application/x-www-form-urlencoded");
    call.body(form(fields))
}

async fn answered(call: Call) -> (u16, Value) {
    let answer = call.open().await;
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("text");
    (status, serde_json::from_str(&text).expect("JSON"))
}

#[tokio::test]
async fn a_cluster_is_trusted_by_a_reload_and_its_keys_are_fetched_with_its_token() {
    let (first, second) = (
        leaks::secret("first-account-0123"),
        leaks::secret("second-account-4567"),
    );
    let (upstream, issuer) = (Upstream::start().await, Issuer::start().await);
    issuer.require_bearer(&first);
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let file = config.write("account", &first);
    let planner = json!([{ "id": "planner", "grant_types": "jwt-bearer", "scopes": "tasks:read" }]);
    let config = config
        .set("/authorization_server/clients", planner)
        .set("/jwks/refresh", "1s")
        .set("/jwks/cool_down", "1s");
    let without = config.clone();
    let gateway = Gateway::start(config).await;
    let token = pod(&issuer, &issuer.key);
    let (status, answer) = ask(&gateway, &token).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("unsupported_grant_type"))
    );

    let trusted = json!({
        "issuer": issuer.identifier(), "jwks_uri": issuer.jwks_uri(), "bearer_file": file,
        "workloads": [{
            "audience": "mcp-gateway",
            "condition": r#"claims["kubernetes.io"].namespace == "agents""#,
            "client": "planner",
        }],
    });
    let with = without
        .clone()
        .set("/authorization_server/trusted_issuers/cluster", trusted);
    with.file();
    let granted = async |assertion: &str| ask(&gateway, assertion).await.0 == 200;
    eventually("the cluster is trusted", async || granted(&token).await).await;
    let (_, answer) = ask(&gateway, &token).await;
    let access = leaks::secret(answer["access_token"].as_str().expect("a token"));
    assert_eq!(call(&gateway, &access).await.status, 200);
    assert_eq!(issuer.fetches("/.well-known/oauth-authorization-server"), 0);

    // With a proof the token is bound. The proof is judged after what it comes with.
    let proof = || Proof::new(&P256, "POST", &gateway.uri("/token"));
    let forged = proof().header("jwk", KeyPair::p256().public_jwk()).sign();
    let foreign = pod(&issuer, &Key::es256("foreign"));
    for (assertion, error) in [(&token, "invalid_dpop_proof"), (&foreign, "invalid_grant")] {
        let (status, answer) = ask_with(&gateway, assertion, &forged).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)));
    }
    let (status, answer) = ask_with(&gateway, &token, &proof().sign()).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("DPoP")));

    // The kubelet replaces the token, and the cluster its keys.
    issuer.require_bearer(&second);
    gateway.config.write("account", &second);
    let next = Key::es256("next");
    issuer.publish(&[&next]);
    let renewed = pod(&issuer, &next);
    eventually("the new key is known", async || granted(&renewed).await).await;
    let (status, answer) = ask(&gateway, &token).await;
    assert_ne!(
        status, 200,
        "a withdrawn key still signs: {}",
        answer["error"]
    );

    without.file();
    eventually("the cluster is not trusted any more", async || {
        !granted(&renewed).await
    })
    .await;
    // What was issued lives on until it expires.
    assert_eq!(call(&gateway, &access).await.status, 200);
}

#[tokio::test]
async fn a_trusted_issuer_that_does_not_answer_holds_up_neither_the_start_nor_an_upgrade() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let upstream = Upstream::start().await;
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let socket = config.folder().join("upgrade.sock");
    let trusted = json!({
        "issuer": silent, "jwks_uri": format!("{silent}/keys"),
        "workloads": [{ "audience": "mcp-gateway", "claims": { "sub": "planner" }, "client": "planner" }],
    });
    let planner = json!([{ "id": "planner", "grant_types": "jwt-bearer", "scopes": "tasks:read" }]);
    let config = config
        .set("/authorization_server/clients", planner)
        .set("/authorization_server/trusted_issuers/cluster", trusted)
        .set("/upgrade_socket", json!(socket))
        // Longer than anybody waits here.
        .set("/jwks/fetch", "1m")
        .set("/jwks/wait", "100ms");
    let mut gateway = Gateway::start(config).await;
    let claims = json!({ "iss": silent, "sub": "planner", "aud": "mcp-gateway" });
    let token = Token::exactly(&Key::es256("first"), json!({}), claims).sign();
    is_unavailable(&gateway, &token).await;
    let next = Process::spawn(command(&["run", "--upgrade", "--config"], &gateway.config));
    let mut last = std::mem::replace(&mut gateway.process, next);
    let code = last.exit(Duration::from_secs(40)).await.code();
    assert_eq!(code, Some(0), "{}", gateway.process.output());
    gateway.readiness(200).await;
    is_unavailable(&gateway, &token).await;
}

/// The workload learns that it has to wait, and the operator for whose keys.
async fn is_unavailable(gateway: &Gateway, token: &str) {
    let (status, answer) = ask(gateway, token).await;
    let expected = json!("temporarily_unavailable");
    assert_eq!((status, &answer["error"]), (503, &expected), "{answer}");
    let page = gateway.admin("/readyz").await.json();
    let mut issuers = page["issuers"].as_array().unwrap().iter();
    let is_named = issuers.any(|issuer| issuer["name"] == "trusted_issuers.cluster");
    assert!(is_named, "{page}");
    let words = "the keys of trusted_issuers.cluster cannot be had";
    gateway.logged(words).await;
}
