//! The addresses that a connection is opened to: those that the system resolves the host to, or one of them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// The port is added by the connector.
const NO_PORT: u16 = 0;

/// Resolves the host of a URL.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The only address, if it is known.
    fixed: Option<IpAddr>,
    system: GaiResolver,
}

impl Addresses {
    /// Those of the system's resolver, or this one alone.
    pub(super) fn new(fixed: Option<IpAddr>) -> Self {
        Self {
            fixed,
            system: GaiResolver::new(),
        }
    }
}

type Resolved = io::Result<vec::IntoIter<SocketAddr>>;

impl Service<Name> for Addresses {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Resolved> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if let Some(address) = self.fixed {
            let addresses = vec![SocketAddr::new(address, NO_PORT)];
            return Box::pin(async move { Ok(addresses.into_iter()) });
        }
        let resolving = self.system.call(name);
        Box::pin(async move { Ok(resolving.await?.collect::<Vec<_>>().into_iter()) })
    }
}
