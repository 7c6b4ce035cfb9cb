//! The claims of an assertion.

use serde_json::{Map, Value, json};

use super::window::Window;
use crate::principal::Principal;

/// The `typ` of an assertion (RFC 8725 §3.11).
pub const TYPE: &str = "mcp-assertion+jwt";

/// The claim with the issuer of the caller's token. A subject is unique together with it alone; `iss` is the gateway.
pub const TOKEN_ISSUER: &str = "token_iss";

/// What an assertion says.
#[derive(Clone, Copy, Debug)]
pub struct AssertionClaims<'a> {
    /// The gateway (`iss`).
    pub issuer: &'a str,
    /// The upstream (`aud`).
    pub audience: &'a str,
    /// The caller: `sub`, [`TOKEN_ISSUER`], `client_id` (RFC 8693 §4.3) and `scope` (RFC 8693 §4.2).
    pub principal: &'a Principal,
    /// `iat` and `exp`.
    pub window: Window,
}

impl AssertionClaims<'_> {
    /// The claims as JSON. A caller without a client has no `client_id`, one without scopes no `scope`.
    pub fn to_json(&self) -> String {
        let Principal {
            issuer,
            subject,
            client,
            scopes,
        } = self.principal;
        let mut claims = Map::new();
        let mut add = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        add("iss", json!(self.issuer));
        add("aud", json!(self.audience));
        add("sub", json!(subject));
        add(TOKEN_ISSUER, json!(issuer));
        if let Some(client) = client {
            add("client_id", json!(client));
        }
        if !scopes.is_empty() {
            add("scope", json!(scopes.to_string()));
        }
        add("iat", json!(self.window.issued.secs()));
        add("exp", json!(self.window.expires.secs()));
        Value::Object(claims).to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{scope::ScopeSet, time::UnixTime};

    fn claims(client: Option<&str>, scopes: &str) -> Value {
        let principal = Principal {
            issuer: "https://login.example.com/".into(),
            subject: "a\"b\nc".into(),
            client: client.map(Into::into),
            scopes: ScopeSet::parse(scopes).unwrap(),
        };
        let claims = AssertionClaims {
            issuer: "https://mcp.example.com",
            audience: "http://127.0.0.1:9000/mcp",
            principal: &principal,
            window: Window::new(UnixTime::new(100), Duration::from_secs(60), None),
        };
        serde_json::from_str(&claims.to_json()).unwrap()
    }

    #[test]
    fn the_caller_its_client_and_its_scopes_are_named_apart_from_the_gateway() {
        let expected = json!({
            "iss": "https://mcp.example.com",
            "aud": "http://127.0.0.1:9000/mcp",
            "sub": "a\"b\nc",
            "token_iss": "https://login.example.com/",
            "client_id": "inspector",
            "scope": "a b",
            "iat": 100,
            "exp": 160,
        });
        assert_eq!(claims(Some("inspector"), "b a"), expected);
    }

    #[test]
    fn what_the_caller_does_not_have_is_left_out() {
        let found = claims(None, "");
        assert!(found.get("client_id").is_none() && found.get("scope").is_none());
        assert_eq!(found.as_object().unwrap().len(), 6);
    }
}
