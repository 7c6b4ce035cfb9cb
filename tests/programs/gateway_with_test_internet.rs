//! The gateway as it is, with an internet of the test: what clients publish comes from the names, addresses and certificates that the
//! file named by `TEST_INTERNET` lists. The harness writes it (`sign_in/internet.rs`), and may change it while the program runs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a program of tests fails by panicking"
)]

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use async_trait::async_trait;
use mcp_gateway::{Internet, Outside, cli};
use mcp_gateway_core::http::outbound::host::PublicAddress;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;
use tokio::net::TcpStream;

fn main() -> ExitCode {
    let file = std::env::var_os("TEST_INTERNET").expect("TEST_INTERNET names a file");
    let internet = ListedInternet(file.into());
    let roots = internet.roots();
    cli::run(Outside::new(Arc::new(internet), roots))
}

/// The internet that a file lists.
struct ListedInternet(PathBuf);

impl ListedInternet {
    fn read(&self) -> Value {
        let text = std::fs::read(&self.0).expect("the file of the internet");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn roots(&self) -> RootCertStore {
        let listed = self.read();
        let pem = listed["authority"].as_str().expect("a certificate");
        let authority = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("a certificate");
        roots
    }
}

#[async_trait]
impl Internet for ListedInternet {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        addresses(&self.read()["names"][name])
    }

    /// Upstreams have names of their own. One that is not listed cannot be resolved.
    async fn resolve_upstream(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        addresses(&self.read()["upstreams"][host])
    }

    /// The server has one address. Whatever else is connected to is the canary.
    async fn connect(&self, address: PublicAddress) -> io::Result<TcpStream> {
        let listed = self.read();
        let is_server = listed["address"] == address.get().to_string();
        let socket = &listed[if is_server { "server" } else { "canary" }];
        let socket: SocketAddr = socket
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a socket address");
        TcpStream::connect(socket).await
    }
}

fn addresses(listed: &Value) -> io::Result<Vec<IpAddr>> {
    let listed = listed.as_array();
    let listed = listed.ok_or_else(|| io::Error::other("no such name"))?;
    let parsed = listed.iter().map(|text| {
        let text = text.as_str().expect("a text");
        text.parse().expect("an address")
    });
    Ok(parsed.collect())
}
