//! The client address of a request. For limits and logs, and for conditions that read `client.address`; it permits nothing
//! else.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use mcp_gateway_core::http::client_address::ClientAddress;

/// How logs write an address that is not known.
const UNKNOWN: &str = "unknown";

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
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(f),
            Self::Forwarded(address) => address.fmt(f),
            Self::Unknown { .. } => f.write_str(UNKNOWN),
        }
    }
}
