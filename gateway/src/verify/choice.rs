//! Who can verify a token: chosen by its form and by the issuers of the resource, before anything is verified. At most one verifier
//! sees a token.

use mcp_gateway_core::{
    refusal::reason::Reason,
    token::{
        api_key::text::is_api_key,
        bearer::BearerToken,
        jwt::{Unverified, form::TokenForm},
    },
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
    /// The issuer that is asked about its tokens.
    Introspection,
}

/// The verifier of this token, where the issuer with the name `asked` is asked about its tokens. An opaque token is one of that issuer's, or
/// nobody's. A JWT is judged by the issuer that it names alone: no other one may see it.
///
/// # Errors
/// The [`Reason`] why none of these issuers can have issued it.
pub(crate) fn choose<'a>(
    token: &BearerToken<'a>,
    issuers: &[TrustedIssuer],
    asked: Option<&str>,
) -> Result<Choice<'a>, Reason> {
    if is_api_key(token.expose()) {
        return Ok(Choice::ApiKey(*token));
    }
    if asked.is_some() && TokenForm::of(token) == TokenForm::Opaque {
        return Ok(Choice::Introspection);
    }
    let token = Unverified::parse(token)?;
    if asked == Some(token.issuer()) {
        return Ok(Choice::Introspection);
    }
    let mut names = issuers.iter().map(|trusted| &*trusted.profile.issuer);
    match names.position(|name| name == token.issuer()) {
        Some(issuer) => Ok(Choice::Jwt { token, issuer }),
        None => Err(Reason::WrongIssuer),
    }
}
