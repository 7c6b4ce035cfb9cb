//! A certified provider's keys: its algorithms, rotation and outages as the gateway sees them.

use e2e::eventually;
use serde_json::json;

use crate::setting::Setting;

#[tokio::test]
async fn tokens_in_every_algorithm_of_the_provider_are_accepted() {
    let setting = Setting::start().await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        setting.provider.sign_with(algorithm).await;
        let token = setting.provider.machine_token(&setting.url()).await;
        let reply = setting.initialize(&token).await;
        assert_eq!(
            reply.status,
            200,
            "{algorithm}: {} {}",
            reply.challenge(),
            reply.text()
        );
    }
}

#[tokio::test]
async fn a_key_rotation_fails_no_client() {
    let setting = Setting::start().await;
    let old = setting.provider.machine_token(&setting.url()).await;
    assert_eq!(setting.initialize(&old).await.status, 200);
    setting.provider.control("rotate", json!({})).await;
    let new = setting.provider.machine_token(&setting.url()).await;
    assert_eq!(
        setting.initialize(&new).await.status,
        200,
        "the new key at once"
    );
    assert_eq!(
        setting.initialize(&old).await.status,
        200,
        "the old key as long as it is published"
    );
}

#[tokio::test]
async fn tokens_of_a_withdrawn_key_are_refused_after_the_refresh() {
    let setting = Setting::start().await;
    let old = setting.provider.machine_token(&setting.url()).await;
    assert_eq!(setting.initialize(&old).await.status, 200);
    setting
        .provider
        .control("rotate?keep=false", json!({}))
        .await;
    let new = setting.provider.machine_token(&setting.url()).await;
    eventually("the new key is fetched", async || {
        setting.initialize(&new).await.status == 200
    })
    .await;
    assert_eq!(
        setting.initialize(&old).await.status,
        401,
        "its cached verification ends too"
    );
}

#[tokio::test]
async fn tokens_of_known_keys_verify_during_an_outage_of_the_provider() {
    let setting = Setting::start().await;
    let token = setting.provider.machine_token(&setting.url()).await;
    assert_eq!(setting.initialize(&token).await.status, 200);
    for mode in ["error", "hang"] {
        setting
            .provider
            .control(&format!("outage?mode={mode}"), json!({}))
            .await;
        assert_eq!(setting.initialize(&token).await.status, 200, "{mode}");
    }
    setting.provider.control("outage?mode=off", json!({})).await;
}

#[tokio::test]
async fn a_token_for_another_resource_or_signed_by_another_key_is_refused() {
    let setting = Setting::start().await;
    let other = "https://other.example/mcp";
    setting
        .provider
        .control(
            "resource",
            json!({ "resource": other, "scopes": ["tasks:read"] }),
        )
        .await;
    let token = setting.provider.machine_token(other).await;
    assert_eq!(setting.initialize(&token).await.status, 401);
    let claims = json!({ "aud": setting.url(), "scope": "tasks:read" });
    for (signer, expected) in [("current", 200), ("foreign", 401)] {
        let made = setting
            .provider
            .control("token", json!({ "claims": claims, "signer": signer }))
            .await;
        let token = made["access_token"]
            .as_str()
            .or(made["token"].as_str())
            .or(made.as_str())
            .unwrap()
            .to_owned();
        let reply = setting.initialize(&token).await;
        assert_eq!(reply.status, expected, "{signer}: {}", reply.text());
    }
}

#[tokio::test]
async fn keys_are_fetched_rarely() {
    let setting = Setting::start().await;
    let token = setting.provider.machine_token(&setting.url()).await;
    for _ in 0..20 {
        assert_eq!(setting.initialize(&token).await.status, 200);
    }
    let stats = setting.provider.stats().await;
    assert!(
        stats["jwks"].as_u64().is_some_and(|count| count <= 2),
        "{stats}"
    );
}
