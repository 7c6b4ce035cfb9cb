//! The PROXY protocol, version 2: the header that a trusted proxy sends first on a connection to name the client (the protocol's
//! specification, §2.2). Version 1, which is text, is refused.

use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

/// Bytes of the fixed part: signature, version and command, family, length of the rest.
pub const FIXED_LENGTH: usize = 16;

/// The most bytes after the fixed part: addresses, and the extensions that some load balancers add.
pub const MAX_REST: usize = 4096;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProxyHeaderError {
    /// It does not begin with the signature of version 2.
    #[error("expected a PROXY protocol header of version 2")]
    Signature,
    /// A command that is neither LOCAL nor PROXY, or another version.
    #[error("unknown PROXY protocol version or command")]
    Command,
    /// Not TCP over IPv4 or IPv6.
    #[error("unsupported address family: expected TCP over IPv4 or IPv6")]
    Family,
    /// Too short for its addresses, or longer than [`MAX_REST`].
    #[error("the header is too short for its addresses, or longer than {MAX_REST} bytes")]
    Length,
}

/// What the fixed part says about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    names: Names,
    rest: usize,
}

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Proxy,
    Nobody,
    V4,
    V6,
}

/// The source of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The proxy itself, as for a health check (LOCAL).
    Proxy,
    /// A client whose address the proxy does not name (PROXY with AF_UNSPEC).
    Unknown,
    /// A client.
    Client(SocketAddr),
}

impl ProxyHeader {
    /// Reads the fixed part.
    ///
    /// # Errors
    /// It is not version 2, or announces something that is not supported.
    pub fn read(fixed: &[u8; FIXED_LENGTH]) -> Result<Self, ProxyHeaderError> {
        let Some([command, family, high, low]) = fixed.strip_prefix(SIGNATURE) else {
            return Err(ProxyHeaderError::Signature);
        };
        let names = match (*command, *family) {
            (LOCAL, _) => Names::Proxy,
            (PROXY, UNSPECIFIED) => Names::Nobody,
            (PROXY, TCP_OVER_IPV4) => Names::V4,
            (PROXY, TCP_OVER_IPV6) => Names::V6,
            (PROXY, _) => return Err(ProxyHeaderError::Family),
            _ => return Err(ProxyHeaderError::Command),
        };
        let rest = usize::from(u16::from_be_bytes([*high, *low]));
        if rest > MAX_REST {
            return Err(ProxyHeaderError::Length);
        }
        Ok(Self { names, rest })
    }

    /// Bytes that follow the fixed part.
    pub const fn rest(&self) -> usize {
        self.rest
    }

    /// The source of the connection, from all bytes after the fixed part.
    ///
    /// # Errors
    /// [`ProxyHeaderError::Length`] if the addresses are not complete.
    pub fn source(&self, rest: &[u8]) -> Result<Source, ProxyHeaderError> {
        let source = match self.names {
            Names::Proxy => return Ok(Source::Proxy),
            Names::Nobody => return Ok(Source::Unknown),
            Names::V4 => source::<4>(rest),
            Names::V6 => source::<16>(rest),
        };
        source.map(Source::Client).ok_or(ProxyHeaderError::Length)
    }
}

/// Source address, destination address, source port, destination port. The extensions after them are not read.
fn source<const N: usize>(rest: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let (address, rest) = rest.split_first_chunk::<N>()?;
    let (_, rest) = rest.split_first_chunk::<N>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    rest.split_first_chunk::<2>()?;
    let address = IpAddr::from(*address).to_canonical();
    Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    fn parsed(bytes: &[u8]) -> Result<Source, ProxyHeaderError> {
        let (fixed, rest) = bytes.split_first_chunk().unwrap();
        let header = ProxyHeader::read(fixed)?;
        assert_eq!(header.rest(), rest.len());
        header.source(rest)
    }

    const V4: &[u8] = &[198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let mut rest = [0; 36];
        rest[..2].copy_from_slice(&[0x20, 0x01]);
        rest[15] = 7;
        rest[32..].copy_from_slice(&[0x12, 0x67, 0x01, 0xbb]);
        rest.to_vec()
    }

    #[test]
    fn clients_over_ipv4_and_ipv6_are_named() {
        let named = |name: &str| Ok(Source::Client(name.parse().unwrap()));
        assert_eq!(parsed(&header(0x21, 0x11, V4)), named("198.51.100.7:4711"));
        assert_eq!(parsed(&header(0x21, 0x21, &v6())), named("[2001::7]:4711"));
        let with_extensions = [V4, &[0x04, 0, 1, 0]].concat();
        assert_eq!(
            parsed(&header(0x21, 0x11, &with_extensions)),
            named("198.51.100.7:4711")
        );
    }

    #[test]
    fn a_connection_of_the_proxy_itself_is_told_from_one_of_an_unnamed_client() {
        assert_eq!(parsed(&header(0x20, 0x00, &[])), Ok(Source::Proxy));
        assert_eq!(parsed(&header(0x20, 0x11, V4)), Ok(Source::Proxy));
        let unnamed = header(0x21, 0x00, &[1, 2, 3]);
        assert_eq!(parsed(&unnamed), Ok(Source::Unknown));
    }

    #[test]
    fn everything_else_is_refused() {
        use ProxyHeaderError::{Command, Family, Length, Signature};
        let mut other_signature = header(0x21, 0x11, V4);
        other_signature[11] = b'\r';
        let cases = [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n".to_vec(), Signature),
            (b"POST /mcp HTTP/1.1\r\n".to_vec(), Signature),
            (vec![0x16; 32], Signature),
            (other_signature, Signature),
            (header(0x11, 0x11, V4), Command),
            (header(0x22, 0x11, V4), Command),
            (header(0x21, 0x12, V4), Family),
            (header(0x21, 0x31, &[0; 216]), Family),
            (header(0x21, 0x13, V4), Family),
            (header(0x21, 0x11, &V4[..11]), Length),
            (header(0x21, 0x21, V4), Length),
            (header(0x20, 0x00, &vec![0; MAX_REST + 1]), Length),
        ];
        for (bytes, expected) in cases {
            assert_eq!(parsed(&bytes), Err(expected), "{bytes:?}");
        }
        let longest = header(0x20, 0x00, &vec![0; MAX_REST]);
        assert_eq!(parsed(&longest), Ok(Source::Proxy));
    }
}
