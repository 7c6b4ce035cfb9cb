//! People sign in with a provider, in Chromium: over our pages and the provider's own to a proxied call.

use e2e::sign_in::company::{PASSWORD, Program};
use e2e::sign_in::federated::{Federated, Wanted};
use serde_json::{Value, json};

use crate::setting::{passes, scenarios};

/// Runs scenarios with these providers; pictures go to this folder below `target/browser`.
async fn run(wanted: &[Wanted], results: &str, names: &[&str]) {
    let federated = Federated::changed(wanted, |config| config).await;
    let entries = wanted.iter().map(|one| &one.entry);
    let providers: Vec<Value> = (federated.providers.iter().zip(entries))
        .map(|(provider, entry)| {
            let program = match provider.program {
                Program::Company(_) => "company",
                Program::Glewlwyd => "glewlwyd",
                Program::Canaille => "canaille",
                Program::GitHub => "github",
            };
            json!({
                "name": provider.name, "label": entry["label"], "program": program, "origin": provider.origin,
                "person": { "user": "ana", "password": PASSWORD },
            })
        })
        .collect();
    let mut command = scenarios(&federated.gateway, results);
    command.args(["--providers", &json!(providers).to_string()]);
    command.args(names);
    passes(command).await;
}

/// A provider whose button has its name.
fn named(program: Program, name: &'static str) -> Wanted {
    let mut entry = json!({ "label": name });
    if program == Program::GitHub {
        entry["may_sign_in"] = json!({ "organizations": "example-company" });
    }
    Wanted::with(program, name, entry)
}

#[tokio::test]
async fn people_sign_in_with_the_companys_provider() {
    let wanted = [named(Program::Company("oidc"), "company")];
    run(&wanted, "federation", &["federation"]).await;
}

#[tokio::test]
async fn every_page_of_a_sign_in_with_a_provider_is_right() {
    let company =
        json!({ "label": "Example Ltd", "may_sign_in": { "domains": "company.example" } });
    let rule = json!({ "claim": "groups", "value": "engineering", "scopes": ["tasks:write"] });
    let entra =
        json!({ "label": "Entra ID", "grants": { "scopes": ["tasks:read"], "by_claim": [rule] } });
    let wanted = [
        Wanted::with(Program::Company("oidc"), "company", company),
        Wanted::with(Program::Company("entra"), "entra", entra),
    ];
    run(&wanted, "providers", &["provider_pages", "markup"]).await;
}

#[tokio::test]
#[ignore = "every provider, for make acceptance"]
async fn people_sign_in_with_every_provider() {
    let wanted = [
        named(Program::Company("entra"), "entra"),
        named(Program::Company("google"), "google"),
        named(Program::Company("okta"), "okta"),
        named(Program::Company("auth0"), "auth0"),
        named(Program::Company("keycloak"), "keycloak"),
        named(Program::GitHub, "github"),
        named(Program::Canaille, "canaille"),
        named(Program::Glewlwyd, "glewlwyd"),
    ];
    let wanted = wanted.map(|one| match one.name {
        "google" => Wanted::with(
            one.program,
            one.name,
            json!({ "label": "google", "may_sign_in": { "domains": "company.example" } }),
        ),
        _ => one,
    });
    let names = ["federation/people_sign_in_with_each_provider"];
    run(&wanted, "federation", &names).await;
}
