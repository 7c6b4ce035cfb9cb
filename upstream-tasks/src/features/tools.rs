//! The tools. A failure inside a tool is a tool error, which the model behind the client can read and correct.

use rmcp::{
    Json, RoleServer, handler::server::wrapper::Parameters, model::ProgressNotificationParam,
    schemars::JsonSchema, service::RequestContext, tool, tool_router,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    StoreError,
    identity::Caller,
    schema::plain_integers,
    server::TaskServer,
    tasks::{
        report::{Report, ReportArguments},
        task::{NewTask, Priority, Status, Task, TaskId, TaskList},
    },
};

/// Longest message `secure_echo` returns, in bytes.
const MAX_ECHO_BYTES: usize = 64 * 1024;

/// Which tasks `list_tasks` returns; without filters it returns every task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFilter {
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    priority: Option<Priority>,
}

/// The tasks that match a filter, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transform = plain_integers)]
pub(crate) struct Listing {
    count: usize,
    tasks: Vec<Task>,
}

/// Which task to complete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Complete {
    id: TaskId,
}

/// What to send back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// Any text, up to 64 KiB.
    message: String,
}

/// The message, and who sent it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Echo {
    message: String,
    #[serde(flatten)]
    caller: Caller,
}

#[tool_router(vis = "pub(crate)")]
impl TaskServer {
    /// Add a task to the list.
    #[tool(annotations(
        title = "Create task",
        read_only_hint = false,
        destructive_hint = false,
        idempotent_hint = false,
        open_world_hint = false
    ))]
    async fn create_task(
        &self,
        Parameters(new): Parameters<NewTask>,
    ) -> Result<Json<Task>, String> {
        self.store
            .create(new, OffsetDateTime::now_utc())
            .await
            .map(Json)
            .map_err(tool_error)
    }

    /// List the tasks, all of them or only those of one status or priority.
    #[tool(annotations(title = "List tasks", read_only_hint = true, open_world_hint = false))]
    async fn list_tasks(&self, Parameters(filter): Parameters<ListFilter>) -> Json<Listing> {
        let tasks = filter.apply(&self.store.tasks());
        Json(Listing {
            count: tasks.len(),
            tasks,
        })
    }

    /// Mark a task as completed. It cannot be reopened; completing it again changes nothing.
    #[tool(annotations(
        title = "Complete task",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn complete_task(
        &self,
        Parameters(task): Parameters<Complete>,
    ) -> Result<Json<Task>, String> {
        self.store
            .complete(task.id, OffsetDateTime::now_utc())
            .await
            .map(Json)
            .map_err(tool_error)
    }

    /// Return a message together with the caller's identity from the headers of the gateway.
    #[tool(annotations(
        title = "Echo with identity",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn secure_echo(
        &self,
        Parameters(Message { message }): Parameters<Message>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Echo>, String> {
        if message.len() > MAX_ECHO_BYTES {
            return Err(format!("the message has more than {MAX_ECHO_BYTES} bytes"));
        }
        let caller = Caller::of(&context.extensions).map_err(|error| error.to_string())?;
        Ok(Json(Echo { message, caller }))
    }

    /// Count the tasks by status and priority, in steps that take some time and report progress.
    #[tool(annotations(
        title = "Generate report",
        read_only_hint = true,
        open_world_hint = false
    ))]
    async fn generate_report(
        &self,
        Parameters(arguments): Parameters<ReportArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Report>, String> {
        let tasks = self.store.tasks();
        let now = OffsetDateTime::now_utc();
        let mut report = Report::default();
        for (step, share) in arguments.shares(&tasks) {
            tokio::select! {
                () = tokio::time::sleep(arguments.delay()) => {}
                () = context.ct.cancelled() => return Err("the report was cancelled".to_owned()),
                () = self.draining.cancelled() => return Err("the server is shutting down".to_owned()),
            }
            share.iter().for_each(|task| report.count(task, now));
            progress(&context, step, arguments.steps(), &report).await;
        }
        Ok(Json(report))
    }
}

impl ListFilter {
    fn apply(&self, tasks: &TaskList) -> Vec<Task> {
        let passes = |task: &&Task| {
            self.status.is_none_or(|status| task.status == status)
                && self
                    .priority
                    .is_none_or(|priority| task.priority == priority)
        };
        tasks.iter().filter(passes).cloned().collect()
    }
}

/// Reports progress to the client, if it requested progress.
async fn progress(context: &RequestContext<RoleServer>, step: u32, steps: u32, report: &Report) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    let notification = ProgressNotificationParam::new(token, f64::from(step))
        .with_total(f64::from(steps))
        .with_message(format!(
            "step {step} of {steps}: {} tasks counted",
            report.total
        ));
    // The cancellation of the request shows that the client is gone.
    let _ = context.peer.notify_progress(notification).await;
}

/// What a caller is allowed to see: refusals in full, disk errors only in the log.
fn tool_error(error: StoreError) -> String {
    if let StoreError::Refused(reason) = error {
        return reason;
    }
    // The target for log filters.
    tracing::error!(target: "upstream_tasks::tools", %error, "the task could not be stored");
    "the task could not be stored".to_owned()
}
