//! What a client that knows the URL alone finds: the challenge, the metadata of the resource, and that of its authorization server.

use http::Method;
use serde_json::Value;

use crate::client::{Call, initialize};

/// What was found.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The metadata of the resource (RFC 9728).
    pub resource: Value,
    /// The metadata of the authorization server (RFC 8414).
    pub server: Value,
}

impl Discovered {
    /// Looks for everything, beginning with a request without a token to the MCP server at `url`. The document of OpenID Connect
    /// must be the same as that of RFC 8414: some clients read the one, some the other.
    pub async fn at(http: &reqwest::Client, url: &str) -> Self {
        let refused = Call::post(http, url.to_owned(), initialize()).send().await;
        assert_eq!(refused.status, 401, "{}", refused.text());
        let resource = get(http, &parameter(refused.challenge(), "resource_metadata")).await;
        assert_eq!(resource["resource"], url, "some clients compare strictly");
        let issuer = text(&resource["authorization_servers"][0]);
        let server = get(
            http,
            &format!("{issuer}/.well-known/oauth-authorization-server"),
        )
        .await;
        let openid = get(http, &format!("{issuer}/.well-known/openid-configuration")).await;
        assert_eq!(server, openid);
        assert_eq!(server["issuer"], issuer);
        Self { resource, server }
    }

    /// The issuer.
    pub fn issuer(&self) -> String {
        text(&self.server["issuer"])
    }

    /// The URL of an endpoint by its name in the metadata, such as `token_endpoint`.
    pub fn endpoint(&self, name: &str) -> String {
        text(&self.server[name])
    }

    /// Whether a list of the server's metadata has this value.
    pub fn announces(&self, list: &str, value: &str) -> bool {
        let list = self.server[list].as_array();
        list.is_some_and(|list| list.iter().any(|one| one == value))
    }
}

/// The scopes of `scopes_supported`, with blanks between them.
pub fn scopes(metadata: &Value) -> String {
    let scopes = metadata["scopes_supported"].as_array().expect("scopes");
    let scopes: Vec<_> = scopes.iter().map(text).collect();
    scopes.join(" ")
}

async fn get(http: &reqwest::Client, url: &str) -> Value {
    let reply = Call::new(http, Method::GET, url.to_owned()).send().await;
    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
    assert_eq!(reply.header("access-control-allow-origin"), "*", "{url}");
    reply.json()
}

fn parameter(challenge: &str, name: &str) -> String {
    let found = challenge.split_once(&format!("{name}=\""));
    let (_, rest) = found.unwrap_or_else(|| panic!("{name} is missing: {challenge}"));
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is not a text"))
        .to_owned()
}
