//! The Rust SDK as a client, with its own OAuth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rmcp::model::{
    CallToolRequestParams, GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion,
    ReadResourceRequestParams, ResourceUpdatedNotificationParam, ServerNotification,
    SubscribeRequestParams, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthorizationManager, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};

use crate::setting::Setting;

/// Never connected to: the redirect is read from the answer.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:53682/callback";

/// A client that counts its notifications.
#[derive(Clone, Default)]
struct Listener {
    progress: Arc<AtomicUsize>,
    updates: Arc<AtomicUsize>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, _: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_resource_updated(
        &self,
        _: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.updates.fetch_add(1, Ordering::SeqCst);
    }
}

/// Discovery, registration and the authorization code flow by the SDK.
pub(crate) async fn authorize(url: &str, scopes: &[&str]) -> AuthorizationManager {
    authorize_with(url, scopes, async |address: &str| visit(address).await).await
}

/// The same with another user: from the authorization URL to the URL of the callback.
pub(crate) async fn authorize_with(
    url: &str,
    scopes: &[&str],
    user: impl AsyncFnOnce(&str) -> String,
) -> AuthorizationManager {
    let mut state = OAuthState::new(url, None).await.unwrap();
    let request = AuthorizationRequest::new(REDIRECT)
        .with_client_name("Rust test client")
        .with_scopes(scopes.iter().copied());
    state.start_authorization(request).await.unwrap();
    let address = state.get_authorization_url().await.unwrap();
    let callback = user(&address).await;
    state.handle_callback_url(&callback).await.unwrap();
    state.into_authorization_manager().unwrap()
}

/// Acts as the user with a browser: from the authorization URL to the URL of the callback.
pub(crate) async fn visit(address: &str) -> String {
    let mut address = format!("{address}&login_hint=dave");
    let http = e2e::client::http();
    for _ in 0..5 {
        let answer = http.get(&address).send().await.unwrap();
        let location = answer
            .headers()
            .get("location")
            .unwrap_or_else(|| panic!("{answer:?}"))
            .to_str()
            .unwrap();
        address = reqwest::Url::parse(&address)
            .unwrap()
            .join(location)
            .unwrap()
            .to_string();
        if address.starts_with(REDIRECT) {
            return address;
        }
    }
    panic!("the provider redirects on and on: {address}");
}

/// An authorized client.
async fn connect(
    setting: &Setting,
    lifecycle: ClientLifecycleMode,
) -> RunningService<RoleClient, Listener> {
    let manager = authorize(&setting.url(), &["tasks:read", "tasks:write"]).await;
    let client = AuthClient::new(e2e::client::http(), manager);
    let transport = StreamableHttpClientTransport::with_client(
        client,
        StreamableHttpClientTransportConfig::with_uri(setting.url()),
    );
    Listener::default()
        .serve_with_lifecycle(transport, lifecycle)
        .await
        .unwrap()
}

pub(crate) async fn walk(setting: &Setting, lifecycle: ClientLifecycleMode) {
    let client = connect(setting, lifecycle).await;

    let tools = client.list_all_tools().await.unwrap();
    assert!(
        tools.iter().any(|tool| tool.name == "create_task"),
        "{tools:?}"
    );
    let created = call(
        &client,
        "create_task",
        json!({ "title": "by the Rust SDK" }),
    )
    .await;
    assert_eq!(created["title"], "by the Rust SDK");
    let echo = call(&client, "secure_echo", json!({ "message": "hello" })).await;
    assert_eq!(
        (echo["message"].as_str(), echo["subject"].as_str()),
        (Some("hello"), Some("dave"))
    );
    let resource = client
        .read_resource(ReadResourceRequestParams::new("tasks://all"))
        .await
        .unwrap();
    assert!(
        serde_json::to_string(&resource)
            .unwrap()
            .contains("by the Rust SDK")
    );
    let mut prompt = GetPromptRequestParams::new("prioritize_tasks");
    prompt.arguments = json!({ "focus": "urgency" }).as_object().cloned();
    let prompt = client.get_prompt(prompt).await.unwrap();
    assert!(
        serde_json::to_string(&prompt)
            .unwrap()
            .contains("by the Rust SDK")
    );
    call(
        &client,
        "generate_report",
        json!({ "steps": 4, "delay_ms": 50 }),
    )
    .await;
    assert_eq!(client.service().progress.load(Ordering::SeqCst), 4);
    client.cancel().await.unwrap();
}

async fn call(
    client: &RunningService<RoleClient, Listener>,
    name: &'static str,
    arguments: Value,
) -> Value {
    let parameters =
        CallToolRequestParams::new(name).with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(parameters).await.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    result.structured_content.unwrap()
}

#[tokio::test]
async fn rust_sdk_modern() {
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    walk(&Setting::start().await, lifecycle).await;
}

#[tokio::test]
async fn rust_sdk_legacy() {
    walk(&Setting::start().await, ClientLifecycleMode::Initialize).await;
}

#[tokio::test]
async fn rust_sdk_with_automatic_version() {
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    walk(&Setting::start().await, lifecycle).await;
}

#[tokio::test]
#[allow(deprecated, reason = "resources/subscribe is what the legacy era has")]
async fn a_legacy_subscriber_is_notified_of_a_change() {
    let setting = Setting::start().await;
    let client = connect(&setting, ClientLifecycleMode::Initialize).await;
    client
        .subscribe(SubscribeRequestParams::new("tasks://all"))
        .await
        .unwrap();
    let updates = Arc::clone(&client.service().updates);
    e2e::eventually("the stream reports a change", async || {
        call(&client, "create_task", json!({ "title": "new" })).await;
        call(&client, "complete_task", json!({ "id": "task-1" })).await;
        updates.load(Ordering::SeqCst) > 0
    })
    .await;
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn a_modern_listener_is_notified_of_a_change() {
    let setting = Setting::start().await;
    let lifecycle = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = connect(&setting, lifecycle).await;
    let filter = SubscriptionFilter::builder()
        .resource_subscriptions(["tasks://all"])
        .build();
    let mut subscription = client.listen(filter).await.unwrap();
    call(&client, "complete_task", json!({ "id": "task-1" })).await;
    let notified = tokio::time::timeout(e2e::SOON, subscription.next())
        .await
        .expect("a notification in time")
        .unwrap();
    assert!(
        matches!(
            notified,
            Some(ServerNotification::ResourceUpdatedNotification(_))
        ),
        "{notified:?}"
    );
    subscription.cancel().await.unwrap();
    client.cancel().await.unwrap();
}
