//! A DPoP proof being built (RFC 9449 §4.2).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::clock::now;
use crate::draft::{Draft, changes_of_a_draft, unique};
use crate::encoding::base64url;
use crate::keys::key_pair::KeyPair;

/// A proof before it is signed: a good one until a test changes something.
#[derive(Clone)]
pub struct Proof {
    pair: KeyPair,
    draft: Draft,
}

changes_of_a_draft!(Proof);

impl Proof {
    /// A proof of this key for a request of now, without a token.
    pub fn new(pair: &KeyPair, method: &str, uri: &str) -> Self {
        let header =
            json!({ "typ": "dpop+jwt", "alg": pair.algorithm(), "jwk": pair.public_jwk() });
        let claims = json!({ "jti": unique(), "htm": method, "htu": uri, "iat": now() });
        Self {
            pair: pair.clone(),
            draft: Draft::new(header, claims),
        }
    }

    /// For a request with this access token.
    pub fn token(self, token: &str) -> Self {
        let digest = digest(&SHA256, token.as_bytes());
        self.claim("ath", base64url(digest))
    }

    /// The compact form.
    pub fn sign(&self) -> String {
        let (header, claims) = (self.draft.header_text(), self.draft.claims_text());
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
