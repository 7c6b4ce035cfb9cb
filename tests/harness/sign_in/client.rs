//! An MCP client that registers itself, sends its user to the authorization server, and gets tokens.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};

use super::browser::{form, query};
use crate::client::{Call, Reply};
use crate::gateway::Gateway;
use crate::leaks;

/// The verifier of every authorization request (RFC 7636 §4.1).
pub const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";

/// Where answers go.
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
    /// What its registration was answered with.
    pub registered: Value,
}

/// Tokens that a client got.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// The whole answer.
    pub answer: Value,
}

impl Client {
    /// Registers a public client as the SDKs do.
    pub async fn register(gateway: &Gateway) -> Self {
        let metadata = json!({
            "client_name": "Tester",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        Self::register_as(gateway, &metadata).await
    }

    /// Registers a client with this metadata.
    pub async fn register_as(gateway: &Gateway, metadata: &Value) -> Self {
        let reply = gateway
            .request(Method::POST, "/register")
            .with("content-type", "application/json")
            .body(metadata.to_string())
            .send()
            .await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let registered = reply.json();
        leaks::secret(
            registered["registration_access_token"]
                .as_str()
                .expect("a token"),
        );
        let secret = registered["client_secret"].as_str().map(leaks::secret);
        Self {
            id: registered["client_id"].as_str().expect("an id").to_owned(),
            secret,
            registered,
        }
    }

    /// The path and query of an authorization request for `/mcp` with these scopes.
    pub fn authorize(&self, gateway: &Gateway, scope: &str) -> String {
        let challenge = challenge();
        let resource = gateway.uri("/mcp");
        let query = form([
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("state", "a state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
            ("scope", scope),
        ]);
        format!("/authorize?{query}")
    }

    /// The code in the redirect to the client, which must be of this gateway.
    pub fn code(&self, gateway: &Gateway, location: &str) -> String {
        assert!(location.starts_with(REDIRECT), "{location}");
        let answer = query(location);
        assert_eq!(answer["state"], "a state", "{location}");
        assert_eq!(answer["iss"], gateway.uri(""), "{location}");
        leaks::secret(answer.get("code").unwrap_or_else(|| panic!("{location}")))
    }

    /// The answer to a token request with these fields and the client's own.
    pub async fn ask(&self, gateway: &Gateway, fields: &[(&str, &str)]) -> (u16, Value) {
        self.answered(self.call(gateway, "/token", fields)).await
    }

    /// The same with another header.
    pub async fn ask_with(
        &self,
        gateway: &Gateway,
        fields: &[(&str, &str)],
        (name, value): (&str, &str),
    ) -> (u16, Value) {
        let call = self.call(gateway, "/token", fields);
        self.answered(call.with(name, value)).await
    }

    /// The same with a DPoP proof (RFC 9449 §5).
    pub async fn ask_with_proof(
        &self,
        gateway: &Gateway,
        fields: &[(&str, &str)],
        proof: &str,
    ) -> (u16, Value) {
        self.ask_with(gateway, fields, ("dpop", proof)).await
    }

    async fn answered(&self, call: Call) -> (u16, Value) {
        let reply = call.open().await;
        let (status, text) = (reply.status().as_u16(), reply.text().await.expect("text"));
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")),
        )
    }

    /// Redeems a code.
    pub async fn redeem(&self, gateway: &Gateway, code: &str) -> Tokens {
        let (status, answer) = self.ask(gateway, &redemption(code)).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::of(answer)
    }

    /// The answer to a refresh.
    pub async fn refresh(&self, gateway: &Gateway, token: &str) -> (u16, Value) {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.ask(gateway, &fields).await
    }

    /// Revokes a token.
    pub async fn revoke(&self, gateway: &Gateway, token: &str) -> u16 {
        self.call(gateway, "/revoke", &[("token", token)])
            .open()
            .await
            .status()
            .as_u16()
    }

    fn call(&self, gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Call {
        let own = [("client_id", self.id.as_str())].into_iter();
        let secret = self
            .secret
            .as_deref()
            .map(|secret| ("client_secret", secret));
        let body = form(fields.iter().copied().chain(own).chain(secret));
        gateway
            .request(Method::POST, path)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }
}

impl Tokens {
    /// The tokens of an answer. They must not appear in any log from now on.
    pub fn of(answer: Value) -> Self {
        let token = |name: &str| leaks::secret(answer[name].as_str().unwrap_or_default());
        Self {
            access: token("access_token"),
            refresh: answer["refresh_token"]
                .as_str()
                .map(leaks::secret)
                .unwrap_or_default(),
            answer,
        }
    }

    /// The claims of the access token.
    pub fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).expect("a payload");
        let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
        serde_json::from_slice(&payload).expect("JSON")
    }
}

/// The challenge of [`VERIFIER`] (RFC 7636 §4.2).
pub fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// The value of `Authorization` with which a client authenticates by `client_secret_basic` (RFC 6749 §2.3.1).
pub fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credentials = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", STANDARD.encode(credentials))
}

/// The fields of a token request for a code.
pub fn redemption(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ]
}

/// A call of a tool with an access token.
pub async fn call(gateway: &Gateway, token: &str) -> Reply {
    let call: Call = gateway.post(crate::client::tool(1, "list_tasks"));
    call.token(token).send().await
}
