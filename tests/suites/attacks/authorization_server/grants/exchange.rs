//! Numbers 255 to 258: token exchange (RFC 8693).

use e2e::sign_in::client::call;
use e2e::world::Table;
use serde_json::json;
use test_support::{Key, now};

use super::super::site::{ALL_SCOPES, claims, refused};
use super::place::{ACCESS_TOKEN, EXCHANGE, Place, access, as_client, post, served};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

#[tokio::test]
async fn attack_255_only_a_client_of_the_operator_exchanges_and_only_for_an_access_token() {
    let place = Place::start().await;
    let mut table = Table::default();
    let token = place.foreign().sign();
    let resource = place.gateway.uri("/mcp");
    let answer = place.exchange(&token, &[]).await;
    assert_eq!(answer.0, 200, "{}", answer.1["error"]);
    assert_eq!(answer.1["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(answer.1["token_type"], "Bearer");
    let subject = claims(&access(&answer.1))["sub"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = (subject.as_str(), "backend", ALL_SCOPES);
    for (name, more) in [
        ("again", &[][..]),
        ("for the resource", &[("resource", resource.as_str())]),
        ("for the audience", &[("audience", resource.as_str())]),
        ("an access token", &[("requested_token_type", ACCESS_TOKEN)]),
        ("any token", &[("subject_token_type", JWT)]),
    ] {
        let answer = place.exchange(&token, more).await;
        table.row(name, served(&place.gateway, &answer, own).await);
    }
    for (name, more, error) in [
        (
            "another kind of token",
            ("requested_token_type", JWT),
            "invalid_request",
        ),
        (
            "an actor",
            ("actor_token", token.as_str()),
            "invalid_request",
        ),
        (
            "a kind of actor",
            ("actor_token_type", JWT),
            "invalid_request",
        ),
        (
            "an unknown kind",
            ("subject_token_type", "jwt"),
            "invalid_request",
        ),
        (
            "an ID token",
            ("subject_token_type", ID_TOKEN),
            "invalid_request",
        ),
        (
            "another resource",
            ("resource", "https://else.example"),
            "invalid_target",
        ),
        (
            "another audience",
            ("audience", "api://backend"),
            "invalid_target",
        ),
        ("a malformed scope", ("scope", "a\"b"), "invalid_scope"),
    ] {
        let answer = place.exchange(&token, &[more]).await;
        table.row(name, refused(&answer, 400, error));
    }
    let fields = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    for (name, authorization, status, error) in [
        (
            "a client without the grant type",
            as_client("robot"),
            400,
            "unauthorized_client",
        ),
        ("nobody", String::new(), 400, "invalid_request"),
        (
            "an unknown client",
            as_client("nobody"),
            401,
            "invalid_client",
        ),
    ] {
        let answer = place.ask(&fields, &authorization).await;
        table.row(name, refused(&answer, status, error));
    }
    let answer = place.ask(&fields[..1], &as_client("backend")).await;
    table.row("no token", refused(&answer, 400, "invalid_request"));
}

#[tokio::test]
async fn attack_256_a_subject_token_is_one_that_its_issuer_made_for_an_accepted_audience() {
    let place = Place::start().await;
    let mut table = Table::default();
    let good = || place.foreign();
    for (name, token) in [
        ("another audience", good().claim("aud", "api://other")),
        ("no audience", good().without("aud")),
        (
            "the resource",
            good().claim("aud", place.gateway.uri("/mcp")),
        ),
        ("no subject", good().without("sub")),
        (
            "expired",
            good().claim("exp", now() - 60).claim("iat", now() - 600),
        ),
        ("too long", good().claim("exp", now() + 200_000)),
        ("of the future", good().claim("nbf", now() + 200)),
        ("another key", good().signed_by(&Key::es256("corp"))),
        ("the key of another issuer", good().signed_by(&place.builds)),
        (
            "an unknown issuer",
            good().claim("iss", "https://stranger.example"),
        ),
        (
            "an issuer of builds",
            place.build().claim("aud", "api://backend"),
        ),
        ("an ID token", good().claim("nonce", "n")),
        ("a refresh token", good().claim("token_use", "refresh")),
        ("a logout token", good().header("typ", "logout+jwt")),
        ("bound to a key", good().claim("cnf", json!({ "jkt": "k" }))),
        (
            "who may act",
            good().claim("may_act", json!({ "sub": "somebody" })),
        ),
        (
            "a delegation",
            good().claim("act", json!({ "sub": "somebody" })),
        ),
    ] {
        let answer = place.exchange(&token.sign(), &[]).await;
        table.row(name, refused(&answer, 400, "invalid_request"));
    }
    for token in ["x", "x.y.z", ""] {
        let answer = place.exchange(token, &[]).await;
        table.row("no token", refused(&answer, 400, "invalid_request"));
    }
    let short = good().claim("exp", now() + 60).sign();
    let answer = place.exchange(&short, &[]).await;
    let lives = answer.1["expires_in"].as_u64();
    table.check(
        "no longer than the token",
        lives.is_some_and(|lives| lives <= 60),
        || format!("{lives:?}"),
    );
    for (in_token, asked, expected) in [
        ("tasks:read", None, Some("tasks:read")),
        (ALL_SCOPES, Some("tasks:read"), Some("tasks:read")),
        ("tasks:read", Some("tasks:write"), None),
        ("access_as_user", Some("tasks:read"), None),
    ] {
        let token = good().scope(in_token).sign();
        let more: Vec<_> = asked.map(|scope| ("scope", scope)).into_iter().collect();
        let answer = place.exchange(&token, &more).await;
        let name = format!("{in_token} {asked:?}");
        match expected {
            Some(scope) => table.check(&name, answer.1["scope"] == scope, || {
                answer.1["error"].to_string()
            }),
            None => {
                table.row(&name, refused(&answer, 400, "invalid_scope"));
            }
        }
    }
}

#[tokio::test]
async fn attack_257_a_token_of_this_server_is_exchanged_for_less_and_ends_with_its_own() {
    let place = Place::start().await;
    let mut table = Table::default();
    let gateway = &place.gateway;
    let robot = place.robot().await;
    let answer = place.exchange(&robot, &[("scope", "tasks:read")]).await;
    table.row(
        "for less",
        served(gateway, &answer, ("m:robot", "backend", "tasks:read")).await,
    );
    let exchanged = access(&answer.1);
    let answer = place.exchange(&exchanged, &[("scope", ALL_SCOPES)]).await;
    table.row(
        "and never for more",
        served(gateway, &answer, ("m:robot", "backend", "tasks:read")).await,
    );
    let answer = place
        .exchange(&exchanged, &[("scope", "tasks:write")])
        .await;
    table.row("more", refused(&answer, 400, "invalid_scope"));
    // Who exchanged it ends nothing of others.
    let revoke = async |client: &str, token: &str| {
        post(gateway, "/revoke", &[("token", token)], &as_client(client)).await
    };
    let answer = revoke("backend", &exchanged).await;
    table.row(
        "revoked by the other",
        refused(&answer, 400, "unsupported_token_type"),
    );
    let answer = revoke("backend", &robot).await;
    table.row(
        "revoked by a stranger",
        refused(&answer, 400, "invalid_grant"),
    );
    for token in [&robot, &exchanged] {
        assert_eq!(call(gateway, token).await.status, 200);
    }
    // Its owner ends both, and neither is exchanged again.
    let (status, _) = revoke("robot", &robot).await;
    assert_eq!(status, 200);
    for (name, token) in [("its own", &robot), ("the other", &exchanged)] {
        let status = call(gateway, token).await.status;
        table.check(name, status == 401, || status.to_string());
        let answer = place.exchange(token, &[]).await;
        table.row(name, refused(&answer, 400, "invalid_request"));
    }
}

#[tokio::test]
async fn attack_258_tokens_of_workloads_and_persons_end_with_their_client() {
    let place = Place::start().await;
    let mut table = Table::default();
    let gateway = &place.gateway;
    let person = access(&place.present(&place.id_jag("p").sign(), &[]).await.1);
    let robot = place.robot().await;
    let answer = post(
        gateway,
        "/revoke",
        &[("token", &person)],
        &as_client("other"),
    )
    .await;
    table.row("by another client", refused(&answer, 400, "invalid_grant"));
    assert_eq!(call(gateway, &person).await.status, 200);
    let (status, _) = post(
        gateway,
        "/revoke",
        &[("token", &person)],
        &as_client("console"),
    )
    .await;
    table.check("by its client", status == 200, || status.to_string());
    let status = call(gateway, &person).await.status;
    table.check("ended", status == 401, || status.to_string());
    let status = call(gateway, &robot).await.status;
    table.check("the others", status == 200, || status.to_string());
}
