//! One client at the provider stands for every client here: what it was allowed there allows nobody anything here.

use e2e::sign_in::client::{Client, REDIRECT, call};
use e2e::sign_in::company::Program;
use e2e::sign_in::company::person::Person;
use e2e::sign_in::federated::{Federated, Wanted};
use serde_json::{Value, json};

#[tokio::test]
async fn attack_283_a_session_at_the_provider_allows_no_client_anything() {
    // Keycloak's ways: no page to consent, so that somebody who is signed in there comes straight back.
    let wanted = [Wanted::plain(Program::Company("keycloak"), "company")];
    let federated = Federated::changed(&wanted, |config| {
        let console = json!({ "id": "console", "redirect_uris": [REDIRECT] });
        config.set("/authorization_server/clients", json!([console]))
    })
    .await;
    let provider = federated.provider();
    let honest = Client::register(&federated.gateway).await;
    let mut ana = Person::new();
    let consent = federated.sign_in(&mut ana, &honest, provider, "ana").await;
    federated.allow(&mut ana, &honest, &consent).await;
    // The attacker's client, opened in her browser: nothing leaves before she chose, and she is asked here.
    let evil = Client::register(&federated.gateway).await;
    let place = federated.begin(&mut ana, &evil).await;
    assert_eq!(place.status(), 200);
    assert!(place.is_at(&federated.gateway.uri("")), "{}", place.url);
    assert!(place.text().contains("Allow access"), "{}", place.text());
    // The same where only the provider still knows her.
    ana.cookies.remove("127.0.0.1");
    let place = federated.begin(&mut ana, &evil).await;
    assert!(
        place.is_at(&federated.gateway.uri("")),
        "she left without choosing: {}",
        place.url
    );
    let host = REDIRECT.trim_start_matches("http://");
    let host = host.split('/').next().unwrap();
    assert!(
        place.text().contains(host),
        "the page does not say where the answer goes: {}",
        place.text()
    );
    let place = ana.submit(&place, &[("provider", &provider.name)]).await;
    assert!(place.text().contains("Allow access"), "{}", place.text());
    // `prompt=none` does not skip it either.
    let url = federated
        .gateway
        .uri(&evil.authorize(&federated.gateway, "tasks:read"));
    let place = ana.open(&format!("{url}&prompt=none")).await;
    let gave_code = place.url.query_pairs().any(|(name, _)| name == "code");
    assert!(!gave_code, "{}", place.url);
    // A client of the operator gets nobody there unasked either: everybody knows its id.
    let console = Client {
        id: "console".to_owned(),
        secret: None,
        registered: Value::Null,
    };
    ana.cookies.remove("127.0.0.1");
    let place = federated.begin(&mut ana, &console).await;
    assert!(place.is_at(&federated.gateway.uri("")), "{}", place.url);
    assert!(place.text().contains("console"), "{}", place.text());
}

#[tokio::test]
async fn attack_284_tokens_of_the_provider_are_no_tokens_here_and_reach_nobody() {
    let federated =
        Federated::start(Program::Company("oidc"), json!({ "refresh": "provider" })).await;
    let (client, tokens) = federated.connect(federated.provider(), "ana").await;
    let answer = tokens.answer.to_string();
    for word in ["id_token", "company.example"] {
        assert!(!answer.contains(word), "{answer}");
    }
    let claims = tokens.claims();
    for name in ["email", "groups", "name", "preferred_username", "nonce"] {
        assert!(claims[name].is_null(), "{name}: {claims}");
    }
    assert_eq!(call(&federated.gateway, &tokens.access).await.status, 200);
    // What the provider gave is not what the client gets.
    let asked = federated.provider().stats().await["last"]["authorization"].clone();
    assert_eq!(asked["client_id"], "gateway");
    assert!(asked["resource"].is_null(), "{asked}");
    assert_ne!(asked["redirect_uri"], REDIRECT);
    for word in [client.id.as_str(), REDIRECT, "tasks:read"] {
        assert!(
            !asked.to_string().contains(word),
            "the provider learns {word}: {asked}"
        );
    }
}

#[tokio::test]
async fn attack_285_what_is_sent_to_the_provider_is_bound_to_one_sign_in() {
    let federated = Federated::start(Program::Company("oidc"), json!({})).await;
    let client = Client::register(&federated.gateway).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut person = Person::new();
        federated
            .leave(&mut person, &client, federated.provider())
            .await;
        let asked = federated.provider().stats().await["last"]["authorization"].clone();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(
            asked["redirect_uri"],
            federated.gateway.uri("/callback/company").as_str()
        );
        for name in ["state", "nonce", "code_challenge"] {
            let value = asked[name].as_str().unwrap_or_default().to_owned();
            assert!(value.len() >= 43, "{name}: {asked}");
            seen.push(value);
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "a value came twice");
}
