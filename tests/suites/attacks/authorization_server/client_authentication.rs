//! Number 140 and the incidents with client authentication: each client by its own method, assertions once, other clients' tokens.

use e2e::client::Call;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token};

use super::site::{Site, basic, changed, program, refused};

/// The kind of assertion (RFC 7523 §2.2).
pub(super) const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

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
pub(super) fn assertion(key: &Key, client: &str, audience: impl Into<Value>, jti: &str) -> Token {
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
async fn answer(call: Call) -> (u16, Value) {
    let answer = call.open().await;
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

/// A refresh that is refused once the client is authenticated.
const REFRESH: [(&str, &str); 2] = [
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
    table.row("unknown", super::site::page(&reply, 400));
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
        table.row(redirect, super::site::page(&reply, status));
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
