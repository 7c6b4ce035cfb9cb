//! Somebody signs in at each kind of provider, without a browser that runs scripts (those are in the suite `browser`).

use e2e::sign_in::client::{Client, call};
use e2e::sign_in::company::Program;
use e2e::sign_in::company::person::Person;
use e2e::sign_in::federated::{Federated, Wanted};
use e2e::world::Table;
use serde_json::json;

/// Every preset and canaille.
fn everybody() -> Vec<Wanted> {
    let company =
        |preset: &'static str, entry| Wanted::with(Program::Company(preset), preset, entry);
    vec![
        company("oidc", json!({})),
        company("entra", json!({})),
        company(
            "google",
            json!({ "may_sign_in": { "domains": "company.example" } }),
        ),
        company(
            "okta",
            json!({ "may_sign_in": { "groups": ["engineering"] } }),
        ),
        company(
            "auth0",
            json!({ "groups_claim": "https://company.example/groups", "may_sign_in": { "groups": ["engineering"] } }),
        ),
        company(
            "keycloak",
            json!({ "may_sign_in": { "groups": ["/engineering"] } }),
        ),
        Wanted::with(
            Program::GitHub,
            "github",
            json!({ "may_sign_in": { "organizations": "example-company", "teams": "example-company/platform" } }),
        ),
        Wanted::plain(Program::Canaille, "canaille"),
    ]
}

#[tokio::test]
async fn ana_signs_in_at_each_kind_of_provider_and_is_the_same_the_next_time() {
    let federated = Federated::changed(&everybody(), |config| config).await;
    let mut subjects = Vec::new();
    for provider in &federated.providers {
        let (_, first) = federated.connect(provider, "ana").await;
        let (_, second) = federated.connect(provider, "ana").await;
        let (first, second) = (first, second);
        let subject = first.claims()["sub"].as_str().unwrap().to_owned();
        assert_eq!(
            second.claims()["sub"],
            subject.as_str(),
            "{}",
            provider.name
        );
        assert!(
            !subject.starts_with("u:") && !subject.starts_with("m:"),
            "{subject}"
        );
        assert!(!subject.contains("ana"), "an address or a name: {subject}");
        let reply = call(&federated.gateway, &first.access).await;
        assert_eq!(reply.status, 200, "{}: {}", provider.name, reply.text());
        subjects.push(subject);
    }
    let count = subjects.len();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), count, "two providers have the same account");
    assert_eq!(federated.upstream.hits(), count);
}

#[tokio::test]
async fn who_may_not_sign_in_gets_a_page_that_says_so() {
    let federated = Federated::changed(&everybody(), |config| config).await;
    let mut table = Table::default();
    for (provider, user, log) in [
        ("google", "eve", "may_sign_in.domains"),
        ("okta", "ben", "may_sign_in.groups"),
        ("auth0", "ben", "may_sign_in.groups"),
        ("keycloak", "ben", "may_sign_in.groups"),
        ("github", "eve", "may_sign_in.organizations"),
        ("github", "ben", "may_sign_in.teams"),
    ] {
        let client = Client::register(&federated.gateway).await;
        let mut person = Person::new();
        let named = federated.named(provider);
        let place = federated.sign_in(&mut person, &client, named, user).await;
        let text = place.text();
        let name = format!("{user} at {provider}");
        table.check(&name, place.status() == 403, || {
            format!("{}: {text}", place.status())
        });
        table.check(&name, text.contains("You cannot sign in here"), || {
            text.clone()
        });
        federated.gateway.logged(log).await;
        let lines = federated.gateway.log_lines().await;
        let is_told = lines
            .iter()
            .any(|line| line["provider"] == provider && line.to_string().contains(log));
        table.check(&name, is_told, || format!("the log does not say {log}"));
    }
}
