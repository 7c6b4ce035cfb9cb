//! Machines that register themselves.

use std::os::unix::fs::PermissionsExt;

use e2e::gateway::Gateway;
use e2e::leaks;
use e2e::sign_in::client::{Client, REDIRECT, Tokens};
use e2e::upstream::Upstream;
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};

use super::super::site::{ALL_SCOPES, Site, base, claims, page, program, refused};

/// A registration of a machine.
fn machine(scope: &str) -> Value {
    json!({
        "grant_types": ["client_credentials"], "scope": scope,
        "token_endpoint_auth_method": "client_secret_post",
    })
}

#[tokio::test]
async fn attack_241_machines_register_where_they_may_and_get_their_own_scopes() {
    let token = leaks::secret("an-initial-access-token-0123456789-0123456789");
    let upstream = Upstream::start().await;
    let config = base(&upstream).await;
    let file = config.write("machine.token", &token);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let machines = json!({
        "enabled": true, "initial_access_token_file": file, "scopes": ["tasks:read"],
    });
    let config = config
        .set("/authorization_server/machines", machines)
        .set("/authorization_server/registration/most_clients", 8);
    let gateway = Gateway::start(config).await;
    let mut site = Site::of(gateway, upstream).await;
    let mut table = Table::default();
    let register = |bearer: Option<&str>, metadata: Value| {
        let call = site.gateway.request(Method::POST, "/register");
        let call = call
            .with("content-type", "application/json")
            .body(metadata.to_string());
        match bearer {
            None => call,
            Some(bearer) => call.with("authorization", bearer),
        }
    };
    for bearer in [
        None,
        Some("Bearer wrong"),
        Some("Basic eA=="),
        Some(&token),
        Some("Bearer "),
    ] {
        let reply = register(bearer, machine("tasks:read")).send().await;
        let outcome = program(&reply).and_then(|answer| refused(&answer, 401, "invalid_token"));
        table.row(&format!("{bearer:?}"), outcome);
        let challenge = reply.challenge();
        table.check("challenge", challenge.starts_with("Bearer "), || {
            challenge.to_owned()
        });
    }
    let right = format!("Bearer {token}");
    let mut last = None;
    for asked in ["tasks:read tasks:write", "tasks:write", "tasks:read"] {
        let answer = register(Some(&right), machine(asked)).open().await;
        table.check(asked, answer.status() == 201, || {
            answer.status().to_string()
        });
        let registered: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let client = Client {
            id: registered["client_id"].as_str().unwrap().to_owned(),
            secret: registered["client_secret"].as_str().map(leaks::secret),
            registered,
        };
        let fields = [("grant_type", "client_credentials"), ("scope", ALL_SCOPES)];
        let (status, answer) = client.ask(&site.gateway, &fields).await;
        let scope = answer["scope"].clone();
        table.check(
            asked,
            (status, &scope) == (200, &json!("tasks:read")),
            || format!("{status} {scope}"),
        );
        let none = answer.get("refresh_token").is_none();
        table.check(asked, none, || "a refresh token for a machine".to_owned());
        let issued = Tokens::of(answer);
        let subject = claims(&issued.access)["sub"].clone();
        table.check(asked, subject == format!("m:{}", client.id), || {
            subject.to_string()
        });
        table.check(asked, site.call(&issued.access).await == 200, String::new);
        let write = [
            ("grant_type", "client_credentials"),
            ("scope", "tasks:write"),
        ];
        let answer = client.ask(&site.gateway, &write).await;
        table.row(asked, refused(&answer, 400, "invalid_scope"));
        last = Some(client);
    }
    // It does not act for people.
    let robot = last.unwrap();
    let url = site.request(&robot.id, &[]);
    let asked = site.person.open(&url).await;
    table.row("for people", page(&asked, 400));
    let both = json!({
        "grant_types": ["authorization_code", "client_credentials"], "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let person = Client::register_as(&site.gateway, &both).await;
    let answer = person
        .ask(&site.gateway, &[("grant_type", "client_credentials")])
        .await;
    table.row("both", refused(&answer, 400, "unauthorized_client"));
    // Machines take half of the room: those of people still register.
    let register = |metadata: Value| {
        let call = site.gateway.request(Method::POST, "/register");
        let call = call
            .with("content-type", "application/json")
            .body(metadata.to_string());
        call.with("authorization", &right)
    };
    let full = register(machine("tasks:read")).send().await;
    let outcome =
        program(&full).and_then(|answer| refused(&answer, 503, "temporarily_unavailable"));
    table.row("machines are full", outcome);
    Client::register(&site.gateway).await;
}
