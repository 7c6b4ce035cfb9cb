//! The client address of a request. For limits and logs, and for conditions that read `client.address`; it permits nothing
//! else.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// The client address of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// The peer of the connection.
    Peer(SocketAddr),
    /// The address that a trusted proxy forwarded.
    Forwarded(IpAddr),
}

impl Client {
    /// The address for limits.
    pub(crate) const fn ip(&self) -> IpAddr {
        match self {
            Self::Peer(address) => address.ip(),
            Self::Forwarded(address) => *address,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(f),
            Self::Forwarded(address) => address.fmt(f),
        }
    }
}
