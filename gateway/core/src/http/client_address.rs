//! The client address of a request: the peer's address, or the one that a trusted proxy names in one configured header.
//!
//! The address is used for limits and logs. A permission depends on it only where a condition reads `client.address`. Where a
//! proxy names a client whose address cannot be read, the address is unknown. It is never the proxy's own, because a proxy is
//! trusted with more than its clients are.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Addresses and networks, as listed in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// These networks.
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether an address is in one of them. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The header in which trusted proxies name the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses; the nearest proxy adds the last one.
    XForwardedFor,
    /// `Forwarded` (RFC 7239). Only its `for` parameters are read.
    Forwarded,
}

impl ForwardedHeader {
    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }

    /// The address in one element of the field.
    fn address(self, element: &[u8]) -> Option<IpAddr> {
        let element = std::str::from_utf8(element).ok()?;
        match self {
            Self::XForwardedFor => node(element),
            Self::Forwarded => forwarded_for(element),
        }
    }
}

/// The client address of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// This address.
    Known(IpAddr),
    /// The request has a client whose address cannot be read. `peer` is who sent the request for it.
    Unknown {
        /// The proxy.
        peer: IpAddr,
    },
}

impl ClientAddress {
    /// The address, if it is known.
    pub const fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unknown { .. } => None,
        }
    }

    /// What limits count it under, unless it is exempt. An unknown address is never exempt.
    pub fn counted_unless(self, is_exempt: impl FnOnce(IpAddr) -> bool) -> Option<CountedAddress> {
        match self {
            Self::Known(address) if is_exempt(address) => None,
            _ => Some(self.counted()),
        }
    }

    /// What limits without exemptions count it under.
    pub fn counted(self) -> CountedAddress {
        match self {
            Self::Known(address) => CountedAddress::of(address),
            Self::Unknown { peer } => CountedAddress::UnknownBehind(peer.to_canonical()),
        }
    }
}

/// What limits per address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CountedAddress {
    /// An IPv4 address, or the first address of an IPv6 /64, the smallest network of one site.
    Site(IpAddr),
    /// All clients of this proxy whose address is unknown.
    UnknownBehind(IpAddr),
}

impl CountedAddress {
    /// An IPv4 address itself, an IPv6 address by its /64.
    pub fn of(address: IpAddr) -> Self {
        Self::Site(match address.to_canonical() {
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()
            }
            address => address,
        })
    }
}

/// The client of a request that came from the trusted proxy `peer`: the right-most address of the header that is not a trusted
/// proxy itself. What is to the left of it can be forged by the client and is not read.
///
/// Without the header the client is the peer. If that address is unreadable, or the header names nobody but trusted proxies,
/// the address is unknown.
pub fn forwarded_client(
    headers: &HeaderMap,
    header: ForwardedHeader,
    proxies: &Networks,
    peer: IpAddr,
) -> ClientAddress {
    let lines = headers.get_all(header.name());
    if lines.iter().next().is_none() {
        return ClientAddress::Known(peer);
    }
    // A comma separates elements also within quotes. So nothing that a client sent can become a part of what the proxy
    // appended, and an element with a quoted comma cannot be read.
    let elements = lines
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for element in elements {
        match header.address(element.trim_ascii()) {
            Some(proxy) if proxies.contains(proxy) => {}
            Some(client) => return ClientAddress::Known(client),
            None => break,
        }
    }
    ClientAddress::Unknown { peer }
}

/// The address in the one `for` parameter of a forwarded element (RFC 7239 §4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim_ascii().split_once('=')?;
        if !is_token(name) || !(is_token(value) || is_quoted(value)) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            // An address needs no escapes, so a value with one is not read.
            found = Some(node(value.trim_matches('"'))?);
        }
    }
    found
}

/// A token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// A quoted string (RFC 9110 §5.6.4).
fn is_quoted(text: &str) -> bool {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let Some(inner) = inner else { return false };
    let mut is_escaped = false;
    for byte in inner.bytes() {
        if byte == b'"' && !is_escaped {
            return false;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    !is_escaped
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
    };
    let address = text
        .parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.1";
    const UNKNOWN: &str = "unknown";

    fn networks(list: &[&str]) -> Networks {
        Networks::new(list.iter().map(|net| net.parse().unwrap()).collect())
    }

    fn client(header: ForwardedHeader, fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        // The other header is never read.
        let (own, other) = match header {
            ForwardedHeader::XForwardedFor => ("x-forwarded-for", "forwarded"),
            ForwardedHeader::Forwarded => ("forwarded", "x-forwarded-for"),
        };
        for field in fields {
            headers.append(own, field.parse().unwrap());
        }
        headers.append(other, "203.0.113.99".parse().unwrap());
        headers.append("x-real-ip", "203.0.113.98".parse().unwrap());
        let proxies = networks(&["10.0.0.0/8", "2001:db8:ffff::/48"]);
        match forwarded_client(&headers, header, &proxies, PEER.parse().unwrap()) {
            ClientAddress::Known(address) => address.to_string(),
            ClientAddress::Unknown { peer } => {
                assert_eq!(peer.to_string(), PEER);
                UNKNOWN.to_owned()
            }
        }
    }

    #[test]
    fn x_forwarded_for_names_the_right_most_address_that_is_not_a_trusted_proxy() {
        let cases: &[(&[&str], &str)] = &[
            (&[], PEER),
            (&[""], UNKNOWN),
            (&["198.51.100.7"], "198.51.100.7"),
            (&["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
            (&["6.6.6.6", "198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7 , 10.2.3.4"], "198.51.100.7"),
            (&["198.51.100.7", "10.2.3.4, 10.9.9.9"], "198.51.100.7"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:443"], "2001:db8::7"),
            (&["2001:db8::7, 2001:db8:ffff::1"], "2001:db8::7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, ::ffff:10.0.0.9"], "198.51.100.7"),
            // Addresses of proxies alone name no client.
            (&["10.1.1.1, 10.2.2.2"], UNKNOWN),
            // Text that the client puts first changes nothing.
            (&["\", ;, unknown, 198.51.100.7"], "198.51.100.7"),
            // An unreadable address from a proxy is not guessed.
            (&["6.6.6.6, unknown"], UNKNOWN),
            (&["6.6.6.6,"], UNKNOWN),
            (&["6.6.6.6, 198.51.100.7 extra"], UNKNOWN),
            (&["198.51.100.07"], UNKNOWN),
            (&["198.51.100"], UNKNOWN),
            (&["6.6.6.6, nobody, 10.2.2.2"], UNKNOWN),
        ];
        for (fields, expected) in cases {
            let found = client(ForwardedHeader::XForwardedFor, fields);
            assert_eq!(found, *expected, "{fields:?}");
        }
    }

    #[test]
    fn forwarded_names_the_right_most_for_that_is_not_a_trusted_proxy() {
        let cases: &[(&[&str], &str)] = &[
            (&[], PEER),
            (&[""], UNKNOWN),
            (&["for=198.51.100.7"], "198.51.100.7"),
            (&["For=\"198.51.100.7:80\";proto=https"], "198.51.100.7"),
            (&["proto=http;for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (
                &["for=6.6.6.6, for=198.51.100.7;by=10.0.0.1"],
                "198.51.100.7",
            ),
            (&["for=198.51.100.7, for=10.2.2.2"], "198.51.100.7"),
            (
                &["for=198.51.100.7;by=\"a=b\";host=\"a\\\"b\""],
                "198.51.100.7",
            ),
            // A quoted separator makes an element unreadable, because a client could have written it.
            (&["for=198.51.100.7;by=\"a,b\""], UNKNOWN),
            (&["for=198.51.100.7;by=\"a;b\""], UNKNOWN),
            (&["for=198.51.100.7;host=\"x, for=6.6.6.6\""], UNKNOWN),
            (
                &["for=198.51.100.7;host=\"x, for=6.6.6.6;a=\\\"\""],
                UNKNOWN,
            ),
            (&["for=198.51.100.7;host=\"x;for=6.6.6.6\""], UNKNOWN),
            // Nor can the client's quotes take in what the proxy wrote.
            (
                &["for=6.6.6.6;x=\", for=198.51.100.7;host=\"a\\\"b\""],
                "198.51.100.7",
            ),
            (&["for=6.6.6.6;x=\", for=198.51.100.7\""], UNKNOWN),
            (&["for=6.6.6.6", "for=198.51.100.7"], "198.51.100.7"),
            // An unclosed quote of a client hides nothing.
            (&["for=\"6.6.6.6, for=198.51.100.7"], "198.51.100.7"),
            (&["for=\"6.6.6.6", "for=198.51.100.7"], "198.51.100.7"),
            (&["for=unknown"], UNKNOWN),
            (&["for=_hidden"], UNKNOWN),
            (&["for=\"_hidden:80\""], UNKNOWN),
            (&["for=6.6.6.6;for=198.51.100.7"], UNKNOWN),
            (&["by=198.51.100.7"], UNKNOWN),
            (&["for = 198.51.100.7"], UNKNOWN),
            (&["for=198.51.100.7;"], UNKNOWN),
            (&["for=\"198.51.\\100.7\""], UNKNOWN),
            (&["198.51.100.7"], UNKNOWN),
        ];
        for (fields, expected) in cases {
            let found = client(ForwardedHeader::Forwarded, fields);
            assert_eq!(found, *expected, "{fields:?}");
        }
    }

    #[test]
    fn only_the_bytes_of_the_element_that_counts_are_judged() {
        let client = |line: &[u8]| {
            let mut headers = HeaderMap::new();
            let field = http::HeaderValue::from_bytes(line).unwrap();
            headers.append("x-forwarded-for", field);
            let (proxies, peer) = (networks(&["10.0.0.0/8"]), PEER.parse().unwrap());
            forwarded_client(&headers, ForwardedHeader::XForwardedFor, &proxies, peer)
        };
        let known = ClientAddress::Known("198.51.100.7".parse().unwrap());
        for line in [
            &b"\xe9, 198.51.100.7"[..],
            b"\xe9,\xff\xfe, 198.51.100.7, 10.2.2.2",
            b"\xe9,198.51.100.7",
        ] {
            assert_eq!(client(line), known, "{line:?}");
        }
        let peer = PEER.parse().unwrap();
        for line in [
            &b"198.51.100.7\xff"[..],
            b"198.51.100.7, \xe9",
            b"198.51.100.7, \xe9, 10.2.2.2",
        ] {
            assert_eq!(client(line), ClientAddress::Unknown { peer }, "{line:?}");
        }
    }

    #[test]
    fn an_unknown_address_is_counted_apart_and_is_never_exempt() {
        let address: IpAddr = PEER.parse().unwrap();
        let (known, unknown) = (
            ClientAddress::Known(address),
            ClientAddress::Unknown { peer: address },
        );
        assert_eq!((known.known(), unknown.known()), (Some(address), None));
        let counted = |client: ClientAddress, exempt| client.counted_unless(|_| exempt);
        assert_eq!(counted(known, true), None);
        assert_eq!(counted(known, false), Some(CountedAddress::Site(address)));
        for exempt in [true, false] {
            let expected = CountedAddress::UnknownBehind(address);
            assert_eq!(counted(unknown, exempt), Some(expected));
        }
    }

    #[test]
    fn an_ipv6_address_is_counted_by_its_64() {
        let cases = [
            ("198.51.100.7", "198.51.100.7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ];
        for (address, expected) in cases {
            let counted = CountedAddress::of(address.parse().unwrap());
            let expected = CountedAddress::Site(expected.parse().unwrap());
            assert_eq!(counted, expected, "{address}");
        }
    }
}
