//! What operators see and revoke with `mcp-gateway oauth`, in the running gateway.

use e2e::client::sse::{Events, Item};
use e2e::gateway::Gateway;
use e2e::sign_in::client::call;
use e2e::sign_in::operator::oauth;
use e2e::upstream::{Answer, Feed, with};
use serde_json::Value;

use super::flows::Site;

/// A listening stream with this token, after its first event.
async fn listening(site: &Site, token: &str) -> (Events, Feed) {
    let mut feeds = site.upstream.streams("text/event-stream");
    let listen = site.gateway.get("/mcp").token(token);
    let answer = tokio::spawn(listen.with("accept", "text/event-stream").open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.expect("an answer"));
    assert_eq!(events.data().await, "first");
    (events, feed)
}

/// The revocations in the audit log.
async fn audited(gateway: &Gateway) -> Vec<Value> {
    let lines = gateway.log_lines().await;
    let revoked = |line: &Value| line["target"] == "audit" && line["event"] == "revocation";
    lines.into_iter().filter(revoked).collect()
}

#[tokio::test]
async fn an_operator_lists_clients_and_grants_and_a_revoked_one_ends_at_once() {
    let site = Site::start().await;
    let gateway = &site.gateway;
    let (client, tokens) = site.signed_in().await;
    let (other, kept) = site.signed_in().await;

    let clients = oauth(gateway, &["clients", "list"]).await;
    let mut ids: Vec<_> = clients.iter().map(|line| line["id"].clone()).collect();
    let mut expected = [client.id.as_str(), other.id.as_str()].map(Value::from);
    ids.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(ids, expected);
    let grants = oauth(gateway, &["grants", "list"]).await;
    assert_eq!(grants.len(), 2, "{grants:?}");
    let grant = grants.iter().find(|line| line["client"] == *client.id);
    let grant = grant.expect("the client's grant");
    assert_eq!(grant["resource"], gateway.uri("/mcp"));

    let (mut events, _feed) = listening(&site, &tokens.access).await;
    let id = grant["id"].as_str().expect("an id");
    let revoked = oauth(gateway, &["grants", "revoke", id]).await;
    assert_eq!(revoked[0]["revoked"]["grants"], 1);
    assert!(matches!(events.next().await, Item::End | Item::Broken));
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    site.upstream
        .script(move |_| Answer::Full(with(200, "application/json", result)));
    assert_eq!(call(gateway, &tokens.access).await.status, 401);
    assert_eq!(client.refresh(gateway, &tokens.refresh).await.0, 400);
    assert_eq!(call(gateway, &kept.access).await.status, 200);

    let revoked = oauth(gateway, &["clients", "revoke", &other.id]).await;
    assert_eq!(revoked[0]["revoked"]["grants"], 1);
    assert_eq!(call(gateway, &kept.access).await.status, 401);
    let clients = oauth(gateway, &["clients", "list"]).await;
    assert!(!clients.iter().any(|line| line["id"] == *other.id));

    // Each of them is in the audit log, which nobody's request is named in.
    let lines = audited(gateway).await;
    let about = |reason: &str| -> Vec<_> {
        let same = lines.iter().filter(|line| line["reason"] == reason);
        same.collect()
    };
    let of_grant = about("an operator revoked the grant");
    assert_eq!(of_grant.len(), 1, "{lines:?}");
    assert_eq!(of_grant[0]["grant"], id);
    assert_eq!(of_grant[0]["client"], "none");
    assert!(of_grant[0].get("request_id").is_none());
    let of_client = about("an operator revoked the client");
    assert_eq!(of_client.len(), 2, "{lines:?}");
    assert!(of_client.iter().all(|line| line["client_id"] == *other.id));
    assert!(of_client.iter().any(|line| line["grant"].is_string()));
}
