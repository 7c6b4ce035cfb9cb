//! The client address of a request: the peer's address, or the one that a trusted proxy names in one configured header.
//!
//! The address is used for limits and logs. A permission depends on it only where a condition reads `client.address`.

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
}

/// The client of a request that came from the trusted proxy `peer`: the right-most address of the header that is not a trusted
/// proxy itself. Addresses to the left of it can be forged by the client and are not used. If that address is missing or
/// unreadable, the result is the peer.
pub fn forwarded_client(
    headers: &HeaderMap,
    header: ForwardedHeader,
    proxies: &Networks,
    peer: IpAddr,
) -> IpAddr {
    for field in headers.get_all(header.name()).iter().rev() {
        let Ok(mut rest) = field.to_str() else {
            return peer;
        };
        loop {
            let (before, last) = match header {
                ForwardedHeader::XForwardedFor => split_last(rest, ',', false),
                ForwardedHeader::Forwarded => split_last(rest, ',', true),
            };
            let named = match header {
                ForwardedHeader::XForwardedFor => node(last.trim()),
                ForwardedHeader::Forwarded => forwarded_for(last),
            };
            match named {
                Some(proxy) if proxies.contains(proxy) => {}
                Some(client) => return client,
                None => return peer,
            }
            let Some(before) = before else { break };
            rest = before;
        }
    }
    peer
}

/// The address that limits count: an IPv4 address itself, an IPv6 address by its /64, the smallest network of one site.
pub fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// The last part of a text, and the text before it. It is read from the right, so that an unclosed quote of a client cannot
/// hide what the proxy wrote after it.
fn split_last(text: &str, separator: char, quotes: bool) -> (Option<&str>, &str) {
    let mut quoted = false;
    for (at, found) in text.char_indices().rev() {
        if quotes && found == '"' {
            quoted = !quoted;
        } else if found == separator && !quoted {
            let (before, last) = text.split_at(at);
            return (
                Some(before),
                last.get(separator.len_utf8()..).unwrap_or_default(),
            );
        }
    }
    (None, text)
}

/// The address in the one `for` parameter of a forwarded element (RFC 7239 §4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = Some(element);
    while let Some(text) = rest {
        let (before, pair) = split_last(text, ';', true);
        rest = before;
        let (name, value) = pair.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(unquoted(value)?)?);
        }
    }
    found
}

/// A value without its quotes. Addresses need no escapes, so a value with one is not read.
fn unquoted(value: &str) -> Option<&str> {
    let inner = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    (!inner.contains(['"', '\\'])).then_some(inner)
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
        forwarded_client(&headers, header, &proxies, PEER.parse().unwrap()).to_string()
    }

    #[test]
    fn x_forwarded_for_names_the_right_most_address_that_is_not_a_trusted_proxy() {
        let cases: &[(&[&str], &str)] = &[
            (&[], PEER),
            (&[""], PEER),
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
            (&["10.1.1.1, 10.2.2.2"], PEER),
            // Text that the client puts first changes nothing.
            (&["\", ;, unknown, 198.51.100.7"], "198.51.100.7"),
            // An unreadable address from a proxy is not guessed.
            (&["6.6.6.6, unknown"], PEER),
            (&["6.6.6.6,"], PEER),
            (&["6.6.6.6, 198.51.100.7 extra"], PEER),
            (&["198.51.100.07"], PEER),
            (&["198.51.100"], PEER),
            (&["6.6.6.6, nobody, 10.2.2.2"], PEER),
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
            (&["for=198.51.100.7"], "198.51.100.7"),
            (&["For=\"198.51.100.7:80\";proto=https"], "198.51.100.7"),
            (&["proto=http;for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (
                &["for=6.6.6.6, for=198.51.100.7;by=10.0.0.1"],
                "198.51.100.7",
            ),
            (&["for=198.51.100.7, for=10.2.2.2"], "198.51.100.7"),
            (
                &["for=198.51.100.7;by=\"a,b;c\", for=10.2.2.2"],
                "198.51.100.7",
            ),
            (&["for=6.6.6.6", "for=198.51.100.7"], "198.51.100.7"),
            // An unclosed quote of a client hides nothing.
            (&["for=\"6.6.6.6, for=198.51.100.7"], "198.51.100.7"),
            (&["for=\"6.6.6.6", "for=198.51.100.7"], "198.51.100.7"),
            (&["for=unknown"], PEER),
            (&["for=_hidden"], PEER),
            (&["for=\"_hidden:80\""], PEER),
            (&["for=6.6.6.6;for=198.51.100.7"], PEER),
            (&["by=198.51.100.7"], PEER),
            (&["for = 198.51.100.7"], PEER),
            (&["for=198.51.100.7;"], PEER),
            (&["for=\"198.51.\\100.7\""], PEER),
            (&["198.51.100.7"], PEER),
        ];
        for (fields, expected) in cases {
            let found = client(ForwardedHeader::Forwarded, fields);
            assert_eq!(found, *expected, "{fields:?}");
        }
    }

    #[test]
    fn a_header_that_is_not_ascii_names_the_peer() {
        let mut headers = HeaderMap::new();
        let field = http::HeaderValue::from_bytes(b"198.51.100.7\xff").unwrap();
        headers.append("x-forwarded-for", field);
        let peer = PEER.parse().unwrap();
        let found = forwarded_client(
            &headers,
            ForwardedHeader::XForwardedFor,
            &Networks::default(),
            peer,
        );
        assert_eq!(found, peer);
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
            let counted = counted_as(address.parse().unwrap());
            assert_eq!(counted.to_string(), expected, "{address}");
        }
    }
}
