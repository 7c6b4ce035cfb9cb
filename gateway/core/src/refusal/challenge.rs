//! `WWW-Authenticate`: where to get a token, or a better one (RFC 6750 §3, RFC 9728 §5.1, MCP authorization).
//!
//! One order for every form: `Bearer resource_metadata="…", scope="…"` comes first and an error follows it, so that the
//! challenge to a first call is the beginning of all the others.

use std::fmt::Write as _;

use http::HeaderValue;

use super::reason::ChallengeForm;
use crate::refusal::Refusal;
use crate::scope::{OFFLINE_ACCESS, ScopeSet};
use crate::scope_prefix::ScopePrefixes;

/// Writes the challenges of one protected resource.
#[derive(Clone, Debug)]
pub struct Challenger {
    metadata: String,
    bare: String,
    prefixes: ScopePrefixes,
}

impl Challenger {
    /// A challenger that names this metadata document and these scopes: the required ones, else the
    /// supported ones (see `Policy::hinted_scopes`), with the prefix by which clients ask for them. `offline_access` is never
    /// among them.
    pub fn new(metadata_url: &str, scopes: &ScopeSet, prefixes: ScopePrefixes) -> Self {
        let metadata = format!("Bearer resource_metadata=\"{}\"", quotable(metadata_url));
        let bare = with_scope(&metadata, &prefixes.all_with_prefix(scopes));
        Self {
            metadata,
            bare,
            prefixes,
        }
    }

    /// The value of `WWW-Authenticate`; none where the reason has no challenge.
    pub fn header(&self, refusal: &Refusal) -> Option<HeaderValue> {
        let text = match refusal.reason.row().challenge {
            ChallengeForm::None => return None,
            ChallengeForm::Bare => self.bare.clone(),
            ChallengeForm::Error(error) => self.with_error(error, refusal),
        };
        HeaderValue::try_from(text).ok()
    }

    fn with_error(&self, error: &str, refusal: &Refusal) -> String {
        let mut text = match &refusal.scopes {
            Some(scopes) => with_scope(&self.metadata, &self.prefixes.all_with_prefix(scopes)),
            None => self.bare.clone(),
        };
        let description = refusal.reason.row().description;
        let _ = write!(
            text,
            ", error=\"{error}\", error_description=\"{description}\""
        );
        text
    }
}

/// `scope=""` is not grammatical: without scopes the parameter is left out.
fn with_scope(metadata: &str, scopes: &ScopeSet) -> String {
    let scopes = scopes.without(OFFLINE_ACCESS);
    if scopes.is_empty() {
        return metadata.to_owned();
    }
    format!("{metadata}, scope=\"{scopes}\"")
}

/// A URL has only visible ASCII, without quote and backslash. Any other byte is percent-encoded, so that the text stays
/// inside its quotes.
fn quotable(url: &str) -> String {
    let mut text = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x20 | 0x7f.. => {
                let _ = write!(text, "%{byte:02X}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::reason::Reason;
    use super::*;

    const URL: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn challenger(scopes: &str, prefixes: &[String]) -> Challenger {
        Challenger::new(URL, &set(scopes), ScopePrefixes::new(prefixes).unwrap())
    }

    fn header(scopes: &str, refusal: impl Into<Refusal>) -> Option<String> {
        let value = challenger(scopes, &[]).header(&refusal.into())?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn without_a_token_there_is_no_error() {
        let expected = format!("Bearer resource_metadata=\"{URL}\", scope=\"tasks:read\"");
        assert_eq!(
            header("tasks:read", Reason::NoCredentials),
            Some(expected.clone())
        );
        assert_eq!(
            header("tasks:read", Reason::UnsupportedScheme),
            Some(expected)
        );
    }

    #[test]
    fn without_scopes_the_parameter_is_left_out_and_offline_access_is_never_named() {
        let expected = Some(format!("Bearer resource_metadata=\"{URL}\""));
        assert_eq!(header("", Reason::NoCredentials), expected);
        assert_eq!(header("offline_access", Reason::NoCredentials), expected);
        assert_eq!(
            header("tasks:read offline_access", Reason::NoCredentials),
            Some(format!(
                "Bearer resource_metadata=\"{URL}\", scope=\"tasks:read\""
            ))
        );
    }

    #[test]
    fn the_error_of_a_refused_token_follows_the_bare_form() {
        assert_eq!(
            header("tasks:read", Reason::Expired),
            Some(format!(
                "Bearer resource_metadata=\"{URL}\", scope=\"tasks:read\", error=\"invalid_token\", \
                 error_description=\"The token has expired.\""
            ))
        );
    }

    #[test]
    fn malformed_credentials_are_an_invalid_request() {
        assert_eq!(
            header("", Reason::TokenInQuery),
            Some(format!(
                "Bearer resource_metadata=\"{URL}\", error=\"invalid_request\", error_description=\"Send the access \
                 token in the Authorization header, never in the URL.\""
            ))
        );
    }

    #[test]
    fn a_missing_scope_names_every_scope_the_call_requires() {
        let refusal = Refusal {
            scopes: Some(set("tasks:write tasks:read offline_access")),
            ..Reason::InsufficientScope.into()
        };
        assert_eq!(
            header("tasks:read", refusal),
            Some(format!(
                "Bearer resource_metadata=\"{URL}\", scope=\"tasks:read tasks:write\", error=\"insufficient_scope\", \
                 error_description=\"The access token lacks a scope that this call requires.\""
            ))
        );
    }

    #[test]
    fn every_challenge_names_scopes_as_clients_ask_for_them() {
        let challenger = challenger("tasks.read", &["api://1111/".to_owned()]);
        let missing = Refusal {
            scopes: Some(set("tasks.write tasks.read openid")),
            ..Reason::InsufficientScope.into()
        };
        let bare = "scope=\"api://1111/tasks.read\"";
        for (refusal, expected) in [
            (Reason::NoCredentials.into(), bare),
            (Reason::Expired.into(), bare),
            (
                missing,
                "scope=\"api://1111/tasks.read api://1111/tasks.write openid\"",
            ),
        ] {
            let value = challenger.header(&refusal).unwrap();
            assert!(value.to_str().unwrap().contains(expected), "{value:?}");
        }
    }

    #[test]
    fn every_reason_has_a_header_exactly_when_its_row_says_so_and_begins_with_the_bare_form() {
        let bare = header("a", Reason::NoCredentials).unwrap();
        for reason in Reason::ALL {
            let header = header("a", *reason);
            assert_eq!(
                header.is_none(),
                reason.row().challenge == ChallengeForm::None,
                "{}",
                reason.label()
            );
            assert!(
                header.is_none_or(|text| text.starts_with(&bare)),
                "{}",
                reason.label()
            );
        }
    }

    #[test]
    fn a_url_cannot_close_the_quotes() {
        let challenger =
            Challenger::new("https://x/\"\\ \r\nä", &set(""), ScopePrefixes::default());
        let value = challenger.header(&Reason::NoCredentials.into()).unwrap();
        assert_eq!(
            value,
            "Bearer resource_metadata=\"https://x/%22%5C%20%0D%0A%C3%A4\""
        );
    }
}
