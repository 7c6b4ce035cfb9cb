//! The gateway authenticates at a provider with a key of its own instead of a secret (`private_key_jwt`, RFC 7523 §2.2).

use e2e::certificates::write_secret;
use e2e::gateway::config::Config;
use e2e::sign_in::client::{Client, call};
use e2e::sign_in::company::Program;
use e2e::sign_in::company::person::Person;
use e2e::sign_in::federated::{Federated, Wanted};
use rcgen::KeyPair;
use serde_json::{Value, json};
use test_support::base64url;

/// How the provider knows the key.
const KEY_ID: &str = "gateway-1";

/// The options of a provider that knows this key.
fn knows(key: &KeyPair) -> &'static [&'static str] {
    // An uncompressed point is 0x04, then both coordinates.
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": base64url(x), "y": base64url(y),
    });
    let keys: &'static str = json!({ "keys": [jwk] }).to_string().leak();
    vec!["--client-keys", keys].leak()
}

/// This key in place of the secrets of all providers.
fn with_key(config: Config, key: &KeyPair, providers: usize) -> Config {
    let file = config.folder().join("provider.key");
    write_secret(&file, key.serialize_pem());
    (0..providers).fold(config, |config, number| {
        let entry = format!("authorization_server/providers/{number}");
        config
            .without(&format!("{entry}/client_secret_file"))
            .set(&format!("/{entry}/private_key_file"), json!(file))
            .set(&format!("/{entry}/private_key_id"), json!(KEY_ID))
    })
}

#[tokio::test]
async fn a_key_takes_the_place_of_the_secret_and_another_key_is_refused() {
    let [own, other] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let wanted = |name, key| Wanted {
        options: knows(key),
        ..Wanted::with(
            Program::Company("oidc"),
            name,
            json!({ "refresh": "provider" }),
        )
    };
    let wanted = [wanted("company", &own), wanted("stranger", &other)];
    let federated = Federated::changed(&wanted, |config| with_key(config, &own, 2)).await;
    let provider = federated.named("company");
    let (client, tokens) = federated.connect(provider, "ana").await;
    assert_eq!(call(&federated.gateway, &tokens.access).await.status, 200);
    // Each request has an assertion of its own: a provider takes each once.
    let before = provider.asked("token").await;
    let mut refresh = tokens.refresh;
    for _ in 0..2 {
        let (status, answer) = client.refresh(&federated.gateway, &refresh).await;
        assert_eq!(status, 200, "{answer}");
        refresh = answer["refresh_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(provider.asked("token").await - before, 2);

    let client = Client::register(&federated.gateway).await;
    let stranger = federated.named("stranger");
    let place = federated
        .sign_in(&mut Person::new(), &client, stranger, "ana")
        .await;
    assert_eq!(place.status(), 502, "{}", place.text());
    let lines = federated.gateway.log_lines().await;
    let said = |line: &Value| line.to_string().contains("invalid_client");
    assert!(lines.iter().any(said), "{lines:?}");
}
