//! Gateways with the built-in authorization server on a store that they share.

use e2e::certificates::write_secret;
use e2e::gateway::config::Config;
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use serde_json::json;

/// The configuration of one of them; the store is at this URL.
pub(super) async fn config(upstream: &Upstream, store: &str) -> Config {
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let users = config.folder().join("users.yaml");
    let key = config.folder().join("server.key");
    write_secret(&key, "07".repeat(32));
    // Each case registers a client.
    let often = json!({ "per_minute": 1_000_000, "per_address_per_minute": 1_000_000 });
    config
        .set("/authorization_server/registration", often)
        .set("/authorization_server/users_file", json!(users))
        .set("/authorization_server/key_files", json!([key]))
        .set(
            "/authorization_server/store",
            json!({ "redis": { "url": store } }),
        )
}
