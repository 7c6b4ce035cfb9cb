//! URLs that a client supplies and the server fetches: of its metadata document, of its key set.
//!
//! Text decides little here: which address a name has is judged after it was resolved, where the connection is made. What is
//! refused here is what no client with a published document needs, and every text that two readers could read differently.

use url::{Host, Url};

/// The longest URL that is fetched for a client, in bytes. It is also the longest client id.
pub const MAX_REMOTE_URL_BYTES: usize = 512;

/// Last labels of names that do not exist outside of one network or one machine (RFC 6761, RFC 6762, RFC 7686, RFC 8375).
const INTERNAL: [&str; 10] = [
    "arpa",
    "corp",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localhost",
    "onion",
];

/// Escapes that some readers decode before they look at the path.
const AMBIGUOUS: [&str; 3] = ["%2e", "%2f", "%5c"];

/// Why a URL is not fetched for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteUrlError {
    /// Longer than [`MAX_REMOTE_URL_BYTES`].
    #[error("is longer than {MAX_REMOTE_URL_BYTES} bytes")]
    TooLong,
    /// Not `https`.
    #[error("must begin with https://")]
    NotHttps,
    /// No URL parser reads it.
    #[error("is not a URL ({0})")]
    NotAUrl(url::ParseError),
    /// It has a user name or a password.
    #[error("has a user name or a password")]
    UserInfo,
    /// It has a fragment.
    #[error("has a fragment")]
    Fragment,
    /// Its host is an IP address.
    #[error("has an IP address as its host")]
    Address,
    /// Its host is not a public name.
    #[error("has a host that is not a public domain name")]
    InternalHost,
    /// An encoded dot, slash or backslash.
    #[error("has an encoded dot, slash or backslash in its path")]
    EncodedSeparator,
    /// A URL parser writes it in another way: dot segments, capitals in the host, a default port, blanks.
    #[error("must be written as URL parsers write it: {0}")]
    NotCanonical(String),
}

/// Reads a URL that a client supplied.
///
/// # Errors
/// [`RemoteUrlError`].
pub fn judge(text: &str) -> Result<Url, RemoteUrlError> {
    if text.len() > MAX_REMOTE_URL_BYTES {
        return Err(RemoteUrlError::TooLong);
    }
    if !text.starts_with("https://") {
        return Err(RemoteUrlError::NotHttps);
    }
    let url = Url::parse(text).map_err(RemoteUrlError::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RemoteUrlError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(RemoteUrlError::Fragment);
    }
    check_host(&url)?;
    let path = url.path().to_ascii_lowercase();
    if AMBIGUOUS.iter().any(|escape| path.contains(escape)) {
        return Err(RemoteUrlError::EncodedSeparator);
    }
    if url.as_str() != text {
        return Err(RemoteUrlError::NotCanonical(url.into()));
    }
    Ok(url)
}

fn check_host(url: &Url) -> Result<(), RemoteUrlError> {
    let Some(Host::Domain(name)) = url.host() else {
        return Err(RemoteUrlError::Address);
    };
    // A final dot leaves an empty last label.
    let last = name.rsplit_once('.').map(|(_, last)| last);
    match last {
        Some(last) if !last.is_empty() && !INTERNAL.contains(&last) => Ok(()),
        _ => Err(RemoteUrlError::InternalHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_https_url_is_read() {
        for text in [
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://slack.com/.well-known/oauth-client-metadata",
            "https://example.com:8443/client.json?v=1",
            "https://xn--bcher-kva.example/a%20b",
            "https://example.com/",
        ] {
            assert_eq!(judge(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        use RemoteUrlError::{
            Address, EncodedSeparator, Fragment, InternalHost, NotCanonical, NotHttps, UserInfo,
        };
        let not_canonical = |text: &str| NotCanonical(text.to_owned());
        for (text, expected) in [
            ("http://example.com/a", NotHttps),
            ("HTTPS://example.com/a", NotHttps),
            (" https://example.com/a", NotHttps),
            ("client.example", NotHttps),
            ("https://u@example.com/a", UserInfo),
            ("https://u:p@example.com/a", UserInfo),
            ("https://:p@example.com/a", UserInfo),
            ("https://example.com/a#", Fragment),
            ("https://example.com/a#b", Fragment),
            ("https://127.0.0.1/a", Address),
            ("https://2130706433/a", Address),
            ("https://0x7f.1/a", Address),
            ("https://[::1]/a", Address),
            ("https://[::ffff:10.0.0.1]/a", Address),
            ("https://169.254.169.254/latest", Address),
            ("https://localhost/a", InternalHost),
            ("https://localhost./a", InternalHost),
            ("https://example.com./a", InternalHost),
            ("https://intranet/a", InternalHost),
            ("https://db.internal/a", InternalHost),
            ("https://printer.local/a", InternalHost),
            ("https://a.localhost/a", InternalHost),
            ("https://1.0.0.127.in-addr.arpa/a", InternalHost),
            ("https://example.com/a/%2e%2e%2fb", EncodedSeparator),
            ("https://example.com/a%5Cb", EncodedSeparator),
            (
                "https://example.com/a/../b",
                not_canonical("https://example.com/b"),
            ),
            (
                "https://example.com/a/%2E%2e/b",
                not_canonical("https://example.com/b"),
            ),
            (
                "https://example.com/./b",
                not_canonical("https://example.com/b"),
            ),
            (
                "https://Example.com/a",
                not_canonical("https://example.com/a"),
            ),
            (
                "https://example.com:443/a",
                not_canonical("https://example.com/a"),
            ),
            (
                "https://example.com\\a",
                not_canonical("https://example.com/a"),
            ),
            (
                "https://example.com/a\n",
                not_canonical("https://example.com/a"),
            ),
            (
                "https://example.com/a b",
                not_canonical("https://example.com/a%20b"),
            ),
            ("https://example.com", not_canonical("https://example.com/")),
        ] {
            assert_eq!(judge(text), Err(expected), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_REMOTE_URL_BYTES));
        assert_eq!(judge(&long), Err(RemoteUrlError::TooLong));
        assert!(matches!(judge("https://"), Err(RemoteUrlError::NotAUrl(_))));
    }
}
