//! Provider, gateway and task server together, as in a real deployment.

pub(crate) mod built_in;
pub(crate) mod desk;
pub(crate) mod provider;
pub(crate) mod run;

use e2e::certificates::Authority;
use e2e::client::{Reply, initialize};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::upstream::tasks::Tasks;
use serde_json::json;

use crate::setting::provider::Provider;

/// All three, running.
pub(crate) struct Setting {
    pub(crate) gateway: Gateway,
    pub(crate) provider: Provider,
    pub(crate) tasks: Tasks,
}

impl Setting {
    /// Over plain HTTP on loopback.
    pub(crate) async fn start() -> Self {
        Self::changed(|config| config).await
    }

    /// The same with changes to the configuration.
    pub(crate) async fn changed(change: impl FnOnce(Config) -> Config) -> Self {
        Self::with(Config::empty(), change).await
    }

    /// Over HTTPS with a private authority, whose certificate is in the file `ca.pem` of the configuration's folder.
    pub(crate) async fn start_tls() -> Self {
        let authority = Authority::new();
        let config = Config::empty();
        config.write("ca.pem", authority.pem());
        let (certificate, private_key) =
            authority.leaf(&["localhost"]).write(config.folder(), "tls");
        let files = json!([{ "certificate": certificate, "private_key": private_key }]);
        let url = format!("https://localhost:{}", config.public.port());
        Self::with(
            config
                .set("/public_url", url)
                .set("/listen/0/tls", json!({ "certificates": files })),
            |config| config,
        )
        .await
    }

    async fn with(config: Config, change: impl FnOnce(Config) -> Config) -> Self {
        let uri = format!("{}/mcp", config.public_url());
        let (tasks, provider) = tokio::join!(Tasks::start(), Provider::start(&uri));
        let config = config
            .set("/issuers/corporate", json!({ "issuer": provider.issuer }))
            .set(
                "/resources",
                json!([resource("/mcp", &tasks.url(), &["corporate"])]),
            )
            .set("/jwks/cool_down", "1s");
        Self {
            gateway: Gateway::start(change(config)).await,
            provider,
            tasks,
        }
    }

    /// The URL that clients use.
    pub(crate) fn url(&self) -> String {
        self.gateway.uri("/mcp")
    }

    /// Opens a session with this token.
    pub(crate) async fn initialize(&self, token: &str) -> Reply {
        self.gateway.post(initialize()).token(token).send().await
    }
}
