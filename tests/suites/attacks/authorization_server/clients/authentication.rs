//! Number 140 and the incidents with client authentication: each client by its own method, assertions once.

use e2e::client::Call;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::world::Table;
use serde_json::{Value, json};
use test_support::{Key, Token};

use super::super::site::{Site, basic, changed, program, refused};

/// The kind of assertion (RFC 7523 §2.2).
pub(crate) const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client that signs assertions with this key.
async fn signing(site: &Site, key: &Key) -> Client {
    let metadata = json!({
        "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.jwk()] },
    });
    Client::register_as(&site.gateway, &metadata).await
}

/// An assertion of this client for this audience, as the SDKs make it.
pub(crate) fn assertion(key: &Key, client: &str, audience: impl Into<Value>, jti: &str) -> Token {
    let now = test_support::now();
    let claims = json!({
        "iss": client, "sub": client, "aud": audience.into(), "jti": jti, "iat": now, "exp": now + 300,
    });
    let header = json!({ "alg": key.algorithm(), "typ": "JWT", "kid": key.jwk()["kid"] });
    Token::exactly(key, header, claims).claim("exp", now + 300)
}

/// The answer to a token request with this assertion and these fields.
async fn with_assertion(site: &Site, fields: &[(&str, &str)], assertion: &str) -> (u16, Value) {
    let own = [
        ("client_assertion_type", KIND),
        ("client_assertion", assertion),
    ];
    let fields: Vec<_> = fields.iter().copied().chain(own).collect();
    answer(site.form("/token", &fields, "")).await
}

/// The answer to a token request, which may hold tokens.
pub(super) async fn answer(call: Call) -> (u16, Value) {
    let answer = call.open().await;
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

/// A refresh that is refused once the client is authenticated.
pub(super) const REFRESH: [(&str, &str); 2] = [
    ("grant_type", "refresh_token"),
    ("refresh_token", "made-up"),
];

#[tokio::test]
async fn attack_140_an_assertion_works_once_and_for_this_server() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let (key, other) = (Key::es256("k1"), Key::es256("k1"));
    let client = signing(&site, &key).await;
    let (issuer, endpoint) = (site.gateway.uri(""), site.gateway.uri("/token"));
    let code = site.code(&client.id, &[]).await;
    let redeem = redemption(&code);
    let now = test_support::now();
    let good = |jti: &str| assertion(&key, &client.id, issuer.as_str(), jti);
    for (name, wrong) in [
        (
            "another key",
            assertion(&other, &client.id, issuer.as_str(), "a1").sign(),
        ),
        (
            "another audience",
            assertion(&key, &client.id, "https://other.example", "a2").sign(),
        ),
        (
            "another endpoint",
            assertion(&key, &client.id, site.gateway.uri("/revoke"), "a3").sign(),
        ),
        (
            "the resource",
            assertion(&key, &client.id, site.gateway.uri("/mcp"), "a4").sign(),
        ),
        (
            "two audiences",
            assertion(
                &key,
                &client.id,
                json!([issuer, "https://other.example"]),
                "a5",
            )
            .sign(),
        ),
        (
            "this server twice",
            assertion(&key, &client.id, json!([issuer, endpoint]), "a6").sign(),
        ),
        ("no audience", good("a7").without("aud").sign()),
        (
            "expired",
            good("a8")
                .claim("exp", now - 120)
                .claim("iat", now - 300)
                .sign(),
        ),
        ("for ever", good("a9").claim("exp", now + 86_400).sign()),
        ("no end", good("a10").without("exp").sign()),
        ("not yet", good("a11").claim("nbf", now + 200).sign()),
        (
            "another subject",
            good("a12").claim("sub", "somebody").sign(),
        ),
        (
            "another issuer",
            good("a13").claim("iss", "somebody").sign(),
        ),
        ("no jti", good("a14").without("jti").sign()),
        ("an empty jti", good("").sign()),
        ("a long jti", good(&"j".repeat(300)).sign()),
        (
            "no signature",
            good("a15").sign().rsplit_once('.').unwrap().0.to_owned() + ".",
        ),
        ("alg none", good("a16").header("alg", "none").sign()),
        (
            "an access token's type",
            good("a17").header("typ", "at+jwt").sign(),
        ),
        ("no JWT", "x.y".to_owned()),
    ] {
        let answer = with_assertion(&site, &redeem, &wrong).await;
        table.row(name, refused(&answer, 401, "invalid_client"));
    }
    for (name, fields, status, error) in [
        (
            "half",
            &[
                ("client_assertion", "x.y.z"),
                ("client_id", client.id.as_str()),
            ][..],
            400,
            "invalid_request",
        ),
        (
            "another kind",
            &[("client_assertion", "x"), ("client_assertion_type", "saml")],
            401,
            "invalid_client",
        ),
        (
            "no assertion",
            &[("client_id", client.id.as_str())],
            401,
            "invalid_client",
        ),
    ] {
        let fields: Vec<_> = redeem.iter().chain(fields).copied().collect();
        let found = answer(site.form("/token", &fields, "")).await;
        table.row(name, refused(&found, status, error));
    }
    // Nothing of that used up the code; the right assertion does, once.
    let right = good("b1").sign();
    let (status, answer) = with_assertion(&site, &redeem, &right).await;
    assert_eq!(status, 200, "{}", answer["error"]);
    let tokens = Tokens::of(answer);
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    let replayed = with_assertion(&site, &fields, &right).await;
    table.row("replayed", refused(&replayed, 401, "invalid_client"));
    let race = assertion(&key, &client.id, endpoint.as_str(), "b2").sign();
    let all = (0..20).map(|_| with_assertion(&site, &fields, &race));
    let answers = futures_util::future::join_all(all).await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    table.check("at once", won == 1, || format!("{won} of 20"));
    for lost in answers.iter().filter(|(status, _)| *status != 200) {
        table.row("at once", refused(lost, 401, "invalid_client"));
    }
    // The same `jti` of another client is another assertion.
    let second = signing(&site, &other).await;
    let same = assertion(&other, &second.id, issuer.as_str(), "b1").sign();
    let answer = with_assertion(&site, &REFRESH, &same).await;
    table.row("of another client", refused(&answer, 400, "invalid_grant"));
}

#[tokio::test]
async fn attack_206_a_grant_of_another_server_is_not_taken() {
    let site = Site::start().await;
    let mut table = Table::default();
    let key = Key::es256("idp");
    let client = Client::register(&site.gateway).await;
    let metadata = site
        .gateway
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let profiles = metadata.get("authorization_grant_profiles_supported");
    table.check("announced", profiles.is_none(), || metadata.to_string());
    let grants = metadata["grant_types_supported"].clone();
    table.check(
        "announced",
        grants == json!(["authorization_code", "refresh_token"]),
        || grants.to_string(),
    );
    let issuer = site.gateway.uri("");
    for audience in [json!(issuer), json!([issuer, "https://other.example"])] {
        let grant = assertion(&key, "https://idp.example", audience, "g1");
        let grant = grant
            .header("typ", "oauth-id-jag+jwt")
            .claim("resource", site.gateway.uri("/mcp"));
        let grant = grant.claim("client_id", client.id.clone()).sign();
        for _ in 0..2 {
            let fields = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", grant.as_str()),
            ];
            let answer = client.ask(&site.gateway, &fields).await;
            table.row(
                "an identity assertion",
                refused(&answer, 400, "unsupported_grant_type"),
            );
        }
    }
    for kind in [
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "password",
        "implicit",
        "Authorization_Code",
    ] {
        let answer = client
            .ask(&site.gateway, &[("grant_type", kind), ("username", "ana")])
            .await;
        table.row(kind, refused(&answer, 400, "unsupported_grant_type"));
    }
    let answer = client
        .ask(&site.gateway, &[("grant_type", "client_credentials")])
        .await;
    table.row(
        "client_credentials",
        refused(&answer, 400, "unauthorized_client"),
    );
    assert_eq!(site.upstream.hits(), 0);
}

#[tokio::test]
async fn attack_207_the_registered_method_and_no_other_authenticates() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let key = Key::es256("k");
    let issuer = site.gateway.uri("");
    let methods = [
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ];
    for registered in methods {
        let client = match registered {
            "private_key_jwt" => signing(&site, &key).await,
            method => site.client(REDIRECT, method).await,
        };
        let code = site.code(&client.id, &[]).await;
        let redeem = redemption(&code);
        let secret = client
            .secret
            .clone()
            .unwrap_or_else(|| leaks::secret("a-secret-that-it-does-not-have"));
        let asks = async |method: &str, jti: &str| {
            let signed = assertion(&key, &client.id, issuer.as_str(), jti).sign();
            let id = ("client_id", client.id.as_str());
            let fields = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
                let all = redeem.iter().chain(more);
                all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect()
            };
            let (fields, header) = match method {
                "none" => (fields(&[id]), String::new()),
                "client_secret_basic" => (fields(&[]), basic(&client.id, &secret)),
                "client_secret_post" => (fields(&[id, ("client_secret", &secret)]), String::new()),
                _ => (
                    fields(&[
                        id,
                        ("client_assertion", &signed),
                        ("client_assertion_type", KIND),
                    ]),
                    String::new(),
                ),
            };
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            answer(site.form("/token", &fields, &header)).await
        };
        for used in methods.iter().filter(|used| **used != registered) {
            let answer = asks(used, &format!("{registered} {used}")).await;
            table.row(
                &format!("{registered} with {used}"),
                refused(&answer, 401, "invalid_client"),
            );
        }
        let (status, answer) = asks(registered, "own").await;
        table.check(registered, status == 200, || answer["error"].to_string());
    }
    // Two methods at once are none, whichever is right.
    let client = site.client(REDIRECT, "client_secret_basic").await;
    let secret = client.secret.clone().unwrap();
    let header = basic(&client.id, &secret);
    let fields = changed(
        &REFRESH,
        &[
            ("client_id", Some(&client.id)),
            ("client_secret", Some(&secret)),
        ],
    );
    let both = site.form("/token", &fields, &header).send().await;
    table.row(
        "both",
        program(&both).and_then(|answer| refused(&answer, 400, "invalid_request")),
    );
    let other = changed(&REFRESH, &[("client_id", Some("another"))]);
    let other = site.form("/token", &other, &header).send().await;
    table.row(
        "two ids",
        program(&other).and_then(|answer| refused(&answer, 400, "invalid_request")),
    );
    let twice = site
        .form("/token", &REFRESH, &header)
        .also("authorization", &header)
        .send()
        .await;
    table.check("twice", twice.status == 400, || twice.text());
    for scheme in ["Bearer x", "Digest x", "Basic", "Basic !!!", "Basic YQ=="] {
        let reply = site.form("/token", &REFRESH, scheme).send().await;
        table.row(
            scheme,
            program(&reply).and_then(|answer| refused(&answer, 401, "invalid_client")),
        );
        let challenge = reply.challenge();
        table.check(scheme, challenge.starts_with("Basic realm="), || {
            challenge.to_owned()
        });
    }
    let nobody = site.form("/token", &REFRESH, "").send().await;
    table.row(
        "nobody",
        program(&nobody).and_then(|answer| refused(&answer, 400, "invalid_request")),
    );
}

#[tokio::test]
async fn attack_229_id_and_secret_are_form_encoded_in_basic_credentials() {
    let id = "app:100%+1&x=/~";
    let secret = leaks::secret("se:cret+%41&=\"/-0123456789-0123456789");
    let change = |config: Config| {
        let file = config.write("secret", &secret);
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        config.set(
            "/authorization_server/clients",
            json!([{
                "id": id, "redirect_uris": [REDIRECT],
                "method": "client_secret_basic", "secret_file": file,
            }]),
        )
    };
    let mut site = Site::with(change).await;
    let mut table = Table::default();
    let code = site.code(id, &[]).await;
    let raw = |text: &str| {
        use base64::Engine;
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    };
    let percent = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
    };
    for (name, header) in [
        ("as it is", raw(&format!("{id}:{secret}"))),
        ("a wrong secret", basic(id, "wrong")),
        ("no secret", basic(id, "")),
        ("another id", basic("app", &secret)),
    ] {
        let found = answer(site.form("/token", &redemption(&code), &header)).await;
        table.row(name, refused(&found, 401, "invalid_client"));
    }
    let all = raw(&format!("{}:{}", percent(id), percent(&secret)));
    let found = answer(site.form("/token", &REFRESH, &all)).await;
    table.row("every byte encoded", refused(&found, 400, "invalid_grant"));
    let (status, found) =
        answer(site.form("/token", &redemption(&code), &basic(id, &secret))).await;
    table.check("form-encoded", status == 200, || found["error"].to_string());
    // What the server gives out itself is the same in both forms.
    let registered = site.client(REDIRECT, "client_secret_basic").await;
    let secret = registered.secret.as_deref().unwrap();
    let plain = raw(&format!("{}:{secret}", registered.id));
    for header in [plain, basic(&registered.id, secret)] {
        let found = answer(site.form("/token", &REFRESH, &header)).await;
        table.row("registered", refused(&found, 400, "invalid_grant"));
    }
}
