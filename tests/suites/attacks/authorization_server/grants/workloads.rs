//! Numbers 253 and 254: workloads, which present the same token again and again.

use e2e::world::Table;
use futures_util::future::join_all;
use serde_json::json;
use test_support::{Key, now};

use super::super::site::refused;
use super::place::{IDP, Place, as_client, served};

#[tokio::test]
async fn attack_253_a_workload_acts_as_the_client_that_the_rules_name() {
    let place = Place::start().await;
    let mut table = Table::default();
    let deploy = ("m:deploy", "deploy", "tasks:read");
    for (name, token, more) in [
        ("as it is", place.build(), &[][..]),
        (
            "a list with one audience",
            place.build().claim("aud", json!(["mcp"])),
            &[],
        ),
        ("no jti", place.build().without("jti"), &[]),
        ("no type", place.build().without_header("typ"), &[]),
        (
            "with its client id",
            place.build(),
            &[("client_id", "deploy")],
        ),
        (
            "with a scope",
            place.build(),
            &[("scope", "tasks:read openid")],
        ),
    ] {
        let answer = place.work(&token.sign(), more).await;
        table.row(name, served(&place.gateway, &answer, deploy).await);
    }
    let mine = Key::rsa("other");
    for (name, token) in [
        (
            "another repository",
            place.build().claim("repository", "evil/app"),
        ),
        (
            "a list of repositories",
            place.build().claim("repository", json!(["acme/app"])),
        ),
        (
            "another branch",
            place.build().claim("ref", "refs/pull/1/merge"),
        ),
        ("no branch", place.build().without("ref")),
        ("another audience", place.build().claim("aud", "elsewhere")),
        (
            "two audiences",
            place.build().claim("aud", json!(["mcp", "elsewhere"])),
        ),
        ("no audience", place.build().without("aud")),
        (
            "expired",
            place
                .build()
                .claim("exp", now() - 60)
                .claim("iat", now() - 600),
        ),
        ("too long", place.build().claim("exp", now() + 200_000)),
        ("of the future", place.build().claim("nbf", now() + 200)),
        ("no end", place.build().without("exp")),
        ("another issuer", place.build().claim("iss", IDP)),
        ("an unknown key", place.build().signed_by(&Key::es256("x"))),
        (
            "an unknown key id",
            place.build().signed_by(&mine).header("kid", "x"),
        ),
        ("an access token", place.build().header("typ", "at+jwt")),
        (
            "an identity assertion",
            place.build().header("typ", "oauth-id-jag+jwt"),
        ),
        (
            "bound to a key",
            place.build().claim("cnf", json!({ "jkt": "k" })),
        ),
    ] {
        // An identity assertion needs a client that authenticates.
        let answer = match name {
            "an identity assertion" => place.present(&token.sign(), &[]).await,
            _ => place.work(&token.sign(), &[]).await,
        };
        table.row(name, refused(&answer, 400, "invalid_grant"));
    }
    let token = place.build().sign();
    for (name, more, error) in [
        (
            "another client id",
            ("client_id", "report"),
            "invalid_grant",
        ),
        ("another scope", ("scope", "tasks:write"), "invalid_scope"),
        (
            "another resource",
            ("resource", "https://else.example"),
            "invalid_target",
        ),
    ] {
        let answer = place.work(&token, &[more]).await;
        table.row(name, refused(&answer, 400, error));
    }
    // A client that sends a secret too must be the one of the rules.
    let fields = [
        ("grant_type", super::place::JWT_BEARER),
        ("assertion", token.as_str()),
    ];
    let answer = place.ask(&fields, &as_client("robot")).await;
    table.row(
        "the secret of another",
        refused(&answer, 400, "invalid_grant"),
    );
    let answer = place.ask(&fields, &as_client("deploy")).await;
    table.row(
        "a secret that it does not have",
        refused(&answer, 401, "invalid_client"),
    );
    // Rules of two clients fit: the operator has to decide.
    let both = place
        .work(&place.build().claim("aud", "both").sign(), &[])
        .await;
    table.row("two clients", refused(&both, 400, "invalid_grant"));
    place
        .gateway
        .logged("rules of several clients fit: deploy and report")
        .await;
}

#[tokio::test]
async fn attack_254_a_hundred_workloads_with_one_token_are_all_served() {
    let place = Place::start().await;
    let mut table = Table::default();
    let token = place.build().sign();
    let answers = join_all((0..100).map(|_| place.work(&token, &[]))).await;
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    table.check("at once", served == 100, || format!("{served} of 100"));
    let metrics = place.gateway.metrics().await;
    let labels = [("grant_type", "workload"), ("outcome", "issued")];
    let counted = metrics.sum("mcp_gateway_oauth_tokens_total", &labels);
    table.check("counted", counted >= 100.0, || counted.to_string());
}
