//! Tokens of other clients: nobody revokes them, and nobody learns of them.

use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::world::Table;
use serde_json::json;

use super::super::site::{Site, basic, changed, program, refused};
use super::authentication::{REFRESH, answer};

#[tokio::test]
async fn attack_208_no_client_revokes_or_learns_of_anothers_token() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let (client, other) = (
        Client::register(&site.gateway).await,
        Client::register(&site.gateway).await,
    );
    let mut tokens = site.tokens(&client, "tasks:read").await;
    for token in [tokens.access.clone(), tokens.refresh.clone()] {
        for hint in [
            None,
            Some("access_token"),
            Some("refresh_token"),
            Some("id_token"),
        ] {
            let fields = changed(
                &[("token", token.as_str()), ("client_id", other.id.as_str())],
                &[("token_type_hint", hint)],
            );
            let reply = site.form("/revoke", &fields, "").send().await;
            let outcome = program(&reply).and_then(|answer| refused(&answer, 400, "invalid_grant"));
            table.row(&format!("{hint:?}"), outcome);
        }
    }
    tokens = table
        .row("still", site.lives(&client, &tokens).await)
        .unwrap();
    // A client that is not known revokes nothing. What is not a token gets the same answer as one that was revoked (RFC 7009 §2.2).
    let fields = [("token", tokens.refresh.as_str()), ("client_id", "nobody")];
    let reply = site.form("/revoke", &fields, "").send().await;
    table.row(
        "nobody",
        program(&reply).and_then(|answer| refused(&answer, 401, "invalid_client")),
    );
    for token in ["made-up", "a.b.c", &"x".repeat(5000)] {
        table.check(
            token,
            other.revoke(&site.gateway, token).await == 200,
            String::new,
        );
    }
    tokens = table
        .row("still", site.lives(&client, &tokens).await)
        .unwrap();
    assert_eq!(client.revoke(&site.gateway, &tokens.access).await, 200);
    table.row("by its own", site.ended(&client, &tokens).await);
    assert_eq!(client.revoke(&site.gateway, &tokens.access).await, 200);
    // Introspection is not for clients, and is not there unless resource servers are configured.
    let fields = [
        ("token", tokens.access.as_str()),
        ("client_id", client.id.as_str()),
    ];
    let reply = site.form("/introspect", &fields, "").send().await;
    table.check("introspection", matches!(reply.status, 401 | 404), || {
        reply.text()
    });
}

#[tokio::test]
async fn attack_243_only_the_resource_server_of_a_token_learns_of_it() {
    let secret = leaks::secret("a-secret-of-a-resource-server-0123456789");
    let change = |config: Config| {
        let file = config.write("secret", &secret);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let other = e2e::gateway::config::resource("/other", &config.upstream(), &["built-in"]);
        config.set("/resources/1", other).set(
            "/authorization_server/introspection",
            json!([
                { "id": "of-mcp", "secret_file": file, "resources": ["/mcp"] },
                { "id": "of-other", "secret_file": file, "resources": ["/other"] },
            ]),
        )
    };
    let mut site = Site::with(change).await;
    let mut table = Table::default();
    let client = site.client(REDIRECT, "client_secret_basic").await;
    let own = basic(&client.id, client.secret.as_deref().unwrap());
    let code = site.code(&client.id, &[]).await;
    let (status, issued) = answer(site.form("/token", &redemption(&code), &own)).await;
    assert_eq!(status, 200);
    let tokens = Tokens::of(issued);
    let fields = [("token", tokens.access.as_str())];
    for (name, header) in [
        ("nobody", String::new()),
        ("a wrong secret", basic("of-mcp", "wrong")),
        ("no secret", basic("of-mcp", "")),
        ("a client", own.clone()),
        ("an unknown one", basic("unknown", &secret)),
        ("a bearer", "Bearer x".to_owned()),
    ] {
        let reply = site.form("/introspect", &fields, &header).send().await;
        let (status, error) = if name == "nobody" {
            (400, "invalid_request")
        } else {
            (401, "invalid_client")
        };
        let outcome = program(&reply).and_then(|answer| refused(&answer, status, error));
        table.row(name, outcome);
    }
    let asks = async |asker: &str, token: &str| {
        let call = site.form("/introspect", &[("token", token)], &basic(asker, &secret));
        answer(call).await
    };
    let inactive = (200, json!({ "active": false }));
    let altered = format!("{}A", tokens.access);
    for (name, asker, token) in [
        ("of another resource", "of-other", tokens.access.as_str()),
        ("a refresh token", "of-mcp", &tokens.refresh),
        ("made up", "of-mcp", "made-up"),
        ("altered", "of-mcp", &altered),
    ] {
        let found = asks(asker, token).await;
        table.check(name, found == inactive, || {
            format!("{} {}", found.0, found.1["active"])
        });
    }
    let (status, found) = asks("of-mcp", &tokens.access).await;
    let shown = (status, &found["active"], &found["sub"], &found["client_id"]);
    table.check(
        "its own",
        shown == (200, &json!(true), &json!("u:ana"), &json!(client.id)),
        || format!("{shown:?}"),
    );
    table.check("its own", found["aud"] == site.gateway.uri("/mcp"), || {
        found["aud"].to_string()
    });
    // A resource server cannot act as a client.
    let as_client = answer(site.form("/token", &REFRESH, &basic("of-mcp", &secret))).await;
    table.row("as a client", refused(&as_client, 401, "invalid_client"));
    let revoked = site.form("/revoke", &fields, &own).send().await;
    table.check("revoked", revoked.status == 200, || revoked.text());
    let found = asks("of-mcp", &tokens.access).await;
    table.check("revoked", found == inactive, || {
        format!("{} {}", found.0, found.1["active"])
    });
}
