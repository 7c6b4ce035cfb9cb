//! Path and query of a redirect URI: the same to every program, and without the parameters of the answer.

use url::form_urlencoded;

use super::{error::RedirectUriError, text::decoded};

/// Parameters of an answer (RFC 6749 §4.1.2, RFC 9207 §2). A redirect URI with one of them would make it stand there twice.
const OF_THE_ANSWER: &[&str] = &[
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
];

/// Refuses a path that a browser, a proxy or a server might turn into another one.
pub(super) fn check(path: &str) -> Result<(), RedirectUriError> {
    if let Some(character) = path
        .chars()
        .find(|character| matches!(character, '[' | ']'))
    {
        return Err(RedirectUriError::Character(character));
    }
    decoded(path)?;
    path.split('/').try_for_each(check_segment)?;
    let small = path.to_ascii_lowercase();
    let has = |escape| small.contains(escape);
    match () {
        () if has("%2e") => Err(RedirectUriError::EncodedDot),
        () if has("%2f") => Err(RedirectUriError::EncodedSlash),
        () if has("%5c") => Err(RedirectUriError::EncodedBackslash),
        () if has("%25") => Err(RedirectUriError::DoubleEncoding),
        () => Ok(()),
    }
}

fn check_segment(segment: &str) -> Result<(), RedirectUriError> {
    let segment = segment.to_ascii_lowercase().replace("%3b", ";");
    match segment.split_once(';') {
        None if matches!(segment.as_str(), "." | "..") => Err(RedirectUriError::DotSegment),
        Some(("." | "..", _)) => Err(RedirectUriError::DotSegmentWithParameter),
        _ => Ok(()),
    }
}

/// Refuses a query that the parameters of an answer cannot follow.
pub(super) fn check_query(query: &str) -> Result<(), RedirectUriError> {
    if let Some(character) = query
        .chars()
        .find(|character| matches!(character, '[' | ']'))
    {
        return Err(RedirectUriError::Character(character));
    }
    decoded(query)?;
    // Some servers separate parameters by semicolons as well.
    let pairs = query.split(['&', ';']);
    let names =
        pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).map(|(name, _)| name));
    let names = names.map(|name| name.trim().to_ascii_lowercase());
    let mut taken = names.filter(|name| OF_THE_ANSWER.contains(&name.as_str()));
    taken.next().map_or(Ok(()), |name| {
        Err(RedirectUriError::ResponseParameter(name))
    })
}
