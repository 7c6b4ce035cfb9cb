//! What the gateway says of its clients: the audit log and the operator's commands.

use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::operator::oauth;
use serde_json::{Value, json};

/// With an audit log, and access tokens that expire soon: they are accepted for [`EXPIRED`] less a second.
pub(crate) fn short(config: Config) -> Config {
    config
        .set("/audit", json!({ "file": "audit.log" }))
        .set("/authorization_server/lifetimes/access_token", "5s")
}

/// After this time no access token of [`short`] is accepted any more: its life, and the clock skew of 5 s.
pub(crate) const EXPIRED: std::time::Duration = std::time::Duration::from_secs(11);

/// The ids of all clients that registered themselves.
pub(crate) async fn clients(gateway: &Gateway) -> Vec<String> {
    let clients = oauth(gateway, &["clients", "list"]).await;
    let ids = clients.iter().map(|client| client["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// A grant type, and how a token request with it ended.
pub(crate) type Kind = (&'static str, &'static str);

/// How many token requests of this client ended so.
pub(crate) fn tokens(gateway: &Gateway, client: &str, (grant_type, outcome): Kind) -> usize {
    let audit = gateway.config.audit();
    let lines = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let is_one = |line: &Value| {
        line["event"] == "token"
            && line["client_id"] == client
            && line["grant_type"] == grant_type
            && line["outcome"] == outcome
    };
    lines.filter(is_one).count()
}

/// Waits until there are more such token requests than `before`.
pub(crate) async fn more(gateway: &Gateway, client: &str, kind: Kind, before: usize) {
    let what = format!("{client} has more than {before} of {kind:?}");
    eventually(&what, async || tokens(gateway, client, kind) > before).await;
}

/// Revokes every grant of this client, as the operator does. There must be one.
pub(crate) async fn revoke(gateway: &Gateway, client: &str) {
    let grants = oauth(gateway, &["grants", "list"]).await;
    let own = grants.iter().filter(|grant| grant["client"] == client);
    let ids: Vec<_> = own.map(|grant| grant["id"].as_str().unwrap()).collect();
    assert!(!ids.is_empty(), "{grants:?}");
    for id in ids {
        oauth(gateway, &["grants", "revoke", id]).await;
    }
}
