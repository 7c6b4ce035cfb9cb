//! Numbers 245 to 251: identity assertions of a company's provider (ID-JAG).

use e2e::gateway::Gateway;
use e2e::issuer::{Fault, Issuer};
use e2e::leaks;
use e2e::sign_in::browser::form;
use e2e::sign_in::client::call;
use e2e::upstream::Upstream;
use e2e::world::Table;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, KeyPair, P256, Proof, base64url, compact, hmac, now, public_key_pem};

use super::super::site::{ALL_SCOPES, claims, program, refused};
use super::place::{
    BUILDS, IDP, JWT_BEARER, Place, SECRET, access, as_client, id_jag, post, served,
};

/// The `sub` of the person of the assertions: always the same.
fn account(answer: &Value) -> String {
    let subject = claims(&access(answer))["sub"].clone();
    let subject = subject.as_str().unwrap().to_owned();
    assert!(subject.starts_with("f:"), "{subject}");
    subject
}

#[tokio::test]
async fn attack_245_an_identity_assertion_is_for_one_client_one_server_and_one_resource() {
    let place = Place::start().await;
    let mut table = Table::default();
    let (own, resource) = (place.gateway.uri(""), place.gateway.uri("/mcp"));
    let good = |jti: &str| place.id_jag(jti);
    let first = place.present(&good("g0").sign(), &[]).await;
    assert_eq!(first.0, 200, "{}", first.1["error"]);
    let subject = account(&first.1);
    let person = (subject.as_str(), "console", ALL_SCOPES);
    for (name, assertion) in [
        ("as it is", good("g1")),
        (
            "a list with one audience",
            good("g2").claim("aud", json!([own])),
        ),
        (
            "another spelling",
            good("g3").claim("resource", format!("{resource}/")),
        ),
        (
            "claims that are not known",
            good("g4")
                .claim("acr", "x")
                .claim("email", "a@corp.example"),
        ),
    ] {
        let answer = place.present(&assertion.sign(), &[]).await;
        table.row(name, served(&place.gateway, &answer, person).await);
    }
    for (name, assertion) in [
        (
            "two audiences",
            good("a1").claim("aud", json!([own, "https://other.example"])),
        ),
        (
            "this server twice",
            good("a2").claim("aud", json!([own, own])),
        ),
        (
            "another audience",
            good("a3").claim("aud", "https://other.example"),
        ),
        (
            "the token endpoint",
            good("a4").claim("aud", format!("{own}/token")),
        ),
        ("a slash more", good("a5").claim("aud", format!("{own}/"))),
        (
            "the resource as audience",
            good("a6").claim("aud", resource.clone()),
        ),
        ("no audience", good("a7").without("aud")),
        ("no resource", good("a8").without("resource")),
        (
            "another resource",
            good("a9").claim("resource", format!("{own}/other")),
        ),
        (
            "two resources",
            good("a10").claim("resource", json!([resource, own])),
        ),
        ("another client", good("a11").claim("client_id", "other")),
        ("no client", good("a12").without("client_id")),
        ("no subject", good("a13").without("sub")),
        ("no jti", good("a14").without("jti")),
        ("no iat", good("a15").without("iat")),
        ("no exp", good("a16").without("exp")),
        ("too long", good("a17").claim("exp", now() + 3600)),
        (
            "expired",
            good("a18")
                .claim("exp", now() - 60)
                .claim("iat", now() - 300),
        ),
        ("of the future", good("a19").claim("iat", now() + 200)),
        (
            "bound to a key",
            good("a20").claim("cnf", json!({ "jkt": "k" })),
        ),
        (
            "details",
            good("a21").claim("authorization_details", json!([])),
        ),
        (
            "a delegation",
            good("a22").claim("act", json!({ "sub": "agent" })),
        ),
        ("a tenant", good("a23").claim("tenant", "t1")),
        ("a logout token", good("a24").claim("events", json!({}))),
        ("an ID token", good("a25").header("typ", "JWT")),
        ("no type", good("a26").without_header("typ")),
        ("an access token", good("a27").header("typ", "at+jwt")),
    ] {
        let answer = place.present(&assertion.sign(), &[]).await;
        table.row(name, refused(&answer, 400, "invalid_grant"));
    }
    let answer = place
        .ask(&[("grant_type", JWT_BEARER)], &as_client("console"))
        .await;
    table.row("no assertion", refused(&answer, 400, "invalid_request"));
    // The operator learns what was found.
    place.gateway.logged("must name one aud").await;
    place.gateway.logged("assertion_of_another_client").await;
}

#[tokio::test]
async fn attack_246_of_a_hundred_uses_of_an_identity_assertion_at_once_one_succeeds() {
    let place = Place::start().await;
    let mut table = Table::default();
    let assertion = place.id_jag("once").sign();
    let answers = join_all((0..100).map(|_| place.present(&assertion, &[]))).await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    table.check("at once", won == 1, || format!("{won} of 100"));
    for lost in answers.iter().filter(|(status, _)| *status != 200) {
        table.row("at once", refused(lost, 400, "invalid_grant"));
    }
    let later = place.present(&assertion, &[]).await;
    table.row("later", refused(&later, 400, "invalid_grant"));
    // The id counts, not the signature.
    let again = place.present(&place.id_jag("once").sign(), &[]).await;
    table.row("signed again", refused(&again, 400, "invalid_grant"));
    let other = place.present(&place.id_jag("twice").sign(), &[]).await;
    table.check("another one", other.0 == 200, || {
        other.1["error"].to_string()
    });
    // What is refused is not used up.
    let assertion = place.id_jag("kept").sign();
    let answer = place
        .present(&assertion, &[("scope", "tasks:re\"ad")])
        .await;
    table.row("a malformed scope", refused(&answer, 400, "invalid_scope"));
    let answer = place.present(&assertion, &[]).await;
    table.check("it is kept", answer.0 == 200, || {
        answer.1["error"].to_string()
    });
}

#[tokio::test]
async fn attack_247_only_the_client_of_an_identity_assertion_presents_it() {
    let place = Place::start().await;
    let mut table = Table::default();
    let assertion = place.id_jag("kept").sign();
    let fields = [
        ("grant_type", JWT_BEARER),
        ("assertion", assertion.as_str()),
    ];
    let more = |one: (&'static str, &'static str)| [fields[0], fields[1], one];
    leaks::secret("wrong-secret-of-console");
    for (name, answer, status, error) in [
        (
            "nobody",
            place.ask(&fields, "").await,
            400,
            "invalid_request",
        ),
        (
            "by its name alone",
            place.ask(&more(("client_id", "console")), "").await,
            401,
            "invalid_client",
        ),
        (
            "a wrong secret",
            place
                .ask(
                    &fields,
                    &super::super::site::basic("console", "wrong-secret-of-console"),
                )
                .await,
            401,
            "invalid_client",
        ),
        (
            "an unknown client",
            place.ask(&more(("client_id", "nobody")), "").await,
            401,
            "invalid_client",
        ),
        (
            "another client",
            place.ask(&fields, &as_client("other")).await,
            400,
            "invalid_grant",
        ),
        (
            "a public client",
            place.ask(&more(("client_id", "open")), "").await,
            400,
            "unauthorized_client",
        ),
        (
            "two methods",
            place
                .ask(&more(("client_secret", SECRET)), &as_client("console"))
                .await,
            400,
            "invalid_request",
        ),
    ] {
        table.row(name, refused(&answer, status, error));
    }
    // The proof is judged before the assertion is used up.
    let forged = Proof::new(&P256, "POST", &place.gateway.uri("/token"));
    let forged = forged.header("jwk", KeyPair::p256().public_jwk()).sign();
    let call = place.gateway.request(Method::POST, "/token");
    let call = call
        .with("content-type", "application/x-www-form-urlencoded")
        .with("authorization", &as_client("console"))
        .with("dpop", &forged)
        .body(form(fields));
    let answer =
        program(&call.send().await).and_then(|answer| refused(&answer, 400, "invalid_dpop_proof"));
    table.row("a forged proof", answer);
    let answer = place.present(&assertion, &[]).await;
    table.check("its client", answer.0 == 200, || {
        answer.1["error"].to_string()
    });
}

#[tokio::test]
async fn attack_248_an_identity_assertion_gives_no_scope_that_it_does_not_name() {
    let place = Place::with(|config| {
        config.set(
            "/authorization_server/clients/1/scopes",
            json!(["tasks:read"]),
        )
    })
    .await;
    let mut table = Table::default();
    let gateway = &place.gateway;
    let mut number = 0;
    for (in_assertion, asked, client, expected) in [
        (Some("tasks:read"), None, "console", Ok("tasks:read")),
        (
            Some(ALL_SCOPES),
            Some("tasks:read"),
            "console",
            Ok("tasks:read"),
        ),
        (Some(ALL_SCOPES), None, "other", Ok("tasks:read")),
        (
            Some("tasks:read admin"),
            Some(ALL_SCOPES),
            "console",
            Ok("tasks:read"),
        ),
        (
            Some("tasks:read"),
            Some("tasks:write"),
            "console",
            Err("invalid_scope"),
        ),
        (None, Some("tasks:read"), "console", Err("invalid_scope")),
    ] {
        number += 1;
        let assertion = place.id_jag(&number.to_string()).claim("client_id", client);
        let assertion = match in_assertion {
            Some(scope) => assertion.scope(scope),
            None => assertion.without("scope"),
        };
        let assertion = assertion.sign();
        let mut fields = vec![
            ("grant_type", JWT_BEARER),
            ("assertion", assertion.as_str()),
        ];
        fields.extend(asked.map(|scope| ("scope", scope)));
        let answer = place.ask(&fields, &as_client(client)).await;
        let name = format!("{in_assertion:?} {asked:?} {client}");
        match expected {
            Ok(scope) => {
                let subject = account(&answer.1);
                table.row(
                    &name,
                    served(gateway, &answer, (&subject, client, scope)).await,
                );
            }
            Err(error) => {
                table.row(&name, refused(&answer, 400, error));
            }
        }
    }
    let assertion = place.id_jag("other").sign();
    let elsewhere = format!("{}/other", gateway.uri(""));
    let answer = place.present(&assertion, &[("resource", &elsewhere)]).await;
    table.row("another resource", refused(&answer, 400, "invalid_target"));
}

#[tokio::test]
async fn attack_249_an_issuer_is_trusted_for_what_is_listed_with_it_alone() {
    let place = Place::start().await;
    let mut table = Table::default();
    let gateway = &place.gateway;
    let robot = place.robot().await;
    let of = |key: &Key, issuer: &str| id_jag(key, issuer, gateway, "x").sign();
    let cases = [
        ("an issuer of builds", of(&place.builds, BUILDS)),
        (
            "a stranger",
            of(&Key::es256("x"), "https://stranger.example"),
        ),
        ("this server", of(&place.idp, &gateway.uri(""))),
        ("a slash more", of(&place.idp, &format!("{IDP}/"))),
        ("a build", place.build().sign()),
        ("an access token of the provider", place.foreign().sign()),
        ("an access token of this server", robot.clone()),
    ];
    for (name, assertion) in &cases {
        let answer = place.present(assertion, &[]).await;
        table.row(name, refused(&answer, 400, "invalid_grant"));
    }
    let assertion = place.id_jag("x").sign();
    let answer = place.exchange(&assertion, &[]).await;
    table.row(
        "an assertion in an exchange",
        refused(&answer, 400, "invalid_request"),
    );
    // The gateway takes none of them for an access token.
    for (name, token) in [
        ("a bearer assertion", assertion),
        ("a bearer build", place.build().sign()),
        (
            "a bearer token of the provider",
            place.foreign().claim("aud", gateway.uri("/mcp")).sign(),
        ),
    ] {
        let status = call(gateway, &token).await.status;
        table.check(name, status == 401, || status.to_string());
    }
    assert_eq!(call(gateway, &robot).await.status, 200);
    assert_eq!(place.upstream.hits(), 1);
}

#[tokio::test]
async fn attack_250_a_key_that_is_not_the_issuers_signs_nothing() {
    let place = Place::start().await;
    let mut table = Table::default();
    let good = place.id_jag("k");
    let text = good.sign();
    let (head, rest) = text.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let header = |value: Value| base64url(value.to_string().as_bytes());
    let none = header(json!({ "alg": "none", "typ": "oauth-id-jag+jwt" }));
    let hs = json!({ "alg": "HS256", "kid": "corp", "typ": "oauth-id-jag+jwt" }).to_string();
    let with_secret = |secret: &[u8]| {
        compact(&hs, good.claims_text(), |input| {
            hmac("HS256", secret, input)
        })
    };
    let jwk = place.idp.jwk().to_string();
    let mine = Key::es256("corp");
    let changed = base64url(good.clone().subject("U2").claims_text().as_bytes());
    for (name, assertion) in [
        (
            "another key under the same id",
            good.clone().signed_by(&mine).sign(),
        ),
        (
            "the key of another issuer",
            good.clone().signed_by(&place.builds).sign(),
        ),
        ("an unknown key id", good.clone().header("kid", "x").sign()),
        (
            "a path as key id",
            good.clone().header("kid", "../../../dev/null").sign(),
        ),
        (
            "a key in the header",
            good.clone()
                .signed_by(&mine)
                .header("jwk", mine.jwk())
                .sign(),
        ),
        (
            "keys elsewhere",
            good.clone()
                .signed_by(&mine)
                .header("jku", "https://evil.example/")
                .sign(),
        ),
        ("not signed", format!("{none}.{body}.")),
        (
            "not signed, with a signature",
            format!("{none}.{body}.{signature}"),
        ),
        ("HMAC with the public key", with_secret(jwk.as_bytes())),
        (
            "HMAC with the key as PEM",
            with_secret(public_key_pem(jwk.as_bytes()).as_bytes()),
        ),
        ("HMAC with nothing", with_secret(b"")),
        ("another subject", format!("{head}.{changed}.{signature}")),
        ("half", format!("{head}.{body}")),
        ("five parts", format!("{text}.{body}.{signature}")),
        (
            "a critical parameter",
            good.clone().header("crit", json!(["exp"])).sign(),
        ),
        ("no token", "assertion".to_owned()),
        ("huge", good.clone().claim("x", "x".repeat(20_000)).sign()),
    ] {
        let answer = place.present(&assertion, &[]).await;
        table.row(name, refused(&answer, 400, "invalid_grant"));
    }
    let answer = place.present(&text, &[]).await;
    table.check("the right one", answer.0 == 200, || {
        answer.1["error"].to_string()
    });
}

#[tokio::test]
async fn attack_251_while_the_keys_of_an_issuer_cannot_be_had_nothing_is_decided_or_used_up() {
    let mut issuer = Issuer::start().await;
    let corp = json!({ "issuer": issuer.identifier(), "id_jag": {} });
    issuer.stop();
    let place = Place::with(|config| {
        config
            .set("/authorization_server/trusted_issuers/corp", corp)
            .set("/jwks/wait", "100ms")
            .set("/jwks/refresh", "1s")
            .set("/jwks/cool_down", "1s")
    })
    .await;
    let mut table = Table::default();
    let gateway = &place.gateway;
    let assertion = id_jag(&issuer.key, &issuer.identifier(), gateway, "kept").sign();
    let fields = [
        ("grant_type", JWT_BEARER),
        ("assertion", assertion.as_str()),
    ];
    let ask = async || post(gateway, "/token", &fields, &as_client("console")).await;
    table.row(
        "down",
        refused(&ask().await, 503, "temporarily_unavailable"),
    );
    let reply = place
        .gateway
        .request(http::Method::POST, "/token")
        .with("content-type", "application/x-www-form-urlencoded")
        .with("authorization", &as_client("console"))
        .body(e2e::sign_in::browser::form(fields))
        .send()
        .await;
    table.check(
        "when to try again",
        !reply.header("retry-after").is_empty(),
        || format!("{:?}", reply.headers),
    );
    gateway.logged("issuer_unavailable").await;
    // Workloads of another issuer do not need it.
    let build = place.work(&place.build().sign(), &[]).await;
    table.check("another issuer", build.0 == 200, || {
        build.1["error"].to_string()
    });
    issuer.resume().await;
    let up = until(ask, 200).await;
    table.check("back", up.0 == 200, || up.1["error"].to_string());
    table.row("used", refused(&ask().await, 400, "invalid_grant"));
    // A new key is found without a restart; with one that is not published yet, nothing is decided either.
    let next = Key::es256("next");
    let with_next = |jti: &str| id_jag(&next, &issuer.identifier(), gateway, jti).sign();
    issuer.publish(&[&issuer.key, &next]);
    let token = with_next("next");
    let fields = [("grant_type", JWT_BEARER), ("assertion", token.as_str())];
    let rotated = until(
        async || post(gateway, "/token", &fields, &as_client("console")).await,
        200,
    )
    .await;
    table.check("rotated", rotated.0 == 200, || {
        rotated.1["error"].to_string()
    });
    issuer.keys(Fault::Status(500));
}

/// Asks until the status is this one, for 20 seconds at most.
async fn until(ask: impl AsyncFn() -> (u16, Value), status: u16) -> (u16, Value) {
    let begun = std::time::Instant::now();
    loop {
        let answer = ask().await;
        if answer.0 == status || begun.elapsed().as_secs() > 20 {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// A gateway that trusts nobody announces nothing; one that trusts builds announces no identity assertions.
#[tokio::test]
async fn attack_252_what_is_trusted_is_announced_and_nothing_else() {
    let mut table = Table::default();
    let documents = async |gateway: &Gateway| {
        let document = gateway.get("/.well-known/oauth-authorization-server");
        let document = document.send().await.json();
        let has = |name: &str| {
            let listed = document["grant_types_supported"].as_array().unwrap();
            listed.iter().any(|one| one == name)
        };
        let profiles = document["authorization_grant_profiles_supported"].clone();
        (has(JWT_BEARER), has(super::place::EXCHANGE), profiles)
    };
    let place = Place::start().await;
    let profile = json!(["urn:ietf:params:oauth:grant-profile:id-jag"]);
    let found = documents(&place.gateway).await;
    table.check("all", found == (true, true, profile), || {
        format!("{found:?}")
    });
    let builds =
        Place::with(|config| config.without("authorization_server/trusted_issuers/corp/id_jag"))
            .await;
    let found = documents(&builds.gateway).await;
    table.check("builds", found == (true, true, Value::Null), || {
        format!("{found:?}")
    });
    let refusal = builds.present(&builds.id_jag("x").sign(), &[]).await;
    table.row("no assertions", refused(&refusal, 400, "invalid_grant"));
    let upstream = Upstream::start().await;
    let plain = Gateway::start(super::super::site::base(&upstream).await).await;
    let found = documents(&plain).await;
    table.check("nothing", found == (false, false, Value::Null), || {
        format!("{found:?}")
    });
}
