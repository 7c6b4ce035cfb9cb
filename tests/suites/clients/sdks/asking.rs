//! Requests of legacy servers to their clients: elicitation, sampling and roots. The responses pass through the gateway in the
//! session.

#![allow(deprecated, reason = "sampling and roots are what the legacy era has")]

use std::net::Ipv4Addr;

use e2e::process::binary::repository;
use e2e::process::tool::tool as program;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientConfig, CreateMessageRequestParams,
    CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationAction, Implementation,
    ListRootsResult, Root, SamplingMessage, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData, RoleClient, RoleServer,
    ServerHandler, ServiceError, tool, tool_handler, tool_router,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::setting::Setting;

/// The result of the tool when everything was answered.
const ANSWERED: &str = r#"{"name":"carol"}, Paris, file:///home/carol"#;

/// A server with a tool that sends every kind of request.
struct Asking {
    tools: ToolRouter<Self>,
}

#[tool_router]
impl Asking {
    /// Ask the user, the model and the machine.
    #[tool]
    async fn ask(&self, context: RequestContext<RoleServer>) -> Result<String, String> {
        let text = |error: ServiceError| error.to_string();
        let schema = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
        let form = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: "Who are you?".to_owned(),
            requested_schema: serde_json::from_value(schema).unwrap(),
        };
        let person = context.peer.create_elicitation(form).await.map_err(text)?;
        let question = vec![SamplingMessage::user_text("The capital of France?")];
        let prompt = CreateMessageRequestParams::new(question, 10);
        let model = context.peer.create_message(prompt).await.map_err(text)?;
        let said = model
            .message
            .content
            .first()
            .and_then(|part| part.as_text());
        let roots = context.peer.list_roots().await.map_err(text)?.roots;
        Ok(format!(
            "{}, {}, {}",
            person.content.unwrap_or_default(),
            said.map_or("nothing", |said| &said.text),
            roots.first().map_or("nowhere", |root| &root.uri)
        ))
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Asking {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("asking", "1.0.0"))
    }
}

/// A client that answers every kind of request.
struct Answering;

impl ClientHandler for Answering {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder()
            .enable_elicitation()
            .enable_sampling()
            .enable_roots()
            .build();
        ClientConfig::new(capabilities, Implementation::new("answering", "1.0.0"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "name": "carol" })))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let message = SamplingMessage::assistant_text("Paris");
        Ok(CreateMessageResult::new(message, "none".to_owned()))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///home/carol")]))
    }
}

/// A gateway before such a server.
async fn asked() -> Setting {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let service = StreamableHttpService::new(
        || {
            Ok(Asking {
                tools: Asking::tool_router(),
            })
        },
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    );
    let router = axum::Router::new().route_service("/mcp", service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Setting::changed(|config| config.set("/resources/0/upstream", url)).await
}

#[tokio::test]
async fn the_rust_sdk_answers_a_legacy_server() {
    let setting = asked().await;
    let token = setting.provider.machine_token(&setting.url()).await;
    let config = StreamableHttpClientTransportConfig::with_uri(setting.url()).auth_header(token);
    let transport = StreamableHttpClientTransport::with_client(e2e::client::http(), config);
    let client = Answering
        .serve_with_lifecycle(transport, ClientLifecycleMode::Initialize)
        .await
        .unwrap();
    let called = client.call_tool(CallToolRequestParams::new("ask")).await;
    let said = serde_json::to_value(called.unwrap()).unwrap();
    assert_eq!(said["content"][0]["text"], ANSWERED, "{said}");
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_python_sdk_answers_a_legacy_server() {
    let setting = asked().await;
    let token = setting.provider.machine_token(&setting.url()).await;
    let output = program("python")
        .arg(repository("tests/clients/python/answering.py"))
        .args([&setting.url(), &token])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    let said: Vec<&str> = said.trim_end().splitn(2, ", ").collect();
    let expected: Vec<&str> = ANSWERED.splitn(2, ", ").collect();
    assert_eq!(said, expected, "{errors}");
}
