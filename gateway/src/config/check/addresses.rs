//! Addresses and networks: the proxies whose word on a client's address counts, and the clients that limits by address
//! leave alone.

use std::net::IpAddr;

use ipnet::IpNet;
use mcp_gateway_core::http::client_address::Networks;

use super::common::without_repeats;
use crate::config::{
    declaration::document::FORWARDED_HEADER,
    model::{Addresses, Listener},
    reading::reader::{Item, Section},
};

const NETWORK_FORM: &str = "Write an IP address or a network, such as 192.0.2.7 or 10.0.0.0/8";

/// What is believed of clients' addresses; `exempt` comes from the limits.
pub(super) fn addresses(root: &Section<'_>, listen: &[Listener], exempt: Networks) -> Addresses {
    let items = root.list("trusted_proxies");
    if items.is_empty() && listen.iter().any(|listener| listener.proxy_protocol) {
        root.report_at(
            "trusted_proxies",
            "is empty, so that a listener with proxy_protocol would serve nobody",
            "List the addresses of the proxies, or remove proxy_protocol",
        );
    }
    Addresses {
        trusted_proxies: networks(items, false),
        forwarded_header: FORWARDED_HEADER.read(root),
        exempt,
    }
}

/// Clients that limits by address leave alone: those listed, or one's own machines.
pub(super) fn exempt(limits: &Section<'_>) -> Networks {
    match limits.get("exempt_addresses") {
        Some(item) => networks(item.list(), true),
        None => Addresses::default().exempt,
    }
}

fn networks(items: Vec<Item<'_>>, everybody: bool) -> Networks {
    let networks = items.into_iter().filter_map(|item| {
        let network = item.parsed(network, NETWORK_FORM)?;
        if network.prefix_len() == 0 && !everybody {
            item.report(
                "is everybody, who could then take any address",
                "List the addresses of the proxies alone",
            );
        }
        Some((item, network))
    });
    Networks::new(without_repeats(networks.collect()))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet = match text.parse::<IpAddr>().map(IpNet::from) {
        Ok(address) => address,
        Err(_) => text.parse().map_err(|_| "is no IP address or network")?,
    };
    if network.addr() != network.network() {
        return Err(format!(
            "has bits beyond its prefix; {} has none",
            network.trunc()
        ));
    }
    if network.addr() != network.addr().to_canonical() {
        return Err("is an IPv4 address within IPv6, which is taken as what it is".to_owned());
    }
    Ok(network)
}
