//! How we authenticate at a provider with a key (RFC 7523 §2.2, `private_key_jwt`).

use std::time::Duration;

use mcp_gateway_core::time::UnixTime;
use serde_json::{Value, json};

use crate::{
    id::Id,
    keys::signing_key::{SigningKey, SigningKeyError},
    secret::Secret,
};

/// The `client_assertion_type` (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is valid.
const LIFETIME: Duration = Duration::from_secs(60);

/// How far the provider's clock may be behind.
const CLOCK_SKEW: Duration = Duration::from_secs(10);

/// A key with which we authenticate.
#[derive(Debug)]
pub struct ClientKey {
    /// The key.
    pub key: SigningKey,
    /// How the provider names it (`kid`); its thumbprint by default.
    pub id: Option<String>,
    /// The digest of its certificate (`x5t#S256`, RFC 7515 §4.1.8), by which Entra finds the key.
    pub certificate: Option<String>,
}

impl ClientKey {
    /// An assertion that we are this client, for this token endpoint. `id` is random.
    ///
    /// # Errors
    /// The key did not sign.
    pub fn assertion(
        &self,
        client_id: &str,
        token_endpoint: &str,
        id: Id,
        now: UnixTime,
    ) -> Result<Secret, SigningKeyError> {
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": token_endpoint,
            "jti": id.to_string(),
            "iat": now.minus(CLOCK_SKEW).secs(),
            "nbf": now.minus(CLOCK_SKEW).secs(),
            "exp": now.plus(LIFETIME).secs(),
        });
        self.key
            .sign_with(&self.header(), claims.to_string().as_bytes())
    }

    fn header(&self) -> Value {
        let id = self.id.as_deref().unwrap_or_else(|| self.key.id());
        let algorithm = self.key.algorithm().name();
        match (&self.certificate, &self.id) {
            (None, _) => json!({ "alg": algorithm, "typ": "JWT", "kid": id }),
            (Some(digest), None) => json!({ "alg": algorithm, "typ": "JWT", "x5t#S256": digest }),
            (Some(digest), Some(_)) => {
                json!({ "alg": algorithm, "typ": "JWT", "kid": id, "x5t#S256": digest })
            }
        }
    }
}
