//! `WWW-Authenticate`: where to get a token, or a better one (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1, MCP authorization).
//!
//! A resource that accepts bearer tokens and bound ones has a challenge for each scheme, `Bearer` first: many clients read only the
//! first. An error stands in the challenge of the scheme that the client used.
//!
//! One order for every form: `Bearer resource_metadata="…", scope="…"` comes first and an error follows it, so that the
//! challenge to a first call is the beginning of all the others.

use std::fmt::Write as _;

use http::HeaderValue;

use super::reason::{ChallengeForm, Reason};
use crate::refusal::Refusal;
use crate::scope::{OFFLINE_ACCESS, ScopeSet};
use crate::scope_prefix::ScopePrefixes;

/// The scheme by which a token comes (RFC 9110 §11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenScheme {
    /// Everybody who has the token may use it.
    Bearer,
    /// With a proof in the `DPoP` header.
    Dpop,
}

/// The schemes that a resource accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schemes {
    /// Bearer tokens.
    #[default]
    Bearer,
    /// Bearer tokens, and tokens that are bound to a key.
    Both,
    /// Tokens that are bound to a key.
    Dpop,
}

/// Writes the challenges of one protected resource.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// Where the metadata is, without the scheme.
    metadata: String,
    scopes: ScopeSet,
    prefixes: ScopePrefixes,
    schemes: Schemes,
    /// The algorithms of proofs, separated by spaces.
    algorithms: String,
}

impl Challenger {
    /// A challenger that names this metadata document and these scopes: the required ones, else the
    /// supported ones (see `Policy::hinted_scopes`), with the prefix by which clients ask for them. `offline_access` is never
    /// among them.
    pub fn new(metadata_url: &str, scopes: &ScopeSet, prefixes: ScopePrefixes) -> Self {
        Self {
            metadata: format!("resource_metadata=\"{}\"", quotable(metadata_url)),
            scopes: prefixes.all_with_prefix(scopes).into_owned(),
            prefixes,
            schemes: Schemes::Bearer,
            algorithms: String::new(),
        }
    }

    /// The same for a resource that accepts these schemes, and proofs of these algorithms.
    #[must_use]
    pub fn with_schemes(self, schemes: Schemes, algorithms: &[&str]) -> Self {
        Self {
            schemes,
            algorithms: algorithms.join(" "),
            ..self
        }
    }

    /// The values of `WWW-Authenticate` for a client that used this scheme; none where the reason has no challenge.
    pub fn headers(&self, refusal: &Refusal, used: Option<TokenScheme>) -> Vec<HeaderValue> {
        let row = refusal.reason.row();
        let error = match row.challenge {
            ChallengeForm::None => return Vec::new(),
            ChallengeForm::Bare => None,
            ChallengeForm::Error(error) => Some(error),
        };
        let at_fault = self.at_fault(refusal.reason, used);
        // Another scheme helps a client that has no token that is accepted, and no other.
        let is_shown = |scheme: &TokenScheme| row.status == 401 || *scheme == at_fault;
        let written = self.accepted().iter().filter(|scheme| is_shown(scheme));
        let texts = written.map(|scheme| {
            let error = error.filter(|_| *scheme == at_fault);
            self.challenge(*scheme, error, refusal)
        });
        texts
            .filter_map(|text| HeaderValue::try_from(text).ok())
            .collect()
    }

    const fn accepted(&self) -> &'static [TokenScheme] {
        match self.schemes {
            Schemes::Bearer => &[TokenScheme::Bearer],
            Schemes::Both => &[TokenScheme::Bearer, TokenScheme::Dpop],
            Schemes::Dpop => &[TokenScheme::Dpop],
        }
    }

    /// The scheme whose challenge has the error: the one that the client used, if it is accepted.
    fn at_fault(&self, reason: Reason, used: Option<TokenScheme>) -> TokenScheme {
        match (self.schemes, reason) {
            (Schemes::Bearer, _) => TokenScheme::Bearer,
            (Schemes::Dpop, _) | (_, Reason::BoundTokenAsBearer) => TokenScheme::Dpop,
            (Schemes::Both, _) => used.unwrap_or(TokenScheme::Bearer),
        }
    }

    fn challenge(&self, scheme: TokenScheme, error: Option<&str>, refusal: &Refusal) -> String {
        let name = match scheme {
            TokenScheme::Bearer => "Bearer",
            TokenScheme::Dpop => "DPoP",
        };
        let mut text = format!("{name} {}", self.metadata);
        match refusal.scopes.as_ref().filter(|_| error.is_some()) {
            Some(scopes) => write_scope(&mut text, &self.prefixes.all_with_prefix(scopes)),
            None => write_scope(&mut text, &self.scopes),
        }
        if scheme == TokenScheme::Dpop {
            let _ = write!(text, ", algs=\"{}\"", self.algorithms);
        }
        if let Some(error) = error {
            let description = refusal.reason.row().description;
            let _ = write!(
                text,
                ", error=\"{error}\", error_description=\"{description}\""
            );
        }
        text
    }
}

/// `scope=""` is not grammatical: without scopes the parameter is left out.
fn write_scope(text: &mut String, scopes: &ScopeSet) {
    let scopes = scopes.without(OFFLINE_ACCESS);
    if !scopes.is_empty() {
        let _ = write!(text, ", scope=\"{scopes}\"");
    }
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
    use super::*;

    const URL: &str = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    fn challenger(scopes: &str, prefixes: &[String]) -> Challenger {
        Challenger::new(URL, &set(scopes), ScopePrefixes::new(prefixes).unwrap())
    }

    fn header(scopes: &str, refusal: impl Into<Refusal>) -> Option<String> {
        let values = challenger(scopes, &[]).headers(&refusal.into(), None);
        assert!(values.len() < 2);
        Some(values.first()?.to_str().unwrap().to_owned())
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
            let values = challenger.headers(&refusal, None);
            let value = values[0].to_str().unwrap();
            assert!(value.contains(expected), "{value:?}");
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
    fn each_scheme_that_is_accepted_has_a_challenge_and_the_error_stands_at_the_one_used() {
        use TokenScheme::{Bearer, Dpop};
        let bare = |scheme| format!("{scheme} resource_metadata=\"{URL}\", scope=\"a\"");
        let algorithms = ", algs=\"ES256 EdDSA\"";
        let error = |reason: Reason| {
            let row = reason.row();
            let (error, text) = (row.error, row.description);
            format!(", error=\"{error}\", error_description=\"{text}\"")
        };
        let (bearer, dpop) = (bare("Bearer"), bare("DPoP") + algorithms);
        for (schemes, reason, used, expected) in [
            (
                Schemes::Both,
                Reason::NoCredentials,
                None,
                vec![bearer.clone(), dpop.clone()],
            ),
            (
                Schemes::Both,
                Reason::Expired,
                Some(Bearer),
                vec![bearer.clone() + &error(Reason::Expired), dpop.clone()],
            ),
            (
                Schemes::Both,
                Reason::Expired,
                Some(Dpop),
                vec![bearer.clone(), dpop.clone() + &error(Reason::Expired)],
            ),
            (
                Schemes::Both,
                Reason::BoundTokenAsBearer,
                Some(Bearer),
                vec![
                    bearer.clone(),
                    dpop.clone() + &error(Reason::BoundTokenAsBearer),
                ],
            ),
            (
                Schemes::Both,
                Reason::InsufficientScope,
                Some(Dpop),
                vec![dpop.clone() + &error(Reason::InsufficientScope)],
            ),
            (
                Schemes::Both,
                Reason::TokenInQuery,
                None,
                vec![bearer.clone() + &error(Reason::TokenInQuery)],
            ),
            (
                Schemes::Dpop,
                Reason::NoCredentials,
                None,
                vec![dpop.clone()],
            ),
            (
                Schemes::Dpop,
                Reason::UnboundToken,
                Some(Bearer),
                vec![dpop.clone() + &error(Reason::UnboundToken)],
            ),
            (
                Schemes::Bearer,
                Reason::UnsupportedScheme,
                Some(Dpop),
                vec![bearer.clone()],
            ),
            (Schemes::Both, Reason::PolicyDenied, Some(Dpop), vec![]),
        ] {
            let challenger = challenger("a", &[]).with_schemes(schemes, &["ES256", "EdDSA"]);
            let found = challenger.headers(&reason.into(), used);
            assert_eq!(found, expected, "{schemes:?} {}", reason.label());
        }
    }

    #[test]
    fn a_url_cannot_close_the_quotes() {
        let challenger =
            Challenger::new("https://x/\"\\ \r\nä", &set(""), ScopePrefixes::default());
        let values = challenger.headers(&Reason::NoCredentials.into(), None);
        assert_eq!(
            values[0],
            "Bearer resource_metadata=\"https://x/%22%5C%20%0D%0A%C3%A4\""
        );
    }
}
