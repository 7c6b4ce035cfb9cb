//! An access token being built.

use serde_json::{Map, Value, json};

use crate::clock::now;
use crate::encoding::base64url;
use crate::key::Key;

/// A token before it is signed: a good access token until a test changes something.
#[derive(Clone)]
pub struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    /// An RFC 9068 access token of `issuer` for `audience`, good for ten minutes.
    pub fn new(key: &Key, issuer: &str, audience: &str) -> Self {
        let header = json!({ "alg": key.algorithm(), "typ": "at+jwt", "kid": key.id });
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "alice", "client_id": "inspector",
            "scope": "tasks:read", "iat": now(), "exp": now() + 600, "jti": unique(),
        });
        Self {
            key: key.clone(),
            header: object(header),
            claims: object(claims),
        }
    }

    /// A token with exactly this header and these claims, for the layouts of real providers. Times and `kid` are added.
    pub fn exactly(key: &Key, header: Value, claims: Value) -> Self {
        let (header, claims) = (object(header), object(claims));
        let token = Self {
            key: key.clone(),
            header,
            claims,
        };
        token
            .header("alg", key.algorithm())
            .header("kid", key.id.as_str())
            .claim("iat", now())
            .claim("exp", now() + 600)
    }

    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a header parameter out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets the scopes.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets the subject.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Signs with another key, under the same key id.
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// The header as JSON text.
    pub fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The claims as JSON text.
    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The compact form.
    pub fn sign(&self) -> String {
        self.key.sign(&self.header_text(), &self.claims_text())
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(crate) fn unique() -> String {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    base64url(bytes)
}
