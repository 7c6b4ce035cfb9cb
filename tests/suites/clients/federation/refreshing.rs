//! A refresh asks the provider again, or ends with the session that it rests on.

use e2e::sign_in::client::call;
use e2e::sign_in::company::Program;
use e2e::sign_in::federated::{Federated, Wanted};
use serde_json::json;

/// A provider that is asked at each refresh.
fn asked_again(preset: &'static str) -> Wanted {
    let mut entry = json!({ "refresh": "provider" });
    if preset == "google" {
        entry["may_sign_in"] = json!({ "domains": "company.example" });
    }
    Wanted::with(Program::Company(preset), preset, entry)
}

#[tokio::test]
async fn somebody_who_is_disabled_at_the_provider_is_out_at_the_next_refresh() {
    let presets = ["oidc", "entra", "google", "okta"].map(asked_again);
    let federated = Federated::changed(&presets, |config| config).await;
    let gateway = &federated.gateway;
    for provider in &federated.providers {
        let name = &provider.name;
        let (client, tokens) = federated.connect(provider, "ana").await;
        // Twice, because some providers give another refresh token each time.
        let mut refresh = tokens.refresh;
        for _ in 0..2 {
            provider.control("stats/reset", json!({})).await;
            let (status, answer) = client.refresh(gateway, &refresh).await;
            assert_eq!(status, 200, "{name}: {answer}");
            refresh = e2e::sign_in::client::Tokens::of(answer).refresh;
            assert_eq!(provider.asked("token").await, 1, "{name}");
            assert_eq!(provider.asked("discovery").await, 0, "{name}");
        }
        // Down: nothing is lost.
        let down = json!({ "endpoints": { "token": { "kind": "refuse" } } });
        provider.fault(down).await;
        let (status, answer) = client.refresh(gateway, &refresh).await;
        assert_eq!(status, 503, "{name}: {answer}");
        provider.recover().await;
        let (status, answer) = client.refresh(gateway, &refresh).await;
        assert_eq!(status, 200, "{name}: {answer}");
        let tokens = e2e::sign_in::client::Tokens::of(answer);
        // Disabled: out.
        provider.control("disable", json!({ "name": "ana" })).await;
        let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("invalid_grant")),
            "{name}"
        );
        e2e::eventually(
            &format!("{name}: the access token is refused"),
            async || call(gateway, &tokens.access).await.status == 401,
        )
        .await;
        provider.control("enable", json!({ "name": "ana" })).await;
        let (status, _) = client.refresh(gateway, &tokens.refresh).await;
        assert_eq!(status, 400, "{name}: the grant has ended");
    }
}

#[tokio::test]
async fn somebody_who_leaves_the_organization_is_out_at_the_next_refresh() {
    let entry =
        json!({ "refresh": "provider", "may_sign_in": { "organizations": "example-company" } });
    let federated = Federated::start(Program::GitHub, entry).await;
    let (client, tokens) = federated.connect(federated.provider(), "ana").await;
    let (status, answer) = client.refresh(&federated.gateway, &tokens.refresh).await;
    assert_eq!(status, 200, "{answer}");
    let left = json!({ "name": "ana", "place": "example-company" });
    federated.provider().control("leave", left).await;
    let refresh = answer["refresh_token"].as_str().unwrap();
    let (status, answer) = client.refresh(&federated.gateway, refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}
