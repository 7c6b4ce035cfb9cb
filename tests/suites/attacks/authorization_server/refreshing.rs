//! Number 128 and the incidents with refresh tokens: rotation, repetition, reuse, and how long they live.

use std::time::Duration;

use e2e::eventually;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::form;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::world::Table;
use serde_json::{Value, json};
use test_support::{KeyPair, P256, Proof};

use super::site::{ALL_SCOPES, Site, claims, refused};

/// A site with these lifetimes.
async fn living(lifetimes: Value) -> Site {
    let change = |config: Config| config.set("/authorization_server/lifetimes", lifetimes);
    Site::with(change).await
}

/// What a refresh of this token gets, which must succeed.
async fn refreshed(site: &Site, client: &Client, token: &str) -> Tokens {
    let (status, answer) = client.refresh(&site.gateway, token).await;
    assert_eq!(status, 200, "{answer}");
    Tokens::of(answer)
}

#[tokio::test]
async fn attack_128_a_refresh_token_that_is_used_again_ends_its_grant() {
    let mut site = Site::with(|config| config.set("/audit", json!({ "file": "audit.log" }))).await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let kept = site.tokens(&client, ALL_SCOPES).await;
    let first = site.tokens(&client, ALL_SCOPES).await;
    let second = refreshed(&site, &client, &first.refresh).await;
    let third = refreshed(&site, &client, &second.refresh).await;
    // The thief is late: the first one was replaced twice.
    let race = (0..20).map(|_| client.refresh(&site.gateway, &first.refresh));
    for answer in futures_util::future::join_all(race).await {
        table.row("reused", refused(&answer, 400, "invalid_grant"));
    }
    for tokens in [&first, &second, &third] {
        table.row("the family", site.ended(&client, tokens).await);
    }
    table.row(
        "another grant of the same client",
        site.lives(&client, &kept).await,
    );
    let gateway = &site.gateway;
    eventually("the audit line", async || {
        let audit = gateway.config.audit();
        let lines = audit
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let reused = |line: &Value| {
            let reason = line["reason"].as_str().unwrap_or_default();
            line["client_id"] == client.id && reason.starts_with("refresh_token_reused")
        };
        lines.filter(reused).count() == 1
    })
    .await;
}

#[tokio::test]
async fn attack_202_a_grant_ends_when_it_is_idle_and_when_it_is_old() {
    let mut old = living(json!({ "grant": "4s", "grant_idle": "3s" })).await;
    let client = Client::register(&old.gateway).await;
    let tokens = old.tokens(&client, ALL_SCOPES).await;
    let lives = claims(&tokens.access);
    let (from, to) = (
        lives["iat"].as_i64().unwrap(),
        lives["exp"].as_i64().unwrap(),
    );
    assert!(
        to - from <= 4,
        "the access token outlives its grant: {lives}"
    );
    let mut newest = tokens.refresh;
    let gateway = &old.gateway;
    // It is never idle, and ends nevertheless.
    eventually("its end", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (status, answer) = client.refresh(gateway, &newest).await;
        if status == 200 {
            newest = Tokens::of(answer).refresh;
            return false;
        }
        refused(&(status, answer), 400, "invalid_grant").is_ok()
    })
    .await;

    let mut idle = living(json!({ "grant": "1h", "grant_idle": "1s" })).await;
    let client = Client::register(&idle.gateway).await;
    let tokens = idle.tokens(&client, ALL_SCOPES).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let answer = client.refresh(&idle.gateway, &tokens.refresh).await;
    refused(&answer, 400, "invalid_grant").unwrap();
}

#[tokio::test]
async fn attack_204_a_refresh_token_of_another_client_or_generation_is_refused() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let other = Client::register(&site.gateway).await;
    let secretive = site.client(REDIRECT, "client_secret_post").await;
    let tokens = site.tokens(&client, ALL_SCOPES).await;
    for thief in [&other, &secretive] {
        let answer = thief.refresh(&site.gateway, &tokens.refresh).await;
        table.row("another client", refused(&answer, 400, "invalid_grant"));
    }
    let made_up = [
        tokens.refresh[1..].to_owned(),
        format!("{}A", tokens.refresh),
        tokens.refresh.to_uppercase(),
        tokens.access.clone(),
        "AAAAAAAAAAAAAAAA".to_owned(),
    ];
    for token in &made_up {
        let answer = client.refresh(&site.gateway, token).await;
        table.row("made up", refused(&answer, 400, "invalid_grant"));
    }
    let answer = client.refresh(&site.gateway, "").await;
    table.row("none", refused(&answer, 400, "invalid_request"));
    let tokens = table
        .row("nothing of that", site.lives(&client, &tokens).await)
        .unwrap();
    table.row("nor of its own use", site.lives(&client, &tokens).await);
}

#[tokio::test]
async fn attack_225_refreshes_at_once_get_the_same_answer() {
    let mut site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let tokens = site.tokens(&client, ALL_SCOPES).await;
    let race = (0..30).map(|_| client.refresh(&site.gateway, &tokens.refresh));
    let answers = futures_util::future::join_all(race).await;
    let newer: Vec<_> = answers
        .into_iter()
        .map(|(status, answer)| {
            assert_eq!(status, 200, "{answer}");
            Tokens::of(answer)
        })
        .collect();
    assert!(newer.iter().all(|one| one.refresh == newer[0].refresh));
    assert_ne!(newer[0].refresh, tokens.refresh);
    for one in &newer {
        assert_eq!(site.call(&one.access).await, 200);
    }
    // The successor is used: from then on the predecessor is somebody else's.
    let newest = refreshed(&site, &client, &newer[0].refresh).await;
    let answer = client.refresh(&site.gateway, &tokens.refresh).await;
    refused(&answer, 400, "invalid_grant").unwrap();
    site.ended(&client, &newest).await.unwrap();

    // Without a grace every repetition ends the grant.
    let mut strict = living(json!({ "refresh_grace": "0s" })).await;
    let client = Client::register(&strict.gateway).await;
    let tokens = strict.tokens(&client, ALL_SCOPES).await;
    let newer = refreshed(&strict, &client, &tokens.refresh).await;
    let answer = client.refresh(&strict.gateway, &tokens.refresh).await;
    refused(&answer, 400, "invalid_grant").unwrap();
    strict.ended(&client, &newer).await.unwrap();
}

#[tokio::test]
async fn attack_226_a_client_that_lost_an_answer_asks_again_and_gets_it() {
    let mut site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let tokens = site.tokens(&client, ALL_SCOPES).await;
    let issued = async || {
        let metrics = site.gateway.metrics().await;
        metrics.sum("mcp_gateway_oauth_tokens_total", &[])
    };
    let before = issued().await;
    let body = form([
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.refresh),
        ("client_id", &client.id),
    ]);
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        site.gateway.config.public,
        body.len()
    );
    let mut connection = site.gateway.raw().await;
    connection.send(&request).await;
    // It is gone before it reads, but not before the token was used.
    eventually("the refresh", async || issued().await > before).await;
    drop(connection);
    let first = refreshed(&site, &client, &tokens.refresh).await;
    let again = refreshed(&site, &client, &tokens.refresh).await;
    assert_eq!(first.refresh, again.refresh);
    assert_ne!(first.refresh, tokens.refresh);
    site.lives(&client, &again).await.unwrap();
}

#[tokio::test]
async fn attack_227_every_answer_to_a_refresh_is_whole() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let mut tokens = site.tokens(&client, ALL_SCOPES).await;
    for turn in 0..5 {
        let name = format!("refresh {turn}");
        tokens = refreshed(&site, &client, &tokens.refresh).await;
        let answer = &tokens.answer;
        let members: Vec<_> = answer
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = [
            "access_token",
            "expires_in",
            "refresh_token",
            "scope",
            "token_type",
        ];
        table.check(&name, members == expected, || format!("{members:?}"));
        table.check(&name, answer["token_type"] == "Bearer", || {
            answer["token_type"].to_string()
        });
        let seconds = answer["expires_in"].as_u64();
        table.check(&name, seconds.is_some_and(|seconds| seconds > 800), || {
            format!("{seconds:?}")
        });
        table.check(&name, answer["scope"] == ALL_SCOPES, || {
            answer["scope"].to_string()
        });
        table.check(&name, site.call(&tokens.access).await == 200, String::new);
    }
    // A client without the grant type gets no refresh token, and does not have to drop one.
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code"],
        "token_endpoint_auth_method": "none",
    });
    let modest = Client::register_as(&site.gateway, &metadata).await;
    let granted = site.tokens(&modest, ALL_SCOPES).await;
    assert_eq!(granted.answer.get("refresh_token"), None);
    let answer = modest.refresh(&site.gateway, &tokens.refresh).await;
    table.row(
        "without the grant type",
        refused(&answer, 400, "unauthorized_client"),
    );
    table.row("the other client's", site.lives(&client, &tokens).await);
}

/// A proof of the key of a client for the token endpoint.
fn proof(site: &Site) -> Proof {
    Proof::new(&P256, "POST", &site.gateway.uri("/token"))
}

/// What a refresh with this proof gets.
async fn refresh_with(site: &Site, client: &Client, token: &str, proof: &str) -> (u16, Value) {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    client.ask_with_proof(&site.gateway, &fields, proof).await
}

#[tokio::test]
async fn attack_311_a_copied_token_request_ends_no_grant() {
    let mut site = living(json!({ "refresh_grace": "0s" })).await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let thumbprint = P256.thumbprint();
    let changes = [
        ("scope", Some(ALL_SCOPES)),
        ("dpop_jkt", Some(thumbprint.as_str())),
    ];
    let code = site.code(&client.id, &changes).await;
    let redeemed = proof(&site).sign();
    let fields = redemption(&code);
    let redeem = || client.ask_with_proof(&site.gateway, &fields, &redeemed);
    let (status, answer) = redeem().await;
    assert_eq!(status, 200, "{answer}");
    let first = Tokens::of(answer);
    let race = futures_util::future::join_all((0..10).map(|_| redeem())).await;
    for answer in &race {
        table.row("the code", refused(answer, 400, "invalid_dpop_proof"));
    }

    // Each of them is an old one at once.
    let mut newest = first.refresh.clone();
    let mut copied = vec![(first.refresh.clone(), redeemed.clone())];
    for _ in 0..3 {
        let used = proof(&site).sign();
        let (status, answer) = refresh_with(&site, &client, &newest, &used).await;
        assert_eq!(status, 200, "{answer}");
        copied.push((newest, used));
        newest = Tokens::of(answer).refresh;
    }
    let all = copied
        .iter()
        .map(|(token, used)| refresh_with(&site, &client, token, used));
    for answer in futures_util::future::join_all(all).await {
        table.row("a refresh", refused(&answer, 400, "invalid_dpop_proof"));
    }
    // Without a key there is no other proof.
    let (old, _) = &copied[1];
    let forged = proof(&site).header("jwk", KeyPair::p256().public_jwk());
    let answer = refresh_with(&site, &client, old, &forged.sign()).await;
    table.row("forged", refused(&answer, 400, "invalid_dpop_proof"));
    let foreign = Proof::new(&KeyPair::p256(), "POST", &site.gateway.uri("/token"));
    let answer = refresh_with(&site, &client, old, &foreign.sign()).await;
    table.row("of another key", refused(&answer, 400, "invalid_grant"));
    let answer = client.refresh(&site.gateway, old).await;
    table.row("without one", refused(&answer, 400, "invalid_grant"));

    let answer = refresh_with(&site, &client, &newest, &proof(&site).sign()).await;
    assert_eq!(answer.0, 200, "the grant ended: {}", answer.1);
}
