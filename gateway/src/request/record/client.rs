//! The client address of a request. For limits and logs, and for conditions that read `client.address`; it permits nothing
//! else.

use std::net::{IpAddr, SocketAddr};

use mcp_gateway_core::http::client_address::ClientAddress;

use crate::telemetry::request_view::ShownClient;

/// The client address of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// The peer of the connection.
    Peer(SocketAddr),
    /// The address that a trusted proxy forwarded.
    Forwarded(IpAddr),
    /// A client of this proxy whose address cannot be read.
    Unknown {
        /// The proxy.
        peer: IpAddr,
    },
}

impl Client {
    /// The address for limits and conditions.
    pub(crate) const fn address(&self) -> ClientAddress {
        match *self {
            Self::Peer(address) => ClientAddress::Known(address.ip()),
            Self::Forwarded(address) => ClientAddress::Known(address),
            Self::Unknown { peer } => ClientAddress::Unknown { peer },
        }
    }

    /// The address for logs.
    pub(crate) const fn shown(&self) -> ShownClient {
        match *self {
            Self::Peer(address) => ShownClient::Socket(address),
            Self::Forwarded(address) => ShownClient::Address(address),
            Self::Unknown { .. } => ShownClient::Unknown,
        }
    }
}
