//! Destinations that are reached without the forward proxy (`no_proxy`).
//!
//! An entry is a name (`keys.example.com`: this host and all below it), the end of a name (`.example.com`: only hosts below
//! it), an address or a network (`10.0.0.0/8`), each but a network with an optional port. Names are compared as names: an
//! address or network never matches a name, because names are not resolved for it.

use std::net::IpAddr;

use ipnet::IpNet;
use thiserror::Error;

use super::host::Host;
use crate::http::authority::Authority;

/// The destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<NoProxyEntry>);

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoProxyEntry {
    hosts: Hosts,
    /// Only this port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// These addresses.
    Network(IpNet),
    /// This name and all below it.
    Domain(String),
    /// All names that end with this, which begins with a dot.
    Below(String),
}

/// Why an entry is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoProxyError {
    /// It matches every destination.
    #[error("must not match every host")]
    Everything,
    /// Bits are set after the prefix of a network.
    #[error("must not have bits set after its prefix: the network is {0}")]
    HostBits(IpNet),
    /// None of the forms.
    #[error("must be a host name, the end of one, an IP address or a network")]
    Form,
}

impl NoProxy {
    /// These entries.
    pub const fn new(entries: Vec<NoProxyEntry>) -> Self {
        Self(entries)
    }

    /// Whether a destination is reached without the proxy.
    pub fn contains(&self, host: &Host, port: u16) -> bool {
        self.0.iter().any(|entry| entry.matches(host, port))
    }
}

impl NoProxyEntry {
    /// From its text.
    ///
    /// # Errors
    /// [`NoProxyError`].
    pub fn parse(text: &str) -> Result<Self, NoProxyError> {
        if text.trim_start_matches(['*', '.']).is_empty() {
            return Err(NoProxyError::Everything);
        }
        if let Some(network) = network(text)? {
            return Ok(Self {
                hosts: Hosts::Network(network),
                port: None,
            });
        }
        let below = text.strip_prefix('*').unwrap_or(text).strip_prefix('.');
        let authority = Authority::parse(below.unwrap_or(text)).map_err(|_| NoProxyError::Form)?;
        let hosts = match (Host::parse(authority.host()), below) {
            (Host::Address(address), None) => Hosts::Network(address.into()),
            (Host::Address(_), Some(_)) => return Err(NoProxyError::Form),
            (Host::Name(name), None) => Hosts::Domain(name),
            (Host::Name(name), Some(_)) => Hosts::Below(format!(".{name}")),
        };
        Ok(Self {
            hosts,
            port: authority.port(),
        })
    }

    fn matches(&self, host: &Host, port: u16) -> bool {
        let is_host = match (&self.hosts, host) {
            (Hosts::Network(network), Host::Address(address)) => network.contains(address),
            (Hosts::Domain(domain), Host::Name(name)) => {
                let rest = name.strip_suffix(domain.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Hosts::Below(end), Host::Name(name)) => name.ends_with(end),
            _ => false,
        };
        is_host && self.port.is_none_or(|own| own == port)
    }
}

fn network(text: &str) -> Result<Option<IpNet>, NoProxyError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Some(address.to_canonical().into()));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return Ok(None);
    };
    if network.prefix_len() == 0 {
        return Err(NoProxyError::Everything);
    }
    if network.addr() != network.network() {
        return Err(NoProxyError::HostBits(network.trunc()));
    }
    Ok(Some(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(entry: &str, host: &str, port: u16) -> bool {
        let entry = NoProxyEntry::parse(entry).unwrap();
        NoProxy::new(vec![entry]).contains(&Host::parse(host), port)
    }

    #[test]
    fn entries_match_names_ends_addresses_and_networks() {
        for (entry, host, expected) in [
            ("keys.example.com", "keys.example.com", true),
            ("keys.example.com", "KEYS.Example.com.", true),
            ("Keys.Example.COM", "keys.example.com", true),
            ("keys.example.com", "eu.keys.example.com", true),
            ("keys.example.com", "monkeys.example.com", false),
            ("keys.example.com", "keys.example.com.evil.example", false),
            (".example.com", "keys.example.com", true),
            (".example.com", "example.com", false),
            ("*.example.com", "keys.example.com", true),
            ("*.example.com", "example.com", false),
            (".svc", "kubernetes.default.svc", true),
            ("localdomain", "localdomain", true),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            // Names are not resolved.
            ("10.0.0.0/8", "10.example.com", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "[::ffff:192.0.2.7]", true),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.70", false),
            ("2001:db8::/32", "[2001:db8::9]", true),
            ("2001:db8::9", "[2001:db8::9]", true),
            ("[2001:db8::9]", "[2001:db8:0::9]", true),
            ("2001:db8::9", "[2001:db8::8]", false),
        ] {
            assert_eq!(matches(entry, host, 443), expected, "{entry} {host}");
        }
    }

    #[test]
    fn an_entry_with_a_port_matches_only_that_port() {
        for (entry, host) in [
            ("keys.example.com:8443", "keys.example.com"),
            (".example.com:8443", "keys.example.com"),
            ("192.0.2.7:8443", "192.0.2.7"),
            ("[2001:db8::9]:8443", "[2001:db8::9]"),
        ] {
            assert!(matches(entry, host, 8443), "{entry}");
            assert!(!matches(entry, host, 443), "{entry}");
        }
    }

    #[test]
    fn an_entry_of_another_form_is_an_error() {
        for (entry, expected) in [
            ("*", NoProxyError::Everything),
            (".", NoProxyError::Everything),
            ("*.", NoProxyError::Everything),
            ("0.0.0.0/0", NoProxyError::Everything),
            ("::/0", NoProxyError::Everything),
            ("", NoProxyError::Everything),
            (
                "10.0.0.1/8",
                NoProxyError::HostBits("10.0.0.0/8".parse().unwrap()),
            ),
            ("https://keys.example.com", NoProxyError::Form),
            ("keys.*.com", NoProxyError::Form),
            (".10.0.0.1", NoProxyError::Form),
            ("10.0.0.0/33", NoProxyError::Form),
            ("keys.example.com:0x1", NoProxyError::Form),
        ] {
            assert_eq!(NoProxyEntry::parse(entry), Err(expected), "{entry}");
        }
    }
}
