//! Who an account is, and what a provider says of it.

use e2e::sign_in::client::Client;
use e2e::sign_in::company::person::{Person, Place};
use e2e::sign_in::company::{Program, TENANTS};
use e2e::sign_in::federated::{Federated, Wanted};
use e2e::sign_in::{USER, hash, with_users};
use e2e::world::Table;
use serde_json::{Value, json};

const OIDC: Program = Program::Company("oidc");

async fn sign_in(federated: &Federated, provider: &str, user: &str) -> Place {
    let client = Client::register(&federated.gateway).await;
    let mut person = Person::new();
    federated
        .sign_in(&mut person, &client, federated.named(provider), user)
        .await
}

async fn subject(federated: &Federated, provider: &str, user: &str) -> String {
    let (_, tokens) = federated.connect(federated.named(provider), user).await;
    tokens.claims()["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn attack_277_the_same_subject_at_two_providers_is_two_accounts() {
    let wanted = [Wanted::plain(OIDC, "one"), Wanted::plain(OIDC, "two")];
    let federated = Federated::changed(&wanted, |config| config).await;
    let first = subject(&federated, "one", "ana").await;
    assert_ne!(
        first,
        subject(&federated, "two", "ana").await,
        "the issuer is part of the account"
    );
    // Another account with her address and her name is not she.
    let claims = json!({ "sub": "somebody-else" });
    federated
        .named("one")
        .fault(json!({ "idToken": { "claims": claims } }))
        .await;
    assert_ne!(
        first,
        subject(&federated, "one", "ana").await,
        "the address is not the account"
    );
    // The account with her subject is she, whatever else it says.
    let claims =
        json!({ "email": "other@company.example", "preferred_username": "other", "name": "Other" });
    federated
        .named("one")
        .fault(json!({ "idToken": { "claims": claims } }))
        .await;
    assert_eq!(first, subject(&federated, "one", "ana").await);
}

#[tokio::test]
async fn attack_278_a_subject_of_a_provider_is_no_local_user_and_no_machine() {
    let users = format!(
        "users:\n  - name: {USER}\n    password: '{}'\n",
        hash("correct horse battery").await
    );
    let wanted = [Wanted::plain(OIDC, "company")];
    let federated = Federated::changed(&wanted, |config| {
        with_users(config, &users).set("/authorization_server/users_file", json!("users.yaml"))
    })
    .await;
    for claimed in [USER, &format!("u:{USER}"), "m:machine", "u:u:", "p:"] {
        let claims = json!({ "sub": claimed, "preferred_username": USER, "email": claimed });
        federated
            .provider()
            .fault(json!({ "idToken": { "claims": claims } }))
            .await;
        let subject = subject(&federated, "company", "ana").await;
        assert!(
            !subject.starts_with("u:") && !subject.starts_with("m:"),
            "{claimed}: {subject}"
        );
    }
}

#[tokio::test]
async fn attack_279_subjects_and_names_of_any_form_are_harmless() {
    let federated = Federated::start(OIDC, json!({})).await;
    let mut table = Table::default();
    let long = "s".repeat(100_000);
    for (name, claims, statuses) in [
        (
            "a name with markup",
            json!({ "preferred_username": "<script>alert(1)</script>", "name": "<b>x", "email": "\"><img src=x>" }),
            &[200_u16][..],
        ),
        (
            "a name with line ends and directions",
            json!({ "preferred_username": "a\r\nb\u{202e}c\u{0}", "name": null, "email": null }),
            &[200],
        ),
        (
            "no name at all",
            json!({ "preferred_username": null, "name": null, "email": null }),
            &[200],
        ),
        (
            "names that are no text",
            json!({ "preferred_username": 7, "name": ["x"], "email": { "a": 1 } }),
            &[200],
        ),
        (
            "a long name",
            json!({ "preferred_username": "n".repeat(5000) }),
            &[200],
        ),
        ("a subject that is a number", json!({ "sub": 7 }), &[502]),
        ("a huge subject", json!({ "sub": long }), &[502]),
        (
            "a subject of 255 characters",
            json!({ "sub": "s".repeat(255) }),
            &[200],
        ),
    ] {
        federated
            .provider()
            .fault(json!({ "idToken": { "claims": claims } }))
            .await;
        let place = sign_in(&federated, "company", "ana").await;
        let text = place.text();
        table.check(name, statuses.contains(&place.status()), || {
            format!("{}: {text}", place.status())
        });
        for part in ["<script>", "<img", "\u{202e}", "\u{0}", &"n".repeat(1000)] {
            table.check(name, !text.contains(part), || format!("{part}: {text}"));
        }
    }
}

#[tokio::test]
async fn attack_280_an_address_that_nobody_checked_is_of_no_domain() {
    let domains = json!({ "may_sign_in": { "domains": "company.example" } });
    let wanted = [
        Wanted::with(OIDC, "oidc", domains.clone()),
        Wanted::with(Program::Company("google"), "google", domains),
    ];
    let federated = Federated::changed(&wanted, |config| config).await;
    let mut table = Table::default();
    let spoilt = |claims: Value| json!({ "idToken": { "claims": claims } });
    // The userinfo endpoint may have what the ID token lacks.
    let nowhere = |name: &str, subject: &str| {
        let body = json!({ "sub": subject });
        let answer = json!({ "kind": "answer", "body": body });
        json!({ "idToken": { "claims": { name: null } }, "endpoints": { "userinfo": answer } })
    };
    for (provider, user, fault, status) in [
        ("oidc", "ana", json!({}), 200),
        ("google", "ana", json!({}), 200),
        ("oidc", "mia", json!({}), 403),
        ("google", "mia", json!({}), 403),
        ("oidc", "eve", json!({}), 403),
        ("oidc", "ana", nowhere("email_verified", "user-305261"), 403),
        (
            "oidc",
            "ana",
            spoilt(json!({ "email_verified": "false" })),
            403,
        ),
        (
            "oidc",
            "ana",
            spoilt(json!({ "email": "ana@company.example.evil.example" })),
            403,
        ),
        (
            "oidc",
            "ana",
            spoilt(json!({ "email": "ana@evil.example@company.example" })),
            403,
        ),
        (
            "oidc",
            "ana",
            spoilt(json!({ "email": "company.example" })),
            403,
        ),
        (
            "oidc",
            "ana",
            spoilt(json!({ "email": ["ana@company.example"] })),
            403,
        ),
        ("google", "ana", nowhere("hd", "100000000000000305261"), 403),
        (
            "google",
            "ana",
            spoilt(json!({ "hd": ["company.example"] })),
            403,
        ),
        (
            "google",
            "ana",
            spoilt(json!({ "hd": "sub.company.example" })),
            403,
        ),
    ] {
        federated.named(provider).fault(fault.clone()).await;
        let place = sign_in(&federated, provider, user).await;
        federated.named(provider).recover().await;
        table.check(
            &format!("{user} at {provider} with {fault}"),
            place.status() == status,
            || format!("{}: {}", place.status(), place.text()),
        );
    }
}

#[tokio::test]
async fn attack_281_an_account_of_another_tenant_is_refused() {
    let entra = Program::Company("entra");
    let both = json!({ "tenants": TENANTS });
    let wanted = [
        Wanted::plain(entra, "one"),
        Wanted {
            options: &["--tenant", "organizations"],
            ..Wanted::with(entra, "both", both)
        },
    ];
    let federated = Federated::changed(&wanted, |config| config).await;
    let spoilt = |claims: Value| json!({ "idToken": { "claims": claims } });
    let mut table = Table::default();
    let third = "4a1dc3f0-7c1b-4c0a-9d7e-0f3a51d2a003";
    let issuer = |provider: &str, tenant: &str| {
        format!("{}/{tenant}/v2.0", federated.named(provider).origin)
    };
    for (provider, user, fault, good) in [
        ("one", "ana", json!({}), true),
        ("both", "ana", json!({}), true),
        ("both", "eve", json!({}), true),
        ("one", "eve", json!({}), false),
        ("both", "ana", spoilt(json!({ "tid": third })), false),
        ("both", "ana", spoilt(json!({ "tid": TENANTS[1] })), false),
        ("both", "ana", spoilt(json!({ "tid": null })), false),
        (
            "both",
            "ana",
            spoilt(json!({ "iss": issuer("both", third), "tid": third })),
            false,
        ),
        (
            "both",
            "ana",
            spoilt(json!({ "iss": issuer("both", "{tenantid}") })),
            false,
        ),
        ("both", "ana", spoilt(json!({ "oid": null })), false),
    ] {
        federated.named(provider).fault(fault.clone()).await;
        let place = sign_in(&federated, provider, user).await;
        federated.named(provider).recover().await;
        let is_in = place.status() == 200 && place.text().contains("Allow access");
        table.check(
            &format!("{user} at {provider} with {fault}"),
            is_in == good,
            || format!("{}: {}", place.status(), place.text()),
        );
    }
}

#[tokio::test]
async fn attack_282_groups_that_were_left_out_are_not_no_groups() {
    let scopes = json!({ "scopes": ["tasks:read"], "by_claim": [{ "claim": "groups", "value": "engineering", "scopes": ["tasks:write"] }] });
    let wanted = [
        Wanted::with(
            Program::Company("entra"),
            "asked",
            json!({ "may_sign_in": { "groups": ["engineering"] } }),
        ),
        Wanted::with(
            Program::Company("entra"),
            "granted",
            json!({ "grants": scopes }),
        ),
    ];
    let federated = Federated::changed(&wanted, |config| config).await;
    for provider in ["asked", "granted"] {
        let place = sign_in(&federated, provider, "ana").await;
        assert_eq!(place.status(), 200, "{}", place.text());
        let place = sign_in(&federated, provider, "max").await;
        assert_eq!(place.status(), 403, "{}", place.text());
        assert!(place.text().contains("too many"), "{}", place.text());
    }
    let place = sign_in(&federated, "asked", "ben").await;
    assert_eq!(place.status(), 403);
    assert!(!place.text().contains("too many"), "{}", place.text());
    // Who is in none of the groups can allow what everybody can.
    let (_, tokens) = federated.connect(federated.named("granted"), "ben").await;
    assert_eq!(tokens.answer["scope"], "tasks:read", "{}", tokens.answer);
    let line = federated.gateway.logged("app roles").await;
    assert!(line.contains("groups"), "{line}");
}
