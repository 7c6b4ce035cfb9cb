//! The server's capabilities, and the handler of each MCP method. One value per legacy session, and one per request
//! of the modern era.

use std::sync::LazyLock;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::router::tool::ToolRouter,
    model::{
        CompleteRequestParams, CompleteResult, GetPromptRequestParams, GetPromptResponse,
        Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
        ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter,
        UnsubscribeRequestParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    tool_handler,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{
    TaskStore,
    features::{
        prompts,
        resources::{self, ResourceUri},
        subscriptions::{ModernStream, SessionSubscriptions},
    },
};

const INSTRUCTIONS: &str = "A list of tasks. Create, list and complete tasks with the tools; read them as the resource \
                            tasks://all or one by one as tasks://{id}, and subscribe to either to be notified of changes.";

static TOOLS: LazyLock<ToolRouter<TaskServer>> = LazyLock::new(TaskServer::tool_router);

/// The MCP side of a session, or of one request.
#[derive(Debug)]
pub(crate) struct TaskServer {
    pub(crate) store: TaskStore,
    /// Cancelled when the server begins to shut down.
    pub(crate) draining: CancellationToken,
    session: SessionSubscriptions,
    stream: ModernStream,
    /// One of the places for open sessions and requests; free again when this value is dropped.
    _place: OwnedSemaphorePermit,
}

impl TaskServer {
    pub(crate) fn new(
        store: TaskStore,
        draining: CancellationToken,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let session = SessionSubscriptions::default();
        Self {
            store,
            draining,
            session,
            stream: ModernStream::default(),
            _place: place,
        }
    }
}

#[tool_handler(router = TOOLS)]
impl ServerHandler for TaskServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_prompts()
            .enable_completions()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(
                "upstream-tasks",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        resources::list(
            &self.store.tasks(),
            page.and_then(|page| page.cursor).as_deref(),
        )
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(resources::read(&self.store.tasks(), &request.uri)?.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(prompts::list())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Ok(prompts::get(&self.store.tasks(), &request)?.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        prompts::complete(&self.store.tasks(), &request)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.session.start(&self.store, context.peer);
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let uri = ResourceUri::existing(&self.store.tasks(), &request.uri)?;
        self.session.start(&self.store, context.peer);
        self.session.add(uri)
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.session.remove(ResourceUri::parse(&request.uri)?);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(self.stream.accept(&self.store, requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            () = self.stream.run(&self.store, context.sink()) => {}
            () = context.cancelled() => {}
            // The answer to the request then reports the end of the subscription to the client.
            () = self.draining.cancelled() => {}
        }
        Ok(())
    }
}
