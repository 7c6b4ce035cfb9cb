//! Forwarded headers: what a client writes to the left changes nothing, and an address that cannot be read is never the
//! proxy's.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue};
use mcp_gateway_core::http::client_address::{
    ClientAddress, ForwardedHeader, Networks, forwarded_client,
};

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// What the client wrote and, after a line feed, what the proxy appended. The first byte chooses the header.
pub fn forwarded(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else {
        return;
    };
    let header = match choice % 2 {
        0 => ForwardedHeader::XForwardedFor,
        _ => ForwardedHeader::Forwarded,
    };
    let mut parts = text.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let (left, line) = match second {
        Some(line) => (first, line),
        None => (&b""[..], first),
    };
    let Some(alone) = client(header, &[line]) else {
        return;
    };
    assert_ne!(alone, ClientAddress::Known(PROXY), "the proxy's address");
    if !counts(header, line) {
        let unknown = ClientAddress::Unknown { peer: PROXY };
        assert_eq!(alone, unknown, "no client is named");
        return;
    }
    for lines in [&[left, line][..], &[&[left, b",", line].concat()]] {
        if let Some(with_left) = client(header, lines) {
            assert_eq!(with_left, alone, "bytes on the left changed the address");
        }
    }
}

/// Whether one of the elements does not name a trusted proxy: read from the right, the first of them counts.
fn counts(header: ForwardedHeader, line: &[u8]) -> bool {
    let nobody = Networks::default();
    line.split(|byte| *byte == b',').any(|element| {
        let value = HeaderValue::from_bytes(element).expect("a part of a value");
        let headers = HeaderMap::from_iter([(name(header), value)]);
        match forwarded_client(&headers, header, &nobody, PROXY) {
            ClientAddress::Known(address) => !proxies().contains(address),
            ClientAddress::Unknown { .. } => true,
        }
    })
}

fn client(header: ForwardedHeader, lines: &[&[u8]]) -> Option<ClientAddress> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name(header), HeaderValue::from_bytes(line).ok()?);
    }
    Some(forwarded_client(&headers, header, &proxies(), PROXY))
}

fn name(header: ForwardedHeader) -> http::HeaderName {
    http::HeaderName::from_static(header.name())
}

fn proxies() -> Networks {
    Networks::new(vec!["10.0.0.0/8".parse().expect("a network")])
}
