//! Scopes of people at a resource whose scopes have a prefix (`scopes.prefix`): with it or without it, people can allow what the operator
//! wrote, and no more.

use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::Browser;
use e2e::sign_in::client::{Client, call};
use e2e::sign_in::provider::{CLIENT_SECRET, Provider};
use e2e::sign_in::{PASSWORD, hash, with_authorization_server, with_users};
use e2e::upstream::Upstream;
use serde_json::json;

/// Everything that clients can ask for.
const ASKED: &str = "api://tasks/tasks:read api://tasks/tasks:write";

/// What everybody here may allow.
const READ: &str = "api://tasks/tasks:read";

/// The client allows what the consent page says: its tokens are for reading, now and after a refresh.
async fn gets_read(
    gateway: &Gateway,
    browser: &mut Browser,
    client: &Client,
    page: e2e::client::Reply,
) {
    assert_eq!(page.status, 200, "{}", page.text());
    let location = browser.allow(&page).await;
    let code = client.code(gateway, &location);
    let tokens = client.redeem(gateway, &code).await;
    assert_eq!(tokens.answer["scope"], READ);
    assert_eq!(call(gateway, &tokens.access).await.status, 200);
    let (status, answer) = client.refresh(gateway, &tokens.refresh).await;
    assert_eq!((status, &answer["scope"]), (200, &json!(READ)), "{answer}");
}

#[tokio::test]
async fn users_and_accounts_can_allow_scopes_with_the_prefix_and_without() {
    let (upstream, provider) = (Upstream::start().await, Provider::start().await);
    let hash = hash(PASSWORD).await;
    let users = json!({ "users": [
        { "name": "bare", "password": hash, "scopes": ["tasks:read"] },
        { "name": "full", "password": hash, "scopes": [READ] },
        { "name": "other", "password": hash, "scopes": ["api://other/tasks:read"] },
    ] });
    let config = with_authorization_server(Config::new(&upstream.url(), &[])).await;
    let config = with_users(config, &users.to_string());
    let secret = config.write("provider.secret", CLIENT_SECRET);
    e2e::certificates::write_secret(&secret, CLIENT_SECRET);
    let entry = |name: &str, scope: &str| {
        let mut entry = provider.configured(name);
        let rule = json!({ "claim": "groups", "value": "readers", "scopes": [scope] });
        entry["grants"] = json!({ "by_claim": [rule] });
        entry
    };
    let providers = json!([entry("bare", "tasks:read"), entry("full", READ)]);
    let config = config
        .set("/authorization_server/providers", providers)
        .set("/resources/0/scopes/prefix", json!("api://tasks/"));
    let gateway = Gateway::start(config).await;
    provider.behave(|behaviour| {
        _ = behaviour
            .claims
            .insert("groups".to_owned(), json!(["readers"]));
    });
    for user in ["bare", "full"] {
        let client = Client::register(&gateway).await;
        let mut browser = Browser::new(&gateway.uri(""));
        let url = client.authorize(&gateway, ASKED);
        let page = browser.sign_in(&url, user, PASSWORD).await;
        gets_read(&gateway, &mut browser, &client, page).await;
    }
    for name in ["bare", "full"] {
        let client = Client::register(&gateway).await;
        let mut browser = Browser::new(&gateway.uri(""));
        let page = browser.open(&client.authorize(&gateway, ASKED)).await;
        let left = browser.submit(&page, &[("provider", name)]).await;
        let back = provider.sign_in(left.header("location"), "1");
        let back = browser.open(&back).await;
        let page = browser.follow(back).await;
        gets_read(&gateway, &mut browser, &client, page).await;
    }
    // The scope of another resource is another one.
    let client = Client::register(&gateway).await;
    let mut browser = Browser::new(&gateway.uri(""));
    let url = client.authorize(&gateway, ASKED);
    let page = browser.sign_in(&url, "other", PASSWORD).await;
    assert_eq!(page.status, 403, "{}", page.text());
}
