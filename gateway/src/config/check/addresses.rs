//! Addresses and networks: the proxies that are trusted to name the client's address, and the clients that are exempt from
//! limits per address.

use std::net::IpAddr;

use ipnet::IpNet;
use mcp_gateway_core::http::client_address::Networks;

use super::common::without_repeats;
use crate::config::{
    declaration::document::{CLIENT_CERTIFICATE_HEADER, ClientCertificateHeader, FORWARDED_HEADER},
    model::{Addresses, Listener, reads_proxy_headers},
    reading::reader::{Item, Section},
};

const NETWORK_FORM: &str = "Write an IP address or a network, such as 192.0.2.7 or 10.0.0.0/8";

/// How clients' addresses are determined; `exempt` comes from the limits.
pub(super) fn addresses(root: &Section<'_>, listen: &[Listener], exempt: Networks) -> Addresses {
    let items = root.list("trusted_proxies");
    if items.is_empty() && listen.iter().any(|listener| listener.proxy_protocol) {
        root.report_at(
            "trusted_proxies",
            "must not be empty: a listener with `proxy_protocol` accepts connections only from trusted proxies",
            "List the addresses of the proxies, or remove `proxy_protocol`",
        );
    }
    let certificate_header = CLIENT_CERTIFICATE_HEADER.read(root);
    if items.is_empty() && certificate_header != ClientCertificateHeader::None {
        root.report_at(
            "client_certificate_header",
            "must not be set without `trusted_proxies`: nobody else may name the certificate of a client",
            "List the addresses of the proxies, or remove the key",
        );
    }
    let has_header = certificate_header != ClientCertificateHeader::None;
    if has_header && !listen.is_empty() && !reads_proxy_headers(listen) {
        root.report_at(
            "client_certificate_header",
            "has no effect: every listener has `proxy_protocol`, so certificates come from the handshakes of the clients",
            "Remove it",
        );
    }
    Addresses {
        trusted_proxies: networks(items, false),
        forwarded_header: FORWARDED_HEADER.read(root),
        certificate_header,
        exempt,
    }
}

/// Clients that are exempt from limits per address: the listed ones, by default private addresses.
pub(super) fn exempt(limits: &Section<'_>) -> Networks {
    match limits.get("exempt_addresses") {
        Some(item) => networks(item.list(), true),
        None => Addresses::default().exempt,
    }
}

fn networks(items: Vec<Item<'_>>, allow_all: bool) -> Networks {
    let networks = items.into_iter().filter_map(|item| {
        let network = item.parsed(network, NETWORK_FORM)?;
        if network.prefix_len() == 0 && !allow_all {
            item.report(
                "must not match every address: any client could then send a false client address",
                "List only the addresses of the proxies",
            );
        }
        Some((item, network))
    });
    Networks::new(without_repeats(networks.collect()))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = match text.parse::<IpAddr>().map(IpNet::from) {
        Ok(address) => address,
        Err(_) => text
            .parse()
            .map_err(|_| "must be an IP address or a network")?,
    };
    if network.addr() != network.network() {
        return Err(format!(
            "must not have bits set after its prefix: the network is {}",
            network.trunc()
        ));
    }
    if network.addr() != network.addr().to_canonical() {
        return Err("must not be an IPv4-mapped IPv6 address".to_owned());
    }
    Ok(network)
}
