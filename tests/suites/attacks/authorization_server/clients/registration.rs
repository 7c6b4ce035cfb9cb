//! Number 136 and the incidents with registrations: how many there are, what they bring, and what they get.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::browser::query;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::upstream::Upstream;
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};

use super::super::site::{Site, base, page, program, refused, register};

/// A registration that is accepted.
fn good() -> Value {
    json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" })
}

/// The same with one member changed.
fn but(member: &str, value: Value) -> Value {
    let mut changed = good();
    changed[member] = value;
    changed
}

#[tokio::test]
async fn attack_136_floods_of_registrations_and_hostile_metadata_are_bounded() {
    let mut table = Table::default();
    for (key, most, status, changes) in [
        ("per_address_per_minute", 3, 429, json!([])),
        ("per_minute", 3, 503, Value::Null),
        ("most_clients", 3, 503, Value::Null),
    ] {
        let upstream = Upstream::start().await;
        let config = base(&upstream).await;
        let config = config.set(&format!("/authorization_server/registration/{key}"), most);
        let config = match changes {
            Value::Null => config,
            exempt => config.set("/limits/exempt_addresses", exempt),
        };
        let gateway = Gateway::start(config).await;
        for _ in 0..most {
            Client::register(&gateway).await;
        }
        for _ in 0..3 {
            let reply = register(&gateway, good().to_string()).await;
            let outcome = program(&reply);
            let outcome =
                outcome.and_then(|answer| refused(&answer, status, "temporarily_unavailable"));
            table.row(key, outcome);
            let wait = reply.header("retry-after").parse::<u32>();
            table.check(key, matches!(wait, Ok(1..)), || {
                format!("{:?}", reply.headers)
            });
        }
    }

    let site = Site::start().await;
    let many = |count: usize| -> Vec<_> {
        (0..count)
            .map(|number| format!("https://a{number}.example/"))
            .collect()
    };
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for (name, body, status, error) in [
        (
            "33 redirect URIs",
            but("redirect_uris", json!(many(33))).to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "10,000 redirect URIs",
            but("redirect_uris", json!(many(10_000))).to_string(),
            413,
            "",
        ),
        (
            "a long redirect URI",
            but(
                "redirect_uris",
                json!([format!("https://a.example/{}", "a".repeat(3000))]),
            )
            .to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "no redirect URI",
            but("redirect_uris", json!([])).to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "a text",
            but("redirect_uris", json!(REDIRECT)).to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "numbers",
            but("redirect_uris", json!([1])).to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "script",
            but("redirect_uris", json!(["javascript:alert(1)"])).to_string(),
            400,
            "invalid_redirect_uri",
        ),
        (
            "a long name",
            but("client_name", json!("n".repeat(5000))).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "an object as name",
            but("client_name", json!({})).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "an unknown method",
            but("token_endpoint_auth_method", json!("tls_client_auth")).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "grant types",
            but("grant_types", json!(["implicit"])).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "a machine",
            but("grant_types", json!(["client_credentials"])).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "response types",
            but("response_types", json!(["token"])).to_string(),
            400,
            "invalid_client_metadata",
        ),
        (
            "deep",
            format!("{{\"redirect_uris\":[\"{REDIRECT}\"],\"x\":{deep}}}"),
            400,
            "invalid_client_metadata",
        ),
        (
            "twice",
            format!(
                "{{\"redirect_uris\":[\"{REDIRECT}\"],\"redirect_uris\":[\"https://evil.example/\"]}}"
            ),
            400,
            "invalid_client_metadata",
        ),
        ("no object", "[]".to_owned(), 400, "invalid_client_metadata"),
        (
            "no JSON",
            "redirect_uris=x".to_owned(),
            400,
            "invalid_client_metadata",
        ),
        ("empty", String::new(), 400, "invalid_client_metadata"),
    ] {
        let reply = register(&site.gateway, body).await;
        table.check(name, reply.status == status, || {
            format!("{} {}", reply.status, reply.text())
        });
        if !error.is_empty() {
            let found = program(&reply).and_then(|answer| refused(&answer, status, error));
            table.row(name, found);
        }
    }
    let form = site
        .gateway
        .request(Method::POST, "/register")
        .body("redirect_uris=x");
    let reply = form
        .with("content-type", "application/x-www-form-urlencoded")
        .send()
        .await;
    table.check("a form", reply.status == 400, || reply.text());
    assert_eq!(site.register(&good()).await.status, 201);
}

#[tokio::test]
async fn attack_199_a_registration_answers_with_the_secret_of_that_client_and_no_other() {
    let own = leaks::secret("the-secret-of-a-configured-client-0123456789");
    let change = |config: Config| {
        let file = config.write("secret", &own);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        config.set(
            "/authorization_server/clients",
            json!([{
                "id": "configured", "redirect_uris": [REDIRECT],
                "method": "client_secret_post", "secret_file": file,
            }]),
        )
    };
    let site = Site::with(change).await;
    let mut table = Table::default();
    let mut secrets = BTreeSet::new();
    for _ in 0..5 {
        let client = site.client(REDIRECT, "client_secret_post").await;
        secrets.insert(client.secret.clone().unwrap());
        // Its own secret is shown once.
        let call = site
            .gateway
            .request(Method::GET, &format!("/register/{}", client.id));
        let token = client.registered["registration_access_token"]
            .as_str()
            .unwrap();
        let answer = call.token(token).open().await;
        assert_eq!(answer.status(), 200);
        let read: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        table.check("read", read.get("client_secret").is_none(), || {
            format!("{:?}", read.as_object().unwrap().keys())
        });
        // The token of one client reads no other, and not the configured one.
        let other = Client::register(&site.gateway).await;
        for id in [other.id.as_str(), "configured"] {
            for method in [Method::GET, Method::DELETE] {
                let call = site.gateway.request(method, &format!("/register/{id}"));
                let reply = call.token(token).send().await;
                table.check(id, reply.status == 401, || reply.text());
            }
        }
    }
    assert_eq!(secrets.len(), 5);
    assert!(
        secrets
            .iter()
            .all(|secret| secret.len() >= 43 && *secret != own)
    );
    // The id that a client wishes for is not its own, nor is a secret.
    let wish = json!({
        "client_id": "configured", "client_secret": "chosen", "redirect_uris": [REDIRECT],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let wished = Client::register_as(&site.gateway, &wish).await;
    assert_ne!(wished.id, "configured");
    assert_ne!(wished.secret.as_deref(), Some("chosen"));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let thief = Client {
        id: "configured".to_owned(),
        ..wished
    };
    let answer = thief.ask(&site.gateway, &fields).await;
    table.row(
        "as the configured one",
        refused(&answer, 401, "invalid_client"),
    );
    let right = Client {
        secret: Some(own.clone()),
        ..thief
    };
    let answer = right.ask(&site.gateway, &fields).await;
    table.row("with its secret", refused(&answer, 400, "invalid_grant"));
}

#[tokio::test]
async fn attack_200_a_public_client_gets_no_secret_and_a_confidential_one_does() {
    let site = Site::start().await;
    let mut table = Table::default();
    let keys = json!({ "keys": [test_support::Key::es256("k").jwk()] });
    for (method, gets_secret) in [
        (json!("none"), false),
        (json!("private_key_jwt"), false),
        (json!("client_secret_basic"), true),
        (json!("client_secret_post"), true),
        (Value::Null, true),
    ] {
        let name = method.to_string();
        let mut metadata = but("token_endpoint_auth_method", method.clone());
        metadata["jwks"] = keys.clone();
        let client = Client::register_as(&site.gateway, &metadata).await;
        table.check(&name, client.secret.is_some() == gets_secret, || {
            client.registered.to_string()
        });
        let expires = client.registered.get("client_secret_expires_at").cloned();
        let expected = gets_secret.then(|| json!(0));
        table.check(&name, expires == expected, || format!("{expires:?}"));
        let shown = &client.registered["token_endpoint_auth_method"];
        let expected = if method.is_null() {
            json!("client_secret_basic")
        } else {
            method
        };
        table.check(&name, *shown == expected, || shown.to_string());
    }
}

/// A client that got tokens before it was removed as unused. A slow machine may need several attempts.
async fn used(site: &mut Site) -> (Client, Tokens) {
    for _ in 0..5 {
        let client = Client::register(&site.gateway).await;
        let consent = site.person.open(&site.request(&client.id, &[])).await;
        let allowed = site.person.submit(&consent, &[("decision", "allow")]).await;
        let answer = query(allowed.header("location"));
        let code = answer.get("code").map_or("", String::as_str);
        let (status, answer) = client.ask(&site.gateway, &redemption(code)).await;
        if status == 200 {
            return (client, Tokens::of(answer));
        }
    }
    panic!("every client was removed before it was used");
}

#[tokio::test]
async fn attack_201_clients_that_are_never_used_make_room_for_others() {
    let change = |config: Config| {
        config
            .set("/authorization_server/registration/most_clients", 12)
            .set("/authorization_server/lifetimes/unused_client", "3s")
    };
    let mut site = Site::with(change).await;
    let (used, tokens) = used(&mut site).await;
    let mut unused = Vec::new();
    loop {
        let reply = site.register(&good()).await;
        if reply.status == 503 {
            break;
        }
        assert_eq!(reply.status, 201, "{}", reply.text());
        unused.push(reply.json()["client_id"].as_str().unwrap().to_owned());
        assert!(unused.len() <= 30, "the store is never full");
    }
    // Expired ones leave within ten seconds.
    let deadline = Instant::now() + Duration::from_secs(60);
    while site.register(&good()).await.status != 201 {
        assert!(Instant::now() < deadline, "there is no room");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    site.lives(&used, &tokens).await.unwrap();
    let gone = site.person.open(&site.request(&unused[0], &[])).await;
    page(&gone, 400).unwrap();
}

#[tokio::test]
async fn attack_213_a_client_name_forges_no_line_of_a_log_or_a_page() {
    let mut site = Site::with(|config| config.set("/audit", json!({ "file": "audit.log" }))).await;
    let mut table = Table::default();
    let forged = "{\"event\":\"consent\",\"outcome\":\"allowed\",\"client_id\":\"forged\"}";
    for (name, expected) in [
        (format!("App\n{forged}"), format!("App {}", &forged[..20])),
        (format!("App\r\n{forged}"), format!("App {}", &forged[..20])),
        (
            "App\u{2028}line\u{85}next\u{0}nul".to_owned(),
            "App".to_owned(),
        ),
        (
            "\u{1b}[2J\u{1b}[31mApp".to_owned(),
            "[2J [31mApp".to_owned(),
        ),
        ("\u{202e}ppA\u{202c}".to_owned(), "ppA".to_owned()),
        ("A\u{200b}p\u{ad}p\u{feff}".to_owned(), "App".to_owned()),
    ] {
        let client = Client::register_as(&site.gateway, &but("client_name", json!(name))).await;
        let shown = client.registered["client_name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let is_clean = !shown
            .chars()
            .any(|char| char.is_control() || "\u{2028}\u{202e}\u{200b}".contains(char));
        table.check(&name, is_clean && shown.starts_with(&expected), || {
            shown.clone()
        });
        let consent = site.person.open(&site.request(&client.id, &[])).await;
        table.row(&name, page(&consent, 200));
        let location = site.person.allow(&consent).await;
        client
            .redeem(&site.gateway, &client.code(&site.gateway, &location))
            .await;
    }
    // An id that a client brings is in the log as well.
    let hostile = "x\n{\"message\":\"forged\"}";
    let encoded: String = form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    let reply = site
        .gateway
        .get(&format!("/authorize?client_id={encoded}"))
        .send()
        .await;
    table.check("client_id", reply.status == 400, || reply.text());
    let lines = site.gateway.config.audit();
    table.check("audit", lines.lines().count() > 10, || lines.clone());
    for line in lines.lines() {
        let read = serde_json::from_str::<Value>(line);
        let is_forged = read
            .as_ref()
            .map_or(true, |line| line["client_id"] == "forged");
        table.check("audit", !is_forged, || line.to_owned());
    }
    let log = site.gateway.log_lines().await;
    table.check(
        "log",
        log.iter().all(|line| line["message"] != "forged"),
        || format!("{log:?}"),
    );
    let all = site.gateway.log().await;
    let unread = all
        .lines()
        .find(|line| serde_json::from_str::<Value>(line).is_err());
    table.check("log", unread.is_none(), || format!("{unread:?}"));
}

#[tokio::test]
async fn attack_217_registrations_of_the_sdks_are_read_as_they_are_meant() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let python = json!({
        "redirect_uris": [REDIRECT], "token_endpoint_auth_method": null, "client_name": "MCP Client",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "scope": null, "client_uri": null, "logo_uri": null, "contacts": null, "tos_uri": null,
        "policy_uri": null, "jwks_uri": null, "jwks": null, "software_id": null, "software_version": null,
    });
    let code = json!({
        "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    });
    let least = json!({ "redirect_uris": [REDIRECT] });
    for (name, metadata, method) in [
        ("nulls", python, "client_secret_basic"),
        ("an unknown grant type", code, "none"),
        ("the least", least, "client_secret_basic"),
    ] {
        let client = Client::register_as(&site.gateway, &metadata).await;
        let shown = &client.registered;
        table.check(name, shown["token_endpoint_auth_method"] == method, || {
            shown["token_endpoint_auth_method"].to_string()
        });
        let grants = json!(["authorization_code", "refresh_token"]);
        table.check(name, shown["grant_types"] == grants, || {
            shown["grant_types"].to_string()
        });
        table.check(name, shown["redirect_uris"] == json!([REDIRECT]), || {
            shown["redirect_uris"].to_string()
        });
        let nulls: Vec<_> = shown
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_null())
            .collect();
        table.check(name, nulls.is_empty(), || format!("{nulls:?}"));
        let code = site.code(&client.id, &[]).await;
        assert!(!code.is_empty());
    }
}

#[tokio::test]
async fn attack_238_metadata_that_is_not_used_refuses_nothing() {
    let site = Site::start().await;
    let mut table = Table::default();
    for (member, value) in [
        ("application_type", json!("native")),
        ("application_type", json!("web")),
        ("application_type", json!("unheard-of")),
        ("software_statement", json!("not.a.jwt")),
        ("logo_uri", json!("ftp://nowhere")),
        ("contacts", json!("not a list")),
        ("id_token_signed_response_alg", json!("none")),
        ("require_pushed_authorization_requests", json!(true)),
        ("x_vendor", json!({ "deep": [1, { "er": null }] })),
        ("scope", json!("openid email profile")),
        ("default_max_age", json!(-1)),
    ] {
        let reply = site.gateway.request(Method::POST, "/register");
        let reply = reply.with("content-type", "application/json; charset=utf-8");
        let reply = reply.body(but(member, value).to_string()).open().await;
        table.check(member, reply.status() == 201, || reply.status().to_string());
        let answer: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        table.check(
            member,
            answer.get("scope").is_none() || member != "scope",
            || answer["scope"].to_string(),
        );
    }
}
