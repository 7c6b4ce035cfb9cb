//! The header of a token (RFC 7515 §4), read strictly: no URL or key in it is used, and unknown parameters have no effect.
//! A parameter that is null is not absent: the header decides how the token is verified.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Algorithm;
use crate::json::{self, JsonLimits, Object};
use crate::refusal::reason::Reason;
use crate::token::issuer_profile::IssuerProfile;

/// Parameters that contain a key or point to one. They are never used, and a token that has one is refused. For an issuer that
/// puts them into every token, the configuration can have them ignored instead. No other parameter can be ignored.
pub const IGNORABLE: [&str; 4] = ["jku", "x5u", "jwk", "x5c"];

/// Parameters that change what the token means (RFC 7515 §4.1.11, RFC 7797 §3, RFC 7516 §4.1.3): never accepted.
pub(crate) const MEANING: [&str; 3] = ["crit", "b64", "zip"];

/// The longest key id, in bytes. A longer one matches no key.
pub(crate) const MAX_KEY_ID_BYTES: usize = 1024;

/// The tree of media types that a header may leave out.
const APPLICATION: &str = "application/";

/// An escaped key id is truncated to this many characters.
const MAX_PRINTED_KEY_ID: usize = 64;

/// The header parameters that the gateway uses.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    /// In lower case, without `application/`; empty when absent.
    token_type: String,
    /// The [`IGNORABLE`] parameters that the header has.
    pointers: Vec<&'static str>,
}

impl Header {
    pub(crate) fn read(encoded: &str) -> Result<Self, Reason> {
        let document = base64url_text(encoded).ok_or(Reason::MalformedToken)?;
        let header = json::checked_object(&document, &JsonLimits::default());
        let header = header.ok().flatten().ok_or(Reason::MalformedToken)?;
        let algorithm = text(&header, "alg")?.ok_or(Reason::MalformedToken)?;
        let algorithm = Algorithm::parse(&algorithm).ok_or(Reason::AlgNotAllowed)?;
        refuse_meaning(&header)?;
        Ok(Self {
            algorithm,
            key_id: key_id(&header)?,
            token_type: text(&header, "typ")?
                .as_deref()
                .map(media_type)
                .unwrap_or_default(),
            pointers: IGNORABLE
                .into_iter()
                .filter(|name| header.get(name).is_some())
                .collect(),
        })
    }

    /// The type of the token: in lower case, without `application/`; empty when absent.
    pub(crate) fn token_type(&self) -> &str {
        &self.token_type
    }

    /// Whether this issuer's access tokens have such a header.
    pub(crate) fn check(&self, profile: &IssuerProfile) -> Result<(), Reason> {
        if !profile.algorithms.contains(&self.algorithm) {
            return Err(Reason::AlgNotAllowed);
        }
        let is_ignored = |name: &&str| profile.ignored_headers.iter().any(|own| own == name);
        if !self.pointers.iter().all(is_ignored) {
            return Err(Reason::HeaderNotAllowed);
        }
        if !profile
            .token_types
            .iter()
            .any(|own| bare_subtype(own).eq_ignore_ascii_case(&self.token_type))
        {
            return Err(Reason::WrongTokenType);
        }
        Ok(())
    }
}

/// A key id for a log: escaped, at most 64 characters.
pub fn printable_key_id(key_id: &str) -> String {
    key_id
        .chars()
        .flat_map(char::escape_default)
        .take(MAX_PRINTED_KEY_ID)
        .collect()
}

/// Decodes base64url in its canonical form: no padding, no whitespace, no unused bits set (RFC 7515 §2).
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The same for what must be UTF-8.
pub(crate) fn base64url_text(encoded: &str) -> Option<String> {
    String::from_utf8(base64url(encoded)?).ok()
}

/// Decodes a part of a token, which must be base64url of strict JSON.
pub(crate) fn json_part(encoded: &str) -> Result<Vec<u8>, Reason> {
    let bytes = base64url(encoded).ok_or(Reason::MalformedToken)?;
    json::check(&bytes, &JsonLimits::default()).map_err(|_| Reason::MalformedToken)?;
    Ok(bytes)
}

/// A member that must be a string if it is present.
fn text<'a>(header: &Object<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Reason> {
    let Some(raw) = header.get(name) else {
        return Ok(None);
    };
    json::string(raw).ok_or(Reason::MalformedToken).map(Some)
}

/// Refuses a header that changes what the token means, for readers that use nothing else of it.
pub(crate) fn refuse_other_meaning(header: &[u8]) -> Result<(), Reason> {
    refuse_meaning(&json::object(header).map_err(|_| Reason::MalformedToken)?)
}

fn refuse_meaning(header: &Object<'_>) -> Result<(), Reason> {
    if MEANING.iter().any(|name| header.get(name).is_some()) {
        return Err(Reason::HeaderNotAllowed);
    }
    match text(header, "cty")? {
        None => Ok(()),
        // A token in a token (RFC 7519 §5.2).
        Some(content) if media_type(&content) == "jwt" => Err(Reason::MalformedToken),
        Some(_) => Err(Reason::HeaderNotAllowed),
    }
}

/// A key id is only looked up, so an id that no key can have is refused like the id of an unknown key.
fn key_id(header: &Object<'_>) -> Result<Option<String>, Reason> {
    let Some(raw) = header.get("kid") else {
        return Ok(None);
    };
    let id = json::string(raw).filter(|id| id.len() <= MAX_KEY_ID_BYTES);
    Ok(Some(id.ok_or(Reason::UnknownKey)?.into_owned()))
}

/// Media types compare without regard to case, and `application/` may be left out (RFC 7515 §4.1.9).
pub(crate) fn media_type(text: &str) -> String {
    bare_subtype(text).to_ascii_lowercase()
}

/// The media type without `application/`, if that may be left out.
fn bare_subtype(text: &str) -> &str {
    match text.split_at_checked(APPLICATION.len()) {
        Some((before, rest)) if before.eq_ignore_ascii_case(APPLICATION) && !rest.contains('/') => {
            rest
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Header, Reason> {
        Header::read(&URL_SAFE_NO_PAD.encode(json))
    }

    fn check(json: &str, profile: &IssuerProfile) -> Result<(), Reason> {
        read(json)?.check(profile)
    }

    #[test]
    fn a_header_is_accepted_or_refused_with_one_reason() {
        use Reason::{AlgNotAllowed, HeaderNotAllowed, MalformedToken, UnknownKey, WrongTokenType};
        let profile = IssuerProfile::new("https://issuer.example");
        for (header, expected) in [
            (r#"{"alg":"RS256","typ":"at+jwt","kid":"a"}"#, Ok(())),
            (r#"{"alg":"Ed25519","typ":"at+jwt"}"#, Ok(())),
            (
                r#"{"alg":"RS256","typ":"at+jwt","x5t":"a","x5t#S256":"b","of-tomorrow":1}"#,
                Ok(()),
            ),
            // 1, 2: unsigned and symmetric.
            (r#"{"alg":"none","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (r#"{"alg":"None","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (r#"{"alg":"nOnE","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (r#"{"alg":"","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (r#"{"alg":"HS256","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (r#"{"alg":"rs256","typ":"at+jwt"}"#, Err(AlgNotAllowed)),
            (
                r#"{"alg":"RSA-OAEP","enc":"A256GCM","typ":"at+jwt"}"#,
                Err(AlgNotAllowed),
            ),
            (r#"{"typ":"at+jwt"}"#, Err(MalformedToken)),
            (r#"{"alg":null,"typ":"at+jwt"}"#, Err(MalformedToken)),
            (r#"{"alg":["RS256"],"typ":"at+jwt"}"#, Err(MalformedToken)),
            // 4: key ids.
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":"../../etc/passwd"}"#,
                Ok(()),
            ),
            (r#"{"alg":"RS256","typ":"at+jwt","kid":7}"#, Err(UnknownKey)),
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":null}"#,
                Err(UnknownKey),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","kid":"\ud800"}"#,
                Err(UnknownKey),
            ),
            // 7: keys that the sender chooses.
            (
                r#"{"alg":"RS256","typ":"at+jwt","jku":"https://evil.example"}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","x5u":"https://evil.example"}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","jwk":{}}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","x5c":[]}"#,
                Err(HeaderNotAllowed),
            ),
            // 8, 18: parameters that change the meaning.
            (
                r#"{"alg":"RS256","typ":"at+jwt","crit":["exp"]}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","crit":[]}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","b64":false}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","b64":true}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","zip":"DEF"}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","crit":null}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","b64":null}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","zip":null}"#,
                Err(HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","cty":"JWT"}"#,
                Err(MalformedToken),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","cty":"application/jwt"}"#,
                Err(MalformedToken),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","cty":"json"}"#,
                Err(HeaderNotAllowed),
            ),
            // 9: types.
            (r#"{"alg":"RS256","typ":"AT+JWT"}"#, Ok(())),
            (r#"{"alg":"RS256","typ":"application/at+jwt"}"#, Ok(())),
            (r#"{"alg":"RS256","typ":"Application/At+Jwt"}"#, Ok(())),
            (
                r#"{"alg":"RS256","typ":"application/x/at+jwt"}"#,
                Err(WrongTokenType),
            ),
            (r#"{"alg":"RS256","typ":"JWT"}"#, Err(WrongTokenType)),
            (r#"{"alg":"RS256"}"#, Err(WrongTokenType)),
            (r#"{"alg":"RS256","typ":""}"#, Err(WrongTokenType)),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, Err(WrongTokenType)),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, Err(WrongTokenType)),
            (r#"{"alg":"RS256","typ":null}"#, Err(MalformedToken)),
            (r#"{"alg":"RS256","typ":1}"#, Err(MalformedToken)),
            // 16: duplicates, at any depth.
            (
                r#"{"alg":"RS256","alg":"RS256","typ":"at+jwt"}"#,
                Err(MalformedToken),
            ),
            (
                r#"{"alg":"RS256","typ":"at+jwt","x":{"a":1,"a":1}}"#,
                Err(MalformedToken),
            ),
            (
                r#"{"alg":"none","\u0061lg":"RS256","typ":"at+jwt"}"#,
                Err(MalformedToken),
            ),
            // Not an object, or more than one document.
            (r#"[]"#, Err(MalformedToken)),
            (r#""RS256""#, Err(MalformedToken)),
            (r#"{"alg":"RS256"}{}"#, Err(MalformedToken)),
            ("", Err(MalformedToken)),
        ] {
            assert_eq!(check(header, &profile), expected, "{header}");
        }
    }

    #[test]
    fn a_key_id_has_at_most_1024_bytes() {
        let header = |length: usize| format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(length));
        assert!(read(&header(1024)).is_ok());
        assert_eq!(read(&header(1025)).err(), Some(Reason::UnknownKey));
    }

    #[test]
    fn only_token_types_and_key_pointers_can_be_configured_for_an_issuer() {
        let mut profile = IssuerProfile::new("https://issuer.example");
        profile.token_types = vec!["JWT".to_owned(), String::new()];
        profile.ignored_headers = ["jku", "crit", "zip"].map(str::to_owned).to_vec();
        for (header, expected) in [
            (r#"{"alg":"RS256","typ":"jwt"}"#, Ok(())),
            (r#"{"alg":"RS256"}"#, Ok(())),
            (
                r#"{"alg":"RS256","typ":"at+jwt"}"#,
                Err(Reason::WrongTokenType),
            ),
            (
                r#"{"alg":"RS256","typ":"JWT","jku":"https://issuer.example/keys"}"#,
                Ok(()),
            ),
            (
                r#"{"alg":"RS256","typ":"JWT","jku":"a","x5u":"b"}"#,
                Err(Reason::HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"JWT","crit":["exp"]}"#,
                Err(Reason::HeaderNotAllowed),
            ),
            (
                r#"{"alg":"RS256","typ":"JWT","zip":"DEF"}"#,
                Err(Reason::HeaderNotAllowed),
            ),
        ] {
            assert_eq!(check(header, &profile), expected, "{header}");
        }
    }

    #[test]
    fn application_is_optional_only_before_a_bare_subtype() {
        let mut profile = IssuerProfile::new("https://issuer.example");
        profile.token_types = vec!["x/at+jwt".to_owned()];
        let same = r#"{"alg":"RS256","typ":"X/at+jwt"}"#;
        assert_eq!(check(same, &profile), Ok(()));
        let other = r#"{"alg":"RS256","typ":"application/x/at+jwt"}"#;
        assert_eq!(check(other, &profile), Err(Reason::WrongTokenType));
    }

    #[test]
    fn an_issuer_may_use_only_its_configured_algorithms() {
        let mut profile = IssuerProfile::new("https://issuer.example");
        profile.algorithms = vec![Algorithm::Es256];
        assert_eq!(check(r#"{"alg":"ES256","typ":"at+jwt"}"#, &profile), Ok(()));
        assert_eq!(
            check(r#"{"alg":"RS256","typ":"at+jwt"}"#, &profile),
            Err(Reason::AlgNotAllowed)
        );
    }

    #[test]
    fn only_canonical_base64url_is_decoded() {
        assert_eq!(base64url("YWI"), Some(b"ab".to_vec()));
        for text in [
            "YWI=", "YWJ", "YW I", "YWI\n", " YWI", "YW+", "YW/", "Y", "YWÏ",
        ] {
            assert_eq!(base64url(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_printed_key_id_is_escaped_and_short() {
        assert_eq!(printable_key_id("a\n\u{1b}\u{e4}"), "a\\n\\u{1b}\\u{e4}");
        assert_eq!(printable_key_id(&"k".repeat(100)).len(), 64);
    }
}
