//! Host and port, as `Host`, `:authority`, URLs and the configuration name them (RFC 3986 §3.2, RFC 9110 §7.2).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::header::{HOST, HeaderMap};

use crate::refusal::reason::Reason;

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// From its name in lower case.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The default port (RFC 9110 §4.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A host in lower case and an optional port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

/// Why a text is not an [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The host is empty, too long, or has characters that host names do not have (a user name, for example).
    #[error("the host must be a host name or an IP address")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// The host ends with a dot, so it is another spelling of the same host.
    #[error("the host must not end with a dot")]
    TrailingDot,
}

impl Authority {
    /// From `host` or `host:port`. The host can be a name, an IPv4 address or an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let (host, port) = split(text);
        let host = if host.starts_with('[') {
            ipv6(host)?
        } else {
            name(host)?
        };
        Ok(Self {
            host,
            port: port.map(parse_port).transpose()?,
        })
    }

    /// The host, in lower case; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if it is given.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The port, or that of the scheme.
    pub const fn port_or_default(&self, scheme: Scheme) -> u16 {
        match self.port {
            Some(port) => port,
            None => scheme.default_port(),
        }
    }

    /// The same without the default port of the scheme, so that equal authorities are equal values.
    #[must_use]
    pub fn for_scheme(self, scheme: Scheme) -> Self {
        Self {
            port: self.port.filter(|port| *port != scheme.default_port()),
            ..self
        }
    }

    /// Whether the host can only be this machine: `localhost`, 127.0.0.0/8, ::1.
    pub fn is_loopback(&self) -> bool {
        let inner = self
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match inner {
            Some(address) => address
                .parse::<Ipv6Addr>()
                .is_ok_and(|address| address.is_loopback()),
            None => {
                self.host == "localhost"
                    || self
                        .host
                        .parse::<Ipv4Addr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.host),
            None => formatter.write_str(&self.host),
        }
    }
}

/// The host that a request is for: its `Host`, or `:authority` of HTTP/2 (`pseudo`). If both are present, they must agree (RFC
/// 9113 §8.3.1). The default port of the scheme is removed.
///
/// # Errors
/// [`Reason::BadFraming`] if it is missing, repeated, not an authority, or if both differ; [`Reason::Host`] if the host ends with
/// a dot.
#[inline(always)]
pub fn requested(
    headers: &HeaderMap,
    pseudo: Option<&str>,
    scheme: Scheme,
) -> Result<Authority, Reason> {
    let mut hosts = headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (host, None) => host
            .map(|host| host.to_str().map_err(|_| Reason::BadFraming))
            .transpose()?,
        _ => return Err(Reason::BadFraming),
    };
    let parse = |text| {
        Authority::parse(text)
            .map(|authority| authority.for_scheme(scheme))
            .map_err(refusal)
    };
    match (
        header.map(parse).transpose()?,
        pseudo.map(parse).transpose()?,
    ) {
        (Some(header), Some(pseudo)) if header != pseudo => Err(Reason::BadFraming),
        (header, pseudo) => pseudo.or(header).ok_or(Reason::BadFraming),
    }
}

/// RFC 9112 §3.2: an invalid `Host` is a bad request.
const fn refusal(error: AuthorityError) -> Reason {
    match error {
        AuthorityError::Host | AuthorityError::Port => Reason::BadFraming,
        AuthorityError::TrailingDot => Reason::Host,
    }
}

/// The longest host name, in bytes (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// Splits host and port at the colon after the host.
fn split(text: &str) -> (&str, Option<&str>) {
    let host_end = if text.starts_with('[') {
        text.find(']').map_or(0, |at| at + 1)
    } else {
        0
    };
    let rest = text.as_bytes().get(host_end..).unwrap_or_default();
    match rest.iter().position(|byte| *byte == b':') {
        Some(colon) => (
            text.get(..host_end + colon).unwrap_or_default(),
            text.get(host_end + colon + 1..),
        ),
        None => (text, None),
    }
}

fn ipv6(host: &str) -> Result<String, AuthorityError> {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let address: Option<Ipv6Addr> = address.and_then(|address| address.parse().ok());
    address
        .map(|address| format!("[{address}]"))
        .ok_or(AuthorityError::Host)
}

fn name(host: &str) -> Result<String, AuthorityError> {
    let labels = host.strip_suffix('.').unwrap_or(host).as_bytes();
    // Host names have no underscores, but many service names inside clusters do.
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let sound = host.len() <= MAX_NAME
        && labels
            .split(|byte| *byte == b'.')
            .all(|label| !label.is_empty() && label.iter().all(legal));
    match sound {
        true if host.ends_with('.') => Err(AuthorityError::TrailingDot),
        true => Ok(host.to_ascii_lowercase()),
        false => Err(AuthorityError::Host),
    }
}

fn parse_port(digits: &str) -> Result<u16, AuthorityError> {
    let plain = digits.len() <= 5
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .ok_or(AuthorityError::Port)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_authority_is_a_host_with_an_optional_port() {
        let cases = [
            ("mcp.example.com", "mcp.example.com", None),
            ("MCP.Example.COM:8443", "mcp.example.com", Some(8443)),
            ("localhost:1", "localhost", Some(1)),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[0:0:0:0:0:0:0:1]:9000", "[::1]", Some(9000)),
            ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
            ("task_server", "task_server", None),
            ("xn--gre-6ka8f.example", "xn--gre-6ka8f.example", None),
        ];
        for (text, host, port) in cases {
            let authority = Authority::parse(text).unwrap();
            assert_eq!((authority.host(), authority.port()), (host, port), "{text}");
            assert_eq!(
                Authority::parse(&authority.to_string()).unwrap(),
                authority,
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use AuthorityError::{Host, Port, TrailingDot};
        let long = "a".repeat(MAX_NAME + 1);
        let cases = [
            ("", Host),
            (":80", Host),
            (".", Host),
            ("..", Host),
            ("a..b", Host),
            (".a", Host),
            ("a.", TrailingDot),
            ("a.b.:80", TrailingDot),
            ("a..", Host),
            ("user@host", Host),
            ("user:pass@host", Port),
            ("a b", Host),
            (" a", Host),
            ("a\t", Host),
            ("a/b", Host),
            ("a?b", Host),
            ("a#b", Host),
            ("a,b", Host),
            ("a%2eb", Host),
            ("größe", Host),
            (&long, Host),
            ("[::1", Host),
            ("::1", Host),
            ("[::1]x", Host),
            ("[::1%25eth0]", Host),
            ("[127.0.0.1]", Host),
            ("[]", Host),
            ("a:", Port),
            ("a:0", Port),
            ("a:080", Port),
            ("a:65536", Port),
            ("a:+80", Port),
            ("a:80:80", Port),
            ("a: 80", Port),
            ("a:8o", Port),
            ("[::1]:", Port),
        ];
        for (text, error) in cases {
            assert_eq!(Authority::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_default_port_of_the_scheme_is_removed() {
        let normalised = |text, scheme| {
            Authority::parse(text)
                .unwrap()
                .for_scheme(scheme)
                .to_string()
        };
        assert_eq!(normalised("a:443", Scheme::Https), "a");
        assert_eq!(normalised("a:80", Scheme::Http), "a");
        assert_eq!(normalised("a:80", Scheme::Https), "a:80");
        assert_eq!(normalised("a:443", Scheme::Http), "a:443");
        assert_eq!(
            Authority::parse("a")
                .unwrap()
                .port_or_default(Scheme::Https),
            443
        );
        assert_eq!(
            Authority::parse("a:1")
                .unwrap()
                .port_or_default(Scheme::Https),
            1
        );
    }

    #[test]
    fn only_loopback_addresses_and_localhost_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:1",
        ] {
            assert!(Authority::parse(host).unwrap().is_loopback(), "{host}");
        }
        for host in [
            "localhost.example.com",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::ffff:7f00:1]",
            "127.1",
            "2130706433",
        ] {
            assert!(!Authority::parse(host).unwrap().is_loopback(), "{host}");
        }
    }

    #[test]
    fn the_requested_host_is_read_from_host_and_authority() {
        type Case<'a> = (&'a [&'a str], Option<&'a str>, Result<&'a str, Reason>);
        let cases: &[Case<'_>] = &[
            (&["mcp.example.com"], None, Ok("mcp.example.com")),
            (&["MCP.example.com:443"], None, Ok("mcp.example.com")),
            (&["mcp.example.com:80"], None, Ok("mcp.example.com:80")),
            (&[], Some("mcp.example.com"), Ok("mcp.example.com")),
            (
                &["mcp.example.com:443"],
                Some("mcp.EXAMPLE.com"),
                Ok("mcp.example.com"),
            ),
            (
                &["other.example.com"],
                Some("mcp.example.com"),
                Err(Reason::BadFraming),
            ),
            (
                &["mcp.example.com", "mcp.example.com"],
                None,
                Err(Reason::BadFraming),
            ),
            (&[], None, Err(Reason::BadFraming)),
            (&[""], None, Err(Reason::BadFraming)),
            (&["user@mcp.example.com"], None, Err(Reason::BadFraming)),
            (&["mcp.example.com, other"], None, Err(Reason::BadFraming)),
            (&["größe"], None, Err(Reason::BadFraming)),
            (&["mcp.example.com."], None, Err(Reason::Host)),
        ];
        for (hosts, pseudo, expected) in cases {
            let mut headers = HeaderMap::new();
            for host in *hosts {
                headers.append(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            let seen =
                requested(&headers, *pseudo, Scheme::Https).map(|authority| authority.to_string());
            assert_eq!(seen.as_deref(), expected.as_deref(), "{hosts:?} {pseudo:?}");
        }
    }
}
