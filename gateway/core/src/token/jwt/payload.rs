//! The payload of a token: strict JSON, whose members are found once.
//!
//! A token is read twice, to find its issuer and to judge its claims. Positions of the members are stored between the two, because
//! references into the own text cannot be.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, JsonError, JsonLimits, Object};
use crate::refusal::reason::Reason;
use crate::token::jose::base64url_text;

/// The payload of one token.
pub(crate) struct Payload {
    text: String,
    /// Of its object. None if it is another value.
    members: Option<Vec<Member>>,
}

/// Where a member is.
struct Member {
    name: Name,
    raw: Range<usize>,
}

enum Name {
    At(Range<usize>),
    /// It has escapes.
    Unescaped(Box<str>),
}

impl Payload {
    /// Reads the second part of a token, which must be base64url of strict JSON.
    ///
    /// # Errors
    /// [`Reason::MalformedToken`].
    pub(crate) fn read(encoded: &str) -> Result<Self, Reason> {
        let text = base64url_text(encoded).ok_or(Reason::MalformedToken)?;
        let members = members(&text).map_err(|_| Reason::MalformedToken)?;
        Ok(Self { text, members })
    }

    /// The JSON, as the token has it.
    pub(crate) const fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The claims.
    ///
    /// # Errors
    /// [`Reason::MalformedToken`] if the payload is not an object.
    pub(crate) fn claims(&self) -> Result<Object<'_>, Reason> {
        Ok(self.each()?.collect())
    }

    /// The issuer that the claims name. It is not verified yet.
    ///
    /// # Errors
    /// The [`Reason`] why they name none.
    pub(crate) fn issuer(&self) -> Result<String, Reason> {
        let named = self.each()?.find(|(name, _)| name == "iss");
        let (_, raw) = named.ok_or(Reason::MissingClaim)?;
        let issuer = json::string(raw).ok_or(Reason::WrongIssuer)?;
        Ok(issuer.into_owned())
    }

    /// Every member: its name and its raw value.
    fn each(&self) -> Result<impl Iterator<Item = (Cow<'_, str>, &[u8])>, Reason> {
        let members = self.members.as_ref().ok_or(Reason::MalformedToken)?;
        Ok(members.iter().map(|member| member.of(&self.text)))
    }
}

impl Member {
    /// Its name and its raw value in the text in which it was found.
    fn of<'a>(&'a self, text: &'a str) -> (Cow<'a, str>, &'a [u8]) {
        let name: &str = match &self.name {
            Name::At(range) => text.get(range.clone()).unwrap_or_default(),
            Name::Unescaped(name) => name,
        };
        let raw = text.get(self.raw.clone()).unwrap_or_default();
        (Cow::Borrowed(name), raw.as_bytes())
    }
}

/// The members of the object that this text is; none if it is another value.
fn members(text: &str) -> Result<Option<Vec<Member>>, JsonError> {
    let Some(object) = json::checked_object(text, &JsonLimits::default())? else {
        return Ok(None);
    };
    let mut members = Vec::with_capacity(object.len());
    members.extend(object.into_members().map(|(name, raw)| Member {
        name: match name {
            Cow::Borrowed(name) => Name::At(span(text, name.as_bytes())),
            Cow::Owned(name) => Name::Unescaped(name.into()),
        },
        raw: span(text, raw),
    }));
    Ok(Some(members))
}

/// The position of a part of the text.
fn span(text: &str, part: &[u8]) -> Range<usize> {
    json::span(text.as_bytes(), part).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn read(json: &str) -> Result<Payload, Reason> {
        Payload::read(&URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn the_stored_members_are_those_of_the_text() {
        for text in [
            "{}",
            r#"{"":1}"#,
            r#"{"iss":"https://issuer.example"}"#,
            " { \"iss\" : \"a\\u0062\" , \"\" : null , \"\u{e9}\\u00e9\" : [ 1 , { \"iss\" : 2 } ] , \"exp\":1e3 } ",
            r#"{"\u0069ss":"a","aud":["a","b"],"deep":{"a":{"b":{}}},"last":false}"#,
        ] {
            let payload = read(text).unwrap();
            assert_eq!(payload.bytes(), text.as_bytes());
            let direct = json::object(text.as_bytes()).unwrap();
            assert_eq!(payload.claims().unwrap(), direct, "{text}");
        }
    }

    #[test]
    fn the_issuer_is_the_text_that_iss_has() {
        let issuer = |text: &str| read(text)?.issuer();
        assert_eq!(
            issuer(r#"{"a":1,"\u0069ss":"a\u0062"}"#),
            Ok("ab".to_owned())
        );
        for (text, reason) in [
            ("{}", Reason::MissingClaim),
            (r#"{"a":{"iss":"x"}}"#, Reason::MissingClaim),
            (r#"{"iss":null}"#, Reason::WrongIssuer),
            (r#"{"iss":["x"]}"#, Reason::WrongIssuer),
            (r#"{"iss":"\ud800"}"#, Reason::WrongIssuer),
            ("[]", Reason::MalformedToken),
            (r#""iss""#, Reason::MalformedToken),
            (r#"{"iss":"a","iss":"a"}"#, Reason::MalformedToken),
            (r#"{"\ud800":1}"#, Reason::MalformedToken),
            ("{\"iss\":\"a\"", Reason::MalformedToken),
            ("", Reason::MalformedToken),
        ] {
            assert_eq!(issuer(text), Err(reason), "{text}");
        }
    }
}
