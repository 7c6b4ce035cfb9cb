//! The whole server, driven by the SDK's client: everything it offers works the same in the legacy era (initialize,
//! session) and in the modern one (discover, no session).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient,
    model::{
        ArgumentInfo, CallToolRequestParams, CallToolResult, CompleteRequestParams,
        GetPromptRequestParams, ProgressNotificationParam, ProtocolVersion,
        ReadResourceRequestParams, Reference, ResourceContents, ResourceUpdatedNotificationParam,
        ServerNotification, SubscribeRequestParams, SubscriptionFilter,
    },
    service::{NotificationContext, RunningService, Subscription, SubscriptionEnd},
    transport::{
        StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use upstream_tasks::{Listener, ServeConfig, ServeError, TaskStore, serve};

/// Longest wait for anything, generous because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
    directory: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = TaskStore::open(directory.path().join("tasks.json")).unwrap();
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let url = format!("http://{}/mcp", listener.address());
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let ended = tokio::spawn(serve(listener, store, ServeConfig::default(), shutdown));
        Self {
            url,
            stop,
            ended,
            directory,
        }
    }

    /// Stops the server, which has to end by itself and soon.
    async fn end(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.ended)
            .await
            .expect("ends promptly")
            .unwrap()
            .unwrap();
    }
}

/// What a client received outside of answers.
#[derive(Debug, PartialEq)]
enum Received {
    Progress(f64, Option<f64>),
    Updated(String),
    ListChanged,
}

struct Ears(mpsc::UnboundedSender<Received>);

impl ClientHandler for Ears {
    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self
            .0
            .send(Received::Progress(progress.progress, progress.total));
    }

    async fn on_resource_updated(
        &self,
        update: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.0.send(Received::Updated(update.uri));
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        let _ = self.0.send(Received::ListChanged);
    }
}

struct Client {
    service: RunningService<RoleClient, Ears>,
    received: mpsc::UnboundedReceiver<Received>,
}

fn legacy() -> ClientLifecycleMode {
    ClientLifecycleMode::Initialize
}

fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

fn both() -> [(&'static str, ClientLifecycleMode); 2] {
    [("legacy", legacy()), ("modern", modern())]
}

impl Client {
    async fn connect(
        url: &str,
        era: ClientLifecycleMode,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let headers: HashMap<_, _> = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(headers);
        let (sender, received) = mpsc::unbounded_channel();
        let transport = StreamableHttpClientTransport::from_config(config);
        let service = Ears(sender)
            .serve_with_lifecycle(transport, era)
            .await
            .unwrap();
        Self { service, received }
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else {
            panic!("not an object")
        };
        self.service
            .call_tool(CallToolRequestParams::new(tool).with_arguments(arguments))
            .await
            .unwrap()
    }

    /// Calls a tool that has to succeed, and returns its structured content.
    async fn ok(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_ne!(result.is_error, Some(true), "{tool}: {:?}", result.content);
        result.structured_content.expect("structured content")
    }

    /// Calls a tool that has to fail as a tool, and returns what it says.
    async fn failure(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(
            result.is_error,
            Some(true),
            "{tool}: {:?}",
            result.structured_content
        );
        result.content[0].as_text().unwrap().text.clone()
    }

    async fn read(&self, uri: &str) -> Value {
        let result = self
            .service
            .read_resource(ReadResourceRequestParams::new(uri))
            .await
            .unwrap();
        let ResourceContents::TextResourceContents {
            text, mime_type, ..
        } = &result.contents[0]
        else {
            panic!("not text")
        };
        assert_eq!(mime_type.as_deref(), Some("application/json"));
        serde_json::from_str(text).unwrap()
    }

    async fn next_received(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.received.recv())
            .await
            .expect("received in time")
            .unwrap()
    }
}

async fn next_on(subscription: &mut Subscription) -> ServerNotification {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .expect("received in time")
        .unwrap()
        .expect("still open")
}

#[tokio::test]
async fn tasks_are_created_listed_and_completed() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let client = Client::connect(&server.url, mode, &[]).await;
        let new = json!({"title": "Water the plants", "description": "all of them", "priority": "high", "due_date": "2026-12-24"});
        let created = client.ok("create_task", new).await;
        assert_eq!(created["title"], "Water the plants", "{era}");
        assert_eq!(
            (&created["priority"], &created["due_date"]),
            (&json!("high"), &json!("2026-12-24"))
        );
        assert_eq!(created["status"], "pending");

        let high = client
            .ok(
                "list_tasks",
                json!({"status": "pending", "priority": "high"}),
            )
            .await;
        let tasks = high["tasks"].as_array().unwrap();
        assert_eq!(high["count"], tasks.len());
        assert!(tasks.contains(&created), "{era}");
        assert!(
            tasks
                .iter()
                .all(|task| task["status"] == "pending" && task["priority"] == "high")
        );

        let completed = client
            .ok("complete_task", json!({"id": created["id"]}))
            .await;
        assert_eq!(completed["status"], "completed", "{era}");
        assert_eq!(
            client
                .ok("complete_task", json!({"id": created["id"]}))
                .await,
            completed,
            "{era}: again"
        );
        let all = client.ok("list_tasks", json!({})).await;
        assert!(
            all["tasks"].as_array().unwrap().contains(&completed),
            "{era}"
        );
    }
    server.end().await;
}

#[tokio::test]
async fn a_failure_inside_a_tool_is_a_tool_error() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let client = Client::connect(&server.url, mode, &[]).await;
        let before = client.ok("list_tasks", json!({})).await;
        let cases = [
            (
                "complete_task",
                json!({"id": "task-4711"}),
                "there is no task-4711",
            ),
            (
                "complete_task",
                json!({"id": "4711"}),
                "a task id must be task-N",
            ),
            ("create_task", json!({"title": ""}), "a title has"),
            (
                "create_task",
                json!({"title": "a", "priority": "urgent"}),
                "unknown variant `urgent`",
            ),
            (
                "create_task",
                json!({"title": "a", "due_date": "tomorrow"}),
                "YYYY-MM-DD",
            ),
            (
                "list_tasks",
                json!({"status": "open"}),
                "unknown variant `open`",
            ),
            ("generate_report", json!({"steps": 0}), "a report has"),
        ];
        for (tool, arguments, expected) in cases {
            let message = client.failure(tool, arguments).await;
            assert!(message.contains(expected), "{era} {tool}: {message}");
        }
        assert_eq!(
            client.ok("list_tasks", json!({})).await,
            before,
            "{era}: nothing changed"
        );
        assert!(
            client
                .service
                .call_tool(CallToolRequestParams::new("no_such_tool"))
                .await
                .is_err()
        );
    }
    server.end().await;
}

#[tokio::test]
async fn tools_describe_themselves() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let client = Client::connect(&server.url, mode, &[]).await;
        let tools = client.service.list_all_tools().await.unwrap();
        let hints: Vec<_> = tools
            .iter()
            .map(|tool| {
                let hints = tool.annotations.as_ref().unwrap();
                assert!(
                    tool.description
                        .as_ref()
                        .is_some_and(|text| !text.is_empty()),
                    "{}",
                    tool.name
                );
                assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
                assert_eq!(
                    tool.output_schema.as_ref().unwrap()["type"],
                    "object",
                    "{}",
                    tool.name
                );
                (
                    tool.name.as_ref(),
                    hints.read_only_hint,
                    hints.destructive_hint,
                )
            })
            .collect();
        let expected = [
            ("complete_task", Some(false), Some(true)),
            ("create_task", Some(false), Some(false)),
            ("generate_report", Some(true), None),
            ("list_tasks", Some(true), None),
            ("secure_echo", Some(true), None),
        ];
        assert_eq!(hints, expected, "{era}");
        let text = serde_json::to_string(&tools).unwrap();
        assert!(
            !text.contains("\"uint"),
            "no format JSON Schema does not know: {text}"
        );
        let create = tools
            .iter()
            .find(|tool| tool.name == "create_task")
            .unwrap();
        assert_eq!(create.input_schema["required"], json!(["title"]));
        assert_eq!(create.input_schema["properties"]["title"]["maxLength"], 200);
        let steps = tools
            .iter()
            .find(|tool| tool.name == "generate_report")
            .unwrap();
        assert_eq!(
            steps.input_schema["properties"]["steps"]["maximum"], 100,
            "{:?}",
            steps.input_schema
        );
    }
    server.end().await;
}

#[tokio::test]
async fn the_echo_names_the_caller_the_gateway_named() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let identity = [
            ("x-mcp-subject", "auth0|42"),
            ("x-mcp-issuer", "https://idp.example/"),
            ("x-mcp-scope", "tasks:read"),
        ];
        let known = Client::connect(&server.url, mode.clone(), &identity).await;
        let echo = known.ok("secure_echo", json!({"message": "grüezi"})).await;
        let expected = json!({"message": "grüezi", "subject": "auth0|42", "issuer": "https://idp.example/", "scope": "tasks:read"});
        assert_eq!(echo, expected, "{era}");

        let unknown = Client::connect(&server.url, mode, &[]).await;
        let echo = unknown.ok("secure_echo", json!({"message": "hello"})).await;
        assert_eq!(
            echo,
            json!({"message": "hello", "subject": "anonymous"}),
            "{era}"
        );
    }
    server.end().await;
}

#[tokio::test]
async fn resources_are_listed_read_and_named_by_a_template() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let client = Client::connect(&server.url, mode, &[]).await;
        let resources = client.service.list_all_resources().await.unwrap();
        let uris: Vec<_> = resources
            .iter()
            .map(|resource| resource.uri.as_str())
            .collect();
        assert_eq!(
            uris,
            [
                "tasks://all",
                "tasks://task-1",
                "tasks://task-2",
                "tasks://task-3",
                "tasks://task-4",
                "tasks://task-5"
            ],
            "{era}"
        );
        let templates = client.service.list_all_resource_templates().await.unwrap();
        assert_eq!(templates[0].uri_template, "tasks://{id}", "{era}");

        let all = client.read("tasks://all").await;
        assert_eq!(all["tasks"].as_array().unwrap().len(), 5, "{era}");
        assert_eq!(
            client.read("tasks://task-2").await,
            all["tasks"][1],
            "{era}"
        );
        for uri in ["tasks://task-99", "tasks://", "file:///etc/passwd"] {
            let answer = client
                .service
                .read_resource(ReadResourceRequestParams::new(uri))
                .await;
            assert!(
                answer.unwrap_err().to_string().contains("unknown resource"),
                "{era} {uri}"
            );
        }
    }
    server.end().await;
}

#[tokio::test]
async fn the_prompt_and_its_completion_work() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let client = Client::connect(&server.url, mode, &[]).await;
        let prompts = client.service.list_all_prompts().await.unwrap();
        assert_eq!(prompts[0].name, "prioritize_tasks", "{era}");
        assert_eq!(
            prompts[0].arguments.as_ref().unwrap()[0].required,
            Some(true)
        );

        let get = |focus: &str| {
            let Value::Object(arguments) = json!({ "focus": focus }) else {
                panic!("not an object")
            };
            client.service.get_prompt(
                GetPromptRequestParams::new("prioritize_tasks").with_arguments(arguments),
            )
        };
        let prompt = get("impact").await.unwrap();
        let text = serde_json::to_string(&prompt.messages).unwrap();
        assert!(
            text.contains("by impact") && text.contains("task-1") && !text.contains("task-5"),
            "{era}: {text}"
        );
        assert!(
            get("colour")
                .await
                .unwrap_err()
                .to_string()
                .contains("urgency or impact"),
            "{era}"
        );

        let complete = CompleteRequestParams::new(
            Reference::for_prompt("prioritize_tasks"),
            ArgumentInfo::new("focus", "u"),
        );
        let completed = client.service.complete(complete).await.unwrap();
        assert_eq!(completed.completion.values, ["urgency"], "{era}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_report_sends_its_progress_before_its_result() {
    let server = Server::start().await;
    for (era, mode) in both() {
        let mut client = Client::connect(&server.url, mode, &[]).await;
        let report = client
            .ok("generate_report", json!({"steps": 3, "delay_ms": 1}))
            .await;
        assert_eq!(
            (&report["total"], &report["completed"]),
            (&json!(5), &json!(1)),
            "{era}"
        );
        for step in 1..=3 {
            assert_eq!(
                client.next_received().await,
                Received::Progress(f64::from(step), Some(3.0)),
                "{era}"
            );
        }
    }
    server.end().await;
}

#[tokio::test]
#[allow(deprecated, reason = "resources/subscribe is what the legacy era has")]
async fn a_legacy_session_is_notified_of_the_resources_it_subscribed_to() {
    let server = Server::start().await;
    let mut client = Client::connect(&server.url, legacy(), &[]).await;
    let subscribe = |uri: &str| client.service.subscribe(SubscribeRequestParams::new(uri));
    subscribe("tasks://all").await.unwrap();
    subscribe("tasks://task-1").await.unwrap();
    assert!(subscribe("tasks://task-99").await.is_err());
    // Another client, in the other era, makes the changes.
    let other = Client::connect(&server.url, modern(), &[]).await;

    other.ok("complete_task", json!({"id": "task-1"})).await;
    assert_eq!(
        client.next_received().await,
        Received::Updated("tasks://all".into())
    );
    assert_eq!(
        client.next_received().await,
        Received::Updated("tasks://task-1".into())
    );
    other.ok("complete_task", json!({"id": "task-2"})).await;
    assert_eq!(
        client.next_received().await,
        Received::Updated("tasks://all".into())
    );

    client
        .service
        .unsubscribe(rmcp::model::UnsubscribeRequestParams::new("tasks://all"))
        .await
        .unwrap();
    other.ok("create_task", json!({"title": "new"})).await;
    assert_eq!(client.next_received().await, Received::ListChanged);
    other.ok("complete_task", json!({"id": "task-3"})).await;
    other.ok("create_task", json!({"title": "newer"})).await;
    assert_eq!(
        client.next_received().await,
        Received::ListChanged,
        "nothing of the unsubscribed list, nor of task-3"
    );
    server.end().await;
}

#[tokio::test]
async fn a_modern_client_that_listens_is_notified_of_what_it_subscribed_to() {
    let server = Server::start().await;
    let client = Client::connect(&server.url, modern(), &[]).await;
    let filter = SubscriptionFilter::builder()
        .resource_subscriptions(["tasks://all", "tasks://task-2", "tasks://task-99"])
        .resources_list_changed()
        .build();
    let mut subscription = client.service.listen(filter).await.unwrap();
    let accepted = subscription
        .acknowledged()
        .resource_subscriptions
        .clone()
        .unwrap();
    assert_eq!(accepted, ["tasks://all", "tasks://task-2"]);
    let other = Client::connect(&server.url, legacy(), &[]).await;

    other.ok("complete_task", json!({"id": "task-2"})).await;
    for expected in ["tasks://all", "tasks://task-2"] {
        let ServerNotification::ResourceUpdatedNotification(update) =
            next_on(&mut subscription).await
        else {
            panic!("not an update")
        };
        assert_eq!(update.params.uri, expected);
    }
    other.ok("create_task", json!({"title": "new"})).await;
    let notification = next_on(&mut subscription).await;
    assert!(
        matches!(
            notification,
            ServerNotification::ResourceListChangedNotification(_)
        ),
        "{notification:?}"
    );

    // The server's shutdown is reported as the end of the subscription.
    let (ended, ()) = tokio::join!(
        async {
            while tokio::time::timeout(PATIENCE, subscription.next())
                .await
                .unwrap()
                .unwrap()
                .is_some()
            {}
            matches!(subscription.end(), Some(SubscriptionEnd::Graceful(_)))
        },
        server.end()
    );
    assert!(ended, "ended by a final result");
}

#[tokio::test]
async fn a_hundred_concurrent_calls_create_a_hundred_tasks() {
    let server = Server::start().await;
    let path = server.directory.path().join("tasks.json");
    let client = Client::connect(&server.url, modern(), &[]).await;
    let calls = (0..100).map(|n| {
        let peer = client.service.peer().clone();
        let Value::Object(arguments) = json!({ "title": format!("call {n}") }) else {
            panic!("not an object")
        };
        let call = CallToolRequestParams::new("create_task").with_arguments(arguments);
        tokio::spawn(async move { peer.call_tool(call).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_ne!(call.await.unwrap().unwrap().is_error, Some(true));
    }
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let titles: BTreeSet<_> = file["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["title"].to_string())
        .collect();
    assert_eq!(titles.len(), 105);
    server.end().await;
}

#[tokio::test]
async fn a_server_with_open_streams_and_running_tools_shuts_down_promptly() {
    let server = Server::start().await;
    let idle = Client::connect(&server.url, legacy(), &[]).await;
    idle.ok("list_tasks", json!({})).await;
    let mut busy = Client::connect(&server.url, modern(), &[]).await;
    let peer = busy.service.peer().clone();
    let Value::Object(arguments) = json!({"steps": 100, "delay_ms": 500}) else {
        panic!("not an object")
    };
    let call = CallToolRequestParams::new("generate_report").with_arguments(arguments);
    let report = tokio::spawn(async move { peer.call_tool(call).await });
    assert_eq!(
        busy.next_received().await,
        Received::Progress(1.0, Some(100.0))
    );
    server.end().await;
    let report = tokio::time::timeout(PATIENCE, report)
        .await
        .expect("answered")
        .unwrap()
        .unwrap();
    assert_eq!(report.is_error, Some(true));
    assert!(
        report.content[0]
            .as_text()
            .unwrap()
            .text
            .contains("shutting down")
    );
}
