//! Numbers 325 to 331: the gateway's own credentials for an upstream, and who the upstream is.

use std::time::Duration;

use bytes::Bytes;
use e2e::certificates::Authority;
use e2e::client::{Call, initialize, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::issuer::tokens::{TokenEndpoint, answer, issued, subject_of};
use e2e::leaks;
use e2e::upstream::{Answer, Upstream, with};
use e2e::world::{Table, World};
use http::Response;
use serde_json::{Value, json};
use test_support::{Key, Token};

/// The common case, whose resource exchanges tokens at `endpoint`.
async fn exchanging(endpoint: &TokenEndpoint, keys: Value) -> World {
    let world = World::with(|config| {
        let mut exchange = json!({
            "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
        });
        for (name, value) in keys.as_object().into_iter().flatten() {
            exchange[name] = value.clone();
        }
        let target =
            json!({ "url": config.upstream(), "credentials": { "token_exchange": exchange } });
        config.set("/resources/0/upstream", target)
    })
    .await;
    world
        .upstream
        .has_credentials(|found| found.starts_with("Bearer issued-for-"));
    world
}

fn call(world: &World, token: &str) -> Call {
    world.gateway.post(initialize()).token(token)
}

fn of(world: &World, person: &str) -> String {
    world.token().subject(person).sign()
}

#[tokio::test]
async fn attack_325_a_callers_token_goes_to_the_token_endpoint_and_nowhere_else() {
    let endpoint = TokenEndpoint::start().await;
    let world = exchanging(&endpoint, json!({ "negative_cache": "0s" })).await;
    let token = leaks::secret(&of(&world, "ana"));
    let mut table = Table::default();
    table.row("exchanged", world.acceptance(call(&world, &token)).await);
    let asked = endpoint.asked();
    assert_eq!(
        asked[0].parameter("subject_token").as_deref(),
        Some(&*token)
    );
    // An answer that repeats it reaches no log, no metric and no client; the harness looks into each.
    for (status, body) in [
        (
            400,
            json!({ "error": "invalid_request", "error_description": format!("unknown token {token}") }),
        ),
        (400, json!({ "error": token })),
        (
            401,
            json!({ "error": "invalid_client", "error_description": &token[10..60] }),
        ),
        (200, json!({ "access_token": token, "token_type": token })),
    ] {
        let name = format!("{status} {}", body["error"].as_str().is_some());
        endpoint.script(move |_| answer(status, &body));
        let other = leaks::secret(&of(&world, &format!("ana-{status}-{name}")));
        let reply = call(&world, &other).send().await;
        table.check(&name, reply.status == 502, || reply.text());
        table.check(&name, !reply.text().contains("eyJ"), || reply.text());
    }
    let log = world.gateway.log().await;
    table.check("log", leaks::find(&log).is_none(), || log.clone());
    assert_eq!(world.upstream.hits(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attack_326_people_who_call_at_once_never_get_the_credential_of_another() {
    let endpoint = TokenEndpoint::start().await;
    endpoint.delays(Duration::from_millis(2));
    // So little room that tokens are exchanged again all the time.
    let keys = json!({ "cached_tokens": 5, "cached_tokens_per_principal": 1 });
    let world = exchanging(&endpoint, keys).await;
    world.upstream.script(|request| {
        let sent = request
            .header("authorization")
            .unwrap_or_default()
            .to_owned();
        let subject = request.header("x-mcp-subject").unwrap_or_default();
        let is_own = sent == format!("Bearer issued-for-{subject}");
        Answer::Full(with(
            if is_own { 200 } else { 418 },
            "application/json",
            "{}",
        ))
    });
    let people: Vec<_> = (0..9)
        .flat_map(|number| {
            [of(&world, &format!("p{number}")), {
                let token = world.token().subject(&format!("p{number}"));
                token.claim("jti", "another").sign()
            }]
        })
        .collect();
    let calls: Vec<_> = (0..600)
        .map(|number| {
            let token = &people[(number * 7) % people.len()];
            tokio::spawn(
                world
                    .gateway
                    .post(tool(number as u64, "a"))
                    .token(token)
                    .send(),
            )
        })
        .collect();
    let mut table = Table::default();
    for (number, call) in calls.into_iter().enumerate() {
        let reply = call.await.unwrap();
        table.check(
            &number.to_string(),
            matches!(reply.status, 200 | 429),
            || format!("{} {}", reply.status, reply.text()),
        );
    }
    assert!(endpoint.asked().len() > people.len());
}

#[tokio::test]
async fn attack_327_an_answer_that_is_no_token_is_502_and_nothing_is_sent() {
    const GOOD: &str = r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":60}"#;
    let endpoint = TokenEndpoint::start().await;
    let world = exchanging(&endpoint, json!({ "negative_cache": "0s" })).await;
    let mut table = Table::default();
    let long = format!(
        r#"{{"access_token":"{}","token_type":"Bearer"}}"#,
        "a".repeat(1 << 20)
    );
    let answers: Vec<(u16, &'static str, String)> = vec![
        (200, "application/json", String::new()),
        (200, "application/json", "[]".to_owned()),
        (200, "application/json", "{}".to_owned()),
        (200, "text/html", GOOD.to_owned()),
        (200, "application/json", long),
        (200, "application/json", GOOD.replace("Bearer", "DPoP")),
        (200, "application/json", GOOD.replace("Bearer", "N_A")),
        (200, "application/json", GOOD.replace("s3cret", "s3 cret")),
        (
            200,
            "application/json",
            GOOD.replace("s3cret", "s3\\r\\nx-evil: 1"),
        ),
        (200, "application/json", GOOD.replace("s3cret", "")),
        (200, "application/json", GOOD.replace("60", "-60")),
        (200, "application/json", GOOD.replace("60", "\"soon\"")),
        (
            200,
            "application/json",
            format!(r#"{{"access_token":"other",{}"#, &GOOD[1..]),
        ),
        (201, "application/json", GOOD.to_owned()),
        (404, "text/plain", "nothing".to_owned()),
        (500, "application/json", GOOD.to_owned()),
        (503, "application/json", GOOD.to_owned()),
    ];
    for (number, (status, media_type, body)) in answers.into_iter().enumerate() {
        endpoint.script(move |_| with(status, media_type, body.clone()));
        let outcome = call(&world, &of(&world, &format!("p{number}")))
            .send()
            .await;
        table.check(&number.to_string(), outcome.status == 502, || {
            outcome.text()
        });
        // Otherwise the pause after failures would hide what follows.
        endpoint.script(issued);
        let good = of(&world, &format!("good-{number}"));
        let waited = async || call(&world, &good).send().await.status == 200;
        e2e::eventually("it is asked again", waited).await;
    }
    let whole = GOOD.len();
    for end in 0..whole {
        endpoint.script(move |_| with(200, "application/json", &GOOD.as_bytes()[..end]));
        let outcome = call(&world, &of(&world, &format!("cut-{end}")))
            .send()
            .await;
        table.check(&format!("cut at {end}"), outcome.status == 502, || {
            outcome.text()
        });
    }
    table.check(
        "never a 401",
        world
            .gateway
            .metrics()
            .await
            .sum("mcp_gateway_requests_total", &[("status", "401")])
            == 0.0,
        || "401".to_owned(),
    );
    assert!(world.upstream.seen().iter().all(|request| {
        request
            .header("authorization")
            .is_some_and(|found| found.starts_with("Bearer issued-for-good-"))
    }));
}

#[tokio::test]
async fn attack_328_a_redirect_of_the_token_endpoint_is_not_followed() {
    let (endpoint, elsewhere) = (TokenEndpoint::start().await, TokenEndpoint::start().await);
    let world = exchanging(&endpoint, json!({})).await;
    let mut table = Table::default();
    for status in [301, 302, 303, 307, 308] {
        let location = elsewhere.endpoint();
        endpoint.script(move |_| -> Response<Bytes> {
            let mut answer = with(status, "text/plain", "");
            answer
                .headers_mut()
                .insert("location", location.parse().unwrap());
            answer
        });
        let refused = call(&world, &of(&world, &format!("p{status}")));
        let refused = world
            .refusal(refused, 502, "upstream_credential_unavailable")
            .await;
        table.row(&status.to_string(), refused);
    }
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn attack_329_who_has_no_credential_at_the_upstream_is_502_and_keeps_nobody_out() {
    let endpoint = TokenEndpoint::start().await;
    let world = exchanging(&endpoint, json!({})).await;
    endpoint.script(|request| {
        let subject = request.parameter("subject_token").unwrap_or_default();
        match subject_of(&subject).as_str() {
            "ana" => issued(request),
            // It breaks on the tokens of these people.
            "eve" => answer(500, &json!({})),
            "trudy" => answer(502, &json!({})),
            _ => answer(400, &json!({ "error": "invalid_request" })),
        }
    });
    endpoint.breaks_off_at("oscar");
    let mut table = Table::default();
    let stranger = call(&world, &of(&world, "mallory"));
    table.row(
        "stranger",
        world
            .refusal(stranger, 502, "upstream_credential_refused")
            .await,
    );
    for number in 0..20 {
        for person in ["mallory", "eve"] {
            let token = world.token().subject(person).claim("jti", number).sign();
            let reply = call(&world, &token).send().await;
            table.check(person, reply.status == 502, || reply.text());
            table.check(person, reply.challenge().is_empty(), || {
                reply.challenge().to_owned()
            });
        }
    }
    // No answer comes about the tokens of two people, and nobody else gets one meanwhile.
    for number in 0..20 {
        for person in ["trudy", "oscar"] {
            let token = world.token().subject(person).claim("jti", number).sign();
            let reply = call(&world, &token).send().await;
            table.check(person, reply.status == 502, || reply.text());
        }
    }
    table.row(
        "ana",
        world.acceptance(call(&world, &of(&world, "ana"))).await,
    );
}

#[tokio::test]
async fn attack_330_a_bound_token_is_not_exchanged() {
    let endpoint = TokenEndpoint::start().await;
    let world = exchanging(&endpoint, json!({})).await;
    let mut table = Table::default();
    for (name, confirmation) in [
        (
            "key",
            json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
        ),
        (
            "certificate",
            json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }),
        ),
        ("another", json!({ "jwk": {} })),
    ] {
        let token = world.token().claim("cnf", confirmation).sign();
        let refused = world
            .refusal(call(&world, &token), 401, "sender_constrained")
            .await;
        table.row(name, refused);
    }
    assert_eq!(endpoint.asked().len(), 0);
}

#[tokio::test]
async fn attack_331_somebody_else_in_the_place_of_the_upstream_gets_no_request() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let good = authority.leaf(&["tasks.internal"]);
    let mut table = Table::default();
    for (name, leaf, expected) in [
        ("the upstream", &good, 200),
        (
            "another key of the same CA",
            &authority.leaf(&["tasks.internal"]),
            502,
        ),
        ("another name", &authority.leaf(&["other.internal"]), 502),
        ("another CA", &stranger.leaf(&["tasks.internal"]), 502),
    ] {
        let upstream = Upstream::start_tls(leaf.server()).await;
        let key = Key::es256("first");
        let config = Config::new(&upstream.url(), &[&key]);
        let file = config.write("ca.pem", authority.pem());
        let target = json!({
            "url": format!("https://{}/mcp", upstream.address()), "ca_file": file,
            "server_name": "tasks.internal", "pins": good.pin(),
        });
        let gateway = Gateway::start(config.set("/resources/0/upstream", target)).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
        let reply = gateway.post(initialize()).token(&token).send().await;
        table.check(name, reply.status == expected, || reply.text());
        table.check(
            name,
            upstream.hits() == usize::from(expected == 200),
            || "it got it".to_owned(),
        );
    }
}
