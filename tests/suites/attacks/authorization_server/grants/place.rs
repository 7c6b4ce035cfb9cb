//! What these tests share: a gateway that trusts a company's provider and a place where builds run, and tokens of both.

use std::os::unix::fs::PermissionsExt;

use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::leaks;
use e2e::sign_in::browser::form;
use e2e::sign_in::client::{REDIRECT, call};
use e2e::upstream::Upstream;
use http::Method;
use serde_json::{Value, json};
use test_support::{Key, Token, key_set, now};

use super::super::site::{ALL_SCOPES, base, basic, claims};

pub(super) const IDP: &str = "https://login.corp.example";
pub(super) const BUILDS: &str = "https://builds.example";

pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The secret of every client that has one.
pub(super) const SECRET: &str = "a-secret-of-the-clients-here";

/// A running gateway, and the keys of the issuers that it trusts.
pub(super) struct Place {
    pub(super) gateway: Gateway,
    pub(super) upstream: Upstream,
    pub(super) idp: Key,
    pub(super) builds: Key,
}

impl Place {
    pub(super) async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// With changes to the configuration.
    pub(super) async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        leaks::secret(SECRET);
        let (idp, builds) = (Key::es256("corp"), Key::rsa("builds"));
        let upstream = Upstream::start().await;
        let config = trusting(base(&upstream).await, &idp, &builds);
        let gateway = Gateway::start(change(config)).await;
        Self {
            gateway,
            upstream,
            idp,
            builds,
        }
    }

    /// An identity assertion for the client `console`.
    pub(super) fn id_jag(&self, jti: &str) -> Token {
        id_jag(&self.idp, IDP, &self.gateway, jti)
    }

    /// What a build of the repository `acme/app` presents.
    pub(super) fn build(&self) -> Token {
        let header = json!({ "typ": "JWT" });
        let claims = json!({
            "iss": BUILDS, "sub": "repo:acme/app:ref:refs/heads/main", "aud": "mcp", "jti": "b",
            "repository": "acme/app", "repository_owner": "acme", "ref": "refs/heads/main",
        });
        Token::exactly(&self.builds, header, claims)
    }

    /// An access token of the provider for the client `backend`.
    pub(super) fn foreign(&self) -> Token {
        let header = json!({ "typ": "at+jwt" });
        let claims = json!({
            "iss": IDP, "sub": "U1", "aud": "api://backend", "client_id": "app", "scope": ALL_SCOPES,
        });
        Token::exactly(&self.idp, header, claims)
    }

    /// The answer to a token request, which may hold tokens.
    pub(super) async fn ask(&self, fields: &[(&str, &str)], authorization: &str) -> (u16, Value) {
        post(&self.gateway, "/token", fields, authorization).await
    }

    /// Presents an identity assertion as the client `console`, with these fields more.
    pub(super) async fn present(&self, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
        self.ask(
            &with(JWT_BEARER, ("assertion", token), more),
            &as_client("console"),
        )
        .await
    }

    /// Presents a token of a workload, with these fields more.
    pub(super) async fn work(&self, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
        self.ask(&with(JWT_BEARER, ("assertion", token), more), "")
            .await
    }

    /// Exchanges an access token as the client `backend`, with these fields more.
    pub(super) async fn exchange(&self, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let mut fields = with(EXCHANGE, ("subject_token", token), more);
        if !more.iter().any(|(name, _)| *name == "subject_token_type") {
            fields.push(("subject_token_type", ACCESS_TOKEN));
        }
        self.ask(&fields, &as_client("backend")).await
    }

    /// An access token of the machine `robot`.
    pub(super) async fn robot(&self) -> String {
        let fields = [("grant_type", "client_credentials")];
        let (status, answer) = self.ask(&fields, &as_client("robot")).await;
        assert_eq!(status, 200, "{answer}");
        access(&answer)
    }
}

/// Fields of a token request of this grant type.
fn with<'a>(
    grant: &'a str,
    token: (&'a str, &'a str),
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let own = [("grant_type", grant), token];
    own.into_iter().chain(more.iter().copied()).collect()
}

/// An identity assertion that this issuer makes for the client `console` of this gateway.
pub(super) fn id_jag(key: &Key, issuer: &str, gateway: &Gateway, jti: &str) -> Token {
    let header = json!({ "typ": "oauth-id-jag+jwt" });
    let claims = json!({
        "iss": issuer, "sub": "U1", "aud": gateway.uri(""), "client_id": "console",
        "resource": gateway.uri("/mcp"), "scope": ALL_SCOPES, "jti": jti,
    });
    Token::exactly(key, header, claims).claim("exp", now() + 290)
}

/// The answer to a form that is posted.
pub(super) async fn post(
    gateway: &Gateway,
    path: &str,
    fields: &[(&str, &str)],
    authorization: &str,
) -> (u16, Value) {
    let call = gateway
        .request(Method::POST, path)
        .with("content-type", "application/x-www-form-urlencoded")
        .body(form(fields.iter().copied()));
    let call = match authorization {
        "" => call,
        _ => call.with("authorization", authorization),
    };
    let answer = call.open().await;
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let answer = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}")),
    };
    (status, answer)
}

/// How a client of the configuration authenticates.
pub(super) fn as_client(id: &str) -> String {
    basic(id, SECRET)
}

/// The access token of an answer.
pub(super) fn access(answer: &Value) -> String {
    let token = answer["access_token"].as_str();
    leaks::secret(token.unwrap_or_else(|| panic!("{answer}")))
}

/// Fails unless the answer has an access token of this subject and client, with these scopes, that the resource serves; and no
/// refresh token.
pub(super) async fn served(
    gateway: &Gateway,
    (status, answer): &(u16, Value),
    (subject, client, scope): (&str, &str, &str),
) -> Result<(), String> {
    if *status != 200 || answer.get("refresh_token").is_some() {
        return Err(format!("{status} {}", answer["error"]));
    }
    let token = access(answer);
    let claims = claims(&token);
    let found = ["sub", "client_id", "scope", "aud"].map(|name| claims[name].clone());
    let expected = [
        json!(subject),
        json!(client),
        json!(scope),
        json!(gateway.uri("/mcp")),
    ];
    let status = call(gateway, &token).await.status;
    match found == expected && status == 200 {
        true => Ok(()),
        false => Err(format!("{found:?}, served with {status}")),
    }
}

fn trusting(config: Config, idp: &Key, builds: &Key) -> Config {
    let keys = |name: &str, key: &Key| config.write(name, key_set(&[key]).to_string());
    let (idp, builds) = (keys("corp.json", idp), keys("builds.json", builds));
    let secret = config.write("clients.secret", format!("{SECRET}\n"));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let confidential = |id: &str, grant_types: Value| {
        json!({
            "id": id, "method": "client_secret_basic", "secret_file": secret,
            "grant_types": grant_types, "scopes": ["tasks:read", "tasks:write"],
        })
    };
    let person = |id: &str| {
        let mut client = confidential(id, json!(["authorization_code", "refresh_token"]));
        client["redirect_uris"] = json!(REDIRECT);
        client
    };
    let clients = json!([
        person("console"),
        person("other"),
        { "id": "open", "redirect_uris": REDIRECT },
        confidential("robot", json!("client_credentials")),
        confidential("backend", json!("token-exchange")),
        { "id": "deploy", "grant_types": "jwt-bearer", "scopes": "tasks:read" },
        { "id": "report", "grant_types": "jwt-bearer", "scopes": "tasks:write" },
    ]);
    let rule = |audience: &str, client: &str| json!({ "audience": audience, "claims": { "repository": "acme/app" }, "client": client });
    let mut branch = rule("mcp", "deploy");
    branch["condition"] = json!(r#"claims.ref == "refs/heads/main""#);
    config
        .set("/authorization_server/clients", clients)
        .set(
            "/authorization_server/trusted_issuers/corp",
            json!({
                "issuer": IDP, "jwks_file": idp,
                "id_jag": {}, "exchange": { "audiences": "api://backend" },
            }),
        )
        .set(
            "/authorization_server/trusted_issuers/builds",
            json!({
                "issuer": BUILDS, "jwks_file": builds,
                "workloads": [branch, rule("both", "deploy"), rule("both", "report")],
            }),
        )
}
