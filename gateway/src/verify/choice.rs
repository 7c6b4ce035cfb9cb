//! Who can verify a token: chosen by its form and by the issuers of the resource, before anything is verified. At most one verifier
//! sees a token.

use mcp_gateway_core::{
    refusal::reason::Reason,
    token::{api_key::text::is_api_key, bearer::BearerToken, jwt::Unverified},
};

use super::trusted_issuer::TrustedIssuer;

/// The verifier of a token, with what was read to choose it.
pub(crate) enum Choice<'a> {
    /// The key files: what begins like an API key is shown to nobody else.
    ApiKey(BearerToken<'a>),
    /// The keys of the issuer that the JWT names.
    Jwt {
        token: Unverified<'a>,
        /// Index into the resource's issuers.
        issuer: usize,
    },
}

/// The verifier of this token.
///
/// # Errors
/// The [`Reason`] why none of these issuers can have issued it.
pub(crate) fn choose<'a>(
    token: &BearerToken<'a>,
    issuers: &[TrustedIssuer],
) -> Result<Choice<'a>, Reason> {
    if is_api_key(token.expose()) {
        return Ok(Choice::ApiKey(*token));
    }
    let token = Unverified::parse(token)?;
    let mut names = issuers.iter().map(|trusted| &*trusted.profile.issuer);
    match names.position(|name| name == token.issuer()) {
        Some(issuer) => Ok(Choice::Jwt { token, issuer }),
        None => Err(Reason::WrongIssuer),
    }
}
