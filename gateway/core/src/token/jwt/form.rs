//! The form of a token: what its text alone says of its kind. Nothing is verified.

use crate::json;
use crate::token::bearer::BearerToken;
use crate::token::jose::base64url;

/// The form of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// It begins like a JWT or another JOSE object (RFC 7515 §3.1, RFC 7516 §3.1): base64url of a JSON object, and a dot.
    Jose,
    /// Only its issuer knows what it means.
    Opaque,
}

impl TokenForm {
    /// The form of this token. What could be a JWT is never taken for an opaque token: it may name another issuer.
    pub fn of(token: &BearerToken<'_>) -> Self {
        let header = token.expose().split_once('.').map(|(header, _)| header);
        let header = header.and_then(base64url);
        match header.is_some_and(|header| json::object(&header).is_ok()) {
            true => Self::Jose,
            false => Self::Opaque,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_begins_with_a_json_object_is_no_opaque_token() {
        for (text, expected) in [
            ("e30.e30.c2ln", TokenForm::Jose),
            ("e30.", TokenForm::Jose),
            ("eyJhbGciOiJub25lIn0.e30", TokenForm::Jose),
            ("eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d", TokenForm::Jose),
            ("e30", TokenForm::Opaque),
            ("ya29.a0AfH6SMBx", TokenForm::Opaque),
            (
                "gho_16C7e42F292c6912E7710c838347Ae178B4a",
                TokenForm::Opaque,
            ),
            ("W10.e30.c2ln", TokenForm::Opaque),
            ("2YotnFZFEjr1zCsicMWpAA", TokenForm::Opaque),
        ] {
            let token = BearerToken::parse(text, 1024).unwrap();
            assert_eq!(TokenForm::of(&token), expected, "{text}");
        }
    }
}
