//! People sign in with a provider, in Chromium: over our pages and the provider's own to a proxied call.

use e2e::sign_in::company::{PASSWORD, Program};
use e2e::sign_in::federated::{Federated, Wanted};
use serde_json::{Value, json};

use crate::setting::{passes, scenarios};

/// Runs scenarios of the group `federation` with these providers.
async fn run(wanted: &[Wanted], names: &[&str]) {
    let federated = Federated::changed(wanted, |config| config).await;
    let providers: Vec<Value> = federated
        .providers
        .iter()
        .map(|provider| {
            let program = match provider.program {
                Program::Company(_) => "company",
                Program::Glewlwyd => "glewlwyd",
                Program::Canaille => "canaille",
                Program::GitHub => "github",
            };
            json!({
                "name": provider.name, "label": provider.name, "program": program, "origin": provider.origin,
                "person": { "user": "ana", "password": PASSWORD },
            })
        })
        .collect();
    let mut command = scenarios(&federated.gateway, "federation");
    command.args(["--providers", &json!(providers).to_string()]);
    command.args(names.iter().map(|name| format!("federation/{name}")));
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
    let names = [
        "people_sign_in_with_each_provider",
        "somebody_who_cancels_at_the_provider_is_told_and_can_try_again",
        "a_sign_in_is_for_the_browser_that_began_it",
        "several_tabs_sign_in_at_once",
    ];
    run(&[named(Program::Company("oidc"), "company")], &names).await;
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
    run(&wanted, &["people_sign_in_with_each_provider"]).await;
}
