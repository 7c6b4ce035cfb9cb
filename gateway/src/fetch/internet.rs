//! The internet as [`foreign`](super::foreign) sees it: names have addresses, and addresses that were judged can be connected to. A
//! program of tests brings an internet of its own; no key of the configuration does.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
};

use async_trait::async_trait;
use mcp_gateway_core::http::outbound::host::PublicAddress;
use rustls::RootCertStore;
use tokio::{net::TcpStream, sync::Semaphore, task::spawn_blocking};

use super::http1::system_roots;

/// The only port that is connected to.
pub(super) const PORT: u16 = 443;

/// The most names that are resolved at the same time. The system's resolver cannot be interrupted: a name server that does not answer
/// holds its thread longer than the fetch waits.
const MAX_LOOKUPS: usize = 128;

/// Resolves names, and connects to addresses on the internet.
#[async_trait]
pub trait Internet: Send + Sync + 'static {
    /// All addresses of a name.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// Connects to this address, on the port of https. The name is not resolved again.
    async fn connect(&self, address: PublicAddress) -> io::Result<TcpStream>;

    /// All addresses of the host of an upstream, as this machine finds them: search domains and the file of hosts count.
    async fn resolve_upstream(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.trim_matches(['[', ']']).to_owned();
        let resolved = spawn_blocking(move || (host.as_str(), PORT).to_socket_addrs());
        let addresses = resolved.await.map_err(io::Error::other)??;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// The addresses of a name, once they are found.
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where documents at URLs that strangers choose come from: an internet, and the CA certificates that its servers are trusted by.
#[derive(Clone)]
pub struct Outside {
    pub(super) internet: Arc<dyn Internet>,
    /// None: those of the system.
    roots: Option<RootCertStore>,
}

impl Outside {
    /// Another internet than the one that this machine reaches. Only the servers with certificates of `roots` are trusted.
    pub fn new(internet: Arc<dyn Internet>, roots: RootCertStore) -> Self {
        Self {
            internet,
            roots: Some(roots),
        }
    }

    /// Finds the addresses of hosts of upstreams.
    pub(crate) fn lookup(&self) -> Arc<dyn Fn(String) -> Found + Send + Sync> {
        let internet = self.internet.clone();
        Arc::new(move |host| {
            let internet = internet.clone();
            Box::pin(async move { internet.resolve_upstream(&host).await })
        })
    }

    /// The CA certificates.
    pub(super) fn roots(&self) -> RootCertStore {
        self.roots.clone().unwrap_or_else(system_roots)
    }
}

impl Default for Outside {
    /// The internet that this machine reaches, and the CA certificates of the system.
    fn default() -> Self {
        Self {
            internet: Arc::new(OpenInternet::default()),
            roots: None,
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusts = match self.roots {
            Some(_) => "its own",
            None => "system",
        };
        formatter
            .debug_struct("Outside")
            .field("roots", &trusts)
            .finish_non_exhaustive()
    }
}

/// The internet that this machine reaches.
#[derive(Debug)]
struct OpenInternet {
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
