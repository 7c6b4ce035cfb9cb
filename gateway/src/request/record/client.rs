//! Where one request comes from. For limits and logs, and for conditions that read `client.address`; it permits nothing else.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Where one request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    /// From the other end of the connection.
    Peer(SocketAddr),
    /// From behind the listed proxy at the other end.
    Forwarded(IpAddr),
}

impl Client {
    /// The address that limits count.
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
