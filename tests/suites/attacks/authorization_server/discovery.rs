//! Number 138 and the incidents with discovery: whose answers they are, what is announced, and the shape of answers.

use e2e::client::Reply;
use e2e::sign_in::browser::query;
use e2e::sign_in::client::{Client, REDIRECT};
use e2e::world::Table;
use http::Method;
use serde_json::{Value, json};

use super::site::{Site, answer_at, claims, program, refused};

const DOCUMENTS: [&str; 2] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

#[tokio::test]
async fn attack_138_every_answer_names_the_issuer() {
    let mut site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    for path in DOCUMENTS {
        let document = site.gateway.get(path).send().await.json();
        let announced = &document["authorization_response_iss_parameter_supported"];
        table.check(
            path,
            *announced == true && document["issuer"] == issuer,
            || document.to_string(),
        );
    }
    let client = Client::register(&site.gateway).await;
    let consent = site.person.open(&site.request(&client.id, &[])).await;
    let (allowed, denied) = (
        site.person.allow(&consent).await,
        site.person.decide(&consent, "deny").await,
    );
    let mut locations = vec![("allowed", allowed), ("denied", denied)];
    for (name, changes) in [
        ("type", [("response_type", Some("token"))]),
        ("PKCE", [("code_challenge", None)]),
        ("resource", [("resource", Some("https://other.example"))]),
        ("silent", [("prompt", Some("none"))]),
        ("mode", [("response_mode", Some("fragment"))]),
        ("no state", [("state", None)]),
    ] {
        let mut reply = site.person.open(&site.request(&client.id, &changes)).await;
        if name == "no state" {
            reply = site.person.submit(&reply, &[("decision", "allow")]).await;
        }
        locations.push((name, reply.header("location").to_owned()));
    }
    for (name, location) in &locations {
        if let Some(answer) = table.row(name, answer_at(location, REDIRECT, &issuer)) {
            let has_state = answer.contains_key("state");
            table.check(name, has_state == (*name != "no state"), || {
                location.clone()
            });
        }
    }
    // A token names the same one.
    let tokens = site.tokens(&client, "tasks:read").await;
    assert_eq!(claims(&tokens.access)["iss"], issuer);
}

#[tokio::test]
async fn attack_211_the_issuer_is_the_configured_one_whatever_host_was_asked() {
    let alias = "alias.example";
    let mut site = Site::with(|config| config.set("/hosts", json!([alias]))).await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let client = Client::register(&site.gateway).await;
    let url = site.request(&client.id, &[]);
    let hits = site.upstream.hits();
    for (host, statuses) in [(alias, [404, 404]), ("evil.example", [403, 403])] {
        for (path, status) in [
            (DOCUMENTS[0], statuses[0]),
            (DOCUMENTS[1], statuses[0]),
            (&url, statuses[1]),
            ("/jwks.json", statuses[0]),
        ] {
            let reply = site.gateway.get(path).with("host", host).send().await;
            let is_own = reply.text().contains("authorization_endpoint");
            table.check(host, reply.status == status && !is_own, || {
                format!("{path}: {} {}", reply.status, reply.text())
            });
        }
    }
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-host", "evil.example"),
        ("x-forwarded-prefix", "/evil"),
    ] {
        let reply = site
            .gateway
            .get(DOCUMENTS[0])
            .with(name, value)
            .send()
            .await;
        let document = reply.json();
        let endpoints = [
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "registration_endpoint",
        ];
        let own = endpoints.iter().all(|member| {
            document[*member]
                .as_str()
                .is_some_and(|url| url.starts_with(&issuer))
        });
        table.check(name, own && !reply.text().contains("evil"), || {
            document.to_string()
        });
        let error = site.request(&client.id, &[("response_type", Some("token"))]);
        let reply = site.gateway.get(&error).with(name, value).send().await;
        table.row(name, answer_at(reply.header("location"), REDIRECT, &issuer));
    }
    assert_eq!(site.upstream.hits(), hits);
    let code = site.code(&client.id, &[]).await;
    let tokens = client.redeem(&site.gateway, &code).await;
    assert_eq!(claims(&tokens.access)["iss"], issuer);
}

#[tokio::test]
async fn attack_215_discovery_documents_have_what_the_sdks_require_where_they_look() {
    let site = Site::start().await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let mut seen = Vec::new();
    for path in DOCUMENTS {
        let reply = site.gateway.get(path).send().await;
        let document = reply.json();
        table.check(
            path,
            reply.status == 200 && reply.header("content-type") == "application/json",
            || reply.text(),
        );
        for member in [
            "authorization_endpoint",
            "token_endpoint",
            "registration_endpoint",
            "jwks_uri",
            "revocation_endpoint",
        ] {
            let url = document[member].as_str().unwrap_or_default();
            table.check(path, url.starts_with(&format!("{issuer}/")), || {
                format!("{member}: {url}")
            });
        }
        for (member, expected) in [
            ("issuer", json!(issuer)),
            ("response_types_supported", json!(["code"])),
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["ES256"])),
            ("code_challenge_methods_supported", json!(["S256"])),
            ("client_id_metadata_document_supported", json!(true)),
            (
                "authorization_response_iss_parameter_supported",
                json!(true),
            ),
            ("protected_resources", json!([site.gateway.uri("/mcp")])),
        ] {
            table.check(path, document[member] == expected, || {
                format!("{member}: {}", document[member])
            });
        }
        table.check(
            path,
            !document["scopes_supported"].to_string().contains("openid"),
            || document.to_string(),
        );
        let nulls = document
            .as_object()
            .unwrap()
            .iter()
            .find(|(_, value)| value.is_null());
        table.check(path, nulls.is_none(), || format!("{nulls:?}"));
        seen.push(document);
    }
    assert_eq!(seen[0], seen[1]);
    // Clients try other places first, and go on when these are not there.
    for path in [
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/mcp/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/",
        "/.well-known/openid-configuration/",
    ] {
        let reply = site.gateway.get(path).send().await;
        table.check(path, reply.status == 404, || {
            format!("{} {}", reply.status, reply.text())
        });
    }
    assert_eq!(site.upstream.hits(), 0);
    // What the resource says leads here.
    let resource = site
        .gateway
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await
        .json();
    assert_eq!(resource["authorization_servers"], json!([issuer]));
    let keys = site.gateway.get("/jwks.json").send().await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    for key in keys.json()["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "k"] {
            assert!(key.get(private).is_none(), "a private key is published");
        }
    }
}

#[tokio::test]
async fn attack_216_every_method_that_clients_look_for_is_announced() {
    let site = Site::start().await;
    let document = site.gateway.get(DOCUMENTS[0]).send().await.json();
    let methods = json!([
        "none",
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt"
    ]);
    for endpoint in ["token", "revocation"] {
        assert_eq!(
            document[format!("{endpoint}_endpoint_auth_methods_supported")],
            methods
        );
        let algorithms =
            &document[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        let algorithms: Vec<_> = algorithms
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(
            algorithms.contains(&"RS256") && algorithms.contains(&"ES256"),
            "{algorithms:?}"
        );
        assert!(
            !algorithms
                .iter()
                .any(|name| name.starts_with("HS") || *name == "none"),
            "{algorithms:?}"
        );
    }
    assert_eq!(
        document["grant_types_supported"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(document["request_uri_parameter_supported"], false);
    // What is announced works: each of them registers.
    let jwks = json!({ "keys": [test_support::Key::rsa("r").jwk()] });
    for method in methods.as_array().unwrap() {
        let metadata = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": method, "jwks": jwks });
        Client::register_as(&site.gateway, &metadata).await;
    }
}

#[tokio::test]
async fn attack_230_programs_in_a_browser_reach_the_endpoints_for_programs_and_no_others() {
    let site = Site::start().await;
    let mut table = Table::default();
    let origin = "https://inspector.example";
    let asks = async |method: &str, path: &str, wanted: &str| -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let call = site.gateway.request(method, path).with("origin", origin);
        let call = match wanted {
            "" => call,
            wanted => call.with("access-control-request-method", wanted).with(
                "access-control-request-headers",
                "content-type, authorization, mcp-protocol-version",
            ),
        };
        call.send().await
    };
    for (path, method) in [
        ("/token", "POST"),
        ("/register", "POST"),
        ("/revoke", "POST"),
        ("/register/AAAAAAAAAAAAAAAAAAAAAA", "DELETE"),
        (DOCUMENTS[0], "GET"),
        (DOCUMENTS[1], "GET"),
        ("/jwks.json", "GET"),
    ] {
        let preflight = asks("OPTIONS", path, method).await;
        let headers = preflight
            .header("access-control-allow-headers")
            .to_ascii_lowercase();
        let allows = preflight
            .header("access-control-allow-methods")
            .contains(method)
            && ["content-type", "authorization", "mcp-protocol-version"]
                .iter()
                .all(|name| headers.contains(name));
        table.check(path, preflight.status == 204 && allows, || {
            format!("{:?}", preflight.headers)
        });
        let real = asks(method, path, "").await;
        for reply in [&preflight, &real] {
            let found = (
                reply.header("access-control-allow-origin"),
                reply.header("access-control-allow-credentials"),
            );
            table.check(path, found == ("*", ""), || {
                format!("{} {found:?}", reply.status)
            });
        }
    }
    for path in [
        "/authorize",
        "/sign-in",
        "/consent",
        "/sign-out",
        "/introspect",
        "/oauth.css",
    ] {
        for (method, wanted) in [("OPTIONS", "POST"), ("GET", ""), ("POST", "")] {
            let reply = asks(method, path, wanted).await;
            let found = reply.header("access-control-allow-origin");
            table.check(path, found.is_empty(), || {
                format!("{method}: {} {found}", reply.status)
            });
        }
    }
}

#[tokio::test]
async fn attack_231_errors_of_the_endpoints_for_programs_have_the_shape_that_clients_read() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    let code = site.code(&client.id, &[]).await;
    let form = "application/x-www-form-urlencoded";
    let large = format!("grant_type={}", "x".repeat(70_000));
    let many = (0..70)
        .map(|number| format!("p{number}=1"))
        .collect::<Vec<_>>()
        .join("&");
    for path in ["/token", "/revoke"] {
        for (name, kind, body, status, error) in [
            (
                "JSON",
                "application/json",
                "{\"grant_type\":\"refresh_token\"}",
                400,
                "invalid_request",
            ),
            (
                "no type",
                "",
                "grant_type=refresh_token",
                400,
                "invalid_request",
            ),
            ("empty", form, "", 400, "invalid_request"),
            ("broken", form, "grant_type=%zz", 400, "invalid_request"),
            ("not UTF-8", form, "grant_type=%ff", 400, "invalid_request"),
            (
                "a control character",
                form,
                "grant_type=%00",
                400,
                "invalid_request",
            ),
            (
                "twice",
                form,
                "client_id=a&client_id=a",
                400,
                "invalid_request",
            ),
            ("too many", form, many.as_str(), 400, "invalid_request"),
            (
                "nobody",
                form,
                "client_id=nobody&grant_type=refresh_token",
                401,
                "invalid_client",
            ),
        ] {
            let call = site
                .gateway
                .request(Method::POST, path)
                .body(body.to_owned());
            let call = if kind.is_empty() {
                call
            } else {
                call.with("content-type", kind)
            };
            let reply = call.send().await;
            let outcome = program(&reply).and_then(|answer| refused(&answer, status, error));
            table.row(&format!("{path} {name}"), outcome);
            table.check(name, reply.header("pragma") == "no-cache", || {
                format!("{:?}", reply.headers)
            });
        }
        let call = site
            .gateway
            .request(Method::POST, path)
            .with("content-type", form);
        let reply = call.body(large.clone()).send().await;
        table.check(path, reply.status == 413, || reply.text());
        let encoded = site
            .form(path, &[("client_id", &client.id)], "")
            .with("content-encoding", "gzip");
        let reply = encoded.send().await;
        table.check(path, matches!(reply.status, 400 | 415), || reply.text());
        for method in [Method::GET, Method::PUT] {
            let reply = site.gateway.request(method.clone(), path).send().await;
            table.check(
                path,
                (reply.status, reply.header("allow")) == (405, "POST, OPTIONS"),
                || format!("{method}: {} {:?}", reply.status, reply.headers),
            );
        }
    }
    // A code that is not accepted is `invalid_grant`, a client `invalid_client`: clients do different things then.
    let answer = client
        .ask(
            &site.gateway,
            &[("grant_type", "authorization_code"), ("code", "x")],
        )
        .await;
    table.row("code", refused(&answer, 400, "invalid_grant"));
    client.redeem(&site.gateway, &code).await;
    // Errors of the authorization endpoint are in the query of the redirect, with words that RFC 6749 allows.
    let reply = site
        .person
        .open(&site.request(&client.id, &[("response_type", Some("é\""))]))
        .await;
    let answer = query(reply.header("location"));
    let is_allowed = answer["error_description"]
        .bytes()
        .all(|byte| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\');
    table.check("description", is_allowed, || format!("{answer:?}"));
}
