//! The prefix that an authorization server puts before the scopes of one resource. At Entra, clients ask for
//! `api://ID/tasks.read`, and its tokens say `tasks.read`; at Cognito, both have the prefix.
//!
//! Policies are written without it. It is added in challenges and metadata, and removed where a token has it. A token
//! whose scope lacks it grants the same: the token is for this resource already, as its audience says.

use std::borrow::Cow;

use crate::scope::{OFFLINE_ACCESS, ScopeSet};

/// Scopes that are addressed to the authorization server itself (OpenID Connect Core §3.1.2.1, §5.4, §11).
const OF_SERVER: [&str; 6] = [
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    OFFLINE_ACCESS,
];

/// The prefixes of the scopes of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopePrefixes(Vec<Box<str>>);

/// Why these texts cannot be prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopePrefixError {
    /// With a character that a scope cannot have, or empty.
    #[error(
        "a scope prefix has only printable ASCII characters without space, quote and backslash"
    )]
    NotAScopeToken,
    /// It ends with a letter or a digit, so the scope is not separated from it.
    #[error("a scope prefix ends with a separator, such as a slash")]
    NoSeparator,
    /// It begins with another one, so that a scope could lose either.
    #[error("a scope prefix cannot begin with another one of the resource")]
    Overlap,
}

impl ScopePrefixes {
    /// These prefixes. Challenges and metadata have the first; a token may have any of them.
    ///
    /// # Errors
    /// [`ScopePrefixError`], with the position of the prefix.
    pub fn new(prefixes: &[String]) -> Result<Self, (usize, ScopePrefixError)> {
        for (at, prefix) in prefixes.iter().enumerate() {
            if !ScopeSet::parse(prefix).is_ok_and(|set| set.len() == 1) {
                return Err((at, ScopePrefixError::NotAScopeToken));
            }
            if prefix.ends_with(|last: char| last.is_ascii_alphanumeric()) {
                return Err((at, ScopePrefixError::NoSeparator));
            }
            let mut earlier = prefixes.iter().take(at);
            if earlier.any(|other| prefix.starts_with(&**other) || other.starts_with(&**prefix)) {
                return Err((at, ScopePrefixError::Overlap));
            }
        }
        let prefixes = prefixes.iter().map(|prefix| Box::from(prefix.as_str()));
        Ok(Self(prefixes.collect()))
    }

    /// Whether there are none: then challenges and metadata name scopes as policies do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scope as clients ask for it.
    pub fn with_prefix<'a>(&self, scope: &'a str) -> Cow<'a, str> {
        match self.0.first() {
            Some(prefix) if takes_prefix(scope) => Cow::Owned(format!("{prefix}{scope}")),
            _ => Cow::Borrowed(scope),
        }
    }

    /// The scopes as clients ask for them.
    pub fn all_with_prefix<'a>(&self, scopes: &'a ScopeSet) -> Cow<'a, ScopeSet> {
        if self.is_empty() {
            return Cow::Borrowed(scopes);
        }
        let prefixed = ScopeSet::from_tokens(scopes.iter().map(|scope| self.with_prefix(scope)));
        prefixed.map_or(Cow::Borrowed(scopes), Cow::Owned)
    }

    /// The scope of a token as policies have it: without a prefix, if it has one.
    pub fn without_prefix<'a>(&self, granted: &'a str) -> &'a str {
        let rests = self
            .0
            .iter()
            .filter_map(|prefix| granted.strip_prefix(&**prefix));
        let mut own = rests.filter(|rest| !rest.is_empty() && takes_prefix(rest));
        own.next().unwrap_or(granted)
    }
}

/// Whether a scope belongs to the resource. Scopes of the authorization server do not, nor do those that are URIs: they name
/// their resource themselves.
fn takes_prefix(scope: &str) -> bool {
    !OF_SERVER.contains(&scope) && !scope.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRA: &str = "api://1111/";

    fn prefixes(texts: &[&str]) -> Result<ScopePrefixes, (usize, ScopePrefixError)> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        ScopePrefixes::new(&texts)
    }

    #[test]
    fn the_first_prefix_is_added_except_before_scopes_of_the_authorization_server() {
        let both = prefixes(&[ENTRA, "https://mcp.example.com/"]).unwrap();
        for (scope, expected) in [
            ("tasks.read", "api://1111/tasks.read"),
            (".default", "api://1111/.default"),
            ("openid", "openid"),
            ("offline_access", "offline_access"),
            ("email", "email"),
            ("emails", "api://1111/emails"),
            (
                "https://graph.example/User.Read",
                "https://graph.example/User.Read",
            ),
        ] {
            assert_eq!(both.with_prefix(scope), expected);
            assert_eq!(ScopePrefixes::default().with_prefix(scope), scope);
        }
        let set = ScopeSet::parse("tasks.write openid tasks.read").unwrap();
        let all = both.all_with_prefix(&set);
        assert_eq!(
            all.to_string(),
            "api://1111/tasks.read api://1111/tasks.write openid"
        );
    }

    #[test]
    fn a_token_may_have_any_prefix_once_or_none() {
        let both = prefixes(&[ENTRA, "https://mcp.example.com/"]).unwrap();
        for (granted, scope) in [
            ("tasks.read", "tasks.read"),
            ("api://1111/tasks.read", "tasks.read"),
            ("https://mcp.example.com/tasks.read", "tasks.read"),
            // Not this resource's.
            ("api://2222/tasks.read", "api://2222/tasks.read"),
            ("API://1111/tasks.read", "API://1111/tasks.read"),
            ("api://1111", "api://1111"),
            ("api://1111/", "api://1111/"),
            ("xapi://1111/tasks.read", "xapi://1111/tasks.read"),
            // Taken off once, and only what could have been added.
            (
                "api://1111/api://1111/tasks.read",
                "api://1111/api://1111/tasks.read",
            ),
            ("api://1111/openid", "api://1111/openid"),
        ] {
            assert_eq!(both.without_prefix(granted), scope);
            assert_eq!(ScopePrefixes::default().without_prefix(granted), granted);
        }
    }

    #[test]
    fn a_scope_with_its_prefix_is_read_back() {
        let own = prefixes(&[ENTRA]).unwrap();
        for scope in ["tasks.read", "openid", "a/b", "email", "x:y", "https://a/b"] {
            assert_eq!(own.without_prefix(&own.with_prefix(scope)), scope);
        }
    }

    #[test]
    fn a_prefix_ends_with_a_separator_and_is_no_beginning_of_another() {
        use ScopePrefixError::{NoSeparator, NotAScopeToken, Overlap};
        for (texts, expected) in [
            (&["api://1111"][..], (0, NoSeparator)),
            (&[""], (0, NotAScopeToken)),
            (&["a b/"], (0, NotAScopeToken)),
            (&["ü/"], (0, NotAScopeToken)),
            (&["api:", "api://1111/"], (1, Overlap)),
            (&["api://1111/", "api:"], (1, Overlap)),
            (&["api:", "api:"], (1, Overlap)),
        ] {
            assert_eq!(prefixes(texts), Err(expected), "{texts:?}");
        }
    }
}
