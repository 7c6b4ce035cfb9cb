//! The web page that sends a request (RFC 6454; MCP transports: servers must validate `Origin` against DNS rebinding). Pages of
//! browser extensions and of applications have origins too, with schemes of their own.

use std::fmt;
use std::str::FromStr;

use http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::authority::{Authority, AuthorityError, Scheme};
use crate::refusal::reason::Reason;

/// What sends a request: scheme, host and port of a web page, or scheme and host of an extension or an application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A website. The default port of the scheme is left out.
    Web(Scheme, Authority),
    /// A page of another scheme, such as `chrome-extension` or `tauri`: the scheme, and the host with any port, in lower case.
    Other(String, String),
}

/// Why a text is not an [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It does not begin with a scheme in lower case.
    #[error("an origin must begin with a scheme in lower case, such as https://")]
    Scheme,
    /// The rest is not a host with an optional port.
    #[error("an origin must be a scheme, a host and an optional port: {0}")]
    Authority(#[from] AuthorityError),
}

impl Origin {
    /// A website, from its parts.
    pub fn new(scheme: Scheme, authority: Authority) -> Self {
        Self::Web(scheme, authority.for_scheme(scheme))
    }

    /// From `scheme://host` or `scheme://host:port`, without path or slash.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, host) = text.split_once("://").ok_or(OriginError::Scheme)?;
        match Scheme::parse(scheme) {
            Some(scheme) => Ok(Self::new(scheme, Authority::parse(host)?)),
            None if !is_scheme(scheme) => Err(OriginError::Scheme),
            None if !is_host(scheme, host) => Err(AuthorityError::Host.into()),
            None => Ok(Self::Other(scheme.to_owned(), host.to_ascii_lowercase())),
        }
    }
}

/// A scheme in lower case (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(legal)
}

/// The host of another scheme: an id or a name, which needs not be a host name (`app://.`), perhaps with a port. Applications that
/// are loaded from files have none (`file://`).
fn is_host(scheme: &str, text: &str) -> bool {
    if Authority::parse(text).is_ok() || (scheme == "file" && text.is_empty()) {
        return true;
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    !host.is_empty()
        && host.bytes().all(legal)
        && !port.is_empty()
        && port.bytes().all(|digit| digit.is_ascii_digit())
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(scheme, authority) => write!(formatter, "{scheme}://{authority}"),
            Self::Other(scheme, host) => write!(formatter, "{scheme}://{host}"),
        }
    }
}

/// An entry of the list of allowed origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// This origin.
    One(Origin),
    /// Every host of this scheme (`moz-extension://*`), for ids that differ from installation to installation. Never `http` or
    /// `https`.
    EveryHost(String),
}

/// Why a text is not an [`AllowedOrigin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedOriginError {
    /// It would allow the pages of every website.
    #[error("must not have * in place of the host of a website")]
    EveryWebsite,
    /// It is not an origin.
    #[error(transparent)]
    Origin(#[from] OriginError),
}

impl AllowedOrigin {
    /// From an origin, or `scheme://*` for a scheme other than `http` and `https`.
    ///
    /// # Errors
    /// [`AllowedOriginError`].
    pub fn parse(text: &str) -> Result<Self, AllowedOriginError> {
        let scheme = text.strip_suffix("://*");
        match scheme {
            Some(scheme) if Scheme::parse(&scheme.to_ascii_lowercase()).is_some() => {
                Err(AllowedOriginError::EveryWebsite)
            }
            Some(scheme) if is_scheme(scheme) => Ok(Self::EveryHost(scheme.to_owned())),
            _ => Ok(Self::One(Origin::parse(text)?)),
        }
    }

    fn allows(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::One(own), origin) => own == origin,
            (Self::EveryHost(own), Origin::Other(scheme, _)) => own == scheme,
            (Self::EveryHost(_), Origin::Web(..)) => false,
        }
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(origin) => origin.fmt(formatter),
            Self::EveryHost(scheme) => write!(formatter, "{scheme}://*"),
        }
    }
}

/// The origins that may call a protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<AllowedOrigin>);

impl Origins {
    /// The gateway's own origin and those the configuration adds.
    pub fn new(own: Origin, mut allowed: Vec<AllowedOrigin>) -> Self {
        allowed.insert(0, AllowedOrigin::One(own));
        Self(allowed)
    }

    /// The origin of a request, as the response must repeat it; `None` if the request has none, because no browser sent it.
    ///
    /// # Errors
    /// [`Reason::Origin`] for any other, for `null`, and for more than one.
    pub fn judge<'h>(&self, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, Reason> {
        let mut values = headers.get_all(ORIGIN).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if self.allows(value) => Ok(Some(value)),
            _ => Err(Reason::Origin),
        }
    }

    /// The allowed origins, for the operator.
    pub fn accepted(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    fn allows(&self, value: &HeaderValue) -> bool {
        let origin = value
            .to_str()
            .ok()
            .and_then(|text| Origin::parse(text).ok());
        origin.is_some_and(|origin| self.0.iter().any(|allowed| allowed.allows(&origin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_an_optional_port() {
        let cases = [
            ("https://mcp.example.com", "https://mcp.example.com"),
            ("https://mcp.example.com:443", "https://mcp.example.com"),
            ("http://LocalHost:6274", "http://localhost:6274"),
            ("http://[::1]:80", "http://[::1]"),
            (
                "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
                "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
            ),
            (
                "safari-web-extension://E8A5C2F2-0001",
                "safari-web-extension://e8a5c2f2-0001",
            ),
            ("tauri://localhost", "tauri://localhost"),
            ("app://.", "app://."),
            ("app://-", "app://-"),
            ("capacitor://localhost:8100", "capacitor://localhost:8100"),
            ("ftp://a", "ftp://a"),
            ("app://[::1]:80", "app://[::1]:80"),
            ("file://", "file://"),
        ];
        for (text, expected) in cases {
            assert_eq!(Origin::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "null",
            "mcp.example.com",
            "HTTPS://a",
            "Tauri://localhost",
            "1app://a",
            "://a",
            "app://",
            "app:a",
            "app://a/",
            "app://a/b",
            "app://a?b",
            "app://a#b",
            "app://u@a",
            "app://a b",
            "app://a,app://b",
            "app://a:",
            "app://a:b",
            "app://:1",
            "app://a:1:2",
            "app://*",
            "app://a*",
            "app://ä",
            "file:///",
            "http://",
            "https:/a",
            "https://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://u:p@a",
            "https://a b",
            " https://a",
            "https://a ",
            "https://a https://b",
            "https://a,https://b",
            "https://*",
            "*",
            "https://a.",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    fn checked(values: &[&str]) -> Result<Option<String>, Reason> {
        let own = Origin::parse("https://mcp.example.com").unwrap();
        let listed = [
            "http://localhost:6274",
            "chrome-extension://abcdef",
            "moz-extension://*",
            "tauri://localhost",
        ];
        let listed = listed.map(|text| AllowedOrigin::parse(text).unwrap());
        let origins = Origins::new(own, listed.into());
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ORIGIN, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        origins
            .judge(&headers)
            .map(|value| value.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_request_without_an_origin_or_with_a_listed_one_is_allowed() {
        assert_eq!(checked(&[]), Ok(None));
        for origin in [
            "https://mcp.example.com",
            "https://mcp.example.com:443",
            "http://localhost:6274",
            "chrome-extension://abcdef",
            "chrome-extension://ABCDEF",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "moz-extension://1",
            "tauri://localhost",
        ] {
            assert_eq!(checked(&[origin]), Ok(Some(origin.to_owned())), "{origin}");
        }
    }

    #[test]
    fn every_other_origin_is_refused() {
        let cases: &[&[&str]] = &[
            &[""],
            &["null"],
            &["chrome-extension://abcdefg"],
            &["chrome-extension://abcdef:1"],
            &["moz-extension://"],
            &["moz-extension://*"],
            &["moz-extension://a/"],
            &["moz-extensions://a"],
            &["http://moz-extension"],
            &["tauri://localhost:1430"],
            &["http://tauri.localhost"],
            &["tauri://localhost", "tauri://localhost"],
            &["app://a"],
            &["file://"],
            &["http://mcp.example.com"],
            &["https://mcp.example.com:8443"],
            &["https://mcp.example.com.evil.example"],
            &["https://evil.mcp.example.com"],
            &["https://mcp.example.com@evil.example"],
            &["https://evil@mcp.example.com"],
            &["https://mcp.example.com/"],
            &["https://mcp.example.com."],
            &["https://mcp.example.com\u{e9}"],
            &["http://localhost"],
            &["http://localhost:6275"],
            &["http://127.0.0.1:6274"],
            &["https://mcp.example.com", "https://mcp.example.com"],
            &["https://mcp.example.com", "https://evil.example"],
            &["https://mcp.example.com https://evil.example"],
        ];
        for values in cases {
            assert_eq!(checked(values), Err(Reason::Origin), "{values:?}");
        }
    }

    #[test]
    fn every_host_is_allowed_only_for_schemes_that_websites_do_not_have() {
        for text in [
            "moz-extension://*",
            "vscode-webview://*",
            "app://*",
            "https://a",
        ] {
            let allowed = AllowedOrigin::parse(text).unwrap();
            assert_eq!(allowed.to_string(), text);
        }
        for text in ["https://*", "http://*", "HTTPS://*"] {
            let outcome = AllowedOrigin::parse(text);
            assert_eq!(outcome, Err(AllowedOriginError::EveryWebsite), "{text}");
        }
        for text in [
            "*",
            "null",
            "*://*",
            "://*",
            "https://*:443",
            "https://*.example.com",
            "https://a*",
            "moz-extension://a*",
            "moz-extension://*a",
            "moz-extension://*/",
            "moz-extension://*:1",
            "moz-extension:*",
            "Moz-Extension://*",
            "moz-*://a",
            " moz-extension://*",
        ] {
            let outcome = AllowedOrigin::parse(text);
            assert!(outcome.is_err(), "{text}");
        }
    }
}
