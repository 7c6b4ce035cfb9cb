//! Assertions about callers, as an upstream reads them: with the public keys of the gateway.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use test_support::base64url_decode;

use crate::gateway::Gateway;
use crate::gateway::config::Config;

/// The header that has the assertion.
pub const HEADER: &str = "x-gateway-assertion";

/// The header that has the id of the request.
pub const REQUEST_ID: &str = "x-gateway-request-id";

/// Where the public keys are.
pub const KEYS: &str = "/.well-known/assertion-jwks.json";

/// A configuration whose first resource signs who calls, with these settings.
pub fn signing(config: Config, settings: Value) -> Config {
    let url = config.upstream();
    let upstream = json!({ "url": url, "assertion": settings });
    config.set("/resources/0/upstream", upstream)
}

/// The header of an assertion, or its claims, which are not verified.
pub fn part(assertion: &str, number: usize) -> Value {
    let part = assertion.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&base64url_decode(part)).expect("JSON")
}

/// The claims of an assertion that a key of the gateway signed for this audience.
///
/// # Errors
/// Why it is none.
pub async fn verified(gateway: &Gateway, assertion: &str, audience: &str) -> Result<Value, String> {
    let set = gateway.get(KEYS).send().await;
    let set: JwkSet = serde_json::from_str(&set.text()).map_err(|error| error.to_string())?;
    let header = decode_header(assertion).map_err(|error| error.to_string())?;
    let id = header.kid.unwrap_or_default();
    let key = set.find(&id).ok_or("an unknown key")?;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    let verified = decode::<Value>(assertion, &key, &validation);
    verified
        .map(|verified| verified.claims)
        .map_err(|error| error.to_string())
}
