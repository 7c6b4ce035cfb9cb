//! The host of a URL that the gateway fetches, as a URL parser writes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A host: an address, or a name in lower case without a final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An IP address; one of IPv4 that is mapped into IPv6 is of IPv4.
    Address(IpAddr),
    /// A name, which the program that connects resolves: the gateway or a proxy.
    Name(String),
}

/// Networks that are not on the internet (IANA special-purpose registries): this host, private, shared and link-local
/// networks, and translations of IPv4. Clouds have the credentials of a machine in some of them (169.254.169.254).
const INTERNAL: [IpNet; 18] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([224, 0, 0, 0], 3),
    v6([0, 0, 0, 0], 96),
    v6([0x64, 0xff9b, 0, 0], 96),
    v6([0x64, 0xff9b, 1, 0], 48),
    v6([0x2001, 0, 0, 0], 23),
    v6([0x2002, 0, 0, 0], 16),
    v6([0xfc00, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0], 8),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d]: [u16; 4], prefix: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

impl Host {
    /// From the host of a URL; an IPv6 address is in brackets.
    pub fn parse(text: &str) -> Self {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let name = text.strip_suffix('.').unwrap_or(text);
        match inner.unwrap_or(name).parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(name.to_ascii_lowercase()),
        }
    }

    /// Whether this is always the machine of the program that connects: `localhost` and names below it (RFC 6761 §6.3), 127.0.0.0/8
    /// and ::1. A proxy would take it for itself.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Whether this is an address that is not on the internet. A name is not resolved.
    pub fn is_internal_address(&self) -> bool {
        let Self::Address(address) = self else {
            return false;
        };
        INTERNAL.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_never_another_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("issuer.localhost", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(Host::parse(host).is_loopback(), expected, "{host}");
        }
    }

    #[test]
    fn addresses_of_metadata_services_are_internal() {
        for (host, expected) in [
            ("169.254.169.254", true),
            ("169.254.169.254.", true),
            ("[::ffff:169.254.169.254]", true),
            ("[64:ff9b::a9fe:a9fe]", true),
            ("[2002:a9fe:a9fe::]", true),
            ("[fd00:ec2::254]", true),
            ("[fe80::1]", true),
            ("[::]", true),
            ("0.0.0.0", true),
            ("100.100.100.200", true),
            ("192.0.0.192", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("255.255.255.255", true),
            ("172.32.0.1", false),
            ("203.0.113.9", false),
            ("[2606:4700::1111]", false),
            ("metadata.example", false),
        ] {
            assert_eq!(Host::parse(host).is_internal_address(), expected, "{host}");
        }
    }
}
