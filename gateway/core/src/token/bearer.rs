//! The access token, read from the `Authorization` header only (RFC 6750 §2.1, OAuth 2.1 §5.1), with the scheme by which it came: as a
//! bearer token, or with a proof of possession (RFC 9449 §7.1).

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap};

use crate::http::path::has_token;
use crate::refusal::challenge::TokenScheme;
use crate::refusal::reason::Reason;

/// A token as the client sent it: token68, within its size limit, not verified. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a [u8]);

impl<'a> BearerToken<'a> {
    /// A token of at most `max_bytes` bytes that stands elsewhere than in a header, such as in a form; `None` if it is not token68.
    pub fn parse(text: &'a str, max_bytes: usize) -> Option<Self> {
        if text.len() > max_bytes {
            return None;
        }
        is_token68(text.as_bytes()).then_some(Self(text.as_bytes()))
    }

    /// The token itself, only for verifying it.
    pub fn expose(&self) -> &'a str {
        // Token68 is ASCII.
        std::str::from_utf8(self.0).unwrap_or_default()
    }

    /// Its bytes, for the key of a cache. Unlike [`expose`](Self::expose), this does not read them.
    pub const fn expose_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken([redacted])")
    }
}

/// A token with its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented<'a> {
    /// The token.
    pub token: BearerToken<'a>,
    /// How it came.
    pub scheme: TokenScheme,
}

/// Finds exactly one bearer token of at most `max_bytes` bytes, where no other scheme is accepted.
///
/// # Errors
/// As [`presented`].
pub fn bearer<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
    max_bytes: usize,
) -> Result<BearerToken<'a>, Reason> {
    presented(headers, query, max_bytes, false).map(|presented| presented.token)
}

/// Finds exactly one token of at most `max_bytes` bytes. The scheme DPoP counts where it is accepted.
///
/// # Errors
/// [`Reason::NoCredentials`], [`Reason::UnsupportedScheme`], [`Reason::MultipleCredentials`],
/// [`Reason::TokenInQuery`], [`Reason::MalformedCredentials`] or [`Reason::TokenTooLarge`].
pub fn presented<'a>(
    headers: &'a HeaderMap,
    query: Option<&str>,
    max_bytes: usize,
    accepts_dpop: bool,
) -> Result<Presented<'a>, Reason> {
    if query.is_some_and(has_token) {
        return Err(Reason::TokenInQuery);
    }
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().ok_or(Reason::NoCredentials)?;
    if lines.next().is_some() {
        return Err(Reason::MultipleCredentials);
    }
    let (name, credentials) = split_scheme(line.as_bytes());
    let scheme = scheme(name).filter(|scheme| accepts_dpop || *scheme == TokenScheme::Bearer);
    let scheme = scheme.ok_or_else(|| refuse_scheme(name, credentials))?;
    // The size comes first: no work is done for a token that is too large.
    if credentials.len() > max_bytes {
        return Err(Reason::TokenTooLarge);
    }
    if !is_token68(credentials) {
        return Err(refuse_token(credentials));
    }
    Ok(Presented {
        token: BearerToken(credentials),
        scheme,
    })
}

/// The scheme that the client used, right or wrong.
pub fn named_scheme(headers: &HeaderMap) -> Option<TokenScheme> {
    let line = headers.get(AUTHORIZATION)?;
    scheme(split_scheme(line.as_bytes()).0)
}

fn scheme(name: &[u8]) -> Option<TokenScheme> {
    if name.eq_ignore_ascii_case(b"bearer") {
        return Some(TokenScheme::Bearer);
    }
    match name.eq_ignore_ascii_case(b"dpop") {
        true => Some(TokenScheme::Dpop),
        false => None,
    }
}

/// The scheme, and the text after the spaces that follow it. Spaces around the whole value have no meaning (RFC 9110 §5.5).
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let value = trim_spaces(value);
    let end = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    (scheme, trim_spaces(rest))
}

fn refuse_scheme(scheme: &[u8], credentials: &[u8]) -> Reason {
    let mut others = credentials.split(|byte| *byte == b',').skip(1);
    if others.any(|part| split_scheme(part).0.eq_ignore_ascii_case(b"bearer")) {
        return Reason::MultipleCredentials;
    }
    // There is no space between scheme and token, or there is a tab, or there is no scheme.
    let glued = scheme
        .get(..6)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"bearer"));
    if glued || !is_scheme(scheme) {
        return Reason::MalformedCredentials;
    }
    Reason::UnsupportedScheme
}

fn refuse_token(credentials: &[u8]) -> Reason {
    // token68 has no comma. This is a list of credentials that an intermediary joined (RFC 9110 §5.3).
    match credentials.contains(&b',') {
        true => Reason::MultipleCredentials,
        false => Reason::MalformedCredentials,
    }
}

/// `token` of RFC 9110 §5.6.2.
fn is_scheme(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// Whether this is `token68` of RFC 9110 §11.2: some characters, then padding.
fn is_token68(text: &[u8]) -> bool {
    let padded_from = text.iter().rposition(|byte| *byte != b'=');
    let unpadded = padded_from.and_then(|last| text.get(..=last));
    // Nearly every token has characters of base64url and dots alone, and they take fewer steps.
    unpadded.is_some_and(|text| is_base64url_or_dots(text) || text.iter().all(is_token68_byte))
}

const fn is_token68_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}

/// Whether these are only letters, digits, `-`, `_`, `.` and `/`, all of which token68 has.
fn is_base64url_or_dots(text: &[u8]) -> bool {
    // No early exit: tokens are long, every request has one, and without branches the compiler checks many bytes at once.
    0 == text.iter().fold(0, |beyond, byte| beyond | distance(*byte))
}

/// How far a byte is from these characters, in some measure; 0 for each of them and for no other byte.
fn distance(byte: u8) -> u8 {
    let letter = (byte | 0x20).wrapping_sub(b'a');
    // The dot and the slash are between the hyphen and the digits.
    let digit = byte.wrapping_sub(b'-');
    let beyond_letters = letter.saturating_sub(b'z' - b'a');
    let beyond_digits = digit.saturating_sub(b'9' - b'-');
    beyond_letters.min(beyond_digits).min(byte ^ b'_')
}

fn trim_spaces(text: &[u8]) -> &[u8] {
    let is_other = |byte: &u8| *byte != b' ';
    let start = text.iter().position(is_other).unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(is_other)
        .map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const LIMIT: usize = 32;

    fn read(lines: &[&[u8]], query: Option<&str>) -> Result<String, Reason> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line).unwrap());
        }
        bearer(&headers, query, LIMIT).map(|token| token.expose().to_owned())
    }

    #[test]
    fn token68_has_its_characters_and_no_others() {
        const CHARACTERS: &[u8] =
            b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/";
        for byte in 0..=u8::MAX {
            let is_one = CHARACTERS.contains(&byte);
            assert_eq!(is_token68_byte(&byte), is_one, "{byte}");
            let is_usual = is_one && !b"~+".contains(&byte);
            assert_eq!(distance(byte) == 0, is_usual, "{byte}");
            for length in [1, 15, 16, 17, 100] {
                for at in [0, length / 2, length - 1] {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let is_padding = byte == b'=' && at == length - 1 && length > 1;
                    assert_eq!(is_token68(&text), is_one || is_padding, "{byte} at {at}");
                }
            }
        }
        assert!(!is_token68(b"") && !is_token68(b"=") && !is_token68(b"=="));
    }

    #[test]
    fn one_authorization_line_gives_one_token_or_one_reason() {
        use Reason::{MalformedCredentials, MultipleCredentials, TokenTooLarge, UnsupportedScheme};
        for (line, expected) in [
            // 35: the scheme in any letter case.
            ("Bearer abc", Ok("abc")),
            ("bearer abc", Ok("abc")),
            ("BEARER abc", Ok("abc")),
            ("bEaReR abc", Ok("abc")),
            // 36: spaces.
            ("Bearer   abc", Ok("abc")),
            (" Bearer abc ", Ok("abc")),
            ("Bearer\tabc", Err(MalformedCredentials)),
            ("Bearer \tabc", Err(MalformedCredentials)),
            ("Bearer abc\t", Err(MalformedCredentials)),
            ("\tBearer abc", Err(MalformedCredentials)),
            ("Bearerabc", Err(MalformedCredentials)),
            ("Bearer", Err(MalformedCredentials)),
            ("Bearer ", Err(MalformedCredentials)),
            ("Bearer    ", Err(MalformedCredentials)),
            ("", Err(MalformedCredentials)),
            (" ", Err(MalformedCredentials)),
            // 37: token68.
            ("Bearer a-b.c_d~e+f/g0==", Ok("a-b.c_d~e+f/g0==")),
            ("Bearer abc def", Err(MalformedCredentials)),
            ("Bearer =abc", Err(MalformedCredentials)),
            ("Bearer a=b", Err(MalformedCredentials)),
            ("Bearer ==", Err(MalformedCredentials)),
            ("Bearer \"abc\"", Err(MalformedCredentials)),
            ("Bearer abc;x", Err(MalformedCredentials)),
            ("Bearer tökén", Err(MalformedCredentials)),
            ("Beärer abc", Err(MalformedCredentials)),
            // 38: other schemes.
            ("Basic YWxpY2U6c2VjcmV0", Err(UnsupportedScheme)),
            ("DPoP abc", Err(UnsupportedScheme)),
            ("Negotiate abc", Err(UnsupportedScheme)),
            ("Digest username=\"a\", realm=\"b\"", Err(UnsupportedScheme)),
            ("Bear abc", Err(UnsupportedScheme)),
            // 32: a pair joined by a comma.
            ("Bearer abc, Bearer abc", Err(MultipleCredentials)),
            ("Bearer abc,def", Err(MultipleCredentials)),
            ("Bearer abc,", Err(MultipleCredentials)),
            ("Basic YWxpY2U, bearer abc", Err(MultipleCredentials)),
            // 17: the limit, exactly.
            (
                "Bearer 12345678901234567890123456789012",
                Ok("12345678901234567890123456789012"),
            ),
            (
                "Bearer 123456789012345678901234567890123",
                Err(TokenTooLarge),
            ),
            (
                "Bearer .....................................",
                Err(TokenTooLarge),
            ),
        ] {
            assert_eq!(
                read(&[line.as_bytes()], None),
                expected.map(str::to_owned),
                "{line:?}"
            );
        }
    }

    #[test]
    fn the_scheme_dpop_counts_where_it_is_accepted() {
        use Reason::{MalformedCredentials, MultipleCredentials, TokenTooLarge, UnsupportedScheme};
        for (line, expected) in [
            ("DPoP abc", Ok(TokenScheme::Dpop)),
            ("dpop abc", Ok(TokenScheme::Dpop)),
            ("DPOP   a.b.c ", Ok(TokenScheme::Dpop)),
            ("Bearer abc", Ok(TokenScheme::Bearer)),
            ("DPoP", Err(MalformedCredentials)),
            ("DPoP a b", Err(MalformedCredentials)),
            ("DPoP abc, Bearer abc", Err(MultipleCredentials)),
            ("DPoP abc,", Err(MultipleCredentials)),
            ("DPoPabc", Err(UnsupportedScheme)),
            ("DPoP 123456789012345678901234567890123", Err(TokenTooLarge)),
            ("Basic abc", Err(UnsupportedScheme)),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
            let found = presented(&headers, None, LIMIT, true).map(|found| found.scheme);
            assert_eq!(found, expected, "{line:?}");
            if let Ok(scheme) = found {
                assert_eq!(named_scheme(&headers), Some(scheme));
            }
        }
    }

    #[test]
    fn bytes_outside_utf8_are_malformed() {
        assert_eq!(
            read(&[b"Bearer ab\xffc"], None),
            Err(Reason::MalformedCredentials)
        );
    }

    #[test]
    fn credentials_in_other_headers_do_not_count() {
        let mut headers = HeaderMap::new();
        for name in ["proxy-authorization", "x-access-token", "cookie"] {
            headers.insert(name, HeaderValue::from_static("Bearer abc"));
        }
        assert_eq!(
            bearer(&headers, Some("a=b"), LIMIT),
            Err(Reason::NoCredentials)
        );
    }

    #[test]
    fn two_authorization_lines_are_refused_even_if_they_are_equal() {
        for pair in [
            [b"Bearer a".as_slice(), b"Bearer a"],
            [b"Bearer a", b"Bearer b"],
            [b"Basic a", b"Bearer b"],
        ] {
            assert_eq!(read(&pair, None), Err(Reason::MultipleCredentials));
        }
    }

    #[test]
    fn a_token_in_the_query_is_refused_with_and_without_the_header() {
        for query in [
            "access_token=abc",
            "a=b&access_token=abc",
            "%61ccess_token=abc",
        ] {
            assert_eq!(read(&[], Some(query)), Err(Reason::TokenInQuery), "{query}");
            assert_eq!(
                read(&[b"Bearer abc"], Some(query)),
                Err(Reason::TokenInQuery),
                "{query}"
            );
        }
        assert_eq!(
            read(&[b"Bearer abc"], Some("token=abc")),
            Ok("abc".to_owned())
        );
    }

    #[test]
    fn debug_does_not_show_the_token() {
        assert_eq!(
            format!("{:?}", BearerToken(b"secret")),
            "BearerToken([redacted])"
        );
    }
}
