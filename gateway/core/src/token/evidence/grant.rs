//! The grant that a token comes from: a private claim of the built-in authorization server, by which a grant that has ended is
//! recognized before its last token expires.

use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::token::jose::base64url;

/// The claim with the id of the grant: 22 characters of base64url.
pub const GRANT_CLAIM: &str = "grant";

/// The id of a grant: 128 random bits.
pub type GrantId = [u8; 16];

/// The grant of a token that must name one.
pub(crate) fn grant(claims: &Object<'_>) -> Result<GrantId, Reason> {
    let raw = claims.given(GRANT_CLAIM).ok_or(Reason::MissingClaim)?;
    let text = json::string(raw).ok_or(Reason::MalformedToken)?;
    let bytes = base64url(&text).ok_or(Reason::MalformedToken)?;
    bytes.try_into().map_err(|_| Reason::MalformedToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_the_id_that_the_claim_has() {
        for (claims, expected) in [
            (r#"{"grant":"_v7-_v7-_v7-_v7-_v7-_g"}"#, Ok([0xfe; 16])),
            ("{}", Err(Reason::MissingClaim)),
            (r#"{"grant":null}"#, Err(Reason::MissingClaim)),
            (r#"{"grant":7}"#, Err(Reason::MalformedToken)),
            (r#"{"grant":"_v7-"}"#, Err(Reason::MalformedToken)),
            (
                r#"{"grant":"_v7-_v7-_v7-_v7-_v7-_h"}"#,
                Err(Reason::MalformedToken),
            ),
        ] {
            let read = json::object(claims.as_bytes()).unwrap();
            assert_eq!(grant(&read), expected, "{claims}");
        }
    }
}
