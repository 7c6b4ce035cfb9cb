//! Tokens that are bound to a key of the client, by two libraries that know DPoP (RFC 9449), from two providers.

use std::process::Stdio;

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::sign_in::client::Client;
use serde_json::{Value, json};

use crate::setting::{Setting, built_in::BuiltIn};

const LIBRARIES: [&str; 2] = ["openid-client", "oauth4webapi"];

/// What the program found: the type of its token, the status of each call, and how often each origin asked for a nonce.
async fn run(
    url: &str,
    library: &str,
    issuer: &str,
    (id, secret): (&str, &str),
    algorithm: &str,
) -> Value {
    let mut command = tool("node");
    command
        .arg(repository("tests/clients/typescript/dpop.mjs"))
        .args([url, "--package", library, "--issuer", issuer])
        .args(["--client", id, "--secret", secret, "--algorithm", algorithm])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{library}: {said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn clients_with_bound_tokens_of_a_provider_use_the_nonces_of_both() {
    let setting = Setting::changed(|config| {
        let constraint = json!({ "dpop": "require", "dpop_nonces": true });
        config.set("/resources/0/sender_constraint", constraint)
    })
    .await;
    let issuer = setting.provider.issuer.as_str();
    let machine = ("machine", "machine-secret");
    for library in LIBRARIES {
        for algorithm in ["ES256", "Ed25519"] {
            let found = run(&setting.url(), library, issuer, machine, algorithm).await;
            assert_eq!(found["type"], "dpop", "{library} {algorithm}: {found}");
            assert_eq!(found["statuses"], json!([200, 200, 200]), "{library}");
            let own = setting.gateway.uri("");
            assert_eq!(found["nonces"][issuer], 1, "{library}: {found}");
            assert_eq!(
                found["nonces"][own.trim_end_matches('/')],
                1,
                "{library}: {found}"
            );
        }
    }
}

#[tokio::test]
async fn clients_with_bound_tokens_of_the_built_in_server_call_with_them() {
    let setting = BuiltIn::changed(|config| {
        config
            .set(
                "/authorization_server/machines",
                json!({ "enabled": true, "scopes": ["tasks:read"] }),
            )
            .set(
                "/resources/0/sender_constraint",
                json!({ "dpop": "require" }),
            )
    })
    .await;
    let metadata = json!({
        "client_name": "Bound", "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let client = Client::register_as(&setting.gateway, &metadata).await;
    let secret = client.secret.as_deref().unwrap();
    let issuer = setting.gateway.uri("");
    for library in LIBRARIES {
        for algorithm in ["ES256", "Ed25519", "PS256"] {
            let own = (client.id.as_str(), secret);
            let found = run(&setting.url(), library, &issuer, own, algorithm).await;
            assert_eq!(found["type"], "dpop", "{library} {algorithm}: {found}");
            assert_eq!(found["statuses"], json!([200, 200, 200]), "{library}");
            assert_eq!(found["nonces"], json!({}), "{library}: no nonce is needed");
        }
    }
}
