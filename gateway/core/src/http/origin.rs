//! The web page that sends a request (RFC 6454; MCP transports: servers must validate `Origin` against DNS rebinding).

use std::fmt;
use std::str::FromStr;

use http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::authority::{Authority, AuthorityError, Scheme};
use crate::refusal::reason::Reason;

/// Scheme, host and port of a web page, without the default port of the scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
}

/// Why a text is not an [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It does not begin with `http://` or `https://`.
    #[error("an origin must begin with http:// or https://")]
    Scheme,
    /// The rest is not a host with an optional port.
    #[error("an origin must be a scheme, a host and an optional port: {0}")]
    Authority(#[from] AuthorityError),
}

impl Origin {
    /// From its parts.
    pub fn new(scheme: Scheme, authority: Authority) -> Self {
        Self {
            scheme,
            authority: authority.for_scheme(scheme),
        }
    }

    /// From `scheme://host` or `scheme://host:port`, without path or slash.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, authority) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(OriginError::Scheme)?;
        Ok(Self::new(scheme, Authority::parse(authority)?))
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority)
    }
}

/// The origins that may call a protected resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

impl Origins {
    /// The gateway's own origin and those the configuration adds.
    pub fn new(own: Origin, mut allowed: Vec<Origin>) -> Self {
        allowed.insert(0, own);
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

    fn allows(&self, value: &HeaderValue) -> bool {
        let origin = value
            .to_str()
            .ok()
            .and_then(|text| Origin::parse(text).ok());
        origin.is_some_and(|origin| self.0.contains(&origin))
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
        ];
        for (text, expected) in cases {
            assert_eq!(Origin::parse(text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "null",
            "mcp.example.com",
            "ftp://a",
            "HTTPS://a",
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
        let origins = Origins::new(own, vec![Origin::parse("http://localhost:6274").unwrap()]);
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
        ] {
            assert_eq!(checked(&[origin]), Ok(Some(origin.to_owned())), "{origin}");
        }
    }

    #[test]
    fn every_other_origin_is_refused() {
        let cases: &[&[&str]] = &[
            &[""],
            &["null"],
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
}
