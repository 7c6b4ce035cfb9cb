//! Several processes of the gateway behind one address: what a Service of Kubernetes does for new connections.

pub mod balancer;
pub mod cutting;
pub mod store_server;

use balancer::Balancer;
use serde_json::json;

use crate::gateway::Gateway;
use crate::gateway::config::Config;
use crate::process::port;

/// Gateways with the same configuration but for their listeners, and the balancer before them.
pub struct Replicas {
    /// The processes. Their [`Gateway::uri`] is the common address, [`Gateway::url`] their own.
    pub gateways: Vec<Gateway>,
    balancer: Balancer,
}

impl Replicas {
    /// As many as wanted. The configuration's `public_url` becomes the balancer's address; `directory` is another one for each process.
    pub async fn start(count: usize, config: Config) -> Self {
        let public = config.public;
        let mut gateways = Vec::new();
        for _ in 0..count {
            let own = config.replica(port::free(), port::free());
            let directory = own.folder().join("state");
            let own = match own.has("/authorization_server") {
                true => own.set("/authorization_server/directory", json!(directory)),
                false => own,
            };
            gateways.push(Gateway::start(own).await);
        }
        let addresses = gateways.iter().map(|one| one.config.public).collect();
        let balancer = Balancer::start(public, addresses).await;
        Self { gateways, balancer }
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        self.gateways[0].uri("/mcp")
    }

    /// Kills one process at once, as `kill -9` does. The balancer sends nothing there any more.
    pub fn kill(&mut self, number: usize) {
        let gateway = self.gateways.remove(number);
        self.balancer.forget(gateway.config.public);
        drop(gateway);
    }
}
