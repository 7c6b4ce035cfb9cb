//! The Rust SDK against the built-in authorization server, given the URL alone: sign-in, calls, refresh, and a revoked grant.

use e2e::sign_in::browser::Browser;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::AuthClient;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::json;

use crate::sdks::rust_sdk::authorize_with;
use crate::setting::built_in::{BuiltIn, PASSWORD, USER};
use crate::sign_in::ledger;

/// A client whose user signed in and allowed what it asked for. The SDK chooses the scopes.
async fn connected(
    built_in: &BuiltIn,
    lifecycle: ClientLifecycleMode,
) -> RunningService<RoleClient, ()> {
    let user = async |address: &str| {
        let mut browser = Browser::new(&built_in.gateway.uri(""));
        let consent = browser.sign_in(address, USER, PASSWORD).await;
        browser.allow(&consent).await
    };
    let manager = authorize_with(&built_in.url(), &[], user).await;
    let client = AuthClient::new(e2e::client::http(), manager);
    let config = StreamableHttpClientTransportConfig::with_uri(built_in.url());
    let transport = StreamableHttpClientTransport::with_client(client, config);
    ().serve_with_lifecycle(transport, lifecycle).await.unwrap()
}

async fn echo(client: &RunningService<RoleClient, ()>) -> Result<CallToolResult, ServiceError> {
    let arguments = json!({ "message": "hello" }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("secure_echo").with_arguments(arguments);
    client.call_tool(call).await
}

/// Who the task server says that the caller is.
async fn subject(client: &RunningService<RoleClient, ()>) -> String {
    let result = echo(client).await.unwrap();
    let content = result.structured_content.unwrap();
    content["subject"].as_str().unwrap().to_owned()
}

/// Tokens expire soon, and the SDK refreshes those that have less than 30 s left: before each call.
async fn refreshes_until_it_is_revoked(lifecycle: ClientLifecycleMode) {
    let built_in = BuiltIn::changed(ledger::short).await;
    let gateway = &built_in.gateway;
    let client = connected(&built_in, lifecycle.clone()).await;
    let ids = ledger::clients(gateway).await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    let refresh = ("refresh_token", "issued");
    let before = ledger::tokens(gateway, &ids[0], refresh);
    assert_eq!(subject(&client).await, format!("u:{USER}"));
    ledger::more(gateway, &ids[0], refresh, before).await;

    ledger::revoke(gateway, &ids[0]).await;
    let refused = echo(&client).await.expect_err("the grant is revoked");
    let refused = format!("{refused:?}");
    assert!(refused.contains("AuthRequired"), "{refused}");
    ledger::more(gateway, &ids[0], ("refresh_token", "invalid_grant"), 0).await;

    // The SDK leaves it to its host to ask the user again.
    let again = connected(&built_in, lifecycle).await;
    assert_eq!(subject(&again).await, format!("u:{USER}"));
}

#[tokio::test]
async fn the_modern_rust_sdk_signs_in_refreshes_and_notices_a_revocation() {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    refreshes_until_it_is_revoked(lifecycle).await;
}

#[tokio::test]
async fn the_legacy_rust_sdk_signs_in_refreshes_and_notices_a_revocation() {
    refreshes_until_it_is_revoked(ClientLifecycleMode::Initialize).await;
}
