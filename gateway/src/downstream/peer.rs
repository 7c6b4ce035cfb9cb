//! The other end of a connection, as the socket names it or, behind a listed proxy, its PROXY protocol header.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use http::HeaderMap;
use mcp_gateway_core::http::{
    client_address::forwarded_client,
    proxy_protocol::{FIXED_LENGTH, ProxyHeader},
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{config::Addresses, request::record::client::Client};

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    /// A PROXY protocol header named the address: no header of a request is believed about it.
    named_by_proxy_header: bool,
}

impl Peer {
    /// The address that connected.
    pub(crate) const fn connected(address: SocketAddr) -> Self {
        Self {
            address,
            named_by_proxy_header: false,
        }
    }

    /// Reads the PROXY protocol header with which a listed proxy begins, and not a byte more.
    ///
    /// # Errors
    /// The connection ends, or begins with something else.
    pub(crate) async fn from_proxy_header(
        tcp: &mut TcpStream,
        proxy: SocketAddr,
    ) -> io::Result<Self> {
        let mut fixed = [0; FIXED_LENGTH];
        tcp.read_exact(&mut fixed).await?;
        let header = ProxyHeader::read(&fixed).map_err(io::Error::other)?;
        let mut rest = vec![0; header.rest()];
        tcp.read_exact(&mut rest).await?;
        let source = header.source(&rest).map_err(io::Error::other)?;
        Ok(Self {
            address: source.unwrap_or(proxy),
            named_by_proxy_header: true,
        })
    }

    /// The address of the other end.
    pub(crate) const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The client of a request with these headers, or of one whose headers are unknown.
    pub(crate) fn client(&self, headers: Option<&HeaderMap>, addresses: &Addresses) -> Client {
        let (peer, proxies) = (self.ip(), &addresses.trusted_proxies);
        let Some(headers) =
            headers.filter(|_| !self.named_by_proxy_header && proxies.contains(peer))
        else {
            return Client::Peer(self.address);
        };
        let client = forwarded_client(headers, addresses.forwarded_header, proxies, peer);
        if client == peer {
            return Client::Peer(self.address);
        }
        Client::Forwarded(client)
    }
}
