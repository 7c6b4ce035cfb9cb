//! URLs that a client supplies and the server fetches: of its metadata document, of its key set.
//!
//! What is fetched is a [`ForeignUrl`]: that is the rule, here too, so that nothing is accepted that is then never fetched. Beyond it,
//! a client id is compared as a text, so every text that two readers could read differently is refused. Which address a name has
//! is judged after it was resolved, where the connection is made.

use mcp_gateway_core::http::outbound::foreign_url::{ForeignUrl, ForeignUrlError};
use url::Url;

/// The longest URL that is fetched for a client, in bytes. It is also the longest client id.
pub const MAX_FOREIGN_URL_BYTES: usize = 512;

/// Escapes that some readers decode before they look at the path.
const AMBIGUOUS: [&str; 3] = ["%2e", "%2f", "%5c"];

/// Why a URL is not fetched for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignUrlFault {
    /// Longer than [`MAX_FOREIGN_URL_BYTES`].
    #[error("is longer than {MAX_FOREIGN_URL_BYTES} bytes")]
    TooLong,
    /// Nothing is fetched from there.
    #[error("is not fetched: {0}")]
    NotFetched(#[from] ForeignUrlError),
    /// No URL parser reads it.
    #[error("is not a URL ({0})")]
    NotAUrl(url::ParseError),
    /// An encoded dot, slash or backslash.
    #[error("has an encoded dot, slash or backslash in its path")]
    EncodedSeparator,
    /// A URL parser writes it in another way, such as with small letters in the host.
    #[error("must be written as URL parsers write it: {0}")]
    NotCanonical(String),
}

/// Reads a URL that a client supplied.
///
/// # Errors
/// [`ForeignUrlFault`].
pub fn judge(text: &str) -> Result<Url, ForeignUrlFault> {
    if text.len() > MAX_FOREIGN_URL_BYTES {
        return Err(ForeignUrlFault::TooLong);
    }
    ForeignUrl::parse(text)?;
    let url = Url::parse(text).map_err(ForeignUrlFault::NotAUrl)?;
    let path = url.path().to_ascii_lowercase();
    if AMBIGUOUS.iter().any(|escape| path.contains(escape)) {
        return Err(ForeignUrlFault::EncodedSeparator);
    }
    if url.as_str() != text {
        return Err(ForeignUrlFault::NotCanonical(url.into()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_https_url_is_read() {
        for text in [
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://slack.com/.well-known/oauth-client-metadata",
            "https://example.com/client.json?v=1",
            "https://xn--bcher-kva.example/a%20b",
            "https://example.com/",
        ] {
            assert_eq!(judge(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use ForeignUrlError::{
            Address, Character, DotSegment, Fragment, Name, Path, Port, PrivateName, Scheme, User,
        };
        for (text, expected) in [
            ("http://example.com/a", Scheme),
            ("HTTPS://example.com/a", Scheme),
            (" https://example.com/a", Scheme),
            ("client.example", Scheme),
            ("https://u@example.com/a", User),
            ("https://u:p@example.com/a", User),
            ("https://:p@example.com/a", User),
            ("https://example.com:8443/a", Port),
            ("https://example.com:443/a", Port),
            ("https://example.com:/a", Port),
            ("https://example.com/a#", Fragment),
            ("https://example.com/a#b", Fragment),
            ("https://127.0.0.1/a", Address),
            ("https://2130706433/a", Address),
            ("https://0x7f.1/a", Address),
            ("https://[::1]/a", Address),
            ("https://[::ffff:10.0.0.1]/a", Address),
            ("https://169.254.169.254/latest", Address),
            ("https://localhost/a", PrivateName),
            ("https://localhost./a", Name),
            ("https://example.com./a", Name),
            ("https://intranet/a", PrivateName),
            ("https://db.internal/a", PrivateName),
            ("https://printer.local/a", PrivateName),
            ("https://a.localhost/a", PrivateName),
            ("https://1.0.0.127.in-addr.arpa/a", PrivateName),
            ("https://example.com/a/../b", DotSegment),
            ("https://example.com/a/%2E%2E/b", DotSegment),
            ("https://example.com/./b", DotSegment),
            ("https://example.com\\a", Character),
            ("https://example.com/a\n", Character),
            ("https://example.com/a b", Character),
            ("https://example.com", Path),
            ("https://", Name),
        ] {
            assert_eq!(judge(text), Err(expected.into()), "{text}");
        }
        for text in [
            "https://example.com/a/%2e%2e%2fb",
            "https://example.com/a%5Cb",
        ] {
            assert_eq!(
                judge(text),
                Err(ForeignUrlFault::EncodedSeparator),
                "{text}"
            );
        }
        let written = "https://example.com/a".to_owned();
        let capitals = judge("https://Example.com/a");
        assert_eq!(capitals, Err(ForeignUrlFault::NotCanonical(written)));
        let long = format!("https://example.com/{}", "a".repeat(MAX_FOREIGN_URL_BYTES));
        assert_eq!(judge(&long), Err(ForeignUrlFault::TooLong));
    }
}
