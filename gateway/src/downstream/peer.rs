//! The peer of a connection: its address from the socket or, for a trusted proxy, from the PROXY protocol header.

use std::{io, net::SocketAddr};

use http::HeaderMap;
use mcp_gateway_core::http::{
    client_address::{ClientAddress, forwarded_client},
    proxy_protocol::{FIXED_LENGTH, ProxyHeader, Source},
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::{
    config::{Addresses, ClientCertificateHeader},
    request::{
        possession::client_certificate::ClientCertificate, record::client::Client,
        tls_info::TlsInfo,
    },
};

/// The peer of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    /// The address that connected.
    Connected(SocketAddr),
    /// The source in a PROXY protocol header. Request headers must not change it.
    NamedByProxyHeader(Client),
}

impl Peer {
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
        Ok(Self::NamedByProxyHeader(match source {
            Source::Proxy => Client::Peer(proxy),
            Source::Unknown => Client::Unknown { peer: proxy.ip() },
            Source::Client(address) => Client::Peer(address),
        }))
    }

    /// The address that connections are counted for.
    pub(crate) const fn address(&self) -> ClientAddress {
        match self {
            Self::Connected(address) => ClientAddress::Known(address.ip()),
            Self::NamedByProxyHeader(client) => client.address(),
        }
    }

    /// Where the certificate of a request's client is. A proxy that speaks HTTP ends the client's connection: the handshake is then its
    /// own. One that sends a PROXY protocol header passes the client's handshake on, and the client's headers too.
    pub(crate) fn certificate(&self, tls: &TlsInfo, addresses: &Addresses) -> ClientCertificate {
        let of_proxy = match self {
            Self::Connected(address) => addresses.trusted_proxies.contains(address.ip()),
            Self::NamedByProxyHeader(_) => false,
        };
        match (of_proxy, addresses.certificate_header) {
            (false, _) => ClientCertificate::Handshake(tls.client_certificate),
            (true, ClientCertificateHeader::ClientCert) => ClientCertificate::Header,
            (true, ClientCertificateHeader::None) => ClientCertificate::Nowhere,
        }
    }

    /// The client of a request with these headers, or of one whose headers cannot be read.
    pub(crate) fn client(&self, headers: Option<&HeaderMap>, addresses: &Addresses) -> Client {
        let address = match *self {
            Self::NamedByProxyHeader(client) => return client,
            Self::Connected(address) => address,
        };
        let (peer, proxies) = (address.ip(), &addresses.trusted_proxies);
        if !proxies.contains(peer) {
            return Client::Peer(address);
        }
        let Some(headers) = headers else {
            return Client::Unknown { peer };
        };
        match forwarded_client(headers, addresses.forwarded_header, proxies, peer) {
            ClientAddress::Known(client) if client == peer => Client::Peer(address),
            ClientAddress::Known(client) => Client::Forwarded(client),
            ClientAddress::Unknown { peer } => Client::Unknown { peer },
        }
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
            (header(0x21, 0x00, &[1, 2]), "unknown"),
        ] {
            let (peer, left) = read(&[&header[..], b"GET /"].concat()).await.unwrap();
            assert_eq!(left, b"GET /");
            let Peer::NamedByProxyHeader(client) = peer else {
                panic!("{peer:?}")
            };
            assert_eq!(client.shown().to_string(), expected);
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
            let client = Peer::Connected(peer.parse().unwrap()).client(Some(&headers), &addresses);
            assert_eq!(client.shown().to_string(), expected);
        }
    }

    #[test]
    fn only_a_proxy_that_names_nobody_is_the_client_itself() {
        let (addresses, proxy) = (addresses(), Peer::Connected(PROXY.parse().unwrap()));
        let [empty, unreadable, itself] = ["", "nobody", "10.0.0.1"].map(forwarded);
        for (headers, expected) in [
            (Some(&HeaderMap::new()), PROXY),
            (Some(&empty), "unknown"),
            (Some(&unreadable), "unknown"),
            (Some(&itself), "unknown"),
            (None, "unknown"),
        ] {
            let client = proxy.client(headers, &addresses);
            assert_eq!(client.shown().to_string(), expected, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn only_a_proxy_that_speaks_http_names_the_certificate_in_a_header() {
        let presented = Some([7; 32]);
        let tls = TlsInfo {
            server_name: None,
            client_certificate: presented,
        };
        let own = ClientCertificate::Handshake(presented);
        let mut addresses = addresses();
        for (header, of_proxy) in [
            (ClientCertificateHeader::None, ClientCertificate::Nowhere),
            (
                ClientCertificateHeader::ClientCert,
                ClientCertificate::Header,
            ),
        ] {
            addresses.certificate_header = header;
            for (peer, expected) in [(PROXY, of_proxy), ("192.0.2.1:1000", own)] {
                let peer = Peer::Connected(peer.parse().unwrap());
                assert_eq!(peer.certificate(&tls, &addresses), expected, "{peer:?}");
            }
            for sent in [over_ipv4(), self::header(0x20, 0x00, &[])] {
                let (peer, _) = read(&sent).await.unwrap();
                assert_eq!(peer.certificate(&tls, &addresses), own, "{peer:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_client_named_by_a_proxy_header_is_not_renamed_by_a_request_header() {
        let (addresses, headers) = (addresses(), forwarded("203.0.113.9"));
        for (header, expected) in [
            (over_ipv4(), "192.0.2.7:4711"),
            (header(0x20, 0x00, &[]), PROXY),
            (header(0x21, 0x00, &[]), "unknown"),
        ] {
            let (peer, _) = read(&header).await.unwrap();
            let client = peer.client(Some(&headers), &addresses);
            assert_eq!(client.shown().to_string(), expected);
        }
    }
}
