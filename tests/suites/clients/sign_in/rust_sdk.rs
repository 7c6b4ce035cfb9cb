//! The Rust SDK against the built-in authorization server, given the URL alone: sign-in, calls, refresh, and a revoked grant.

use e2e::sign_in::browser::Browser;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthorizationCallback};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};

use crate::refusals::rust_step_up::challenged;
use crate::sdks::rust_sdk::authorize_with;
use crate::setting::built_in::{BuiltIn, PASSWORD, USER};
use crate::sign_in::ledger;

/// A client whose user signed in and allowed what it asked for.
pub(crate) struct Connected {
    pub(crate) auth: AuthClient<reqwest::Client>,
    client: RunningService<RoleClient, ()>,
}

impl Connected {
    /// It asks for these scopes; without any, the SDK asks for all of the resource.
    pub(crate) async fn start(
        built_in: &BuiltIn,
        lifecycle: ClientLifecycleMode,
        scopes: &[&str],
    ) -> Self {
        let user = async |address: &str| user(built_in, address).await;
        let manager = authorize_with(&built_in.url(), scopes, user).await;
        let auth = AuthClient::new(e2e::client::http(), manager);
        Self::open(auth, &built_in.url(), lifecycle).await.unwrap()
    }

    /// One that has signed in already; what the SDK says where it cannot connect.
    pub(crate) async fn open(
        auth: AuthClient<reqwest::Client>,
        url: &str,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Self, String> {
        let config = StreamableHttpClientTransportConfig::with_uri(url.to_owned());
        let transport = StreamableHttpClientTransport::with_client(auth.clone(), config);
        let connecting = ().serve_with_lifecycle(transport, lifecycle).await;
        let client = connecting.map_err(|error| error.to_string())?;
        Ok(Self { auth, client })
    }

    /// Asks the user for these scopes in addition.
    async fn step_up(&self, built_in: &BuiltIn, scopes: &str) {
        let manager = self.auth.auth_manager.lock().await;
        let address = manager.request_scope_upgrade(scopes).await.unwrap();
        let callback = user(built_in, &address).await;
        let callback = AuthorizationCallback::from_redirect_url(&callback).unwrap();
        manager
            .exchange_code_for_token_with_issuer(
                &callback.code,
                &callback.csrf_token,
                callback.issuer.as_deref(),
            )
            .await
            .unwrap();
    }
}

/// The user, from the authorization URL to the URL of the callback.
async fn user(built_in: &BuiltIn, address: &str) -> String {
    let mut browser = Browser::new(&built_in.gateway.uri(""));
    let consent = browser.sign_in(address, USER, PASSWORD).await;
    browser.allow(&consent).await
}

/// Calls a tool.
pub(crate) async fn call(
    Connected { client, .. }: &Connected,
    name: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let arguments = arguments.as_object().cloned().unwrap();
    client
        .call_tool(CallToolRequestParams::new(name).with_arguments(arguments))
        .await
}

async fn echo(client: &Connected) -> Result<CallToolResult, ServiceError> {
    call(client, "secure_echo", json!({ "message": "hello" })).await
}

/// Who the task server says that the caller is.
async fn subject(client: &Connected) -> String {
    let result = echo(client).await.unwrap();
    let content = result.structured_content.unwrap();
    content["subject"].as_str().unwrap().to_owned()
}

/// Tokens expire soon, and the SDK refreshes those that have less than 30 s left: before each call.
async fn refreshes_until_it_is_revoked(lifecycle: ClientLifecycleMode) {
    let built_in = BuiltIn::changed(ledger::short).await;
    let gateway = &built_in.gateway;
    let client = Connected::start(&built_in, lifecycle.clone(), &[]).await;
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
    let again = Connected::start(&built_in, lifecycle, &[]).await;
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

#[tokio::test]
async fn the_rust_sdk_steps_up_for_a_tool_that_needs_more() {
    let built_in = BuiltIn::start().await;
    let client =
        Connected::start(&built_in, ClientLifecycleMode::Initialize, &["tasks:read"]).await;
    let create = async || call(&client, "create_task", json!({ "title": "by rmcp" })).await;
    let scopes = challenged(create().await);
    assert_eq!(scopes, "tasks:read tasks:write");
    client.step_up(&built_in, &scopes).await;
    let created = create().await.unwrap();
    assert_ne!(created.is_error, Some(true), "{created:?}");
}
