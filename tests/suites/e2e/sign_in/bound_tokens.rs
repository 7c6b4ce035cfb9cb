//! Tokens of the built-in authorization server that are bound to a key of the client (RFC 9449 §5, §10).

use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::sign_in::{PASSWORD, USER};
use serde_json::{Value, json};
use test_support::{KeyPair, P256, P384, Proof};

use super::flows::Site;

/// The answer to a token request with a proof of this key.
async fn ask(
    gateway: &Gateway,
    client: &Client,
    pair: &KeyPair,
    fields: &[(&str, &str)],
) -> (u16, Value) {
    let proof = Proof::new(pair, "POST", &gateway.uri("/token")).sign();
    client.ask_with_proof(gateway, fields, &proof).await
}

/// The status of a call with this token and a proof of this key.
async fn call(gateway: &Gateway, pair: &KeyPair, token: &str) -> u16 {
    let proof = Proof::new(pair, "POST", &gateway.uri("/mcp")).token(token);
    let call = gateway.post(initialize());
    let call = call
        .with("authorization", &format!("DPoP {token}"))
        .with("dpop", &proof.sign());
    call.send().await.status
}

/// The code of a client whose user allowed everything; `more` is added to the authorization request.
async fn code(site: &Site, client: &Client, more: &str) -> String {
    let url = client.authorize(&site.gateway, "tasks:read tasks:write");
    let mut browser = site.browser();
    let consent = browser
        .sign_in(&format!("{url}{more}"), USER, PASSWORD)
        .await;
    let location = browser.allow(&consent).await;
    client.code(&site.gateway, &location)
}

#[tokio::test]
async fn a_client_that_proves_to_have_a_key_gets_tokens_for_that_key_alone() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let metadata = gateway.get("/.well-known/oauth-authorization-server");
    let metadata = metadata.send().await.json();
    let algorithms = &metadata["dpop_signing_alg_values_supported"];
    assert_eq!(algorithms[0], "ES256", "{metadata}");

    let client = Client::register(gateway).await;
    let code = code(&site, &client, "").await;
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("DPoP")));
    let tokens = Tokens::of(answer);
    assert_eq!(call(gateway, &P256, &tokens.access).await, 200);
    assert_eq!(call(gateway, &P384, &tokens.access).await, 401);
    let bearer = gateway.post(initialize()).token(&tokens.access);
    assert_eq!(bearer.send().await.status, 401);

    // The refresh token of a public client needs a proof of the same key.
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (status, answer) = ask(gateway, &client, &P384, &refresh).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let (status, answer) = ask(gateway, &client, &P256, &refresh).await;
    assert_eq!(status, 200, "{answer}");
    let newer = Tokens::of(answer);
    assert_eq!(call(gateway, &P256, &newer.access).await, 200);
}

#[tokio::test]
async fn a_proof_that_is_not_valid_issues_nothing_and_the_code_stays() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let code = code(&site, &client, "").await;
    let own = || Proof::new(&P256, "POST", &gateway.uri("/token"));
    for (name, proof) in [
        (
            "another URI",
            Proof::new(&P256, "POST", &gateway.uri("/mcp")),
        ),
        (
            "another method",
            Proof::new(&P256, "GET", &gateway.uri("/token")),
        ),
        ("old", own().claim("iat", test_support::now() - 400)),
        ("unsigned", own().header("alg", "none")),
        ("another type", own().header("typ", "JWT")),
        (
            "another key",
            own().header("jwk", KeyPair::p256().public_jwk()),
        ),
    ] {
        let fields = redemption(&code);
        let proof = proof.sign();
        let answer = client.ask_with_proof(gateway, &fields, &proof);
        let (status, answer) = answer.await;
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("invalid_dpop_proof")),
            "{name}: {answer}"
        );
    }
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_code_is_bound_to_the_key_that_the_client_named() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let more = format!("&dpop_jkt={}", P256.thumbprint());
    let code = code(&site, &client, &more).await;
    for (name, answer) in [
        ("no proof", client.ask(gateway, &redemption(&code)).await),
        (
            "another key",
            ask(gateway, &client, &P384, &redemption(&code)).await,
        ),
    ] {
        let (status, answer) = answer;
        assert_eq!(
            (status, &answer["error"]),
            (400, &json!("invalid_grant")),
            "{name}"
        );
    }
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!(status, 200, "{answer}");
    let wrong = client.authorize(gateway, "tasks:read") + "&dpop_jkt=short";
    let reply = site.browser().open(&wrong).await;
    let location = reply.header("location");
    assert!(location.contains("error=invalid_request"), "{location}");
}

#[tokio::test]
async fn a_client_that_registered_so_gets_no_bearer_tokens() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let metadata = json!({
        "client_name": "Bound", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "dpop_bound_access_tokens": true,
    });
    let client = Client::register_as(gateway, &metadata).await;
    assert_eq!(client.registered["dpop_bound_access_tokens"], true);
    let code = code(&site, &client, "").await;
    let (status, answer) = client.ask(gateway, &redemption(&code)).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("invalid_dpop_proof"))
    );
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("DPoP")));
}

#[tokio::test]
async fn a_configured_machine_with_dpop_bound_gets_no_bearer_tokens() {
    let secret = e2e::leaks::secret("machine-secret-5151");
    let site = Site::with(|config| {
        let file = config.folder().join("machine.secret");
        e2e::certificates::write_secret(&file, &secret);
        config.set(
            "/authorization_server/clients",
            json!([{
                "id": "machine", "method": "client_secret_post", "secret_file": file,
                "grant_types": "client_credentials", "scopes": "tasks:read", "dpop_bound": true,
            }]),
        )
    })
    .await;
    let gateway = &site.gateway;
    let resource = gateway.uri("/mcp");
    let ask = async |proof: Option<String>| {
        let fields = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", "machine")
            .append_pair("client_secret", &secret)
            .append_pair("resource", &resource)
            .finish();
        let call = gateway.request(http::Method::POST, "/token");
        let call = call.with("content-type", "application/x-www-form-urlencoded");
        let call = match &proof {
            Some(proof) => call.with("dpop", proof),
            None => call,
        };
        let answer = call.body(fields).open().await;
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        (status, answer)
    };
    let (status, answer) = ask(None).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("invalid_dpop_proof"))
    );
    let proof = Proof::new(&P256, "POST", &gateway.uri("/token"));
    let (status, answer) = ask(Some(proof.sign())).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("DPoP")));
}

/// What a refresh sends.
fn refresh(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

#[tokio::test]
async fn a_token_request_that_is_copied_with_its_proof_ends_nothing() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let more = format!("&dpop_jkt={}", P256.thumbprint());
    let code = code(&site, &client, &more).await;
    let proof = || Proof::new(&P256, "POST", &gateway.uri("/token")).sign();
    let issued = async |fields: &[(&str, &str)], proof: &str| {
        let (status, answer) = client.ask_with_proof(gateway, fields, proof).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::of(answer)
    };
    let copied = async |fields: &[(&str, &str)], proof: &str| {
        let (status, answer) = client.ask_with_proof(gateway, fields, proof).await;
        (status, answer["error"].clone())
    };
    let refused = (400, json!("invalid_dpop_proof"));

    let redeemed = proof();
    let first = issued(&redemption(&code), &redeemed).await;
    assert_eq!(copied(&redemption(&code), &redeemed).await, refused);
    let used = [proof(), proof()];
    let second = issued(&refresh(&first.refresh), &used[0]).await;
    let third = issued(&refresh(&second.refresh), &used[1]).await;
    for proof in used.iter().chain([&redeemed]) {
        assert_eq!(copied(&refresh(&first.refresh), proof).await, refused);
        // The newest one is not used up by it either.
        assert_eq!(copied(&refresh(&third.refresh), proof).await, refused);
    }
    assert_eq!(copied(&redemption(&code), &redeemed).await, refused);
    assert_eq!(call(gateway, &P256, &third.access).await, 200);
    let fourth = issued(&refresh(&third.refresh), &proof()).await;

    // Reuse by somebody who has the key ends the grant as ever.
    let reused = copied(&refresh(&first.refresh), &proof()).await;
    assert_eq!(reused, (400, json!("invalid_grant")));
    assert_eq!(call(gateway, &P256, &fourth.access).await, 401);
}

#[tokio::test]
async fn a_bound_code_that_is_used_twice_with_new_proofs_ends_its_grant() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let more = format!("&dpop_jkt={}", P256.thumbprint());
    let code = code(&site, &client, &more).await;
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!(status, 200, "{answer}");
    let tokens = Tokens::of(answer);
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    assert_eq!(call(gateway, &P256, &tokens.access).await, 401);
}

#[tokio::test]
async fn what_costs_little_is_judged_before_the_signature_of_a_proof() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let client = Client::register(gateway).await;
    let stranger = Client {
        id: "nobody".to_owned(),
        secret: None,
        registered: Value::Null,
    };
    let forged = Proof::new(&P256, "POST", &gateway.uri("/token"));
    let forged = forged.header("jwk", KeyPair::p256().public_jwk()).sign();
    let code = code(&site, &client, "").await;
    let machine = [("grant_type", "client_credentials")];
    for (name, client, fields, status, error) in [
        (
            "an unknown client",
            &stranger,
            &redemption(&code)[..],
            401,
            "invalid_client",
        ),
        ("no grant type", &client, &[][..], 400, "invalid_request"),
        (
            "an unknown grant type",
            &client,
            &[("grant_type", "x")],
            400,
            "unsupported_grant_type",
        ),
        (
            "no code",
            &client,
            &[("grant_type", "authorization_code")],
            400,
            "invalid_request",
        ),
        (
            "a code that is made up",
            &client,
            &redemption("x")[..],
            400,
            "invalid_grant",
        ),
        (
            "a refresh token that is made up",
            &client,
            &refresh("x")[..],
            400,
            "invalid_grant",
        ),
        (
            "a public client alone",
            &client,
            &machine[..],
            400,
            "unauthorized_client",
        ),
        (
            "a code",
            &client,
            &redemption(&code)[..],
            400,
            "invalid_dpop_proof",
        ),
    ] {
        let (found, answer) = client.ask_with_proof(gateway, fields, &forged).await;
        assert_eq!((found, &answer["error"]), (status, &json!(error)), "{name}");
    }
    // Nothing was used up.
    let (status, answer) = ask(gateway, &client, &P256, &redemption(&code)).await;
    assert_eq!(status, 200, "{answer}");
}
