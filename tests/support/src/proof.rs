//! A DPoP proof being built (RFC 9449 §4.2).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::clock::now;
use crate::encoding::base64url;
use crate::key_pair::KeyPair;
use crate::token::unique;

/// A proof before it is signed: a good one until a test changes something.
#[derive(Clone)]
pub struct Proof {
    pair: KeyPair,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Proof {
    /// A proof of this key for a request of now, without a token.
    pub fn new(pair: &KeyPair, method: &str, uri: &str) -> Self {
        let header =
            json!({ "typ": "dpop+jwt", "alg": pair.algorithm(), "jwk": pair.public_jwk() });
        let claims = json!({ "jti": unique(), "htm": method, "htu": uri, "iat": now() });
        Self {
            pair: pair.clone(),
            header: object(header),
            claims: object(claims),
        }
    }

    /// For a request with this access token.
    pub fn token(self, token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        self.claim("ath", base64url(digest))
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

    /// The compact form.
    pub fn sign(&self) -> String {
        let text = |members: &Map<String, Value>| Value::Object(members.clone()).to_string();
        let (header, claims) = (text(&self.header), text(&self.claims));
        self.pair.token(self.pair.algorithm(), &header, &claims)
    }
}

impl KeyPair {
    /// The public key as proofs have it: without an id.
    pub fn public_jwk(&self) -> Value {
        self.jwk_with("", json!({ "kid": null }))
    }

    /// The thumbprint of the public key in base64url (RFC 7638 §3), as `cnf.jkt` has it.
    pub fn thumbprint(&self) -> String {
        let key = self.public_jwk();
        let members: Vec<String> = ["crv", "e", "kty", "n", "x", "y"]
            .into_iter()
            .filter_map(|member| Some(format!("\"{member}\":{}", key.get(member)?)))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        base64url(digest(&SHA256, text.as_bytes()))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
