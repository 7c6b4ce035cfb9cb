//! What a JWT says of itself where its issuer is asked about it (RFC 7662). Only the issuer verifies it, so any algorithm and any key id
//! will do; but what it says against being used here holds, whatever the issuer answers.

use crate::refusal::reason::Reason;
use crate::token::bearer::BearerToken;
use crate::token::claims::refuse_other_tokens;
use crate::token::evidence::binding::Binding;
use crate::token::issuer_profile::IssuerProfile;
use crate::token::jose::{json_part, refuse_other_meaning};
use crate::token::jwt::payload::Payload;

/// What a JWT says of itself.
pub struct Stated {
    payload: Payload,
    issuer: String,
}

impl Stated {
    /// Reads the header and the payload of a signed JWT, which must be strict JSON.
    ///
    /// # Errors
    /// The [`Reason`] why it says nothing.
    pub fn read(token: &BearerToken<'_>) -> Result<Self, Reason> {
        let mut parts = token.expose().split('.');
        let mut part = || parts.next().ok_or(Reason::MalformedToken);
        let (header, payload, _signature) = (part()?, part()?, part()?);
        if parts.next().is_some() {
            return Err(Reason::MalformedToken);
        }
        refuse_other_meaning(&json_part(header)?)?;
        let payload = Payload::read(payload)?;
        let issuer = payload.issuer()?;
        Ok(Self { payload, issuer })
    }

    /// The issuer that it names.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What it is bound to, if it is an access token of this issuer.
    ///
    /// # Errors
    /// [`Reason::WrongTokenType`] or [`Reason::SenderConstrained`].
    pub fn binding(&self, profile: &IssuerProfile) -> Result<Option<Binding>, Reason> {
        let claims = self.payload.claims()?;
        refuse_other_tokens(&claims, profile)?;
        Binding::of(&claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    fn read(header: &str, claims: &str) -> Result<(String, Option<Binding>), Reason> {
        let (header, claims) = (
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims),
        );
        let text = format!("{header}.{claims}.c2ln");
        let stated = Stated::read(&BearerToken::parse(&text, 4096).unwrap())?;
        let binding = stated.binding(&IssuerProfile::new(ISSUER))?;
        Ok((stated.issuer().to_owned(), binding))
    }

    #[test]
    fn a_jwt_of_any_algorithm_and_key_names_its_issuer() {
        for header in [
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            r#"{"alg":"ES256K"}"#,
            r#"{"alg":"RS256","kid":7}"#,
            r#"{"alg":"ML-DSA-65","kid":null}"#,
        ] {
            let found = read(header, r#"{"iss":"https://issuer.example"}"#);
            assert_eq!(found, Ok((ISSUER.to_owned(), None)), "{header}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_names_nobody() {
        let named = r#"{"iss":"https://issuer.example"}"#;
        let twice = r#"{"iss":"https://other.example","iss":"https://issuer.example"}"#;
        for (header, claims, reason) in [
            (
                r#"{"alg":"RS256","b64":false}"#,
                named,
                Reason::HeaderNotAllowed,
            ),
            (
                r#"{"alg":"RS256","crit":["b64"]}"#,
                named,
                Reason::HeaderNotAllowed,
            ),
            (
                r#"{"alg":"RS256","cty":"JWT"}"#,
                named,
                Reason::MalformedToken,
            ),
            (
                r#"{"alg":"RS256","alg":"RS256"}"#,
                named,
                Reason::MalformedToken,
            ),
            (r#" ["alg"]"#, named, Reason::MalformedToken),
            (r#"{"alg":"RS256"}"#, twice, Reason::MalformedToken),
            (r#"{"alg":"RS256"}"#, "{}", Reason::MissingClaim),
        ] {
            assert_eq!(read(header, claims), Err(reason), "{header} {claims}");
        }
        for text in ["e30.e30", "e30.e30.a.b.c", "e30", "e30.e30=.c"] {
            let token = BearerToken::parse(text, 4096).filter(|token| Stated::read(token).is_ok());
            assert_eq!(token, None, "{text}");
        }
    }

    #[test]
    fn what_a_jwt_says_against_its_use_is_heard() {
        let header = r#"{"alg":"RS256"}"#;
        for (claim, reason) in [
            (r#""events":{}"#, Reason::WrongTokenType),
            (r#""nonce":"a""#, Reason::WrongTokenType),
            (r#""typ":"Logout""#, Reason::WrongTokenType),
            (r#""token_use":"id""#, Reason::WrongTokenType),
            (r#""cnf":{"kid":"a"}"#, Reason::SenderConstrained),
            (r#""cnf":null"#, Reason::SenderConstrained),
        ] {
            let claims = format!(r#"{{"iss":"{ISSUER}",{claim}}}"#);
            assert_eq!(read(header, &claims), Err(reason), "{claim}");
        }
        let thumbprint = "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4";
        let bound = format!(r#"{{"iss":"{ISSUER}","cnf":{{"jkt":"{thumbprint}"}}}}"#);
        let (_, binding) = read(header, &bound).unwrap();
        assert_eq!(binding, Some(Binding::Key([0xfe; 32])));
    }
}
