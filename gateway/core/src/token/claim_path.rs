//! Where a claim is: a member of the token, or of an object in it, such as `realm_access.roles` (Keycloak).

use std::fmt;

use crate::json::{self, Object};
use crate::refusal::reason::Reason;

/// The most names of one path.
const MAX_NAMES: usize = 8;

/// Registered claims that are texts, numbers or lists of texts in every token: nothing is below them (RFC 7519 §4.1,
/// RFC 8693 §4, RFC 9068 §2.2, OpenID Connect Core §2).
const NEVER_AN_OBJECT: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "scp",
    "client_id",
    "azp",
    "auth_time",
    "nonce",
    "acr",
];

/// Claims that are numbers.
const NUMBERS: [&str; 4] = ["exp", "nbf", "iat", "auth_time"];

/// A path to a claim; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    first: Box<str>,
    below: Vec<Box<str>>,
}

/// Why no token can have a text at a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimPathError {
    /// A name is missing, as in `a..b`.
    #[error("a name in the path of the claim is empty")]
    EmptyName,
    /// Nothing that deep is read.
    #[error("the path of the claim has more than {MAX_NAMES} names")]
    TooLong,
    /// The path goes through a claim that is no object.
    #[error("the claim `{0}` is never an object, so no claim is below it")]
    NotAnObject(Box<str>),
    /// The claim is a date.
    #[error("the claim `{0}` is a number")]
    Number(Box<str>),
}

impl ClaimPath {
    /// Reads a text: one name, or names with a dot between them. A text with a slash or a colon is one name, because names
    /// that are URIs have dots themselves (RFC 7519 §4.2).
    ///
    /// # Errors
    /// [`ClaimPathError`].
    pub fn parse(text: &str) -> Result<Self, ClaimPathError> {
        match text.contains(['/', ':']) {
            true => Self::of([text]),
            false => Self::of(text.split('.')),
        }
    }

    /// The path of exactly these names.
    ///
    /// # Errors
    /// [`ClaimPathError`].
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ClaimPathError> {
        let mut names = names.into_iter().map(Box::<str>::from);
        let first = names.next().ok_or(ClaimPathError::EmptyName)?;
        let below: Vec<_> = names.take(MAX_NAMES).collect();
        if first.is_empty() || below.iter().any(|name| name.is_empty()) {
            return Err(ClaimPathError::EmptyName);
        }
        if below.len() >= MAX_NAMES {
            return Err(ClaimPathError::TooLong);
        }
        if !below.is_empty() && NEVER_AN_OBJECT.contains(&&*first) {
            return Err(ClaimPathError::NotAnObject(first));
        }
        if NUMBERS.contains(&&*first) {
            return Err(ClaimPathError::Number(first));
        }
        Ok(Self { first, below })
    }

    /// A claim of the token itself, with exactly this name.
    pub fn named(name: &str) -> Self {
        Self {
            first: name.into(),
            below: Vec::new(),
        }
    }

    /// The name of the token's own member on the path.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// All names, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let below = self.below.iter().map(|name| &**name);
        std::iter::once(&*self.first).chain(below)
    }

    /// The raw value; none where a member on the way is missing or null.
    ///
    /// # Errors
    /// [`Reason::MalformedToken`] if the path goes through a value that is no object.
    pub(crate) fn find<'a>(&self, claims: &Object<'a>) -> Result<Option<&'a [u8]>, Reason> {
        let present =
            |object: &Object<'a>, name: &str| object.get(name).filter(|raw| raw != b"null");
        let mut found = present(claims, &self.first);
        for name in &self.below {
            let Some(raw) = found else { break };
            let object = json::object(raw).map_err(|_| Reason::MalformedToken)?;
            found = present(&object, name);
        }
        Ok(found)
    }
}

impl fmt::Display for ClaimPath {
    /// As [`ClaimPath::parse`] reads it, except that a name with dots stays as it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.below.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: &str = r#"{"scope":"a","realm_access":{"roles":["b"],"none":null},"https://example.com/roles":["c"],
        "a.b":"d","a":{"b":"e"},"resource_access":{"my-client":{"roles":["f"]},"my.client":{"roles":["g"]}},"empty":null,"text":"x"}"#;

    fn found(path: &ClaimPath) -> Result<Option<String>, Reason> {
        let claims = json::object(CLAIMS.as_bytes()).unwrap();
        let raw = path.find(&claims)?;
        Ok(raw.map(|raw| String::from_utf8(raw.to_vec()).unwrap()))
    }

    #[test]
    fn a_text_is_one_name_or_names_with_dots_between() {
        for (text, expected) in [
            ("scope", Ok(Some(r#""a""#))),
            ("realm_access.roles", Ok(Some(r#"["b"]"#))),
            ("resource_access.my-client.roles", Ok(Some(r#"["f"]"#))),
            ("https://example.com/roles", Ok(Some(r#"["c"]"#))),
            ("a.b", Ok(Some(r#""e""#))),
            ("resource_access.my.client.roles", Ok(None)),
            ("missing", Ok(None)),
            ("missing.roles", Ok(None)),
            ("realm_access.missing", Ok(None)),
            ("realm_access.none", Ok(None)),
            ("realm_access.none.roles", Ok(None)),
            ("empty", Ok(None)),
            ("empty.roles", Ok(None)),
            ("text.roles", Err(Reason::MalformedToken)),
            ("realm_access.roles.b", Err(Reason::MalformedToken)),
        ] {
            let path = ClaimPath::parse(text).unwrap();
            let expected = expected.map(|raw| raw.map(str::to_owned));
            assert_eq!((found(&path), path.to_string().as_str()), (expected, text));
        }
    }

    #[test]
    fn a_list_has_exact_names() {
        for (names, expected) in [
            (&["resource_access", "my.client", "roles"][..], r#"["g"]"#),
            (&["a.b"], r#""d""#),
            (&["a", "b"], r#""e""#),
            (&["https://example.com/roles"], r#"["c"]"#),
        ] {
            let path = ClaimPath::of(names.iter().copied()).unwrap();
            assert_eq!(found(&path), Ok(Some(expected.to_owned())), "{names:?}");
        }
    }

    #[test]
    fn a_path_that_no_token_can_have_is_refused() {
        use ClaimPathError::{EmptyName, NotAnObject, Number, TooLong};
        for (text, expected) in [
            ("", EmptyName),
            (".roles", EmptyName),
            ("realm_access.", EmptyName),
            ("realm_access..roles", EmptyName),
            ("scope.roles", NotAnObject("scope".into())),
            ("sub.id", NotAnObject("sub".into())),
            ("exp", Number("exp".into())),
            ("a.a.a.a.a.a.a.a.a", TooLong),
        ] {
            assert_eq!(ClaimPath::parse(text), Err(expected), "{text}");
        }
        assert_eq!(ClaimPath::of([]), Err(EmptyName));
        assert!(ClaimPath::parse("a.a.a.a.a.a.a.a").is_ok());
        // Its name has a colon, so it is not a path below `scope`.
        assert!(ClaimPath::parse("scope.x:y").is_ok());
    }
}
