//! The internet as [`foreign`](super::foreign) sees it: names have addresses, and addresses that were judged can be connected to.
//! Tests bring an internet of their own.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use async_trait::async_trait;
use mcp_gateway_core::http::outbound::host::PublicAddress;
use tokio::{net::TcpStream, sync::Semaphore, task::spawn_blocking};

/// The only port that is connected to.
pub(super) const PORT: u16 = 443;

/// The most names that are resolved at the same time. The system's resolver cannot be interrupted: a name server that does not answer
/// holds its thread longer than the fetch waits.
const MAX_LOOKUPS: usize = 128;

/// Resolves names, and connects to addresses on the internet.
#[async_trait]
pub(crate) trait Internet: Send + Sync + 'static {
    /// All addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Connects to this address, on the port of https. The name is not resolved again.
    async fn connect(&self, address: PublicAddress) -> io::Result<TcpStream>;
}

/// The internet that this machine reaches.
#[derive(Debug)]
pub(crate) struct OpenInternet {
    lookups: Arc<Semaphore>,
}

impl Default for OpenInternet {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

#[async_trait]
impl Internet for OpenInternet {
    /// The final dot keeps the resolver from trying the name below its search domains, such as those of a cluster.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let lookups = self.lookups.clone();
        let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
        let name = format!("{name}.");
        let resolved = spawn_blocking(move || {
            let _permit = permit;
            (name.as_str(), PORT).to_socket_addrs()
        });
        let addresses = resolved.await.map_err(io::Error::other)??;
        Ok(addresses.map(|address| address.ip()).collect())
    }

    async fn connect(&self, address: PublicAddress) -> io::Result<TcpStream> {
        TcpStream::connect(SocketAddr::new(address.get(), PORT)).await
    }
}
