//! What tests without a clock agree on: the resource, the instant, and the claims of a good token.

use serde_json::{Value, json};

/// The resource that the tokens are for.
pub const RESOURCE: &str = "https://mcp.example.com/mcp";

/// The instant at which the tokens are verified, in seconds since the epoch.
pub const NOW: i64 = 1_800_000_000;

/// The header of an access token (RFC 9068 §2.1) signed RS256 by the key with the id `rsa`.
pub const RS256_HEADER: &str = r#"{"alg":"RS256","typ":"at+jwt","kid":"rsa"}"#;

/// The claims of a good token of `alice` from this issuer: issued a minute ago, good for ten more.
pub fn claims(issuer: &str) -> Value {
    json!({
        "iss": issuer, "sub": "alice", "aud": RESOURCE, "client_id": "inspector",
        "iat": NOW - 60, "exp": NOW + 600, "scope": "tasks:read tasks:write",
    })
}
