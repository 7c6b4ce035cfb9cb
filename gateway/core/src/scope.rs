//! Scopes as a set: what a token grants, what a call requires.

use std::fmt;

/// The scope by which a client asks its authorization server for a refresh token: never a scope of a resource (OpenID
/// Connect Core §11), so neither challenges nor metadata name it.
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Why a text is not a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Empty, or with a character outside RFC 6749 §3.3.
    #[error("a scope is one or more printable ASCII characters without space, quote and backslash")]
    NotAScopeToken,
}

/// A set of scope tokens (RFC 6749 §3.3), sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Vec<Box<str>>);

impl ScopeSet {
    /// Reads the wire form, tokens with one space between them. An empty text is the empty set.
    ///
    /// # Errors
    /// [`ScopeError`] when a token is not one.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::from_tokens(text.split(' '))
    }

    /// The set of these tokens.
    ///
    /// # Errors
    /// [`ScopeError`] when one of them is not a scope token.
    pub fn from_tokens<I>(tokens: I) -> Result<Self, ScopeError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut set = Vec::new();
        for token in tokens {
            let token = token.as_ref();
            if !is_scope_token(token) {
                return Err(ScopeError::NotAScopeToken);
            }
            set.push(Box::from(token));
        }
        Ok(Self::sorted(set))
    }

    /// The set of those among these texts that are scope tokens. A role with a space or an umlaut in its name can never
    /// be required, so leaving it out grants nothing.
    pub(crate) fn from_grants<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::sorted(
            texts
                .filter(|text| is_scope_token(text))
                .map(Box::from)
                .collect(),
        )
    }

    /// Whether this token is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.0
            .binary_search_by(|own| own.as_ref().cmp(token))
            .is_ok()
    }

    /// Whether every token of `other` is in the set.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|token| self.contains(token))
    }

    /// The tokens of both.
    pub fn union(&self, other: &Self) -> Self {
        Self::sorted(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// The tokens of this set that are not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|token| !other.contains(token))
                .cloned()
                .collect(),
        )
    }

    /// The set without this one token.
    pub fn without(&self, token: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|own| own.as_ref() != token)
                .cloned()
                .collect(),
        )
    }

    /// Whether it has no tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tokens it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The tokens in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    fn sorted(mut tokens: Vec<Box<str>>) -> Self {
        tokens.sort_unstable();
        tokens.dedup();
        Self(tokens)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

fn is_scope_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn a_set_is_sorted_and_holds_each_token_once() {
        assert_eq!(set("b a b").to_string(), "a b");
        assert_eq!(set("b a"), set("a b"));
        assert_eq!(set("").to_string(), "");
    }

    #[test]
    fn a_text_that_is_not_a_scope_token_is_refused() {
        for text in [
            " ", "a ", " a", "a  b", "a\tb", "a\"b", "a\\b", "ä", "a\u{7f}", "a\nb",
        ] {
            assert_eq!(
                ScopeSet::parse(text),
                Err(ScopeError::NotAScopeToken),
                "{text:?}"
            );
        }
        assert_eq!(
            ScopeSet::from_tokens(["a b"]),
            Err(ScopeError::NotAScopeToken)
        );
        assert_eq!(set("tasks:read https://api.example.com/x !#[]~").len(), 3);
    }

    #[test]
    fn set_operations() {
        let (read, both) = (set("read"), set("read write"));
        assert!(both.contains_all(&read) && !read.contains_all(&both));
        assert!(read.contains_all(&set("")));
        assert!(both.contains("write") && !both.contains("writ") && !both.contains("Write"));
        assert_eq!(read.union(&set("write read")), both);
        assert_eq!(both.difference(&read), set("write"));
        assert_eq!(both.without("write"), read);
        assert!(set("").is_empty() && !read.is_empty());
    }
}
