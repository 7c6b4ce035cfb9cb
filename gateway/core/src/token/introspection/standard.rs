//! Answers of RFC 7662 §2.2.

use super::answer::{Answer, NotAccepted, Unusable};
use super::endpoint::Kind;
use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::issuer_profile::IssuerProfile;

/// The types of access tokens: RFC 6750 and RFC 9449.
const TYPES: [&str; 2] = ["Bearer", DPOP];

/// The type of a token that is useless without its key.
const DPOP: &str = "DPoP";

/// The claims of a token that is active: the answer itself.
pub(super) fn claims<'a>(answer: &Answer<'a>, now: UnixTime) -> Result<Object<'a>, NotAccepted> {
    if answer.status != 200 {
        return Err(answer.without_answer(Kind::Rfc7662, now).into());
    }
    let object = answer.object()?;
    match object.get("active") {
        Some(b"true") => Ok(object),
        Some(b"false") => Err(NotAccepted::Inactive),
        Some(raw) => Err(Unusable::member("active", raw, "true or false").into()),
        None => Err(Unusable::Missing("active").into()),
    }
}

/// Checks what only an answer has: `iss` may be missing, because the endpoint is that of its issuer, and `token_type` may say that it is
/// not an access token.
pub(super) fn check(claims: &Object<'_>, profile: &IssuerProfile) -> Result<(), Reason> {
    if let Some(raw) = claims.given("iss") {
        let named = json::string(raw).ok_or(Reason::WrongIssuer)?;
        if *named != *profile.issuer {
            return Err(Reason::WrongIssuer);
        }
    }
    let Some(raw) = claims.given("token_type") else {
        return Ok(());
    };
    let named = json::string(raw).ok_or(Reason::MalformedToken)?;
    let is_one = |own: &&&str| named.eq_ignore_ascii_case(own);
    match TYPES.iter().find(is_one) {
        None => Err(Reason::WrongTokenType),
        Some(own) if *own == DPOP && claims.given("cnf").is_none() => {
            Err(Reason::SenderConstrained)
        }
        Some(_) => Ok(()),
    }
}
