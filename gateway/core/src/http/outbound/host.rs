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
/// networks, examples, and translations and tunnels of IPv4. Clouds have the credentials of a machine in some of them
/// (169.254.169.254). Of IPv6, all but 2000::/3 is left out: no other part has addresses of the internet.
const INTERNAL: [IpNet; 21] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 3),
    v6([0, 0, 0, 0], 3),
    v6([0x2001, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0], 32),
    v6([0x2002, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0], 20),
    v6([0x4000, 0, 0, 0], 2),
    v6([0x8000, 0, 0, 0], 1),
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
        is_internal(*address)
    }
}

fn is_internal(address: IpAddr) -> bool {
    INTERNAL.iter().any(|network| network.contains(&address))
}

/// An address on the internet: the only kind that is connected to for a URL that a stranger chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicAddress(IpAddr);

impl PublicAddress {
    /// All addresses of a name. One that is not on the internet refuses them all: an answer that mixes them is how a stranger
    /// gets the gateway to connect to its own network.
    ///
    /// # Errors
    /// The first address that is not on the internet.
    pub fn all(found: &[IpAddr]) -> Result<Vec<Self>, IpAddr> {
        let judged = found.iter().map(|address| match address.to_canonical() {
            address if is_internal(address) => Err(address),
            address => Ok(Self(address)),
        });
        judged.collect()
    }

    /// The address.
    pub const fn get(self) -> IpAddr {
        self.0
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
            ("192.0.2.9", true),
            ("192.88.99.1", true),
            ("198.19.255.255", true),
            ("198.51.100.9", true),
            ("203.0.113.9", true),
            ("224.0.0.251", true),
            ("[::127.0.0.1]", true),
            ("[::8.8.8.8]", true),
            ("[::ffff:0:127.0.0.1]", true),
            ("[64:ff9b::8.8.8.8]", true),
            ("[64:ff9b:1::7f00:1]", true),
            ("[100::1]", true),
            ("[2001::1]", true),
            ("[2001:10::1]", true),
            ("[2001:db8::1]", true),
            ("[3fff::1]", true),
            ("[5f00::1]", true),
            ("[fec0::1]", true),
            ("[ff02::1]", true),
            ("172.32.0.1", false),
            ("8.8.8.8", false),
            ("192.0.1.1", false),
            ("[::ffff:8.8.8.8]", false),
            ("[2001:200::1]", false),
            ("[2001:4860:4860::8888]", false),
            ("[3ffe::1]", false),
            ("[2606:4700::1111]", false),
            ("metadata.example", false),
        ] {
            assert_eq!(Host::parse(host).is_internal_address(), expected, "{host}");
        }
    }

    #[test]
    fn one_internal_address_refuses_all_addresses_of_a_name() {
        let judge = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> =
                addresses.iter().map(|text| text.parse().unwrap()).collect();
            let judged = PublicAddress::all(&addresses);
            judged
                .map(|all| {
                    all.iter()
                        .map(|one| one.get().to_string())
                        .collect::<Vec<_>>()
                })
                .map_err(|address| address.to_string())
        };
        let public = ["8.8.8.8", "2001:4860:4860::8888"];
        assert_eq!(judge(&public), Ok(public.map(str::to_owned).to_vec()));
        assert_eq!(judge(&["::ffff:8.8.8.8"]), Ok(vec!["8.8.8.8".to_owned()]));
        assert_eq!(judge(&[]), Ok(Vec::new()));
        for (found, internal) in [
            (&["8.8.8.8", "127.0.0.1"][..], "127.0.0.1"),
            (&["10.0.0.1", "8.8.8.8"], "10.0.0.1"),
            (&["8.8.8.8", "::ffff:10.0.0.1"], "10.0.0.1"),
            (
                &["2001:4860:4860::8888", "64:ff9b::a9fe:a9fe"],
                "64:ff9b::a9fe:a9fe",
            ),
        ] {
            assert_eq!(judge(found), Err(internal.to_owned()), "{found:?}");
        }
    }
}
