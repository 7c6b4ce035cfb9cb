//! The peer of a connection: its address from the socket or, for a trusted proxy, from the PROXY protocol header.

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

/// The peer of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    /// The address comes from a PROXY protocol header, so request headers must not change it.
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

    /// Reads the PROXY protocol header of a trusted proxy, and not a byte more.
    ///
    /// # Errors
    /// The connection closed, or does not begin with a valid header.
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

    /// The address of the peer.
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::HeaderValue;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;
    use crate::{
        config::{Environment, parse},
        shared::test_gateway::CONFIG,
    };

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const PROXY: &str = "10.0.0.1:1000";

    /// A header with a command, an address family and its data.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    fn over_ipv4() -> Vec<u8> {
        let ports = [0x12, 0x67, 0x01, 0xbb];
        header(
            0x21,
            0x11,
            &[&[192, 0, 2, 7][..], &[10, 0, 0, 9], &ports].concat(),
        )
    }

    /// The peer of a connection with these bytes, and the bytes left after the header.
    async fn read(bytes: &[u8]) -> io::Result<(Peer, Vec<u8>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut client = TcpStream::connect(listener.local_addr()?).await?;
        let (mut tcp, _) = listener.accept().await?;
        client.write_all(bytes).await?;
        drop(client);
        let peer = Peer::from_proxy_header(&mut tcp, PROXY.parse().unwrap()).await?;
        let mut left = Vec::new();
        tcp.read_to_end(&mut left).await?;
        Ok((peer, left))
    }

    #[tokio::test]
    async fn a_header_names_the_client_and_no_byte_after_it_is_read() {
        let mut ipv6 = [0; 36];
        ipv6[..2].copy_from_slice(&[0x20, 0x01]);
        ipv6[15] = 5;
        ipv6[32..34].copy_from_slice(&[0, 80]);
        let mut extended = vec![192, 0, 2, 8, 10, 0, 0, 9, 0, 1, 0, 2];
        extended.extend([0x04, 0, 3, 1, 2, 3]);
        for (header, expected) in [
            (over_ipv4(), "192.0.2.7:4711"),
            (header(0x21, 0x21, &ipv6), "[2001::5]:80"),
            (header(0x21, 0x11, &extended), "192.0.2.8:1"),
            (header(0x20, 0x00, &[]), PROXY),
        ] {
            let (peer, left) = read(&[&header[..], b"GET /"].concat()).await.unwrap();
            assert_eq!(peer.address.to_string(), expected);
            assert_eq!(left, b"GET /");
            assert!(peer.named_by_proxy_header);
        }
    }

    #[tokio::test]
    async fn anything_but_a_complete_header_of_version_2_is_an_error() {
        let whole = over_ipv4();
        for bytes in [
            &[][..],
            &whole[..5],
            &whole[..16],
            &whole[..whole.len() - 1],
            b"PROXY TCP4 192.0.2.7 10.0.0.9 4711 443\r\n",
            b"GET /mcp HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n",
            &header(0x11, 0x11, &whole[16..]),
            &header(0x22, 0x11, &whole[16..]),
            &header(0x21, 0x12, &whole[16..]),
            &header(0x21, 0x11, &whole[16..24]),
            &header(0x21, 0x11, &[0; 5000]),
        ] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
    }

    fn addresses() -> Addresses {
        let text = format!("{CONFIG}trusted_proxies: [10.0.0.0/8]\n");
        let config = parse(&text, Path::new("."), &Environment::default()).unwrap();
        config.addresses
    }

    fn forwarded(value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn only_a_listed_proxy_may_name_the_client_in_a_header() {
        let (addresses, headers) = (addresses(), forwarded("203.0.113.9"));
        for (peer, expected) in [
            (PROXY, "203.0.113.9"),
            ("192.0.2.1:1000", "192.0.2.1:1000"),
            ("127.0.0.1:1000", "127.0.0.1:1000"),
        ] {
            let client = Peer::connected(peer.parse().unwrap()).client(Some(&headers), &addresses);
            assert_eq!(client.to_string(), expected);
        }
    }

    #[test]
    fn a_proxy_that_names_no_client_or_itself_is_the_client() {
        let (addresses, proxy) = (addresses(), Peer::connected(PROXY.parse().unwrap()));
        let itself = forwarded("10.0.0.1");
        for headers in [None, Some(&HeaderMap::new()), Some(&itself)] {
            let client = proxy.client(headers, &addresses);
            assert_eq!(client.to_string(), PROXY, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_client_named_by_a_proxy_header_is_not_renamed_by_a_request_header() {
        let (addresses, headers) = (addresses(), forwarded("203.0.113.9"));
        let of_health_check = header(0x20, 0x00, &[]);
        for (header, expected) in [(over_ipv4(), "192.0.2.7:4711"), (of_health_check, PROXY)] {
            let (peer, _) = read(&header).await.unwrap();
            let client = peer.client(Some(&headers), &addresses);
            assert_eq!(client.to_string(), expected);
        }
    }
}
