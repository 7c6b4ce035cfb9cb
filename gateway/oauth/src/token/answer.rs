//! What a successful token request is answered with (RFC 6749 §5.1).

use http::{HeaderName, HeaderValue};
use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::Serialize;
use serde_json::json;

use super::{error::no_store, issued::Issued};
use crate::secret::Secret;

/// The type of an access token (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The answer. `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    access_token: Secret,
    token_type: &'static str,
    expires_in: u64,
    scope: ScopeSet,
    refresh_token: Option<Secret>,
    issued_token_type: Option<&'static str>,
}

#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

impl TokenAnswer {
    /// The answer of what was issued, with the signed access token.
    pub fn new(access_token: Secret, issued: &Issued, now: UnixTime) -> Self {
        Self {
            access_token,
            token_type: issued.claims.token_type(),
            expires_in: issued.claims.exp.0.since(now).as_secs(),
            scope: issued.claims.scope.0.clone(),
            refresh_token: issued.refresh_token.clone(),
            issued_token_type: None,
        }
    }

    /// The answer to a token exchange: it says what kind of token was issued (RFC 8693 §2.2.1).
    #[must_use]
    pub const fn of_exchange(mut self) -> Self {
        self.issued_token_type = Some(ACCESS_TOKEN_TYPE);
        self
    }

    /// Its body, a JSON document. `scope` is always there, unless it is empty: clients compare it with what they asked for.
    pub fn body(&self) -> Secret {
        let scope = (!self.scope.is_empty()).then(|| self.scope.to_string());
        let body = Body {
            access_token: self.access_token.expose(),
            token_type: self.token_type,
            expires_in: self.expires_in,
            scope,
            refresh_token: self.refresh_token.as_ref().map(Secret::expose),
            issued_token_type: self.issued_token_type,
        };
        Secret::new(json!(body).to_string())
    }

    /// Its headers: it is not stored.
    pub const fn headers() -> [(HeaderName, HeaderValue); 3] {
        no_store()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{
        client_credentials::{self, MachineRequest},
        testing::{NOW, keys, machine, server},
    };
    use super::*;
    use crate::{id::Id, proof_key::ProofKey};

    #[test]
    fn an_answer_has_the_members_of_the_standard() {
        let client = machine("robot", "read write");
        let request = MachineRequest {
            client: &client,
            scope: None,
            resource: None,
            id: Id::new([1; 16]),
        };
        let mut issued = client_credentials::issue(&keys(), &server(), &request, NOW).unwrap();
        let answer = |issued: &Issued| {
            let answer = TokenAnswer::new(Secret::new("a.b.c"), issued, NOW);
            assert!(!format!("{answer:?}").contains("a.b.c"));
            serde_json::from_str::<Value>(answer.body().expose()).unwrap()
        };
        assert_eq!(
            answer(&issued),
            json!({ "access_token": "a.b.c", "token_type": "Bearer", "expires_in": 900, "scope": "read write" })
        );
        issued.refresh_token = Some(Secret::new("r"));
        issued.claims.scope.0 = ScopeSet::default();
        assert_eq!(
            answer(&issued),
            json!({ "access_token": "a.b.c", "token_type": "Bearer", "expires_in": 900, "refresh_token": "r" })
        );
        let exchanged = TokenAnswer::new(Secret::new("a.b.c"), &issued, NOW).of_exchange();
        let body: Value = serde_json::from_str(exchanged.body().expose()).unwrap();
        assert_eq!(body["issued_token_type"], ACCESS_TOKEN_TYPE);
        let bound = issued.bound_to(&keys(), Some(&ProofKey::new(&[1; 32])));
        assert_eq!(answer(&bound)["token_type"], "DPoP");
        let headers = TokenAnswer::headers().map(|(name, value)| format!("{name}: {value:?}"));
        assert_eq!(headers[1], r#"cache-control: "no-store""#);
    }
}
