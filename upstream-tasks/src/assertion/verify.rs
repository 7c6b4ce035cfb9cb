//! What an assertion must be: of its own type, signed with a known key by an algorithm of that key, for this server, not expired.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::Jwk};
use serde::Deserialize;

use crate::identity::Caller;

/// The type of an assertion.
const TYPE: &str = "mcp-assertion+jwt";
/// The algorithms that the gateway signs with.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];
/// How far the clocks of gateway and server may differ, in seconds.
const LEEWAY: u64 = 5;

/// Why a call has no valid assertion. Shows nothing of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum AssertionError {
    #[error("the header is missing")]
    Missing,
    #[error("the header is repeated")]
    Repeated,
    #[error("it is not a JWT with a key id, signed with ES256 or EdDSA")]
    Malformed,
    #[error("it is a JWT of another type")]
    OtherType,
    #[error("its key is unknown")]
    UnknownKey,
    #[error("{0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
}

/// What is read before the signature is verified.
#[derive(Debug)]
pub(super) struct AssertionHeader {
    pub(super) kid: String,
    algorithm: Algorithm,
}

/// Reads the header.
pub(super) fn header(token: &str) -> Result<AssertionHeader, AssertionError> {
    let header = decode_header(token).map_err(|_| AssertionError::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(AssertionError::Malformed);
    }
    if header.typ.as_deref() != Some(TYPE) {
        return Err(AssertionError::OtherType);
    }
    Ok(AssertionHeader {
        kid: header.kid.ok_or(AssertionError::Malformed)?,
        algorithm: header.alg,
    })
}

/// What an assertion must say.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) audience: String,
    pub(super) issuer: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    token_iss: String,
    client_id: Option<String>,
    scope: Option<String>,
}

impl Expected {
    /// The caller that an assertion names.
    pub(super) fn verify(
        &self,
        token: &str,
        header: &AssertionHeader,
        key: &Jwk,
    ) -> Result<Caller, AssertionError> {
        let mut validation = Validation::new(header.algorithm);
        validation.leeway = LEEWAY;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[&self.audience]);
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
        }
        let verified = decode::<Claims>(token, &DecodingKey::from_jwk(key)?, &validation)?;
        let Claims {
            sub,
            token_iss,
            client_id,
            scope,
        } = verified.claims;
        Ok(Caller::new(sub, token_iss, client_id, scope))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use test_support::{Key, Token, now};

    use super::*;

    const ISSUER: &str = "https://mcp.example.com";
    const AUDIENCE: &str = "http://127.0.0.1:9000/mcp";

    fn assertion(key: &Key) -> Token {
        Token::new(key, ISSUER, AUDIENCE)
            .header("typ", TYPE)
            .claim("token_iss", "https://login.example.com/")
            .claim("exp", now() + 60)
    }

    fn verify(token: &str, key: &Key) -> Result<Caller, AssertionError> {
        let key: Jwk = serde_json::from_value(key.jwk()).unwrap();
        let expected = Expected {
            audience: AUDIENCE.to_owned(),
            issuer: Some(ISSUER.to_owned()),
        };
        expected.verify(token, &header(token)?, &key)
    }

    #[test]
    fn an_assertion_names_its_caller() {
        for key in [Key::es256("one"), Key::eddsa("one")] {
            let caller = verify(&assertion(&key).sign(), &key).unwrap();
            let expected = json!({
                "subject": "alice", "issuer": "https://login.example.com/",
                "client": "inspector", "scope": "tasks:read",
            });
            assert_eq!(serde_json::to_value(caller).unwrap(), expected);
        }
    }

    #[test]
    fn nothing_else_is_an_assertion() {
        let (key, other) = (Key::es256("one"), Key::es256("one"));
        let good = assertion(&key);
        let unsigned = test_support::compact(
            json!({ "alg": "none", "typ": TYPE, "kid": "one" }).to_string(),
            good.claims_text(),
            |_| Vec::new(),
        );
        let symmetric = test_support::compact(
            json!({ "alg": "HS256", "typ": TYPE, "kid": "one" }).to_string(),
            good.claims_text(),
            |input| test_support::hmac("HS256", key.jwk()["x"].as_str().unwrap().as_bytes(), input),
        );
        let signed = good.sign();
        let changed = {
            let (head, signature) = signed.rsplit_once('.').unwrap();
            let (head, _) = head.split_once('.').unwrap();
            let claims = good.clone().subject("root").claims_text();
            format!("{head}.{}.{signature}", test_support::base64url(claims))
        };
        let null = Value::Null;
        for (name, token) in [
            ("another key", good.clone().signed_by(&other).sign()),
            ("alg none", unsigned),
            ("HS256", symmetric),
            ("other claims", changed),
            (
                "an access token",
                good.clone().header("typ", "at+jwt").sign(),
            ),
            ("no type", good.clone().without_header("typ").sign()),
            ("no key id", good.clone().without_header("kid").sign()),
            ("expired", good.clone().claim("exp", now() - 10).sign()),
            ("no expiry", good.clone().without("exp").sign()),
            (
                "another audience",
                good.clone().claim("aud", "http://other/mcp").sign(),
            ),
            ("no audience", good.clone().without("aud").sign()),
            (
                "another issuer",
                good.clone().claim("iss", "https://other").sign(),
            ),
            ("no issuer", good.clone().without("iss").sign()),
            ("no subject", good.clone().without("sub").sign()),
            (
                "no issuer of the token",
                good.clone().claim("token_iss", null).sign(),
            ),
            ("cut", signed[..signed.len() - 1].to_owned()),
            ("empty", String::new()),
        ] {
            assert!(verify(&token, &key).is_err(), "{name}");
        }
        assert!(verify(&signed, &key).is_ok());
    }
}
