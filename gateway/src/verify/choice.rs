//! Who can verify a token: chosen by its form and by the issuers of the resource, before anything is verified. At most one verifier
//! sees a token.

use mcp_gateway_core::{
    refusal::reason::Reason,
    token::{
        api_key::text::is_api_key,
        bearer::BearerToken,
        evidence::binding::Binding,
        issuer_profile::IssuerProfile,
        jwt::{Unverified, form::TokenForm, stated::Stated},
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
    Introspection {
        /// What the token itself says that it is bound to, if it is a JWT.
        stated: Option<Binding>,
    },
}

/// The verifier of this token, where the issuer `asked` is asked about its tokens. An opaque token is one of that issuer's, or
/// nobody's. A JWT is judged by the issuer that it names alone: no other one may see it.
///
/// # Errors
/// The [`Reason`] why none of these issuers can have issued it as an access token.
pub(crate) fn choose<'a>(
    token: &BearerToken<'a>,
    issuers: &[TrustedIssuer],
    asked: Option<&IssuerProfile>,
) -> Result<Choice<'a>, Reason> {
    if is_api_key(token.expose()) {
        return Ok(Choice::ApiKey(*token));
    }
    if let Some(asked) = asked {
        if TokenForm::of(token) == TokenForm::Opaque {
            return Ok(Choice::Introspection { stated: None });
        }
        let stated = Stated::read(token).ok();
        if let Some(stated) = stated.filter(|stated| *stated.issuer() == *asked.issuer) {
            let stated = stated.binding(asked)?;
            return Ok(Choice::Introspection { stated });
        }
    }
    let token = Unverified::parse(token)?;
    let mut names = issuers.iter().map(|trusted| &*trusted.profile.issuer);
    match names.position(|name| name == token.issuer()) {
        Some(issuer) => Ok(Choice::Jwt { token, issuer }),
        None => Err(Reason::WrongIssuer),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    const ASKED: &str = "https://asked.example";

    /// Whether the issuer is asked about a token with these parts.
    fn is_asked(header: &str, claims: &str) -> Result<bool, Reason> {
        let (header, claims) = (
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims),
        );
        let text = format!("{header}.{claims}.c2ln");
        let token = BearerToken::parse(&text, 4096).unwrap();
        let choice = choose(&token, &[], Some(&IssuerProfile::new(ASKED)))?;
        Ok(matches!(choice, Choice::Introspection { .. }))
    }

    #[test]
    fn the_issuer_that_is_asked_sees_its_own_jwts_of_any_algorithm_and_no_other() {
        let (own, other) = (
            r#"{"iss":"https://asked.example"}"#,
            r#"{"iss":"https://other.example"}"#,
        );
        for header in [
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"ES256K"}"#,
            r#"{"alg":"RS256","kid":7}"#,
            " {\"alg\":\"RS256\"}",
        ] {
            assert_eq!(is_asked(header, own), Ok(true), "{header}");
            assert!(is_asked(header, other).is_err(), "{header}");
        }
        for header in ["\u{feff}{\"alg\":\"RS256\"}", r#"{"alg":"RS256",}"#] {
            for claims in [own, other] {
                assert!(is_asked(header, claims).is_err(), "{header} {claims}");
            }
        }
    }

    #[test]
    fn a_jwt_that_is_no_access_token_is_shown_to_nobody() {
        let logout = r#"{"iss":"https://asked.example","events":{}}"#;
        assert_eq!(
            is_asked(r#"{"alg":"RS256"}"#, logout),
            Err(Reason::WrongTokenType)
        );
    }
}
