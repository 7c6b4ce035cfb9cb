//! Schemes of redirect URIs: `https`, `http`, and private-use schemes that are listed (RFC 8252 §7.1).

use super::error::RedirectUriError;

/// Schemes that are never allowed, listed or not: they run code or show content of the sender's choice, read local things, or belong
/// to another protocol or program that gives the answer to somebody else.
const FORBIDDEN: &[&str] = &[
    "about",
    "afp",
    "android-app",
    "blob",
    "chrome",
    "chrome-extension",
    "cid",
    "content",
    "data",
    "dict",
    "edge",
    "file",
    "filesystem",
    "ftp",
    "ftps",
    "gopher",
    "imap",
    "intent",
    "irc",
    "jar",
    "javascript",
    "jnlp",
    "ldap",
    "ldaps",
    "livescript",
    "mailto",
    "market",
    "mhtml",
    "mocha",
    "moz-extension",
    "ms-msdt",
    "news",
    "nfs",
    "nntp",
    "resource",
    "rtsp",
    "safari-extension",
    "search-ms",
    "sftp",
    "shell",
    "sip",
    "sms",
    "smb",
    "ssh",
    "tel",
    "telnet",
    "tftp",
    "urn",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The private-use schemes that the program knows to be needed.
const SHIPPED: &[&str] = &["cursor"];

/// What redirect URIs are accepted beside https and http on loopback hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectRules {
    /// The private-use schemes, in small letters.
    pub private_schemes: Vec<String>,
    /// Where the authorization server itself is. No answer goes there: its own pages would get codes and errors.
    pub own: Option<OwnOrigin>,
}

/// An origin (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnOrigin {
    /// `https` or `http`.
    pub scheme: &'static str,
    /// The host, an IPv6 address with its brackets.
    pub host: String,
    /// The port, also where it is the default one.
    pub port: u16,
}

impl Default for RedirectRules {
    fn default() -> Self {
        let private_schemes = SHIPPED.iter().map(|scheme| (*scheme).to_owned());
        Self {
            private_schemes: private_schemes.collect(),
            own: None,
        }
    }
}

impl RedirectRules {
    /// Whether an operator may list a private-use scheme.
    ///
    /// # Errors
    /// Why not, as it would be said of a redirect URI with it; [`RedirectUriError::NoScheme`] where it is not a scheme at all.
    pub fn may_list(scheme: &str) -> Result<(), RedirectUriError> {
        if !is_scheme(scheme) {
            return Err(RedirectUriError::NoScheme);
        }
        check(scheme)?;
        if scheme.starts_with("http") {
            return Err(RedirectUriError::SchemeLooksLikeWeb(scheme.to_owned()));
        }
        Ok(())
    }

    /// Whether this scheme is http, https or listed.
    pub(super) fn check_listed(&self, scheme: &str) -> Result<(), RedirectUriError> {
        let is_listed = |scheme| self.private_schemes.iter().any(|listed| listed == scheme);
        if matches!(scheme, "https" | "http") || is_listed(scheme) {
            return Ok(());
        }
        Err(RedirectUriError::SchemeNotListed(scheme.to_owned()))
    }
}

/// The scheme of a URI and what follows the colon.
pub(super) fn split(text: &str) -> Result<(&str, &str), RedirectUriError> {
    let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::NoScheme)?;
    if !is_scheme(scheme) {
        return Err(RedirectUriError::NoScheme);
    }
    check(scheme)?;
    Ok((scheme, rest))
}

fn check(scheme: &str) -> Result<(), RedirectUriError> {
    let small = scheme.to_ascii_lowercase();
    if small != scheme {
        return Err(RedirectUriError::SchemeCase(scheme.to_owned()));
    }
    if FORBIDDEN.contains(&scheme) {
        return Err(RedirectUriError::SchemeForbidden(small));
    }
    if small.starts_with("http") && !matches!(scheme, "http" | "https") {
        return Err(RedirectUriError::SchemeLooksLikeWeb(small));
    }
    Ok(())
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_rest)
}

/// Whether a scheme is neither https nor http.
pub(super) fn is_private(scheme: &str) -> bool {
    !matches!(scheme, "https" | "http")
}
