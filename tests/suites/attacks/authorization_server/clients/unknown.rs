//! Clients that nobody knows, or knows no longer.

use e2e::sign_in::client::{Client, redemption};
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};

use super::super::site::{Site, changed, program, refused};

#[tokio::test]
async fn attack_232_a_client_whose_registration_ended_learns_that_it_must_register_again() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let tokens = site.tokens(&client, "tasks:read").await;
    let code = site.code(&client.id, &[]).await;
    let open = site.person.open(&site.request(&client.id, &[])).await;
    let own = client.registered["registration_access_token"]
        .as_str()
        .unwrap();
    let delete = site
        .gateway
        .request(Method::DELETE, &format!("/register/{}", client.id));
    assert_eq!(delete.token(own).open().await.status(), 204);
    let answer = client.refresh(&site.gateway, &tokens.refresh).await;
    table.row("refresh", refused(&answer, 401, "invalid_client"));
    let answer = client.ask(&site.gateway, &redemption(&code)).await;
    table.row("code", refused(&answer, 401, "invalid_client"));
    let hits = site.upstream.hits();
    assert_eq!(
        (site.call(&tokens.access).await, site.upstream.hits()),
        (401, hits)
    );
    let late = site.person.submit(&open, &[("decision", "allow")]).await;
    table.check(
        "consent",
        late.status == 400 && late.header("location").is_empty(),
        || late.text(),
    );
    let again = Client::register(&site.gateway).await;
    assert_ne!(again.id, client.id);
    let tokens = site.tokens(&again, "tasks:read").await;
    table.row("registered again", site.lives(&again, &tokens).await);
}

#[tokio::test]
async fn attack_233_an_id_that_nobody_knows_gets_a_page_or_loopback_alone() {
    let id = "aebc6443-996d-45c2-90f0-388ff96faa56";
    let mut site = Site::start().await;
    let mut table = Table::default();
    let reply = site.person.open(&site.request(id, &[])).await;
    table.row("unknown", super::super::site::page(&reply, 400));
    let helps = reply
        .text()
        .contains("Remove Dynamic Authentication Providers");
    table.check("unknown", helps && reply.text().contains(id), || {
        reply.text()
    });
    let fields = changed(&redemption("AAAA"), &[("client_id", Some(id))]);
    let reply = site.form("/token", &fields, "").send().await;
    table.row(
        "unknown",
        program(&reply).and_then(|answer| refused(&answer, 401, "invalid_client")),
    );

    let allow = json!({ "allow": true, "redirect_hosts": ["vscode.dev"] });
    let mut site =
        Site::with(|config| config.set("/authorization_server/unknown_clients", allow)).await;
    for (redirect, status) in [
        ("http://127.0.0.1:33418/", 200),
        ("http://localhost:1/callback", 200),
        ("http://[::1]:1/callback", 200),
        ("https://vscode.dev/redirect", 200),
        ("https://vscode.dev:8443/redirect", 400),
        ("https://insiders.vscode.dev/redirect", 400),
        ("https://vscode.dev.evil.example/redirect", 400),
        ("https://evil.example/redirect", 400),
        ("http://vscode.dev/redirect", 400),
        ("http://127.0.0.2/", 400),
        ("cursor://anysphere.cursor-mcp/oauth/callback", 400),
        ("javascript:alert(1)", 400),
    ] {
        let reply = site
            .person
            .open(&site.request(id, &[("redirect_uri", Some(redirect))]))
            .await;
        table.row(redirect, super::super::site::page(&reply, status));
    }
    // It does not take over what a client has that is known.
    let known = Client::register(&site.gateway).await;
    let tokens = site.tokens(&known, "tasks:read").await;
    let stranger = Client {
        id: id.to_owned(),
        secret: None,
        registered: Value::Null,
    };
    let answer = stranger.refresh(&site.gateway, &tokens.refresh).await;
    table.row("another's", refused(&answer, 400, "invalid_grant"));
    let own = site.tokens(&stranger, "tasks:read").await;
    table.row("its own", site.lives(&stranger, &own).await);
    table.row("the known one", site.lives(&known, &tokens).await);
}
