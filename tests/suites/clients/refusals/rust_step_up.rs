//! Step-up by the Rust SDK. It returns the refusal with its scopes to its host, and can request them in addition to those it
//! has. Repeating the call is the task of the host, here of the test.

use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthError, AuthorizationCallback};
use rmcp::transport::streamable_http_client::{
    InsufficientScopeError, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::json;

use crate::sdks::rust_sdk::{authorize, visit};
use crate::setting::Setting;

const READ: &str = "tasks:read";
const BOTH: &str = "tasks:read tasks:write";
const TITLE: &str = "once and only once";

/// A client that starts with the scope to read.
pub(crate) struct Caller {
    setting: Setting,
    auth: AuthClient<reqwest::Client>,
    client: RunningService<RoleClient, ()>,
}

impl Caller {
    async fn start(lifecycle: ClientLifecycleMode) -> Self {
        Self::of(Setting::start().await, lifecycle).await
    }

    /// One in this setting.
    pub(crate) async fn of(setting: Setting, lifecycle: ClientLifecycleMode) -> Self {
        let manager = authorize(&setting.url(), &[READ]).await;
        let auth = AuthClient::new(e2e::client::http(), manager);
        let config = StreamableHttpClientTransportConfig::with_uri(setting.url());
        let transport = StreamableHttpClientTransport::with_client(auth.clone(), config);
        let client = ().serve_with_lifecycle(transport, lifecycle).await.unwrap();
        Self {
            setting,
            auth,
            client,
        }
    }

    pub(crate) async fn list(&self) -> Result<CallToolResult, ServiceError> {
        self.client
            .call_tool(CallToolRequestParams::new("list_tasks"))
            .await
    }

    pub(crate) async fn create(&self) -> Result<CallToolResult, ServiceError> {
        let arguments = json!({ "title": TITLE }).as_object().cloned().unwrap();
        let call = CallToolRequestParams::new("create_task").with_arguments(arguments);
        self.client.call_tool(call).await
    }

    /// Requests these scopes from the provider, in addition to the granted ones.
    async fn step_up(&self, scopes: &str) -> Result<(), AuthError> {
        let manager = self.auth.auth_manager.lock().await;
        let callback = visit(&manager.request_scope_upgrade(scopes).await?).await;
        let callback = AuthorizationCallback::from_redirect_url(&callback)?;
        manager
            .exchange_code_for_token_with_issuer(
                &callback.code,
                &callback.csrf_token,
                callback.issuer.as_deref(),
            )
            .await
            .map(drop)
    }

    /// What was requested and granted, and how often the upstream received the call.
    async fn outcome(&self) -> (Vec<(String, String)>, usize) {
        let consents = self.setting.provider.consents().await.into_iter();
        let sent = self.setting.tasks.relay.as_ref().unwrap().sent();
        let consents = consents.map(|consent| (consent.asked, consent.granted));
        (consents.collect(), sent.matches(TITLE).count())
    }
}

/// The scopes that a refusal names.
pub(crate) fn challenged(refused: Result<CallToolResult, ServiceError>) -> String {
    let error = refused.expect_err("the token is too narrow");
    let ServiceError::TransportSend(sending) = &error else {
        panic!("not refused: {error:?}");
    };
    let mut cause: Option<&dyn std::error::Error> = Some(sending.error.as_ref());
    while let Some(current) = cause {
        if let Some(lacking) = current.downcast_ref::<InsufficientScopeError>() {
            return lacking.get_required_scope().unwrap().to_owned();
        }
        cause = current.source();
    }
    panic!("not because of a missing scope: {error:?}");
}

fn decisions(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(asked, granted)| ((*asked).to_owned(), (*granted).to_owned()))
        .collect()
}

async fn granted(lifecycle: ClientLifecycleMode) {
    let caller = Caller::start(lifecycle).await;
    caller.list().await.unwrap();
    let scopes = challenged(caller.create().await);
    assert_eq!(scopes, BOTH, "all scopes for the call");
    caller.step_up(&scopes).await.unwrap();
    caller.create().await.unwrap();
    caller.list().await.unwrap();
    let (consents, created) = caller.outcome().await;
    assert_eq!(consents, decisions(&[(READ, READ), (BOTH, BOTH)]));
    assert_eq!(created, 1, "the upstream was asked once");
    caller.client.cancel().await.unwrap();
}

#[tokio::test]
async fn rust_sdk_steps_up_in_the_modern_era() {
    granted(ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    })
    .await;
}

#[tokio::test]
async fn rust_sdk_steps_up_within_its_session() {
    granted(ClientLifecycleMode::Initialize).await;
}

#[tokio::test]
async fn rust_sdk_keeps_its_session_where_the_wider_scope_is_not_granted() {
    let caller = Caller::start(ClientLifecycleMode::Initialize).await;
    for (answer, consents) in [
        ("narrow", decisions(&[(BOTH, READ)])),
        ("deny", decisions(&[(BOTH, "")])),
    ] {
        caller
            .setting
            .provider
            .withhold(&["tasks:write"], answer)
            .await;
        let scopes = challenged(caller.create().await);
        let asked = caller.step_up(&scopes).await;
        assert_eq!(asked.is_ok(), answer == "narrow", "{asked:?}");
        assert_eq!(challenged(caller.create().await), BOTH, "the same again");
        caller.list().await.unwrap();
        assert_eq!(caller.outcome().await, (consents, 0), "{answer}");
    }
    caller.client.cancel().await.unwrap();
}
