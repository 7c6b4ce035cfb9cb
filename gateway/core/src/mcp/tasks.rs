//! Tasks: which use of them a resource allows.
//!
//! An upstream without principals cannot bind a task to its caller. Then every client that learns or guesses the id of a task can
//! use it (MCP 2025-11-25, tasks, *Task Isolation and Access Control*; SEP-2663, *Security Implications*).

use super::member;
use super::method::McpMethod;
use super::version::Era;
use crate::json::OutlineValue;
use crate::json::names::look_alike;
use crate::refusal::{fault::Fault, reason::Reason};

/// What happens to the ids of tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tasks {
    /// No client may use a task.
    #[default]
    Refuse,
    /// Clients get sealed ids, bound to the caller.
    Seal,
    /// Ids pass unchanged: the upstream binds them itself.
    Upstream,
}

/// How a message uses tasks, in addition to its method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskUse {
    /// Not at all.
    #[default]
    None,
    /// It requests a task instead of a result (`params.task`, MCP 2025-11-25; no meaning in later revisions).
    Asks,
    /// It subscribes to tasks (`params.notifications.taskIds`, SEP-2663).
    Watches,
}

/// The extension with which modern clients declare that they support tasks (SEP-2663, *Extension Identifier*).
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The member of `_meta` that names the task a message belongs to (MCP 2025-11-25, tasks, *Related Task Metadata*).
pub(crate) const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

impl Tasks {
    /// Whether a message is allowed.
    ///
    /// # Errors
    /// [`Reason::TasksRefused`] for every use of tasks on a resource that refuses them. [`Reason::TasksMethod`] on a resource
    /// that seals ids, for methods with which that is not possible: a list of all tasks, and methods that the era does not have.
    pub fn judge(self, era: Era, method: Option<&str>, used: TaskUse) -> Result<(), Reason> {
        let method = method.map(McpMethod::of);
        let method = method.filter(|method| method.is_about_tasks());
        match (self, method, used) {
            (Self::Upstream, ..) => Ok(()),
            (Self::Seal, Some(method), _) if !method.names_a_task(era) => Err(Reason::TasksMethod),
            (Self::Seal, ..) => Ok(()),
            (Self::Refuse, Some(_), _) | (Self::Refuse, _, TaskUse::Watches) => {
                Err(Reason::TasksRefused)
            }
            (Self::Refuse, None, TaskUse::Asks) if era == Era::Legacy => Err(Reason::TasksRefused),
            (Self::Refuse, None, TaskUse::Asks | TaskUse::None) => Ok(()),
        }
    }
}

/// How a message with these `params`, of which no two look alike, uses tasks. Members that are null count as absent: no server makes a task of a null `task`.
///
/// # Errors
/// [`Reason::AmbiguousJson`] for members that look like those that are read here, [`Reason::InvalidRequest`] if `notifications`
/// is not an object.
pub(crate) fn used(
    params: OutlineValue<'_, '_>,
    method: Option<McpMethod>,
) -> Result<TaskUse, Fault> {
    let watching = method.is_some_and(McpMethod::listens);
    let known: &[&str] = if watching {
        &["task", "notifications"]
    } else {
        &["task"]
    };
    if look_alike::any_like(params, known) {
        return Err(member::confusing("params"));
    }
    if watching
        && let Some(filter) = member::object(params, "notifications", &["taskIds"])?
        && filter.given("taskIds").is_some()
    {
        return Ok(TaskUse::Watches);
    }
    Ok(match params.given("task") {
        Some(_) => TaskUse::Asks,
        None => TaskUse::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, JsonLimits};

    const REFUSED: Result<(), Reason> = Err(Reason::TasksRefused);

    #[test]
    fn a_resource_that_refuses_tasks_refuses_every_use_of_them() {
        let judge = |era, method, used| Tasks::Refuse.judge(era, Some(method), used);
        for era in [Era::Legacy, Era::Modern] {
            for method in [
                "tasks/get",
                "tasks/update",
                "tasks/cancel",
                "tasks/result",
                "tasks/list",
                "tasks/",
                "tasks/more",
            ] {
                assert_eq!(judge(era, method, TaskUse::None), REFUSED, "{method}");
                assert_eq!(judge(era, method, TaskUse::Asks), REFUSED, "{method}");
            }
            assert_eq!(
                judge(era, "subscriptions/listen", TaskUse::Watches),
                REFUSED
            );
            for method in [
                "tools/call",
                "subscriptions/listen",
                "tasks",
                "notifications/tasks",
            ] {
                assert_eq!(judge(era, method, TaskUse::None), Ok(()), "{method}");
            }
            assert_eq!(Tasks::Refuse.judge(era, None, TaskUse::None), Ok(()));
        }
        assert_eq!(judge(Era::Legacy, "tools/call", TaskUse::Asks), REFUSED);
        // Modern servers ignore the member.
        assert_eq!(judge(Era::Modern, "tools/call", TaskUse::Asks), Ok(()));
    }

    #[test]
    fn a_resource_that_seals_ids_allows_methods_that_name_one_task() {
        let judge = |era, method| Tasks::Seal.judge(era, Some(method), TaskUse::None);
        for era in [Era::Legacy, Era::Modern] {
            for method in ["tasks/get", "tasks/update", "tasks/cancel", "tools/call"] {
                assert_eq!(judge(era, method), Ok(()), "{method}");
            }
            for method in ["tasks/list", "tasks/more", "tasks/"] {
                assert_eq!(judge(era, method), Err(Reason::TasksMethod), "{method}");
            }
            for used in [TaskUse::Asks, TaskUse::Watches] {
                assert_eq!(Tasks::Seal.judge(era, Some("tools/call"), used), Ok(()));
            }
        }
        assert_eq!(judge(Era::Legacy, "tasks/result"), Ok(()));
        assert_eq!(judge(Era::Modern, "tasks/result"), Err(Reason::TasksMethod));
    }

    #[test]
    fn an_upstream_that_binds_ids_itself_gets_every_message() {
        for method in ["tasks/get", "tasks/list", "tasks/more"] {
            for used in [TaskUse::None, TaskUse::Asks, TaskUse::Watches] {
                let judged = Tasks::Upstream.judge(Era::Legacy, Some(method), used);
                assert_eq!(judged, Ok(()), "{method}");
            }
        }
    }

    #[test]
    fn the_use_of_tasks_is_read_from_params() {
        let used = |method, params: &str| {
            let params = json::outline(params.as_bytes(), &JsonLimits::default(), 2).unwrap();
            used(params.root(), Some(McpMethod::of(method))).map_err(|fault| fault.reason)
        };
        const LISTEN: &str = "subscriptions/listen";
        let cases = [
            (
                "tools/call",
                r#"{"name":"a","arguments":{"task":{}}}"#,
                Ok(TaskUse::None),
            ),
            (
                "tools/call",
                r#"{"name":"a","task":{"ttl":1}}"#,
                Ok(TaskUse::Asks),
            ),
            (
                "tools/call",
                r#"{"name":"a","task":null}"#,
                Ok(TaskUse::None),
            ),
            (
                "tools/call",
                r#"{"name":"a","task":false}"#,
                Ok(TaskUse::Asks),
            ),
            (LISTEN, r#"{"notifications":null}"#, Ok(TaskUse::None)),
            (
                LISTEN,
                r#"{"notifications":{"taskIds":null}}"#,
                Ok(TaskUse::None),
            ),
            (
                LISTEN,
                r#"{"notifications":{"taskIds":[null]}}"#,
                Ok(TaskUse::Watches),
            ),
            (
                "tools/call",
                r#"{"name":"a","t\u0061sk":{}}"#,
                Ok(TaskUse::Asks),
            ),
            (
                "tools/call",
                r#"{"name":"a","Task":{}}"#,
                Err(Reason::AmbiguousJson),
            ),
            (
                "tools/call",
                r#"{"name":"a","notifications":{"taskIds":[]}}"#,
                Ok(TaskUse::None),
            ),
            (LISTEN, "{}", Ok(TaskUse::None)),
            (
                LISTEN,
                r#"{"notifications":{"toolsListChanged":true}}"#,
                Ok(TaskUse::None),
            ),
            (
                LISTEN,
                r#"{"notifications":{"taskIds":[]}}"#,
                Ok(TaskUse::Watches),
            ),
            (
                LISTEN,
                r#"{"notifications":{"taskids":[]}}"#,
                Err(Reason::AmbiguousJson),
            ),
            (
                LISTEN,
                r#"{"Notifications":{}}"#,
                Err(Reason::AmbiguousJson),
            ),
            (
                LISTEN,
                r#"{"notifications":[]}"#,
                Err(Reason::InvalidRequest),
            ),
        ];
        for (method, params, expected) in cases {
            assert_eq!(used(method, params), expected, "{method} {params}");
        }
    }
}
