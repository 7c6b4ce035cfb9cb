//! Where clients and operators connect: `listen`, `admin`, and the keys of `sessions`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::parts::{
    key::{Kind, Table, defaulted, list, optional, required, text},
    setting::{Setting, flag, word},
    value::{Flag, Word},
    vocabulary::Vocabulary,
};

/// Default address of the admin listener.
pub(crate) const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Whether a listener can use plain HTTP on other addresses than loopback.
pub(crate) const PLAIN_HTTP: Setting<Flag> = flag(
    "plain_http",
    false,
    "Allow plain HTTP on a non-loopback address, behind a proxy that terminates TLS.",
);

/// Whether a listener expects PROXY protocol headers.
pub(crate) const PROXY_PROTOCOL: Setting<Flag> = flag(
    "proxy_protocol",
    false,
    "Accept connections only from trusted_proxies, each starting with a PROXY protocol header, version 2.",
);

/// Whether a listener asks clients for certificates.
pub(crate) const CLIENT_CERTIFICATES: Setting<Word<ClientCertificates>> = word(
    "client_certificates",
    ClientCertificates::None,
    "Whether clients are asked for a certificate: none, or request. A requested one needs no CA, because tokens that are bound to it name its digest (RFC 8705); clients without one are served. Cannot be combined with client_ca.",
);

/// Whether a listener without `client_ca` asks clients for certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not ask.
    #[default]
    None,
    /// It asks, and serves clients that have none.
    Request,
}

impl Vocabulary for ClientCertificates {
    const NAME: &'static str = "ClientCertificates";
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("request", Self::Request)];
}

/// An element of `listen`.
pub(super) fn listener() -> Table {
    Table {
        name: "Listen",
        keys: vec![
            required(
                "address",
                Kind::Text,
                "IP address and port, such as 0.0.0.0:8443. Port 0 selects a free port.",
            ),
            optional(
                "tls",
                Kind::Table(tls()),
                "Use TLS 1.2 and 1.3. Without it the listener uses plain HTTP.",
            ),
            PLAIN_HTTP.key(),
            PROXY_PROTOCOL.key(),
        ],
    }
}

fn tls() -> Table {
    Table {
        name: "Tls",
        keys: vec![
            required(
                "certificates",
                list(Kind::Table(certificate())),
                "Certificates, selected by SNI from the names in them. The first is used for all other names.",
            ),
            defaulted(
                "client_ca",
                Kind::Text,
                "none",
                "PEM file with CA certificates for client certificates. If set, every client must present a certificate from one of them.",
            ),
            CLIENT_CERTIFICATES.key(),
        ],
    }
}

fn certificate() -> Table {
    Table {
        name: "Certificate",
        keys: vec![
            required(
                "certificate",
                Kind::Text,
                "PEM file with the certificate chain, the server's certificate first.",
            ),
            required(
                "private_key",
                Kind::Text,
                "PEM file with its private key, readable only by owner and group.",
            ),
        ],
    }
}

/// `admin`.
pub(super) fn admin() -> Table {
    Table {
        name: "Admin",
        keys: vec![
            text(
                "address",
                Kind::Text,
                &[&ADMIN_ADDRESS.to_string()],
                "IP address and port of the admin listener.",
            ),
            defaulted(
                "hosts",
                list(Kind::Text),
                "none",
                "Host names by which the admin listener is reached, such as mcp-gateway.mcp.svc. IP addresses and localhost are always accepted; other hosts get 421.",
            ),
        ],
    }
}

/// `sessions`.
pub(super) fn sessions() -> Table {
    Table {
        name: "Sessions",
        keys: vec![defaulted(
            "key_files",
            list(Kind::Text),
            "a random key at each start",
            "Files with 32 random bytes each. The first key seals session ids, every key opens them. Replicas need the same keys.",
        )],
    }
}
