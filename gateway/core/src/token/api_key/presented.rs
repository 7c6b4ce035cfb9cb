//! Finds the one credential of a request where a resource accepts API keys in a header of their own, beside `Authorization`.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::text::is_api_key;
use crate::http::path::has_token;
use crate::refusal::challenge::TokenScheme;
use crate::refusal::reason::Reason;
use crate::token::bearer::{BearerToken, Presented, presented};

/// Which credentials a resource accepts beside a bearer token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepts<'a> {
    /// The header that may have an API key.
    pub key_header: Option<&'a HeaderName>,
    /// Whether the scheme DPoP counts (RFC 9449 §7.1).
    pub dpop: bool,
}

/// Finds exactly one credential of at most `max_bytes` bytes: a token in `Authorization`, or an API key in the header for it.
///
/// # Errors
/// As [`presented`]; [`Reason::MultipleCredentials`] where both are there, [`Reason::MalformedApiKey`] where the header has something else.
pub fn credential<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
    accepts: &Accepts<'_>,
    max_bytes: usize,
) -> Result<Presented<'a>, Reason> {
    let sent = accepts.key_header.map(|name| headers.get_all(name).iter());
    let mut lines = sent.into_iter().flatten();
    let Some(line) = lines.next() else {
        return presented(headers, query, max_bytes, accepts.dpop);
    };
    if query.is_some_and(has_token) {
        return Err(Reason::TokenInQuery);
    }
    if headers.contains_key(AUTHORIZATION) || lines.next().is_some() {
        return Err(Reason::MultipleCredentials);
    }
    let token = key(line, max_bytes)?;
    let scheme = TokenScheme::Bearer;
    Ok(Presented { token, scheme })
}

fn key(line: &HeaderValue, max_bytes: usize) -> Result<BearerToken<'_>, Reason> {
    let value = line.as_bytes().trim_ascii();
    if value.len() > max_bytes {
        return Err(Reason::TokenTooLarge);
    }
    // No key has a comma: an intermediary joined two lines (RFC 9110 §5.3).
    if value.contains(&b',') {
        return Err(Reason::MultipleCredentials);
    }
    let text = std::str::from_utf8(value).map_err(|_| Reason::MalformedApiKey)?;
    let key = BearerToken::parse(text, max_bytes).filter(|_| is_api_key(text));
    key.ok_or(Reason::MalformedApiKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: HeaderName = HeaderName::from_static("x-api-key");
    const KEY: &str = "mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp";

    fn accepts(key_header: Option<&HeaderName>) -> Accepts<'_> {
        Accepts {
            key_header,
            dpop: false,
        }
    }

    fn read(lines: &[(HeaderName, &str)], query: Option<&str>) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let found = credential(&headers, query, &accepts(Some(&NAME)), 100);
        found.map(|found| found.token.expose().to_owned())
    }

    #[test]
    fn one_credential_is_found_wherever_it_is() {
        let bearer = format!("Bearer {KEY}");
        let padded = format!("  {KEY} ");
        for lines in [
            &[(NAME, KEY)][..],
            &[(NAME, &*padded)],
            &[(AUTHORIZATION, &*bearer)],
        ] {
            assert_eq!(read(lines, None).as_deref(), Ok(KEY), "{lines:?}");
        }
        // Whether it is known, and in its form, is judged later.
        assert_eq!(read(&[(NAME, "mgw_x")], None).as_deref(), Ok("mgw_x"));
    }

    #[test]
    fn two_credentials_are_refused_even_if_they_are_equal() {
        let bearer = format!("Bearer {KEY}");
        let joined = format!("{KEY}, {KEY}");
        for lines in [
            &[(NAME, KEY), (AUTHORIZATION, &*bearer)][..],
            &[(NAME, KEY), (AUTHORIZATION, "Basic YTpi")],
            &[(NAME, KEY), (AUTHORIZATION, "")],
            &[(NAME, ""), (AUTHORIZATION, &*bearer)],
            &[(NAME, KEY), (NAME, KEY)],
            &[(NAME, &*joined)],
        ] {
            assert_eq!(
                read(lines, None),
                Err(Reason::MultipleCredentials),
                "{lines:?}"
            );
        }
        let query = Some("access_token=a");
        assert_eq!(read(&[(NAME, KEY)], query), Err(Reason::TokenInQuery));
    }

    #[test]
    fn the_header_has_nothing_but_an_api_key() {
        let bearer = format!("Bearer {KEY}");
        for value in [
            "",
            "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
            &*bearer,
            "secret",
            "mgw_ä",
            "mgw_a b",
        ] {
            assert_eq!(
                read(&[(NAME, value)], None),
                Err(Reason::MalformedApiKey),
                "{value}"
            );
        }
        let long = format!("mgw_{}", "a".repeat(97));
        assert_eq!(read(&[(NAME, &long)], None), Err(Reason::TokenTooLarge));
    }

    #[test]
    fn where_no_header_is_configured_it_is_not_a_credential() {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, HeaderValue::from_static(KEY));
        let found = credential(&headers, None, &accepts(None), 100);
        assert_eq!(found, Err(Reason::NoCredentials));
        headers.clear();
        let found = credential(&headers, None, &accepts(Some(&NAME)), 100);
        assert_eq!(found, Err(Reason::NoCredentials));
    }
}
