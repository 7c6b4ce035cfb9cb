//! Which reader sees a URI, why none can be trusted with it, and the scheme that all of them see.

/// Why a URI is refused where rules match URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriFault {
    /// `.` or `..` in the authority or path, encoded or not: readers resolve them at different times.
    #[error("the URI has dot segments")]
    DotSegments,
    /// A control character, encoded or not: some readers drop it, for others the text ends there.
    #[error("the URI has a control character")]
    Control,
    /// No URL parser reads it, and a rule is about URIs with a scheme.
    #[error("the URI cannot be parsed ({0})")]
    Unparsable(url::ParseError),
}

/// Which reader sees a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// The one that takes the text as it was sent.
    #[default]
    Sent,
    /// A URL parser.
    Parsed,
    /// The one that decodes it.
    Decoded,
    /// One that removes whitespace at its ends. For names that are not URIs.
    Trimmed,
}

/// The scheme, and what follows its colon (RFC 3986 §3.1).
pub(crate) fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}
