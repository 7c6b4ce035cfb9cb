//! Numbers 126 and 127 and the incidents with codes: PKCE, and what redeems a code.

use std::time::Duration;

use e2e::sign_in::client::{Client, REDIRECT, Tokens, VERIFIER, redemption};
use e2e::world::Table;
use serde_json::{Value, json};

use super::site::{Change, Site, answer_at, basic, challenge, changed, refused};

/// The answer to a redemption of this code with these changes.
async fn redeemed(
    site: &Site,
    client: &Client,
    code: &str,
    changes: &[Change<'_>],
) -> (u16, Value) {
    client
        .ask(&site.gateway, &changed(&redemption(code), changes))
        .await
}

#[tokio::test]
async fn attack_126_no_code_is_issued_or_redeemed_without_pkce() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let client = Client::register(&site.gateway).await;
    let good = challenge(VERIFIER);
    let (short, long, padded, plain) = (
        &good[1..],
        format!("{good}A"),
        format!("{good}="),
        "p".repeat(64),
    );
    let (plus, slash) = (format!("{}+", &good[1..]), format!("{}/", &good[1..]));
    let requests: [&[Change<'_>]; 14] = [
        &[("code_challenge", None)],
        &[("code_challenge", None), ("code_challenge_method", None)],
        &[("code_challenge", Some(""))],
        &[("code_challenge", Some(short))],
        &[("code_challenge", Some(&long))],
        &[("code_challenge", Some(&padded))],
        &[("code_challenge", Some(&plus))],
        &[("code_challenge", Some(&slash))],
        &[("code_challenge_method", None)],
        &[("code_challenge_method", Some(""))],
        &[("code_challenge_method", Some("plain"))],
        &[("code_challenge_method", Some("s256"))],
        &[("code_challenge_method", Some("S512"))],
        &[
            ("code_challenge", Some(&plain)),
            ("code_challenge_method", Some("plain")),
        ],
    ];
    for changes in requests {
        let reply = site.person.open(&site.request(&client.id, changes)).await;
        let outcome = answer_at(reply.header("location"), REDIRECT, &issuer);
        let name = format!("{changes:?}");
        if let Some(answer) = table.row(&name, outcome) {
            let is_refused = answer["error"] == "invalid_request" && !answer.contains_key("code");
            table.check(&name, is_refused, || format!("{answer:?}"));
        }
    }
    // The challenge is dropped between the pages: on the way from the sign-in to the consent page.
    let url = site.request(&client.id, &[("code_challenge", None)]);
    let dropped = site.person.open(&url).await;
    assert_eq!(dropped.status, 303);

    let code = site.code(&client.id, &[]).await;
    let (short, long) = (&VERIFIER[..42], VERIFIER.repeat(3));
    for verifier in [
        None,
        Some(""),
        Some(short),
        Some(&long[..129]),
        Some("wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"),
        Some("verifier verifier verifier verifier verifier"),
        Some("verifiér-verifier-verifier-verifier-verifier"),
        Some(&VERIFIER.to_uppercase()),
        Some(&good),
        Some(&format!("{VERIFIER} ")),
    ] {
        let answer = redeemed(&site, &client, &code, &[("code_verifier", verifier)]).await;
        table.row(
            &format!("{verifier:?}"),
            refused(&answer, 400, "invalid_grant"),
        );
    }
    // None of them used the code up.
    client.redeem(&site.gateway, &code).await;
}

#[tokio::test]
async fn attack_127_a_code_works_once_for_its_client_and_its_request() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let (client, other) = (
        Client::register(&site.gateway).await,
        Client::register(&site.gateway).await,
    );
    let secretive = site.client(REDIRECT, "client_secret_post").await;
    let code = site.code(&client.id, &[]).await;
    for (name, who, changes) in [
        ("another client", &other, &[][..]),
        ("another client with a secret", &secretive, &[]),
        (
            "another redirect",
            &client,
            &[("redirect_uri", Some("http://127.0.0.1:7777/other"))],
        ),
        (
            "another port",
            &client,
            &[("redirect_uri", Some("http://127.0.0.1:7778/callback"))],
        ),
        (
            "no redirect and no verifier",
            &client,
            &[("redirect_uri", None), ("code_verifier", None)],
        ),
        ("another code", &client, &[("code", Some("AAAA"))]),
        ("cut", &client, &[("code", Some(&code[1..]))]),
        ("longer", &client, &[("code", Some(&format!("{code}A")))]),
        (
            "another case",
            &client,
            &[("code", Some(&code.to_lowercase()))],
        ),
    ] {
        let answer = redeemed(&site, who, &code, changes).await;
        table.row(name, refused(&answer, 400, "invalid_grant"));
    }
    let answer = redeemed(&site, &client, &code, &[("code", None)]).await;
    table.row("no code", refused(&answer, 400, "invalid_request"));
    // The verifier alone binds a code to its request (OAuth 2.1).
    let second = site.code(&client.id, &[]).await;
    let (status, answer) = redeemed(&site, &client, &second, &[("redirect_uri", None)]).await;
    table.check("no redirect", status == 200, || answer["error"].to_string());

    // Wrong replays end nothing; a right one ends what came of the code.
    let tokens = client.redeem(&site.gateway, &code).await;
    for (who, changes) in [
        (&other, &[][..]),
        (
            &client,
            &[(
                "code_verifier",
                Some("wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"),
            )],
        ),
    ] {
        let answer = redeemed(&site, who, &code, changes).await;
        table.row("a wrong replay", refused(&answer, 400, "invalid_grant"));
    }
    let tokens = table
        .row("after wrong replays", site.lives(&client, &tokens).await)
        .unwrap();
    let answer = redeemed(&site, &client, &code, &[]).await;
    table.row("a replay", refused(&answer, 400, "invalid_grant"));
    table.row("after a replay", site.ended(&client, &tokens).await);

    // A code that is bound to a client with a secret needs it.
    let code = site.code(&secretive.id, &[]).await;
    let without = Client {
        secret: None,
        ..secretive.clone()
    };
    let answer = redeemed(&site, &without, &code, &[]).await;
    table.row(
        "without the secret",
        refused(&answer, 401, "invalid_client"),
    );
    let wrong = Client {
        secret: Some("wrong".to_owned()),
        ..secretive.clone()
    };
    let answer = redeemed(&site, &wrong, &code, &[]).await;
    table.row(
        "with another secret",
        refused(&answer, 401, "invalid_client"),
    );
    secretive.redeem(&site.gateway, &code).await;
}

#[tokio::test]
async fn attack_239_a_code_expires() {
    let lifetimes = json!({ "code": "1s" });
    let change = |config: e2e::gateway::config::Config| {
        config.set("/authorization_server/lifetimes", lifetimes)
    };
    let mut site = Site::with(change).await;
    let client = Client::register(&site.gateway).await;
    let code = site.code(&client.id, &[]).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let answer = redeemed(&site, &client, &code, &[]).await;
    refused(&answer, 400, "invalid_grant").unwrap();
}

#[tokio::test]
async fn attack_205_a_code_is_judged_whole_before_it_is_used() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let code = site.code(&client.id, &[]).await;
    let resource = site.gateway.uri("/mcp");
    for (name, changes, error) in [
        (
            "unknown",
            &[("resource", Some("https://other.example/mcp"))][..],
            "invalid_target",
        ),
        (
            "near",
            &[("resource", Some(&format!("{resource}/x")))],
            "invalid_target",
        ),
        (
            "another case",
            &[("resource", Some(&resource.replace("/mcp", "/MCP")))],
            "invalid_target",
        ),
        (
            "a fragment",
            &[("resource", Some(&format!("{resource}#x")))],
            "invalid_target",
        ),
        (
            "two",
            &[
                ("resource", Some(&resource)),
                ("resource", Some("https://other.example/mcp")),
            ],
            "invalid_target",
        ),
        (
            "an unknown grant type",
            &[("grant_type", Some("password"))],
            "unsupported_grant_type",
        ),
        ("no grant type", &[("grant_type", None)], "invalid_request"),
        (
            "twice",
            &[("code", Some(&code)), ("code", Some(&code))],
            "invalid_request",
        ),
        (
            "a body in the header's place",
            &[("x\ny", Some("1"))],
            "invalid_request",
        ),
    ] {
        let answer = redeemed(&site, &client, &code, changes).await;
        table.row(name, refused(&answer, 400, error));
    }
    // In the query of the token endpoint nothing is read (RFC 6749 §3.2).
    let fields = redemption(&code);
    let sent = e2e::sign_in::browser::form(fields);
    let call = site.form(&format!("/token?{sent}"), &[("client_id", &client.id)], "");
    let reply = call.send().await;
    table.check("in the query", reply.status == 400, || reply.text());
    let both = site.form("/token", &fields, &basic("somebody", "else"));
    table.check("unknown", both.send().await.status == 401, String::new);
    client.redeem(&site.gateway, &code).await;
}

#[tokio::test]
async fn attack_228_of_a_hundred_redemptions_at_once_one_succeeds_and_its_grant_is_ended() {
    let mut site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let code = site.code(&client.id, &[]).await;
    let asked = redemption(&code);
    let all = (0..100).map(|_| client.ask(&site.gateway, &asked));
    let answers = futures_util::future::join_all(all).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
    assert_eq!(good.len(), 1, "{bad:?}");
    for answer in bad {
        refused(answer, 400, "invalid_grant").unwrap();
    }
    let tokens = Tokens::of(good[0].1.clone());
    site.ended(&client, &tokens).await.unwrap();
    assert_eq!(site.upstream.hits(), 0);
}
