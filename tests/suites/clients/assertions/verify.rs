//! How an MCP server verifies assertions in Rust: the text of `docs/assertions.md`, which a test compares.

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};

/// The caller.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Caller {
    sub: String,
    token_iss: String,
    client_id: Option<String>,
    scope: Option<String>,
}

/// The caller that an assertion names.
pub(crate) fn verify(
    keys: &JwkSet,
    assertion: &str,
    audience: &str,
    issuer: &str,
) -> Result<Caller, Error> {
    let header = decode_header(assertion)?;
    let is_assertion = header.typ.as_deref() == Some("mcp-assertion+jwt");
    if !is_assertion || !matches!(header.alg, Algorithm::ES256 | Algorithm::EdDSA) {
        return Err(ErrorKind::InvalidToken.into());
    }
    let key = header.kid.and_then(|kid| keys.find(&kid));
    let key = DecodingKey::from_jwk(key.ok_or(ErrorKind::InvalidToken)?)?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = 5;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    Ok(decode::<Caller>(assertion, &key, &validation)?.claims)
}
