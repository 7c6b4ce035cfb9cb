//! Where clients and operators connect: `listen`, `admin`, and the keys of `sessions`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::parts::{
    key::{Kind, Table, defaulted, list, optional, required, text},
    setting::{Setting, flag},
    value::Flag,
};

/// Where the admin listener is unless configured.
pub(crate) const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Whether a listener speaks plain HTTP beyond loopback.
pub(crate) const PLAIN_HTTP: Setting<Flag> = flag(
    "plain_http",
    false,
    "Speak plain HTTP beyond loopback, where something in front speaks TLS.",
);

/// Whether a listener takes PROXY protocol headers.
pub(crate) const PROXY_PROTOCOL: Setting<Flag> = flag(
    "proxy_protocol",
    false,
    "Take connections of trusted_proxies alone, each beginning with a PROXY protocol header, version 2.",
);

/// An element of `listen`.
pub(super) fn listener() -> Table {
    Table {
        name: "Listen",
        keys: vec![
            required(
                "address",
                Kind::Text,
                "IP address and port, such as 0.0.0.0:8443.",
            ),
            optional(
                "tls",
                Kind::Table(tls()),
                "Speak TLS 1.2 and 1.3. Without it the listener speaks plain HTTP.",
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
                "Chosen by SNI from the names in them; the first answers everything else.",
            ),
            defaulted(
                "client_ca",
                Kind::Text,
                "none",
                "PEM file with the authorities of client certificates: every client must then show one.",
            ),
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
                "PEM file with the chain, the server's own certificate first.",
            ),
            required(
                "private_key",
                Kind::Text,
                "PEM file with its private key, readable by the owner and group only.",
            ),
        ],
    }
}

/// `admin`.
pub(super) fn admin() -> Table {
    Table {
        name: "Admin",
        keys: vec![text(
            "address",
            Kind::Text,
            &[&ADMIN_ADDRESS.to_string()],
            "IP address and port.",
        )],
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
            "Files with 32 random bytes each: the first seals, every one opens.",
        )],
    }
}
