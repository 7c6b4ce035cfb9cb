//! An access token being built.

use serde_json::{Value, json};

use crate::clock::now;
use crate::draft::{Draft, changes_of_a_draft, unique};
use crate::keys::key::Key;

/// A token before it is signed: a good access token until a test changes something.
#[derive(Clone)]
pub struct Token {
    key: Key,
    draft: Draft,
}

changes_of_a_draft!(Token);

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
            draft: Draft::new(header, claims),
        }
    }

    /// A token with exactly this header and these claims, for the layouts of real providers. Times and `kid` are added.
    pub fn exactly(key: &Key, header: Value, claims: Value) -> Self {
        let token = Self {
            key: key.clone(),
            draft: Draft::new(header, claims),
        };
        token
            .header("alg", key.algorithm())
            .header("kid", key.id.as_str())
            .claim("iat", now())
            .claim("exp", now() + 600)
    }

    /// Leaves a header parameter out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.draft.header.remove(name);
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
        self.draft.header_text()
    }

    /// The claims as JSON text.
    pub fn claims_text(&self) -> String {
        self.draft.claims_text()
    }

    /// The compact form.
    pub fn sign(&self) -> String {
        self.key.sign(&self.header_text(), &self.claims_text())
    }
}
